"""Finds items of lists by the steps of FieldsV1, and steps by items, without comparing each with each.

An item that leaves out a part of its key fits every step with the rest of it: the part may be a default.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from klepaas.foreign_json import parse_json

__all__ = ["ABSENT", "Finder", "Items", "Steps", "key_of", "matches"]

ABSENT: Any = object()


@lru_cache(maxsize=8192)
def key_of(step: str) -> Any:
    """What a step names an item of a list by: its key fields, or its value; nothing where it cannot be read.

    Args:
        step: The step.
    """
    try:
        found = parse_json(step[2:])
    except ValueError:
        return {} if step.startswith("k:") else ABSENT
    return found if not step.startswith("k:") or isinstance(found, dict) else {}


def matches(step: str, item: Any, position: int | None = None) -> bool:
    """Whether a step names an item of a list; a key that the item leaves out may be a default, and is passed over.

    Args:
        step: The step.
        item: The item.
        position: Where it stands in the list. None: not known.
    """
    if step.startswith("v:"):
        return bool(key_of(step) == item)
    if step.startswith("k:") and isinstance(item, Mapping):
        named = key_of(step)
        has_key = any(name in item for name in named)
        return has_key and all(item.get(name, value) == value for name, value in named.items())
    return position is not None and step == f"i:{position}"


def _values(holder: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The values of some fields, to be looked up by. None: one is missing, or cannot be."""
    found = tuple(repr(holder.get(name, ABSENT)) for name in names)
    return None if repr(ABSENT) in found else found


class Steps:
    """The steps of a set, by what they name.

    Args:
        steps: The steps.
    """

    def __init__(self, steps: Iterable[str]) -> None:
        self._by_key: dict[tuple[str, ...], dict[Any, str]] = {}
        self._by_value: dict[str, str] = {}
        self._steps = {step for step in steps if step[:2] in ("k:", "v:", "i:")}
        for step in self._steps:
            if step.startswith("k:"):
                named = key_of(step)
                names = tuple(named)
                if names:
                    self._by_key.setdefault(names, {})[_values(named, names)] = step
            elif step.startswith("v:"):
                self._by_value[repr(key_of(step))] = step

    def __bool__(self) -> bool:
        """Whether the set names items at all."""
        return bool(self._by_key or self._by_value)

    def of(self, item: Any, position: int | None = None) -> list[str]:
        """The steps that name an item.

        Args:
            item: The item.
            position: Where it stands in the list. None: not known.
        """
        found = [f"i:{position}"] if f"i:{position}" in self._steps else []
        if not isinstance(item, Mapping):
            step = self._by_value.get(repr(item))
            return found if step is None else [*found, step]
        for names, steps in self._by_key.items():
            values = _values(item, names)
            if values is not None:
                found += [steps[values]] if values in steps else []
            else:
                found += [step for step in steps.values() if matches(step, item)]
        return found


class Items:
    """The items of a list, by the steps that name them.

    Args:
        items: The list.
    """

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items
        self._by_key: dict[tuple[str, ...], tuple[dict[Any, int], list[int]]] = {}
        self._by_value: dict[str, int] | None = None

    def of(self, step: str) -> int | None:
        """The position of the first item that a step names. None: there is none.

        Args:
            step: The step.
        """
        if step.startswith("k:"):
            named = key_of(step)
            names = tuple(named)
            if not names:
                return None
            if names not in self._by_key:
                self._by_key[names] = self._index(names)
            by_values, others = self._by_key[names]
            at = by_values.get(_values(named, names))
            return at if at is not None else next((at for at in others if matches(step, self._items[at])), None)
        if step.startswith("v:"):
            if self._by_value is None:
                self._by_value = {repr(item): at for at, item in reversed(list(enumerate(self._items)))}
            return self._by_value.get(repr(key_of(step)))
        at = int(step[2:]) if step.startswith("i:") and step[2:].isdecimal() else -1
        return at if 0 <= at < len(self._items) else None

    def _index(self, names: tuple[str, ...]) -> tuple[dict[Any, int], list[int]]:
        by_values: dict[Any, int] = {}
        others: list[int] = []
        for at, item in enumerate(self._items):
            values = _values(item, names) if isinstance(item, Mapping) else None
            if values is None:
                others.append(at)
            else:
                by_values.setdefault(values, at)
        return by_values, others


class Finder:
    """Finds what lies at paths of one object, which stays as it is meanwhile.

    Args:
        obj: The object.
    """

    def __init__(self, obj: Any) -> None:
        self._obj = obj
        self._items: dict[int, Items] = {}

    def find(self, path: Sequence[str]) -> tuple[bool, Any]:
        """What lies at a path: whether it is there, and its value.

        Args:
            path: The path.
        """
        value = self._obj
        for step in path:
            if step.startswith("f:"):
                if not isinstance(value, Mapping) or step[2:] not in value:
                    return False, None
                value = value[step[2:]]
                continue
            at = self._of(value).of(step) if isinstance(value, list) else None
            if at is None:
                return False, None
            value = value[at]
        return True, value

    def _of(self, items: list[Any]) -> Items:
        if id(items) not in self._items:
            self._items[id(items)] = Items(items)
        return self._items[id(items)]
