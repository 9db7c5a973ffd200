"""A real `klepaas serve --http` before two servers: clients of both eras at once, and nothing of theirs passed on."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as mt
import pytest
from fastmcp import Client
from fastmcp.client.messages import MessageHandler
from fastmcp.client.transports import StreamableHttpTransport
from tests.served import served, unconfigured
from tests.server.external.conftest import ABOUT, SCRIPT, Fake, Serve, relisted, until, up
from tests.server.external.fake_http import HttpFake
from tests.server.external.fake_server import TOOLS

from klepaas.testing import client, scale_timeout

pytestmark = pytest.mark.anyio

CANARIES = {
    "Authorization": "Bearer canary-of-the-caller",
    "X-Api-Key": "canary-of-the-caller",
    "X-Tenant": "canary-of-the-caller",
    "Cookie": "session=canary-of-the-caller",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


async def both_are_up(url: str) -> None:
    """The server answers before its upstreams do; a client may keep a list, so each look is a new one's."""
    while True:
        async with Client(StreamableHttpTransport(url), timeout=scale_timeout(20)) as raw:
            if {"near_get_item", "far_get_item"} <= {tool.name for tool in await raw.list_tools()}:
                return
        await anyio.sleep(0.1)


async def test_two_servers_two_eras_and_no_header_of_a_caller(fake: Fake, tmp_path: Path) -> None:
    far = Fake(tmp_path / "far")
    async with HttpFake(far.folder) as http:
        command = [sys.executable, "-I", "-S", str(SCRIPT), str(fake.folder)]
        rules = {"tools": {"get_item": {"effect": "read", "listed": True}}}
        servers = {
            "near": {"command": command[0], "args": command[1:], "klepaas": rules},
            "far": {"url": f"{http.url}/mcp", "headers": {"Authorization": "Bearer ${FAR_TOKEN}"}, "klepaas": rules},
        }
        config = tmp_path / "mcp.json"
        config.write_text(json.dumps({"mcpServers": servers}))
        config.chmod(0o600)
        environment = unconfigured(
            tmp_path,
            KLEPAAS_MCP_CONFIG=str(config),
            FAR_TOKEN="own-token-of-klepaas",
            KLEPAAS_DISABLED_PLUGINS='["kubernetes", "deployments", "cluster", "github", "slack"]',
            PYTHONPATH=os.environ.get("PYTHONPATH", ""),
        )
        with served(environment=environment, stderr=tmp_path / "stderr") as server:
            said: dict[str, list[str]] = {}

            async def ask(mode: Any) -> None:
                # A token that nothing checks is refused at the door; `tests/server/http/test_refusals.py` has that.
                headers = {name: value for name, value in CANARIES.items() if name != "Authorization"}
                transport = StreamableHttpTransport(server.url, headers=headers)
                async with Client(transport, mode=mode, timeout=scale_timeout(20)) as raw:
                    for name in ("near_get_item", "far_get_item"):
                        result = await raw.call_tool(name, {"id": "1"}, raise_on_error=False)
                        assert result.content[0].text == "get_item is done: ok"
                    said[mode] = sorted(tool.name for tool in await raw.list_tools())

            with anyio.fail_after(scale_timeout(30)):
                await both_are_up(server.url)
            async with anyio.create_task_group() as group:
                group.start_soon(ask, "legacy")
                group.start_soon(ask, "auto")
            assert said["legacy"] == said["auto"]
            assert {"near_get_item", "far_get_item", "search_tools"} <= set(said["auto"])
        heads = "".join(http.heads)
    for text in (heads, fake.everything, far.everything):
        assert "canary-of-the-caller" not in text
        assert "0af7651916cd43dd8448eb211c80319c" not in text
    assert "Bearer own-token-of-klepaas" in heads
    assert "own-token-of-klepaas" not in fake.everything
    assert "own-token-of-klepaas" not in (tmp_path / "stderr").read_text()


async def test_clients_are_told_when_a_tool_is_closed(fake: Fake, serve: Serve) -> None:
    class News(MessageHandler):
        def __init__(self) -> None:
            self.heard = 0

        async def on_tool_list_changed(self, message: mt.ToolListChangedNotification) -> None:
            self.heard += 1

    news = News()
    async with (
        serve(fake.provider()) as app,
        client(app),
        Client(app.server, mode="legacy", message_handler=news) as raw,
    ):
        await up(app)
        await until(lambda: news.heard > 0)
        count = news.heard
        fake.does(tools=[{**tool, "description": "Other."} for tool in TOOLS])
        await relisted(app)
        await until(lambda: news.heard > count)
        assert [tool.name for tool in await raw.list_tools()] == list(ABOUT)
