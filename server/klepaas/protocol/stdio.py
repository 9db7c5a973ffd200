"""Serves one client on standard input and output."""

from typing import Any

from fastmcp import FastMCP
from mcp.server.stdio import stdio_server

from klepaas.protocol.end_of_input import AtEnd, with_end_of_input
from klepaas.protocol.versions import serve_each_version

__all__ = ["serve_stdio"]


async def serve_stdio(server: FastMCP[Any], at_end: AtEnd) -> None:
    """Serve one client until it closes standard input.

    As `FastMCP.run_stdio_async`, but a client may use several protocol versions on one connection.

    Args:
        server: What answers.
        at_end: Called when the client has closed its input; what runs then is cancelled after it.

    Raises:
        PluginError: A plugin failed to start and plugins are strict.
    """
    from fastmcp.server.context import reset_transport, set_transport

    token = set_transport("stdio")
    try:
        async with (
            server._lifespan_manager(),
            stdio_server() as (incoming, outgoing),
            with_end_of_input(incoming, outgoing, at_end) as (frames, answers),
        ):
            await serve_each_version(server, frames, answers)
    finally:
        reset_transport(token)
