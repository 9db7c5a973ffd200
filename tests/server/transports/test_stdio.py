"""`klepaas serve` on standard input and output."""

import json
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from klepaas.testing import scale_timeout, time_budget

from .conftest import HANDSHAKE, META, SERVE, Server

pytestmark = pytest.mark.anyio

Serve = Callable[..., AbstractAsyncContextManager[Server]]
# Running calls have a grace of 10 s.
AT_ONCE_S = time_budget(2, "the end would wait for the grace, though nothing runs that may end")
GATE_TOOLS = Path(__file__).with_name("serve_gate_tools.py")


async def test_a_raw_client_of_the_handshake_lists_the_tools_and_leaves(serve: Serve) -> None:
    async with serve() as server:
        hello = await server.shake_hands()
        assert hello["result"]["protocolVersion"] == "2025-11-25"
        assert hello["result"]["serverInfo"]["name"] == "klepaas"
        tools = (await server.ask(2, "tools/list"))["result"]["tools"]
        assert "k8s_get" in [tool["name"] for tool in tools]
        assert all(tool["annotations"]["readOnlyHint"] for tool in tools), "read-only is the default"
        await server.close_stdin()
        assert await server.ended(within_s=AT_ONCE_S) == 0
        assert "Traceback" not in server.stderr.read_text()


async def test_a_raw_client_without_handshake_lists_the_tools(serve: Serve) -> None:
    async with serve() as server:
        found = await server.ask(1, "server/discover", _meta=META)
        assert "2026-07-28" in found["result"]["supportedVersions"]
        tools = (await server.ask(2, "tools/list", _meta=META))["result"]["tools"]
        assert "k8s_get" in [tool["name"] for tool in tools]
        await server.close_stdin()
        assert await server.ended(within_s=AT_ONCE_S) == 0


@pytest.mark.parametrize("order", ["probe first", "handshake first"])
async def test_a_client_that_did_not_wait_for_a_slow_start_gets_its_probe_and_its_handshake(
    serve: Serve, order: str
) -> None:
    async with serve() as server:
        frames: list[dict[str, Any]] = [
            {"id": 1, "method": "server/discover", "params": {"_meta": META}},
            {"id": 2, "method": "initialize", "params": HANDSHAKE},
        ]
        for frame in frames if order == "probe first" else frames[::-1]:
            await server.send(**frame)
        await server.send(method="notifications/initialized")
        await server.send(id=3, method="tools/list")
        answers = {message["id"]: message for message in [await server.receive() for _ in range(3)]}
        assert "2025-11-25" in answers[1]["result"]["supportedVersions"]
        assert answers[2]["result"]["protocolVersion"] == "2025-11-25"
        assert "k8s_get" in [tool["name"] for tool in answers[3]["result"]["tools"]]
        await server.close_stdin()
        assert await server.ended(within_s=scale_timeout(10)) == 0


async def test_fastmcps_client_lists_the_tools_and_is_refused_a_change(
    environment: dict[str, str], era: Any, tmp_path: Path
) -> None:
    log = tmp_path / "stderr"
    transport = StdioTransport(SERVE[0], SERVE[1:], env=environment, keep_alive=False, log_file=log)
    with anyio.fail_after(scale_timeout(30)):
        async with Client(transport, mode=era) as client:
            names = [tool.name for tool in await client.list_tools()]
            assert "k8s_get" in names
            assert "deploy_application" not in names
            result = await client.call_tool(
                "deploy_application", {"app_name": "web", "image": "nginx"}, raise_on_error=False
            )
            assert result.is_error
            assert (result.meta or {})["code"] == "forbidden"
    assert "Traceback" not in log.read_text()


async def test_writes_lists_tools_that_change_things(serve: Serve) -> None:
    async with serve("--writes") as server:
        await server.shake_hands()
        tools = (await server.ask(2, "tools/list"))["result"]["tools"]
        assert "deploy_application" in [tool["name"] for tool in tools]


@pytest.mark.parametrize("when", ["before a session", "in a session"])
async def test_sigterm_ends_the_server_at_once_and_quietly(serve: Serve, when: str) -> None:
    async with serve() as server:
        await server.shake_hands()
        if when == "in a session":
            await server.ask(2, "tools/list")
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended(within_s=AT_ONCE_S) in (0, 128 + signal.SIGTERM, -signal.SIGTERM)
        assert "Traceback" not in server.stderr.read_text()


async def test_the_end_of_input_ends_a_server_that_nobody_has_talked_to(serve: Serve) -> None:
    async with serve() as server:
        await server.close_stdin()
        assert await server.ended(within_s=scale_timeout(10)) == 0
        assert server.stderr.read_text() == ""


async def test_the_end_of_input_ends_a_server_while_a_call_runs(serve: Serve) -> None:
    async with serve(command=[sys.executable, str(GATE_TOOLS)]) as server:
        await server.shake_hands()
        await server.send(id=2, method="tools/call", params={"name": "wait", "arguments": {}})
        await server.ask(3, "tools/list")
        await server.close_stdin()
        assert await server.ended(within_s=AT_ONCE_S) == 0
        assert "Traceback" not in server.stderr.read_text()


GARBAGE = [
    b"not json\n",
    b"\n\n\n",
    b"\xff\xfe\x00\n",
    b"{}\n",
    b"[]\n",
    b"null\n",
    b'{"jsonrpc": "2.0"}\n',
    b'{"jsonrpc": "2.0", "id": 9, "method": 5}\n',
    b'{"jsonrpc": "2.0", "id": 9, "method": "no/such"}\n',
    b'{"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": 5, "arguments": "x"}}\n',
    b'{"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": []}\n',
    b'{"jsonrpc": "2.0", "id": 9, "result": {}}\n',
    b'{"jsonrpc": "1.0", "id": 9, "method": "tools/list"}\n',
    b"[" * 100_000 + b"\n",
    b'{"a": ' + b"9" * 5000 + b"}\n",
    b"x" * 2_000_000 + b"\n",
]


async def test_garbage_does_not_end_the_server(serve: Serve) -> None:
    async with serve() as server:
        await server.shake_hands()
        for number, garbage in enumerate(GARBAGE):
            await server.write(garbage * 3)
            assert "tools" in (await server.ask(100 + number, "tools/list"))["result"], garbage[:40]
        await server.close_stdin()
        assert await server.ended(within_s=AT_ONCE_S) == 0
        assert "Traceback" not in server.stderr.read_text()


async def test_what_a_tool_prints_and_what_fails_inside_does_not_reach_standard_output(serve: Serve) -> None:
    async with serve(command=[sys.executable, str(GATE_TOOLS)]) as server:
        await server.shake_hands()
        for number, tool in enumerate(("shout", "crash", "leave_the_process", "hang", "fail_without_end", "read_it")):
            result = (await server.ask(10 + number, "tools/call", name=tool, arguments={}))["result"]
            assert result.get("isError", False) == (tool not in ("shout", "read_it")), tool
        await server.close_stdin()
        assert await server.ended(within_s=AT_ONCE_S) == 0
    said = server.stderr.read_text()
    assert "printed by a tool" in said
    for text in (*server.lines, said):
        assert "Tr0ub4dor" not in text
    assert "Traceback" not in said
    assert "reference " in said


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_arguments_are_never_logged(serve: Serve, level: str) -> None:
    async with serve(KLEPAAS_LOG_LEVEL=level) as server:
        await server.shake_hands()
        for number, arguments in enumerate(
            (
                {"app_name": "web", "image": "nginx", "env_vars": {"GREETING": "Tr0ub4dor-and-3"}},
                {"app_name": "web", "image": "nginx", "env_vars": "Tr0ub4dor-and-3"},
                {"app_name": "web", "image": "nginx", "no_such": "Tr0ub4dor-and-3"},
            )
        ):
            answer = await server.ask(10 + number, "tools/call", name="deploy_application", arguments=arguments)
            assert "Tr0ub4dor" not in json.dumps(answer)
        await server.close_stdin()
        await server.ended(within_s=AT_ONCE_S)
    assert "Tr0ub4dor" not in server.stderr.read_text()
