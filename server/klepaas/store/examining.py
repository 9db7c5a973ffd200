"""How the store is, for health checks and `klepaas doctor`: it looks, and neither makes nor upgrades a store.

Importing it imports SQLAlchemy.
"""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from klepaas import state_folder
from klepaas.hookspecs import Finding, Level
from klepaas.observability import one_line
from klepaas.portability import files
from klepaas.store.engine import READ_ONLY, WRITING
from klepaas.store.errors import StoreUnavailable
from klepaas.store.upgrading import KNOWN, NEWEST, objection_to_reading, version_of

__all__ = ["examined", "examined_file", "objection_to"]


def objection_to(path: Path) -> Finding | None:
    """Why the SQLite file could not be made or written, as far as can be seen without doing it. None: nothing.

    Args:
        path: The file.
    """
    objection = state_folder.objection_to(path)
    if objection is None:
        return None
    return Finding(Level.ERROR, f"No change can be put on record, so none is made: {objection}", state_folder.REPAIR)


def examined_file(path: Path) -> Iterator[Finding]:
    """What can be seen of the SQLite file from outside.

    Args:
        path: The file.
    """
    objection = objection_to(path)
    if objection is not None:
        yield objection
    found = path.stat()
    if files.permissions(found) & 0o077:
        yield Finding(Level.WARNING, f"{path} can be read by others", f"chmod 600 {path}")


def examined(engine: Engine) -> Iterator[Finding]:
    """What the database says of itself.

    Args:
        engine: An engine, of which nothing is expected yet.
    """
    read_only = engine.get_execution_options().get(READ_ONLY, False)
    try:
        with engine.connect() as connection:
            yield from _version(connection, read_only)
            if connection.dialect.name == "sqlite":
                yield from _integrity(connection)
        if read_only:  # which is reported already
            return
        with engine.execution_options(**{WRITING: True}).connect() as connection:
            connection.execute(text("SELECT 1"))
            connection.rollback()
    except StoreUnavailable as exc:
        yield Finding(Level.ERROR, exc.what, exc.next_step)
    except SQLAlchemyError as exc:
        cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig else exc
        yield Finding(Level.ERROR, f"The store cannot be used: {one_line(str(cause), 200)}", _repair(engine))


def _version(connection: Connection, read_only: bool) -> Iterator[Finding]:
    found = version_of(connection)
    objection = objection_to_reading(found) if read_only else None
    if objection is not None:
        yield Finding(Level.ERROR, objection.what, objection.next_step)
    elif found is None:
        yield Finding(Level.OK, "The store is empty; its tables are made with the first operation")
    elif found not in KNOWN:
        repair = "Install that newer klepaas again, or give this one a store of its own with KLEPAAS_STATE_DIR"
        yield Finding(Level.ERROR, f"A newer klepaas has written the store (version {found} of its tables)", repair)
    elif found != NEWEST:
        yield Finding(Level.OK, f"The store has version {found} of the tables; it becomes {NEWEST} with the next use")
    else:
        yield Finding(Level.OK, f"The store is {connection.dialect.name} with version {found} of the tables")


def _integrity(connection: Connection) -> Iterator[Finding]:
    problems = [str(row[0]) for row in connection.execute(text("PRAGMA quick_check(3)"))]
    if problems != ["ok"]:
        repair = (
            "Stop klepaas, put the file back from a backup, or set it aside: a new one is made, without the history"
        )
        yield Finding(Level.ERROR, f"The store is damaged: {one_line('; '.join(problems), 200)}", repair)


def _repair(engine: Engine) -> str:
    if engine.dialect.name == "postgresql":
        return "See that the database of KLEPAAS_DATABASE_URL runs, and that its user may connect and create tables"
    return state_folder.REPAIR
