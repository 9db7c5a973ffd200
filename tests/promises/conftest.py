"""A cluster with an application in it, and a klepaas in front of it on every transport."""

import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

TRANSPORTS = tuple(f"{wire}, {era}" for wire in ("memory", "stdio", "http") for era in ("2025-11-25", "2026-07-28"))


@dataclass
class Platform:
    """A sandbox, the kubeconfig that leads to it, and where the servers' stderr and records went."""

    sandbox: Sandbox
    kubeconfig: Path
    stderr: Path
    audit: Path = Path("none")

    @contextlib.asynccontextmanager
    async def client(self, transport: str, mode: Mode = Mode.READ_ONLY) -> AsyncIterator[Client[Any]]:
        """A client session of a klepaas in this mode."""
        wire, _, revision = transport.partition(", ")
        era: Any = "legacy" if revision == "2025-11-25" else "auto"
        if wire == "stdio":
            async with self._over_stdio(mode, era) as client:
                yield client
        elif wire == "http":
            async with self._over_http(mode, era) as client:
                yield client
        else:
            app = create_app(Settings(mode=mode))
            async with Client(app.server, mode=era, elicitation_handler=confirm) as client:
                yield client

    @contextlib.asynccontextmanager
    async def _over_stdio(self, mode: Mode, era: Any) -> AsyncIterator[Client[Any]]:
        command = ["-m", "klepaas", "serve", *_options(mode)]
        transport = StdioTransport(
            sys.executable, command, env=dict(os.environ), keep_alive=False, log_file=self.stderr
        )
        async with Client(transport, mode=era, elicitation_handler=confirm) as client:
            yield client

    @contextlib.asynccontextmanager
    async def _over_http(self, mode: Mode, era: Any) -> AsyncIterator[Client[Any]]:
        command = [sys.executable, "-m", "klepaas", "serve", "--http", "127.0.0.1:0", *_options(mode)]
        async with await anyio.open_process(command, stdin=None, stdout=None) as process:
            try:
                assert process.stderr is not None
                said = TextReceiveStream(process.stderr)
                with anyio.fail_after(scale_timeout(20)):
                    url = await _announced_url(said)
                    async with Client(url, mode=era, elicitation_handler=confirm) as client:
                        yield client
            finally:
                process.terminate()
                with anyio.CancelScope(shield=True), anyio.move_on_after(scale_timeout(10)):
                    async for text in said:
                        self.stderr.write_text(self.stderr.read_text() + text)


async def confirm(*_: Any) -> dict[str, bool]:
    """A person who confirms everything."""
    return {"confirm": True}


async def _announced_url(said: TextReceiveStream) -> str:
    seen = ""
    async for text in said:
        seen += text
        found = re.search(r"http://127\.0\.0\.1:\d+/mcp", seen)
        if found:
            return found.group()
    raise AssertionError(f"the server announced no address: {seen}")


def _options(mode: Mode) -> list[str]:
    return ["--writes"] if mode is Mode.WRITES else []


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith("KLEPAAS_"):
            monkeypatch.delenv(name)


@pytest.fixture
async def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    """A sandbox with an application `web` in namespace `default`, reachable through KUBECONFIG."""
    stderr = tmp_path / "stderr.log"
    stderr.touch()
    async with Sandbox(timing=Timing.instant()) as sandbox:
        kubeconfig = sandbox.write_kubeconfig(tmp_path / "kubeconfig")
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        # Nobody is asked, so that what is destructive happens too; what confirmation promises has tests of its own.
        monkeypatch.setenv("KLEPAAS_POLICY", '[{"decision": "auto"}]')
        sandbox.create(deployment("web"))
        sandbox.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "default"}})
        await _until_running(sandbox, "web")
        sandbox.clear_requests()
        monkeypatch.setenv("KLEPAAS_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "0.05")
        yield Platform(sandbox, kubeconfig, stderr, tmp_path / "state" / "audit.jsonl")


async def _until_running(sandbox: Sandbox, name: str) -> None:
    with anyio.fail_after(scale_timeout(10)):
        while not (sandbox.get("deployments", name) or {}).get("status", {}).get("availableReplicas"):
            await sandbox.changed()


def deployment(name: str, **template: Any) -> dict[str, Any]:
    """A Deployment of one pod.

    Args:
        name: Its name.
        template: Further fields of its one container.
    """
    labels = {"app.kubernetes.io/name": name}
    container = {"name": name, "image": f"registry.example/{name}:1.0", **template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
