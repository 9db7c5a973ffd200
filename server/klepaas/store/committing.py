"""A writing transaction and its commit: "cannot be written" means that nothing was stored.

A limit cannot recall a COMMIT that was sent, and a connection that breaks then tells no outcome. So a limit and a
commit decide between them which of them was first; a commit without an answer is looked up where the database can tell
(PostgreSQL keeps the outcome of each transaction by its number); and what stays open is an error of its own.

Sources: PostgreSQL, "System Information Functions", txid_status (for a connection that was lost while a commit was in
progress); SQLite, "Result and Error Codes".
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from klepaas.store.errors import CommitUnknown

__all__ = ["Commit", "Recalled", "write_and_commit"]

T = TypeVar("T")

_LOOK_UP_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5
# With these SQLite has surely not committed.
_SQLITE_REFUSALS = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CONSTRAINT,
    }
)  # fmt: skip
# Classes of SQLSTATE that leave a commit open: connection, operator intervention, system error, internal error.
_OPEN_CLASSES = ("08", "57", "58", "XX")
_COMPLETION_UNKNOWN = "40003"


class Recalled(Exception):
    """Nobody waits for the transaction any more, so it is not committed."""


class _Stage(Enum):
    BEFORE = "before"
    RECALLED = "recalled"
    COMMITTING = "committing"


class Commit:
    """What a limit and the thread that commits agree on."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._stage = _Stage.BEFORE
        self._lock = threading.Lock()
        self._look_up: Callable[[], str | None] | None = None
        self._result: Any = None
        self._is_committed = False

    def begin(self, result: Any, look_up: Callable[[], str | None] | None) -> None:
        """From now on nothing can recall it.

        Args:
            result: What the unit of work gives, once it is committed.
            look_up: Asks the database what became of the transaction. None: it cannot tell.

        Raises:
            Recalled: It was recalled, and must not be committed.
        """
        with self._lock:
            if self._stage is _Stage.RECALLED:
                raise Recalled
            self._stage, self._result, self._look_up = _Stage.COMMITTING, result, look_up

    def recall(self) -> bool:
        """Whether it is sure that nothing will be stored."""
        with self._lock:
            if self._stage is _Stage.BEFORE:
                self._stage = _Stage.RECALLED
            return self._stage is _Stage.RECALLED

    def end(self, *, is_committed: bool) -> None:
        """The thread has ended."""
        self._is_committed = is_committed
        self.ended.set()

    def outcome(self, limit_s: float) -> Any:
        """What a commit that was begun gave, after a last wait for it.

        Args:
            limit_s: Longest wait, in seconds.

        Raises:
            CommitUnknown: Nobody knows it.
        """
        self.ended.wait(limit_s)
        is_committed = self._is_committed
        if not self.ended.is_set() and self._look_up is not None:
            is_committed = self._look_up() == "committed"
        if not is_committed:
            raise CommitUnknown("The store of klepaas gave no answer in time to a commit", ended=self.ended)
        return self._result


def write_and_commit(engine: Engine, work: Callable[[Session], T], commit: Commit) -> T:
    """Run a unit of work that writes, and commit it.

    Args:
        engine: An engine whose transactions write.
        work: The work.
        commit: What a limit can recall it by.

    Raises:
        SQLAlchemyError: Nothing was stored.
        Recalled: Nothing was stored.
        CommitUnknown: The database gave no answer to the commit, and cannot be asked either.
    """
    try:
        with Session(engine, expire_on_commit=False) as session:
            session.begin()
            result = work(session)
            session.flush()
            number = _transaction_number(session)
            look_up = None if number is None else partial(_status, engine, number)
            commit.begin(result, look_up)
            try:
                session.commit()
            except (SQLAlchemyError, OSError) as exc:
                _judge(exc, look_up)
        commit.end(is_committed=True)
        return result
    except BaseException:
        commit.end(is_committed=False)
        raise


def _transaction_number(session: Session) -> int | None:
    """By which the outcome of this transaction can be asked for. None: it cannot."""
    if session.get_bind().dialect.name != "postgresql":
        return None
    return int(session.execute(text("SELECT txid_current()")).scalar_one())


def _judge(error: SQLAlchemyError | OSError, look_up: Callable[[], str | None] | None) -> None:
    """Return where a transaction was committed although its commit failed.

    Raises:
        SQLAlchemyError: The error: it was not committed.
        CommitUnknown: Nobody knows.
    """
    if _is_refusal(error):
        raise error
    status = None if look_up is None else look_up()
    if status == "committed":
        return
    if status == "aborted":
        raise error
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    ended = threading.Event()
    if look_up is None:
        ended.set()  # else the COMMIT may still be on its way to the database
    raise CommitUnknown(
        f"Whether the store of klepaas took a change is not known ({type(cause).__name__} at its commit)", ended=ended
    ) from error


def _is_refusal(error: SQLAlchemyError | OSError) -> bool:
    """Whether the database itself says that it did not commit."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        return (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF in _SQLITE_REFUSALS
    state = getattr(cause, "sqlstate", None)
    return state is not None and state != _COMPLETION_UNKNOWN and not state.startswith(_OPEN_CLASSES)


def _status(engine: Engine, number: int) -> str | None:
    """What became of a transaction of PostgreSQL: "committed" or "aborted". None: it could not be found out."""
    until, pause_s = time.monotonic() + _LOOK_UP_S, _FIRST_PAUSE_S
    while True:
        with suppress(SQLAlchemyError, OSError), engine.connect() as connection:
            found = connection.execute(text("SELECT txid_status(:number)"), {"number": number}).scalar()
            if found in ("committed", "aborted"):
                return str(found)
        if time.monotonic() > until:
            return None
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
