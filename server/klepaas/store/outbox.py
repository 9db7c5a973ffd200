"""The outbox: notifications that are committed and still to be delivered, one row for each sink.

It keeps, leases and settles rows; what delivers them is `klepaas.deliveries`. A holder that dies loses its lease and
somebody else delivers again: at least once, never silently not at all. It is bounded in both directions: so many wait,
and so many that have ended are kept to be looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from klepaas.host import Host
from klepaas.store.database import Store, now_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Census", "Outbox", "OutboxFull", "Parcel", "ParcelState", "Standing"]

MOST_WAITING = 1000
MOST_ENDED = 500
# The longest pause before a parcel is tried again, in seconds.
PAUSE_MAX_S = 3600.0
_TOLERANCE_S = 1.0


class OutboxFull(Exception):
    """So many wait already that no more are taken."""


class ParcelState(StrEnum):
    """How it is with one notification for one sink."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class Parcel:
    """One notification for one sink, in the hands of whoever delivers it.

    Attributes:
        id: Its number.
        epoch: The holder's; a later holder has a higher one.
        payload: The notification, as JSON data.
        attempts: How often it was tried before.
        age_s: How long ago it was committed, in seconds.
    """

    id: int
    epoch: int
    payload: Mapping[str, Any]
    attempts: int
    age_s: float


@dataclass(frozen=True)
class Standing:
    """How far a parcel is.

    Attributes:
        sink: For which sink.
        state: How it is.
        error: Why it was not delivered so far, in one line. None: nothing went wrong yet.
    """

    sink: str
    state: ParcelState
    error: str | None = None


@dataclass(frozen=True)
class Census:
    """What lies in the outbox.

    Attributes:
        waiting: How many wait.
        oldest_s: The age of the oldest of them, in seconds.
        failed: How many were given up, of those that are still kept.
        failed_lately: How many of these in the last hour.
        error: Why one of them was given up, or waits. None: nothing went wrong.
        strangers: Sinks for which some wait and that were not asked about.
    """

    waiting: int = 0
    oldest_s: float = 0.0
    failed: int = 0
    failed_lately: int = 0
    error: str | None = None
    strangers: Sequence[str] = ()


class Outbox:
    """The outbox of one server's store; several servers may share it.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def of(cls, host: Host) -> "Outbox":
        """The host's own."""
        return host.service(cls, lambda host: cls(Store.of(host)))

    @property
    def exists(self) -> bool:
        """Whether anything can lie in it; asks nobody."""
        return self._store.exists

    async def keep(self, notification_id: str, kind: str, payload: Mapping[str, Any], sinks: Sequence[str]) -> int:
        """Commit a notification for sinks; one that is there already stays as it is.

        Returns:
            How many wait now.

        Raises:
            OutboxFull: It is not taken.
            StoreUnavailable: It is not written.
        """
        return await self._store.write(lambda session: _keep(session, notification_id, kind, dict(payload), sinks))

    async def take(self, sink: str, holder: str, lease_s: float) -> tuple[Parcel | None, float | None]:
        """Lease the next parcel of a sink.

        Args:
            sink: The sink.
            holder: Who delivers.
            lease_s: For how long, in seconds; longer than the delivery may take.

        Returns:
            The parcel, None where none is due; and then in how many seconds the next will be, None where none waits.

        Raises:
            StoreUnavailable: It cannot be written.
        """
        return await self._store.write(lambda session: _take(session, sink, holder, lease_s))

    async def delivered(self, parcel: Parcel, holder: str) -> None:
        """A parcel arrived.

        Raises:
            StoreUnavailable: That is not written: it will be delivered again.
        """
        values: dict[str, Any] = {"state": ParcelState.DELIVERED.value, "payload": {}, "error": None}
        await self._store.write(lambda session: _settle(session, parcel, holder, values, ended=True))

    async def failed(self, parcel: Parcel, holder: str, error: str) -> None:
        """A parcel is given up.

        Raises:
            StoreUnavailable: That is not written.
        """
        values = {"state": ParcelState.FAILED.value, "error": error, "attempts": parcel.attempts + 1}
        await self._store.write(lambda session: _settle(session, parcel, holder, values, ended=True))

    async def put_off(
        self, parcel: Parcel, holder: str, error: str, wait_s: float, *, counts: bool, all_of: str | None = None
    ) -> None:
        """A parcel is to be tried again.

        Args:
            parcel: The parcel.
            holder: Who tried.
            error: Why it did not arrive, in one line without secrets.
            wait_s: Not before so many seconds.
            counts: Whether that was an attempt.
            all_of: The sink whose other parcels wait as long. None: they need not.

        Raises:
            StoreUnavailable: That is not written; the lease runs out instead.
        """
        values: dict[str, Any] = {"error": error, "attempts": parcel.attempts + counts}
        await self._store.write(
            lambda session: _settle(session, parcel, holder, values, wait_s=wait_s, all_of=all_of, ended=False)
        )

    async def standing(self, notification_id: str) -> list[Standing]:
        """How far a notification is, by sink.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        return await self._store.read(lambda session: _standing(session, notification_id))

    async def census(self, sinks: Sequence[str] = ()) -> Census:
        """What lies in it; makes nothing.

        Args:
            sinks: Those that there are.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        return await self._store.read(lambda session: _census(session, sinks)) if self.exists else Census()


def _keep(session: "Session", notification_id: str, kind: str, payload: dict[str, Any], sinks: Sequence[str]) -> int:
    from sqlalchemy import select

    from klepaas.store.tables import ParcelRow

    now, waiting = now_of(session), _waiting(session)
    there = set(session.scalars(select(ParcelRow.sink).where(ParcelRow.notification_id == notification_id)))
    new = [sink for sink in sinks if sink not in there]
    if new and waiting + len(new) > MOST_WAITING:
        raise OutboxFull
    for sink in new:
        session.add(
            ParcelRow(
                notification_id=notification_id,
                sink=sink,
                kind=kind,
                payload=payload,
                state=ParcelState.WAITING.value,
                next_attempt_at=now,
                created_at=now,
            )
        )
    _forget_old(session)
    return waiting + len(new)


def _forget_old(session: "Session") -> None:
    """Of those that have ended, keep the newest."""
    from sqlalchemy import delete, select

    from klepaas.store.tables import ParcelRow

    ended = ParcelRow.state != ParcelState.WAITING.value
    edge = session.scalar(select(ParcelRow.id).where(ended).order_by(ParcelRow.id.desc()).offset(MOST_ENDED).limit(1))
    if edge is not None:
        session.execute(
            delete(ParcelRow).where(ended, ParcelRow.id <= edge).execution_options(synchronize_session=False)
        )


def _waiting(session: "Session") -> int:
    from sqlalchemy import func, select

    from klepaas.store.tables import ParcelRow

    counted = select(func.count()).select_from(ParcelRow).where(ParcelRow.state == ParcelState.WAITING.value)
    return session.scalar(counted) or 0


def _take(session: "Session", sink: str, holder: str, lease_s: float) -> tuple[Parcel | None, float | None]:
    from sqlalchemy import func, select, update

    from klepaas.store.tables import ParcelRow

    now = now_of(session)
    waits = (ParcelRow.state == ParcelState.WAITING.value, ParcelRow.sink == sink)
    # What is further ahead than it can be was written before the clock was set back.
    row = session.scalars(
        select(ParcelRow)
        .where(
            *waits, _is_due(ParcelRow.next_attempt_at, now, PAUSE_MAX_S), _is_due(ParcelRow.lease_until, now, lease_s)
        )
        .order_by(ParcelRow.id)
        .limit(1)
    ).first()
    if row is None:
        rest = session.execute(
            select(ParcelRow.next_attempt_at, func.coalesce(ParcelRow.lease_until, 0.0)).where(*waits)
        )
        return None, min((max(due, free, now) - now for due, free in rest.all()), default=None)
    taken = session.execute(
        update(ParcelRow)
        .where(ParcelRow.id == row.id, ParcelRow.epoch == row.epoch, *waits)
        .values(epoch=row.epoch + 1, held_by=holder, lease_until=now + lease_s)
        .returning(ParcelRow.epoch)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if taken is None:  # somebody else was first
        return None, 0.05
    return Parcel(row.id, taken, row.payload, row.attempts, max(0.0, now - row.created_at)), None


def _is_due(moment: Any, now: float, at_most_s: float) -> Any:
    from sqlalchemy import or_

    return or_(moment.is_(None), moment <= now, moment > now + at_most_s + _TOLERANCE_S)


def _settle(
    session: "Session",
    parcel: Parcel,
    holder: str,
    values: dict[str, Any],
    *,
    ended: bool,
    wait_s: float = 0.0,
    all_of: str | None = None,
) -> None:
    from sqlalchemy import update

    from klepaas.store.tables import ParcelRow

    now = now_of(session)
    wait_s = min(wait_s, PAUSE_MAX_S)
    values |= {"held_by": None, "lease_until": None, "next_attempt_at": now + wait_s}
    values |= {"ended_at": now} if ended else {}
    held = (ParcelRow.id == parcel.id, ParcelRow.epoch == parcel.epoch, ParcelRow.held_by == holder)
    session.execute(update(ParcelRow).where(*held).values(values).execution_options(synchronize_session=False))
    if all_of is not None:
        others = (ParcelRow.sink == all_of, ParcelRow.state == ParcelState.WAITING.value)
        session.execute(
            update(ParcelRow)
            .where(*others, ParcelRow.next_attempt_at < now + wait_s)
            .values(next_attempt_at=now + wait_s)
            .execution_options(synchronize_session=False)
        )


def _standing(session: "Session", notification_id: str) -> list[Standing]:
    from sqlalchemy import select

    from klepaas.store.tables import ParcelRow

    rows = session.scalars(
        select(ParcelRow).where(ParcelRow.notification_id == notification_id).order_by(ParcelRow.id)
    ).all()
    return [Standing(row.sink, ParcelState(row.state), row.error) for row in rows]


def _census(session: "Session", sinks: Sequence[str]) -> Census:
    from sqlalchemy import select

    from klepaas.store.tables import ParcelRow

    columns = (ParcelRow.state, ParcelRow.sink, ParcelRow.created_at, ParcelRow.ended_at, ParcelRow.error)
    there = select(*columns).where(ParcelRow.state != ParcelState.DELIVERED.value).order_by(ParcelRow.id)
    rows, now = session.execute(there).all(), now_of(session)
    waiting = [row for row in rows if row.state == ParcelState.WAITING.value]
    failed = [row for row in rows if row.state == ParcelState.FAILED.value]
    return Census(
        waiting=len(waiting),
        oldest_s=max((max(0.0, now - row.created_at) for row in waiting), default=0.0),
        failed=len(failed),
        failed_lately=sum(abs(now - (row.ended_at or 0.0)) < 3600 for row in failed),
        error=next((row.error for row in [*reversed(failed), *waiting] if row.error), None),
        strangers=sorted({row.sink for row in waiting} - set(sinks)) if sinks else (),
    )
