"""Answers `completion/complete` from what plugins declared, never from FastMCP's own registry.

FastMCP has a hook for suggestions too. From 4.2 on it asks first whether the prompt or template stands in its registry,
and klepaas' never do: they are listed and read in one way of their own (`klepaas.reading`).
"""

from typing import Any

import mcp_types as mt
from fastmcp import Context, FastMCP
from fastmcp.server.dependencies import bind_request_context
from mcp.server.context import ServerRequestContext

from klepaas.calls import Calls
from klepaas.reading import Reading

__all__ = ["answer_suggestions"]


def answer_suggestions(server: FastMCP[Any], calls: Calls, reading: Reading) -> None:
    """Answer what clients ask while somebody types; middlewares never see it, so its limits are asked for here.

    Args:
        server: The server that is asked.
        calls: Knows the limits of calls.
        reading: Knows the suggestions.
    """

    async def complete(request: ServerRequestContext[Any], params: mt.CompleteRequestParams) -> mt.CompleteResult:
        chosen = (params.context.arguments if params.context else None) or {}
        with bind_request_context(request):
            async with Context(fastmcp=server) as asking:
                found = await calls.suggestion(
                    lambda: reading.suggest(params.ref, params.argument, chosen, asking), asking
                )
        return mt.CompleteResult(completion=found or mt.Completion(values=[]))

    server._mcp_server.add_request_handler("completion/complete", mt.CompleteRequestParams, complete)
