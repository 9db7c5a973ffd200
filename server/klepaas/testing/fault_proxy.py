"""A network that breaks on demand: a proxy on loopback between a client and a real HTTP server.

    async with Origin() as origin, FaultProxy(origin.port) as proxy:
        proxy.fault = Reset()
        ...  # ask proxy.url

Faults apply to each request from then on. The proxy speaks HTTP/1.1 without TLS, one request a connection, so that
every request meets the fault that is set; what it cannot show are the troubles of kept-alive connections.
`Origin` is a server that does a little work and remembers every request that it did it for.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio

__all__ = [
    "Answer",
    "Cut",
    "DelayedSuccess",
    "Fault",
    "FaultProxy",
    "HalfOpen",
    "Latency",
    "Origin",
    "Reset",
    "WrongLength",
]

HEAD_MAX_BYTES = 64 * 1024
HEAD_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Latency:
    """The request is passed on late.

    Attributes:
        delay_s: How late, in seconds.
    """

    delay_s: float


@dataclass(frozen=True)
class Cut:
    """The answer ends in an orderly way, but too early.

    Attributes:
        after_bytes: After so many bytes of it, its head included.
    """

    after_bytes: int = 0


@dataclass(frozen=True)
class Reset:
    """The connection is reset in the middle of the answer.

    Attributes:
        after_bytes: After so many bytes of it, its head included.
    """

    after_bytes: int = 0


@dataclass(frozen=True)
class HalfOpen:
    """The connection stands, but nobody answers and the server never sees the request."""


@dataclass(frozen=True)
class Answer:
    """The proxy answers instead of the server, as a gateway does.

    Attributes:
        status: The status code.
        headers: Headers of the answer, for example `Retry-After`.
        body: Its body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass(frozen=True)
class WrongLength:
    """The answer promises a length that it does not have.

    Attributes:
        by_bytes: How many bytes more (or fewer) than there are.
    """

    by_bytes: int = 100


@dataclass(frozen=True)
class DelayedSuccess:
    """The server does its work at once; the answer comes late or never.

    Attributes:
        delay_s: How late, in seconds. None: never.
    """

    delay_s: float | None = None


Fault = Latency | Cut | Reset | HalfOpen | Answer | WrongLength | DelayedSuccess


class _Listening:
    """A server on a free port of loopback."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], anyio.CancelScope] = {}
        self.port = 0
        self.connections = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen; again on the same port after a stop."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=HEAD_MAX_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, so that connections are refused, and drop those that stand."""
        if self._server is None:
            return
        self._server.close()
        serving = dict(self._serving)
        for scope in serving.values():
            scope.cancel()
        if serving:
            await asyncio.wait(serving)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is None:
            return
        try:
            with (
                anyio.CancelScope() as self._serving[task],
                contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError, TimeoutError),
            ):
                await self._serve(reader, writer)
        finally:
            del self._serving[task]
            # Nothing is left to flush: an answer was drained, and a client that waits in vain is to notice.
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class Origin(_Listening):
    """A small HTTP server: answers JSON and keeps every request that it carried out.

    Attributes:
        requests: Method and path of each, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, str]] = []
        self.asked = asyncio.Event()

    def count(self, method: str) -> int:
        """How many requests of a method it carried out."""
        return sum(1 for one, _ in self.requests if one == method)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await _request(reader)
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        self.requests.append((method, path))
        self.asked.set()
        body = b'{"done": "%d"}' % len(self.requests)
        writer.write(_answer(200, {"Content-Type": "application/json"}, body))
        await writer.drain()


class FaultProxy(_Listening):
    """Passes requests on to a server on loopback, with the fault that is set.

    Args:
        target_port: The server's port.

    Attributes:
        fault: What happens to each request from now on. None: it is passed on.
        connections: Connections that were accepted.
        caught: Set when a request has met a fault that keeps its client waiting.
    """

    def __init__(self, target_port: int) -> None:
        super().__init__()
        self._target_port = target_port
        self.fault: Fault | None = None
        self.caught = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await _request(reader)
        fault = self.fault
        if isinstance(fault, HalfOpen):
            await self._keep_waiting(reader, None)
            return
        if isinstance(fault, Answer):
            answer = _answer(fault.status, fault.headers, fault.body)
        else:
            if isinstance(fault, Latency) and not await self._keep_waiting(reader, fault.delay_s):
                return
            answer = await self._ask(head, body)
            if isinstance(fault, DelayedSuccess) and not await self._keep_waiting(reader, fault.delay_s):
                return
        await self._send(writer, answer, fault)

    async def _keep_waiting(self, reader: asyncio.StreamReader, delay_s: float | None) -> bool:
        """Say nothing for a while; whether the client is still there afterwards."""
        self.caught.set()
        with anyio.move_on_after(delay_s if delay_s is not None else float("inf")):
            while await reader.read(HEAD_MAX_BYTES):
                pass
            return False
        return True

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        try:
            writer.write(_asking_to_close(head) + body)
            await writer.drain()
            return await reader.read(-1)
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, answer: bytes, fault: Fault | None) -> None:
        if isinstance(fault, WrongLength):
            answer = _with_wrong_length(answer, fault.by_bytes)
        if isinstance(fault, Cut | Reset):
            answer = answer[: fault.after_bytes]
        writer.write(answer)
        await writer.drain()
        if isinstance(fault, Reset):
            _reset(writer)


async def _request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """A request's head and body."""
    with anyio.fail_after(HEAD_TIMEOUT_S):
        head = await reader.readuntil(b"\r\n\r\n")
        return head, await reader.readexactly(int(_header(head, b"content-length") or 0))


def _asking_to_close(head: bytes) -> bytes:
    """The head with which a server that keeps connections alive ends this one, too."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([lines[0], b"Connection: close", *lines[1:]])


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} ", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def _with_wrong_length(answer: bytes, by_bytes: int) -> bytes:
    length = _header(answer.partition(b"\r\n\r\n")[0], b"content-length") or b"0"
    wrong = str(max(0, int(length) + by_bytes)).encode()
    return answer.replace(b"Content-Length: " + length, b"Content-Length: " + wrong, 1)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
