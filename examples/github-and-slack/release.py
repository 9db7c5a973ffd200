"""Deploys an image, tells a Slack channel how it went, opens an issue on GitHub where it failed: three calls at most.

There is no model in it; the calls are those that a model would make. klepaas starts both servers and guards them.
"""

import argparse
import os
import sys
from pathlib import Path

import anyio
import mcp_types as mt
from fastmcp import Client
from fastmcp.client.client import CallToolResult
from fastmcp.client.transports import StdioTransport

LIMIT_S = 300.0
SERVERS = Path(__file__).with_name("mcp.json")


def text_of(result: CallToolResult) -> str:
    """What a model would read."""
    return "\n".join(block.text for block in result.content if isinstance(block, mt.TextContent))


async def release(klepaas: Client[StdioTransport], wishes: argparse.Namespace) -> bool:
    """Deploy, tell, and ask for help.

    Returns:
        Whether the image is in use and everybody knows how it went.
    """

    async def call(tool: str, **arguments: object) -> CallToolResult:
        print(f"> {tool} {arguments}")
        result = await klepaas.call_tool(tool, arguments, raise_on_error=False)
        print(text_of(result), end="\n\n")
        return result

    deployed = await call("deploy_application", app_name=wishes.app, image=wishes.image, port=8080, wait_s=60)
    how = "failed" if deployed.is_error else "is in use"
    # One line for the channel; what klepaas found out goes where somebody will work on it.
    told = await call("slack_post_message", channel_id=wishes.channel, text=f"{wishes.app}: {wishes.image} {how}.")
    if not deployed.is_error:
        return not told.is_error
    owner, _, repo = wishes.repository.partition("/")
    title = f"{wishes.image} cannot be deployed"
    await call("github_create_issue", owner=owner, repo=repo, title=title, body=text_of(deployed))
    return False


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--app", default="shop")
    parser.add_argument("--image", default="registry.example/shop:1.1-crash")
    parser.add_argument("--channel", default="#deployments")
    parser.add_argument("--repository", default="acme/shop")
    wishes = parser.parse_args()
    environment = {"KLEPAAS_MCP_CONFIG": str(SERVERS), **os.environ}
    transport = StdioTransport("klepaas", ["serve", "--writes"], env=environment, keep_alive=False)
    with anyio.fail_after(LIMIT_S):
        async with Client(transport) as klepaas:
            released = await release(klepaas, wishes)
    return 0 if released else 1


if __name__ == "__main__":
    sys.exit(anyio.run(main))
