"""What a query brings: series with their points, and what the server said about the answer as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klepaas.output.safe import one_line
from klepaas_plugins.prometheus.client.json_stream import Document

__all__ = ["Found", "Remarks", "Series", "Window", "series_of"]


@dataclass(frozen=True)
class Window:
    """The times of a range query.

    Attributes:
        start: Its first time, in seconds since 1970.
        end: Its last time.
        step_s: From one time to the next, in seconds.
    """

    start: float
    end: float
    step_s: float

    @property
    def range_s(self) -> float:
        """How long it is, in seconds."""
        return self.end - self.start


@dataclass(frozen=True)
class Series:
    """One series.

    Attributes:
        labels: Its labels, `__name__` among them.
        points: Times in seconds since 1970, and values as the server wrote them.
        histograms: Times, and native histograms as the server wrote them.
    """

    labels: Mapping[str, str]
    points: Sequence[tuple[float, str]] = ()
    histograms: Sequence[tuple[float, Mapping[str, Any]]] = ()


@dataclass(frozen=True)
class Remarks:
    """What is to be said about an answer.

    Attributes:
        warnings: The server's warnings and infos.
        partial: Whether the server says that a part is missing.
        cut: Whether the answer was longer than is read.
        size_bytes: How much was read.
        skew_s: How far the server's clock is before ours, in seconds. None: unknown.
    """

    warnings: tuple[str, ...] = ()
    partial: bool = False
    cut: bool = False
    size_bytes: int = 0
    skew_s: float | None = None

    @classmethod
    def of(cls, document: Document, skew_s: float | None) -> "Remarks":
        """The remarks of an answer."""
        values = document.values
        said = [*_texts(values.get("warnings")), *_texts(values.get("infos"))]
        return cls(tuple(said), values.get("isPartial") is True, document.cut, document.size_bytes, skew_s)


@dataclass(frozen=True)
class Found:
    """The answer to a query.

    Attributes:
        series: Those that were kept.
        total: How many there were, as far as the answer was read.
        more: Whether there are more than that.
        remarks: What is to be said about it.
        text: What a query for a string gave. None: it gave series or a number.
    """

    series: Sequence[Series]
    total: int
    more: bool = False
    remarks: Remarks = field(default_factory=Remarks)
    text: str | None = None


def series_of(row: Any) -> Series | None:
    """The series in a row of a query's answer, or None where it is none."""
    if not isinstance(row, dict) or not isinstance(row.get("metric"), dict):
        return None
    labels = {str(name): str(value) for name, value in row["metric"].items()}
    points = row.get("values") or ([row["value"]] if "value" in row else [])
    histograms = row.get("histograms") or ([row["histogram"]] if "histogram" in row else [])
    return Series(
        labels,
        [(float(one[0]), str(one[1])) for one in points],
        [(float(one[0]), one[1]) for one in histograms if isinstance(one[1], dict)],
    )


def _texts(value: Any) -> list[str]:
    return [one_line(str(one), 300) for one in value[:5]] if isinstance(value, list) else []
