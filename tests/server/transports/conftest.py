"""`klepaas serve` in a process of its own, where no cluster is configured, and a raw client of it."""

import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from klepaas.testing import scale_timeout

SERVE = [sys.executable, "-m", "klepaas", "serve"]
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
}
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


@dataclass
class Server:
    """A server's process, with everything that it wrote."""

    process: anyio.abc.Process
    stderr: Path
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.process.stdout is not None
        self._stdout = BufferedByteReceiveStream(self.process.stdout)

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        assert self.process.stdin is not None
        await self.process.stdin.send(data)

    async def send(self, **message: Any) -> None:
        """Send one message."""
        await self.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    async def receive(self) -> dict[str, Any]:
        """The next line of standard output, which must be a message."""
        with anyio.fail_after(scale_timeout(20)):
            line = (await self._stdout.receive_until(b"\n", 16 * 1024 * 1024)).decode()
        self.lines.append(line)
        message: dict[str, Any] = json.loads(line)
        assert message["jsonrpc"] == "2.0", line
        return message

    async def answer(self, identifier: int) -> dict[str, Any]:
        """The answer to a request, past notifications and other answers."""
        while True:
            message = await self.receive()
            if message.get("id") == identifier:
                return message

    async def ask(self, identifier: int, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        await self.send(id=identifier, method=method, params=params)
        return await self.answer(identifier)

    async def shake_hands(self) -> dict[str, Any]:
        """Begin a session of 2025-11-25."""
        answer = await self.ask(1, "initialize", **HANDSHAKE)
        await self.send(method="notifications/initialized")
        return answer

    async def close_stdin(self) -> None:
        """Go away as clients do."""
        assert self.process.stdin is not None
        await self.process.stdin.aclose()

    async def ended(self, within_s: float) -> int:
        """The exit code, and nothing else but messages on the rest of standard output."""
        with anyio.fail_after(within_s):
            code = await self.process.wait()
        with anyio.fail_after(scale_timeout(5)), contextlib.suppress(anyio.EndOfStream, anyio.IncompleteRead):
            while True:
                await self.receive()
        return code

    async def url(self) -> str:
        """The address that the server tells."""
        with anyio.fail_after(scale_timeout(20)):
            while True:
                told = re.search(r"http://\S+/mcp", self.stderr.read_text())
                if told:
                    return told.group()
                await anyio.sleep(0.02)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing is configured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KLEPAAS_", "FASTMCP_"))}
    return {**kept, "KUBECONFIG": str(tmp_path / "none"), "KLEPAAS_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def serve(tmp_path: Path, environment: dict[str, str]) -> Callable[..., AbstractAsyncContextManager[Server]]:
    """Starts `klepaas serve` with the options given."""

    @contextlib.asynccontextmanager
    async def start(*options: str, command: list[str] = SERVE, **variables: str) -> AsyncIterator[Server]:
        stderr = tmp_path / "stderr"
        with stderr.open("wb") as log:
            process = await anyio.open_process([*command, *options], stderr=log, env={**environment, **variables})
        async with process:
            try:
                yield Server(process, stderr)
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGKILL)

    return start


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> Any:
    """Both protocols: the handshake of 2025-11-25, and 2026-07-28."""
    return request.param
