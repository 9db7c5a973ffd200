"""Ways to klepaas on which raw JSON-RPC goes: a process's pipes, the same loop without a process, and HTTP."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

import anyio
import httpx
import mcp_types as mt
from mcp.shared._context_streams import create_context_streams
from mcp.shared.message import SessionMessage
from tests.server.transports.conftest import Server

from klepaas.app import App
from klepaas.protocol.versions import serve_each_version
from klepaas.testing import scale_timeout

__all__ = ["Connection", "Http", "Message", "Patience", "Stdio", "Wire", "connected", "http_to"]

Message = dict[str, Any]
Patience = Callable[[], Awaitable[Any]]


class Wire(Protocol):
    """A way to a server."""

    def exchange(self, message: Message, headers: Mapping[str, str]) -> AsyncIterator[Message]:
        """Send a request; all that comes until its answer, the answer last."""

    async def send(self, message: Message, headers: Mapping[str, str]) -> None:
        """Send what has no answer."""

    async def abandon(self, message: Message, headers: Mapping[str, str], until: Patience, *, withdrawn: bool) -> None:
        """Send a request and give it up.

        Args:
            message: The request.
            headers: Where the way has some.
            until: Returns when the client's patience ends.
            withdrawn: Whether the client says that it has given up, and does not only go on.
        """


def cancellation(message: Message) -> Message:
    """What withdraws a request."""
    params = {"requestId": message["id"], "reason": "Request timed out"}
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}


class _Pipe:
    """One connection, whose messages come one after another."""

    async def write(self, message: Message) -> None:
        """Send one message."""
        raise NotImplementedError

    async def read(self) -> Message:
        """The next one that comes."""
        raise NotImplementedError

    async def exchange(self, message: Message, headers: Mapping[str, str]) -> AsyncIterator[Message]:
        """Send a request; all that comes until its answer, the answer last."""
        await self.write(message)
        while True:
            come = await self.read()
            yield come
            if come.get("id") == message["id"] and "method" not in come:
                return

    async def send(self, message: Message, headers: Mapping[str, str]) -> None:
        """Send what has no answer."""
        await self.write(message)

    async def abandon(self, message: Message, headers: Mapping[str, str], until: Patience, *, withdrawn: bool) -> None:
        """Send a request and give it up; an answer that still comes is passed over."""
        await self.write(message)
        await until()
        if withdrawn:
            await self.write(cancellation(message))


class Stdio(_Pipe):
    """Standard input and output of a process."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def write(self, message: Message) -> None:
        """Send one message."""
        await self._server.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")

    async def read(self) -> Message:
        """The next one that comes."""
        return await self._server.receive()


class Connection(_Pipe):
    """What `klepaas serve` runs behind standard input and output, in this process."""

    def __init__(self, sender: Any, receiver: Any) -> None:
        self._sender, self._receiver = sender, receiver

    async def write(self, message: Message) -> None:
        """Send one message."""
        frame = mt.jsonrpc_message_adapter.validate_python(message, by_name=False)
        await self._sender.send(SessionMessage(frame))

    async def read(self) -> Message:
        """The next one that comes."""
        frame = await self._receiver.receive()
        message: Message = frame.message.model_dump(by_alias=True, exclude_unset=True, mode="json")
        return message


@contextlib.asynccontextmanager
async def connected(app: App) -> AsyncIterator[Connection]:
    """One connection to a klepaas, which ends when the client leaves."""
    sender, incoming = create_context_streams[SessionMessage | Exception](0)
    outgoing, receiver = create_context_streams[SessionMessage](0)
    async with app.server._lifespan_manager(), receiver, anyio.create_task_group() as group:
        group.start_soon(serve_each_version, app.server, incoming, outgoing)
        try:
            yield Connection(sender, receiver)
        finally:
            await sender.aclose()
            with anyio.fail_after(scale_timeout(20)), contextlib.suppress(anyio.EndOfStream):
                while True:
                    await receiver.receive()


class Http:
    """Streamable HTTP."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._session: dict[str, str] = {}

    async def exchange(self, message: Message, headers: Mapping[str, str]) -> AsyncIterator[Message]:
        """Send a request; all that comes until its answer, the answer last."""
        async with self._http.stream("POST", "/mcp", json=message, headers={**self._headers, **headers}) as answer:
            if "mcp-session-id" in answer.headers:
                self._session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
            if answer.headers["content-type"].startswith("application/json"):
                yield json.loads(await answer.aread())
                return
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))

    async def send(self, message: Message, headers: Mapping[str, str]) -> None:
        """Send what has no answer."""
        answer = await self._http.post("/mcp", json=message, headers={**self._headers, **headers})
        assert answer.status_code == 202, answer.text

    async def abandon(self, message: Message, headers: Mapping[str, str], until: Patience, *, withdrawn: bool) -> None:
        """Send a request, and hang up."""

        async def listen() -> None:
            async for _ in self.exchange(message, headers):
                pass

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await until()
            if withdrawn and self._session:
                await self.send(cancellation(message), headers)
            group.cancel_scope.cancel()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json, text/event-stream", **self._session}


@contextlib.asynccontextmanager
async def http_to(url: str) -> AsyncIterator[Http]:
    """A client of its own of a klepaas over HTTP."""
    async with httpx.AsyncClient(base_url=url.removesuffix("/mcp"), timeout=scale_timeout(60)) as http:
        yield Http(http)
