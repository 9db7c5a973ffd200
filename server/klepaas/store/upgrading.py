"""Brings a store to this version's tables, once, whoever comes first; refuses one that a newer version has written.

Everything happens in one transaction under a lock, so that a crash in the middle leaves the store as it was. Alembic is
imported only where something is to be done.
"""

import re
import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from klepaas import state_folder
from klepaas.store.errors import StoreTooNew, StoreUnavailable

__all__ = ["KNOWN", "NEWEST", "objection_to_reading", "upgrade", "version_of"]

_FOLDER = Path(__file__).parent / "migrations"
_FILE = re.compile(r"r(\d{4})_\w+\.py")
KNOWN = tuple(sorted(found[1] for path in (_FOLDER / "versions").iterdir() if (found := _FILE.fullmatch(path.name))))
NEWEST = KNOWN[-1]
# Any number that no other program uses for its advisory locks.
_LOCK_KEY = 0x6B6C65706161
_ONE_AT_A_TIME = threading.Lock()


def upgrade(connection: Connection, to: str = NEWEST) -> None:
    """Bring the store to this version, where it is not there yet.

    Args:
        connection: In a transaction that writes.
        to: The version to stop at; for tests.

    Raises:
        StoreTooNew: A newer version has written it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    found = version_of(connection)
    if found is not None and found not in KNOWN:
        raise _too_new(found)
    if found is None or found < to:
        _run_alembic(connection, to)


def version_of(connection: Connection) -> str | None:
    """The version of the store's tables. None: it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def objection_to_reading(found: str | None) -> StoreUnavailable | None:
    """Why a store that cannot be written cannot be read either. None: its tables are this version's.

    Args:
        found: The version of its tables. None: it is empty.
    """
    if found == NEWEST:
        return None
    if found is not None and found not in KNOWN:
        return _too_new(found)
    what = (
        "is empty" if found is None else f"has the tables of an older klepaas (version {found}; this one has {NEWEST})"
    )
    return StoreUnavailable(
        f"The store {what} and cannot be written, so it cannot be brought to this version",
        next_step=state_folder.REPAIR,
    )


def _too_new(found: str) -> StoreTooNew:
    return StoreTooNew(
        f"The store was written by a newer klepaas (version {found} of the tables; this one knows {NEWEST})",
        next_step="Install that newer klepaas again, or give this one a store of its own with KLEPAAS_STATE_DIR",
    )


def _run_alembic(connection: Connection, to: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    # Alembic keeps what it works on in the module, so two stores of one process take turns.
    with _ONE_AT_A_TIME:
        command.upgrade(config, to)
