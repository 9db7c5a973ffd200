"""An agent elsewhere: speaks MCP over streamable HTTP with a klepaas that runs, finds what is ill, and says why.

It uses the MCP library's own client, of version 1 or 2, and no part of klepaas. There is no model in it.
"""

import argparse
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import anyio
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

LIMIT_S = 120.0
# Version 1 of the library waits for ever where what answers is not an MCP server.
CONNECT_LIMIT_S = 10.0
# In the overview, what is indented below "Not healthy:", and a row of it: "  namespace/name: state ..."
_SECTION = re.compile(r"^Not healthy:\n((?:  .*\n?)*)", re.MULTILINE)
_ROW = re.compile(r"^  ([a-z0-9-]+)/([a-z0-9-]+): ", re.MULTILINE)


async def call(klepaas: ClientSession, tool: str, **arguments: Any) -> str:
    """Call a tool and return what it says; an error is an answer to read, too."""
    print(f"> {tool} {arguments}")
    result = await klepaas.call_tool(tool, arguments)
    text = "\n".join(block.text for block in result.content if block.type == "text")
    print(text, end="\n\n")
    return text


async def find_unhealthy(klepaas: ClientSession) -> list[tuple[str, str]]:
    """Namespace and name of each application that the overview calls not healthy."""
    section = _SECTION.search(await call(klepaas, "get_overview"))
    return _ROW.findall(section[1]) if section else []


async def look(klepaas: ClientSession, repair: bool) -> int:
    """Look at everything, and at what is ill more closely.

    Args:
        klepaas: The connection.
        repair: Whether to roll back what is ill.

    Returns:
        How many applications are ill at the end.
    """
    unhealthy = await find_unhealthy(klepaas)
    for namespace, app in unhealthy:
        await call(klepaas, "get_deployment_status", app_name=app, namespace=namespace)
        await call(klepaas, "k8s_logs", name=app, namespace=namespace, tail_lines=5)
        if repair:
            await call(klepaas, "rollback_deployment", app_name=app, namespace=namespace, wait_s=60)
    return len(await find_unhealthy(klepaas) if repair else unhealthy)


async def connect(klepaas: ClientSession) -> None:
    """Shake hands; at most `CONNECT_LIMIT_S` seconds."""
    try:
        with anyio.fail_after(CONNECT_LIMIT_S):
            await klepaas.initialize()
    except TimeoutError:
        raise TimeoutError(f"it did not answer as an MCP server within {CONNECT_LIMIT_S:g} s") from None


async def work(url: str, repair: bool) -> int:
    """Connect, look, and leave; at most `LIMIT_S` seconds."""
    with anyio.fail_after(LIMIT_S):
        async with streamable_http_client(url) as streams, ClientSession(streams[0], streams[1]) as klepaas:
            await connect(klepaas)
            return await look(klepaas, repair)


def _causes(error: BaseException) -> Iterator[str]:
    """The errors within a group, without what the library's tasks wrap around them."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    else:
        yield next(iter(str(error).splitlines()), type(error).__name__)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="for example http://127.0.0.1:8000/mcp")
    parser.add_argument("--repair", action="store_true", help="roll back what is ill; the server must allow writes")
    arguments = parser.parse_args()
    # The library logs what it also raises, with a traceback.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    try:
        ill = await work(arguments.url, arguments.repair)
    except Exception as error:  # noqa: BLE001 -- each version of the library has errors of its own
        print(f"{arguments.url} cannot be used: {'; '.join(_causes(error))}", file=sys.stderr)
        return 2
    print(f"{ill} not healthy at the end")
    return 1 if ill else 0


if __name__ == "__main__":
    sys.exit(anyio.run(main))
