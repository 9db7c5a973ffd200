"""One monitoring server's HTTP API: through the pipeline, bounded in time and size, read while it arrives.

Shared by every plugin that asks such a server. It follows no redirect. It knows
no paths of the API and no meaning of an answer.
"""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import anyio
import anyio.to_thread

from klepaas.outbound import open_client
from klepaas.resilience import Policy, Upstream, UpstreamState, parse_retry_after
from klepaas_plugins.prometheus.access import Access
from klepaas_plugins.prometheus.client.json_stream import Malformed
from klepaas_plugins.prometheus.errors import NotTheApi, error_for

if TYPE_CHECKING:
    import httpx

__all__ = ["ApiAnswer", "ApiRequest", "HttpApi", "policy_of"]

CONNECT_TIMEOUT_S = 5.0
ERROR_MAX_BYTES = 64 * 1024
T = TypeVar("T")


def policy_of(timeout_s: float) -> Policy:
    """The limits of a server of which one answer may take so long.

    Args:
        timeout_s: Longest time of one attempt, in seconds.
    """
    return Policy(max_concurrent=8, total_timeout_s=1.5 * timeout_s + 5, attempt_timeout_s=timeout_s, attempts=2)


@dataclass(frozen=True)
class ApiRequest:
    """One request.

    Attributes:
        method: Its method.
        path: Its path after the server's address; every part of it checked or quoted.
        what: What is asked, to go after "Cannot": "query Prometheus".
        params: Its parameters: the body of a POST as a form, else the query.
        body: A JSON body. None: there is none.
        changes: Whether it changes something: then it is not repeated in doubt.
        verify: For a change, how to find out whether it was made.
    """

    method: str
    path: str
    what: str
    params: Sequence[tuple[str, str]] = ()
    body: Any = None
    changes: bool = False
    verify: str | None = None


@dataclass(frozen=True)
class ApiAnswer:
    """A good answer's head, and its body as it arrives.

    Attributes:
        status: Its status code.
        pieces: The body's bytes.
        skew_s: How far the server's clock is before ours, in seconds. None: it does not tell.
        took_s: How long the head took, in seconds.
    """

    status: int
    pieces: AsyncIterator[bytes]
    skew_s: float | None
    took_s: float


Reading = Callable[[ApiAnswer], Awaitable[T]]


class HttpApi:
    """Asks one server.

    Args:
        name: What people call it, for messages.
        access: How it is reached.
        upstream: Its pipeline, which judges by `klepaas_plugins.prometheus.errors.judge`.
    """

    def __init__(self, name: str, access: Access, upstream: Upstream) -> None:
        self.name = name
        self.access = access
        self._upstream = upstream
        self._client: httpx.AsyncClient | None = None
        self._opening: anyio.Lock | None = None

    @property
    def state(self) -> UpstreamState:
        """How it has been lately."""
        return self._upstream.snapshot()

    async def ask(self, request: ApiRequest, read: Reading[T]) -> T:
        """Send a request and read its answer; both once more if an attempt fails in a way that may pass.

        Args:
            request: The request.
            read: Reads a good answer; starts anew at each attempt.

        Raises:
            KlepaasError: It failed.
        """
        return await self._upstream.call(
            partial(self._attempt, request, read),
            safe=not request.changes,
            what=request.what,
            verify=request.verify,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()

    async def _attempt(self, request: ApiRequest, read: Reading[T]) -> T:
        client = await self._opened()
        began_at = time.monotonic()
        built = await self._built(client, request)
        response = await client.send(built, stream=True)
        try:
            if not response.is_success:
                raise await self._refusal(request, response)
            took_s = time.monotonic() - began_at
            self._upstream.told_the_time(response.headers.get("Date"), took_s)
            skew_s = _skew_of(response.headers.get("Date"), took_s)
            return await read(ApiAnswer(response.status_code, response.aiter_bytes(), skew_s, took_s))
        except Malformed as exc:
            raise NotTheApi(
                f"Cannot {request.what}: {self.name}: {exc}",
                next_step="Retry in a moment" if exc.broke_off else "Check the server's address and credentials",
            ) from exc
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _opened(self) -> "httpx.AsyncClient":
        # Here and not above: a start need not wait for it.
        import httpx

        self._opening = self._opening or anyio.Lock()
        async with self._opening:
            if self._client is None:
                tls = await anyio.to_thread.run_sync(self.access.tls)
                limits = httpx.Timeout(self._upstream.policy.attempt_timeout_s, connect=CONNECT_TIMEOUT_S)
                self._client = open_client(self.access.url, limits, tls)
            return self._client

    async def _built(self, client: "httpx.AsyncClient", request: ApiRequest) -> "httpx.Request":
        headers = await anyio.to_thread.run_sync(self.access.request_headers)
        # A packed answer would have to be unpacked before anybody knows how long it is.
        headers = {**headers, "Accept": "application/json", "Accept-Encoding": "identity"}
        url, content = f"{self.access.url}{request.path}", None
        if request.body is not None:
            content = json.dumps(request.body).encode()
            headers["Content-Type"] = "application/json"
        elif request.method == "POST":
            content = urlencode(request.params).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif request.params:
            url = f"{url}?{urlencode(request.params)}"
        return client.build_request(request.method, url, content=content, headers=headers)

    async def _refusal(self, request: ApiRequest, response: "httpx.Response") -> Exception:
        body = b""
        async for piece in response.aiter_bytes():
            body += piece[:ERROR_MAX_BYTES]
            if len(body) >= ERROR_MAX_BYTES:
                break
        retry_after_s = parse_retry_after(response.headers.get("Retry-After"), time.time())
        return error_for(request.what, self.name, response.status_code, body, retry_after_s)


def _skew_of(date: str | None, took_s: float) -> float | None:
    """The difference of the clocks as far as it is certain: a date has whole seconds and was written on the way."""
    if date is None:
        return None
    from email.utils import parsedate_to_datetime

    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
    difference = theirs + 0.5 - time.time()
    doubt = 0.5 + took_s
    return difference - doubt if difference > doubt else difference + doubt if difference < -doubt else 0.0
