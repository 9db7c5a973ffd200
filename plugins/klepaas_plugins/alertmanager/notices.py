"""Stored notifications as they are listed and read. It asks the store, and nobody else."""

import time
from datetime import UTC, datetime

from klepaas.changes import ChangeSet
from klepaas.errors import NotFound
from klepaas.observability import one_line, safe_text
from klepaas.output import Answer, table
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.principals import current_principal
from klepaas.store.alerts import MISSED, PENDING, AlertStore, Report, Stored
from klepaas_plugins.alertmanager.shown import age, labels_text

__all__ = ["acknowledged", "listed", "plan", "read"]

_MOST = 30
_REPORT_BYTES = 24_000
_IN_HEAD = ("alertname", "severity")


async def listed(alerts: AlertStore, state: str | None, unacknowledged: bool) -> Answer:
    """The list of notifications.

    Args:
        alerts: Where they are.
        state: Only in this state. None: any.
        unacknowledged: Only those of which nobody has taken care.
    """
    found, total = await alerts.find(state=state, unacknowledged=unacknowledged, limit=_MOST)
    if not found:
        return Answer("No notifications.")
    now = time.time()
    rows = [
        [
            str(one.id),
            one.notice.name,
            one.notice.severity,
            one.notice.state,
            age(one.notice.starts_at, now),
            one.acknowledged_by or "",
            one_line(_labels(one), 300),
        ]
        for one in found
    ]
    lines = [table(["ID", "ALERT", "SEVERITY", "STATE", "SINCE", "ACKNOWLEDGED", "LABELS"], rows)]
    lines += [f"[{len(found)} of {total} shown]"] if total > len(found) else []
    return Answer(fit("\n".join(lines), LIST_BYTES, "Ask for one state"))


async def read(alerts: AlertStore, number: int) -> Answer:
    """One notification with its evidence.

    Args:
        alerts: Where it is.
        number: Which.

    Raises:
        NotFound: There is none of that number.
    """
    one = await alerts.get(number)
    if one is None:
        raise _none(number)
    notice, now = one.notice, time.time()
    until = f", ended {age(notice.ends_at, now)} ago" if notice.ends_at is not None else ""
    severity = f" ({notice.severity})" if notice.severity else ""
    lines = [
        f"{notice.name}{severity} is {notice.state}: began {_at(notice.starts_at)}{until}.",
        f"Labels: {_labels(one)}",
    ]
    lines += [f"{name}: {one_line(text, _REPORT_BYTES)}" for name, text in notice.annotations.items()]
    if one.acknowledged_at is not None:
        lines += [f"Acknowledged {_at(one.acknowledged_at)} by {one.acknowledged_by}: {one.acknowledgement}"]
    lines += _evidence(one.report)
    return Answer(fit("\n".join(lines), _REPORT_BYTES, "The rest is not shown"))


async def plan(alerts: AlertStore, number: int, comment: str) -> ChangeSet:
    """What is acknowledged.

    Raises:
        NotFound: There is none of that number.
    """
    one = await alerts.get(number)
    if one is None:
        raise _none(number)
    return ChangeSet.of_action(
        f"Acknowledging notification {number}",
        kind="notification",
        name=str(number),
        facts=(("alert", one.notice.name), ("labels", _labels(one)), ("comment", comment)),
    )


async def acknowledged(alerts: AlertStore, number: int, comment: str) -> Answer:
    """Take care of a notification; of two who do, the first stays.

    Args:
        alerts: Where it is.
        number: Which.
        comment: What is done about it.

    Raises:
        NotFound: There is none of that number.
    """
    by = one_line(current_principal().text, 200)
    one = await alerts.acknowledge(number, by, safe_text(comment), time.time())
    if one is None:
        raise _none(number)
    text = f"Notification {number} ({one.notice.name}) is acknowledged by {one.acknowledged_by}: {one.acknowledgement}"
    return Answer(text)


def _none(number: int) -> NotFound:
    return NotFound(f"There is no notification {number}", next_step="get_notifications() lists them")


def _evidence(report: Report | None) -> list[str]:
    if report is None:
        return ["No evidence: it was told only when it had ended."]
    if report.state == PENDING or report.frozen_at is None:
        return ["Evidence is being collected."]
    head = "No evidence" if report.state == MISSED else f"Evidence, as it was {_at(report.frozen_at)}"
    lines = [f"{head}:"]
    for section in report.sections:
        lines += [f"== {section.source}{' (failed)' if section.failed else ''}", section.text]
    return lines


def _labels(one: Stored) -> str:
    return labels_text({name: text for name, text in one.notice.labels.items() if name not in _IN_HEAD}) or "-"


def _at(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
