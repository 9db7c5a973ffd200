"""Promotes what runs in staging to production: one klepaas, two clusters, the context chosen in each call.

A rule of the server asks a person before production is changed; this client asks on the terminal, or says yes with
`--yes`. There is no model in it.
"""

import argparse
import json
import os
import sys
from typing import Any

import anyio
import mcp_types as mt
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

LIMIT_S = 300.0
# Production asks; everywhere else a write is made at once.
POLICY = '[{"context": "production", "decision": "confirm"}]'


class Person:
    """Who confirms.

    Args:
        says_yes: Whether to everything, unasked.
    """

    def __init__(self, says_yes: bool) -> None:
        self._says_yes = says_yes

    async def __call__(self, message: str, *_: Any) -> dict[str, bool]:
        print(f"--- to confirm ---\n{message}\n------------------")
        if self._says_yes:
            return {"confirm": True}
        answer = await anyio.to_thread.run_sync(input, "yes or no? ")
        return {"confirm": answer.strip().lower() in ("y", "yes")}


async def call(klepaas: Client[StdioTransport], tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and show its answer.

    Returns:
        The answer as data where output="json" asks for it, otherwise nothing.
    """
    print(f"> {tool} {arguments}")
    result = await klepaas.call_tool(tool, arguments, raise_on_error=False)
    text = "\n".join(block.text for block in result.content if isinstance(block, mt.TextContent))
    print(text, end="\n\n")
    found: dict[str, Any] = json.loads(text) if arguments.get("output") == "json" and not result.is_error else {}
    return found


async def promote(klepaas: Client[StdioTransport], app: str) -> bool:
    """Deploy to production what runs in staging.

    Returns:
        Whether production is healthy with it.
    """
    await call(klepaas, "get_overview", context="staging")
    staging = await call(klepaas, "get_deployment_status", app_name=app, context="staging", output="json")
    if staging.get("state") != "healthy":
        print(f"{app} is not healthy in staging; nothing was promoted")
        return False
    (wanted,) = staging["images"]
    await call(klepaas, "deploy_application", app_name=app, image=wanted, context="production", wait_s=60)
    production = await call(klepaas, "get_deployment_status", app_name=app, context="production", output="json")
    return bool(production.get("state") == "healthy" and production.get("images") == [wanted])


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--app", default="shop")
    parser.add_argument("--yes", action="store_true", help="confirm everything")
    arguments = parser.parse_args()
    variables = {"KLEPAAS_POLICY": POLICY, **os.environ}
    transport = StdioTransport("klepaas", ["serve", "--writes"], env=variables, keep_alive=False)
    with anyio.fail_after(LIMIT_S):
        async with Client(transport, elicitation_handler=Person(arguments.yes)) as klepaas:
            done = await promote(klepaas, arguments.app)
    print(f"{arguments.app} was {'' if done else 'NOT '}promoted")
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(anyio.run(main))
