"""The history of deployments, and what is set for an application."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_OPTIONAL_TEXTS = (
    "repository",
    "branch",
    "commit_sha",
    "commit_message",
    "commit_author",
    "commit_url",
    "image",
    "image_name",
    "image_tag",
    "image_digest",
)


def upgrade() -> None:
    """Make the tables."""
    _history()
    _application("application_settings", _settings_columns())
    _application("application_urls", _url_columns())


def _history() -> None:
    op.create_table(
        "deployment_history",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("operation_id", sa.Text, nullable=False),
        sa.Column("operation_type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cluster", sa.Text, nullable=False),
        sa.Column("context", sa.Text),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("application", sa.Text, nullable=False),
        sa.Column("workload", sa.Text),
        sa.Column("deployed_by", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in _OPTIONAL_TEXTS),
        sa.Column("replicas", sa.Integer),
        sa.Column("previous_replicas", sa.Integer),
        sa.Column("release", sa.Integer),
        sa.Column("rollback_from_release", sa.Integer),
        sa.Column("rollback_to_release", sa.Integer),
        sa.Column("is_rollback", sa.Boolean, nullable=False),
        sa.Column("automatic", sa.Boolean, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("provider_ids", sa.JSON, nullable=False),
        sa.Column("stages", sa.JSON, nullable=False),
        sa.Column("error_stage", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("trigger", sa.JSON),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("duration_s", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_deployment_history"),
        sa.UniqueConstraint("operation_id", name="uq_deployment_history_operation_id"),
    )
    of_application = ["cluster", "namespace", "application", "started_at"]
    op.create_index("deployments_of_an_application", "deployment_history", of_application)
    op.create_index("deployments_by_time", "deployment_history", ["started_at"])


def _settings_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("replicas", sa.Integer),
        sa.Column("scaled_at", sa.Double),
        sa.Column("scaled_by", sa.Text),
    ]


def _url_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("is_user_modified", sa.Boolean, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("updated_by", sa.Text),
    ]


def _application(table: str, columns: list[sa.Column[object]]) -> None:
    op.create_table(
        table,
        sa.Column("cluster", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("application", sa.Text, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("cluster", "namespace", "application", name=f"pk_{table}"),
    )
