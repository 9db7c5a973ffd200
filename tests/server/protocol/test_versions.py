"""One connection, every protocol version: a probe decides nothing for the requests that follow it."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import mcp_types as mt
import pytest
from mcp.shared._context_streams import create_context_streams
from mcp.shared.message import SessionMessage
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from klepaas.app import App
from klepaas.hookspecs import hookimpl
from klepaas.protocol.versions import serve_each_version
from klepaas.testing import app_with, scale_timeout
from klepaas.tools import Effect, Tool

pytestmark = pytest.mark.anyio

TIMEOUT_S = scale_timeout(60)
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
}


class Pipe:
    """A raw client of one connection: it numbers its requests and sorts what comes back."""

    def __init__(self, sender: Any, receiver: Any) -> None:
        self._sender, self._receiver = sender, receiver
        self._next_id = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self.others: list[dict[str, Any]] = []

    async def send(self, **message: Any) -> None:
        frame = mt.jsonrpc_message_adapter.validate_python({"jsonrpc": "2.0", **message}, by_name=False)
        await self._sender.send(SessionMessage(frame))

    async def request(self, method: str, **params: Any) -> int:
        """Send a request without waiting for its answer."""
        self._next_id += 1
        await self.send(id=self._next_id, method=method, params=params)
        return self._next_id

    async def receive(self) -> dict[str, Any]:
        """The next message of the server."""
        with anyio.fail_after(TIMEOUT_S):
            frame = await self._receiver.receive()
        message: dict[str, Any] = frame.message.model_dump(by_alias=True, exclude_unset=True, mode="json")
        return message

    async def answer(self, request_id: int) -> dict[str, Any]:
        """The answer to one request, in whichever order the answers come."""
        while request_id not in self._answers:
            message = await self.receive()
            if "method" in message:
                self.others.append(message)
            else:
                self._answers[message["id"]] = message
        return self._answers.pop(request_id)

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return await self.answer(await self.request(method, **params))

    async def ask_modern(self, method: str, **params: Any) -> dict[str, Any]:
        return await self.ask(method, _meta=ENVELOPE, **params)

    async def initialize(self, version: str = "2025-11-25", **capabilities: Any) -> dict[str, Any]:
        return await self.ask("initialize", **handshake(version, **capabilities))

    async def initialized(self) -> None:
        await self.send(method="notifications/initialized")

    async def leave(self) -> None:
        await self._sender.aclose()


def handshake(version: str = "2025-11-25", **capabilities: Any) -> dict[str, Any]:
    return {"protocolVersion": version, "capabilities": capabilities, "clientInfo": {"name": "raw", "version": "1"}}


@contextlib.asynccontextmanager
async def connected(app: App) -> AsyncIterator[Pipe]:
    """Serve one connection; it must end by itself when the client leaves."""
    to_server, incoming = create_context_streams[SessionMessage | Exception](0)
    outgoing, from_server = create_context_streams[SessionMessage](0)
    async with app.server._lifespan_manager(), anyio.create_task_group() as group:
        group.start_soon(serve_each_version, app.server, incoming, outgoing)
        pipe = Pipe(to_server, from_server)
        try:
            yield pipe
        finally:
            await pipe.leave()
            with anyio.fail_after(TIMEOUT_S), contextlib.suppress(anyio.EndOfStream):
                while True:
                    await from_server.receive()
    await from_server.aclose()


class Waiting:
    """A tool that waits until it is cancelled, and says so."""

    def __init__(self) -> None:
        self.entered, self.cancelled = anyio.Event(), anyio.Event()

    @property
    def tool(self) -> Tool:
        async def wait() -> str:
            """Wait."""
            self.entered.set()
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                self.cancelled.set()
                raise
            return ""

        return Tool(wait, effect=Effect.READ, title="Wait", toolset="test")


async def remove() -> str:
    """Remove everything."""
    return "removed"


@contextlib.asynccontextmanager
async def pipe_to(*tools: Tool, **settings: Any) -> AsyncIterator[Pipe]:
    @hookimpl
    def klepaas_tools() -> list[Tool]:
        return list(tools) or [Tool(remove, effect=Effect.DESTRUCTIVE, title="Remove", toolset="test")]

    async with app_with(klepaas_tools, settings={"mode": "writes", **settings}) as app, connected(app) as pipe:
        yield pipe


def names(answer: dict[str, Any]) -> list[str]:
    return [tool["name"] for tool in answer["result"]["tools"]]


async def test_discovery_names_every_version_that_initialize_and_requests_may_use() -> None:
    async with pipe_to() as pipe:
        found = (await pipe.ask_modern("server/discover"))["result"]["supportedVersions"]
        assert found[0] == "2026-07-28"
        assert set(found) == {"2026-07-28", *HANDSHAKE_PROTOCOL_VERSIONS}


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
async def test_a_client_that_probes_and_then_initializes_gets_the_version_it_asks_for(version: str) -> None:
    async with pipe_to() as pipe:
        assert "result" in await pipe.ask_modern("server/discover")
        assert (await pipe.initialize(version))["result"]["protocolVersion"] == version
        await pipe.initialized()
        assert names(await pipe.ask("tools/list")) == ["remove"]


async def test_a_client_that_probes_twice_goes_on_without_a_handshake() -> None:
    async with pipe_to() as pipe:
        for _ in range(2):
            assert "result" in await pipe.ask_modern("server/discover")
        assert names(await pipe.ask_modern("tools/list")) == ["remove"]


async def test_initialize_sent_while_the_probe_is_pending_is_answered_and_so_is_the_probe() -> None:
    async with pipe_to() as pipe:
        probe = await pipe.request("server/discover", _meta=ENVELOPE)
        hello = await pipe.request("initialize", **handshake())
        assert (await pipe.answer(hello))["result"]["protocolVersion"] == "2025-11-25"
        assert "supportedVersions" in (await pipe.answer(probe))["result"]
        await pipe.initialized()
        assert names(await pipe.ask("tools/list")) == ["remove"]


async def test_a_probe_after_the_handshake_does_not_end_the_session() -> None:
    async with pipe_to() as pipe:
        await pipe.initialize()
        await pipe.initialized()
        assert "result" in await pipe.ask_modern("server/discover")
        assert names(await pipe.ask_modern("tools/list")) == names(await pipe.ask("tools/list"))


async def test_a_probe_in_a_version_that_nobody_serves_leaves_the_handshake_open() -> None:
    async with pipe_to() as pipe:
        refused = await pipe.ask(
            "server/discover", _meta={**ENVELOPE, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}
        )
        assert refused["error"]["code"] == -32022
        assert "result" in await pipe.initialize()


async def test_a_probe_without_an_envelope_is_an_unknown_method_and_leaves_both_ways_open() -> None:
    async with pipe_to() as pipe:
        assert (await pipe.ask("server/discover"))["error"]["code"] in (-32601, -32602)
        assert "result" in await pipe.initialize()
        assert "result" in await pipe.ask_modern("server/discover")


async def test_a_cancellation_reaches_the_request_in_either_version() -> None:
    waiting = Waiting()
    async with pipe_to(waiting.tool) as pipe:
        await pipe.initialize()
        await pipe.initialized()
        for meta in ({}, ENVELOPE):
            waiting.entered, waiting.cancelled = anyio.Event(), anyio.Event()
            call = await pipe.request("tools/call", name="wait", arguments={}, _meta=meta)
            with anyio.fail_after(TIMEOUT_S):
                await waiting.entered.wait()
                await pipe.send(method="notifications/cancelled", params={"requestId": call})
                await waiting.cancelled.wait()


async def test_a_question_to_the_person_works_in_the_handshake_after_a_probe() -> None:
    async with pipe_to() as pipe:
        await pipe.ask_modern("server/discover")
        await pipe.initialize(elicitation={})
        await pipe.initialized()
        call = await pipe.request("tools/call", name="remove", arguments={})
        question = await pipe.receive()
        assert question["method"] == "elicitation/create"
        await pipe.send(id=question["id"], result={"action": "accept", "content": {"confirm": True}})
        result = (await pipe.answer(call))["result"]
        assert result["content"][0]["text"] == "removed"


async def test_a_message_that_is_not_json_ends_nothing_before_or_after_a_probe() -> None:
    async with pipe_to() as pipe:
        await pipe._sender.send(ValueError("not JSON"))
        await pipe.ask_modern("server/discover")
        await pipe._sender.send(ValueError("not JSON"))
        assert "result" in await pipe.initialize()


@pytest.mark.parametrize("talk", ["nothing", "a probe", "both versions"])
async def test_the_end_of_input_ends_the_connection_after(talk: str) -> None:
    waiting = Waiting()
    async with pipe_to(waiting.tool) as pipe:
        if talk != "nothing":
            await pipe.ask_modern("server/discover")
        if talk == "both versions":
            await pipe.initialize()
            await pipe.request("tools/call", name="wait", arguments={}, _meta=ENVELOPE)
            with anyio.fail_after(TIMEOUT_S):
                await waiting.entered.wait()
    assert waiting.cancelled.is_set() == (talk == "both versions")
