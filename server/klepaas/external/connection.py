"""One server's session, kept up in the background by a task of its own.

    start -> negotiate the protocol -> list the tools -> stay: list again, watch for the end -> wait -> start again

No request owns it, so none can take it down, and no header or trace of a caller can get into it. A call borrows the
session; when there is none it waits for a start that is under way, and no longer than that start may take. A server
that does not answer is asked for its list, which needs nobody else: when it cannot even answer that, its process is
ended and started anew. The protocol's era is found out for each server by itself, whatever our own clients speak.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import anyio
import mcp_types as mt
from mcp import ClientSession
from mcp.shared.exceptions import MCPError

from klepaas import __version__
from klepaas.errors import Unauthorized
from klepaas.external.declaration import ExternalProvider
from klepaas.external.failures import NotUp
from klepaas.external.openings import Opening, opening_of
from klepaas.external.sessions import Lost, Renew, Session, innermost, negotiate, nobodys_trace, reason_of, status_of
from klepaas.observability import one_line

__all__ = ["BOOT_WAIT_S", "Connection", "ConnectionState", "Pace"]

log = logging.getLogger(__name__)

# A person waits for the call; a start may take longer, where an image has to be fetched first.
BOOT_WAIT_S = 10.0
_MOST_PAGES = 20
_REASON_CHARS = 200
_CLIENT = mt.Implementation(name="klepaas", version=__version__)


class ConnectionState(StrEnum):
    """How a connection is."""

    STOPPED = "stopped"
    STARTING = "starting"
    CONNECTED = "connected"
    DOWN = "down"


@dataclass(frozen=True)
class Pace:
    """How often things are tried; tests make it quicker.

    Attributes:
        wait_min_s: Wait after the first failed start, in seconds; doubled after each further one.
        wait_max_s: The longest wait, in seconds.
        boot_wait_s: What a call waits for a start that is under way, in seconds.
        demand_gap_s: A call starts the server at once where the last start is this long ago, in seconds.
        refresh_s: How often the tools are listed while all is well, in seconds.
        check_limit_s: What a server that seems to hang gets to list its tools, in seconds.
        relist_gap_s: The shortest time between two lists, however often a server calls for one, in seconds.
        well_after_s: A server that was up so long is started again at once when it ends, in seconds.
        discover_limit_s: What a server gets to say whether it speaks 2026-07-28, in seconds.
    """

    wait_min_s: float = 1.0
    wait_max_s: float = 60.0
    boot_wait_s: float = BOOT_WAIT_S
    demand_gap_s: float = 2.0
    refresh_s: float = 300.0
    check_limit_s: float = 5.0
    relist_gap_s: float = 1.0
    well_after_s: float = 10.0
    discover_limit_s: float = 5.0

    def wait_s(self, failures: int) -> float:
        """How long to wait after so many failed starts in a row, somewhat at random."""
        if failures == 0:
            return 0.0
        longest = min(self.wait_max_s, self.wait_min_s * (1 << min(failures - 1, 10)))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- spreads starts, protects nothing


Listed = Callable[[list[mt.Tool], str], Awaitable[None]]


class Connection:
    """Keeps up the session of one server.

    Args:
        provider: The server.
        listed: Told of its tools and of what it calls itself, whenever they were listed.
        pace: How often things are tried. None: as people want it.
    """

    def __init__(self, provider: ExternalProvider, listed: Listed, pace: Pace | None = None) -> None:
        self._provider = provider
        self._listed = listed
        self._pace = pace or Pace()
        self._session: ClientSession | None = None
        self._opening: Opening | None = None
        self._changed = asyncio.Event()
        self._wake = asyncio.Event()
        self._suspect = False
        self._relist = False
        self._in_flight = 0
        self._tried_at = -1e9
        self._up_at: float | None = None
        self._next_at: float | None = None
        self.state = ConnectionState.STOPPED
        self.failures = 0
        self.restarts = 0
        self.last_error: str | None = None
        # The server does not accept our credentials: nothing that waiting helps.
        self.unauthorized = False

    @property
    def retry_in_s(self) -> float | None:
        """Seconds until the next start. None: none is planned."""
        return None if self._next_at is None else max(0.0, self._next_at - time.monotonic())

    @property
    def protocol(self) -> str | None:
        """The version of the protocol that the server speaks. None: it is not connected."""
        return self._session.protocol_version if self._session else None

    @property
    def pid(self) -> int | None:
        """The server's process. None: it has none of ours."""
        return self._opening.pid if self._opening else None

    async def run(self) -> None:
        """Keep it up until cancelled."""
        try:
            while True:
                await self._once()
                await self._pause()
        finally:
            self._to(ConnectionState.STOPPED)

    def refresh(self) -> None:
        """List the tools again soon, or start at once where it is down."""
        self._relist = True
        self._wake.set()

    def starting(self) -> None:
        """Say that `run` is about to begin, so that calls wait for it."""
        self._to(ConnectionState.STARTING)

    async def started(self) -> None:
        """Wait for a start that is under way, however it ends, and not for long."""
        with anyio.move_on_after(min(self._pace.boot_wait_s, self._provider.boot_timeout_s)):
            while self.state is ConnectionState.STARTING:
                changed = self._changed
                await changed.wait()

    async def call_tool(
        self, name: str, arguments: dict[str, Any], limit_s: float
    ) -> mt.CallToolResult | mt.InputRequiredResult:
        """Call one of the server's tools.

        Args:
            name: The server's own name of it.
            arguments: Its arguments.
            limit_s: Longest time for the answer, once the server is there, in seconds.

        Raises:
            NotUp: The server is not there; nothing was sent.
            TimeoutError: It was sent and not answered in time.
            MCPError: It answered with a JSON-RPC error, or the connection ended.
            AnswerTooLong: It answered more than is read.
            Exception: The request failed on its way, with whatever the transport says.
        """
        session, opening = await self._up()
        self._in_flight += 1
        answered = False
        try:
            with nobodys_trace(), anyio.fail_after(limit_s):
                result = await session.call_tool(name, arguments, allow_input_required=True)
            answered = True
            return result
        except MCPError as exc:
            failure = opening.failure(exc)
            answered = failure is exc and exc.error.code not in (mt.CONNECTION_CLOSED, mt.REQUEST_TIMEOUT)
            raise failure from failure.__cause__
        finally:
            self._in_flight -= 1
            if not answered:
                # Cut by a time limit, by whoever asked, or by a broken connection: the server itself may hang.
                self._suspect = True
                self._wake.set()

    async def _up(self) -> tuple[ClientSession, Opening]:
        """The session, as soon as there is one.

        Raises:
            NotUp: There is none, and none will be in time.
        """
        asked_at = time.monotonic()
        if self.state is ConnectionState.DOWN:
            if time.monotonic() - self._tried_at < self._pace.demand_gap_s:
                raise self._not_up()
            self._to(ConnectionState.STARTING)
            self._wake.set()
        await self.started()
        session, opening = self._session, self._opening
        if session is None or opening is None or opening.ended:
            raise self._not_up(waited_s=time.monotonic() - asked_at)
        return session, opening

    def _not_up(self, waited_s: float = 0.0) -> NotUp:
        retry_s = self.retry_in_s
        if self.state is ConnectionState.STOPPED:
            return NotUp("is not started: this klepaas is not serving")
        if self.state is ConnectionState.STARTING:
            return NotUp(f"is still starting after {waited_s:.3g} s", retry_after_s=2.0)
        because = f": {self.last_error}" if self.last_error else ""
        return NotUp(f"is not up{because}", retry_after_s=None if retry_s is None else round(max(1.0, retry_s), 1))

    async def _once(self) -> None:
        """One session from its start to its end."""
        self._tried_at = time.monotonic()
        self._next_at = None
        self._to(ConnectionState.STARTING)
        why: Exception = Lost(f"did not answer within {self._provider.boot_timeout_s:g} s of its start")
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._provider.boot_timeout_s) as scope:
                async with self._session_of(scope) as session:
                    await self._list(session)
                    scope.deadline = float("inf")
                    self._is_up()
                    try:
                        await self._stay(session)
                    except Exception as exc:
                        why = exc  # the end of a session may fail in ways that say less
                        raise
        except Exception as exc:  # noqa: BLE001 -- guarded boundary: another program's failures, of any library
            why = exc if self._up_at is None else why
        self._ended(why)

    def _is_up(self) -> None:
        self._up_at = time.monotonic()
        self.last_error, self.unauthorized = None, False
        self._to(ConnectionState.CONNECTED)

    def _ended(self, exc: Exception) -> None:
        """Remember why; a server that was well for a while is started again at once."""
        up_at, self._up_at = self._up_at, None
        cause = innermost(exc)
        reason = reason_of(cause, self._opening)
        if reason is None:
            log.info("%s is started anew with other credentials", self._provider.name)
            return
        was_well = up_at is not None and time.monotonic() - up_at > self._pace.well_after_s
        self.failures = 0 if was_well else self.failures + 1
        self.restarts += 1
        before, self.last_error = self.last_error, one_line(reason, _REASON_CHARS)
        self.unauthorized = status_of(cause) in (401, 407) or isinstance(cause.__cause__ or cause, Unauthorized)
        level = logging.INFO if before == self.last_error else logging.WARNING
        log.log(level, "the external server %s: %s", self._provider.name, self.last_error)

    @contextlib.asynccontextmanager
    async def _session_of(self, scope: anyio.CancelScope) -> AsyncIterator[ClientSession]:
        opening = self._opening = opening_of(self._provider)
        async with opening.streams() as (read, write):
            session = Session(read, write, message_handler=self._heard, client_info=_CLIENT)
            async with session:
                await negotiate(session, opening, self._pace.discover_limit_s)
                self._session = session
                try:
                    yield session
                finally:
                    self._session = None
                    # Who calls now waits for the next one.
                    self._to(ConnectionState.STARTING)
                    # What follows is polite: a server that hangs shall not hold us up.
                    scope.deadline = anyio.current_time() + self._pace.check_limit_s

    async def _list(self, session: ClientSession) -> None:
        """List all tools, and tell of them."""
        self._relist = False
        tools: list[mt.Tool] = []
        cursor: str | None = None
        opening = self._opening
        try:
            with nobodys_trace():
                for _ in range(_MOST_PAGES):
                    page = await session.list_tools(params=mt.PaginatedRequestParams(cursor=cursor))
                    tools += page.tools
                    cursor = page.next_cursor
                    if not cursor:
                        break
        except MCPError as exc:
            failure = opening.failure(exc) if opening else exc
            raise failure from failure.__cause__
        info = session.server_info
        await self._listed(tools, one_line(f"{info.name} {info.version}", 80) if info else "")

    async def _stay(self, session: ClientSession) -> None:
        """Return never; raise what ends the session."""
        opening = self._opening
        if opening is None:
            raise AssertionError("there is a session and no opening")
        while True:
            self._wake.clear()
            if not (self._suspect or self._relist or opening.ended):
                await self._wait(opening, min(self._pace.refresh_s, opening.renew_in_s))
            if opening.ended:
                raise Lost(opening.why_ended)
            if opening.renew_in_s <= 0 and self._in_flight == 0:
                raise Renew
            await anyio.sleep(self._pace.relist_gap_s if self._relist else 0)
            self._suspect = False
            try:
                with anyio.fail_after(self._pace.check_limit_s):
                    await self._list(session)
            except TimeoutError as exc:
                raise Lost(f"does not list its tools within {self._pace.check_limit_s:g} s") from exc

    async def _wait(self, opening: Opening, limit_s: float) -> None:
        """Wait for something to do, for the end, or for the time."""
        with anyio.move_on_after(max(0.05, limit_s)):
            async with anyio.create_task_group() as group:

                async def first(event: asyncio.Event | anyio.Event) -> None:
                    await event.wait()
                    group.cancel_scope.cancel()

                group.start_soon(first, self._wake)
                group.start_soon(first, opening.end)

    async def _pause(self) -> None:
        """Wait before the next start; a call may cut the wait short."""
        wait_s = self._pace.wait_s(self.failures)
        if wait_s <= 0:
            return
        self._next_at = time.monotonic() + wait_s
        self._wake.clear()
        self._to(ConnectionState.DOWN)
        with anyio.move_on_after(wait_s):
            await self._wake.wait()

    def _to(self, state: ConnectionState) -> None:
        if state is not self.state:
            log.info("the external server %s is %s", self._provider.name, state)
        self.state = state
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _heard(self, message: Any) -> None:
        if isinstance(message, mt.ToolListChangedNotification):
            self.refresh()
