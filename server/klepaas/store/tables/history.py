"""The history of deployments, rollbacks, scalings and restarts; written and read by `klepaas.store.history`."""

from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from klepaas.store.tables.base import Base

__all__ = ["DeploymentRow"]


_WHOSE = ("cluster", "namespace", "application")
# What figures are counted from: with these in the indexes no row is read for them.
_FIGURES = ("state", "operation_type", "duration_s", "ended_at")


class DeploymentRow(Base):
    """One change of an application, as it is told afterwards."""

    __tablename__ = "deployment_history"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    operation_id: Mapped[str] = mapped_column(unique=True)
    operation_type: Mapped[str]
    state: Mapped[str]
    cluster: Mapped[str]
    context: Mapped[str | None]
    namespace: Mapped[str]
    application: Mapped[str]
    workload: Mapped[str | None]
    deployed_by: Mapped[str]
    repository: Mapped[str | None]
    branch: Mapped[str | None]
    commit_sha: Mapped[str | None]
    commit_message: Mapped[str | None]
    commit_author: Mapped[str | None]
    commit_url: Mapped[str | None]
    image: Mapped[str | None]
    image_name: Mapped[str | None]
    image_tag: Mapped[str | None]
    image_digest: Mapped[str | None]
    replicas: Mapped[int | None]
    previous_replicas: Mapped[int | None]
    release: Mapped[int | None]
    rollback_from_release: Mapped[int | None]
    rollback_to_release: Mapped[int | None]
    is_rollback: Mapped[bool] = mapped_column(default=False)
    automatic: Mapped[bool] = mapped_column(default=False)
    url: Mapped[str | None]
    provider_ids: Mapped[dict[str, Any]] = mapped_column(default=dict)
    stages: Mapped[list[Any]] = mapped_column(default=list)
    error_stage: Mapped[str | None]
    error_message: Mapped[str | None]
    trigger: Mapped[dict[str, Any] | None]
    started_at: Mapped[float]
    ended_at: Mapped[float | None]
    duration_s: Mapped[float | None]

    __table_args__ = (
        Index("deployments_of_an_application", *_WHOSE, "started_at", *_FIGURES),
        Index("deployments_by_time", "started_at", *_WHOSE, *_FIGURES),
    )
