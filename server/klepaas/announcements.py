"""Tells clients that the catalogue changed, in the way of each era.

Before 2026-07-28 a client gets `notifications/tools/list_changed` on its session; since then it asks for a stream with
`subscriptions/listen`. Nobody is waited for: a client that does not read misses the news and finds out when it lists.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import anyio
import mcp_types as mt
from fastmcp import FastMCP
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.server.connection import Connection
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

__all__ = ["Announcements"]

log = logging.getLogger(__name__)

# Each holds a connection open.
MOST_SUBSCRIPTIONS = 256
SEND_LIMIT_S = 5.0


class Announcements(Middleware):
    """Whom to tell, and the telling. As a middleware it learns of sessions, and bounds promises."""

    def __init__(self) -> None:
        self._bus = InMemorySubscriptionBus()
        self._streams = ListenHandler(self._bus, max_subscriptions=MOST_SUBSCRIPTIONS)
        self._clients: set[Connection] = set()
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def serve(self, server: FastMCP[Any]) -> None:
        """Let clients of 2026-07-28 subscribe, which neither FastMCP 4.1 nor 4.2 does by itself."""
        server._mcp_server.add_request_handler(
            "subscriptions/listen", mt.SubscriptionsListenRequestParams, self._streams
        )

    async def on_initialize(
        self,
        context: MiddlewareContext[mt.InitializeRequest],
        call_next: CallNext[mt.InitializeRequest, mt.InitializeResult | None],
    ) -> mt.InitializeResult | None:
        """Remember the session until it ends."""
        result = await call_next(context)
        session = context.fastmcp_context.session if context.fastmcp_context else None
        if session is not None:
            client = session._connection
            self._clients.add(client)
            client.exit_stack.callback(self._clients.discard, client)
        if result is None:
            return None
        return result.model_copy(update={"capabilities": _without_idle_promises(result.capabilities)})

    async def on_discover(
        self,
        context: MiddlewareContext[mt.DiscoverRequest],
        call_next: CallNext[mt.DiscoverRequest, mt.DiscoverResult | dict[str, Any]],
    ) -> mt.DiscoverResult | dict[str, Any]:
        """Promise only the news that can come."""
        result = await call_next(context)
        if isinstance(result, dict):
            return result
        return result.model_copy(update={"capabilities": _without_idle_promises(result.capabilities)})

    def changed(self) -> None:
        """Tell everybody soon; may be called from any thread, also while nobody is served."""
        if self._loop is not None and self._wake is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def publish(self) -> None:
        """Tell everybody now."""
        await self._bus.publish(ToolsListChanged())
        async with anyio.create_task_group() as group:
            for client in list(self._clients):
                group.start_soon(_tell, client)

    def end_streams(self) -> None:
        """End every open subscription, as a server does that goes away."""
        self._streams.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell of changes while inside.

        A plain task and no task group: FastMCP leaves a lifespan inside a cancel scope that it did not enter it in.
        """
        self._wake, self._loop = asyncio.Event(), asyncio.get_running_loop()
        task = asyncio.create_task(self._publish_when_woken(self._wake))
        try:
            yield
        finally:
            self._wake = self._loop = None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _publish_when_woken(self, wake: asyncio.Event) -> None:
        while True:
            await wake.wait()
            wake.clear()
            await self.publish()


async def _tell(client: Connection) -> None:
    with anyio.move_on_after(SEND_LIMIT_S):
        await client.send_tool_list_changed()


def _without_idle_promises(capabilities: mt.ServerCapabilities) -> mt.ServerCapabilities:
    """Without news of prompts and resources, which the library promises together with that of tools."""
    prompts, resources = capabilities.prompts, capabilities.resources
    quiet = {
        "prompts": prompts and prompts.model_copy(update={"list_changed": False}),
        "resources": resources and resources.model_copy(update={"list_changed": False, "subscribe": False}),
    }
    return capabilities.model_copy(update=quiet)
