"""A klepaas whose only plugin is `http_tools`: asked as an ASGI application, over a socket, and as a process."""

import contextlib
import importlib.util
import itertools
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from klepaas.app import App, create_app
from klepaas.http.application import HttpApp
from klepaas.http.server import _config, _Server
from klepaas.plugins import Plugins
from klepaas.settings import Settings
from klepaas.testing import scale_timeout

CODE = Path(__file__).parent / "http_tools.py"
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
MODERN = {**HEADERS, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}
_numbers = itertools.count()


def modern_call(tool: str, **meta: Any) -> dict[str, Any]:
    """Keyword arguments of an HTTP request that calls a tool in the way of 2026-07-28."""
    params = {"name": tool, "arguments": {}, "_meta": {**META, **meta}}
    return {
        "json": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        "headers": {**MODERN, "Mcp-Name": tool},
    }


def numbers(app: App) -> dict[str, float]:
    """The numbers of a klepaas, each by its name and labels as Prometheus writes them."""
    return numbers_in(app.metrics.exposition()[0].decode())


def numbers_in(text: str) -> dict[str, float]:
    """The numbers of a scrape."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture(params=["legacy", "auto"])
def era(request: pytest.FixtureRequest) -> Any:
    """Both protocols: the handshake of 2025-11-25, and 2026-07-28."""
    return request.param


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith(("KLEPAAS_", "FASTMCP_")):
            monkeypatch.delenv(name)


@pytest.fixture
def plugin() -> Iterator[ModuleType]:
    """The plugin's module, new for each test."""
    name = f"http_tools_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture
def klepaas(plugin: ModuleType) -> Callable[..., App]:
    """Puts a klepaas together with the plugin; takes settings."""

    def build(**settings: Any) -> App:
        chosen = Settings(**settings)
        return create_app(chosen, Plugins(chosen, [EntryPoint("http-tools", plugin.__name__, "klepaas")]))

    return build


@contextlib.asynccontextmanager
async def asking(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the ASGI application itself; streams come whole, when they have ended."""
    web = HttpApp(app)
    async with (
        web.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://127.0.0.1") as http,
    ):
        yield http


@contextlib.asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """The address of `/mcp`, served on a socket by this process."""
    web = HttpApp(app)
    server = _Server(_config(web))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with web.running(), anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
            finally:
                await web.end_streams()
                server.should_exit = True


@dataclass
class Process:
    """`klepaas serve` in a process of its own."""

    process: anyio.abc.Process
    stderr: Path
    url: str = ""

    @property
    def base(self) -> str:
        """The address without `/mcp`."""
        return self.url.removesuffix("/mcp")

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to stop."""
        self.process.send_signal(number)

    async def ended(self, within_s: float) -> int:
        """Its exit code."""
        with anyio.fail_after(within_s):
            return await self.process.wait()

    async def running_calls(self, http: httpx.AsyncClient, count: int) -> None:
        """Wait until so many calls run."""
        with anyio.fail_after(scale_timeout(10)):
            while True:
                found = numbers_in((await http.get(f"{self.base}/metrics")).text)
                if found["mcp_tool_calls_running"] == count:
                    return
                await anyio.sleep(0.02)

    async def told(self, pattern: str) -> str:
        """What it writes to stderr that looks so."""
        with anyio.fail_after(scale_timeout(20)):
            while True:
                found = re.search(pattern, self.stderr.read_text())
                if found:
                    return found.group()
                await anyio.sleep(0.02)


@pytest.fixture
def serve(
    distribute: Callable[..., Path], klepaas_environment: dict[str, str], tmp_path: Path
) -> Callable[..., AbstractAsyncContextManager[Process]]:
    """Starts `klepaas serve --http` with the plugin."""
    distribute("http-tools", CODE.read_text())

    @contextlib.asynccontextmanager
    async def start(*options: str, **variables: str) -> AsyncIterator[Process]:
        stderr = tmp_path / "stderr"
        command = [sys.executable, "-m", "klepaas", "serve", *(options or ("--http", "127.0.0.1:0"))]
        with stderr.open("wb") as log:
            opened = await anyio.open_process(command, stderr=log, env={**klepaas_environment, **variables})
        async with opened as process:
            server = Process(process, stderr)
            try:
                if not options:
                    server.url = await server.told(r"http://[^\s\"]+/mcp")
                yield server
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGKILL)

    return start
