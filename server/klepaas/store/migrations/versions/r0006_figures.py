"""Indexes that hold all that figures about deployments are counted from, so that no row is read for them."""

from alembic import op

revision = "0006"
down_revision = "0005"

_TABLE = "deployment_history"
_FIGURES = ["state", "operation_type", "duration_s", "ended_at"]


def upgrade() -> None:
    """Make the indexes anew."""
    op.drop_index("deployments_of_an_application", _TABLE)
    op.drop_index("deployments_by_time", _TABLE)
    whose = ["cluster", "namespace", "application"]
    op.create_index("deployments_of_an_application", _TABLE, [*whose, "started_at", *_FIGURES])
    op.create_index("deployments_by_time", _TABLE, ["started_at", *whose, *_FIGURES])
