"""Notifications of alerts, and the evidence that was frozen with each; written and read by `klepaas.store.alerts`."""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from klepaas.store.tables.base import Base

__all__ = ["NotificationRow", "ReportRow"]


class NotificationRow(Base):
    """One alert that fired at one time: the same labels later again are another row."""

    __tablename__ = "notifications"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    source: Mapped[str]
    fingerprint: Mapped[str]
    starts_at: Mapped[float]
    ends_at: Mapped[float | None]
    state: Mapped[str]
    name: Mapped[str]
    severity: Mapped[str]
    labels: Mapped[dict[str, Any]]
    annotations: Mapped[dict[str, Any]]
    group_key: Mapped[str]
    receiver: Mapped[str]
    received_at: Mapped[float]
    updated_at: Mapped[float]
    acknowledged_at: Mapped[float | None]
    acknowledged_by: Mapped[str | None]
    acknowledgement: Mapped[str | None]

    __table_args__ = (
        Index("one_notification_a_firing", "source", "fingerprint", "starts_at", unique=True),
        Index("notifications_by_state", "state", "updated_at"),
        Index("notifications_by_time", "updated_at"),
    )


class ReportRow(Base):
    """What was found around an alert when it fired; it goes with its notification."""

    __tablename__ = "notification_reports"

    notification_id: Mapped[int] = mapped_column(ForeignKey("notifications.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[str]
    requested_at: Mapped[float]
    frozen_at: Mapped[float | None]
    sections: Mapped[list[Any]] = mapped_column(default=list)

    __table_args__ = (Index("reports_by_state", "state", "requested_at"),)
