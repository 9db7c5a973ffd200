"""What a change of an object rests on: where that differs later, the change is another one and is asked for anew.

Held are uid, presence and deletionTimestamp, and of every path that klepaas owned, that is named or that is removed its
value and its managers. A list that is replaced whole is held whole; of a list whose items have keys, the order of the
items that are held as well: variables refer to those before them, init containers run one after another, and another
order is a rollout, although it changes no value and nobody owns it. Never held is what moves by itself: status,
resourceVersion, generation, times, the number of replicas that an autoscaler sets, and the order of a set.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from klepaas_plugins.kubernetes.write.items import Finder, Items
from klepaas_plugins.kubernetes.write.own_fields import Path, entries_of, path_text

__all__ = ["deletion_basis", "differing_parts", "fields_basis"]


def fields_basis(live: Mapping[str, Any] | None, paths: Iterable[Path]) -> dict[str, Any]:
    """What a change of some fields rests on, as JSON data.

    Args:
        live: The object, with its managedFields. None: there is none.
        paths: The paths that klepaas owned, that are named or that are removed.
    """
    entries = [entry for entry in entries_of(live) if entry.subresource != "status"]
    known = {path[:length] for entry in entries for path in entry.paths for length in range(1, len(path))}
    held, finder, paths = [], Finder(live), sorted(paths)
    for path in paths:
        is_there, value = finder.find(path)
        whole = is_there and path not in known
        owners = {f"{one.manager} {one.operation} {one.subresource}" for one in entries if path in one.paths}
        held.append([list(path), is_there, value if whole else None, sorted(owners)])
    order = _order_of(finder, paths)
    return _basis(live, fields=held, **({"order": order} if order else {}))


def _order_of(finder: Finder, paths: Iterable[Path]) -> list[list[list[str]]]:
    """Lists whose items have keys, each with its items among some paths in the order in which they stand."""
    items: dict[Path, set[str]] = {}
    for path in paths:
        for at, step in enumerate(path):
            if step.startswith("k:"):
                items.setdefault(path[:at], set()).add(step)
    found = []
    for path, steps in sorted(items.items()):
        value = finder.find(path)[1]
        places = Items(value) if isinstance(value, list) else None
        positions = {step: places.of(step) for step in steps} if places is not None else {}
        there = [(at, step) for step, at in positions.items() if at is not None]
        found += [[list(path), [step for _, step in sorted(there)]]] if len(there) > 1 else []
    return found


def deletion_basis(live: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a deletion rests on: which object it is, what holds it, and whose it is.

    Args:
        live: The object. None: there is none.
    """
    metadata = (live or {}).get("metadata") or {}
    owners = [[one.get("kind"), one.get("name"), one.get("uid")] for one in metadata.get("ownerReferences") or ()]
    return _basis(live, finalizers=list(metadata.get("finalizers") or ()), owners=owners)


def _basis(live: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
    metadata = (live or {}).get("metadata") or {}
    deletion = metadata.get("deletionTimestamp")
    return {"uid": metadata.get("uid"), "present": live is not None, "deletion": deletion, **more}


def differing_parts(planned: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two bases, in words.

    Args:
        planned: What the change was planned on.
        now: What there is.
    """
    if planned.get("present") != now.get("present"):
        return ["it was deleted" if planned.get("present") else "somebody created it"]
    if planned.get("uid") != now.get("uid"):
        return ["it was deleted and created again"]
    if planned.get("deletion") != now.get("deletion"):
        return ["it is being deleted"]
    listed = ("fields", "order")
    texts = [name for name in planned if name not in listed and planned[name] != now.get(name)]
    old = {tuple(one[0]): one[1:] for one in planned.get("fields") or ()}
    new = {tuple(one[0]): one[1:] for one in now.get("fields") or ()}
    texts += [path_text(path) for path in old if old[path] != new.get(path)]
    orders = [{tuple(path): steps for path, steps in one.get("order") or ()} for one in (planned, now)]
    lists = [path for path in {**orders[0], **orders[1]} if orders[0].get(path) != orders[1].get(path)]
    return texts + [f"{path_text(path)} (order)" for path in lists]
