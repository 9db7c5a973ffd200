"""The store as the rest of klepaas sees it: units of work, run in a thread, each one transaction.

It is opened, and brought to this version's tables, with the first unit of work. The database library's exceptions end
here. It knows no table.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from klepaas.host import Host
from klepaas.observability import one_line
from klepaas.store.errors import ASK_THE_DOCTOR, StoreDeleted, StoreUnavailable

if TYPE_CHECKING:
    from pydantic import SecretStr
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from klepaas.hookspecs import Finding
    from klepaas.store.committing import Commit

__all__ = ["FILE_NAME", "Store", "now_of"]

log = logging.getLogger(__name__)
T = TypeVar("T")

# Above the longest wait for another process's lock.
LIMIT_S = 40.0
# What a commit that was begun by then gets, since nothing can recall it.
_COMMIT_S = 5.0
FILE_NAME = "klepaas.db"
_READERS = 4
# Below what the host gives a service to close.
_CLOSE_LIMIT_S = 4.0


class Store:
    """The store of one server.

    Args:
        folder: Where the SQLite file is.
        address: Of a PostgreSQL database, which is used instead. None: there is none.
    """

    def __init__(self, folder: Path, address: "SecretStr | None" = None) -> None:
        self._address = address
        self._folder = folder
        self._opening = threading.Lock()
        self._at_work = 0
        self._idle = threading.Condition()
        self._engine: Engine | None = None
        self._seen: os.stat_result | None = None

    @classmethod
    def of(cls, host: Host) -> "Store":
        """The host's own."""
        return host.service(cls, lambda host: cls(host.settings.state_dir, host.settings.database_url))

    @property
    def path(self) -> Path | None:
        """The SQLite file. None: the store is in PostgreSQL."""
        return None if self._address else self._folder / FILE_NAME

    @property
    def exists(self) -> bool:
        """Whether anything can have been stored yet; touches no network and imports no database library."""
        try:  # one that was deleted meanwhile is not "nothing was ever stored"
            return self.path is None or self._seen is not None or self.path.exists()
        except OSError:  # who uses it will be told why it cannot be
            return True

    async def read(self, work: "Callable[[Session], T]") -> T:
        """Run a unit of work that only reads.

        Args:
            work: Gets a session, in a thread; what it gives must not hold on to it.

        Raises:
            StoreUnavailable: The store cannot be read.
        """
        return await self._run(work, None)

    async def write(self, work: "Callable[[Session], T]") -> T:
        """Run a unit of work that writes; it is on the disk when this returns.

        Args:
            work: Gets a session, in a thread; what it gives must not hold on to it.

        Raises:
            CommitUnknown: It was to be committed, and nobody knows whether it was.
            StoreUnavailable: Any other: nothing was stored.
        """
        if self._engine is None:  # the first one imports the database library, not on the event loop
            await anyio.to_thread.run_sync(_import)
        from klepaas.store.committing import Commit

        return await self._run(work, Commit())

    async def examine(self) -> "list[Finding]":
        """How it is, without making or upgrading it."""
        return await anyio.to_thread.run_sync(self._examined, abandon_on_cancel=True)

    async def aclose(self) -> None:
        """Close every connection; what is under way gets a moment to end."""
        if self._engine is not None:
            await anyio.to_thread.run_sync(self._close)

    @cached_property
    def _writer(self) -> anyio.CapacityLimiter:
        # SQLite takes one writer at a time, and waiting for a thread is cheaper than polling for its lock.
        return anyio.CapacityLimiter(1 if self.path else _READERS)

    @cached_property
    def _readers(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(_READERS)

    async def _run(self, work: "Callable[[Session], T]", commit: "Commit | None") -> T:
        limiter = self._readers if commit is None else self._writer
        try:
            with anyio.fail_after(LIMIT_S):
                return await anyio.to_thread.run_sync(
                    self._in_transaction, work, commit is not None, commit, limiter=limiter, abandon_on_cancel=True
                )
        except TimeoutError as exc:
            if commit is None or commit.recall():
                raise StoreUnavailable("The store of klepaas gave no answer in time", next_step=ASK_THE_DOCTOR) from exc
        found: T = await anyio.to_thread.run_sync(commit.outcome, _COMMIT_S, abandon_on_cancel=True)
        return found

    def _in_transaction(self, work: "Callable[[Session], T]", writing: bool, commit: "Commit | None" = None) -> T:
        from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
        from sqlalchemy.orm import Session

        from klepaas.store.committing import Commit, Recalled, write_and_commit
        from klepaas.store.engine import WRITING

        try:
            engine = self._opened().execution_options(**{WRITING: writing})
            with self._counted():
                if writing:
                    return write_and_commit(engine, work, commit or Commit())
                with Session(engine, expire_on_commit=False) as session, session.begin():
                    return work(session)
        except IntegrityError:
            raise
        except Recalled as exc:
            raise StoreUnavailable("The store of klepaas gave no answer in time", next_step=ASK_THE_DOCTOR) from exc
        except (SQLAlchemyError, OSError) as exc:
            cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig else exc
            text = one_line(f"{type(cause).__name__}: {cause}", 200)
            log.warning("the store cannot be %s: %s", "written" if writing else "read", text)
            raise StoreUnavailable(
                f"The store of klepaas cannot be {'written' if writing else 'read'} ({text})", next_step=ASK_THE_DOCTOR
            ) from exc

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._idle:
            self._at_work += 1
        try:
            yield
        finally:
            with self._idle:
                self._at_work -= 1
                self._idle.notify_all()

    def _close(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: self._at_work == 0, _CLOSE_LIMIT_S)
        with self._opening:
            self._forget_engine()

    def _opened(self) -> "Engine":
        with self._opening:
            if self._was_replaced():
                self._forget_engine()
                self._refuse_to_begin_anew()
            if self._engine is None:
                self._engine = self._open()
            return self._engine

    def _open(self) -> "Engine":
        from klepaas.store.engine import READ_ONLY, WRITING, postgresql_engine, sqlite_engine
        from klepaas.store.upgrading import NEWEST, objection_to_reading, upgrade, version_of

        engine = postgresql_engine(self._address) if self._address else sqlite_engine(self._folder / FILE_NAME)
        try:
            with engine.connect() as connection:
                found = version_of(connection)
            if engine.get_execution_options().get(READ_ONLY) and (objection := objection_to_reading(found)):
                raise objection
            if found != NEWEST:
                with engine.execution_options(**{WRITING: True}).begin() as connection:
                    upgrade(connection)
        except BaseException:
            engine.dispose()
            raise
        self._seen = os.stat(self.path) if self.path else None
        return engine

    def _examined(self) -> "list[Finding]":
        from klepaas.hookspecs import Finding, Level
        from klepaas.store.engine import postgresql_engine, sqlite_engine
        from klepaas.store.examining import examined, examined_file, objection_to

        found: list[Finding] = []
        if self.path is not None:
            if not self.path.exists():
                text = f"No operation yet; {self.path} is made with the first one"
                return [objection_to(self.path) or Finding(Level.OK, text)]
            found += examined_file(self.path)
        try:
            engine = postgresql_engine(self._address) if self._address else sqlite_engine(self._folder / FILE_NAME)
        except StoreUnavailable as exc:
            return [*found, Finding(Level.ERROR, exc.what, exc.next_step)]
        except OSError as exc:
            return [*found, Finding(Level.ERROR, f"The store cannot be opened: {exc.strerror}", ASK_THE_DOCTOR)]
        try:
            return [*found, *examined(engine)]
        finally:
            engine.dispose()

    def _was_replaced(self) -> bool:
        """Whether somebody took the file away: what is written to it would be lost."""
        if self.path is None or self._seen is None:
            return False
        try:
            return not os.path.samestat(os.stat(self.path), self._seen)
        except FileNotFoundError:
            return True

    def _refuse_to_begin_anew(self) -> None:
        """An empty store in the place of one that was deleted would hide what is lost; one that was put there is used.

        Raises:
            StoreDeleted: There is no file.
        """
        if self.path is not None and not self.path.exists():
            log.error("the store %s was deleted while klepaas ran", self.path)
            raise StoreDeleted(
                f"The store of klepaas ({self.path}) was deleted while klepaas ran, with its operations and history",
                next_step="Put the file back from a backup, or restart klepaas, which begins an empty store; "
                "what was under way must be looked at in the cluster",
            )
        log.warning("the store %s was replaced while klepaas ran; the file that is there now is used", self.path)

    def _forget_engine(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _import() -> None:
    import klepaas.store.committing  # noqa: F401 -- with the database library


def now_of(session: "Session") -> float:
    """The time that leases and deadlines go by, in seconds since 1970: one clock for all that share the store."""
    if session.get_bind().dialect.name != "postgresql":
        return time.time()
    from sqlalchemy import text

    return float(session.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
