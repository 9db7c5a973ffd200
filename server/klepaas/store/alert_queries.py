"""The units of work of `klepaas.store.alerts`; importing this imports SQLAlchemy."""

from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from klepaas.store.alerts import FIRING, PENDING, Keeping, Notice, Report, Section, Stored, columns_of
from klepaas.store.tables import NotificationRow, ReportRow

__all__ = ["acknowledge", "find", "forget", "freeze", "get", "pending", "put"]

_DAY_S = 86_400.0


def put(session: Session, notice: Notice, now: float) -> int | None:
    """Write one alert; its number where it is new and fires."""
    row = session.scalars(
        select(NotificationRow).where(
            NotificationRow.source == notice.source,
            NotificationRow.fingerprint == notice.fingerprint,
            NotificationRow.starts_at == notice.starts_at,
        )
    ).one_or_none()
    is_new = row is None
    if row is None:
        row = NotificationRow(received_at=now)
        session.add(row)
    for name, value in columns_of(notice).items():
        setattr(row, name, value)
    row.updated_at = now
    session.flush()
    if not (is_new and notice.state == FIRING):
        return None
    session.add(ReportRow(notification_id=row.id, state=PENDING, requested_at=now, sections=[]))
    session.flush()
    return row.id


def forget(session: Session, now: float, keeping: Keeping) -> None:
    """Delete what is too old, and the oldest of too many; reports go with their notifications."""
    session.execute(delete(NotificationRow).where(NotificationRow.updated_at < now - keeping.days * _DAY_S))
    there = session.scalar(select(func.count()).select_from(NotificationRow)) or 0
    if there > keeping.most:
        oldest = select(NotificationRow.id).order_by(NotificationRow.updated_at, NotificationRow.id)
        numbers = session.scalars(oldest.limit(there - keeping.most)).all()
        session.execute(delete(NotificationRow).where(NotificationRow.id.in_(numbers)))


def find(session: Session, state: str | None, unacknowledged: bool, limit: int) -> tuple[list[Stored], int]:
    """Notifications without their evidence, and how many there are."""
    filters: list[ColumnElement[bool]] = []
    if state is not None:
        filters.append(NotificationRow.state == state)
    if unacknowledged:
        filters.append(NotificationRow.acknowledged_at.is_(None))
    total = session.scalar(select(func.count()).select_from(NotificationRow).where(*filters)) or 0
    # "firing" sorts before "resolved".
    order = (NotificationRow.state, NotificationRow.updated_at.desc(), NotificationRow.id.desc())
    rows = session.scalars(select(NotificationRow).where(*filters).order_by(*order).limit(limit))
    return [_stored(row, None) for row in rows], total


def get(session: Session, number: int) -> Stored | None:
    """A notification with its evidence."""
    row = session.get(NotificationRow, number)
    return None if row is None else _stored(row, session.get(ReportRow, number))


def pending(session: Session, limit: int) -> list[int]:
    """The notifications whose evidence is still to be frozen."""
    wanted = select(ReportRow.notification_id).where(ReportRow.state == PENDING).order_by(ReportRow.requested_at)
    return list(session.scalars(wanted.limit(limit)))


def freeze(session: Session, number: int, report: Report) -> None:
    """Write the evidence where none is."""
    session.execute(
        update(ReportRow)
        .where(ReportRow.notification_id == number, ReportRow.state == PENDING)
        .values(state=report.state, frozen_at=report.frozen_at, sections=[asdict(one) for one in report.sections])
    )


def acknowledge(session: Session, number: int, by: str, said: str, now: float) -> Stored | None:
    """Somebody takes care of it."""
    session.execute(
        update(NotificationRow)
        .where(NotificationRow.id == number, NotificationRow.acknowledged_at.is_(None))
        .values(acknowledged_at=now, acknowledged_by=by, acknowledgement=said)
    )
    return get(session, number)


def _stored(row: NotificationRow, report: ReportRow | None) -> Stored:
    notice = Notice(**{one.name: getattr(row, one.name) for one in fields(Notice)})
    return Stored(
        row.id,
        notice,
        row.received_at,
        row.updated_at,
        row.acknowledged_at,
        row.acknowledged_by,
        row.acknowledgement,
        None if report is None else Report(report.state, report.requested_at, report.frozen_at, _sections(report)),
    )


def _sections(report: ReportRow) -> tuple[Section, ...]:
    return tuple(Section(**_known(one)) for one in report.sections)


def _known(section: dict[str, Any]) -> dict[str, Any]:
    return {one.name: section[one.name] for one in fields(Section) if one.name in section}
