"""Numbers that may be percentages, as maxSurge and maxUnavailable are."""

from __future__ import annotations

import math


def share(value: int | str | None, whole: int, *, up: bool) -> int:
    """A number, or a percentage of a whole rounded up or down; 0 for None."""
    if isinstance(value, str) and value.endswith("%"):
        part = whole * int(value[:-1]) / 100
        return math.ceil(part) if up else math.floor(part)
    return int(value or 0)
