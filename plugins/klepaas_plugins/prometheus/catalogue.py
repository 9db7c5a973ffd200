"""What `list_metrics` does: metrics by name and help, the labels of one, the values of a label."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas.errors import BadRequest, NotFound
from klepaas.offload import offload, size_of
from klepaas.output import Answer, table
from klepaas.output.budget import fit
from klepaas.output.safe import SafeText, has_words, one_line, safe_label, safe_text, shorten
from klepaas_plugins.prometheus.client import PrometheusServer
from klepaas_plugins.prometheus.shown import about

__all__ = ["Catalogue", "answer_metrics"]

ANSWER_BYTES = 8_000
HELP_MAX_CHARS = 100
_MEANINGS_MAX = 50_000


@dataclass(frozen=True)
class Catalogue:
    """What is asked.

    Attributes:
        server: Whom.
        search: Words that a name or its help holds, all of them. None: any.
        metric: The metric whose labels are wanted, or whose values of `label`. None: any.
        label: The label whose values are wanted. None: metrics are.
        limit: Most lines.
    """

    server: PrometheusServer
    search: str | None
    metric: str | None
    label: str | None
    limit: int


async def answer_metrics(asked: Catalogue) -> Answer:
    """The names, labels or values.

    Args:
        asked: What is asked.

    Raises:
        KlepaasError: The server cannot be asked.
    """
    if asked.label is not None:
        return await _values(asked, asked.label)
    if asked.metric is not None:
        return await _labels(asked, asked.metric)
    return await _names(asked)


async def _names(asked: Catalogue) -> Answer:
    known = await _metadata(asked)
    words = (asked.search or "").lower().split()

    def fits(name: SafeText) -> bool:
        return has_words(safe_text(f"{name} {known.get(name, ('', ''))[1]}"), words)

    path = "/api/v1/label/__name__/values"
    texts, remarks = await asked.server.rows("GET", path, (), _Texts, "list the metrics")
    names = await _select(texts.found, asked.limit, fits)
    if not names.count:
        return Answer(f"No metric has {asked.search!r} in its name or help." if words else "There are no metrics.")
    rows = [[name, *_shown(known.get(_family(name, known)))] for name in names.least]
    lines = [table(["METRIC", "TYPE", "HELP"], rows), *_rest(names, "add words to search"), *about(remarks)]
    return Answer(fit("\n".join(lines), ANSWER_BYTES, "Add words to search"))


async def _labels(asked: Catalogue, metric: str) -> Answer:
    what, params = f"list the labels of {metric}", [("match[]", metric)]
    texts, _ = await asked.server.rows("POST", "/api/v1/labels", params, _Texts, what)
    names = await _select(texts.found, 1000, _is_label)
    if not names.count:
        raise NotFound(f"There is no metric {metric}", next_step="Look for it with search")
    known = await _metadata(asked, metric)
    kind, said = _shown(known.get(metric) or known.get(_family(metric, known)))
    text = f"{metric} ({kind or 'type unknown'}): {said or 'no help'}\nlabels: {', '.join(names.least)}"
    return Answer(f"{text}\nWith label, its values.")


async def _values(asked: Catalogue, label: str) -> Answer:
    words = (asked.search or "").lower().split()

    def fits(value: SafeText) -> bool:
        return has_words(value, words)

    def show(value: str) -> SafeText:
        return safe_label(label, value)

    params = [("match[]", asked.metric)] if asked.metric else []
    path = f"/api/v1/label/{label}/values"
    what = f"list the values of {label}"
    texts, remarks = await asked.server.rows("GET", path, params, _Texts, what)
    values = await _select(texts.found, asked.limit, fits, show)
    if not values.count:
        return Answer(f"The label {label} has no such values.")
    lines = [*values.least, *_rest(values, "add words to search"), *about(remarks)]
    return Answer(fit("\n".join(lines), ANSWER_BYTES, "Add words to search"))


@dataclass(frozen=True)
class _Least:
    """The first names in their order, and how many fit."""

    least: list[str]
    count: int


async def _select(
    texts: Sequence[str], keep: int, fits: Callable[[SafeText], bool], show: Callable[[str], SafeText] = safe_text
) -> _Least:
    """Select names by what is shown of them; many are redacted beside the event loop.

    Args:
        texts: The names.
        keep: How many are wanted.
        fits: Which.
        show: Makes of a name what may be shown.
    """

    def select() -> _Least:
        fitting = [shown for shown in map(show, texts) if fits(shown)]
        return _Least(sorted(set(heapq.nsmallest(keep, fitting))), len(fitting))

    return await offload(select, size_chars=size_of(texts))


class _Texts:
    """Keeps the names in an answer."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def __call__(self, row: Any) -> bool:
        """Take one name."""
        self.found.append(str(row))
        return True


async def _metadata(asked: Catalogue, metric: str | None = None) -> dict[str, tuple[str, str]]:
    """Type and help by metric; empty where the server keeps none, as many that store for others do not."""
    params = [("metric", metric)] if metric else []
    try:
        meanings, _ = await asked.server.rows("GET", "/api/v1/metadata", params, _Meanings, "read what metrics mean")
    except (NotFound, BadRequest):
        return {}
    return meanings.found


class _Meanings:
    """Keeps type and help of each metric."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[str, str]] = {}

    def __call__(self, row: Any) -> bool:
        """Take one metric and what its targets say of it, which is mostly the same."""
        name, entries = row
        entry = entries[0] if isinstance(entries, list) and entries else None
        if isinstance(entry, Mapping):
            self.found[str(name)] = (str(entry.get("type", "")), shorten(str(entry.get("help", "")), 1000))
        return len(self.found) < _MEANINGS_MAX


def _is_label(name: SafeText) -> bool:
    return name != "__name__"


def _family(name: str, known: Mapping[str, Any]) -> str:
    """The name under which a histogram's or summary's series are described."""
    if name in known:
        return name
    for ending in ("_bucket", "_count", "_sum", "_total"):
        if name.endswith(ending) and name.removesuffix(ending) in known:
            return name.removesuffix(ending)
    return name


def _shown(entry: tuple[str, str] | None) -> tuple[str, str]:
    kind, said = entry or ("", "")
    return kind, one_line(said, HELP_MAX_CHARS)


def _rest(names: _Least, how: str) -> list[str]:
    left = names.count - len(names.least)
    return [f"[{left} more: {how}, or raise limit]"] if left > 0 else []
