"""The one HTTP client of a context: opened on first use, bounded in time and size, its trouble put into words.

It knows no kinds and no paths, only requests. It follows no redirect, reads no proxy from the environment, and holds
the credentials: it loads them in a thread, and again when they end or the cluster no longer accepts them.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any
from urllib.parse import urlencode

import anyio
import anyio.to_thread
import httpx

from klepaas.errors import BadRequest, InternalError, KlepaasError, TimedOut, Unauthorized, Unavailable
from klepaas_plugins.kubernetes.client.credentials import Connection
from klepaas_plugins.kubernetes.client.requests import Request, Timeouts
from klepaas_plugins.kubernetes.errors import Act, OutcomeUnknown, error_for

__all__ = ["Transport"]

ANSWER_MAX_BYTES = 32 * 1024 * 1024
ERROR_MAX_BYTES = 64 * 1024
LOADING_TIMEOUT_S = 30.0
_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=60.0)


class Transport:
    """Sends requests to one context's API server.

    Args:
        context: The context's name, for messages.
        load: Loads the credentials; blocks.
        timeouts: Limits of a request.
    """

    def __init__(self, context: str, load: Callable[[], Connection], timeouts: Timeouts) -> None:
        self._context = context
        self._load = load
        self._timeouts = timeouts
        self._lock = anyio.Lock()
        self._connection: Connection | None = None
        self._client: httpx.AsyncClient | None = None
        self._retired: list[httpx.AsyncClient] = []

    async def json(self, request: Request) -> dict[str, Any]:
        """Send a request and read the answer's JSON document.

        Raises:
            KlepaasError: The request failed; exactly one kind of error for each kind of failure.
        """
        body = await self.read(request)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise Unavailable(
                request.act.cannot("the answer is not the Kubernetes API's"),
                next_step="Check that the context's server is an API server",
            )
        return document

    async def read(self, request: Request, max_bytes: int = ANSWER_MAX_BYTES) -> bytes:
        """Send a request and read the answer.

        Args:
            request: The request.
            max_bytes: Longest accepted answer.

        Raises:
            BadRequest: The answer is longer than that.
            KlepaasError: The request failed.
        """
        parts: list[bytes] = []
        size_bytes = 0
        async with self.stream(request, limit_s=2 * self._timeouts.read_s) as chunks:
            async for chunk in chunks:
                parts.append(chunk)
                size_bytes += len(chunk)
                if size_bytes > max_bytes:
                    raise BadRequest(
                        request.act.cannot(f"the answer is larger than {max_bytes // 1024} KiB"),
                        next_step="Narrow it: one namespace, a selector, or a limit",
                    )
        return b"".join(parts)

    @asynccontextmanager
    async def stream(
        self, request: Request, *, limit_s: float | None, read_s: float | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Send a request and read the answer piece by piece.

        Args:
            request: The request.
            limit_s: Longest time in all, in seconds. None: as long as the caller stays.
            read_s: Longest silence, in seconds. None: the client's own limit.

        Raises:
            KlepaasError: The request failed.
        """
        try:
            # No scope without a limit: a watch's caller enters and leaves scopes of its own between two events.
            with anyio.fail_after(limit_s) if limit_s is not None else nullcontext():
                response = await self._open(request, read_s or self._timeouts.read_s)
                try:
                    yield response.aiter_bytes()
                finally:
                    with anyio.CancelScope(shield=True):
                        await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
            raise self._trouble(request.act, exc) from exc

    async def aclose(self) -> None:
        """Close every connection."""
        clients = [*self._retired, *([self._client] if self._client else [])]
        self._retired, self._client, self._connection = [], None, None
        for client in clients:
            await client.aclose()

    async def _open(self, request: Request, read_s: float) -> httpx.Response:
        """The answer's head, once it is a good one. Refused credentials are loaded again, once, where that may help."""
        for last in (False, True):
            client, connection = await self._ready()
            response = await client.send(self._built(client, connection, request, read_s), stream=True)
            if response.is_success:
                return response
            error = await self._refusal(request.act, response)
            if last or not isinstance(error, Unauthorized) or not connection.renewable:
                raise error
            await self._forget(connection)
        raise InternalError("unreachable")

    def _built(
        self, client: httpx.AsyncClient, connection: Connection, request: Request, read_s: float
    ) -> httpx.Request:
        query = f"?{urlencode(request.query)}" if request.query else ""
        body = None if request.body is None else json.dumps(request.body).encode()
        headers = [("Accept", request.accept), *connection.headers]
        if body is not None:
            headers.append(("Content-Type", request.content_type))
        extensions = {"sni_hostname": connection.server_name} if connection.server_name else {}
        built = client.build_request(
            request.method, f"{connection.server}{request.path}{query}", content=body, headers=headers
        )
        limits = httpx.Timeout(read_s, connect=self._timeouts.connect_s, pool=self._timeouts.read_s)
        built.extensions = {**built.extensions, **extensions, "timeout": limits.as_dict()}
        return built

    async def _refusal(self, act: Act, response: httpx.Response) -> KlepaasError:
        body = b""
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ERROR_MAX_BYTES:
                    break
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()
        if response.is_redirect:
            return Unavailable(act.cannot("the server sends us elsewhere"), next_step="Correct the server's address")
        return error_for(act, response.status_code, body, response.headers.get("Retry-After"))

    async def _ready(self) -> tuple[httpx.AsyncClient, Connection]:
        """The client and the credentials, loaded and fresh."""
        async with self._lock:
            if self._connection is None or self._connection.is_stale:
                await self._renew()
            if self._client is None or self._connection is None:
                raise InternalError("a renewed connection has no client")
            return self._client, self._connection

    async def _forget(self, refused: Connection) -> None:
        """Have the credentials loaded again, unless somebody else did so meanwhile."""
        async with self._lock:
            if self._connection is refused:
                await self._renew()

    async def _renew(self) -> None:
        try:
            with anyio.fail_after(LOADING_TIMEOUT_S):
                connection = await anyio.to_thread.run_sync(self._load, abandon_on_cancel=True)
        except TimeoutError:
            raise TimedOut(
                f"The credentials of context {self._context} took longer than {LOADING_TIMEOUT_S:.0f} s to load"
            ) from None
        client = self._new_client(connection)
        if self._client is not None:
            await self._retire(self._client)
        self._client, self._connection = client, connection

    async def _retire(self, client: httpx.AsyncClient) -> None:
        """Keep a client whose requests may still run until its successor is replaced too."""
        for older in self._retired:
            await older.aclose()
        self._retired = [client]

    def _new_client(self, connection: Connection) -> httpx.AsyncClient:
        try:
            proxy = httpx.Proxy(connection.proxy) if connection.proxy else None
            return httpx.AsyncClient(
                verify=connection.tls, proxy=proxy, limits=_LIMITS, trust_env=False, follow_redirects=False
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            # The message quotes the address, which may hold a password.
            raise BadRequest(
                f"Context {self._context} cannot be used: its proxy-url is not one that klepaas can use"
            ) from None

    def _trouble(self, act: Act, exc: Exception) -> KlepaasError:
        """A connection's trouble as an error."""
        if isinstance(exc, httpx.InvalidURL | httpx.UnsupportedProtocol):
            return BadRequest(act.cannot("the server's address is not valid"), next_step="Correct the kubeconfig")
        if isinstance(exc, httpx.ConnectTimeout | httpx.PoolTimeout):
            return TimedOut(
                act.cannot(f"no connection within {self._timeouts.connect_s:g} s"),
                next_step="Check that the cluster is up and reachable from the klepaas server",
            )
        if isinstance(exc, httpx.ConnectError | httpx.ProxyError):
            return Unavailable(
                act.cannot(_why_no_connection(exc)),
                next_step="Check that the cluster is up and reachable from the klepaas server",
            )
        slow = isinstance(exc, TimeoutError | httpx.TimeoutException)
        reason = f"no answer within {self._timeouts.read_s:g} s" if slow else "the connection broke off"
        if act.changes:
            return OutcomeUnknown(
                act.cannot(f"{reason}; the change may have been made"), next_step="Read the object before retrying"
            )
        kind = TimedOut if slow else Unavailable
        return kind(act.cannot(reason), next_step="Retry in a moment, or check the cluster")


def _why_no_connection(exc: Exception) -> str:
    text = str(exc)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "the server's certificate is not trusted"
    if "SSL" in text or "TLS" in text:
        return "the TLS handshake failed"
    if "Name or service not known" in text or "nodename nor servname" in text or "resolution" in text:
        return "the server's name cannot be resolved"
    return "the connection is refused or the server cannot be reached"
