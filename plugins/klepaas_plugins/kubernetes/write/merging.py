"""Puts a manifest on top of what an object has: which fields it names, which it removes, and what the whole is then.

A null removes one thing. A list with keys is merged item by item, a set by its values, any other list is replaced.
Which keys a list has is read from managedFields, so no schema is needed.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from klepaas_plugins.kubernetes.write.own_fields import Path, Paths, matches

__all__ = ["Ambiguous", "merge", "named_paths", "null_paths", "without_nulls", "without_paths"]

Fields = Mapping[str, Any]
# What the body says who the object is with; nobody owns it.
_IDENTITY = frozenset({"apiVersion", "kind"})
_IDENTITY_METADATA = frozenset({"name", "namespace", "uid", "resourceVersion", "generateName", "creationTimestamp"})


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
    items = list(own)
    for item in named:
        if not isinstance(item, Mapping):
            if item not in items:
                items.append(item)
            continue
        step = _step_for(item, fields, learned)
        at = next((at for at, there in enumerate(own) if step is not None and matches(step, there)), None)
        if at is None or step is None:
            items.append(without_nulls(item))
        else:
            items[at] = merge(own[at], item, fields.get(step) or {}, learned.get(step))
    return items


def _step_for(item: Mapping[str, Any], fields: Fields, learned: Fields) -> str | None:
    """What an item of a manifest is known by among those that are there. None: it is a new one."""
    exact = [step for step in learned if matches(step, item)]
    if len(exact) == 1:
        return exact[0] if exact[0] in fields else None
    found = [step for step in fields if matches(step, item) and _has_a_key(step, item)]
    if len(found) > 1:
        raise Ambiguous
    return found[0] if found else None


def _has_a_key(step: str, item: Mapping[str, Any]) -> bool:
    return step.startswith("k:") and any(key in item for key in json.loads(step[2:]))


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
    elif isinstance(value, list) and any(step[:2] in ("k:", "v:") for step in fields):
        for item in value:
            step = next((step for step in fields if matches(step, item)), None)
            if step is not None:
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
        for item in named:
            steps = [step for step in fields if step.startswith("k:") and matches(step, item)]
            for step in steps[:1]:
                there = next((one for one in live if matches(step, one)), None)
                yield from null_paths(item, there, fields[step] or {}, (*path, step))


def without_paths(value: Any, paths: Paths) -> Any:
    """A value without what lies at some paths.

    Args:
        value: The object.
        paths: The paths.
    """
    for path in paths:
        value = _without(value, path)
    return value


def _without(value: Any, path: Path) -> Any:
    step, rest = path[0], path[1:]
    if isinstance(value, list):
        if not rest:
            return [item for at, item in enumerate(value) if not matches(step, item, at)]
        return [_without(item, rest) if matches(step, item, at) else item for at, item in enumerate(value)]
    name = step[2:]
    if not isinstance(value, Mapping) or name not in value:
        return value
    if rest:
        return {**value, name: _without(value[name], rest)}
    return {key: inner for key, inner in value.items() if key != name}
