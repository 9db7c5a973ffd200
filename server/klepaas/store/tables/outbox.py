"""Notifications on their way to sinks; written and read by `klepaas.store.outbox`."""

from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from klepaas.store.tables.base import Base

__all__ = ["ParcelRow"]


class ParcelRow(Base):
    """One notification for one sink.

    Whoever delivers it holds it until `lease_until`; `epoch` grows with each holder, and only the last one writes.
    """

    __tablename__ = "notification_outbox"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    notification_id: Mapped[str]
    sink: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0)
    epoch: Mapped[int] = mapped_column(default=0)
    held_by: Mapped[str | None]
    lease_until: Mapped[float | None]
    next_attempt_at: Mapped[float]
    error: Mapped[str | None]
    created_at: Mapped[float]
    ended_at: Mapped[float | None]

    __table_args__ = (
        UniqueConstraint("notification_id", "sink", name="one_parcel_a_sink"),
        Index("parcels_by_state", "state", "sink", "next_attempt_at"),
    )
