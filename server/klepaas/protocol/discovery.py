"""What `server/discover` answers."""

from typing import Any

import mcp_types as mt
from fastmcp import FastMCP
from mcp.server.context import ServerRequestContext
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

__all__ = ["SUPPORTED_VERSIONS", "list_every_version"]

# Newest first. A client may begin with any of them: a 2026-07-28 request, or an `initialize` of the earlier ones.
SUPPORTED_VERSIONS = tuple(sorted((*MODERN_PROTOCOL_VERSIONS, *HANDSHAKE_PROTOCOL_VERSIONS), reverse=True))


def list_every_version(server: FastMCP[Any]) -> None:
    """Let `server/discover` name the protocol versions of `initialize` too.

    The SDK's answer names 2026-07-28 alone, so a client that prefers an earlier version cannot see that it is served.

    Args:
        server: The server whose answer changes; its capabilities and instructions stay as they are.
    """
    lowlevel = server._mcp_server

    async def discover(ctx: ServerRequestContext[Any, Any], _params: mt.RequestParams) -> mt.DiscoverResult:
        return mt.DiscoverResult(
            supported_versions=list(SUPPORTED_VERSIONS),
            capabilities=lowlevel.get_capabilities(protocol_version=ctx.protocol_version),
            instructions=lowlevel.instructions,
        )

    lowlevel.add_request_handler("server/discover", mt.RequestParams, discover)
