"""The alerts that others told klepaas of, and the evidence that was frozen with each; kept for a while, then forgotten.

One notification is one alert that fired at one time; told again, it is brought up to date. Whoever writes has taken
secrets and harmful characters out of every text. Reading where nothing was ever stored gives nothing and imports no
database library.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from klepaas.host import Host
from klepaas.store.database import Store

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["AlertStore", "Keeping", "Notice", "Report", "Section", "Stored"]

FIRING, RESOLVED = "firing", "resolved"
PENDING, FROZEN, MISSED = "pending", "frozen", "missed"


@dataclass(frozen=True)
class Section:
    """What one source of evidence found.

    Attributes:
        source: Its name.
        text: What it found, or why it found nothing.
        failed: Whether it could not look.
    """

    source: str
    text: str
    failed: bool = False


@dataclass(frozen=True)
class Report:
    """The evidence of one notification.

    Attributes:
        state: "pending", "frozen", or "missed": then nobody looked in time.
        requested_at: When it was asked for, in seconds since 1970.
        frozen_at: When it was complete. None: it is not.
        sections: What was found.
    """

    state: str
    requested_at: float
    frozen_at: float | None = None
    sections: Sequence[Section] = ()


@dataclass(frozen=True)
class Notice:
    """An alert as it was told. Times are seconds since 1970.

    Attributes:
        source: Who told: "alertmanager".
        fingerprint: What is the same for the same labels.
        starts_at: Since when it fires.
        state: "firing" or "resolved".
        name: What it is called.
        severity: How grave it is said to be, or "".
        labels: All its labels.
        annotations: What it says of itself.
        ends_at: When it ended. None: it has not.
        group_key: The group it was told with.
        receiver: What it was routed to.
    """

    source: str
    fingerprint: str
    starts_at: float
    state: str
    name: str
    severity: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    ends_at: float | None = None
    group_key: str = ""
    receiver: str = ""


@dataclass(frozen=True)
class Stored:
    """A notification.

    Attributes:
        id: Its number.
        notice: The alert, as it was told last.
        received_at: When it was told first, in seconds since 1970.
        updated_at: When it was told last.
        acknowledged_at: When somebody took care of it. None: nobody has.
        acknowledged_by: Who.
        acknowledgement: What they said.
        report: The evidence. None: none was wanted.
    """

    id: int
    notice: Notice
    received_at: float
    updated_at: float
    acknowledged_at: float | None = None
    acknowledged_by: str | None = None
    acknowledgement: str | None = None
    report: Report | None = None


@dataclass(frozen=True)
class Keeping:
    """How long notifications are kept.

    Attributes:
        days: After so many days without news a notification goes.
        most: Of more than these the oldest go.
    """

    days: float = 30.0
    most: int = 5000


class AlertStore:
    """The notifications of one server's store.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def of(cls, host: Host) -> "AlertStore":
        """The host's own."""
        return host.service(cls, lambda host: cls(Store.of(host)))

    async def take(self, notices: Sequence[Notice], now: float, keeping: Keeping) -> list[int]:
        """Write what was told, all of it or nothing.

        Args:
            notices: The alerts.
            now: The time, in seconds since 1970.
            keeping: How long notifications are kept.

        Returns:
            The numbers of those that are new and fire: each has a report, which is pending.

        Raises:
            StoreUnavailable: Nothing was written.
        """
        from klepaas.store.alert_queries import forget, put

        def work(session: "Session") -> list[int]:
            new = [put(session, notice, now) for notice in notices]
            forget(session, now, keeping)
            return [number for number in new if number is not None]

        return await self._store.write(work)

    async def find(
        self, *, state: str | None = None, unacknowledged: bool = False, limit: int = 20
    ) -> tuple[list[Stored], int]:
        """Notifications without their evidence: those that fire first, then the newest.

        Args:
            state: Only in this state. None: any.
            unacknowledged: Only those of which nobody has taken care.
            limit: At most so many.

        Returns:
            These, and how many there are in all.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        if not self._store.exists:
            return [], 0
        from klepaas.store.alert_queries import find

        return await self._store.read(lambda session: find(session, state, unacknowledged, limit))

    async def get(self, number: int) -> Stored | None:
        """A notification with its evidence. None: there is none.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        if not self._store.exists:
            return None
        from klepaas.store.alert_queries import get

        return await self._store.read(lambda session: get(session, number))

    async def pending(self, limit: int = 100) -> list[int]:
        """The notifications whose evidence is still to be frozen, the oldest first.

        Raises:
            StoreUnavailable: It cannot be read.
        """
        if not self._store.exists:
            return []
        from klepaas.store.alert_queries import pending

        return await self._store.read(lambda session: pending(session, limit))

    async def freeze(self, number: int, report: Report) -> None:
        """Write the evidence, unless it is there already: it is never written over.

        Raises:
            StoreUnavailable: It is not written.
        """
        from klepaas.store.alert_queries import freeze

        await self._store.write(lambda session: freeze(session, number, report))

    async def acknowledge(self, number: int, by: str, said: str, now: float) -> Stored | None:
        """Somebody takes care of it; of two the first stays.

        Args:
            number: The notification.
            by: Who.
            said: What they say.
            now: The time, in seconds since 1970.

        Returns:
            How it is now. None: there is no such notification.

        Raises:
            StoreUnavailable: That is not written.
        """
        if not self._store.exists:
            return None
        from klepaas.store.alert_queries import acknowledge

        return await self._store.write(lambda session: acknowledge(session, number, by, said, now))


def columns_of(notice: Notice) -> dict[str, Any]:
    """A notice as the columns of its row."""
    found = {one.name: getattr(notice, one.name) for one in fields(Notice)}
    return {**found, "labels": dict(notice.labels), "annotations": dict(notice.annotations)}
