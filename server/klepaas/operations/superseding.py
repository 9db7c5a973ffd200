"""A change takes the place of an operation on the same target that only waits; and how operations end on record.

What waits has nothing on its way: a step ends its waiting in the same transaction that puts the step on record. So it
is ended in the transaction that begins its successor, whoever holds it, and its holder writes nothing more.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from klepaas.errors import Conflict
from klepaas.operations.bodies import shown_part, without_sealed
from klepaas.operations.kinds import Outcome, State
from klepaas.operations.model import Operation, StepState
from klepaas.operations.records import UNATTENDED, operation_of, outcome_as_json, redacted, waiting_of
from klepaas.output.verdict import nothing_changed
from klepaas.store.tables import OperationRow, StepRow

__all__ = ["Describe", "end", "make_room"]

# What an operation had changed, a line each; it asks nobody.
Describe = Callable[[Operation], Sequence[str]]
# How it is known that one had changed nothing.
_STEPS = "no step of it was carried out"
# Operations that ended are kept so long; the history of deployments is kept apart from them.
_KEPT_S = 90 * 86400.0


def make_room(
    session: Session,
    in_the_way: Sequence[OperationRow],
    successor: str,
    title: str,
    *,
    now: float,
    is_steady: bool,
    describe: Describe | None,
) -> dict[str, Any] | None:
    """End the operations on a target that only wait.

    Args:
        session: A transaction that writes.
        in_the_way: The operations on the target, locked.
        successor: The id of the operation that takes their place.
        title: What that one does.
        now: The store's time.
        is_steady: Whether the clock tells for how long nobody has carried one out.
        describe: What one had changed. None: its steps say it.

    Returns:
        The newest of them, as its successor keeps it. None: there was none.

    Raises:
        Conflict: One of them is at work.
    """
    reasons: list[str] = []
    for row in in_the_way:
        waiting = waiting_of(row, now)
        if waiting is None or (waiting.reason == UNATTENDED and not is_steady):
            raise Conflict(
                f"{row.title} is under way (operation {row.id}), so {title} was not begun",
                next_step=f"Wait for it with get_operation {row.id}, or cancel it with cancel_operation",
            )
        reasons.append(waiting.reason)
    kept: dict[str, Any] | None = None
    for row, reason in zip(in_the_way, reasons, strict=True):
        kept = _inheritance(session, row, reason)
        _supersede(session, row, successor, title, reason, now=now, describe=describe)
    session.flush()
    return kept


def _inheritance(session: Session, row: OperationRow, waited_for: str) -> dict[str, Any]:
    """What the successor keeps of an operation: with what it had inherited itself, where it noted nothing newer."""
    earlier = row.supersedes or {}
    notes = {**(earlier.get("notes") or {}), **without_sealed(row.notes)}
    begun = [step.name for step in _steps(session, row.id) if step.state != StepState.FAILED]
    has_begun = bool(begun) or bool(earlier.get("has_begun"))
    return {"id": row.id, "title": row.title, "waited_for": waited_for, "notes": notes, "has_begun": has_begun}


def _supersede(
    session: Session,
    row: OperationRow,
    successor: str,
    title: str,
    waited_for: str,
    *,
    now: float,
    describe: Describe | None,
) -> None:
    steps = _steps(session, row.id)
    found = operation_of(row, now, steps)
    lines = [f"{row.title}: superseded by operation {successor} ({title}), while it waited for: {waited_for}"]
    lines += list(describe(found)) if describe is not None else []
    done = [step.name for step in steps if step.state == StepState.DONE]
    if len(lines) == 1 and (done or not _is_open(steps)):
        lines.append(f"Done before, and it stays: {', '.join(done)}" if done else nothing_changed(_STEPS).capitalize())
    facts = {"state": "superseded", "superseded_by": successor, "done": done}
    end(session, row, Outcome(State.CANCELLED, "\n".join(lines), facts), now)
    # Whoever holds it writes nothing more.
    row.epoch += 1


def _is_open(steps: Sequence[StepRow]) -> bool:
    return any(step.state == StepState.INTENT for step in steps)


def _steps(session: Session, operation_id: str) -> Sequence[StepRow]:
    return session.scalars(select(StepRow).where(StepRow.operation_id == operation_id).order_by(StepRow.number)).all()


def end(session: Session, row: OperationRow, outcome: Outcome, now: float) -> Outcome:
    """Put the end of an operation on record, and forget what it needed only until then.

    Args:
        session: A transaction that writes.
        row: The operation, locked.
        outcome: How it ended.
        now: The store's time.

    Returns:
        The outcome as it stands: one that failed while a step's fate is open is "unknown".
    """
    outcome = _as_far_as_known(outcome, _open_intent(session, row.id))
    row.state, row.outcome = outcome.state.value, outcome_as_json(outcome)
    row.ended_at = row.updated_at = now
    row.held_by = row.lease_until = row.next_attempt_at = row.waiting = None
    row.request, row.notes, row.line = redacted(shown_part(row.request)), redacted(without_sealed(row.notes)), ""
    row.supersedes = redacted(row.supersedes)
    session.execute(
        update(StepRow)
        .where(StepRow.operation_id == row.id)
        .values(result=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(OperationRow).where(OperationRow.ended_at < now - _KEPT_S))
    return outcome


def _open_intent(session: Session, operation_id: str) -> str | None:
    """The name of a step of which only the intent is known. None: there is none."""
    is_open = (StepRow.operation_id == operation_id, StepRow.state == StepState.INTENT.value)
    return session.scalar(select(StepRow.name).where(*is_open).limit(1))


def _as_far_as_known(outcome: Outcome, open_step: str | None) -> Outcome:
    if open_step is None or outcome.state not in (State.FAILED, State.CANCELLED):
        return outcome
    text = f"{outcome.text}\nWhether the step {open_step} happened is not known: look before you change it again."
    return replace(outcome, state=State.UNKNOWN, text=text)
