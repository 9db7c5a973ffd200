"""The journal of operations; only `klepaas.operations` reads and writes it."""

from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from klepaas.store.tables.base import Base

__all__ = ["OperationRow", "StepRow"]

_OPEN = text("state IN ('pending', 'running')")
_KEYED = text("idempotency_key IS NOT NULL")


class OperationRow(Base):
    """One operation.

    Whoever carries it out holds it until `lease_until`, a lease that lasts `lease_s`; `epoch` grows with each holder,
    and every write of a holder asks that it has not grown since. `attended_s` is how much of its time was used, by the
    clocks of those who carried it out. `waiting` says what it waits for, `supersedes` what it took the place of.
    """

    __tablename__ = "operations"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    target: Mapped[str]
    title: Mapped[str]
    principal: Mapped[dict[str, Any]]
    owned_by: Mapped[str]
    request: Mapped[dict[str, Any]]
    request_digest: Mapped[str]
    idempotency_key: Mapped[str | None]
    state: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=0)
    epoch: Mapped[int] = mapped_column(default=0)
    held_by: Mapped[str | None]
    lease_until: Mapped[float | None]
    next_attempt_at: Mapped[float | None]
    created_at: Mapped[float]
    updated_at: Mapped[float]
    deadline_at: Mapped[float]
    ended_at: Mapped[float | None]
    cancel_requested_at: Mapped[float | None]
    done: Mapped[float] = mapped_column(default=0.0)
    total: Mapped[float] = mapped_column(default=0.0)
    line: Mapped[str] = mapped_column(default="")
    notes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    outcome: Mapped[dict[str, Any] | None]
    waiting: Mapped[dict[str, Any] | None]
    supersedes: Mapped[dict[str, Any] | None]
    lease_s: Mapped[float | None]
    attended_s: Mapped[float] = mapped_column(default=0.0, server_default="0")
    namespace_uid: Mapped[str] = mapped_column(default="", server_default="")

    __table_args__ = (
        Index(
            "one_open_operation_a_target",
            "target",
            "namespace_uid",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index(
            "one_operation_a_key",
            "owned_by",
            "idempotency_key",
            unique=True,
            sqlite_where=_KEYED,
            postgresql_where=_KEYED,
        ),
        Index("operations_by_state", "state", "created_at"),
        Index("operations_by_owner", "owned_by", "created_at"),
    )


class StepRow(Base):
    """One step of an operation."""

    __tablename__ = "operation_steps"

    operation_id: Mapped[str] = mapped_column(ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    state: Mapped[str]
    epoch: Mapped[int]
    intended_at: Mapped[float]
    ended_at: Mapped[float | None]
    result: Mapped[dict[str, Any] | None]
