"""The objects, their resourceVersions, and a bounded history for watches.

Everything is synchronous and runs in one event loop, so a read followed by a write needs no lock.
It knows nothing of HTTP, defaults or controllers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import anyio

from .model import Json
from .resources import Resource
from .status import expired

HISTORY = 4096
_FIRST_VERSION = 500

Slot = tuple[str, str]
Name = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """One write: ADDED, MODIFIED or DELETED, with the object before it."""

    version: int
    type: str
    resource: Resource
    object: Json
    old: Json | None


def _slot(resource: Resource) -> Slot:
    return resource.group, resource.plural


def _name(obj: Json) -> Name:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


class Store:
    """Objects by resource, namespace and name."""

    def __init__(self) -> None:
        self.version = _FIRST_VERSION
        self._objects: dict[Slot, dict[Name, Json]] = defaultdict(dict)
        self._history: dict[Slot, deque[Change]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._forgotten = _FIRST_VERSION
        self._oldest: dict[Slot, int] = defaultdict(lambda: self._forgotten)
        self._dependents: dict[str, dict[tuple[Slot, Name], Resource]] = defaultdict(dict)
        self._listeners: list[Callable[[Change], None]] = []
        self._changed = anyio.Event()

    def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """One object, or None. Not to be changed in place."""
        return self._objects[_slot(resource)].get((namespace, name))

    def list(self, resource: Resource, namespace: str | None = None) -> list[Json]:
        """All objects of a resource, by namespace and name; of one namespace unless None."""
        objects = self._objects[_slot(resource)]
        names = sorted(objects) if namespace is None else sorted(name for name in objects if name[0] == namespace)
        return [objects[name] for name in names]

    def dependents(self, uid: str) -> Iterator[tuple[Resource, Json]]:
        """The objects that name this uid as an owner."""
        for (slot, name), resource in list(self._dependents.get(uid, {}).items()):
            yield resource, self._objects[slot][name]

    def put(self, resource: Resource, obj: Json) -> Json:
        """Store an object under a new resourceVersion and tell the watches."""
        slot, name = _slot(resource), _name(obj)
        old = self._objects[slot].get(name)
        self.version += 1
        stored = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self._objects[slot][name] = stored
        self._index(resource, slot, name, old, stored)
        self._publish(Change(self.version, "MODIFIED" if old else "ADDED", resource, stored, old))
        return stored

    def remove(self, resource: Resource, obj: Json) -> Json:
        """Take an object out; its last state carries the deletion's resourceVersion."""
        slot, name = _slot(resource), _name(obj)
        old = self._objects[slot].pop(name)
        self.version += 1
        gone = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self._index(resource, slot, name, old, None)
        self._publish(Change(self.version, "DELETED", resource, gone, old))
        return gone

    def since(self, resource: Resource, version: int) -> Sequence[Change]:
        """What happened to a resource after a version.

        Raises:
            ApiError: 410 when the history no longer reaches back that far.
        """
        slot = _slot(resource)
        if version < self._oldest[slot]:
            raise expired(version, self._oldest[slot])
        history = self._history[slot]
        if not history or history[-1].version <= version:
            return []
        changes = list(history)
        return changes[bisect_right(changes, version, key=lambda change: change.version) :]

    def oldest(self, resource: Resource) -> int:
        """The version that a resource's history reaches back to."""
        return self._oldest[_slot(resource)]

    def forget(self) -> None:
        """Forget all history, as a compaction does: every version up to now is too old."""
        for slot in [*self._objects, *self._history]:
            self._history[slot].clear()
            self._oldest[slot] = self.version
        self._forgotten = self.version

    async def changed(self) -> None:
        """Wait for the next write, whatever it is about."""
        await self._changed.wait()

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call a function, in line, after each write."""
        self._listeners.append(listener)

    def _index(self, resource: Resource, slot: Slot, name: Name, old: Json | None, new: Json | None) -> None:
        for owner in (old or {}).get("metadata", {}).get("ownerReferences") or ():
            self._dependents[owner["uid"]].pop((slot, name), None)
            if not self._dependents[owner["uid"]]:
                del self._dependents[owner["uid"]]
        for owner in (new or {}).get("metadata", {}).get("ownerReferences") or ():
            self._dependents[owner["uid"]][slot, name] = resource

    def _publish(self, change: Change) -> None:
        history = self._history[_slot(change.resource)]
        if len(history) == HISTORY:
            self._oldest[_slot(change.resource)] = history[0].version
        history.append(change)
        for listener in self._listeners:
            listener(change)
        self._changed.set()
        self._changed = anyio.Event()
