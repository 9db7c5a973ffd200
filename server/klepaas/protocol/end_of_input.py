"""The end of a client's input over stdio: nothing is written any more, and what changes something gets its grace.

Clients that start a process for each call close its input as soon as they have their answer, and some crash on a line
that comes after. The SDK cancels what runs at the end of the input, so that end is held back until the work has ended.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.shared._context_streams import ContextReceiveStream, ContextSendStream, create_context_streams
from mcp.shared.message import SessionMessage

__all__ = ["AtEnd", "with_end_of_input"]

AtEnd = Callable[[], Awaitable[None]]
_Incoming = ContextReceiveStream[SessionMessage | Exception]
_Outgoing = ContextSendStream[SessionMessage]


@asynccontextmanager
async def with_end_of_input(
    incoming: _Incoming, outgoing: _Outgoing, at_end: AtEnd
) -> AsyncIterator[tuple[_Incoming, _Outgoing]]:
    """Stand between a transport and what serves it.

    Args:
        incoming: What the client sends.
        outgoing: What the client gets.
        at_end: Called when the input has ended, before anybody else hears of it; nothing is written from then on.

    Yields:
        The streams to serve in place of the transport's.
    """
    ended = anyio.Event()
    to_server, served_in = create_context_streams[SessionMessage | Exception](0)
    served_out, to_client = create_context_streams[SessionMessage](0)

    async def read() -> None:
        async with incoming, to_server:
            await _pass_on(incoming, to_server)
            ended.set()
            await at_end()

    async def write() -> None:
        async with outgoing, to_client:
            await _pass_on(to_client, outgoing, unless=ended)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        group.start_soon(write)
        yield served_in, served_out
        group.cancel_scope.cancel()


async def _pass_on(source: Any, target: Any, unless: anyio.Event | None = None) -> None:
    """Pass messages on until the source ends, or the target is not read any more."""
    try:
        async for message in source:
            if unless is None or not unless.is_set():
                await target.send(message)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        return
