"""How the store is opened: SQLAlchemy engines for SQLite and PostgreSQL, and what each needs to be safe.

SQLite: one file, 0600 in a folder 0700, in WAL mode, with the disk synchronised at every commit and a patient wait for
other processes' locks. A writing transaction locks at its beginning, so that it can never fail half-way for a lock.
It knows no table. Importing it imports SQLAlchemy.

Sources: SQLite, "Write-Ahead Logging", "PRAGMA synchronous"; SQLAlchemy, "SQLite", on transactions.
"""

import errno
import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from klepaas.output.redaction import vault
from klepaas.portability import files
from klepaas.store.errors import StoreUnavailable

__all__ = ["BUSY_TIMEOUT_S", "READ_ONLY", "WRITING", "postgresql_engine", "sqlite_engine"]

# An execution option of a connection: its transaction is going to write.
WRITING = "klepaas_writing"
# An execution option of an engine: its file can only be read.
READ_ONLY = "klepaas_read_only"
BUSY_TIMEOUT_S = 30
_RETRY_INTERVAL_S = 0.02
_CONNECT_TIMEOUT_S = 5
_STATEMENT_TIMEOUT_MS = 30_000
# A file of somebody else's, and a file system that is mounted for reading only.
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def sqlite_engine(path: Path) -> Engine:
    """An engine for a SQLite file, which is made where there is none.

    Args:
        path: The file.

    Raises:
        OSError: The file or its folder cannot be made, or is not a file.
    """
    if not _make_private(path):
        return _reading_engine(path)
    url = URL.create("sqlite+pysqlite", database=str(path))
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def postgresql_engine(address: SecretStr) -> Engine:
    """An engine for a PostgreSQL database.

    Args:
        address: Where it is: `postgresql://USER:PASSWORD@HOST/DATABASE`.

    Raises:
        StoreUnavailable: It is no such address, or the driver is not installed.
    """
    try:
        url = make_url(address.get_secret_value())
    except ArgumentError:
        raise _bad_address() from None
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise _bad_address()
    if url.password:
        vault.keep(str(url.password))
    options = f"-c statement_timeout={_STATEMENT_TIMEOUT_MS} -c idle_in_transaction_session_timeout=60000"
    arguments = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "klepaas", "options": options}
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"), hide_parameters=True, pool_pre_ping=True, connect_args=arguments
        )
    except ModuleNotFoundError as exc:
        raise StoreUnavailable(
            "KLEPAAS_DATABASE_URL names PostgreSQL and its driver is not installed",
            next_step="Install klepaas with the extra postgresql: pip install 'klepaas[postgresql]'",
        ) from exc


def _bad_address() -> StoreUnavailable:
    return StoreUnavailable(
        "KLEPAAS_DATABASE_URL is not the address of a PostgreSQL database",
        next_step="Write postgresql://USER:PASSWORD@HOST/DATABASE, or leave it out to use a file in KLEPAAS_STATE_DIR",
    )


def _reading_engine(path: Path) -> Engine:
    """An engine for a file that may only be read: every transaction that would write is refused by SQLite."""

    def connect() -> sqlite3.Connection:
        # Without a write-ahead log nobody writes, and SQLite must not ask for the files that it cannot make.
        log = path.with_name(f"{path.name}-wal")
        alone = "" if log.exists() else "&immutable=1"
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{alone}", uri=True, timeout=BUSY_TIMEOUT_S)
        try:
            connection.execute("PRAGMA schema_version")
        except sqlite3.OperationalError as exc:
            connection.close()
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN or not log.exists():
                raise
            raise _unreadable_log(path, log) from exc
        return connection

    engine = create_engine(
        "sqlite+pysqlite://",
        hide_parameters=True,
        creator=connect,
        poolclass=NullPool,
        execution_options={READ_ONLY: True},
    )
    event.listen(engine, "connect", _prepare_reading)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _unreadable_log(path: Path, log: Path) -> StoreUnavailable:
    """SQLite needs its shared-memory file to read a write-ahead log, and cannot make one here."""
    return StoreUnavailable(
        f"The store of klepaas cannot be read: {path.name} and {log.name} lie where nothing can be written, without "
        f"{path.name}-shm",
        next_step=f"Copy {path.name} and {log.name} to a folder that can be written and set KLEPAAS_STATE_DIR to it; "
        f"without {log.name} the last changes would be missing",
    )


def _prepare_reading(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for setting in ("query_only=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {setting}")


def _make_private(path: Path) -> bool:
    """See that the file is there and its owner's alone; gives whether it can be written."""
    files.make_private_folder(path.parent)
    writable = True
    try:
        file = files.open_file(path, os.O_RDWR | os.O_CREAT, wait=True)
    except OSError as exc:
        if exc.errno not in _READ_ONLY:
            raise
        writable = False  # it may still be read
        file = files.open_file(path, os.O_RDONLY, wait=True)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{path} is not a file")
        if writable and files.permissions(found) & 0o077 and not files.belongs_to_another(found):
            files.make_private(file)
    finally:
        os.close(file)
    return writable


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    # What is redacted when an operation ends is not to stay in free pages.
    for setting in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {setting}")
    _use_write_ahead_log(connection)


def _use_write_ahead_log(connection: Any) -> None:
    """Switch a new file to WAL mode.

    SQLite gives up at once where another process holds a lock in that moment, whatever the connection's timeout: two
    servers that make the same store would see "database is locked".
    """
    until = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_RETRY_INTERVAL_S)


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
