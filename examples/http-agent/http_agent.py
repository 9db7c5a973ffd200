"""An agent elsewhere: speaks MCP over streamable HTTP with a klepaas that runs, finds what is ill, and says why.

It uses the MCP library's own client and no part of klepaas. There is no model in it.
"""

import argparse
import re
import sys
from typing import Any

import anyio
import mcp_types as mt
from mcp import Client

LIMIT_S = 120.0
# A row of "Not healthy" in the overview: "  namespace/name: state ..."
_ILL = re.compile(r"^  ([a-z0-9-]+)/([a-z0-9-]+): ", re.MULTILINE)


async def call(klepaas: Client, tool: str, **arguments: Any) -> tuple[str, dict[str, Any], bool]:
    """Call a tool.

    Returns:
        What it says, the same for programs, and whether it failed.
    """
    print(f"> {tool} {arguments}")
    result = await klepaas.call_tool(tool, arguments)
    text = "\n".join(block.text for block in result.content if isinstance(block, mt.TextContent))
    print(text, end="\n\n")
    return text, result.structured_content or {}, bool(result.is_error)


async def look(klepaas: Client, repair: bool) -> int:
    """Look at everything, and at what is ill more closely.

    Args:
        klepaas: The connection.
        repair: Whether to roll back what is ill.

    Returns:
        How many applications are ill at the end.
    """
    overview, facts, _ = await call(klepaas, "get_overview")
    section = overview.partition("Not healthy:")[2].partition("\nNewest")[0]
    for namespace, app in _ILL.findall(section):
        await call(klepaas, "get_deployment_status", app_name=app, namespace=namespace)
        await call(klepaas, "k8s_logs", name=app, namespace=namespace, tail_lines=5)
        if repair:
            await call(klepaas, "rollback_deployment", app_name=app, namespace=namespace, wait_s=60)
    if repair:
        _, facts, _ = await call(klepaas, "get_overview")
    return int(facts.get("unhealthy", 0))


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="for example http://127.0.0.1:8000/mcp")
    parser.add_argument("--repair", action="store_true", help="roll back what is ill; the server must allow writes")
    arguments = parser.parse_args()
    with anyio.fail_after(LIMIT_S):
        async with Client(arguments.url) as klepaas:
            ill = await look(klepaas, arguments.repair)
    print(f"{ill} not healthy at the end")
    return 1 if ill else 0


if __name__ == "__main__":
    sys.exit(anyio.run(main))
