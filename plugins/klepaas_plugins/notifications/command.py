"""`klepaas notifications test`: sends one message to each sink now, past the outbox, and says what became of it."""

import sys

import anyio
from fastmcp import Client

from klepaas.actions import print_line
from klepaas.app import create_app
from klepaas.notifications import Delivery, Notification, Notifications
from klepaas.store.outbox import ParcelState

__all__ = ["run"]

OK, FAILED = 0, 1


def run(only: str | None) -> int:
    """Send the message.

    Args:
        only: The one sink to try. None: all.
    """
    found = anyio.run(_tried, only)
    if not found:
        sys.stderr.write("no such sink is configured; docs/plugins/notifications.md says how\n")
        return FAILED
    for one in found:
        good = one.state is ParcelState.DELIVERED
        print_line(f"{one.sink}: {'delivered' if good else f'NOT delivered: {one.error}'}")
    return OK if all(one.state is ParcelState.DELIVERED for one in found) else FAILED


async def _tried(only: str | None) -> list[Delivery]:
    app = create_app()
    notifications = Notifications.of(app.host)
    sinks = [sink for sink in notifications.durable if only in (None, sink.name)]
    if not sinks:
        await app.host.aclose()
        return []
    # A Slack MCP server is started with the server and ended with it.
    async with Client(app.server):
        return await notifications.try_once(Notification("test", "notifications of klepaas arrive here"), sinks)
