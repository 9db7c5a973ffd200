"""HTTP to an MCP server: our headers and no others, bounded answers, and failures that keep their meaning.

The MCP library turns every HTTP failure into one and the same JSON-RPC error, and a connection that cannot be made ends
its whole session. This transport stands below it: what fails becomes an error answer to that one request, with a number
under which the true failure (a status with its `Retry-After`, a refused connection) is kept for whoever asked.

Source: MCP 2025-11-25 and 2026-07-28, basic/transports, "Streamable HTTP"; RFC 9110.
"""

import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2

from klepaas.external.declaration import HttpServer
from klepaas.external.event_stream import EventStream, EventTooLong
from klepaas.external.failures import NotUp
from klepaas.external.messages import MESSAGE_MAX_BYTES, TOO_LONG, error_answer, mended
from klepaas.foreign_json import parse_json
from klepaas.outbound import USER_AGENT, proxy_for
from klepaas.output.redaction import vault

__all__ = ["Carrier", "http_client"]

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
_ERROR_MAX_BYTES = 64 * 1024
_MOST_FAILURES = 256
# Of an error that we put in a server's place.
FAILED = -32098


class Carrier(httpx2.AsyncBaseTransport):
    """Carries requests to one server.

    Args:
        server: The server.
        inner: What makes connections. None: httpx.
        max_bytes: The most that is read of an answer, in bytes.
    """

    def __init__(
        self, server: HttpServer, inner: httpx2.AsyncBaseTransport | None = None, max_bytes: int = MESSAGE_MAX_BYTES
    ) -> None:
        self._server = server
        self._inner = inner or _connecting(server.url)
        self._max_bytes = max_bytes
        self._failures: OrderedDict[str, Exception] = OrderedDict()
        self.session_lost = False

    def failure(self, data: object) -> Exception | None:
        """The true failure behind an error answer; None where the server itself answered so.

        Args:
            data: The error's data.
        """
        number = data.get("klepaas") if isinstance(data, Mapping) else None
        return self._failures.pop(number, None) if isinstance(number, str) else None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; its failure is an answer too."""
        request_id = _request_id(request)
        try:
            self._check_origin(request)
            await self._sign(request)
            response = await self._inner.handle_async_request(request)
            if request_id is None:
                return _mended_stream(response, self._max_bytes)
            return await self._judged(request, response, request_id)
        except Exception as exc:  # noqa: BLE001 -- guarded boundary: whatever fails is told to whoever asked
            if request_id is not None:
                return self._failed(request_id, exc)
            log.debug("a message without an answer could not be sent: %s", type(exc).__name__)
            # The library would end its session: an ended stream of news, or a lost notification, is no reason to.
            return httpx2.Response(405 if request.method == "GET" else 202, request=request)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()

    def _check_origin(self, request: httpx2.Request) -> None:
        """Let nothing leave for elsewhere, wherever an answer has sent the library: our credentials would go along."""
        asked, own = request.url, httpx2.URL(self._server.url)
        if (asked.scheme, asked.host, asked.port) != (own.scheme, own.host, own.port):
            raise httpx2.UnsupportedProtocol("the server sends us elsewhere", request=request)

    async def _sign(self, request: httpx2.Request) -> None:
        request.headers["accept-encoding"] = "identity"
        if self._server.credentials is not None:
            credentials = await self._server.credentials()
            for name, value in credentials.values.items():
                vault.keep(value.partition(" ")[2] or value, renewal_of=f"{name} of {self._server.url}")
                request.headers[name] = value

    async def _judged(
        self, request: httpx2.Request, response: httpx2.Response, request_id: int | str
    ) -> httpx2.Response:
        if response.status_code >= 400:
            return await self._refused(request, response, request_id)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            return self._failed(request_id, httpx2.DecodingError("an encoding that nobody asked for", request=request))
        if _is_event_stream(response):
            return _copy(response, stream=_Events(response, self._max_bytes, most_bytes=self._max_bytes))
        body = await _read(response, self._max_bytes)
        if body is None:
            return _answer(error_answer(request_id, TOO_LONG, "an answer that is too long"), response)
        return _copy(response, content=mended(body))

    async def _refused(
        self, request: httpx2.Request, response: httpx2.Response, request_id: int | str
    ) -> httpx2.Response:
        """A status of 400 and above: the server's own JSON-RPC error where there is one, the status otherwise."""
        body = await _read(response, _ERROR_MAX_BYTES)
        if response.status_code == 404 and "mcp-session-id" in request.headers:
            self.session_lost = True
            return self._failed(request_id, NotUp("has forgotten our session"))
        if body is not None and _is_error(body):
            return _answer(body, response)
        answer = httpx2.Response(response.status_code, headers=response.headers, request=request)
        text = f"status {response.status_code}"
        return self._failed(request_id, httpx2.HTTPStatusError(text, request=request, response=answer))

    def _failed(self, request_id: int | str, failure: Exception) -> httpx2.Response:
        number = secrets.token_hex(16)
        self._failures[number] = failure
        while len(self._failures) > _MOST_FAILURES:
            self._failures.popitem(last=False)
        answer = error_answer(request_id, FAILED, type(failure).__name__, {"klepaas": number})
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=answer)


class _Events(httpx2.AsyncByteStream):
    """A stream of events with messages that the library can read, and no more of them than is good for us.

    Args:
        response: Where they come from.
        event_max_bytes: The longest event, in bytes.
        most_bytes: The most that is read of all. None: there is no end, as of a stream of news.
    """

    def __init__(self, response: httpx2.Response, event_max_bytes: int, most_bytes: int | None = None) -> None:
        self._response = response
        self._events = EventStream(event_max_bytes)
        self._most_bytes = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size_bytes = 0
        async for chunk in self._response.aiter_raw():
            size_bytes += len(chunk)
            if self._most_bytes is not None and size_bytes > self._most_bytes:
                raise httpx2.ReadError("a stream that is too long")
            try:
                events = self._events.feed(chunk)
            except EventTooLong as exc:
                raise httpx2.ReadError("an event that is too long") from exc
            if events:
                yield events

    async def aclose(self) -> None:
        await self._response.aclose()


def http_client(carrier: Carrier, server: HttpServer, read_timeout_s: float) -> httpx2.AsyncClient:
    """A client of one server, which follows no redirect and reads nothing but the proxy from the environment.

    Args:
        carrier: What carries its requests.
        server: The server.
        read_timeout_s: Longest silence in an answer, in seconds.
    """
    return httpx2.AsyncClient(
        transport=carrier,
        headers={"User-Agent": USER_AGENT, **server.headers},
        timeout=httpx2.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S),
        follow_redirects=False,
        trust_env=False,
    )


def _connecting(url: str) -> httpx2.AsyncHTTPTransport:
    """What makes connections to a server, through the environment's proxy where that is for it."""
    proxy = proxy_for(url)
    return httpx2.AsyncHTTPTransport(proxy=httpx2.Proxy(proxy.url) if proxy else None)


def _request_id(request: httpx2.Request) -> int | str | None:
    """The id of the JSON-RPC request in a POST; None where no answer is expected."""
    if request.method != "POST":
        return None
    try:
        said: Any = json.loads(request.content)
    except (ValueError, httpx2.StreamError):
        return None
    found = said.get("id") if isinstance(said, dict) and "method" in said else None
    return found if isinstance(found, int | str) else None


def _is_event_stream(response: httpx2.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "text/event-stream"


def _mended_stream(response: httpx2.Response, event_max_bytes: int) -> httpx2.Response:
    """What answers no request of ours: news, where it is a stream of them."""
    if response.status_code != 200 or not _is_event_stream(response):
        return response
    return _copy(response, stream=_Events(response, event_max_bytes))


def _is_error(body: bytes) -> bool:
    try:
        said: Any = parse_json(body)
    except ValueError:
        return False
    return isinstance(said, dict) and isinstance(said.get("error"), dict) and "code" in said["error"]


async def _read(response: httpx2.Response, max_bytes: int) -> bytes | None:
    """The body; None where it is longer."""
    parts: list[bytes] = []
    size_bytes = 0
    try:
        async for chunk in response.aiter_raw():
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                return None
            parts.append(chunk)
    finally:
        await response.aclose()
    return b"".join(parts)


def _answer(body: bytes, response: httpx2.Response) -> httpx2.Response:
    return httpx2.Response(
        200 if response.status_code < 400 else response.status_code,
        headers={"content-type": "application/json"},
        content=body,
    )


def _copy(response: httpx2.Response, **body: Any) -> httpx2.Response:
    headers = [
        (name, value)
        for name, value in response.headers.multi_items()
        if name.lower() not in ("content-length", "transfer-encoding")
    ]
    return httpx2.Response(response.status_code, headers=headers, **body)
