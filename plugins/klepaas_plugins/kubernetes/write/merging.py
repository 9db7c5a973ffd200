"""Puts a manifest on top of what an object has: which fields it names, which it removes, and what the whole is then.

A null removes one thing. A list with keys is merged item by item, a set by its values, any other list is replaced.
Which keys a list has is read from managedFields, so no schema is needed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from klepaas_plugins.kubernetes.write.items import Items, Steps
from klepaas_plugins.kubernetes.write.own_fields import Path, Paths, to_fields

__all__ = ["Ambiguous", "merge", "named_paths", "null_paths", "without_nulls", "without_paths", "without_versions"]

Fields = Mapping[str, Any]
# What the body says who the object is with; nobody owns it.
_IDENTITY = frozenset({"apiVersion", "kind"})
_IDENTITY_METADATA = frozenset({"name", "namespace", "uid", "resourceVersion", "generateName", "creationTimestamp"})

_VERSIONS = frozenset({"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"})


class Ambiguous(Exception):
    """An item of a list leaves out a part of its key, and several items fit it."""


def without_nulls(value: Any) -> Any:
    """A manifest without the fields that are null, which a server would store as empty values.

    Args:
        value: The manifest, or a part of it.
    """
    if isinstance(value, Mapping):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def without_versions(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body without what says which state of an object it was read from.

    Args:
        body: The body.
    """
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        return dict(body)
    return {**body, "metadata": {key: value for key, value in metadata.items() if key not in _VERSIONS}}


def merge(own: Any, named: Any, fields: Fields, learned: Fields | None = None) -> Any:
    """What an object has, with a manifest on top.

    Args:
        own: What is there.
        named: The manifest; null removes.
        fields: Who owns what is there, as FieldsV1: where a set ends, the whole value is replaced.
        learned: What the manifest's own items are known by, from a dry run. None: not asked yet.

    Raises:
        Ambiguous: An item fits several that are there, and nothing was learned.
    """
    learned = learned or {}
    if isinstance(own, Mapping) and isinstance(named, Mapping) and (fields or not own):
        result = dict(own)
        for key, value in named.items():
            step = f"f:{key}"
            if value is None:
                result.pop(key, None)
            elif key in own:
                result[key] = merge(own[key], value, fields.get(step) or {}, learned.get(step))
            else:
                result[key] = without_nulls(value)
        return result
    if isinstance(own, list) and isinstance(named, list) and any(step != "." for step in fields):
        return _merge_lists(own, named, fields, learned)
    return without_nulls(named)


def _merge_lists(own: list[Any], named: list[Any], fields: Fields, learned: Fields) -> list[Any]:
    places, known, exact = Items(own), Steps(fields), Steps(learned)
    taken = _steps_alone(named, exact)
    order: list[tuple[int | None, Any]] = []
    for item in named:
        if not isinstance(item, Mapping):
            if item not in own:
                order.append((None, item))
            continue
        step = _step_for(item, known, exact, fields, taken)
        at = None if step is None else places.of(step)
        if at is None or step is None:
            order.append((None, without_nulls(item)))
        else:
            order.append((at, merge(own[at], item, fields.get(step) or {}, learned.get(step))))
    return _in_order(own, order)


def _in_order(own: list[Any], order: list[tuple[int | None, Any]]) -> list[Any]:
    """A list with the items of a manifest in its order, since a variable may refer to one before it.

    Args:
        own: What is there; items that the manifest does not name keep their place.
        order: The manifest's items as they become, each with its place among those that are there. None: it is new.
    """
    groups: list[list[Any]] = []
    new: list[Any] = []
    for at, value in order:
        if at is not None:
            groups.append([*new, value])
            new = []
        elif groups:
            groups[-1].append(value)
        else:
            new.append(value)
    by_place: dict[int, list[Any]] = {}
    for place, group in zip(sorted(at for at, _ in order if at is not None), groups, strict=True):
        by_place.setdefault(place, []).extend(group)
    return [*(value for at, item in enumerate(own) for value in by_place.get(at, [item])), *new]


def _steps_alone(named: list[Any], learned: Steps) -> frozenset[str]:
    """What items of a manifest are known by that leave out no part of their keys."""
    found = (learned.of(item) for item in named if isinstance(item, Mapping))
    return frozenset(steps[0] for steps in found if len(steps) == 1)


def _step_for(
    item: Mapping[str, Any], known: Steps, learned: Steps, fields: Fields, taken: frozenset[str]
) -> str | None:
    """What an item of a manifest is known by among those that are there. None: it is a new one.

    Of two ports of one number, one without its protocol, the one without is what the other is not.
    """
    exact = learned.of(item)
    if len(exact) > 1:
        exact = [step for step in exact if step not in taken]
    if len(exact) == 1:
        return exact[0] if exact[0] in fields else None
    found = known.of(item)
    if len(found) > 1:
        raise Ambiguous
    return found[0] if found else None


def named_paths(named: Any, fields: Fields) -> Paths:
    """The paths that a manifest sets, as far as the owners that there are tell the keys of its lists.

    Args:
        named: The manifest, without nulls.
        fields: What all managers own, as FieldsV1.
    """
    return frozenset(_named(named, fields, ()))


def _named(value: Any, fields: Fields, path: Path) -> Iterator[Path]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            if not _is_identity(key, path):
                yield from _named(inner, fields.get(f"f:{key}") or {}, (*path, f"f:{key}"))
    elif isinstance(value, list) and (steps := Steps(fields)):
        for item in value:
            for step in steps.of(item)[:1]:
                yield (*path, step)
                yield from _named(item, fields[step] or {}, (*path, step)) if isinstance(item, Mapping) else ()
    elif path:
        yield path


def _is_identity(key: str, path: Path) -> bool:
    return key in _IDENTITY if not path else path == ("f:metadata",) and key in _IDENTITY_METADATA


def null_paths(named: Any, live: Any, fields: Fields, path: Path = ()) -> Iterator[Path]:
    """The paths of what is there and a manifest sets to null.

    Args:
        named: The manifest.
        live: The object as it is.
        fields: What all managers own, as FieldsV1.
        path: Where both stand.
    """
    if isinstance(named, Mapping) and isinstance(live, Mapping):
        for key, value in named.items():
            if value is None and key in live and not _is_identity(key, path):
                yield (*path, f"f:{key}")
            elif value is not None and key in live:
                yield from null_paths(value, live[key], fields.get(f"f:{key}") or {}, (*path, f"f:{key}"))
    elif isinstance(named, list) and isinstance(live, list):
        known, places = Steps(fields), Items(live)
        for item in named:
            for step in known.of(item)[:1] if isinstance(item, Mapping) else ():
                at = places.of(step)
                there = None if at is None else live[at]
                yield from null_paths(item, there, fields[step] or {}, (*path, step))


def without_paths(value: Any, paths: Paths) -> Any:
    """A value without what lies at some paths.

    Args:
        value: The object.
        paths: The paths.
    """
    return _without(value, to_fields(paths))


def _without(value: Any, gone: Fields) -> Any:
    """A value without the members of a set."""
    if isinstance(value, Mapping):
        kept = {}
        for key, inner in value.items():
            step = f"f:{key}"
            if step not in gone:
                kept[key] = inner
            elif not _is_member(gone[step]):
                kept[key] = _without(inner, gone[step])
        return kept
    if not isinstance(value, list):
        return value
    steps, items = Steps(gone), []
    for at, item in enumerate(value):
        named = steps.of(item, at)
        if not any(_is_member(gone[step]) for step in named):
            items.append(_without(item, gone[named[0]]) if named else item)
    return items


def _is_member(fields: Fields) -> bool:
    return not fields or "." in fields
