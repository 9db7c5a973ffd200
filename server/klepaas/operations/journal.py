"""The journal: every reading and writing of operations and their steps, one transaction each.

It decides nothing about when something is done; `klepaas.operations.run` and `klepaas.operations.runner` do. Every
write of whoever carries an operation out asks for its epoch, so that a process that was overtaken writes nothing.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from klepaas.errors import BadRequest
from klepaas.operations.bodies import Bodies
from klepaas.operations.kinds import Fenced, Location, Outcome, State
from klepaas.operations.model import Operation, StepRecord, StepState
from klepaas.operations.origin import Origin
from klepaas.operations.records import (
    digest,
    new_id,
    notes_of,
    notes_with,
    operation_of,
    principal_as_json,
    step_of,
    waiting_as_json,
)
from klepaas.operations.superseding import Describe, end, make_room
from klepaas.principals import Principal, owners_of
from klepaas.store.database import now_of
from klepaas.store.identities import group_of
from klepaas.store.moments import ClockWatch
from klepaas.store.tables import OperationRow, StepRow

__all__ = [
    "Intent",
    "Submission",
    "cancel",
    "conclude",
    "find",
    "get",
    "intend",
    "note",
    "resume",
    "settle",
    "submit",
    "wait",
]

_OPEN = (State.PENDING.value, State.RUNNING.value)


@dataclass(frozen=True)
class Submission:
    """What somebody asks for.

    Attributes:
        kind: The name of the kind.
        target: What it works on.
        title: What it does, in a few words.
        request: JSON data.
        principal: Who asks.
        idempotency_key: The same key means the same operation, also after it has ended. None: there is none.
        deadline_s: How long it may take, in seconds.
        location: Where it works, by the names that people use.
        namespace_uid: Which namespace of that name it is. "": that is not known.
        id: Its handle, which exists before it is on record.
        describe: What a superseded operation had changed, a line each. None: its steps say it.
        origin: With what right it is begun. None: nobody noted it.
    """

    kind: str
    target: str
    title: str
    request: dict[str, Any]
    principal: Principal
    idempotency_key: str | None
    deadline_s: float
    location: Location = field(default_factory=Location)
    namespace_uid: str = ""
    id: str = field(default_factory=new_id)
    describe: Describe | None = None
    origin: Origin | None = None


@dataclass(frozen=True)
class Intent:
    """What the journal says when a step is about to be made.

    Attributes:
        step: What it knows of the step now.
        is_new: Whether nobody can have sent it before.
        age_s: How long ago it was last meant, in seconds.
        cancel_requested: Whether somebody asked to cancel the operation.
    """

    step: StepRecord
    is_new: bool
    age_s: float
    cancel_requested: bool


def submit(
    session: Session,
    wanted: Submission,
    holder: str,
    lease_s: float,
    *,
    bodies: Bodies,
    watch: ClockWatch | None = None,
) -> tuple[Operation, bool]:
    """Put an operation on record, held by who submits it; or find the equal one that is there.

    One on the same target that only waits ends by that: the new one takes its place.

    Args:
        session: A transaction that writes.
        wanted: What is asked for.
        holder: Who submits it.
        lease_s: For how long it is held, in seconds.
        bodies: Encrypts what is asked for.
        watch: Says whether the clock was set, so that nobody counts as gone by it. None: it was not.

    Returns:
        The operation, and whether it is new.

    Raises:
        Conflict: Another operation works on the target.
        BadRequest: The idempotency key was used for something else.
        IntegrityError: Somebody was faster; try again.
    """
    now = now_of(session)
    is_steady = watch is None or watch.observe(now, time.monotonic())
    there, in_the_way = _equal_one(session, wanted, bodies)
    if there is not None:
        return operation_of(there, now), False
    row = _new_row(wanted, bodies, now)
    row.supersedes = make_room(
        session, in_the_way, wanted.id, wanted.title, now=now, is_steady=is_steady, describe=wanted.describe
    )
    row.held_by, row.lease_until, row.lease_s = holder, now + lease_s, lease_s
    session.add(row)
    session.flush()
    return operation_of(row, now), True


def _new_row(wanted: Submission, bodies: Bodies, now: float) -> OperationRow:
    """An operation as it begins, held by nobody."""
    digest = bodies.digest(wanted.id, wanted.request)
    return OperationRow(
        id=wanted.id,
        kind=wanted.kind,
        target=wanted.target,
        title=wanted.title,
        principal=principal_as_json(wanted.principal),
        owned_by=wanted.principal.owner,
        request=bodies.seal_request(wanted.id, wanted.request, digest),
        request_digest=digest,
        notes=notes_with(wanted.location, wanted.origin),
        idempotency_key=wanted.idempotency_key,
        state=State.RUNNING.value,
        attempt=1,
        epoch=1,
        namespace_uid=wanted.namespace_uid,
        created_at=now,
        updated_at=now,
        deadline_at=now + wanted.deadline_s,
    )


def _equal_one(
    session: Session, wanted: Submission, bodies: Bodies
) -> tuple[OperationRow | None, Sequence[OperationRow]]:
    """The operation that is the same as what is wanted; else those that work on its target."""
    owned_by = wanted.principal.owner
    if wanted.idempotency_key is not None:
        keyed = session.scalars(
            select(OperationRow).where(
                OperationRow.owned_by.in_(owners_of(owned_by)), OperationRow.idempotency_key == wanted.idempotency_key
            )
        ).first()
        if keyed is not None:
            if not _is_equal(session, keyed, wanted, bodies):
                raise BadRequest(
                    f"The idempotency key was used for another request, the operation {keyed.id} ({keyed.title})",
                    next_step="Use a new key for a new request",
                )
            return keyed, ()
    there = open_on(session, wanted.target, wanted.namespace_uid, lock=True)
    for row in there:
        if row.owned_by in owners_of(owned_by) and _is_equal(session, row, wanted, bodies):
            return row, ()
    return None, there


def _is_equal(session: Session, row: OperationRow, wanted: Submission, bodies: Bodies) -> bool:
    if row.kind != wanted.kind or row.target not in _names_of(session, wanted.target):
        return False
    # It may have been begun by another name of the same target, which stands in its request.
    request = {name: row.target if value == wanted.target else value for name, value in wanted.request.items()}
    if ":" not in row.request_digest:  # an earlier version wrote it
        return row.request_digest in (digest(row.id, wanted.request), digest(row.id, request))
    return any(bodies.is_equal(row.request_digest, row.id, one) for one in (wanted.request, request))


def running_on(session: Session, target: str) -> OperationRow | None:
    """The operation that works on a target, by whatever name of it. None: none does.

    Args:
        session: A transaction.
        target: By one of its names.
    """
    return next(iter(open_on(session, target)), None)


def open_on(session: Session, target: str, namespace_uid: str = "", *, lock: bool = False) -> Sequence[OperationRow]:
    """The operations that work on a target, by whatever name of it, the oldest first.

    Two may be open, begun before it was known that their names mean one target. A namespace that was deleted and
    created again is another target: what works in the old one is not in the way of what works in the new one.

    Args:
        session: A transaction.
        target: By one of its names.
        namespace_uid: Which namespace of its name it is. "": not known, so it may be any.
        lock: Whether another that begins an operation on the same target waits for this transaction.
    """
    if lock and session.get_bind().dialect.name == "postgresql":
        # Two names of one target may have no row in common that could be locked.
        name = target.partition("/")[2] or target
        session.execute(
            text("SELECT pg_advisory_xact_lock(hashtext('klepaas operation'), hashtext(:name))"), {"name": name}
        )
    names = _names_of(session, target, lock=lock)
    on_it = select(OperationRow).where(OperationRow.target.in_(names), OperationRow.state.in_(_OPEN))
    if namespace_uid:
        on_it = on_it.where(OperationRow.namespace_uid.in_(("", namespace_uid)))
    on_it = on_it.order_by(OperationRow.created_at)
    return session.scalars(on_it.with_for_update() if lock else on_it).all()


def _names_of(session: Session, target: str, *, lock: bool = False) -> list[str]:
    """A target by every name that what stands before its first slash was seen under."""
    place, slash, rest = target.partition("/")
    if not slash:
        return [target]
    return [f"{name}/{rest}" for name in group_of(session, place, lock=lock)]


def get(session: Session, operation_id: str, owned_by: str | None) -> Operation | None:
    """One operation with its steps.

    Args:
        session: A transaction.
        operation_id: Which.
        owned_by: Whose. None: anybody's.
    """
    row = session.get(OperationRow, operation_id)
    if row is None or (owned_by is not None and row.owned_by not in owners_of(owned_by)):
        return None
    steps = session.scalars(select(StepRow).where(StepRow.operation_id == operation_id).order_by(StepRow.number)).all()
    return operation_of(row, now_of(session), steps)


def find(
    session: Session,
    owned_by: str | None,
    *,
    state: State | None = None,
    kind: str | None = None,
    target: str | None = None,
    limit: int = 20,
) -> list[Operation]:
    """Operations, those under way first, then the newest.

    Args:
        session: A transaction.
        owned_by: Whose. None: anybody's.
        state: Only these.
        kind: Only of this kind.
        target: Only on this target.
        limit: At most so many.
    """
    wanted = select(OperationRow)
    if target is not None:
        wanted = wanted.where(OperationRow.target.in_(_names_of(session, target)))
    if owned_by is not None:
        wanted = wanted.where(OperationRow.owned_by.in_(owners_of(owned_by)))
    for column, value in (
        (OperationRow.state, state),
        (OperationRow.kind, kind),
    ):
        wanted = wanted if value is None else wanted.where(column == value)
    order = (OperationRow.state.in_(_OPEN).desc(), OperationRow.created_at.desc())
    now = now_of(session)
    return [operation_of(row, now) for row in session.scalars(wanted.order_by(*order).limit(limit))]


def cancel(session: Session, operation_id: str, owned_by: str | None) -> Operation | None:
    """Ask for an operation to be cancelled; one that has ended stays as it is.

    Returns:
        The operation. None: there is no such operation of theirs.
    """
    found = get(session, operation_id, owned_by)
    if found is None or found.ended:
        return found
    now = now_of(session)
    open_one = (OperationRow.id == operation_id, OperationRow.state.in_(_OPEN))
    unasked = OperationRow.cancel_requested_at.is_(None)
    # What waits for a later attempt is cancelled now.
    values = {"cancel_requested_at": now, "next_attempt_at": None, "updated_at": now}
    session.execute(
        update(OperationRow).where(*open_one, unasked).values(values).execution_options(synchronize_session=False)
    )
    session.expire_all()
    return get(session, operation_id, owned_by)


def _held(session: Session, operation_id: str, epoch: int) -> OperationRow:
    """The row, locked.

    Raises:
        Fenced: Another process holds it.
    """
    row = session.scalars(
        select(OperationRow)
        .where(OperationRow.id == operation_id, OperationRow.epoch == epoch, OperationRow.held_by.is_not(None))
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise Fenced(f"another process carries out {operation_id}")
    return row


def intend(
    session: Session, operation_id: str, epoch: int, name: str, lease_s: float, *, tidying: bool, again: bool = False
) -> Intent:
    """Put on record that a step is about to be sent, unless it is done, may have been sent, or is not wanted any more.

    Args:
        session: A transaction that writes.
        operation_id: The operation.
        epoch: The holder's.
        name: The step.
        lease_s: The lease is renewed for so long, in seconds.
        tidying: Whether it is made although the operation is cancelled.
        again: It is known that what may have been sent did not happen, and it is sent once more.

    Raises:
        Fenced: Another process holds the operation.
    """
    row = _held(session, operation_id, epoch)
    now = now_of(session)
    row.lease_until, row.lease_s, row.waiting = now + lease_s, lease_s, None
    step = session.get(StepRow, (operation_id, name))
    asked = row.cancel_requested_at is not None
    if step is None:
        step = StepRow(operation_id=operation_id, name=name, number=_next_number(session, operation_id), epoch=epoch)
        step.state, step.intended_at = StepState.INTENT.value, now
        if not asked or tidying:
            session.add(step)
            row.updated_at = now
        return Intent(step_of(step), True, 0.0, asked)
    age_s = now - step.intended_at
    is_new = again or step.state == StepState.FAILED
    if is_new and (not asked or tidying):
        step.state, step.intended_at, step.epoch, step.ended_at = StepState.INTENT.value, now, epoch, None
    return Intent(step_of(step), is_new, age_s, asked)


def _next_number(session: Session, operation_id: str) -> int:
    most = session.scalar(select(func.max(StepRow.number)).where(StepRow.operation_id == operation_id))
    return (most or 0) + 1


def settle(
    session: Session,
    operation_id: str,
    epoch: int,
    name: str,
    state: StepState,
    result: Mapping[str, Any] | None = None,
) -> None:
    """Put on record what became of a step.

    Raises:
        Fenced: Another process holds the operation.
    """
    row = _held(session, operation_id, epoch)
    now = now_of(session)
    row.updated_at = now
    values = {"state": state.value, "ended_at": now, "result": None if result is None else dict(result)}
    session.execute(
        update(StepRow)
        .where(StepRow.operation_id == operation_id, StepRow.name == name)
        .values(values)
        .execution_options(synchronize_session=False)
    )


def note(session: Session, operation_id: str, epoch: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the notes of an operation.

    Raises:
        Fenced: Another process holds it.
    """
    row = _held(session, operation_id, epoch)
    row.notes = {**row.notes, **facts}
    row.updated_at = now_of(session)
    return notes_of(row)


def wait(session: Session, operation_id: str, epoch: int, reason: str, for_s: float | None) -> None:
    """Put on record that an operation only waits; what it waits for already, it waits for since then.

    Args:
        session: A transaction that writes.
        operation_id: The operation.
        epoch: The holder's.
        reason: What it waits for, in one line.
        for_s: When it looks again at the latest, in seconds from now. None: that is not known.

    Raises:
        Fenced: Another process holds it, or another operation superseded it.
    """
    row = _held(session, operation_id, epoch)
    now = now_of(session)
    row.waiting = waiting_as_json(row.waiting, reason, now, None if for_s is None else now + for_s)


def resume(session: Session, operation_id: str, epoch: int) -> None:
    """Put on record that an operation is at work again.

    Raises:
        Fenced: Another process holds it, or another operation superseded it.
    """
    _held(session, operation_id, epoch).waiting = None


def conclude(session: Session, operation_id: str, epoch: int, outcome: Outcome) -> Outcome:
    """Put the end of an operation on record, and forget what it needed only until then.

    Returns:
        The outcome as it stands: one that failed while a step's fate is open is "unknown".

    Raises:
        Fenced: Another process holds it.
    """
    return end(session, _held(session, operation_id, epoch), outcome, now_of(session))
