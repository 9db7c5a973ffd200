"""Recorded answers of a real cluster, and klepaas in front of the sandbox."""

import copy
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from mcp_types import TextContent

from klepaas.app import create_app
from klepaas.host import Host
from klepaas.settings import Mode, Settings
from klepaas.way_out import ids_of
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

FOLDER = Path(__file__).parents[2] / "fixtures" / "k8s-recordings"


@cache
def _exchanges(file: str) -> dict[str, Any]:
    return {item["name"]: item for item in json.loads((FOLDER / f"{file}.json").read_text())}


@pytest.fixture
def recorded() -> Callable[[str, str], Any]:
    """The answer recorded in a file under a name: an object, a list's items, or the objects of a watch."""

    def find(file: str, name: str) -> Any:
        exchange = copy.deepcopy(_exchanges(file)[name])
        if "stream" in exchange:
            return [event["object"] for event in exchange["stream"]]
        return exchange["response"].get("items", exchange["response"])

    return find


@dataclass
class Said:
    """What a tool answered."""

    text: str
    meta: dict[str, Any]
    is_error: bool
    progress: list[str] = field(default_factory=list)

    @property
    def code(self) -> str:
        return str(self.meta["code"])

    @property
    def operation(self) -> str:
        return str(self.meta["operation_id"])

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Bench:
    """klepaas and the cluster that it runs."""

    sandbox: Sandbox
    client: Client[Any]
    host: Host
    asked: list[str] = field(default_factory=list)

    async def call(self, tool: str, **arguments: Any) -> Said:
        said: list[str] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            said.append(message or "")

        result = await self.client.call_tool(tool, arguments, raise_on_error=False, progress_handler=hear)
        block = result.content[0]
        assert isinstance(block, TextContent)
        return Said(block.text, ids_of(result.meta) or {}, result.is_error, said)

    async def result(self, said: Said) -> dict[str, Any]:
        """How the operation of an answer ended, as data."""
        asked = await self.call("get_operation", operation_id=said.operation, output="json")
        found: dict[str, Any] = asked.json()["result"]
        return found

    async def deploy(self, name: str = "web", image: str = "example/app:1", **more: Any) -> Said:
        return await self.call("deploy_application", app_name=name, image=image, **more)

    def container(self, name: str = "web") -> dict[str, Any]:
        found = self.sandbox.get("Deployment", name)
        assert found is not None
        container: dict[str, Any] = found["spec"]["template"]["spec"]["containers"][0]
        return container

    def env(self, name: str = "web") -> dict[str, str]:
        return {item["name"]: item["value"] for item in self.container(name).get("env", [])}


@pytest.fixture
def deadline_scale() -> float:
    """What deadlines of rollouts are multiplied by: small where they are to pass."""
    return 0.02


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deadline_scale: float) -> AsyncIterator[Bench]:
    """klepaas with writes open, in front of a cluster whose steps take milliseconds."""
    timing = replace(Timing.instant(), deadline_scale=deadline_scale, autoscaler_s=3600.0)
    async with Sandbox(timing) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        monkeypatch.setenv("KLEPAAS_ROLLOUT_UNSCHEDULABLE_GRACE_S", "0.1")
        app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, strict_plugins=True, state_dir=tmp_path))
        asked: list[str] = []

        async def confirm(message: str, *_: Any) -> dict[str, bool]:
            asked.append(message)
            return {"confirm": True}

        async with Client(app.server, elicitation_handler=confirm) as client:
            yield Bench(sandbox, client, app.host, asked)
