"""What controllers share: which objects a change concerns, and bringing one object nearer to what it asks for."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol

from klepaas_plugins.kubernetes.sandbox.events import Recorder
from klepaas_plugins.kubernetes.sandbox.model import Json, Timing, timestamp
from klepaas_plugins.kubernetes.sandbox.objects import Objects
from klepaas_plugins.kubernetes.sandbox.resources import Resource
from klepaas_plugins.kubernetes.sandbox.store import Change, Store

Key = tuple[str, str]


class Controller(Protocol):
    """One controller: told of every change, asked to reconcile what it named."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """The objects, by namespace and name, that a change gives reason to look at."""
        ...

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Look at an object and act.

        Returns:
            Unix time at which to look again; None when only a change gives reason to.
        """
        ...


class Base:
    """The common parts of a controller."""

    def __init__(self, objects: Objects, recorder: Recorder) -> None:
        self.objects = objects
        self.recorder = recorder

    @property
    def store(self) -> Store:
        """The objects."""
        return self.objects.store

    @property
    def timing(self) -> Timing:
        """How long things take."""
        return self.objects.timing

    def owned(self, owner: Json, resource: Resource) -> list[Json]:
        """The objects of a resource an owner controls, oldest first."""
        uid = owner["metadata"]["uid"]
        found = [
            obj
            for kind, obj in self.store.dependents(uid)
            if kind is resource
            and any(ref["uid"] == uid and ref.get("controller") for ref in obj["metadata"]["ownerReferences"])
        ]
        return sorted(
            found, key=lambda obj: (obj["metadata"]["creationTimestamp"], int(obj["metadata"]["resourceVersion"]))
        )


def key_of(obj: Json) -> Key:
    """An object's namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def owner_reference(resource: Resource, owner: Json) -> Json:
    """The reference a controller puts on what it makes."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owners_named(change: Change, resource: Resource) -> Iterable[Key]:
    """The controllers of one kind that a changed object belongs to."""
    for owner in change.object["metadata"].get("ownerReferences") or ():
        if owner["kind"] == resource.kind and owner["apiVersion"] == resource.api_version:
            yield change.object["metadata"].get("namespace", ""), owner["name"]


def set_condition(
    conditions: list[Json], kind: str, holds: bool, reason: str, message: str, *, touch: bool = False
) -> list[Json]:
    """Conditions with one set; as it was when only its time would change, unless `touch` asks for the time."""
    stamp = timestamp(time.time())
    value = "True" if holds else "False"
    old = next((one for one in conditions if one["type"] == kind), None)
    if old and (old["status"], old["reason"]) == (value, reason) and not touch:
        return conditions
    moved = old["lastTransitionTime"] if old and old["status"] == value else stamp
    made = {
        "type": kind, "status": value, "lastUpdateTime": stamp, "lastTransitionTime": moved, "reason": reason,
        "message": message,
    }  # fmt: skip
    return [*(one for one in conditions if one["type"] != kind), made]


def without_zeros(status: Json, *kept: str) -> Json:
    """A status as Go's omitempty writes it."""
    return {name: value for name, value in status.items() if value or name in kept}
