"""Following a path through an object. The work is bounded: a path of many `..` could visit a large object many times.

How a path is written is in `fieldpaths`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas.errors import BadRequest

__all__ = ["ABSENT", "Step", "walk"]

VISITS_MAX = 100_000
# Stands for what an element of a list lacks, so that values keep the places of their elements.
ABSENT: Any = object()


@dataclass(frozen=True)
class Step:
    """One step: a field, an index, a slice, a filter, all (`*`), or all below (`..`).

    Attributes:
        kind: field, index, slice, filter, all or below.
        name: The field's name, or a filter's comparison ("" asks whether the inner path finds anything).
        bounds: The index, or both ends of the slice.
        inner: A filter's path inside each item.
        value: What a filter compares with.
    """

    kind: str
    name: str = ""
    bounds: tuple[int | None, int | None] = (None, None)
    inner: tuple["Step", ...] = ()
    value: Any = None


def walk(steps: Sequence[Step], obj: Any, *, with_absent: bool = False) -> list[Any]:
    """What the steps lead to, in order.

    Args:
        steps: The steps.
        obj: From where.
        with_absent: Whether `ABSENT` stands for what an element of a list lacks; behind `..` nothing does.

    Raises:
        BadRequest: That would take too much work.
    """
    walked = _Walk()
    if with_absent and not any(step.kind == "below" for step in steps):
        return walked.find_each(steps, obj)
    return walked.find(steps, obj)


class _Walk:
    """One walk, with the number of values that it may still look at."""

    def __init__(self) -> None:
        self._left = VISITS_MAX

    def find(self, steps: Sequence[Step], obj: Any) -> list[Any]:
        found: list[Any] = [obj]
        for at, step in enumerate(steps):
            # Behind a `..` the items of a list come by themselves.
            within = step.kind == "field" and at > 0 and steps[at - 1].kind == "below"
            found = [
                hit for value in found if not (within and isinstance(value, list)) for hit in self._taken(step, value)
            ]
        return found

    def find_each(self, steps: Sequence[Step], obj: Any) -> list[Any]:
        """As `find`, with something for each element of the lists on the way."""
        found: list[Any] = [obj]
        in_list = False
        for step in steps:
            split = any(isinstance(value, list) for value in found) and step.kind in ("all", "slice", "field")
            if split and step.kind == "field":
                found = [item for value in found for item in (value if isinstance(value, list) else [value])]
            in_list = in_list or (split and step.kind == "field")
            found = [hit for value in found for hit in self._hits(step, value, in_list)]
            in_list = in_list or split
        return found

    def _hits(self, step: Step, value: Any, in_list: bool) -> list[Any]:
        if value is ABSENT:
            return [ABSENT]
        return list(self._taken(step, value)) or ([ABSENT] if in_list else [])

    def _visit(self, count: int = 1) -> None:
        self._left -= count
        if self._left < 0:
            raise BadRequest("This path visits too much of the object", next_step="Use fewer '..' and '*'")

    def _taken(self, step: Step, value: Any) -> Iterator[Any]:
        self._visit()
        if step.kind == "below":
            yield from self._below(value)
        elif isinstance(value, dict):
            yield from self._of_mapping(step, value)
        elif isinstance(value, list):
            yield from self._of_list(step, value)

    def _of_mapping(self, step: Step, value: dict[str, Any]) -> Iterator[Any]:
        if step.kind == "field" and step.name in value:
            yield value[step.name]
        elif step.kind == "all":
            self._visit(len(value))
            yield from value.values()
        elif step.kind == "filter":
            yield from (item for item in value.values() if self._keeps(step, item))

    def _of_list(self, step: Step, value: list[Any]) -> Iterator[Any]:
        low, high = step.bounds
        self._visit(0 if step.kind == "index" else len(value))
        if step.kind == "index" and low is not None and -len(value) <= low < len(value):
            yield value[low]
        elif step.kind == "slice":
            yield from value[low:high]
        elif step.kind == "all":
            yield from value
        elif step.kind == "filter":
            yield from (item for item in value if self._keeps(step, item))
        elif step.kind == "field":
            # Models forget the [*] of a list; there is nothing else that they could mean.
            yield from (item[step.name] for item in value if isinstance(item, dict) and step.name in item)

    def _below(self, value: Any) -> Iterator[Any]:
        waiting = [value]
        while waiting:
            self._visit()
            at = waiting.pop()
            if isinstance(at, dict | list):
                yield at
                waiting.extend(reversed(list(at.values()) if isinstance(at, dict) else at))

    def _keeps(self, step: Step, item: Any) -> bool:
        found = self.find(step.inner, item) if step.inner else [item]
        if not step.name:
            return bool(found)
        return any(_compares(step.name, value, step.value) for value in found)


def _compares(sign: str, left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        left, right = str(left).lower(), str(right).lower()
    elif isinstance(right, float) and isinstance(left, str):
        right = f"{right:g}"
    elif isinstance(right, str) and isinstance(left, int | float):
        left = f"{left:g}"
    elif not isinstance(left, str | int | float):
        return sign == "!="
    compared = {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        ">": left > right,
        "<=": left <= right,
        ">=": left >= right,
    }
    return bool(compared[sign])
