"""Which of many rows are kept: the largest series, a stretch of them, or the first so many; memory for those only."""

import heapq
import math
from collections.abc import Sequence
from itertools import count
from typing import Any

from klepaas_plugins.prometheus.client.json_stream import Malformed
from klepaas_plugins.prometheus.client.models import Series, series_of

__all__ = ["Largest", "Objects", "Stretch"]


class _Rows:
    """Takes the rows of a query's answer."""

    def __init__(self) -> None:
        self.total = 0
        self.bare: list[Any] = []

    def __call__(self, row: Any) -> bool:
        """Take one row."""
        try:
            series = series_of(row)
        except (TypeError, ValueError, IndexError) as exc:
            raise Malformed from exc
        if series is None:
            # A number or a string comes as two bare values: its time and itself.
            self.bare = [*self.bare, row][:2]
            return True
        self.total += 1
        return self._take(series)

    def _take(self, series: Series) -> bool:
        raise NotImplementedError


class Largest(_Rows):
    """Keeps the series with the largest values.

    Args:
        keep: How many.
    """

    def __init__(self, keep: int) -> None:
        super().__init__()
        self._keep = keep
        self._heap: list[tuple[float, int, Series]] = []
        self._numbers = count()

    def _take(self, series: Series) -> bool:
        # Among equals the first stays: a later one has a lower number.
        entry = (_largest_of(series), -next(self._numbers), series)
        if len(self._heap) < self._keep:
            heapq.heappush(self._heap, entry)
        elif entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)
        return True

    @property
    def series(self) -> list[Series]:
        """What was kept, the largest first."""
        return [series for _, _, series in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]


class Stretch(_Rows):
    """Keeps series in the server's order, and has enough after them.

    Args:
        skip: How many are passed over first.
        keep: How many.
        to_the_end: Whether the others are still counted.
    """

    def __init__(self, skip: int, keep: int, to_the_end: bool = False) -> None:
        super().__init__()
        self._first, self._beyond = skip, skip + keep
        self._to_the_end = to_the_end
        self.series: list[Series] = []

    def _take(self, series: Series) -> bool:
        if self._first < self.total <= self._beyond:
            self.series.append(series)
        return self._to_the_end or self.total <= self._beyond


class Objects:
    """Keeps every row, each an object.

    Args:
        most: How many it wants.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.rows: list[dict[str, Any]] = []

    def __call__(self, row: Any) -> bool:
        """Take one row."""
        if not isinstance(row, dict):
            raise Malformed
        self.rows.append(row)
        return len(self.rows) < self._most


def _largest_of(series: Series) -> float:
    values: Sequence[float] = [float(text) for _, text in series.points]
    return max((value for value in values if not math.isnan(value)), default=-math.inf)
