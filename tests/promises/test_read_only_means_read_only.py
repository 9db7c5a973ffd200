"""In read-only mode no mutating request reaches a cluster, whatever the tool and the transport."""

import pytest

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.tools import Effect
from klepaas_plugins.kubernetes.sandbox import mutating

from .calls import plausible
from .conftest import TRANSPORTS, Platform

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_no_tool_changes_a_cluster_of_a_read_only_server(
    platform: Platform, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_K8S_EXEC", "true")
    tools = [entry.tool for entry in create_app(Settings()).catalogue]
    async with platform.client(transport) as client:
        listed = {tool.name for tool in await client.list_tools()}
        for tool in tools:
            result = await client.call_tool(tool.name, plausible(tool), raise_on_error=False)
            if tool.effect is not Effect.READ:
                assert result.is_error, tool.name
                assert (result.meta or {})["code"] == "forbidden", tool.name
    assert listed == {tool.name for tool in tools if tool.effect is Effect.READ}
    assert [request for request in platform.sandbox.requests if mutating(request)] == []
    assert platform.sandbox.requests, "the reading tools should have read something"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_changing_tool_does_reach_the_cluster_with_writes(platform: Platform, transport: str) -> None:
    every = [entry.tool for entry in create_app(Settings(mode=Mode.WRITES)).catalogue if entry.tool.effect != "read"]
    changing = [tool for tool in every if tool.name != "cancel_operation"]  # what it changes is klepaas' own journal
    async with platform.client(transport, Mode.WRITES) as client:
        for tool in sorted(changing, key=lambda tool: tool.name):
            platform.sandbox.clear_requests()
            result = await client.call_tool(tool.name, plausible(tool), raise_on_error=False)
            assert not result.is_error, (tool.name, result.content)
            assert any(mutating(request) for request in platform.sandbox.requests), tool.name
