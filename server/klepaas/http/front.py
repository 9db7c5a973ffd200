"""What every HTTP request meets first and last: it is named and counted, and turned away where it may not come in.

The length of a body is checked further inside (`BodyLimit`), behind the guard against foreign hosts. What is turned
away here gets a JSON-RPC error as its body, the form that clients of `/mcp` can read.
"""

from collections.abc import Iterable

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from klepaas.calls import CORRELATION, Calls
from klepaas.correlation import Correlation, correlated
from klepaas.http.origins import foreign_header
from klepaas.http.refusals import explanation_of, foreign_request, rejection, unchecked_credentials
from klepaas.metrics import HttpRequests

__all__ = ["BodyLimit", "Front"]

PATHS = frozenset({"/mcp", "/healthz", "/readyz", "/metrics"})
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
# Request line and headers together; a token and a trace take about 2 KiB.
HEADERS_MAX_BYTES = 16 * 1024
BODY_TIMEOUT_S = 15.0


class Front:
    """The outermost ASGI application.

    Args:
        inner: What it stands before.
        calls: Says whether the server is stopping.
        numbers: Counts.
        received: The paths of plugins, to which other programs post.
    """

    def __init__(self, inner: ASGIApp, calls: Calls, numbers: HttpRequests, received: Iterable[str] = ()) -> None:
        self._calls = calls
        self._numbers = numbers
        self._received = frozenset(received)
        self._inner = inner
        self._paths = PATHS | self._received
        self._answering = 0
        self._answered = anyio.Event()

    async def all_answered(self, within_s: float) -> None:
        """Wait until every message that was posted has its whole answer.

        Args:
            within_s: For how long at most, in seconds.
        """
        with anyio.move_on_after(within_s):
            while self._answering:
                self._answered = anyio.Event()
                await self._answered.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a request through."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        status = 0
        explained: Response | None = None

        async def watched(message: Message) -> None:
            nonlocal status, explained
            if message["type"] == "http.response.start":
                status = message["status"]
                explained = None if scope["path"] in self._received else explanation_of(message)
            if explained is None:
                await send(message)

        correlation = Correlation.of(Headers(scope=scope).get("traceparent"))
        scope[CORRELATION] = correlation
        path = scope["path"] if scope["path"] in self._paths else "other"
        method = scope["method"] if scope["method"] in METHODS else "other"
        is_message = method == "POST"
        self._answering += is_message
        with correlated(correlation):
            try:
                await (self._objection(scope) or self._inner)(scope, receive, watched)
                if explained is not None:
                    await explained(scope, receive, send)
            finally:
                self._answering -= is_message
                self._answered.set()
                self._numbers.answered(path, method, status)

    def _objection(self, scope: Scope) -> Response | None:
        target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if target + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > HEADERS_MAX_BYTES:
            return rejection(431, f"The headers are longer than {HEADERS_MAX_BYTES} bytes")
        if foreign := foreign_header(scope):
            return foreign_request(foreign)
        if scope["path"] == "/mcp" and (refusal := unchecked_credentials(scope)):
            return refusal
        begins = scope["path"] in self._received or (scope["path"] == "/mcp" and _begins_something(scope))
        if self._calls.stopping and begins:
            return rejection(503, "This server is stopping", retry_after_s=5)
        return None


def _begins_something(scope: Scope) -> bool:
    """Whether a request opens a session or a stream, which would outlive the calls that still run.

    Others come through: they may answer what a running call asked, and new calls are refused one by one.
    """
    headers = Headers(scope=scope)
    if "mcp-session-id" in headers:
        return bool(scope["method"] == "GET")
    return headers.get("mcp-method", "subscriptions/listen") == "subscriptions/listen"


class BodyLimit:
    """Reads a request's body within its limits of size and time before anything else sees it.

    Args:
        inner: What gets the request.
        max_bytes: Its longest body.
    """

    def __init__(self, inner: ASGIApp, max_bytes: int) -> None:
        self._inner = inner
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body, or turn it away."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or len(declared) > 18 or int(declared) > self._max_bytes:
            await self._too_long()(scope, receive, send)
            return
        body = bytearray()
        with anyio.move_on_after(BODY_TIMEOUT_S) as limit:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return  # the client has left
                body += message.get("body", b"")
                if len(body) > self._max_bytes:
                    await self._too_long()(scope, receive, send)
                    return
                if not message.get("more_body"):
                    break
        if limit.cancelled_caught:
            await rejection(408, f"The body did not come within {BODY_TIMEOUT_S:g} s")(scope, receive, send)
            return
        await self._inner(scope, _replay(bytes(body), receive), send)

    def _too_long(self) -> Response:
        return rejection(413, f"The body is longer than {self._max_bytes} bytes")


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read, and after it whatever comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
