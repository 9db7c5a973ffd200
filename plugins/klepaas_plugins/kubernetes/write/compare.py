"""The one comparison of two states of an object: the fields that differ, masked, each with the managers that own it.

Values are compared as they may be shown: of a hidden one that is sent it is said that it is, not whether it is new.
Else whoever may try a change could try guesses. What the server keeps up to date by itself (status, versions, times) is
nobody's wish and is left out.

Of two states that were both there, such as those of two releases, nobody tries a guess: there a hidden value that
differs is reported as such.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas.changes import FieldChange
from klepaas_plugins.kubernetes.masking import mask
from klepaas_plugins.kubernetes.masking.comparing import is_hidden, item_name, with_encoded_data
from klepaas_plugins.kubernetes.masking.forms import is_masked
from klepaas_plugins.kubernetes.write.items import Steps, key_of, matches
from klepaas_plugins.kubernetes.write.own_fields import MANAGER

__all__ = ["compare"]

_SIZE = re.compile(r"\((\d+ bytes)\)")
_BY_SERVER = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink",
     "deletionTimestamp", "deletionGracePeriodSeconds"}
)  # fmt: skip
# How two values are shown of which nothing may be said but that they differ.
_UNLIKE = ("a hidden value", "another hidden value")
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class _Leaf:
    """A value that holds no others.

    Attributes:
        value: The value, as it may be shown; of the order of a list of objects, the names of its items.
        steps: Where it is: names of fields, and positions in lists.
    """

    value: Any
    steps: Place


def compare(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    sent: Mapping[str, Any] | None = None,
    *,
    is_history: bool = False,
) -> tuple[FieldChange, ...]:
    """The fields that differ between two states of one object.

    Args:
        before: The object as it is, with its managedFields. None: there is none, so there is nothing to compare.
        after: The object as it would be, or is now. None: the same.
        sent: What is named: hidden values in it are reported, and not compared. None: nothing.
        is_history: Whether both states were there, so that hidden values are compared: that they differ is said.
    """
    if before is None or after is None:
        return ()
    sets = [_fields_of(before), _fields_of(after)]
    old, new = (dict(_leaves(_intent(mask(one)), "", (), sets)) for one in (before, after))
    named = dict(_leaves(_intent(mask(with_encoded_data(sent or {}))), "", (), sets))
    owners = _Owners(before)
    found: list[FieldChange] = []
    for path in [*old, *(path for path in new if path not in old)]:
        was, now = old.get(path), new.get(path)
        if was is not None and now is not None and _is_any_hidden(was, now, named.get(path)):
            if is_history:
                found += _hidden_differences(path, (was, now), (before, after), owners)
                continue
            found += _hidden_changes(path, was, named.get(path), owners)
        elif not _says_the_same(path, was, now, old, new):
            by = owners.of(was.steps) if was is not None else ()
            found.append(FieldChange(path=path, before=_text(was), after=_text(now), owners=by))
    return tuple(found)


def _is_any_hidden(*leaves: _Leaf | None) -> bool:
    return any(leaf is not None and is_hidden(leaf.value) for leaf in leaves)


def _says_the_same(
    path: str, was: _Leaf | None, now: _Leaf | None, old: Mapping[str, _Leaf], new: Mapping[str, _Leaf]
) -> bool:
    """Whether nothing differs; an empty value says nothing where the other state has something below it."""
    if any(leaf is not None and isinstance(leaf.value, tuple) for leaf in (was, now)):
        return was is None or now is None or _is_in_order(was.value, now.value)
    if was is not None and now is not None:
        return bool(was.value == now.value and isinstance(was.value, bool) == isinstance(now.value, bool))
    leaf, others = (was, new) if was is not None else (now, old)
    below = (f"{path}.", f"{path}[")
    return leaf is not None and leaf.value in ({}, []) and any(other.startswith(below) for other in others)


def _is_in_order(old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """Whether the items that two lists have in common stand in one order."""
    common = set(old) & set(new)
    return [name for name in old if name in common] == [name for name in new if name in common]


def _hidden_changes(path: str, was: _Leaf, sent: _Leaf | None, owners: "_Owners") -> Iterator[FieldChange]:
    """A value that may not be shown, or a text with such a value in it."""
    if sent is None:
        return
    by = owners.of(was.steps)
    before, after = str(was.value), str(sent.value)
    size_before, size_after = _SIZE.search(before), _SIZE.search(after)
    if not is_masked(before) and not is_masked(after) and before != after:
        yield FieldChange(path=path, before=before, after=after, owners=by)
        yield FieldChange(path=path, before="secrets in it", after="secrets in it", owners=by, hidden=True)
        return
    texts = [size[1] if size else "a value" for size in (size_before, size_after)]
    if not is_masked(before) and not is_masked(after):
        texts = ["secrets in it"] * 2
    yield FieldChange(path=path, before=texts[0], after=texts[1], owners=by, hidden=True)


def _hidden_differences(
    path: str, leaves: tuple[_Leaf, _Leaf], states: tuple[Mapping[str, Any], Mapping[str, Any]], owners: "_Owners"
) -> Iterator[FieldChange]:
    """That a hidden value, or a hidden part of a text, is another one than before."""
    was, now = leaves
    if _value_at(states[0], was.steps) == _value_at(states[1], now.steps):
        return
    before, after = _text(was), _text(now)
    if before == after:
        before, after = _UNLIKE
    yield FieldChange(path=path, before=before, after=after, owners=owners.of(was.steps))


def _value_at(value: Any, steps: Place) -> Any:
    """What lies there in an unmasked object; the whole above it where the masked one has other parts."""
    for step in steps:
        is_item = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not is_item and not (isinstance(value, Mapping) and step in value):
            break
        value = value[step]
    return value


def _text(leaf: _Leaf | None) -> str | None:
    """A value as a text; what is hidden as its size."""
    if leaf is None:
        return None
    value = leaf.value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, str) and is_masked(value):
        size = _SIZE.search(value)
        return f"{size[1]}, hidden" if size else "a hidden value"
    return str(value)


def _intent(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = obj.get("metadata")
    kept = {key: value for key, value in (metadata or {}).items() if key not in _BY_SERVER}
    return {**{key: value for key, value in obj.items() if key != "status"}, **({"metadata": kept} if kept else {})}


def _leaves(value: Any, path: str, steps: Place, sets: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, _Leaf]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            below = [fields.get(f"f:{key}") or {} for fields in sets]
            yield from _leaves(inner, f"{path}.{key}" if path else str(key), (*steps, key), below)
    elif isinstance(value, list) and value:
        seen: dict[str, int] = {}
        known = [Steps(fields) for fields in sets]
        names: list[str] = []
        for position, inner in enumerate(value):
            step = next((step for steps in known for step in steps.of(inner)), None)
            name = _label(inner, position, step)
            seen[name] = seen.get(name, 0) + 1
            again = f"#{seen[name]}" if seen[name] > 1 else ""
            below = [fields.get(step) or {} for fields in sets] if step else []
            names += [f"{name}{again}"] if isinstance(inner, Mapping) else []
            yield from _leaves(inner, f"{path}[{name}{again}]", (*steps, position), below)
        if len(names) > 1:
            # Init containers and the steps of many custom resources run in their order.
            yield f"{path} (order)", _Leaf(tuple(names), steps)
    elif value is not None:
        yield path, _Leaf(value, steps)


def _label(item: Any, position: int, step: str | None) -> str:
    """What names an item of a list in a path."""
    if step is None:
        return item_name(item, position)
    named = key_of(step)
    if step.startswith("v:"):
        return str(named)
    if set(named) <= {"uid", "name"}:
        return item_name(item, position)
    shown = [str(value) for key, value in named.items() if (key, value) != ("protocol", "TCP")]
    return ",".join(shown) or item_name(item, position)


def _fields_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What all managers own together, as one FieldsV1 mapping."""
    merged: dict[str, Any] = {}
    for entry in (obj.get("metadata") or {}).get("managedFields") or ():
        _merge(merged, entry.get("fieldsV1") or {})
    return merged


def _merge(target: dict[str, Any], fields: Mapping[str, Any]) -> None:
    for step, inner in fields.items():
        _merge(target.setdefault(step, {}), inner or {})


class _Owners:
    """Finds who owns a field of an object, klepaas excepted."""

    def __init__(self, obj: Mapping[str, Any]) -> None:
        self._obj = obj
        entries = (obj.get("metadata") or {}).get("managedFields") or ()
        self._sets = [
            (str(one.get("manager")), one.get("fieldsV1") or {})
            for one in entries
            if one.get("manager") != MANAGER and one.get("subresource") != "status"
        ]

    def of(self, steps: Place) -> tuple[str, ...]:
        """The managers that own what lies there, or a whole that it is part of."""
        return tuple(dict.fromkeys(name for name, fields in self._sets if _owns(fields, self._obj, steps)))


def _owns(fields: Mapping[str, Any], value: Any, steps: Place) -> bool:
    if not steps:
        return "." in fields or not fields
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if not isinstance(value, list) or step >= len(value):
            return False
        inner = value[step]
        names = [name for name in fields if matches(name, inner, step)]
    else:
        inner = value.get(step) if isinstance(value, Mapping) else None
        names = [f"f:{step}"] if f"f:{step}" in fields else []
    return any(_ends(fields[name]) or _owns(fields[name], inner, rest) for name in names)


def _ends(fields: Mapping[str, Any] | None) -> bool:
    """Whether a set ends here: then it holds the whole value."""
    return not fields
