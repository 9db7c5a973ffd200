"""Names under which one and the same thing was seen; written and read by `klepaas.store.identities`."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from klepaas.store.tables.base import Base

__all__ = ["IdentityRow"]


class IdentityRow(Base):
    """One name, and the oldest name of the same thing, which stands for all of them."""

    __tablename__ = "identities"

    name: Mapped[str] = mapped_column(primary_key=True)
    canonical: Mapped[str]
    seen_at: Mapped[float]

    __table_args__ = (Index("identities_by_canonical", "canonical"),)
