"""A server behind TLS for what goes out."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import anyio.abc
import pytest
from anyio.streams.tls import TLSListener

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n{"gitVersion":"v1.36"}'


@pytest.fixture
def serve_tls() -> Callable[[ssl.SSLContext], AbstractAsyncContextManager[int]]:
    """Serve one answer to everything behind TLS: `async with serve_tls(context) as port`."""

    @asynccontextmanager
    async def start(context: ssl.SSLContext) -> AsyncIterator[int]:
        async def handle(stream: anyio.abc.ByteStream) -> None:
            async with stream:
                with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, ssl.SSLError):
                    await stream.receive()
                    await stream.send(ANSWER)

        tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with tcp, anyio.create_task_group() as group:
            group.start_soon(TLSListener(tcp, context, standard_compatible=False).serve, handle)
            yield tcp.extra(anyio.abc.SocketAttribute.local_port)
            group.cancel_scope.cancel()

    return start
