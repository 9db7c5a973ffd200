"""A network that breaks on demand: a proxy on loopback between a client and a real HTTP server.

    async with Origin() as origin, FaultProxy(origin.port) as proxy:
        proxy.fault = Reset()
        ...  # ask proxy.url

Faults apply to each request from then on. The proxy speaks HTTP/1.1 without TLS, one request a connection, so that
every request meets the fault that is set; what it cannot show are the troubles of kept-alive connections.
`Origin` is a server that does a little work and remembers every request that it did it for.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio

from klepaas.testing.loopback import HEAD_MAX_BYTES, Listening, answer_bytes, header_of, read_request

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
    "Stalled",
    "WrongLength",
]


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
class Stalled:
    """The answer stops in the middle, and goes on late or never.

    Attributes:
        after_bytes: After so many bytes of it, its head included.
        delay_s: How late, in seconds. None: never.
    """

    after_bytes: int
    delay_s: float | None = None


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


Fault = Latency | Cut | Reset | Stalled | HalfOpen | Answer | WrongLength | DelayedSuccess


class Origin(Listening):
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
        head, _ = await read_request(reader)
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        self.requests.append((method, path))
        self.asked.set()
        body = b'{"done": "%d"}' % len(self.requests)
        writer.write(answer_bytes(200, {"Content-Type": "application/json"}, body))
        await writer.drain()


class FaultProxy(Listening):
    """Passes requests on to a server on loopback, with the fault that is set.

    Args:
        target_port: The server's port.

    Attributes:
        fault: What happens to each request from now on. None: it is passed on.
        next_faults: What happens to the next requests, one each, before `fault` counts again.
        connections: Connections that were accepted.
        asked: Method and target of each request that arrived, whatever it met.
        caught: Set when a request has met a fault that keeps its client waiting.
    """

    def __init__(self, target_port: int) -> None:
        super().__init__()
        self._target_port = target_port
        self.fault: Fault | None = None
        self.next_faults: deque[Fault] = deque()
        self.asked: list[tuple[str, str]] = []
        self.caught = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        self.asked.append((method, target))
        fault = self.next_faults.popleft() if self.next_faults else self.fault
        if isinstance(fault, HalfOpen):
            await self._keep_waiting(reader, None)
            return
        if isinstance(fault, Answer):
            answer = answer_bytes(fault.status, fault.headers, fault.body)
        else:
            if isinstance(fault, Latency) and not await self._keep_waiting(reader, fault.delay_s):
                return
            answer = await self._ask(head, body)
            if isinstance(fault, DelayedSuccess) and not await self._keep_waiting(reader, fault.delay_s):
                return
        if isinstance(fault, Stalled):
            writer.write(answer[: fault.after_bytes])
            await writer.drain()
            answer = answer[fault.after_bytes :]
            if not await self._keep_waiting(reader, fault.delay_s):
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


def _asking_to_close(head: bytes) -> bytes:
    """The head with which a server that keeps connections alive ends this one, too."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([lines[0], b"Connection: close", *lines[1:]])


def _with_wrong_length(answer: bytes, by_bytes: int) -> bytes:
    length = header_of(answer.partition(b"\r\n\r\n")[0], b"content-length") or b"0"
    wrong = str(max(0, int(length) + by_bytes)).encode()
    return answer.replace(b"Content-Length: " + length, b"Content-Length: " + wrong, 1)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
