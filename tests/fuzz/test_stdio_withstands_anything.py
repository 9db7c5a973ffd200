"""Thousands of malformed lines over stdio, in both eras: the server goes on answering, and writes only messages."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from tests.served import SERVE, unconfigured

from klepaas.testing import scale_timeout

from .bodies import HANDSHAKE, META, malformed
from .conftest import SEED, rss_bytes, settled_rss_bytes

pytestmark = pytest.mark.anyio

ASK_EVERY = 50
ANSWER_LIMIT_S = scale_timeout(30)
END_LIMIT_S = scale_timeout(10)
GROWTH_MAX_BYTES = 8 * 1024 * 1024
LINE_MAX_BYTES = 64 * 1024 * 1024
LONG_LINE_BYTES = 16 * 1024 * 1024
# What malformed lines cannot ask under: they use other ids.
OWN_ID = "still there?"


class Session:
    """One process, and a client that sends it nonsense and now and then asks something.

    Args:
        process: The server.
        era: The protocol that it is asked in.
    """

    def __init__(self, process: asyncio.subprocess.Process, era: str) -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout
        self._era = era
        self._asked = 0
        self.messages: Counter[str] = Counter()

    async def begin(self) -> None:
        """Settle the protocol."""
        if self._era == "legacy":
            await self._answer_to("initialize", HANDSHAKE)
            await self.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        else:
            await self._answer_to("server/discover", {"_meta": META})

    async def write(self, line: bytes) -> None:
        """Send a line."""
        self._stdin.write(line + b"\n")
        await self._stdin.drain()

    async def is_answered(self) -> None:
        """Ask something, which must be answered rightly however much is still being refused."""
        answer = await self._answer_to("tools/list", {"_meta": META} if self._era == "modern" else {})
        assert "k8s_get" in {tool["name"] for tool in answer["result"]["tools"]}

    async def close(self) -> None:
        """Go away in the middle of a line."""
        self._stdin.write(b'{"jsonrpc": "2.0", "id": 1, "meth')
        self._stdin.close()
        while line := await self._stdout.readline():
            self._take(line)

    async def _answer_to(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._asked += 1
        identifier = f"{OWN_ID} {self._asked}"
        asked = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}
        async with asyncio.timeout(ANSWER_LIMIT_S):
            await self.write(json.dumps(asked).encode())
            while True:
                message = self._take(await self._stdout.readline())
                if message.get("id") == identifier:
                    return message

    def _take(self, line: bytes) -> dict[str, Any]:
        """A line of standard output, which must be a message whatever came in."""
        message: dict[str, Any] = json.loads(line)
        assert message["jsonrpc"] == "2.0", line[:200]
        kind = next(kind for kind in ("result", "error", "method") if kind in message)
        self.messages[f"error {message['error']['code']}" if kind == "error" else kind] += 1
        return message


@pytest.mark.timeout(scale_timeout(100))
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_malformed_lines_stop_nothing(era: str, tmp_path: Path, is_soak: bool) -> None:
    count = 2_000 if is_soak else 400
    environment = unconfigured(tmp_path, KLEPAAS_EXTERNAL_PLUGINS="false")
    with (tmp_path / "stderr").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *SERVE, stdin=-1, stdout=-1, stderr=log, env=environment, limit=LINE_MAX_BYTES
        )
    try:
        session = Session(process, era)
        await session.begin()
        random = Random(SEED)
        held = await settled_rss_bytes(process.pid, lambda: _attack(session, random, count // 2))
        await _attack(session, random, count)
        grown = rss_bytes(process.pid) - held
        await session.write(b'{"jsonrpc":"2.0","id":1,"method":"' + b"m" * LONG_LINE_BYTES + b'"}')
        await session.is_answered()
        with anyio.fail_after(END_LIMIT_S):
            await session.close()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    sys.stdout.write(f"{count} lines, {era}: {dict(sorted(session.messages.items()))}, {grown // 1024:+} KiB\n")
    assert grown < GROWTH_MAX_BYTES
    assert " ERROR " not in (tmp_path / "stderr").read_text()


async def _attack(session: Session, random: Random, count: int) -> None:
    for number in range(count):
        line, _ = malformed(random)
        await session.write(line.replace(b"\n", b" ") if random.random() < 0.8 else line)
        if number % ASK_EVERY == 0:
            await session.is_answered()
    await session.is_answered()
