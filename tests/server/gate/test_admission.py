"""Which calls the gate lets through, asked by a real client of either era."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from fastmcp import Client, FastMCP
from fastmcp.client.client import CallToolResult
from fastmcp.tools import Tool as McpTool
from mcp_types import TextContent

from klepaas.app import App
from klepaas.plugins import PluginState
from klepaas.settings import Mode
from klepaas.testing import scale_timeout, time_budget

pytestmark = pytest.mark.anyio


def _text(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


async def _refused(client: Client[Any], tool: str, code: str, arguments: dict[str, Any] | None = None) -> str:
    """Call, and see that the answer is an error of one line with its code."""
    result = await client.call_tool(tool, arguments or {}, raise_on_error=False)
    assert result.is_error
    assert (result.meta or {})["code"] == code
    assert set(result.meta or {}) >= {"code", "retryable"}
    assert "\n" not in _text(result)
    return _text(result)


async def test_read_only_lists_no_tool_that_changes_things(client: Client[Any]) -> None:
    async with client:
        names = [tool.name for tool in await client.list_tools()]
    assert "read_it" in names
    assert not {"write_it", "destroy_it", "undeclared"} & set(names)
    assert names == sorted(names)


@pytest.mark.parametrize("tool", ["write_it", "destroy_it"])
async def test_read_only_refuses_a_tool_that_changes_things_called_by_its_name(
    client: Client[Any], plugin: Any, tool: str
) -> None:
    async with client:
        text = await _refused(client, tool, "forbidden")
    assert "--writes" in text
    assert plugin.calls == []


@pytest.mark.parametrize("tool", ["write_it", "destroy_it"])
async def test_writes_opens_tools_that_change_things(writer: Client[Any], plugin: Any, tool: str) -> None:
    async with writer:
        assert tool in [item.name for item in await writer.list_tools()]
        assert not (await writer.call_tool(tool)).is_error
    assert plugin.calls == [tool]


async def test_a_tool_without_effect_is_refused_even_with_writes(writer: Client[Any], plugin: Any) -> None:
    async with writer:
        assert "undeclared" not in [tool.name for tool in await writer.list_tools()]
        text = await _refused(writer, "undeclared", "forbidden")
    assert "effect" in text
    assert plugin.calls == []


async def test_a_tool_of_a_plugin_that_failed_is_refused(klepaas: Callable[..., App], plugin: Any, era: Any) -> None:
    app = klepaas()
    async with Client(app.server, mode=era) as client:
        app.plugins.fail(app.plugins.all[0], "its start hook failed:\nno cluster")
        assert app.plugins.all[0].state is PluginState.FAILED
        assert await client.list_tools() == []
        text = await _refused(client, "read_it", "forbidden")
    assert "no cluster" in text
    assert plugin.calls == []


async def test_an_unknown_tool_is_refused_with_near_names_that_may_be_called(client: Client[Any]) -> None:
    async with client:
        assert "Did you mean read_it?" in await _refused(client, "reed_it", "not_found")
        assert "write_it" not in await _refused(client, "wrte_it", "not_found")


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "../read_it", "read_it ", "READ_IT", "read_it\n", "\u202eread_it", "read\x00it", "'; drop"),
        *("x" * 100_000, f"{'0' * 12}_read_it", "ten\nINFO klepaas.gate: lines"),
    ],
)
async def test_a_tool_with_a_strange_name_is_refused_in_one_short_line(
    client: Client[Any], plugin: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with client:
        text = await _refused(client, name, "not_found")
    assert len(text) < 500
    assert text.isascii()
    assert plugin.calls == []
    # What a caller names cannot pass for a line of the log.
    assert [line for line in capsys.readouterr().err.splitlines() if line[:2] not in ("20", "  ")] == []


async def test_tools_of_a_mounted_server_are_neither_listed_nor_callable(klepaas: Callable[..., App], era: Any) -> None:
    called: list[str] = []
    child: FastMCP[Any] = FastMCP("child")

    async def stray() -> str:
        called.append("stray")
        return "done"

    child.add_tool(McpTool.from_function(stray))
    app = klepaas(mode=Mode.WRITES)
    app.server.mount(child)
    app.server.mount(child, namespace="up")
    async with Client(app.server, mode=era) as client:
        names = [tool.name for tool in await client.list_tools()]
        assert not [name for name in names if "stray" in name]
        await _refused(client, "stray", "not_found")
        await _refused(client, "up_stray", "not_found")
    assert called == []


async def test_tools_of_a_proxied_server_are_not_callable(klepaas: Callable[..., App], era: Any) -> None:
    from fastmcp.server.providers.proxy import ProxyClient, ProxyProvider

    called: list[str] = []
    upstream: FastMCP[Any] = FastMCP("upstream")

    async def delete_repository() -> str:
        called.append("delete")
        return "gone"

    upstream.add_tool(McpTool.from_function(delete_repository, annotations=None))
    app = klepaas()
    app.server.add_provider(ProxyProvider(ProxyClient(upstream).new), namespace="github")
    async with Client(app.server, mode=era) as client:
        assert not [tool for tool in await client.list_tools() if tool.name.startswith("github")]
        await _refused(client, "github_delete_repository", "not_found")
    assert called == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"name": "web"}, "count: is missing"),
        ({"count": 1}, "name: is missing"),
        ({"count": "Tr0ub4dor-and-3", "name": "web"}, "count"),
        ({"count": ["Tr0ub4dor-and-3"], "name": "web"}, "count"),
        ({"count": 1, "name": {"Tr0ub4dor-and-3": 1}}, "name"),
        ({"count": 1, "name": None}, "name"),
        ({"count": 1, "name": 5}, "name"),
        ({"count": 1, "name": ["web"]}, "name"),
        ({"count": 1, "name": "web", "how": "Tr0ub4dor-and-3"}, "how"),
        ({"count": 1, "name": "web", "colour": "Tr0ub4dor-and-3"}, "colour"),
        ({"count": 1, "name": "web", "settings": {"A": ["Tr0ub4dor-and-3"]}}, "settings"),
        ({"count": 1, "name": "web", "settings": "Tr0ub4dor-and-3"}, "settings"),
        ({"count": 1, "name": "web", "settings": {"A": "Tr0ub4dor-and-3\x00"}}, "settings"),
        ({"count": 1, "name": "web", "ports": [80, "Tr0ub4dor-and-3"]}, "ports.1"),
        ({"count": 1, "name": "web", "ctx": "Tr0ub4dor-and-3"}, "no parameter 'ctx'"),
        ({"count": 1, "name": "web", "nam": "Tr0ub4dor-and-3"}, "no parameter 'nam'"),
    ],
)
async def test_wrong_arguments_name_the_parameter_and_quote_no_value(
    client: Client[Any],
    plugin: Any,
    capsys: pytest.CaptureFixture[str],
    arguments: dict[str, Any],
    named: str,
) -> None:
    async with client:
        text = await _refused(client, "pick", "bad_request", arguments)
    assert named in text
    assert "Tr0ub4dor" not in text
    assert "Tr0ub4dor" not in capsys.readouterr().err
    assert plugin.calls == []


@pytest.mark.parametrize("name", [".", "..", "../x", "%2e%2e", "a/b", "x" * 254, "a\x00", "-n", " ", "a\n", "a%00"])
async def test_a_hostile_name_never_reaches_the_tool(client: Client[Any], plugin: Any, name: str) -> None:
    async with client:
        await _refused(client, "read_it", "bad_request", {"name": name})
        await _refused(client, "pick", "bad_request", {"count": 1, "name": name})
    assert plugin.calls == []


async def test_an_empty_name_is_refused_where_one_is_required_and_not_given_where_it_is_not(
    client: Client[Any], plugin: Any
) -> None:
    async with client:
        await _refused(client, "fail", "bad_request", {"code": ""})
        assert plugin.calls == []
        assert "read web" in str(await client.call_tool("read_it", {"name": ""}))


async def test_an_argument_that_fastmcp_injects_cannot_be_given(client: Client[Any]) -> None:
    async with client:
        assert "no parameter 'ctx'" in await _refused(client, "talk", "bad_request", {"ctx": "x"})


async def test_fifty_calls_at_once_are_answered_each_and_together(client: Client[Any], plugin: Any) -> None:
    answers: list[str] = []

    async def ask() -> None:
        result = await client.call_tool("count")
        answers.append(_text(result))

    async with client:
        with anyio.fail_after(scale_timeout(20)):
            began = anyio.current_time()
            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(ask)
            took_s = anyio.current_time() - began
    assert len(answers) == 50
    assert plugin.calls == ["count"] * 50
    assert took_s < time_budget(50 * 0.05 / 4, "one after the other they take 50 times 0.05 s"), (
        "one after the other would take longer"
    )


async def test_the_list_says_what_a_tool_does(writer: Client[Any]) -> None:
    async with writer:
        tools = {tool.name: tool for tool in await writer.list_tools()}
    hints = {name: tool.annotations for name, tool in tools.items()}
    for name, read_only, destructive in (
        ("read_it", True, False),
        ("write_it", False, False),
        ("destroy_it", False, True),
    ):
        hint = hints[name]
        assert hint is not None
        assert (hint.read_only_hint, hint.destructive_hint) == (read_only, destructive)
    assert "ctx" not in json.dumps(tools["talk"].input_schema)
