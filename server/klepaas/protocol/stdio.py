"""Serves one client on standard input and output."""

import io
import os
import sys
from contextlib import suppress
from typing import Any

import anyio
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

    stdout = _take_stdout()
    token = set_transport("stdio")
    try:
        async with (
            server._lifespan_manager(),
            stdio_server(stdout=stdout) as (incoming, outgoing),
            with_end_of_input(incoming, outgoing, at_end) as (frames, answers),
        ):
            await serve_each_version(server, frames, answers)
    finally:
        reset_transport(token)


class _Wire(io.TextIOWrapper):
    """The protocol's stream; what is left in it when the client is gone is not written once more at the end."""

    def close(self) -> None:
        with suppress(ValueError):
            self.detach()


def _take_stdout() -> anyio.AsyncFile[str] | None:
    """Take standard output for the protocol, and for good.

    The library gives it back when it ends: what a plugin's stop hook, a thread or an exit handler prints after that
    would reach the client as if it were the protocol. It goes to standard error until the process has ended.

    Returns:
        The stream for the protocol. None: this process has no such descriptor; the library takes what there is.
    """
    try:
        sys.stdout.flush()
        if sys.stdout.fileno() != 1:
            return None
        wire = os.dup(1)
        os.dup2(2, 1)
    except (AttributeError, OSError, ValueError):
        return None
    return anyio.wrap_file(_Wire(os.fdopen(wire, "wb", closefd=False), encoding="utf-8", newline="\n"))
