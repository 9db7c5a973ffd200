"""Plans that a person may confirm."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_TEXTS = (
    *("key_id", "requested_by", "requester", "tool", "effect"),
    *("arguments_digest", "content_digest", "basis_digest", "state", "seal"),
)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "plans",
        sa.Column("id", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _TEXTS),
        sa.Column("rendering", sa.JSON, nullable=False),
        sa.Column("awaits_answer", sa.Boolean, nullable=False),
        sa.Column("rounds", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("confirmed_by", sa.Text),
        sa.Column("confirmed_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_plans"),
    )
    op.create_index("plans_of_a_requester", "plans", ["requested_by", "state"])
    op.create_index("plans_by_expiry", "plans", ["expires_at"])
