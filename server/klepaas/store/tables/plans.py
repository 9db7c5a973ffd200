"""Plans: what calls would change, shown to a person and confirmed; only `klepaas.plans` reads and writes them."""

from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from klepaas.store.tables.base import Base

__all__ = ["PlanRow"]


class PlanRow(Base):
    """One plan.

    It holds digests of what was planned, by a key outside of the store, and what people are shown, without secrets.
    `seal` is a digest of all other columns: whoever can only write to the store can neither make nor alter a plan.
    """

    __tablename__ = "plans"

    id: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str]
    requested_by: Mapped[str]
    requester: Mapped[str]
    tool: Mapped[str]
    effect: Mapped[str]
    arguments_digest: Mapped[str]
    content_digest: Mapped[str]
    basis_digest: Mapped[str]
    rendering: Mapped[dict[str, Any]]
    state: Mapped[str]
    awaits_answer: Mapped[bool] = mapped_column(default=False)
    rounds: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[float]
    expires_at: Mapped[float]
    confirmed_by: Mapped[str | None]
    confirmed_at: Mapped[float | None]
    seal: Mapped[str]

    __table_args__ = (
        Index("plans_of_a_requester", "requested_by", "state"),
        Index("plans_by_expiry", "expires_at"),
    )
