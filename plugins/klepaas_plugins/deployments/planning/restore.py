"""Bringing one object back to what it was: which of its fields are klepaas' to restore, and what stays others'.

Restored is what klepaas owned then. Of what it owns now, or what the change that failed has changed, that is added
which does not come out as it was without it. So klepaas owns afterwards what it owned then: a release holds whole
objects with defaults, and applying these would claim everything. What others set stays, and is named.

A release that does not say what klepaas owned (of an older version, or of an object that klepaas had not touched) is
restored by a guess: what klepaas owns now, what is missing now, and what a person has changed since.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.changes import ObjectChange
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planning.apply import plan_object
from klepaas_plugins.deployments.releases.normal import normal
from klepaas_plugins.kubernetes.client import (
    REPLICAS,
    AutoscalerChanges,
    Finder,
    Path,
    Paths,
    Side,
    compare,
    entries_of,
    extract,
    is_autoscalers,
    judge_manager,
    key_of,
    learn_paths,
    merge,
    own_paths,
    paths_of,
    to_fields,
)

__all__ = ["Former", "Restoration", "is_changed_since", "plan_body", "plan_restoration"]

_CAUSE: Path = ("f:metadata", "f:annotations", f"f:{CHANGE_CAUSE}")


@dataclass(frozen=True, kw_only=True)
class Former:
    """An object as it was, and how it is to come back.

    Attributes:
        place: Where the application is.
        live: The object as it is, with its managedFields. None: it is gone.
        target: The object as it was.
        own: What klepaas owned of it then, as FieldsV1. None: not known.
        expected: The object as a change that is undone has left it. None: not known.
        take_ownership: Whether fields that a controller owns now are taken over. None: nobody was asked, so they are
            left as they are, and named.
        autoscalers: What becomes of autoscalers in the same change. None: nothing.
    """

    place: Place
    live: Object | None
    target: Object
    own: Mapping[str, Any] | None = None
    expected: Object | None = None
    take_ownership: bool | None = None
    autoscalers: AutoscalerChanges | None = None


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """How one object is brought back.

    Attributes:
        former: The object as it was.
        body: What is applied.
        fields: What of it is restored or removed, as FieldsV1, without the number of pods and the note of why it was
            made. None: all of it.
        change: What applying it would do.
        left: What differs from what it was and stays, one line each.
    """

    former: Former
    body: Mapping[str, Any]
    fields: Mapping[str, Any] | None
    change: ObjectChange
    left: tuple[str, ...]


async def plan_restoration(former: Former) -> Restoration:
    """How an object is brought back, and what that would do.

    Args:
        former: The object as it was.

    Raises:
        FieldConflict: A controller owns some of it now, and somebody asked who did not want that taken over.
        KlepaasError: The server refuses it as it was.
    """
    if former.own is None:
        paths = await _guess(former)
        body = dict(former.target) if former.live is None else _body(former, paths)
        change = await plan_body(former, body)
    else:
        paths, body, change = await _plan_own(former, paths_of(former.own))
    is_whole = former.live is None and former.own is None
    fields = None if is_whole else to_fields(_touched(former, paths, change) - {REPLICAS, _CAUSE})
    return Restoration(former=former, body=body, fields=fields, change=change, left=tuple(_left(former, change)))


def _touched(former: Former, paths: Paths, change: ObjectChange) -> Paths:
    """What is restored, without what is left to controllers, and what klepaas owns now, of which the rest goes."""
    after = own_paths(change.after) if change.after is not None else frozenset()
    return (paths & after if after else paths) | own_paths(former.live or {})


async def plan_body(former: Former, body: Mapping[str, Any]) -> ObjectChange:
    """What applying a body would do that was composed to bring an object back.

    Args:
        former: The object as it was.
        body: The body.

    Raises:
        KlepaasError: The server refuses it.
    """
    return await plan_object(
        former.place,
        body,
        take_ownership=bool(former.take_ownership),
        is_restoring=former.take_ownership is None,
        autoscalers=former.autoscalers,
    )


async def _plan_own(former: Former, paths: Paths) -> tuple[Paths, dict[str, Any], ObjectChange]:
    """The plan for what klepaas owned then, with what else it takes for the object to be as it was."""
    body = _body(former, paths)
    change = await plan_body(former, body)
    for find_more in (_owned_now, _changed_since):
        more = _differing(await find_more(former, change), change.after or {}, former.target) - paths
        if more:
            paths |= more
            body = _body(former, paths)
            change = await plan_body(former, body)
    return paths, body, change


async def _owned_now(former: Former, _: ObjectChange) -> Paths:
    if former.live is None:
        return frozenset()
    # Whether an autoscaler sets the number of pods still is seen when the change is planned.
    return own_paths(former.live) | (frozenset({REPLICAS}) if _is_autoscaled(former.live) else frozenset())


def _is_autoscaled(live: Object) -> bool:
    owners = [entry for entry in entries_of(live) if REPLICAS in entry.paths]
    return bool(owners) and all(map(is_autoscalers, owners))


async def _changed_since(former: Former, change: ObjectChange) -> Paths:
    """What a change that is undone has changed or removed; of an object that is gone, all of it."""
    live, target = former.live, former.target
    if (live is not None and former.take_ownership is not None) or _is_as_it_was(change, target):
        return frozenset()
    claimed = await _learn_paths(former)
    if live is None:
        return claimed
    found = _lost(live, target, claimed)
    expected = Finder(former.expected) if former.expected is not None else None
    then = Finder(target)
    return frozenset(path for path in found if expected is None or expected.find(path) != then.find(path))


def _is_as_it_was(change: ObjectChange, target: Object) -> bool:
    after = change.after
    return after is not None and normal(after, target["kind"], target["apiVersion"]) == target


async def _guess(former: Former) -> Paths:
    """What klepaas may restore of an object of which it is not known what klepaas owned then."""
    if former.live is None:
        return frozenset()
    claimed = await _learn_paths(former)
    lost = _lost(former.live, former.target, claimed, take_ownership=bool(former.take_ownership))
    return (claimed & own_paths(former.live)) | lost


async def _learn_paths(former: Former) -> Paths:
    """The paths of the object as it was."""
    found: Paths = await learn_paths(former.place.cluster, former.target, former.live)
    return found


def _lost(live: Object, target: Object, paths: Paths, *, take_ownership: bool = False) -> Paths:
    """What is missing now, and what was changed and no controller owns now."""
    now, then = Finder(live), Finder(target)
    entries = [entry for entry in entries_of(live) if entry.subresource != "status"]
    controllers = [entry for entry in entries if judge_manager(entry.manager, live).side is Side.CONTROLLER]
    held = frozenset().union(*(entry.paths for entry in controllers)) if not take_ownership else frozenset()

    def is_lost(path: Path) -> bool:
        is_there, value = now.find(path)
        if not is_there or (path == REPLICAS and _is_autoscaled(live)):
            return True
        return not path[-1].startswith("k:") and path not in held and value != then.find(path)[1]

    return frozenset(path for path in paths if is_lost(path))


def _differing(paths: Iterable[Path], after: Object, target: Object) -> Paths:
    """The fields, among some paths, that the object had and would not have again."""
    now, then = Finder(after), Finder(target)
    owned = [path for entry in entries_of(after) for path in entry.paths]
    containers = {path[:size] for path in (*owned, *paths) for size in range(1, len(path))}
    return frozenset(
        path
        for path in paths
        if path not in containers and then.find(path)[0] and then.find(path) != now.find(path) and path != _CAUSE
    )


def _body(former: Former, paths: Paths) -> dict[str, Any]:
    """The part of an object that some paths name, as it may be applied."""
    target = former.target
    found = extract(target, to_fields([*paths, *(key for path in paths for key in _keys(path))]))
    metadata = {**(found.get("metadata") or {}), **{key: target["metadata"][key] for key in ("name", "namespace")}}
    body = {**found, "apiVersion": target["apiVersion"], "kind": target["kind"], "metadata": metadata}
    return body if former.live is None else _with_unrecorded(body, former.live, target)


def _with_unrecorded(body: dict[str, Any], live: Object, target: Object) -> dict[str, Any]:
    """The body with what klepaas owns now and no release holds, such as an address, as it is now."""
    now, held = Finder(live), Finder(normal(live, target["kind"], target["apiVersion"]))
    unrecorded = to_fields(path for path in own_paths(live) if now.find(path)[0] and not held.find(path)[0])
    found: dict[str, Any] = merge(body, extract(live, unrecorded), unrecorded) if unrecorded else body
    return found


def _keys(path: Path) -> list[Path]:
    """The fields that name the items of lists on the way to a path."""
    return [
        (*path[: at + 1], f"f:{name}") for at, step in enumerate(path) if step.startswith("k:") for name in key_of(step)
    ]


def _left(former: Former, change: ObjectChange) -> Iterable[str]:
    """What differs from what it was after all."""
    for one in compare(change.after, former.target) if former.live is not None else ():
        if one.owners:
            yield f"{one.path} stays as it is, set by {', '.join(one.owners)}"
        elif one.before is None:
            yield f"{one.path} is gone since and does not come back: klepaas did not set it"


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
    if way.fields is None:
        return now not in (was, aim)
    parts = [extract(one, way.fields) if way.fields else None for one in (now, was, aim)]
    return parts[0] not in parts[1:]
