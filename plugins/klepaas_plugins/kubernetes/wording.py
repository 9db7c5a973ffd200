"""Small things said the same way by every tool: ages, cells, and names that are nearly right."""

import difflib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

__all__ = ["age", "cell", "near", "seconds_since"]

_COMPARED_CHARS = 64


def seconds_since(timestamp: Any, now: datetime | None = None) -> float | None:
    """Seconds since a Kubernetes timestamp.

    Args:
        timestamp: The timestamp as the API writes it.
        now: The present. None: the clock's.

    Returns:
        The seconds, or None where that is no timestamp.
    """
    try:
        moment = datetime.fromisoformat(str(timestamp))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return ((now or datetime.now(UTC)) - moment).total_seconds()


def age(timestamp: Any, now: datetime | None = None) -> str:
    """How long ago that was, in one or two letters as kubectl writes it ("45s", "12m", "3h", "4d").

    Args:
        timestamp: The timestamp as the API writes it.
        now: The present. None: the clock's.
    """
    seconds = seconds_since(timestamp, now)
    if seconds is None:
        return "-"
    seconds = max(0, int(seconds))
    for size, unit in ((86400 * 2, "d"), (3600 * 3, "h"), (60 * 3, "m")):
        if seconds >= size:
            return f"{seconds // {'d': 86400, 'h': 3600, 'm': 60}[unit]}{unit}"
    return f"{seconds}s"


def cell(value: Any) -> str:
    """A table cell as text; what the server writes for "nothing" becomes nothing."""
    if value is None or value in ("<none>", "<unset>"):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def near(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Names like this one: that begin with it first, then those that are spelt nearly so."""
    names = list(dict.fromkeys(known))
    begins = [other for other in names if other.startswith(f"{name}-")]
    # The cost of a comparison grows with the square of the length; names that people type are told apart by less.
    beginnings = {other[:_COMPARED_CHARS]: other for other in reversed(names)}
    spelt = difflib.get_close_matches(name[:_COMPARED_CHARS], list(beginnings)[::-1], n=most, cutoff=0.6)
    return list(dict.fromkeys([*begins[:most], *(beginnings[one] for one in spelt)]))[:most]
