"""Namespaces: what every new one holds, and the end of one with everything in it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.events import Recorder
from klepaas_plugins.kubernetes.sandbox.model import Json
from klepaas_plugins.kubernetes.sandbox.objects import CONTROLLER, DeleteOptions, Objects, Write
from klepaas_plugins.kubernetes.sandbox.resources import CONFIG_MAPS, NAMESPACES, PODS, SERVICE_ACCOUNTS
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of

_POLL_S = 0.02


class NamespaceController(Base):
    """Fills new namespaces and empties ending ones."""

    def __init__(self, objects: Objects, recorder: Recorder) -> None:
        super().__init__(objects, recorder)
        self._ending_s: dict[str, float] = {}

    def concerns(self, change: Change) -> Iterable[Key]:
        """Namespaces."""
        return [key_of(change.object)] if change.resource is NAMESPACES else ()

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Fill or empty a namespace."""
        found = self.store.get(NAMESPACES, "", name)
        if found is None:
            self._ending_s.pop(name, None)
            return None
        if found["metadata"].get("deletionTimestamp"):
            return self._end(found, name)
        if self.store.get(SERVICE_ACCOUNTS, name, "default") is None:
            account: Json = {"metadata": {"name": "default"}}
            self.objects.create(SERVICE_ACCOUNTS, name, account, Write(CONTROLLER))
        if self.store.get(CONFIG_MAPS, name, "kube-root-ca.crt") is None:
            bundle: Json = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ""}}
            self.objects.create(CONFIG_MAPS, name, bundle, Write(CONTROLLER))
        return None

    def _end(self, found: Json, name: str) -> float | None:
        until_s = self._ending_s.setdefault(name, time.time() + self.timing.namespace_s)
        left = 0
        for resource in self.objects.registry.all():
            if not resource.namespaced:
                continue
            for obj in self.store.list(resource, name):
                left += 1
                if obj["metadata"].get("finalizers") and resource is not PODS:
                    obj = self.objects.control(resource, obj, metadata={**obj["metadata"], "finalizers": []})
                if not obj["metadata"].get("deletionTimestamp") and self.store.get(resource, *key_of(obj)):
                    self.objects.delete(resource, *key_of(obj), DeleteOptions())
        now_s = time.time()
        if left or now_s < until_s:
            return max(until_s, now_s + _POLL_S)
        self.objects.remove(NAMESPACES, {**found, "spec": {}})
        return None
