"""Serves every protocol version on one connection, each request in the version that it carries.

The SDK's loop decides the version of a whole connection by its first request. A client that asks `server/discover`
first and then falls back to `initialize` on the same pipe, as Claude Code and Copilot CLI do, would be refused. Here
two of the SDK's loops share the connection, one for 2026-07-28 and one for the versions of `initialize`; a request
decides nothing for the next one, as over HTTP.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import anyio
from anyio.abc import TaskGroup
from fastmcp import FastMCP
from mcp.shared._context_streams import ContextReceiveStream, ContextSendStream, create_context_streams
from mcp.shared.message import SessionMessage
from mcp_types import PROTOCOL_VERSION_META_KEY, JSONRPCNotification, JSONRPCRequest

from klepaas.protocol.unreadable import answer_unreadable

__all__ = ["serve_each_version"]

Frame: TypeAlias = SessionMessage | Exception


async def serve_each_version(
    server: FastMCP[Any], incoming: ContextReceiveStream[Frame], outgoing: ContextSendStream[SessionMessage]
) -> None:
    """Serve one connection until its input ends.

    Args:
        server: What answers.
        incoming: What the client sends; closed when this returns.
        outgoing: What the client gets; closed when this returns.
    """
    async with incoming, outgoing, anyio.create_task_group() as group:
        modern, handshake = _Loop(server, outgoing, group), _Loop(server, outgoing, group)
        try:
            async for frame in incoming:
                if isinstance(frame, SessionMessage):
                    await _route(frame, modern, handshake)
                elif (answer := answer_unreadable(frame)) is not None:
                    await outgoing.send(SessionMessage(answer))
        except anyio.ClosedResourceError:
            pass  # closed by the transport: the same as the end of input
        finally:
            modern.close()
            handshake.close()


class _Loop:
    """One of the SDK's loops, started by the first frame that is for it."""

    def __init__(self, server: FastMCP[Any], outgoing: ContextSendStream[SessionMessage], group: TaskGroup) -> None:
        self._server, self._outgoing, self._group = server, outgoing, group
        self._frames: ContextSendStream[Frame] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has had a frame."""
        return self._frames is not None

    async def take(self, frame: Frame) -> None:
        """Hand a frame to the loop."""
        if self._frames is None:
            self._frames, frames = create_context_streams[Frame](0)
            self._group.start_soon(self._run, frames)
        await self._frames.send(frame)

    async def _run(self, frames: ContextReceiveStream[Frame]) -> None:
        lowlevel = self._server._mcp_server
        # A clone: the loop closes the stream that it writes to, and the other one may still be writing.
        await lowlevel.run(frames, self._outgoing.clone(), lowlevel.create_initialization_options())

    def close(self) -> None:
        """Tell the loop that the input has ended."""
        if self._frames is not None:
            self._frames.close()


async def _route(frame: SessionMessage, modern: _Loop, handshake: _Loop) -> None:
    """Hand a frame to the loop of its version.

    A notification carries no version. A cancellation is for whichever loop runs the request, and the other one ignores
    it; any other notification exists in the versions of `initialize` only, as answers to requests of the server do.
    """
    message = frame.message
    if isinstance(message, JSONRPCRequest):
        loop = modern if _is_modern(message.method, message.params) else handshake
        await loop.take(frame)
    elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
        for loop in (modern, handshake):
            if loop.is_running:
                await loop.take(frame)
    else:
        await handshake.take(frame)


def _is_modern(method: str, params: Mapping[str, Any] | None) -> bool:
    """Whether a request is one of 2026-07-28: its envelope says so. `initialize` never is, whatever it carries."""
    meta = (params or {}).get("_meta")
    return method != "initialize" and isinstance(meta, Mapping) and PROTOCOL_VERSION_META_KEY in meta
