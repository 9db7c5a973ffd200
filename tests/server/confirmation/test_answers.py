"""An answer counts once, for the call and the caller that it was given to, on every transport; whatever else is sent
changes nothing.
"""

import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import mcp_types as mt
import pytest
from cryptography.fernet import Fernet
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from mcp.shared.exceptions import MCPError
from pydantic import SecretStr

from klepaas.app import App
from klepaas.http.application import HttpApp
from klepaas.http.server import _config, _Server
from klepaas.testing import scale_timeout

from .conftest import FOLDER, Person

pytestmark = pytest.mark.anyio

TRANSPORTS = ("memory", "stdio", "http")
YES: mt.InputResponses = {"confirm": mt.ElicitResult(action="accept", content={"confirm": True})}
Connect = Callable[..., contextlib.AbstractAsyncContextManager[Client[Any]]]


@contextlib.asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """Serve over a socket of this machine, as `klepaas serve --http` does."""
    web = HttpApp(app)
    server = _Server(_config(web))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with web.running(), anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
            finally:
                await web.end_streams()
                server.should_exit = True


@pytest.fixture
async def connect(klepaas: Callable[..., App], tmp_path: Path) -> AsyncIterator[Connect]:
    """Connects clients to one klepaas, over the transport that is asked for."""
    async with contextlib.AsyncExitStack() as stack:
        app = klepaas()
        address: list[str] = []

        @contextlib.asynccontextmanager
        async def open_client(
            transport: str, era: Any, person: Person, name: str = "one"
        ) -> AsyncIterator[Client[Any]]:
            if transport == "http" and not address:
                address.append(await stack.enter_async_context(served(app)))
            where: Any = address[0] if transport == "http" else app.server
            if transport == "stdio":
                where = _process(tmp_path)
            said = mt.Implementation(name=name, version="1")
            async with Client(where, mode=era, elicitation_handler=person, client_info=said) as client:
                yield client

        yield open_client


def _process(folder: Path) -> StdioTransport:
    environment = {**os.environ, "KLEPAAS_STATE_DIR": str(folder / "state")}
    command = [str(FOLDER / "serve_changing_tools.py")]
    return StdioTransport(sys.executable, command, env=environment, keep_alive=False, log_file=folder / "stderr")


async def _history(client: Client[Any]) -> str:
    return str((await client.call_tool("history")).content[0].text)  # type: ignore[union-attr]


async def _send(
    client: Client[Any], arguments: dict[str, Any], **rest: Any
) -> mt.CallToolResult | mt.InputRequiredResult:
    with anyio.fail_after(scale_timeout(20)):
        result = await client.session.call_tool("delete", arguments, allow_input_required=True, **rest)
    assert isinstance(result, mt.CallToolResult | mt.InputRequiredResult)
    return result


async def _asked(client: Client[Any], name: str = "web") -> str:
    """Call without an answer; the state that comes with the question."""
    asked = await _send(client, {"name": name})
    assert isinstance(asked, mt.InputRequiredResult)
    assert asked.request_state is not None
    return asked.request_state


async def _refused(client: Client[Any], arguments: dict[str, Any], **rest: Any) -> bool:
    """Whether a call is refused: by klepaas, or by the protocol that finds the state broken."""
    try:
        result = await _send(client, arguments, **rest)
    except MCPError as exc:
        return "requestState" in str(exc)
    return isinstance(result, mt.CallToolResult) and bool(result.is_error)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_person_is_asked_over_every_transport(connect: Connect, transport: str, era: Any) -> None:
    person = Person(False, True)
    async with connect(transport, era, person) as client:
        refused = await client.call_tool("delete", {"name": "web"}, raise_on_error=False)
        assert refused.is_error
        assert await _history(client) == "nothing"
        assert not (await client.call_tool("delete", {"name": "web"})).is_error
        assert await _history(client) == "deleted web"
    assert len(person.read) == 2
    assert {"memory": "over memory", "stdio": "over stdio", "http": "over http, with the client one"}[transport] in (
        person.read[0]
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_answer_counts_once(connect: Connect, transport: str) -> None:
    async with connect(transport, "auto", Person()) as client:
        state = await _asked(client)
        done = await _send(client, {"name": "web"}, request_state=state, input_responses=YES)
        assert isinstance(done, mt.CallToolResult)
        assert not done.is_error
        for _ in range(2):
            assert await _refused(client, {"name": "web"}, request_state=state, input_responses=YES)
        assert await _history(client) == "deleted web"


async def test_two_answers_at_the_same_time_make_one_change(connect: Connect) -> None:
    async with connect("http", "auto", Person()) as client:
        state = await _asked(client)
        refused: list[bool] = []

        async def answer() -> None:
            refused.append(await _refused(client, {"name": "web"}, request_state=state, input_responses=YES))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(answer)
        assert sorted(refused) == [False, True, True, True, True]
        assert await _history(client) == "deleted web"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_answer_belongs_to_its_arguments(connect: Connect, transport: str) -> None:
    async with connect(transport, "auto", Person()) as client:
        state = await _asked(client)
        for other in ({"name": "db"}, {"name": "web", "context": "dev"}):
            assert await _refused(client, other, request_state=state, input_responses=YES)
        result = None
        with contextlib.suppress(MCPError):
            result = await client.session.call_tool("wipe", {}, request_state=state, input_responses=YES)
        assert result is None or result.is_error
        assert await _history(client) == "nothing"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_state_that_was_tampered_with_changes_nothing(connect: Connect, transport: str) -> None:
    async with connect(transport, "auto", Person()) as client:
        state = await _asked(client)
        middle = len(state) // 2
        turned = state[:middle] + ("A" if state[middle] != "A" else "B") + state[middle + 1 :]
        for broken in (turned, state[:-4], "", "v1.", "x" * 1000):
            assert await _refused(client, {"name": "web"}, request_state=broken, input_responses=YES)
        assert await _history(client) == "nothing"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_answers_that_nobody_asked_for_do_not_count(connect: Connect, transport: str) -> None:
    async with connect(transport, "auto", Person()) as client:
        asked = await _send(client, {"name": "web"}, input_responses=YES)
        assert isinstance(asked, mt.InputRequiredResult)
        state = await _asked(client)
        assert await _refused(client, {"name": "web"}, request_state=state)
        assert await _refused(client, {"name": "web"}, request_state=state, input_responses=YES), (
            "it was answered: with nothing"
        )
        assert await _history(client) == "nothing"


async def test_another_principal_cannot_answer(connect: Connect) -> None:
    async with (
        connect("http", "auto", Person(), "alice") as alice,
        connect("http", "auto", Person(), "mallory") as mallory,
    ):
        state = await _asked(alice)
        assert await _refused(mallory, {"name": "web"}, request_state=state, input_responses=YES)
        assert await _history(alice) == "nothing"
        done = await _send(alice, {"name": "web"}, request_state=state, input_responses=YES)
        assert isinstance(done, mt.CallToolResult)
        assert not done.is_error


async def test_an_answer_may_come_to_another_server_that_shares_keys_and_store_and_counts_once(
    klepaas: Callable[..., App],
) -> None:
    shared = {"store_keys": SecretStr(Fernet.generate_key().decode())}
    async with Client(klepaas(**shared).server, elicitation_handler=Person()) as one:
        state = await _asked(one)
    for expected in (False, True):
        async with Client(klepaas(**shared).server, elicitation_handler=Person()) as other:
            refused = await _refused(other, {"name": "web"}, request_state=state, input_responses=YES)
            assert refused is expected
            assert await _history(other) == "deleted web"


async def test_an_answer_of_another_server_does_not_count(klepaas: Callable[..., App]) -> None:
    async with Client(klepaas().server, elicitation_handler=Person()) as one:
        state = await _asked(one)
    async with Client(klepaas().server, elicitation_handler=Person()) as other:
        assert await _refused(other, {"name": "web"}, request_state=state, input_responses=YES)
        assert await _history(other) == "nothing"
