"""The kubelet's part: asks `pod_behaviour` what a pod looks like now and writes that down.

Only pods on the sandbox's own nodes are moved; a pod on any other node stays as it was stored.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from klepaas_plugins.kubernetes.sandbox.events import Recorder
from klepaas_plugins.kubernetes.sandbox.model import Json
from klepaas_plugins.kubernetes.sandbox.objects import Objects
from klepaas_plugins.kubernetes.sandbox.pod_behaviour import Observation, Pod, observe
from klepaas_plugins.kubernetes.sandbox.pods import is_finished
from klepaas_plugins.kubernetes.sandbox.references import Find, environments, missing
from klepaas_plugins.kubernetes.sandbox.resources import CONFIG_MAPS, NODES, PODS, SECRETS
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of

SANDBOX_NODE = "klepaas.io/sandbox-node"
_MANAGER = "kubelet"


class Kubelet(Base):
    """Moves scheduled pods through their lives."""

    def __init__(self, objects: Objects, recorder: Recorder) -> None:
        super().__init__(objects, recorder)
        self._pods: dict[str, Pod] = {}
        self._emitted: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
        self._ending_s: dict[str, float] = {}
        self._blocked: dict[str, Key] = {}
        self._addresses = 0

    def concerns(self, change: Change) -> Iterable[Key]:
        """A pod with a node; pods held up by a ConfigMap or Secret when those change."""
        if change.resource in (CONFIG_MAPS, SECRETS):
            namespace = change.object["metadata"]["namespace"]
            return [key for key in self._blocked.values() if key[0] == namespace]
        if change.resource is not PODS:
            return ()
        if change.type == "DELETED":
            self._forget(change.object["metadata"]["uid"])
            return ()
        return [key_of(change.object)] if change.object["spec"].get("nodeName") else ()

    def _forget(self, uid: str) -> None:
        for known in (self._pods, self._emitted, self._ending_s, self._blocked):
            known.pop(uid, None)

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Write a pod's present status, and the events that led to it."""
        stored = self.store.get(PODS, namespace, name)
        if stored is None or not stored["spec"].get("nodeName") or not self._mine(stored):
            return None
        if stored["metadata"].get("deletionTimestamp"):
            return self._end(stored)
        if is_finished(stored):
            return None
        now_s = time.time()
        pod = self._pod(stored, now_s)
        seen = observe(pod, now_s, self.timing)
        self._report(stored, pod, seen)
        status = keep_times(stored.get("status", {}), seen.status)
        self.objects.set_status(PODS, stored, status, _MANAGER)
        return seen.next_s

    def _mine(self, pod: Json) -> bool:
        node = self.store.get(NODES, "", pod["spec"]["nodeName"])
        return node is not None and SANDBOX_NODE in (node["metadata"].get("labels") or {})

    def _end(self, pod: Json) -> float | None:
        uid = pod["metadata"]["uid"]
        if uid not in self._ending_s:
            stop_s = min(self.timing.stop_s, pod["metadata"].get("deletionGracePeriodSeconds", 30))
            self._ending_s[uid] = time.time() + stop_s
            for container in pod["spec"]["containers"]:
                self._emit(
                    pod, "Normal", "Killing", f"Stopping container {container['name']}", container["name"], 0, None
                )
        if time.time() < self._ending_s[uid]:
            return self._ending_s[uid]
        if pod["metadata"].get("finalizers"):
            return None
        self.objects.remove(PODS, pod)
        return None

    def _pod(self, stored: Json, now_s: float) -> Pod:
        meta = stored["metadata"]
        uid = meta["uid"]
        known = self._pods.get(uid)
        if known is None:
            self._addresses += 1
            address = f"10.1.{self._addresses // 250 % 250}.{self._addresses % 250 + 1}"
            known = Pod(meta["namespace"], meta["name"], uid, stored["spec"], address, "127.0.0.1", now_s)
            known = replace(known, environments=environments(known.spec, self._finder(known.namespace)))
        was = known.blocked
        find = self._finder(meta["namespace"])
        known = replace(known, spec=stored["spec"], blocked=missing(meta["namespace"], stored["spec"], find))
        if known.blocked:
            self._blocked[uid] = key_of(stored)
        elif was:
            # What was missing is there: the container starts now, its image being there already.
            found = environments(known.spec, find)
            known = replace(known, started_s=now_s - self.timing.pull_s, environments=found)
            self._blocked.pop(uid, None)
        self._pods[uid] = known
        return known

    def _finder(self, namespace: str) -> Find:
        """Finds what pods of a namespace refer to."""
        kinds = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}
        return lambda kind, name: self.store.get(kinds[kind], namespace, name)

    def _report(self, stored: Json, pod: Pod, seen: Observation) -> None:
        emitted = self._emitted[pod.uid]
        for event in seen.events:
            key = event.reason, event.message
            if emitted.get(key, 0) < event.count:
                emitted[key] = event.count
                self._emit(stored, event.type, event.reason, event.message, event.container, event.count, event.at_s)

    def _emit(
        self, pod: Json, kind: str, reason: str, message: str, container: str, count: int, at_s: float | None
    ) -> None:
        path = f"spec.containers{{{container}}}" if container else ""
        node = pod["spec"]["nodeName"]
        self.recorder.emit(
            PODS, pod, kind, reason, message, _MANAGER, host=node, field_path=path, count=count, at_s=at_s
        )


def keep_times(old: Json, new: Json) -> Json:
    """The new status with the transition times of conditions that have not changed."""
    held = {one["type"]: one for one in old.get("conditions") or ()}
    conditions = []
    for one in new["conditions"]:
        before = held.get(one["type"])
        same = before is not None and before["status"] == one["status"]
        conditions.append({**one, "lastTransitionTime": before["lastTransitionTime"]} if before and same else one)
    return {**new, "conditions": conditions}
