"""Bringing one object back to what it was: which of its fields are klepaas' to restore, and what stays others'.

Restored is what klepaas owns now, what is missing now, and what has changed since and no controller owns now. A release
holds whole objects with defaults, and applying these would claim everything. What others added stays, and is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.changes import ObjectChange
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planning.apply import plan_object
from klepaas_plugins.kubernetes.client import compare, judge_manager, own_paths
from klepaas_plugins.kubernetes.write.autoscaling import REPLICAS, AutoscalerChanges, is_autoscalers
from klepaas_plugins.kubernetes.write.items import key_of
from klepaas_plugins.kubernetes.write.managers import Side
from klepaas_plugins.kubernetes.write.own_fields import Path, entries_of, extract, find, to_fields

__all__ = ["Restoration", "is_changed_since", "plan_restoration", "plan_restored_object"]

_CAUSE: Path = ("f:metadata", "f:annotations", f"f:{CHANGE_CAUSE}")


@dataclass(frozen=True)
class Restoration:
    """How one object is brought back.

    Attributes:
        body: What is applied.
        fields: What of it is restored, as FieldsV1, without the number of pods and the note of why it was made; an
            empty set names all of it.
        change: What applying it would do.
        left: What differs from what it was and stays, one line each.
    """

    body: Mapping[str, Any]
    fields: Mapping[str, Any]
    change: ObjectChange
    left: tuple[str, ...]


async def plan_restoration(
    place: Place, live: Object | None, target: Object, autoscalers: AutoscalerChanges | None = None
) -> Restoration:
    """How an object is brought back, and what that would do.

    Args:
        place: Where the application is.
        live: The object as it is, with its managedFields. None: it is gone, so all of it comes back.
        target: The object as it was.
        autoscalers: What becomes of autoscalers in the same change. None: nothing.

    Raises:
        KlepaasError: The server refuses it as it was.
    """
    paths = await _restored_paths(place, live, target)
    body = dict(target) if live is None else _body(target, paths)
    change = await plan_restored_object(place, body, autoscalers)
    found = compare(change.after, {**target, "metadata": {**target["metadata"]}}) if live is not None else ()
    left = [f"{one.path} stays as it is, set by {', '.join(one.owners)}" for one in found if one.owners]
    return Restoration(body, to_fields(set(paths) - {REPLICAS, _CAUSE}), change, tuple(left))


async def _restored_paths(place: Place, live: Object | None, target: Object) -> list[Path]:
    if live is None:
        return []
    # The server says what the items of its lists are known by.
    answer = await place.cluster.apply(target, force=True, dry_run=True)
    claimed = next((entry.paths for entry in entries_of(answer) if entry.is_main), frozenset())
    own = own_paths(live)
    return [path for path in claimed if path in own or _is_to_restore(live, target, path)]


def _body(target: Object, paths: list[Path]) -> dict[str, Any]:
    """The part of an object that some paths name, as it may be applied."""
    found = extract(target, to_fields([*paths, *(key for path in paths for key in _keys(path))]))
    metadata = {**(found.get("metadata") or {}), **{key: target["metadata"][key] for key in ("name", "namespace")}}
    return {**found, "apiVersion": target["apiVersion"], "kind": target["kind"], "metadata": metadata}


async def plan_restored_object(
    place: Place, body: Mapping[str, Any], autoscalers: AutoscalerChanges | None = None
) -> ObjectChange:
    """What bringing an object back would do; a controller's fields are left as they are and named.

    Args:
        place: Where the application is.
        body: What `plan_restoration` composed.
        autoscalers: What becomes of autoscalers in the same change. None: nothing.

    Raises:
        KlepaasError: The server refuses it.
    """
    return await plan_object(place, body, is_restoring=True, autoscalers=autoscalers)


def is_changed_since(way: Restoration, was: Object | None, now: Object | None, aim: Object) -> bool:
    """Whether somebody else has changed what is to be restored, since an object was as it should be.

    Args:
        way: How it is brought back.
        was: The object as it should be. None: it should not be there.
        now: The object as it is, both normalised. None: it is gone.
        aim: The object as it is to become.
    """
    if now is None or was is None:
        return now is not was
    parts = [extract(one, way.fields) for one in (now, was, aim)]
    return parts[0] not in parts[1:]


def _is_to_restore(live: Object, target: Object, path: Path) -> bool:
    """Whether a field that klepaas does not own now comes back: it is missing, or a person changed it."""
    is_there, value = find(live, path)
    if not is_there:
        return True
    owners = [entry for entry in entries_of(live) if path in entry.paths and entry.subresource != "status"]
    if path == REPLICAS and owners and all(map(is_autoscalers, owners)):
        # Whether an autoscaler sets it still is seen when it is written.
        return True
    if path[-1].startswith("k:") or value == find(target, path)[1]:
        return False
    return all(judge_manager(entry.manager, live).side is not Side.CONTROLLER for entry in owners)


def _keys(path: Path) -> list[Path]:
    """The fields that name the items of lists on the way to a path."""
    return [
        (*path[: at + 1], f"f:{name}") for at, step in enumerate(path) if step.startswith("k:") for name in key_of(step)
    ]
