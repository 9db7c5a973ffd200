"""What an operation waits for, how long it was attended, how long its lease lasts, and which one it superseded.

Columns are nullable or have a default, since an older server may be running on the same store.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_TABLE, _INDEX = "operations", "one_open_operation_a_target"
_OPEN = sa.text("state IN ('pending', 'running')")


def upgrade() -> None:
    """Add the columns, and let a namespace that was created again be another target."""
    op.add_column(_TABLE, sa.Column("waiting", sa.JSON))
    op.add_column(_TABLE, sa.Column("supersedes", sa.JSON))
    op.add_column(_TABLE, sa.Column("lease_s", sa.Double))
    op.add_column(_TABLE, sa.Column("attended_s", sa.Double, nullable=False, server_default="0"))
    op.add_column(_TABLE, sa.Column("namespace_uid", sa.Text, nullable=False, server_default=""))
    op.drop_index(_INDEX, _TABLE)
    columns = ["target", "namespace_uid"]
    op.create_index(_INDEX, _TABLE, columns, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)
