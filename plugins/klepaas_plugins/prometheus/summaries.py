"""What a series of numbers amounts to: last, smallest, largest, mean, trend, where its level changed, what is missing.

Pure arithmetic, exact as far as floating point goes: NaN counts for nothing but its number; infinities count for last,
smallest and largest and for nothing else. How the figures are shown is `figures`' affair.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from klepaas_plugins.prometheus.client.models import Window

__all__ = ["Change", "Summary", "best_split", "line_through", "summarise"]

Point = tuple[float, float]
_SEGMENT_MIN = 3
# A step leaves little of the spread around the two means, a slope leaves a quarter of it.
_LEFT_OF_SPREAD = 0.2
_LEFT_OF_LINE = 0.5
_STEP_MIN = 0.05
_TREND_MIN = 0.02


@dataclass(frozen=True)
class Change:
    """A time at which the level changed.

    Attributes:
        at: The first time of the new level, in seconds since 1970.
        before: The mean before, since the change before that.
        after: The mean from then on, to the next change.
    """

    at: float
    before: float
    after: float


@dataclass(frozen=True)
class Summary:
    """One series in figures.

    Attributes:
        count: How many points there are.
        last: The last value.
        low: The smallest value. None: all are NaN.
        high: The largest value. None: all are NaN.
        mean: The mean of the finite values. None: there are none.
        trend: How much the straight line through the finite values rises from the first to the last of them. None: it
            says nothing, because the values hardly follow it or hardly change.
        changes: Where the level changed.
        nans: How many values are NaN.
        infinities: How many are infinite.
        missing: How many points are missing between the first and the last.
        began_at: When it began, where that is more than two steps into the window. None: it was there before.
        ended_at: When it ended, where that is before the window's last time. None: it goes on.
        drops: How often a value was lower than the one before.
    """

    count: int
    last: float
    low: float | None
    high: float | None
    mean: float | None
    trend: float | None
    changes: tuple[Change, ...]
    nans: int
    infinities: int
    missing: int
    began_at: float | None
    ended_at: float | None
    drops: int


def summarise(points: Sequence[Point], window: Window) -> Summary:
    """The figures of one series.

    Args:
        points: Its times in seconds, rising, and values; at least one.
        window: The times that were asked for.
    """
    values = [value for _, value in points]
    known = [value for value in values if not math.isnan(value)]
    finite = [(at, value) for at, value in points if math.isfinite(value)]
    first_at, last_at, half_s = points[0][0], points[-1][0], window.step_s / 2
    return Summary(
        count=len(points),
        last=values[-1],
        low=min(known, default=None),
        high=max(known, default=None),
        mean=_mean([value for _, value in finite]) if finite else None,
        trend=_trend(finite),
        changes=_changes(finite),
        nans=len(values) - len(known),
        infinities=len(known) - len(finite),
        missing=max(0, round((last_at - first_at) / window.step_s) + 1 - len(points)),
        # A rate has no first point: it needs two samples.
        began_at=first_at if first_at > window.start + 2 * window.step_s else None,
        ended_at=last_at if last_at < _last_time(window) - half_s else None,
        drops=sum(after < before for before, after in pairwise(known)),
    )


def line_through(points: Sequence[Point]) -> tuple[float, float]:
    """The straight line that fits best: its rise from the first to the last point, and what is left of the squares.

    Args:
        points: At least two, with finite values and different times.
    """
    mean_at, mean = _mean([at for at, _ in points]), _mean([value for _, value in points])
    across = math.fsum((at - mean_at) ** 2 for at, _ in points)
    slope = math.fsum((at - mean_at) * (value - mean) for at, value in points) / across
    left = math.fsum((value - mean - slope * (at - mean_at)) ** 2 for at, value in points)
    return slope * (points[-1][0] - points[0][0]), left


def best_split(values: Sequence[float]) -> tuple[int, float]:
    """Where to split so that both sides lie closest around their own means: the second's first index, and the squares.

    Args:
        values: Finite, at least twice the shortest segment.
    """
    # Around their mean the sums stay small, so that differences of them stay exact.
    mean = _mean(values)
    centred = [value - mean for value in values]
    total = math.fsum(value * value for value in centred)
    best, at, left_sum, whole = -1.0, _SEGMENT_MIN, 0.0, math.fsum(centred)
    for index in range(1, len(values) - _SEGMENT_MIN + 1):
        left_sum += centred[index - 1]
        if index < _SEGMENT_MIN:
            continue
        explained = left_sum**2 / index + (whole - left_sum) ** 2 / (len(values) - index)
        if explained > best:
            best, at = explained, index
    return at, max(0.0, total - best)


def _mean(values: Sequence[float]) -> float:
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return math.fsum(value / len(values) for value in values)


def _trend(points: Sequence[Point]) -> float | None:
    size = max((abs(value) for _, value in points), default=0.0)
    if len(points) < _SEGMENT_MIN or size == 0.0 or not math.isfinite(size * size * len(points)):
        return None
    rise, left = line_through(points)
    noise = math.sqrt(left / len(points))
    return rise if abs(rise) >= 2 * noise and abs(rise) >= _TREND_MIN * size else None


def _changes(points: Sequence[Point]) -> tuple[Change, ...]:
    """The steps that explain the values: one, or two where two leave far less than one."""
    values = [value for _, value in points]
    size = max((abs(value) for value in values), default=0.0)
    if len(points) < 2 * _SEGMENT_MIN or min(values) == max(values) or not math.isfinite(size * size * len(points)):
        return ()
    total, line = _squares(values), line_through(points)[1]
    one = _cuts(values, [])
    two = _cuts(values, one)
    for cuts, others in ((two, one), (one, [])):
        left = _left(values, cuts)
        explains = left <= _LEFT_OF_SPREAD * total and left <= _LEFT_OF_LINE * line
        # A second step is worth telling only if the first leaves most of the spread that is there without it.
        if cuts != others and explains and left <= _LEFT_OF_SPREAD * _left(values, others):
            changes = _told(points, cuts)
            if all(abs(change.after - change.before) >= _STEP_MIN * size for change in changes):
                return changes
    return ()


def _cuts(values: Sequence[float], cuts: Sequence[int]) -> list[int]:
    """These cuts and the best further one; the same where no segment is long enough for another."""
    found: list[tuple[float, int]] = []
    for begin, end in pairwise([0, *cuts, len(values)]):
        part = values[begin:end]
        if len(part) >= 2 * _SEGMENT_MIN:
            at, left = best_split(part)
            found.append((_squares(part) - left, begin + at))
    return sorted([*cuts, max(found)[1]]) if found else list(cuts)


def _left(values: Sequence[float], cuts: Sequence[int]) -> float:
    return math.fsum(_squares(values[begin:end]) for begin, end in pairwise([0, *cuts, len(values)]))


def _squares(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _told(points: Sequence[Point], cuts: Sequence[int]) -> tuple[Change, ...]:
    levels = [_mean([value for _, value in points[begin:end]]) for begin, end in pairwise([0, *cuts, len(points)])]
    return tuple(Change(points[cut][0], *levels[place : place + 2]) for place, cut in enumerate(cuts))


def _last_time(window: Window) -> float:
    """The last time at which the server evaluates."""
    return window.start + math.floor(window.range_s / window.step_s + 1e-9) * window.step_s
