"""Reads JSON that other programs wrote, with a bound on its nesting.

Python reads JSON of some 900 levels, and whatever walks over such data afterwards (masking, copying, writing YAML) runs
out of stack. So what is nested deeper than `LEVELS_MAX` is refused where it comes in, with an error of its own. No JSON
that klepaas expects is nested half as deep: Kubernetes' own objects reach about 20 levels, schemas of custom kinds 40.
"""

import json
from collections.abc import Callable
from typing import Any, Final

__all__ = ["LEVELS_MAX", "RECORD_LEVELS_MAX", "TooDeep", "check_levels", "parse_json"]

# Three to five stack frames a level are what masking or YAML takes; the interpreter's limit is 1,000.
LEVELS_MAX: Final = 100
# Of a record of klepaas' own around such data.
RECORD_LEVELS_MAX: Final = LEVELS_MAX + 10
_CONTAINERS = (dict, list)


class TooDeep(ValueError):
    """The JSON is nested deeper than is read.

    Args:
        levels_max: How deep it may be.
    """

    def __init__(self, levels_max: int = LEVELS_MAX) -> None:
        super().__init__(f"it is nested deeper than {levels_max} levels")


def parse_json(
    text: str | bytes,
    *,
    pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
    parse_constant: Callable[[str], Any] | None = None,
    levels_max: int = LEVELS_MAX,
) -> Any:
    """The value that JSON text holds.

    Args:
        text: The text, or its bytes in UTF-8, UTF-16 or UTF-32.
        pairs_hook: Makes an object of its pairs. None: a dict.
        parse_constant: Makes a value of NaN, Infinity and -Infinity. None: the number.
        levels_max: How many objects and lists may stand inside one another.

    Raises:
        TooDeep: It is nested deeper.
        ValueError: It is not JSON, or holds a number of more digits than Python reads.
    """
    try:
        value = json.loads(text, object_pairs_hook=pairs_hook, parse_constant=parse_constant)
    except RecursionError:
        raise TooDeep(levels_max) from None
    check_levels(value, levels_max)
    return value


def check_levels(value: Any, levels_max: int = LEVELS_MAX) -> None:
    """Check how deeply data is nested, in time linear in its size and without recursion.

    Args:
        value: Data as JSON has it.
        levels_max: How many objects and lists may stand inside one another.

    Raises:
        TooDeep: It is nested deeper.
    """
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(levels_max):
        if not level:
            return
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, _CONTAINERS)
        ]
    if level:
        raise TooDeep(levels_max)
