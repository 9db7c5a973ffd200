"""Clients of both eras see a tool go when its plugin fails, without asking again."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import anyio
import httpx
import mcp_types as mt
import pytest
from fastmcp import Client
from fastmcp.client.messages import MessageHandler

from klepaas.app import App
from klepaas.testing import scale_timeout

from .conftest import META, MODERN, asking, served

pytestmark = pytest.mark.anyio


class News(MessageHandler):
    """Remembers that the list of tools changed."""

    def __init__(self) -> None:
        self.heard = anyio.Event()

    async def on_tool_list_changed(self, message: mt.ToolListChangedNotification) -> None:
        self.heard.set()


@asynccontextmanager
async def connected(app: App, transport: str, era: Any, news: News | None = None) -> AsyncIterator[Client[Any]]:
    if transport == "memory":
        async with Client(app.server, mode=era, message_handler=news) as client:
            yield client
    else:
        async with served(app) as url, Client(url, mode=era, message_handler=news) as client:
            yield client


@pytest.fixture(params=["memory", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    """How the client is connected."""
    return str(request.param)


async def names(client: Client[Any]) -> list[str]:
    return [tool.name for tool in await client.list_tools()]


async def test_the_tools_of_a_plugin_that_does_not_start_are_not_listed(
    klepaas: Callable[..., App], plugin: ModuleType, era: Any, transport: str
) -> None:
    plugin.start_fails = True  # type: ignore[attr-defined]
    async with connected(klepaas(), transport, era) as client:
        assert await names(client) == []
        result = await client.call_tool("quick", raise_on_error=False)
        assert (result.meta or {})["code"] == "forbidden"


async def test_an_older_client_is_told_on_its_session(klepaas: Callable[..., App], transport: str) -> None:
    app, news = klepaas(), News()
    async with connected(app, transport, "legacy", news) as client:
        assert "quick" in await names(client)
        with anyio.fail_after(scale_timeout(5)):
            while not news.heard.is_set():  # over HTTP the stream for news opens after the handshake
                await app.catalogue_changed()
                with anyio.move_on_after(0.1):
                    await news.heard.wait()
        news.heard = anyio.Event()
        app.plugins.fail(app.plugins.all[0], "it broke")
        with anyio.fail_after(scale_timeout(5)):
            await news.heard.wait()
        assert await names(client) == []


async def test_a_client_of_2026_is_told_on_its_subscription(klepaas: Callable[..., App]) -> None:
    app = klepaas()
    async with served(app) as url, listening(url) as notes:
        with anyio.fail_after(scale_timeout(5)):
            assert (await notes.receive())["method"] == "notifications/subscriptions/acknowledged"
        app.plugins.fail(app.plugins.all[0], "it broke")
        with anyio.fail_after(scale_timeout(5)):
            note = await notes.receive()
        assert note["method"] == "notifications/tools/list_changed"
        assert note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 7
        async with Client(url) as client:
            assert await names(client) == []


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Any]:
    """The messages of a subscription."""
    params = {"notifications": {"toolsListChanged": True}, "_meta": META}
    body = {"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": params}
    headers = {**MODERN, "Mcp-Method": "subscriptions/listen"}
    send, receive = anyio.create_memory_object_stream[dict[str, Any]](10)

    async def read(answer: httpx.Response) -> None:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                await send.send(json.loads(line.removeprefix("data: ")))

    async with (
        httpx.AsyncClient(timeout=scale_timeout(10)) as http,
        http.stream("POST", url, json=body, headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        async with send, receive, anyio.create_task_group() as group:
            group.start_soon(read, answer)
            yield receive
            group.cancel_scope.cancel()


async def test_both_eras_are_promised_the_news(klepaas: Callable[..., App], era: Any) -> None:
    async with Client(klepaas().server, mode=era) as client:
        capabilities = client.server_capabilities
        assert capabilities is not None
        assert capabilities.tools is not None
        assert capabilities.tools.list_changed is True


async def test_a_list_may_be_kept_for_a_minute_and_by_its_caller_only(klepaas: Callable[..., App]) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
    async with asking(klepaas()) as http:
        answer = await http.post("/mcp", json=body, headers={**MODERN, "Mcp-Method": "tools/list"})
    result = answer.json()["result"]
    assert (result["ttlMs"], result["cacheScope"]) == (60_000, "private")


async def test_a_session_that_ended_is_forgotten(klepaas: Callable[..., App], transport: str) -> None:
    app = klepaas()
    async with connected(app, transport, "legacy"):
        assert len(app.announcements._clients) == 1
    assert not app.announcements._clients


async def test_a_failure_while_nobody_is_served_is_no_news(klepaas: Callable[..., App]) -> None:
    app = klepaas()
    app.plugins.fail(app.plugins.all[0], "it broke")
    await app.catalogue_changed()
