"""An agent on the same machine: starts klepaas over stdio, deploys, deploys what breaks, reads why, and looks again.

There is no model in it; the calls are those that a model would make. klepaas inherits KUBECONFIG and everything else.
"""

import argparse
import json
import os
import sys

import anyio
import mcp_types as mt
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.transports import StdioTransport

LIMIT_S = 300.0


def text_of(result: CallToolResult) -> str:
    """What a model would read."""
    return "\n".join(block.text for block in result.content if isinstance(block, mt.TextContent))


class Agent:
    """Calls tools and tells what it does.

    Args:
        klepaas: The connection.
    """

    def __init__(self, klepaas: Client[StdioTransport]) -> None:
        self._klepaas = klepaas

    async def call(self, tool: str, **arguments: object) -> CallToolResult:
        """Call a tool; a failure is an answer to read, not an end."""
        print(f"> {tool} {arguments}")
        result = await self._klepaas.call_tool(tool, arguments, raise_on_error=False)
        print(text_of(result), end="\n\n")
        return result


async def work(agent: Agent, app: str, good: str, next_one: str) -> bool:
    """Deploy one image, then the next; where that fails, klepaas goes back by itself.

    Returns:
        Whether the application is healthy at the end.
    """
    first = await agent.call("deploy_application", app_name=app, image=good, port=8080, wait_s=60)
    if first.is_error:
        return False
    second = await agent.call("deploy_application", app_name=app, image=next_one, wait_s=60)
    if second.is_error:
        # The answer has named the container, the exit code and the last log lines already, and where it went back to.
        ended = await agent.call("get_operation", operation_id=(second.meta or {})["operation_id"], output="json")
        state = json.loads(text_of(ended))["state"].replace("_", " ")
        print(f"{app} is {state}, so nothing has to be undone here", end="\n\n")
    status = await agent.call("get_deployment_status", app_name=app, output="json")
    return bool(json.loads(text_of(status))["state"] == "healthy")


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--app", default="shop")
    parser.add_argument("--image", default="registry.example/shop:1.0")
    parser.add_argument("--next-image", default="registry.example/shop:1.1-crash")
    arguments = parser.parse_args()
    transport = StdioTransport("klepaas", ["serve", "--writes"], env=dict(os.environ), keep_alive=False)
    with anyio.fail_after(LIMIT_S):
        async with Client(transport) as klepaas:
            healthy = await work(Agent(klepaas), arguments.app, arguments.image, arguments.next_image)
    print(f"{arguments.app} is {'healthy' if healthy else 'NOT healthy'} at the end")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(anyio.run(main))
