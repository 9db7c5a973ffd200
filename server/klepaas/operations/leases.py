"""Who carries an operation out: leases that run out, and epochs that fence whoever lost one.

A process holds an operation for `LEASE_S` and says every `HEARTBEAT_S` that it still does. Each take-over counts the
epoch up, and every write of a holder asks that its epoch is still the last. A holder goes by its own monotonic clock;
others go by the store's, and by no lease that is further ahead than it lasts: such a one was written before the clock
was set back. Functions on a session, one transaction each; nothing here runs anything.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.orm import Session

from klepaas.operations.holders import is_gone
from klepaas.operations.kinds import State
from klepaas.operations.model import Operation
from klepaas.operations.records import (
    LEASE_OF_OLDER_S,
    RETRY_MAX_S,
    is_leased,
    operation_of,
    waiting_as_json,
)
from klepaas.store.database import now_of
from klepaas.store.moments import ClockWatch, is_ahead
from klepaas.store.tables import OperationRow

__all__ = ["Census", "Held", "Progress", "Renewal", "candidates", "census", "claim", "release", "renew"]

_OPEN = (State.PENDING.value, State.RUNNING.value)
_MOST_CANDIDATES = 50
_STUCK_AFTER_S = 60.0
# As `klepaas.store.moments.is_ahead`.
_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Progress:
    """How far an operation is; `changed` says whether the store does not know it yet."""

    done: float = 0.0
    total: float = 0.0
    line: str = ""
    changed: bool = False


@dataclass(frozen=True)
class Held:
    """An operation that a process says it holds.

    Attributes:
        epoch: Under which it took it.
        attended_s: How much of the operation's time is used, in seconds, by the holder's clock. None: no news.
        progress: How far it is. None: no news.
    """

    epoch: int
    attended_s: float | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class Renewal:
    """What became of a lease.

    Attributes:
        kept: Whether it is still ours.
        cancel_requested: Whether somebody asked to cancel the operation.
    """

    kept: bool
    cancel_requested: bool = False


@dataclass(frozen=True)
class Census:
    """How many operations there are under way, for the metrics.

    Attributes:
        open: How many have not ended.
        oldest_s: The age of the oldest of them, in seconds.
        stuck: How many nobody has carried out for more than a minute.
    """

    open: int = 0
    oldest_s: float = 0.0
    stuck: int = 0


def candidates(
    session: Session, holder: str, watch: ClockWatch | None = None
) -> tuple[list[tuple[Operation, int]], float | None]:
    """Operations that nobody carries out, each with its epoch; and in how many seconds the next may be one.

    Args:
        session: A transaction.
        holder: Who asks: what it holds itself does not count.
        watch: Sees whether the clock was set: until every holder had time to say that it is alive, only what surely
            nobody holds is free. None: it was not.
    """
    now = now_of(session)
    is_steady = watch is None or watch.observe(now, time.monotonic())
    rows = session.scalars(
        select(OperationRow).where(OperationRow.state.in_(_OPEN)).order_by(OperationRow.created_at)
    ).all()
    free = [row for row in rows if _is_free(row, now, is_steady=is_steady)]
    later = [_free_in_s(row, now) for row in rows if row not in free and row.held_by != holder]
    found = [(operation_of(row, now), row.epoch) for row in free[:_MOST_CANDIDATES]]
    return found, min(later, default=None)


def _is_free(row: OperationRow, now: float, *, is_steady: bool) -> bool:
    if is_ahead(row.next_attempt_at, now, at_most_s=RETRY_MAX_S):
        return False
    if row.held_by is None or is_gone(row.held_by):
        return True
    return is_steady and not is_leased(row, now)


def _free_in_s(row: OperationRow, now: float) -> float:
    return max(0.0, (row.lease_until or 0.0) - now, (row.next_attempt_at or 0.0) - now)


def claim(session: Session, operation_id: str, epoch: int, holder: str, lease_s: float) -> bool:
    """Take an operation that nobody carries out.

    Args:
        session: A transaction that writes.
        operation_id: Which.
        epoch: Its epoch when it was seen free.
        holder: Who takes it.
        lease_s: For how long, in seconds.

    Returns:
        Whether it is taken: nobody else was first.
    """
    now = now_of(session)
    # A server that stopped in order has released it and it does not count as an attempt.
    counts = or_(OperationRow.held_by.is_not(None), OperationRow.next_attempt_at.is_not(None))
    values = {
        "epoch": epoch + 1,
        "held_by": holder,
        "lease_until": now + lease_s,
        "lease_s": lease_s,
        "next_attempt_at": None,
        "state": State.RUNNING.value,
        "attempt": OperationRow.attempt + case((counts, 1), else_=0),
        "updated_at": now,
    }
    lasts_s = func.coalesce(OperationRow.lease_s, LEASE_OF_OLDER_S)
    is_too_far = OperationRow.lease_until > now + lasts_s + _TOLERANCE_S
    free = or_(OperationRow.lease_until.is_(None), OperationRow.lease_until <= now, is_too_far)
    held_by = session.scalar(select(OperationRow.held_by).where(OperationRow.id == operation_id))
    if held_by is not None and is_gone(held_by):
        free = or_(free, OperationRow.held_by == held_by)
    changed = session.execute(
        update(OperationRow)
        .where(OperationRow.id == operation_id, OperationRow.epoch == epoch, OperationRow.state.in_(_OPEN), free)
        .values(values)
        .execution_options(synchronize_session=False)
    )
    return _rows(changed) == 1


def renew(session: Session, held: Mapping[str, Held], holder: str, lease_s: float) -> dict[str, Renewal]:
    """Say of several operations that they are still carried out.

    Args:
        session: A transaction that writes.
        held: What is held, by id.
        holder: Who holds them.
        lease_s: For how long, in seconds.
    """
    now = now_of(session)
    found = {}
    for operation_id, one in held.items():
        values: dict[str, Any] = {"lease_until": now + lease_s, "lease_s": lease_s}
        if one.attended_s is not None:
            values["attended_s"] = one.attended_s
        if one.progress is not None:
            news = one.progress
            values |= {"done": news.done, "total": news.total, "line": news.line, "updated_at": now}
        changed = session.execute(
            update(OperationRow)
            .where(OperationRow.id == operation_id, OperationRow.epoch == one.epoch, OperationRow.held_by == holder)
            .values(values)
            .returning(OperationRow.cancel_requested_at)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        found[operation_id] = Renewal(False) if changed is None else Renewal(True, changed[0] is not None)
    return found


def release(
    session: Session,
    operation_id: str,
    epoch: int,
    retry_in_s: float | None = None,
    *,
    reason: str | None = None,
    attended_s: float | None = None,
) -> None:
    """Let go of an operation that has not ended.

    Args:
        session: A transaction that writes.
        operation_id: Which.
        epoch: The holder's.
        retry_in_s: It is not to be taken up again before so many seconds, `RETRY_MAX_S` at most. None: at once.
        reason: What it waits for, in one line. None: for nothing, or for what is on record.
        attended_s: How much of its time is used, in seconds. None: no news.
    """
    now = now_of(session)
    values: dict[str, Any] = {
        "held_by": None,
        "lease_until": None,
        "next_attempt_at": None if retry_in_s is None else now + min(retry_in_s, RETRY_MAX_S),
        "state": State.PENDING.value,
        "updated_at": now,
    }
    if attended_s is not None:
        values["attended_s"] = attended_s
    is_ours = (OperationRow.id == operation_id, OperationRow.epoch == epoch, OperationRow.state.in_(_OPEN))
    if reason is not None:
        before = session.scalars(select(OperationRow.waiting).where(*is_ours)).one_or_none()
        values["waiting"] = waiting_as_json(before, reason, now, values["next_attempt_at"])
    session.execute(update(OperationRow).where(*is_ours).values(values).execution_options(synchronize_session=False))


def census(session: Session) -> Census:
    """How many operations are under way."""
    now = now_of(session)
    free_since = func.coalesce(OperationRow.next_attempt_at, OperationRow.lease_until, OperationRow.updated_at)
    row: Sequence[Any] = session.execute(
        select(
            func.count(),
            func.min(OperationRow.created_at),
            func.coalesce(func.sum(case((free_since < now - _STUCK_AFTER_S, 1), else_=0)), 0),
        ).where(OperationRow.state.in_(_OPEN))
    ).one()
    return Census(row[0], 0.0 if row[1] is None else max(0.0, now - row[1]), int(row[2]))


def _rows(result: Any) -> int:
    """How many rows an UPDATE changed."""
    return int(result.rowcount)
