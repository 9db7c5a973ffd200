"""Thousands of malformed requests over HTTP, the same ones each time: none brings the server down or up."""

import contextlib
import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import anyio
import anyio.abc
import httpx
import pytest
from tests.served import Served, served, unconfigured

from klepaas.testing import scale_timeout

from .bodies import HANDSHAKE, META
from .conftest import SEED, open_files, rss_bytes, settled_rss_bytes
from .requests import SESSION, Request, malformed_request

pytestmark = pytest.mark.anyio

AT_ONCE = 8
STALLED = 40
SESSION_EVERY = 100
ANSWER_LIMIT_S = scale_timeout(20)
GROWTH_MAX_BYTES = 8 * 1024 * 1024
ANSWER_MAX_BYTES = 8 * 1024 * 1024
LOG_MAX_CHARS = 100
NO_ANSWER = 0


class Attacker:
    """Sends malformed requests, and counts what comes back.

    Args:
        url: Whom to.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self.address = parts.hostname, parts.port
        self.answers: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._random = Random(SEED)
        self._left = 0

    async def send(self, count: int) -> None:
        """Send so many requests, some at the same time."""
        self._left = count
        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(self._work)

    async def _work(self) -> None:
        """Send one after the other, in a session of its own: the libraries log errors where another request ends it."""
        session = SESSION
        while self._left > 0:
            self._left -= 1
            if self._left % SESSION_EVERY < AT_ONCE:
                await self._close_session(session)
                session = await self._open_session()
            request = malformed_request(self._random)
            status = NO_ANSWER
            try:
                with anyio.fail_after(ANSWER_LIMIT_S):
                    status = await self._ask(request, session)
            except TimeoutError:
                self.wrong.append(f"no answer and no end: {request.name} {request.pieces[0][:300]!r}")
            self.answers[status] += 1
            if status >= 500 or (status == NO_ANSWER and request.is_whole):
                self.wrong.append(f"{status}: {request.name} {request.pieces[0][:300]!r}")

    async def _open_session(self) -> str:
        """Begin a session of 2025-11-25 for the requests that come: some of these end it."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HANDSHAKE})
        headers = "Accept: application/json, text/event-stream\r\nContent-Type: application/json"
        (session,) = _sessions(await self._exchange("POST", headers, body))
        return session

    async def _close_session(self, session: str) -> None:
        await self._exchange("DELETE", f"Mcp-Session-Id: {session}")

    async def _exchange(self, method: str, headers: str, body: str = "") -> bytes:
        head = f"{method} /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {len(body)}"
        async with await anyio.connect_tcp(*self.address) as stream:
            await stream.send(f"{head}\r\n{headers}\r\n\r\n{body}".encode())
            return await _read(stream, streams=False)

    async def _ask(self, request: Request, session: str) -> int:
        async with await anyio.connect_tcp(*self.address) as stream:
            with contextlib.suppress(anyio.BrokenResourceError):  # it need not read to the end what it refuses
                for piece in request.pieces:
                    await stream.send(piece.replace(SESSION.encode(), session.encode()))
            if not request.is_whole:
                with contextlib.suppress(OSError, anyio.BrokenResourceError):
                    await stream.send_eof()
            answer = await _read(stream, request.streams)
        for begun in _sessions(answer) - {session}:
            await self._close_session(begun)  # as a good client does, so that only the malformed is measured
        return _status(answer)


async def _read(stream: anyio.abc.SocketStream, streams: bool) -> bytes:
    answer = b""
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while len(answer) < ANSWER_MAX_BYTES and not (streams and b"\r\n\r\n" in answer):
            answer += await stream.receive()
    return answer


def _status(answer: bytes) -> int:
    words = answer.partition(b"\r\n")[0].split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else NO_ANSWER


def _sessions(answer: bytes) -> set[str]:
    """The sessions begun by one request, or by several that were sent on one connection."""
    return {found.decode() for found in re.findall(rb"(?i)\r\nmcp-session-id: *([0-9a-f]{32})\r\n", answer)}


@pytest.mark.timeout(scale_timeout(100))
async def test_malformed_requests_change_nothing_for_the_others(tmp_path: Path, is_soak: bool) -> None:
    count = 10_000 if is_soak else 1_000
    environment = unconfigured(tmp_path, KLEPAAS_RATE_LIMIT_PER_MINUTE="0", KLEPAAS_EXTERNAL_PLUGINS="false")
    with served(environment=environment, stderr=tmp_path / "stderr") as server:
        attacker = Attacker(server.url)
        async with contextlib.AsyncExitStack() as stalled:
            for _ in range(STALLED):
                stream = await stalled.enter_async_context(await anyio.connect_tcp(*attacker.address))
                await stream.send(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
            held = await settled_rss_bytes(server.process.pid, lambda: attacker.send(count // 5))
            files = open_files(server.process.pid)
            await attacker.send(count)
            grown = rss_bytes(server.process.pid) - held
            assert abs(open_files(server.process.pid) - files) <= 2 * AT_ONCE + STALLED
        print(f"{count} requests: {dict(sorted(attacker.answers.items()))}, {grown // 1024:+} KiB")
        assert not attacker.wrong, (len(attacker.wrong), attacker.wrong[:5])
        assert grown < GROWTH_MAX_BYTES
        await _still_serves_both_eras(server)
    logged = (tmp_path / "stderr").read_text()
    assert [line for line in logged.splitlines() if " ERROR " in line] == []
    assert len(logged) < count * LOG_MAX_CHARS


async def _still_serves_both_eras(server: Served) -> None:
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(timeout=scale_timeout(5), trust_env=False) as http:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HANDSHAKE}
        legacy = await http.post(server.url, json=asked, headers=accept)
        asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"_meta": META}}
        headers = {**accept, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
        modern = await http.post(server.url, json=asked, headers=headers)
    assert '"serverInfo"' in legacy.text
    assert '"k8s_get"' in modern.text
