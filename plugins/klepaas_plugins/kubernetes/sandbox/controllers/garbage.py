"""Garbage collection: what goes when its owners are gone, and owners that wait for what they own.

An object whose owner never existed is left alone, unlike on a real cluster, so that tests may plant one.
"""

from __future__ import annotations

from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.model import Json
from klepaas_plugins.kubernetes.sandbox.objects import DeleteOptions
from klepaas_plugins.kubernetes.sandbox.resources import Resource
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of

_FOREGROUND = "foregroundDeletion"


class GarbageCollector(Base):
    """Follows owner references. Its keys are (uid, "") of an owner that is gone or waits."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """Owners that are gone, owners in foreground deletion, and owners of what is gone."""
        meta = change.object["metadata"]
        if change.type == "DELETED":
            return [(meta["uid"], ""), *self._waiting_owners(change.object)]
        return [self._key(change.resource, change.object)] if _waits(change.object) else ()

    def _key(self, resource: Resource, obj: Json) -> Key:
        return obj["metadata"]["uid"], f"{resource.api_version} {resource.kind} {'/'.join(key_of(obj))}"

    def _waiting_owners(self, obj: Json) -> Iterable[Key]:
        for owner in obj["metadata"].get("ownerReferences") or ():
            found = self._owner(obj, owner)
            if found and _waits(found[1]):
                yield self._key(*found)

    def _owner(self, obj: Json, owner: Json) -> tuple[Resource, Json] | None:
        resource = self.objects.registry.of_kind(owner["apiVersion"], owner["kind"])
        if resource is None:
            return None
        namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
        found = self.store.get(resource, namespace, owner["name"])
        return (resource, found) if found and found["metadata"]["uid"] == owner["uid"] else None

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Delete what an owner leaves behind, or let a waiting owner go."""
        uid, waiting = namespace, name
        for resource, obj in list(self.store.dependents(uid)):
            others = [one for one in obj["metadata"]["ownerReferences"] if one["uid"] != uid and self._owner(obj, one)]
            if not others and not obj["metadata"].get("deletionTimestamp"):
                propagation = "Foreground" if waiting else "Background"
                if waiting and not list(self.store.dependents(obj["metadata"]["uid"])):
                    propagation = "Background"
                self.objects.delete(resource, *key_of(obj), DeleteOptions(propagation))
        if waiting:
            self._release(uid, waiting)
        return None

    def _release(self, uid: str, waiting: str) -> None:
        api_version, kind, path = waiting.split(" ")
        resource = self.objects.registry.of_kind(api_version, kind)
        space, _, name = path.partition("/")
        owner = self.store.get(resource, space, name) if resource else None
        if resource is None or owner is None or owner["metadata"]["uid"] != uid or list(self.store.dependents(uid)):
            return
        kept = [one for one in owner["metadata"]["finalizers"] if one != _FOREGROUND]
        meta = {key: value for key, value in owner["metadata"].items() if key != "finalizers"}
        freed = {**owner, "metadata": {**meta, **({"finalizers": kept} if kept else {})}}
        if kept:
            self.store.put(resource, freed)
        else:
            self.objects.remove(resource, freed)


def _waits(obj: Json) -> bool:
    meta = obj["metadata"]
    return bool(meta.get("deletionTimestamp")) and _FOREGROUND in (meta.get("finalizers") or ())
