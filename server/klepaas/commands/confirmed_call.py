"""A call that a person makes at a terminal: they are asked there, by the rules of `klepaas confirm`.

The first call stores the plan and is refused, as for any client that cannot ask. The person confirms that plan at the
controlling terminal, not in the shell of an agent. Then the same call is let through, once, if the same would change.
"""

import argparse
import os
import sys
from typing import Any

import anyio

from klepaas.actions import OK
from klepaas.commands.agent_shells import find_agent
from klepaas.observability import stdout_to_stderr
from klepaas.plugins import PluginError, Plugins
from klepaas.settings import Settings

__all__ = ["call_confirmed"]

ANSWER_MAX_BYTES = 1024 * 1024


def call_confirmed(tool: str, values: dict[str, Any], settings: Settings, plugins: Plugins) -> dict[str, Any]:
    """Call a tool through the gate; where a person has to confirm it and sits here, ask them and call again.

    Args:
        tool: The tool's name.
        values: Its arguments.
        settings: As the process runs with.
        plugins: The plugins.

    Returns:
        `isError`, `text` and `meta` of the last result.

    Raises:
        KlepaasError: The plan cannot be confirmed.
    """
    settings = settings.model_copy(update={"answer_max_bytes": ANSWER_MAX_BYTES})
    result = _call(tool, values, settings, plugins)
    plan_id = (result["meta"] or {}).get("plan_id")
    if not result["isError"] or plan_id is None or not _can_ask():
        return result
    from klepaas.commands.plans import confirm

    code = confirm(argparse.Namespace(plan_id=plan_id), settings, plugins)
    return _call(tool, values, settings, plugins) if code == OK else result


def _can_ask() -> bool:
    """Whether a person may be asked here; the asking itself looks again, and says why not."""
    return _is_terminal() and find_agent(os.environ) is None


def _is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _call(tool: str, values: dict[str, Any], settings: Settings, plugins: Plugins) -> dict[str, Any]:
    from klepaas.app import create_app

    app = create_app(settings, plugins)
    with stdout_to_stderr():
        return anyio.run(_call_in_memory, app, tool, values)


async def _call_in_memory(app: Any, tool: str, values: dict[str, Any]) -> dict[str, Any]:
    from fastmcp import Client

    from klepaas.way_out import ids_of

    try:
        async with Client(app.server) as client:
            result = await client.call_tool(tool, values, raise_on_error=False)
    except RuntimeError as exc:
        if isinstance(exc.__cause__, PluginError):  # as the client wraps a start that failed
            raise exc.__cause__ from None
        raise
    text = "\n".join(block.text for block in result.content if hasattr(block, "text"))
    return {"isError": result.is_error, "text": text, "meta": ids_of(result.meta)}
