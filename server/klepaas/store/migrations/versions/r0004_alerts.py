"""Notifications of alerts, and their reports."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables."""
    _notifications()
    op.create_table(
        "notification_reports",
        sa.Column("notification_id", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("requested_at", sa.Double, nullable=False),
        sa.Column("frozen_at", sa.Double),
        sa.Column("sections", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("notification_id", name="pk_notification_reports"),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notifications.id"],
            name="fk_notification_reports_notification_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("reports_by_state", "notification_reports", ["state", "requested_at"])


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("starts_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("annotations", sa.JSON, nullable=False),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("acknowledged_at", sa.Double),
        sa.Column("acknowledged_by", sa.Text),
        sa.Column("acknowledgement", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
    )
    of_one_firing = ["source", "fingerprint", "starts_at"]
    op.create_index("one_notification_a_firing", "notifications", of_one_firing, unique=True)
    op.create_index("notifications_by_state", "notifications", ["state", "updated_at"])
    op.create_index("notifications_by_time", "notifications", ["updated_at"])
