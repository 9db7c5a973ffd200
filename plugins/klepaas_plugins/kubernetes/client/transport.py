"""How requests reach a context's API server: through the pipeline, bounded in time and size, trouble put into words.

It knows no kinds and no paths, only requests. It follows no redirect. Each
request is a call of the context's upstream (`klepaas.resilience`); of a watch, only the opening is. Credentials are
loaded before that, so that their trouble says nothing about the cluster and leaves no doubt about a change; where the
cluster no longer accepts them, they are loaded once more.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

import anyio
import httpx

from klepaas.errors import BadRequest, InternalError, KlepaasError, TimedOut, Unauthorized, Unavailable
from klepaas.foreign_json import TooDeep, parse_json
from klepaas.offload import offload
from klepaas.outbound import CertificateProblem, Proxy, certificate_problem
from klepaas.resilience import Kind, Observation, OutcomeUnknown, Overloaded, Upstream, UpstreamState, Verdict, classify
from klepaas_plugins.kubernetes.client.bodies import encode_body
from klepaas_plugins.kubernetes.client.credentials import Connection
from klepaas_plugins.kubernetes.client.requests import Request, Timeouts
from klepaas_plugins.kubernetes.client.session import Live, Session
from klepaas_plugins.kubernetes.client.warnings import note_warnings
from klepaas_plugins.kubernetes.errors import Act, BehindIt, NotTheApi, error_for

__all__ = ["Transport", "judge"]

ANSWER_MAX_BYTES = 32 * 1024 * 1024
ERROR_MAX_BYTES = 64 * 1024
T = TypeVar("T")


def judge(seen: Observation) -> Verdict:
    """The classifier of a cluster: the errors of this plugin, and the rest by default."""
    if isinstance(seen.error, BehindIt):
        return Verdict(Kind.CALLER_MISTAKE)
    if isinstance(seen.error, NotTheApi):
        return Verdict(Kind.PROTOCOL)
    return classify(seen)


class Transport:
    """Sends requests to one context's API server.

    Args:
        context: The context's name, for messages.
        load: Loads the credentials, within limits of its own.
        timeouts: Limits of a request.
        upstream: The pipeline of this context, which judges by `judge`.
    """

    def __init__(
        self, context: str, load: Callable[[], Awaitable[Connection]], timeouts: Timeouts, upstream: Upstream
    ) -> None:
        self._session = Session(context, load)
        self._timeouts = timeouts
        self._upstream = upstream

    @property
    def state(self) -> UpstreamState:
        """How the API server has been lately."""
        return self._upstream.snapshot()

    async def json(self, request: Request, max_bytes: int = ANSWER_MAX_BYTES) -> dict[str, Any]:
        """Send a request and read the answer's JSON document.

        Args:
            request: The request.
            max_bytes: Longest accepted answer; in memory it is many times that.

        Raises:
            BadRequest: The answer is longer than that.
            KlepaasError: The request failed; exactly one kind of error for each kind of failure.
        """
        return await self._call(request, partial(self._json, request, max_bytes))

    async def read(self, request: Request, max_bytes: int = ANSWER_MAX_BYTES) -> bytes:
        """Send a request and read the answer.

        Args:
            request: The request.
            max_bytes: Longest accepted answer.

        Raises:
            BadRequest: The answer is longer than that.
            KlepaasError: The request failed.
        """
        return await self._call(request, partial(self._read, request, max_bytes))

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
                async with self._opened(request, read_s or self._timeouts.read_s) as response:
                    yield response.aiter_bytes()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
            raise self._trouble(request.act, exc, None) from exc

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """The credentials, fresh, for a protocol that is not made of requests.

        Raises:
            KlepaasError: They cannot be loaded.
        """
        async with self._session.use() as live:
            yield live.connection

    async def retire(self) -> None:
        """Close every connection as soon as nobody uses it."""
        await self._session.retire()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.aclose()

    async def _call(self, request: Request, operation: Callable[[Live], Awaitable[T]]) -> T:
        act = request.act
        refused: Live | None = None
        while True:
            await self._ask_leave(act)
            async with self._session.use(refused) as live:
                try:
                    return await self._upstream.call(
                        partial(operation, live), safe=not act.changes, what=act.deed, verify=act.verify
                    )
                except Unauthorized:
                    if refused is not None or not live.connection.renewable:
                        raise
                    refused = live
                except TimedOut as exc:
                    raise self._in_our_words(act, exc) from exc.__cause__

    @asynccontextmanager
    async def _opened(self, request: Request, read_s: float) -> AsyncIterator[httpx.Response]:
        act = request.act
        refused: Live | None = None
        async with AsyncExitStack() as stack:
            while True:
                await self._ask_leave(act)
                live = await stack.enter_async_context(self._session.use(refused))
                opening = partial(self._open, request, read_s, live)
                stream = self._upstream.open_stream(opening, what=act.deed, safe=not act.changes, verify=act.verify)
                try:
                    response = await stack.enter_async_context(stream)
                    break
                except Unauthorized:
                    if refused is not None or not live.connection.renewable:
                        raise
                    refused = live
                except TimedOut as exc:
                    raise self._in_our_words(act, exc) from exc.__cause__
            yield response

    def _in_our_words(self, act: Act, exc: TimedOut) -> TimedOut:
        """The pipeline cuts an attempt that has less time left than ours; it knows neither context nor remedy."""
        if exc.next_step is not None:
            return exc
        limit_s = self._upstream.policy.total_timeout_s
        return TimedOut(act.cannot(f"no answer within {limit_s:g} s"), next_step=_RETRY)

    async def _ask_leave(self, act: Act) -> None:
        """Load no credentials, which may take long, for an upstream that would not be asked.

        Raises:
            CircuitOpen: It would not.
        """
        if self._upstream.shut:
            await self._upstream.call(_never, safe=True, what=act.deed)

    async def _json(self, request: Request, max_bytes: int, live: Live) -> dict[str, Any]:
        body = await self._read(request, max_bytes, live)
        try:
            document = await offload(partial(parse_json, body), size_chars=len(body))
        except TooDeep as exc:
            raise _too_much(request.act, f"the answer cannot be read: {exc}", _OTHER_TOOLS) from exc
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise NotTheApi(
                request.act.cannot("the answer is not the Kubernetes API's"),
                next_step="Check that the context's server is an API server",
            )
        return document

    async def _read(self, request: Request, max_bytes: int, live: Live) -> bytes:
        """One attempt: the whole answer, within the limits of time and size."""
        parts: list[bytes] = []
        size_bytes = 0
        try:
            with anyio.fail_after(self._timeouts.read_s):
                response = await self._sent(request, self._timeouts.read_s, live)
                try:
                    async for chunk in response.aiter_bytes():
                        parts.append(chunk)
                        size_bytes += len(chunk)
                        if size_bytes > max_bytes:
                            raise _too_much(request.act, f"the answer is larger than {max_bytes // 1024} KiB", _NARROW)
                finally:
                    with anyio.CancelScope(shield=True):
                        await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
            raise self._trouble(request.act, exc, live.connection.proxy) from exc
        return b"".join(parts)

    async def _open(self, request: Request, read_s: float, live: Live) -> httpx.Response:
        """One attempt: the answer's head, once it is a good one."""
        try:
            with anyio.fail_after(self._timeouts.read_s):
                return await self._sent(request, read_s, live)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
            raise self._trouble(request.act, exc, live.connection.proxy) from exc

    async def _sent(self, request: Request, read_s: float, live: Live) -> httpx.Response:
        began_at = anyio.current_time()
        response = await live.client.send(self._built(live.client, live.connection, request, read_s), stream=True)
        self._upstream.told_the_time(response.headers.get("Date"), anyio.current_time() - began_at)
        if response.is_success:
            if "Warning" in response.headers:
                note_warnings(response.headers.get_list("Warning"))
            return response
        raise await self._refusal(request.act, response)

    def _built(
        self, client: httpx.AsyncClient, connection: Connection, request: Request, read_s: float
    ) -> httpx.Request:
        query = f"?{urlencode(request.query)}" if request.query else ""
        body = None if request.body is None else encode_body(request.body)
        headers = [("Accept", request.accept), *connection.headers]
        if body is not None:
            headers.append(("Content-Type", request.content_type))
        built = client.build_request(
            request.method, f"{connection.server}{request.path}{query}", content=body, headers=headers
        )
        limits = httpx.Timeout(read_s, connect=self._timeouts.connect_s, pool=self._timeouts.read_s)
        built.extensions = {**built.extensions, "timeout": limits.as_dict()}
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
            return NotTheApi(act.cannot("the server sends us elsewhere"), next_step="Correct the server's address")
        return error_for(act, response.status_code, body, response.headers.get("Retry-After"))

    def _trouble(self, act: Act, exc: Exception, proxy: Proxy | None) -> KlepaasError:
        """A connection's trouble as an error; the pipeline sees by its cause whether anything was sent."""
        if isinstance(exc, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return BadRequest(act.cannot("the server's address is not valid"), next_step="Correct the kubeconfig")
        if isinstance(exc, httpx.PoolTimeout):
            return Overloaded(act.cannot("too many connections of ours are open"), next_step="Retry when some are done")
        if isinstance(exc, httpx.ConnectTimeout):
            through = f" through the {proxy}" if proxy else ""
            reason = f"no connection within {self._timeouts.connect_s:g} s{through}"
            return TimedOut(act.cannot(reason), next_step=_reach(proxy))
        if isinstance(exc, httpx.ConnectError | httpx.ProxyError):
            return _no_connection(act, exc, proxy)
        slow = isinstance(exc, TimeoutError | httpx.TimeoutException)
        reason = f"no answer within {self._timeouts.read_s:g} s" if slow else "the connection broke off"
        if act.changes:
            return OutcomeUnknown(act.cannot(f"{reason}; the change may have been made"), next_step=act.verify)
        kind = TimedOut if slow else Unavailable
        return kind(act.cannot(reason), next_step=_RETRY)


_RETRY = "Retry in a moment, or check the cluster"
_NARROW = "Narrow it: one namespace, a selector, or a limit"
_OTHER_TOOLS = "Ask for other objects, or look at it with other tools"
_REACH = "Check that the cluster is up and reachable from the klepaas server"


def _too_much(act: Act, reason: str, next_step: str) -> KlepaasError:
    """What an answer is that came, but is not read; the cluster itself is well."""
    if act.changes:
        return OutcomeUnknown(act.cannot(f"{reason}; the change may have been made"), next_step=act.verify)
    return BadRequest(act.cannot(reason), next_step=next_step)


def _no_connection(act: Act, exc: Exception, proxy: Proxy | None) -> KlepaasError:
    problem = certificate_problem(exc)
    if problem is not None:
        return BehindIt(act.cannot(f"the server's certificate {problem.reason}"), next_step=_certificate_step(problem))
    text = str(exc)
    if "SSL" in text or "TLS" in text:
        reason = "the TLS handshake failed"
    elif "Name or service not known" in text or "nodename nor servname" in text or "resolution" in text:
        reason = "the server's name cannot be resolved"
    elif isinstance(exc, httpx.ProxyError):
        reason = f"the {proxy} does not let us through"
        if text.startswith("407"):
            reason = f"the {proxy} does not accept our credentials, or asks for some"
    else:
        reason = "the connection is refused or the server cannot be reached"
    if proxy is not None and not isinstance(exc, httpx.ProxyError):
        reason = f"{reason}, on the way through the {proxy}"
    return Unavailable(act.cannot(reason), next_step=_reach(proxy))


def _reach(proxy: Proxy | None) -> str:
    if proxy is None:
        return _REACH
    if "proxy-url" in proxy.source:
        return f"{_REACH}, and that the context's proxy-url is right"
    return f"Correct {proxy.source} in the environment of the klepaas server, or add the cluster's address to NO_PROXY"


def _certificate_step(problem: CertificateProblem) -> str:
    """The remedy in the kubeconfig's own words."""
    if problem.is_name:
        return "Use a name that the certificate holds in the context's server, or give one as its tls-server-name"
    if problem.is_trust:
        return "Correct the context's certificate-authority, which must be the one that signed it"
    return problem.next_step


async def _never() -> None:
    raise InternalError("an upstream that is shut was asked")
