"""A client on standard input and output hears that the tools are others now, in the way of its era.

Over HTTP the conformance suite asks for the same, and `tests/server/http` for the older protocol.
"""

import asyncio
import json
from typing import Any

import pytest
from tests.served import SERVE

from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio

LIMIT_S = scale_timeout(30)
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
CHANGE = {"name": "test_trigger_tool_change", "arguments": {}}
CHANGED = "notifications/tools/list_changed"
# What a client sends first, and what it is told when the tools change.
ERAS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "2025-11-25": (
        [
            {"id": 1, "method": "initialize", "params": HANDSHAKE},
            {"method": "notifications/initialized"},
            {"id": 3, "method": "tools/call", "params": CHANGE},
        ],
        {},
    ),
    "2026-07-28": (
        [
            {
                "id": 2,
                "method": "subscriptions/listen",
                "params": {"_meta": META, "notifications": {"toolsListChanged": True}},
            },
            {"id": 3, "method": "tools/call", "params": {**CHANGE, "_meta": META}},
        ],
        {"_meta": {"io.modelcontextprotocol/subscriptionId": 2}},
    ),
}


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_on_stdio_is_told_that_the_tools_changed(era: str, environment: dict[str, str]) -> None:
    sent, told = ERAS[era]
    process = await asyncio.create_subprocess_exec(*SERVE, stdin=-1, stdout=-1, env=environment)
    assert process.stdin
    assert process.stdout
    try:
        async with asyncio.timeout(LIMIT_S):
            assert await _news(process.stdin, process.stdout, sent) == told
            process.stdin.close()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _news(
    stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader, sent: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the server says of its tools after a client has sent its messages."""
    for message in sent:
        stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        if message.get("id", 3) < 3:
            assert "error" not in json.loads(await stdout.readline())
    while True:
        message = json.loads(await stdout.readline())
        if message.get("method") == CHANGED:
            news: dict[str, Any] = message.get("params") or {}
            return news
