"""The journal of operations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_OPEN = sa.text("state IN ('pending', 'running')")
_KEYED = sa.text("idempotency_key IS NOT NULL")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "operations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("principal", sa.JSON, nullable=False),
        sa.Column("owned_by", sa.Text, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("request_digest", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("held_by", sa.Text),
        sa.Column("lease_until", sa.Double),
        sa.Column("next_attempt_at", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("deadline_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("cancel_requested_at", sa.Double),
        sa.Column("done", sa.Double, nullable=False),
        sa.Column("total", sa.Double, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("notes", sa.JSON, nullable=False),
        sa.Column("outcome", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
    )
    op.create_table(
        "operation_steps",
        sa.Column("operation_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("intended_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("result", sa.JSON),
        sa.PrimaryKeyConstraint("operation_id", "name", name="pk_operation_steps"),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name="fk_operation_steps_operation_id", ondelete="CASCADE"
        ),
    )
    _indexes()


def _indexes() -> None:
    op.create_index(
        "one_open_operation_a_target",
        "operations",
        ["target"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index(
        "one_operation_a_key",
        "operations",
        ["owned_by", "idempotency_key"],
        unique=True,
        sqlite_where=_KEYED,
        postgresql_where=_KEYED,
    )
    op.create_index("operations_by_state", "operations", ["state", "created_at"])
    op.create_index("operations_by_owner", "operations", ["owned_by", "created_at"])
