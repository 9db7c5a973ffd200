"""The credentials of a context and the HTTP client that goes with them: loaded on first use, renewed in time.

A client lives as long as the way to the server stays the same (address, TLS, proxy); where only a token changes, the
client and its connections stay. A client that is replaced is closed when its last request is done. It sends nothing.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx

from klepaas.errors import BadRequest, KlepaasError
from klepaas.outbound import USER_AGENT
from klepaas.resilience import NotSent
from klepaas_plugins.kubernetes.client.credentials import Connection

__all__ = ["Live", "Session"]

log = logging.getLogger(__name__)

# Connections that stand idle for longer may be gone at the other end; watches need one each.
_LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=32, keepalive_expiry=30.0)
# Credentials that could not be renewed, and a plugin that hangs, are not tried again by each call that comes.
RENEWAL_PAUSE_S = 10.0


@dataclass
class _Pool:
    """A client and how many use it."""

    client: httpx.AsyncClient
    users: int = 0
    retired: bool = False


@dataclass(frozen=True)
class Live:
    """Credentials, and the client to use them with.

    Attributes:
        connection: The credentials.
        pool: The client.
    """

    connection: Connection
    pool: _Pool

    @property
    def client(self) -> httpx.AsyncClient:
        """The client."""
        return self.pool.client


@dataclass(frozen=True)
class _Failure:
    """A loading that failed: its number, its error, and when on the event loop's clock."""

    number: int
    error: KlepaasError
    at_s: float


class Session:
    """Keeps one context's credentials.

    Args:
        context: The context's name, for messages.
        load: Loads the credentials, within limits of its own.
    """

    def __init__(self, context: str, load: Callable[[], Awaitable[Connection]]) -> None:
        self._context = context
        self._load = load
        self._lock = anyio.Lock()
        self._live: Live | None = None
        self._retired = False
        self._loadings = 0
        self._failure: _Failure | None = None
        self._put_off_until_s = 0.0

    @asynccontextmanager
    async def use(self, refused: Live | None = None) -> AsyncIterator[Live]:
        """Fresh credentials, whose client stays open until the end.

        Args:
            refused: Those that the server has just refused. None: none.

        Raises:
            KlepaasError: They cannot be loaded.
        """
        live = await self._ready(refused)
        live.pool.users += 1
        try:
            yield live
        finally:
            live.pool.users -= 1
            if live.pool.retired or self._retired:
                await self._retire(live.pool)

    async def retire(self) -> None:
        """Close the client as soon as nobody uses it, now and after each later use."""
        self._retired = True
        if self._live is not None:
            await self._retire(self._live.pool)

    async def aclose(self) -> None:
        """Close the client, used or not."""
        live, self._live = self._live, None
        if live is not None:
            live.pool.retired = True
            await live.client.aclose()

    async def _ready(self, refused: Live | None) -> Live:
        begun = self._loadings
        async with self._lock:
            live = self._live
            if live is None or live is refused:
                self._raise_again(begun)
                return await self._renewed()
            if not live.connection.is_stale or anyio.current_time() < self._put_off_until_s:
                return live
            try:
                return await self._renewed()
            except KlepaasError as exc:
                # They were good until now, and the server says when they no longer are.
                log.warning("the credentials of context %s cannot be renewed: %s", self._context, exc.what)
                self._put_off_until_s = anyio.current_time() + RENEWAL_PAUSE_S
                return live

    def _raise_again(self, begun: int) -> None:
        """Let those who waited for a loading share its failure, and leave one alone that hangs."""
        failure = self._failure
        if failure is None:
            return
        while_waiting = failure.number > begun
        hangs = isinstance(failure.error, NotSent) and anyio.current_time() - failure.at_s < RENEWAL_PAUSE_S
        if while_waiting or hangs:
            raise failure.error.with_traceback(None)

    async def _renewed(self) -> Live:
        try:
            connection = await self._load()
        except KlepaasError as exc:
            self._loadings += 1
            self._failure = _Failure(self._loadings, exc, anyio.current_time())
            raise
        self._loadings += 1
        self._failure = None
        old = self._live
        same = old is not None and old.connection.way == connection.way and not old.pool.retired
        pool = old.pool if old is not None and same else _Pool(self._new_client(connection))
        self._live = Live(connection, pool)
        if old is not None and old.pool is not pool:
            await self._retire(old.pool)
        return self._live

    async def _retire(self, pool: _Pool) -> None:
        pool.retired = True
        if pool.users:
            return
        if self._live is not None and self._live.pool is pool:
            self._live = None
        with anyio.CancelScope(shield=True):
            await pool.client.aclose()

    def _new_client(self, connection: Connection) -> httpx.AsyncClient:
        try:
            proxy = httpx.Proxy(connection.proxy.url) if connection.proxy else None
            return httpx.AsyncClient(
                verify=connection.tls,
                proxy=proxy,
                limits=_LIMITS,
                headers={"User-Agent": USER_AGENT},
                trust_env=False,
                follow_redirects=False,
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            # The message quotes the address, which may hold a password.
            raise BadRequest(
                f"Context {self._context} cannot be used: its proxy is not one that klepaas can use"
            ) from None
