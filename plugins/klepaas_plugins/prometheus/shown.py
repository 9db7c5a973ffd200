"""How series are shown: one line each, what they have in common above, what is to be said about the answer below.

It asks nobody and chooses nothing: what it gets is shown, as far as the budget goes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from klepaas.output import table
from klepaas.output.safe import safe_label, safe_text
from klepaas_plugins.prometheus.client.models import Found, Remarks, Series, Window
from klepaas_plugins.prometheus.figures import SKEW_MIN_S, clock, number, skew_text
from klepaas_plugins.prometheus.summaries import Summary, summarise

__all__ = [
    "about",
    "common_labels",
    "labels_text",
    "notes",
    "now_table",
    "remarks_lines",
    "series_name",
    "summary_table",
]

_COLUMNS = ["LAST", "MIN", "MAX", "MEAN", "TREND", "NOTES"]
# Counters by the naming rules of Prometheus.
_COUNTERS = ("_total", "_count", "_sum", "_bucket")


def now_table(found: Found) -> list[str]:
    """The values of one time, a line each under what they have in common."""
    common = common_labels(found.series)
    head, names = _names(found.series, common)
    rows = [[name, _value(series)] for name, series in zip(names, found.series, strict=True)]
    return [*_above(common), table([head, "VALUE"], rows)]


def summary_table(found: Found, window: Window) -> list[str]:
    """The series of a window in figures, a line each under what they have in common."""
    common = common_labels(found.series)
    head, names = _names(found.series, common)
    rows = [[name, *_figures(series, window)] for name, series in zip(names, found.series, strict=True)]
    lines = [*_above(common), table([head, *_COLUMNS], rows)]
    if any(series.labels.get("__name__", "").endswith(_COUNTERS) for series in found.series):
        lines.append("[these are counters: rate(...[5m]) shows how fast they grow]")
    return lines


def notes(summary: Summary, window: Window) -> str:
    """What is remarkable about a series: its changes of level, and what is missing."""
    range_s = window.range_s
    said = [f"{clock(one.at, range_s)} {number(one.before)}>{number(one.after)}" for one in summary.changes]
    said += [f"began {clock(summary.began_at, range_s)}"] if summary.began_at is not None else []
    said += [f"ended {clock(summary.ended_at, range_s)}"] if summary.ended_at is not None else []
    counted = ((summary.missing, "missing"), (summary.nans, "NaN"), (summary.infinities, "Inf"))
    said += [f"{count} {word}" for count, word in counted if count]
    return "; ".join(said)


def common_labels(series: Sequence[Series]) -> dict[str, str]:
    """The labels that all have alike; none where there is only one, which shows them itself."""
    if len(series) < 2:
        return {}
    first = dict(series[0].labels)
    for one in series[1:]:
        first = {name: value for name, value in first.items() if one.labels.get(name) == value}
    return first


def labels_text(labels: Mapping[str, Any]) -> str:
    """Labels in few characters: the metric's name, then name=value."""
    name = safe_text(str(labels.get("__name__", "")))
    rest = " ".join(f"{key}={safe_label(key, str(value))}" for key, value in labels.items() if key != "__name__")
    return " ".join(part for part in (name, rest) if part)


def series_name(series: Series, common: Mapping[str, str]) -> str:
    """What tells a series from the others; "{}" where nothing does."""
    return labels_text({key: value for key, value in series.labels.items() if key not in common}) or "{}"


def remarks_lines(found: Found, shown: int, by: str) -> list[str]:
    """What is to be said below, a line each.

    Args:
        found: The answer.
        shown: How many of its series are shown.
        by: How they were chosen.
    """
    lines = []
    if found.more or found.total > shown:
        more = "more than " if found.more else ""
        lines.append(f"[{shown} of {more}{found.total} series shown, {by}; narrow the query or raise limit]")
    return [*lines, *about(found.remarks)]


def about(remarks: Remarks) -> list[str]:
    """What is to be said about an answer as a whole."""
    lines = []
    if remarks.cut:
        size = f"{remarks.size_bytes // 1024 // 1024} MiB"
        lines.append(f"[the answer was cut off after {size}: aggregate, narrow the query, or lengthen the step]")
    if remarks.partial:
        lines.append("[the answer is partial: the server says that a part of its data did not answer]")
    lines += [f"[the server warns: {' '.join(text.split())}]" for text in remarks.warnings]
    if remarks.skew_s is not None and abs(remarks.skew_s) >= SKEW_MIN_S:
        lines.append(f"[{skew_text(remarks.skew_s)}: times here are not the server's]")
    return lines


def _above(common: Mapping[str, str]) -> list[str]:
    return [f"all: {labels_text(common)}"] if common else []


def _names(series: Sequence[Series], common: Mapping[str, str]) -> tuple[str, list[str]]:
    """The column's name and each series' own; one label that all have is named once, in the column's name."""
    own = [{key: value for key, value in one.labels.items() if key not in common} for one in series]
    keys = {key for labels in own for key in labels}
    if len(keys) == 1 and all(own):
        (key,) = keys
        return ("METRIC" if key == "__name__" else key), [labels[key] for labels in own]
    return "SERIES", [series_name(one, common) for one in series]


def _value(series: Series) -> str:
    if series.points:
        return number(float(series.points[-1][1]))
    return _histogram(series.histograms[-1][1]) if series.histograms else ""


def _figures(series: Series, window: Window) -> list[str]:
    if not series.points:
        said = _histogram(series.histograms[-1][1]) if series.histograms else ""
        return [said, "", "", "", "", f"{len(series.histograms)} points; histogram_quantile(0.9, rate(...)) reads it"]
    summary = summarise([(at, float(text)) for at, text in series.points], window)
    figures = (summary.last, summary.low, summary.high, summary.mean)
    cells = ["NaN" if value is None else number(value) for value in figures]
    trend = "flat" if summary.trend is None else f"{'+' if summary.trend > 0 else ''}{number(summary.trend)}"
    remarkable = [text for text in (notes(summary, window),) if text]
    if summary.drops and series.labels.get("__name__", "").endswith(_COUNTERS):
        remarkable.append(f"{summary.drops} resets")
    if series.histograms:
        remarkable.append(f"{len(series.histograms)} native histograms beside")
    return [*cells, trend, "; ".join(remarkable)]


def _histogram(value: Mapping[str, Any]) -> str:
    return f"native histogram, count {_known(value.get('count'))}, sum {_known(value.get('sum'))}"


def _known(text: Any) -> str:
    try:
        return number(float(text))
    except (TypeError, ValueError):
        return "unknown"
