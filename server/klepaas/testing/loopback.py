"""The plumbing of the servers that tests talk to: listening on loopback, one request a connection, and its bytes.

HTTP/1.1 without TLS. It knows no routes and no faults.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import anyio

from klepaas.testing.timeouts import scale_timeout

__all__ = ["HEAD_MAX_BYTES", "Listening", "answer_bytes", "header_of", "read_request"]

HEAD_MAX_BYTES = 64 * 1024
HEAD_TIMEOUT_S = scale_timeout(10)


class Listening:
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


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """A request's head and body; a body that came in chunks is put together, and its head says its length."""
    with anyio.fail_after(HEAD_TIMEOUT_S):
        head = await reader.readuntil(b"\r\n\r\n")
        if header_of(head, b"transfer-encoding") != b"chunked":
            return head, await reader.readexactly(int(header_of(head, b"content-length") or 0))
        body = await _chunks(reader)
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(b"transfer-encoding:")]
    return b"\r\n".join([first, *kept, b"Content-Length: %d" % len(body), b"", b""]), body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readuntil(b"\r\n")
    # Trailers, of which nobody here sends any, and the empty line.
    while (await reader.readuntil(b"\r\n")) != b"\r\n":
        pass
    return b"".join(chunks)


def header_of(head: bytes, name: bytes) -> bytes | None:
    """A header's value.

    Args:
        head: A request's or an answer's head.
        name: The header, in lower case.
    """
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def answer_bytes(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """An answer as it goes over the wire.

    Args:
        status: Its status code.
        headers: Its headers but the length.
        body: Its body.
    """
    lines = [f"HTTP/1.1 {status} ", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
