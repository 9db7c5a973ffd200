"""Alerts, groups and silences in few lines: the gravest first, labels that all have told once. It asks nobody."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from klepaas.firing import FiringAlert
from klepaas.output import Answer, table
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.output.safe import one_line, safe_label
from klepaas_plugins.alertmanager.client import Alert, Group, Rows, Silence

__all__ = ["age", "alerts_answer", "firing_of", "groups_answer", "labels_text", "silences_answer"]

_MOST_ROWS = 50
_MOST_EXPIRED = 5
_CELL_CHARS = 160
_NARROWER = "Narrow with matchers"
_IN_COLUMNS = ("alertname", "severity")


def alerts_answer(server: str, rows: Rows) -> Answer:
    """The alerts of a server.

    Args:
        server: Its name.
        rows: Its alerts.
    """
    alerts = sorted(map(_visible, rows.items), key=_rank)
    if not alerts:
        return Answer("\n".join([f"No alerts in {server}.", *_hidden(rows, "alerts")]))
    hidden = sum(one.state == "suppressed" for one in alerts)
    common = _common(alerts)
    now = time.time()
    lines = [f"{len(alerts)}{'+' if rows.more else ''} alerts in {server}, {hidden} of them silenced or inhibited."]
    lines += [f"all: {labels_text(common)}"] if common else []
    cells = [
        [one.name, one.labels.get("severity", ""), _state(one), age(one.since, now), _rest(one, common), _summary(one)]
        for one in alerts[:_MOST_ROWS]
    ]
    lines += [table(["ALERT", "SEVERITY", "STATE", "SINCE", "LABELS", "SAYS"], cells)]
    lines += [*_left(len(alerts), rows.more), *_hidden(rows, "alerts")]
    return Answer(fit("\n".join(lines), LIST_BYTES, _NARROWER))


def groups_answer(server: str, rows: Rows) -> Answer:
    """The groups of a server.

    Args:
        server: Its name.
        rows: Its groups.
    """
    groups: list[Group] = sorted(rows.items, key=lambda one: (labels_text(one.labels), one.receiver))
    if not groups:
        return Answer("\n".join([f"No groups of alerts in {server}.", *_hidden(rows, "alerts")]))
    cells = [
        [
            labels_text(one.labels) or "(all)",
            one.receiver,
            str(len(one.alerts)),
            str(sum(alert.state == "suppressed" for alert in one.alerts)),
            one_line(", ".join(sorted({_visible(alert).name for alert in one.alerts})), _CELL_CHARS),
        ]
        for one in groups[:_MOST_ROWS]
    ]
    lines = [table(["GROUP", "RECEIVER", "ALERTS", "HIDDEN", "NAMES"], cells)]
    lines += [*_left(len(groups), rows.more), *_hidden(rows, "alerts")]
    return Answer(fit("\n".join(lines), LIST_BYTES, _NARROWER))


def silences_answer(server: str, rows: Rows) -> Answer:
    """The silences of a server, those that have expired last.

    Args:
        server: Its name.
        rows: Its silences.
    """
    silences: list[Silence] = sorted(rows.items, key=lambda one: (-(one.ends_at or 0.0), one.id))
    live = [one for one in silences if one.state != "expired"]
    gone = [one for one in silences if one.state == "expired"]
    shown = [*live[:_MOST_ROWS], *gone[:_MOST_EXPIRED]]
    if not shown:
        return Answer("\n".join([f"No silences in {server}.", *_hidden(rows, "silences")]))
    now = time.time()
    cells = [_silence_cells(one, now) for one in shown]
    lines = [table(["ID", "STATE", "MATCHERS", "ENDS", "BY", "COMMENT"], cells)]
    lines += [*_left(len(live), rows.more), *_hidden(rows, "silences")]
    lines += [f"[{len(gone) - _MOST_EXPIRED} more have expired]"] if len(gone) > _MOST_EXPIRED else []
    return Answer(fit("\n".join(lines), LIST_BYTES, _NARROWER))


def firing_of(alerts: Iterable[Alert]) -> list[FiringAlert]:
    """The alerts as the overview takes them."""
    return [
        FiringAlert(
            one.name,
            one.labels.get("severity", ""),
            one.labels,
            one.since,
            _summary(one),
            silenced=bool(one.silenced_by),
        )
        for one in alerts
    ]


def labels_text(labels: Mapping[str, Any]) -> str:
    """Labels in few characters."""
    return " ".join(f"{name}={safe_label(name, str(value))}" for name, value in labels.items())


def age(moment: float | None, now: float) -> str:
    """How long ago, in the one unit that tells. "?": unknown."""
    if moment is None:
        return "?"
    seconds = max(0.0, now - moment)
    for unit, size_s in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size_s:
            return f"{seconds // size_s:.0f}{unit}"
    return f"{seconds:.0f}s"


def _visible(alert: Alert) -> Alert:
    """An alert with labels as they may be shown, so that they are also compared and sorted as such."""
    return replace(alert, labels={name: safe_label(name, value) for name, value in alert.labels.items()})


def _rank(alert: Alert) -> tuple[bool, int, float, str]:
    grave = FiringAlert(alert.name, alert.labels.get("severity", "")).gravity
    return alert.state == "suppressed", grave, -(alert.since or 0.0), str(sorted(alert.labels.items()))


def _state(alert: Alert) -> str:
    if alert.silenced_by:
        return f"silenced by {alert.silenced_by[0]}"
    return "inhibited" if alert.inhibited_by else alert.state


def _common(alerts: Sequence[Alert]) -> dict[str, str]:
    if len(alerts) < 2:
        return {}
    first = {name: value for name, value in alerts[0].labels.items() if name not in _IN_COLUMNS}
    return {name: value for name, value in first.items() if all(one.labels.get(name) == value for one in alerts)}


def _rest(alert: Alert, common: Mapping[str, str]) -> str:
    own = {name: value for name, value in alert.labels.items() if name not in common and name not in _IN_COLUMNS}
    return one_line(labels_text(own))


def _summary(alert: Alert) -> str:
    said = next(
        (alert.annotations[name] for name in ("summary", "message", "description") if name in alert.annotations), ""
    )
    return one_line(said, _CELL_CHARS)


def _silence_cells(silence: Silence, now: float) -> list[str]:
    matchers = one_line(", ".join(matcher.text for matcher in silence.matchers))
    comment = one_line(silence.comment, _CELL_CHARS)
    return [silence.id, silence.state, matchers, _end(silence, now), silence.created_by, comment]


def _end(silence: Silence, now: float) -> str:
    if silence.ends_at is None:
        return "?"
    if silence.state == "expired":
        return f"{age(silence.ends_at, now)} ago"
    return f"in {age(now, silence.ends_at)}"


def _hidden(rows: Rows, noun: str) -> list[str]:
    """What is said of rows that matchers do not compare."""
    if not rows.hidden:
        return []
    return [f"[{rows.hidden} {noun} not compared: a label that the matchers name has a hidden value there]"]


def _left(total: int, more: bool) -> list[str]:
    if total <= _MOST_ROWS and not more:
        return []
    return [f"[{min(total, _MOST_ROWS)} of {'more than ' if more else ''}{total} shown; {_NARROWER.lower()}]"]
