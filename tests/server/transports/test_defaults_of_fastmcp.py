"""What klepaas turns round in FastMCP, and what it relies on: an upgrade that changes these must fail here."""

import inspect
import json
from typing import Any

import anyio
import fastmcp
import httpx
import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool as McpTool
from mcp import MCPError
from mcp_types import INVALID_PARAMS, TextResourceContents

from klepaas.announcements import Announcements
from klepaas.app import create_app
from klepaas.calls import Calls
from klepaas.errors import KlepaasError, Unavailable
from klepaas.gate.gate import Gate
from klepaas.http.application import HttpApp
from klepaas.plugins import Plugins
from klepaas.progress import Progress
from klepaas.resilience import Upstreams
from klepaas.settings import Settings
from klepaas.testing import scale_timeout
from klepaas.upstream_states import UPSTREAMS

from .conftest import META

pytestmark = pytest.mark.anyio

HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "echo",
}


class _CountsLists(Middleware):
    def __init__(self) -> None:
        self.lists = 0

    async def on_list_tools(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        self.lists += 1
        return await call_next(context)


def _server() -> FastMCP[Any]:
    return create_app(Settings(), Plugins(Settings(), [])).server


def test_details_of_errors_are_masked() -> None:
    assert _server()._mask_error_details is True


async def test_fastmcp_masks_what_gets_past_the_gate() -> None:
    async def crash() -> str:
        raise RuntimeError("Tr0ub4dor-and-3")

    server = _server()
    server.add_tool(McpTool.from_function(crash))
    with pytest.raises(ToolError) as caught:
        await server.call_tool("crash", run_middleware=False)
    assert "Tr0ub4dor" not in str(caught.value)


def test_our_middleware_comes_first_and_the_gate_last_of_it() -> None:
    assert [type(item) for item in _server().middleware[:4]] == [Progress, Announcements, Calls, Gate]
    assert not [item for item in _server().middleware[4:] if type(item).__module__.startswith("klepaas")]


def test_fastmcps_own_defaults_are_still_the_unsafe_ones() -> None:
    """When one of these changes, the line in `klepaas.app` that turns it round can go."""
    assert fastmcp.settings.http_host_origin_protection is False
    assert fastmcp.settings.mask_error_details is False


def test_the_guard_against_foreign_hosts_is_on() -> None:
    source = inspect.getsource(HttpApp)
    assert "host_origin_protection=True" in source


@pytest.mark.parametrize("variable", ["FASTMCP_HTTP_HOST_ORIGIN_PROTECTION", "FASTMCP_MASK_ERROR_DETAILS"])
def test_no_variable_of_fastmcps_turns_them_back(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "false")
    assert _server()._mask_error_details is True


async def test_a_modern_call_over_http_does_not_list_every_tool_first() -> None:
    """FastMCP gives the SDK the schemas that it would list for; without that each call would take ten times as long."""
    counted = {}
    for spared in (True, False):
        counter = _CountsLists()
        server = _server()
        server.middleware.insert(0, counter)
        if not spared:
            server._mcp_server.get_tool_input_schema = None
        app = server.http_app()
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                for number in range(3):
                    params = {"name": "echo", "arguments": {"a": "b"}, "_meta": META}
                    call = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
                    answer = await http.post("/mcp", content=json.dumps(call), headers=HEADERS)
                    assert answer.status_code == 200
                    assert "not_found" in answer.text
        counted[spared] = counter.lists
    assert counted[True] == 0
    assert counted[False] == 3, "the lists would not be counted"


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_what_somebody_mounts_is_neither_listed_nor_read(era: Any) -> None:
    """Resources and prompts have one way, and it does not lead to FastMCP's own registries."""
    app = create_app(Settings(), Plugins(Settings(), []))
    app.server.resource("leak://x")(_leak)
    app.server.resource("leak://{name}/y")(_leak_of)
    app.server.prompt(_leak)
    async with Client(app.server, mode=era) as client:
        with anyio.fail_after(scale_timeout(10)):
            assert [str(resource.uri) for resource in await client.list_resources()] == [UPSTREAMS]
            assert await client.list_resource_templates() == []
            assert await client.list_prompts() == []
            for uri in ("leak://x", "leak://x/y"):
                with pytest.raises(MCPError, match="not found") as caught:
                    await client.read_resource(uri)
                assert caught.value.code == INVALID_PARAMS
            with pytest.raises(MCPError, match="Unknown prompt"):
                await client.get_prompt("_leak")


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_the_state_of_each_upstream_can_be_read_without_its_secrets(era: Any) -> None:
    app = create_app(Settings())
    upstream = Upstreams.of(app.host).get("kubernetes/test")

    async def fail() -> None:
        raise Unavailable("cannot reach postgres://app:hunter2-canary@db")

    with pytest.raises(KlepaasError):
        await upstream.call(fail, safe=False, what="list pods")
    async with Client(app.server, mode=era) as client:
        with anyio.fail_after(scale_timeout(10)):
            (read,) = await client.read_resource(UPSTREAMS)
    assert isinstance(read, TextResourceContents)
    (state,) = json.loads(read.text)["upstreams"]
    assert (state["name"], state["state"], state["failures"]) == ("kubernetes/test", "closed", 1)
    assert "hunter2" not in read.text
    assert "postgres" in state["last_error"]


def _leak() -> str:
    """What nobody may read."""
    return "secret"


def _leak_of(name: str) -> str:
    """What nobody may read."""
    return f"secret of {name}"
