"""A fake HTTP upstream: a real server on loopback with the routes that a test gives it, which records and breaks.

    async with FakeHttp() as fake:
        fake.answer("GET", "/v1/things/{name}", {"state": "well"})
        fake.fault_next(rate_limited(2), HalfOpen())    # the first two requests
        ...                                             # ask fake.url
        assert fake.requests[0].path == "/v1/things/web"

It stands behind a `FaultProxy`: a request that meets a fault which keeps it from the server is not in `requests`.
HTTP/1.1 without TLS. It also takes requests meant for a proxy (`GET http://name/path`): a client that is told to use it
as its proxy can ask any name, and nothing leaves the machine.
"""

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from klepaas.testing.fault_proxy import Answer, Fault, FaultProxy
from klepaas.testing.loopback import Listening, answer_bytes, read_request

__all__ = ["FakeHttp", "Handler", "HttpRequest", "failing", "nonsense", "rate_limited"]

_JSON = {"Content-Type": "application/json"}
# What stands before the path in a request to a proxy.
_ABSOLUTE = re.compile(r"\Ahttp://[^/?]*")


@dataclass(frozen=True)
class HttpRequest:
    """A request that the fake carried out.

    Attributes:
        method: Its method.
        path: Its path as it came over the wire, still percent-encoded, without the query.
        query: Its query, decoded, in order.
        headers: Its headers, names in lower case.
        body: Its body.
        names: What the places in braces of the route stand for in this request, still percent-encoded.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body as JSON data."""
        return json.loads(self.body)


Handler = Callable[[HttpRequest], Answer | Awaitable[Answer]]


def failing(status: int = 503, text: str = "out of order") -> Answer:
    """An answer of an upstream that fails.

    Args:
        status: The status code.
        text: What its body says.
    """
    return Answer(status, _JSON, json.dumps({"error": text}).encode())


def rate_limited(retry_after_s: int | None = None) -> Answer:
    """An answer of an upstream that wants to be left alone.

    Args:
        retry_after_s: For how long, in seconds. None: it does not say.
    """
    return Answer(429, _JSON if retry_after_s is None else {**_JSON, "Retry-After": str(retry_after_s)})


def nonsense() -> Answer:
    """A lie: the status says that all is well, and the body is not what anybody asked for."""
    return Answer(200, _JSON, b"<html><body>Please sign in</body></html>")


class FakeHttp:
    """The fake.

    Attributes:
        requests: What it carried out, in order; also requests that no route knows, which get a 404.
        proxy: What breaks the connections; `proxy.connections` counts every attempt.
    """

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self._server = _Routes(self.requests)
        self.proxy = FaultProxy(0)

    async def __aenter__(self) -> Self:
        await self._server.start()
        self.proxy = FaultProxy(self._server.port)
        await self.proxy.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.proxy.__aexit__(kind, value, trace)
        await self._server.__aexit__(kind, value, trace)

    @property
    def url(self) -> str:
        """Its address, without a final slash."""
        return self.proxy.url

    @property
    def fault(self) -> Fault | None:
        """What happens to each request. None: it is carried out."""
        return self.proxy.fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self.proxy.fault = fault

    def fault_next(self, *faults: Fault) -> None:
        """Let the next requests meet these faults, one each.

        Args:
            faults: The faults.
        """
        self.proxy.next_faults.extend(faults)

    def answer(
        self, method: str, path: str, body: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer requests of a route always alike; a later answer for the same route takes its place.

        Args:
            method: Their method.
            path: Their path; a segment `{name}` stands for any one segment
                that no other route names.
            body: JSON data. Bytes are sent as they are.
            status: The status code.
            headers: The answer's headers. None: it is JSON.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        chosen = Answer(status, headers or _JSON, content)
        self.handle(method, path, lambda _request: chosen)

    def handle(self, method: str, path: str, handler: Handler) -> None:
        """Let a function answer requests of a route.

        Args:
            method: Their method.
            path: Their path; a segment `{name}` stands for any one segment.
            handler: Gives the answer, or an awaitable of it.
        """
        self._server.routes[method, path] = (_pattern_of(path), handler)

    def forget(self) -> None:
        """Forget the requests so far; routes and faults stay."""
        self.requests.clear()


class _Routes(Listening):
    """The server behind the proxy."""

    def __init__(self, requests: list[HttpRequest]) -> None:
        super().__init__()
        self._requests = requests
        self.routes: dict[tuple[str, str], tuple[re.Pattern[str], Handler]] = {}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, handler = self._find(_read(*await read_request(reader)))
        self._requests.append(request)
        answer = handler(request) if handler else failing(404, f"the fake has no route {request.method} {request.path}")
        if inspect.isawaitable(answer):
            answer = await answer
        writer.write(answer_bytes(answer.status, answer.headers, answer.body))
        await writer.drain()

    def _find(self, request: HttpRequest) -> tuple[HttpRequest, Handler | None]:
        # A route without places in it is meant before one that fits anything.
        for (method, _), (pattern, handler) in sorted(self.routes.items(), key=lambda item: item[1][0].groups):
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                found = HttpRequest(**{**vars(request), "names": match.groupdict()})
                return found, handler
        return request, None


def _pattern_of(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    pieces = [f"(?P<{part}>[^/]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts)]
    return re.compile("".join(pieces))


def _read(head: bytes, body: bytes) -> HttpRequest:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    path, _, query = _ABSOLUTE.sub("", target).partition("?")
    headers = dict(_header(line) for line in lines if line)
    return HttpRequest(method, path, tuple(parse_qsl(query, keep_blank_values=True)), headers, body)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()
