"""What `inspect_prometheus` does: alerts with state and since when, alerting rules, and the targets that are scraped.

Trouble comes first, and what is well is counted rather than listed. Silences and groups are Alertmanager's.

Source: prometheus.io/docs/prometheus/latest/querying/api ("Alerts", "Rules", "Targets").
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from klepaas.offload import offload, size_of
from klepaas.output import Answer, table
from klepaas.output.budget import fit
from klepaas.output.safe import SafeText, has_words, one_line, safe_label, safe_text
from klepaas_plugins.prometheus.client import Objects, PrometheusServer, Remarks
from klepaas_plugins.prometheus.figures import duration, number
from klepaas_plugins.prometheus.shown import about, labels_text

__all__ = ["Inspected", "Inspection", "alert_rows", "answer_inspection", "mapping", "moment"]

_ALERTS: tuple[str, Sequence[tuple[str, str]], str] = ("/api/v1/alerts", (), "list the alerts")

Inspected = Literal["alerts", "rules", "targets"]
ANSWER_BYTES = 8_000
ROWS_MAX = 20_000
_TEXT_MAX_CHARS = 160
_STATES = {"firing": 0, "pending": 1, "inactive": 2}


@dataclass(frozen=True)
class Inspection:
    """What is asked.

    Attributes:
        server: Whom.
        what: What is wanted.
        search: Words that a line holds, all of them. None: any.
        limit: Most lines.
    """

    server: PrometheusServer
    what: Inspected
    search: str | None
    limit: int


@dataclass(frozen=True)
class _Line:
    """One line, and what it is sorted by."""

    rank: tuple[Any, ...]
    cells: list[str]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What an answer is made of: what stands above, the table's columns, the rows, and what makes a line of one."""

    head: str
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    line_of: Callable[[Mapping[str, Any]], _Line]


async def answer_inspection(asked: Inspection) -> Answer:
    """The alerts, rules or targets, the worst first.

    Args:
        asked: What is asked.

    Raises:
        KlepaasError: The server cannot be asked.
    """
    if asked.what == "alerts":
        return await _alerts(asked)
    return await (_rules(asked) if asked.what == "rules" else _targets(asked))


async def alert_rows(server: PrometheusServer) -> list[Mapping[str, Any]]:
    """The alerts of a server, pending ones too, as its API gives them.

    Args:
        server: The server.

    Raises:
        KlepaasError: The server cannot be asked.
    """
    return (await _rows(server, *_ALERTS))[0]


async def _alerts(asked: Inspection) -> Answer:
    rows, remarks = await _rows(asked.server, *_ALERTS)
    states = Counter(str(row.get("state")) for row in rows)
    head = f"{states['firing']} firing, {states['pending']} pending"
    columns = ["ALERT", "STATE", "SINCE", "VALUE", "LABELS", "SUMMARY"]
    return await _answered(asked, _Part(head=head, columns=columns, rows=rows, line_of=_alert), remarks)


def _alert(row: Mapping[str, Any]) -> _Line:
    labels, notes = mapping(row, "labels"), mapping(row, "annotations")
    state, at = str(row.get("state", "")), moment(row.get("activeAt"))
    name = safe_label("alertname", str(labels.get("alertname", "")))
    rest = {name: value for name, value in labels.items() if name != "alertname"}
    said = _short(notes.get("summary") or notes.get("description") or notes.get("message") or "")
    cells = [name, state, _since(at), _value(row.get("value")), labels_text(rest), said]
    return _Line((_STATES.get(state, 3), at or 0.0, cells[0], cells[4]), cells)


async def _rules(asked: Inspection) -> Answer:
    groups, remarks = await _rows(asked.server, "/api/v1/rules", (), "list the rules")
    rules = [rule for group in groups for rule in group.get("rules") or () if isinstance(rule, Mapping)]
    # Of rules that only record, what is wrong with one is all that matters here.
    wanted = [rule for rule in rules if rule.get("type") == "alerting" or rule.get("lastError")]
    states = Counter(str(rule.get("state")) for rule in wanted if rule.get("type") == "alerting")
    head = f"alerting rules: {states['firing']} firing, {states['pending']} pending, {states['inactive']} inactive"
    columns = ["RULE", "STATE", "SINCE", "FOR", "SEVERITY", "QUERY", "ERROR"]
    return await _answered(asked, _Part(head=head, columns=columns, rows=wanted, line_of=_rule), remarks)


def _rule(rule: Mapping[str, Any]) -> _Line:
    state, error = str(rule.get("state") or "records"), _short(str(rule.get("lastError") or ""))
    alerts = [alert for alert in rule.get("alerts") or () if isinstance(alert, Mapping)]
    known = [at for at in (moment(alert.get("activeAt")) for alert in alerts) if at is not None]
    lasts = float(rule.get("duration") or 0)
    severity = safe_label("severity", str(mapping(rule, "labels").get("severity", "")))
    since = _since(min(known)) if known else ""
    query = _short(str(rule.get("query") or ""))
    cells = [_short(rule.get("name", "")), state, since, duration(lasts) if lasts else "", severity, query, error]
    return _Line((not error, _STATES.get(state, 3), cells[0], query), cells)


async def _targets(asked: Inspection) -> Answer:
    rows, remarks = await _rows(asked.server, "/api/v1/targets", [("state", "active")], "list the targets")
    health = Counter(str(row.get("health")) for row in rows)
    head = ", ".join(f"{count} {state}" for state, count in sorted(health.items())) or "no targets"
    jobs = Counter(str(mapping(row, "labels").get("job", "")) for row in rows if row.get("health") == "up")
    up: Counter[str] = Counter()
    for job, count in jobs.items():
        up[safe_label("job", job)] += count
    if asked.search is None:
        # What is well is told by its job alone.
        rows = [row for row in rows if row.get("health") != "up"]
        well = ", ".join(f"{job} ({count})" for job, count in sorted(up.items())[:50])
        head += f"\nup, by job: {well}" if up else ""
    columns = ["JOB", "INSTANCE", "HEALTH", "LAST SCRAPE", "TOOK", "ERROR"]
    return await _answered(asked, _Part(head=head, columns=columns, rows=rows, line_of=_target), remarks)


def _target(row: Mapping[str, Any]) -> _Line:
    health, took = str(row.get("health", "")), row.get("lastScrapeDuration")
    cells = [_label(row, "job"), _label(row, "instance"), health, _since(moment(row.get("lastScrape")))]
    cells += [f"{number(float(took))}s" if isinstance(took, int | float) else ""]
    return _Line((health != "down", *cells[:2]), [*cells, _short(str(row.get("lastError") or ""))])


async def _answered(asked: Inspection, part: _Part, remarks: Remarks) -> Answer:
    """The answer; many rows are redacted beside the event loop."""
    return await offload(partial(_answer, asked, part, remarks), size_chars=size_of(part.rows))


def _answer(asked: Inspection, part: _Part, remarks: Remarks) -> Answer:
    lines = [part.line_of(row) for row in part.rows]
    words = (asked.search or "").lower().split()
    # Cells hold what may be shown, as far as one cell tells; a line may tell more.
    fitting = [line for line in lines if has_words(safe_text(" ".join(line.cells)), words)] if words else [*lines]
    fitting.sort(key=lambda line: line.rank)
    shown = fitting[: asked.limit]
    parts = [part.head]
    if shown:
        parts.append(table(part.columns, [line.cells for line in shown]))
    elif words:
        parts.append("None has these words.")
    left = len(fitting) - len(shown)
    parts += [f"[{left} more: raise limit, or search]"] if left else []
    text = fit("\n".join([*parts, *about(remarks)]), ANSWER_BYTES, "Lower limit, or search")
    return Answer(text)


async def _rows(
    server: PrometheusServer, path: str, params: Sequence[tuple[str, str]], what: str
) -> tuple[list[Mapping[str, Any]], Remarks]:
    objects, remarks = await server.rows("GET", path, params, lambda: Objects(ROWS_MAX), what)
    return list(objects.rows), remarks


def _label(row: Mapping[str, Any], name: str) -> SafeText:
    return safe_label(name, str(mapping(row, "labels").get(name, "")))


def mapping(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping in a row; an empty one where there is none."""
    found = row.get(key)
    return found if isinstance(found, Mapping) else {}


def moment(text: Any) -> float | None:
    """A time as Go writes it, with nine digits; the year 1 stands for never."""
    if not isinstance(text, str) or text.startswith("0001"):
        return None
    try:
        return datetime.fromisoformat(text[:19] + "+00:00" if text.endswith("Z") else text).timestamp()
    except ValueError:
        return None


def _since(at: float | None) -> str:
    return "" if at is None else duration(max(0.0, time.time() - at))


def _value(text: Any) -> str:
    try:
        return number(float(text))
    except (TypeError, ValueError):
        return ""


def _short(text: Any) -> str:
    return one_line(str(text), _TEXT_MAX_CHARS)
