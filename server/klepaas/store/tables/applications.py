"""What is set for an application and kept here; written and read by `klepaas.store.applications`."""

from sqlalchemy.orm import Mapped, mapped_column

from klepaas.store.tables.base import Base

__all__ = ["ApplicationSettingsRow", "ApplicationUrlRow"]


class ApplicationSettingsRow(Base):
    """How an application was scaled, by whom and when."""

    __tablename__ = "application_settings"

    cluster: Mapped[str] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(primary_key=True)
    application: Mapped[str] = mapped_column(primary_key=True)
    replicas: Mapped[int | None]
    scaled_at: Mapped[float | None]
    scaled_by: Mapped[str | None]


class ApplicationUrlRow(Base):
    """Where an application answers; what a person set is not overwritten by what is found."""

    __tablename__ = "application_urls"

    cluster: Mapped[str] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(primary_key=True)
    application: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    is_user_modified: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[float]
    updated_by: Mapped[str | None]
