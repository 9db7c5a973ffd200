"""The units of work of `klepaas.plans.plan_store`; importing this imports SQLAlchemy.

Every row carries a seal. One that does not fit its row was altered by somebody without the key, and counts for nothing.
"""

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from klepaas.errors import RateLimited
from klepaas.plans.handles import new_handle
from klepaas.plans.model import Draft, Plan, PlanState, Rendering
from klepaas.store.keys import Key, Keys
from klepaas.store.tables import PlanRow

__all__ = ["MOST", "MOST_OF_ONE", "change_state", "find", "find_confirmed", "get", "insert", "is_for_call"]

# A caller that asks and never answers must not fill the store.
MOST_OF_ONE = 100
MOST = 10_000
_UNSEALED = ("seal",)
# A clock that is corrected a little must not end a plan that was just made.
_TOLERANCE_S = 5.0
ALTERED = "it was altered outside of klepaas, so it counts for nothing"
OTHER_KEY = "it was made with another key, so it cannot be read here; ask again for a new plan"


def insert(session: Session, draft: Draft, keys: Keys, now: float, ttl_s: float) -> Plan:
    """Store a new plan, and forget those that have expired.

    Raises:
        RateLimited: Too many are open.
        KeysUnavailable: The key cannot be read or made.
    """
    session.execute(delete(PlanRow).where(or_(PlanRow.expires_at <= now, PlanRow.created_at > now + _TOLERANCE_S)))
    _check_room(session, draft.requested_by, ttl_s)
    key, preview = keys.current(), draft.preview
    rendering = Rendering(
        title=preview.title, targets=draft.targets, lines=preview.lines, risks=preview.risks, name=preview.name
    )
    row = PlanRow(
        id=new_handle(),
        key_id=key.id,
        requested_by=draft.requested_by,
        requester=draft.requester,
        tool=draft.tool,
        effect=draft.effect,
        arguments_digest=_arguments_digest(key, draft.tool, draft.arguments),
        content_digest=key.digest("plan content", preview.content),
        basis_digest=key.digest("plan basis", preview.basis),
        rendering=rendering.as_json(),
        state=PlanState.OPEN.value,
        awaits_answer=draft.awaits_answer,
        rounds=draft.rounds,
        created_at=now,
        expires_at=now + ttl_s,
        confirmed_by=None,
        confirmed_at=None,
    )
    row.seal = _seal(row, key)
    session.add(row)
    session.flush()
    return _plan(row, keys, now)


def _arguments_digest(key: Key, tool: str, arguments: Any) -> str:
    return key.digest("plan arguments", [tool, arguments])


def get(session: Session, plan_id: str, keys: Keys, now: float) -> Plan | None:
    """A plan, whatever its state. None: there is none."""
    row = session.get(PlanRow, plan_id)
    return None if row is None else _plan(row, keys, now)


def find(session: Session, keys: Keys, now: float) -> list[Plan]:
    """Every plan that has not expired, the newest first."""
    counts = (PlanRow.expires_at > now, PlanRow.created_at <= now + _TOLERANCE_S)
    rows = session.scalars(select(PlanRow).where(*counts).order_by(PlanRow.created_at.desc()))
    return [_plan(row, keys, now) for row in rows]


def find_confirmed(
    session: Session, requested_by: str, tool: str, arguments: Any, keys: Keys, now: float
) -> Sequence[Plan]:
    """The plans for exactly this call that were confirmed at a terminal, the newest first.

    Those whose key is not here are among them, since nobody can tell what they are for; they have a `trouble`.
    """
    rows = session.scalars(
        select(PlanRow)
        .where(PlanRow.requested_by == requested_by, PlanRow.state == PlanState.CONFIRMED.value)
        .where(PlanRow.tool == tool, PlanRow.expires_at > now, PlanRow.created_at <= now + _TOLERANCE_S)
        .order_by(PlanRow.confirmed_at.desc())
    )
    plans = [_plan(row, keys, now) for row in rows]
    return [plan for plan in plans if plan.trouble == OTHER_KEY or is_for_call(plan, tool, arguments, keys)]


def is_for_call(plan: Plan, tool: str, arguments: Any, keys: Keys) -> bool:
    """Whether a plan is for exactly this call.

    Args:
        plan: The plan.
        tool: The tool.
        arguments: Its arguments, without `dry_run`.
        keys: The keys.
    """
    key = keys.find(plan.key_id)
    if key is None or plan.trouble is not None:
        return False
    return hmac.compare_digest(plan.arguments_digest, _arguments_digest(key, tool, arguments))


def change_state(
    session: Session,
    plan_id: str,
    state: PlanState,
    keys: Keys,
    *,
    now: float,
    since: Sequence[PlanState],
    confirmed_by: str | None = None,
) -> Plan | None:
    """Bring a plan to another state; of two that try it one succeeds. No client may answer for it any more.

    Args:
        session: A transaction that writes.
        plan_id: The plan.
        state: The new state.
        keys: The keys.
        now: The time, in seconds since 1970.
        since: The states that it may be in.
        confirmed_by: Who confirmed it, where that is what happens.

    Returns:
        The plan as it is now. None: it is in none of these states, has expired, or counts for nothing.
    """
    # The row is locked: SQLite has one writer, PostgreSQL locks it for the update.
    row = session.get(PlanRow, plan_id, with_for_update=True)
    if row is None or not (plan := _plan(row, keys, now)).is_usable or plan.state not in since:
        return None
    key = keys.find(row.key_id)
    if key is None:
        return None
    row.state, row.awaits_answer = state.value, False
    if confirmed_by is not None:
        row.confirmed_by, row.confirmed_at = confirmed_by, now
    row.seal = _seal(row, key)
    session.flush()
    return _plan(row, keys, now)


def _check_room(session: Session, requested_by: str, ttl_s: float) -> None:
    waiting = PlanRow.state.in_((PlanState.OPEN.value, PlanState.CONFIRMED.value))
    mine = session.scalar(select(func.count()).where(PlanRow.requested_by == requested_by, waiting)) or 0
    there = session.scalar(select(func.count()).select_from(PlanRow)) or 0
    if mine >= MOST_OF_ONE or there >= MOST:
        raise RateLimited("Too many changes wait for a confirmation", retry_after_s=ttl_s)


def _seal(row: PlanRow, key: Key) -> str:
    columns = [column.key for column in PlanRow.__table__.columns if column.key not in _UNSEALED]
    return key.digest("plan seal", [[name, getattr(row, name)] for name in sorted(columns)])


def _trouble(row: PlanRow, keys: Keys) -> str | None:
    key = keys.find(row.key_id)
    if key is None:
        return OTHER_KEY
    return None if hmac.compare_digest(row.seal.encode(), _seal(row, key).encode()) else ALTERED


def _expires_in_s(row: PlanRow, now: float) -> float:
    """How long a plan still counts; one of the future was made before the clock was set back, and counts no more."""
    return row.expires_at - now if row.created_at <= now + _TOLERANCE_S else 0.0


def _plan(row: PlanRow, keys: Keys, now: float) -> Plan:
    trouble = _trouble(row, keys)
    plan = Plan(
        id=row.id,
        key_id=row.key_id,
        requested_by=row.requested_by,
        requester=row.requester,
        tool=row.tool,
        effect=row.effect,
        arguments_digest=row.arguments_digest,
        content_digest=row.content_digest,
        basis_digest=row.basis_digest,
        rendering=Rendering(title="", targets=(), lines=(), risks=(), name=""),
        state=PlanState.REFUSED,
        awaits_answer=bool(row.awaits_answer),
        rounds=row.rounds,
        created_at=row.created_at,
        expires_at=row.expires_at,
        confirmed_by=row.confirmed_by,
        confirmed_at=row.confirmed_at,
        expires_in_s=_expires_in_s(row, now),
        trouble=trouble,
    )
    if trouble == ALTERED:  # nothing in it can be relied on, its shape neither
        return plan
    return replace(plan, rendering=Rendering(**row.rendering), state=PlanState(row.state))
