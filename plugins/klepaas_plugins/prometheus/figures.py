"""Numbers, times and durations as they are shown, and read from what a caller says. It computes no statistics."""

import math
from datetime import UTC, datetime

from klepaas.errors import BadRequest

__all__ = [
    "POINTS_MAX",
    "SKEW_MIN_S",
    "clock",
    "duration",
    "number",
    "skew_text",
    "step_for",
    "time_of",
    "window_text",
]

POINTS_WANTED = 120
POINTS_MAX = 11_000
# Below this, a difference of clocks is not worth a word, in seconds.
SKEW_MIN_S = 5.0
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def time_of(text: str) -> float:
    """A time in seconds since 1970.

    Raises:
        BadRequest: There is no such time.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as exc:
        raise BadRequest(f"{text} is not a time", next_step="Use a time such as 2026-01-31T09:00:00Z") from exc


def step_for(range_s: float) -> float:
    """The step with which a range has about a hundred points.

    Args:
        range_s: How long it is, in seconds.
    """
    fits = (step for step in _STEPS_S if range_s / step <= POINTS_WANTED)
    return float(next(fits, math.ceil(range_s / POINTS_WANTED)))


def number(value: float) -> str:
    """A number in four digits: 0.0312, 12.5, 4812, 53.69k, 1.074G; thousands, not 1024."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    size = abs(value)
    if 0 < size < 1e-3 or size >= 1e18:
        return f"{value:.3g}"
    # What rounds up to the next prefix gets it: 999,999 is 1M.
    rounded = float(f"{value:.4g}")
    if abs(rounded) < 10_000:
        return f"{rounded:.4g}"
    for factor, letter in _PREFIXES:
        if abs(rounded) >= factor:
            return f"{rounded / factor:.4g}{letter}"
    return f"{rounded:g}"


def clock(at: float, window_s: float = 0.0) -> str:
    """A time of day in UTC; with the date where the window is longer than a day.

    Args:
        at: Seconds since 1970.
        window_s: How long the window is in which it lies, in seconds.
    """
    form = "%m-%d %H:%M" if window_s > 86400 else "%H:%M:%S" if window_s <= 600 else "%H:%M"
    return _utc(at).strftime(form)


def duration(seconds: float) -> str:
    """A duration in Prometheus' way, in its two largest units: 1h30m, 2d, 45s."""
    left = round(seconds)
    parts = []
    for unit, size_s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        amount, left = divmod(left, size_s)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts[:2]) or f"{max(0.0, seconds) * 1000:.0f}ms"


def skew_text(skew_s: float) -> str:
    """How the clocks differ, in words."""
    where = "ahead of" if skew_s > 0 else "behind"
    return f"the server's clock is {duration(abs(skew_s))} {where} klepaas'"


def window_text(end: float, range_s: float, step_s: float) -> str:
    """A window in words."""
    return f"{duration(range_s)} to {_utc(end).strftime('%Y-%m-%d %H:%M:%S')} UTC, step {duration(step_s)}"


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
