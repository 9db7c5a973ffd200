"""What is kept of changes: their rows in the history, how an application was scaled, where it answers."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from klepaas.app import App, create_app
from klepaas.settings import Mode, Settings
from klepaas.store.applications import ApplicationKey, Applications
from klepaas.store.history import History
from klepaas_plugins.kubernetes.client import Clusters
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio


@pytest.fixture
async def klepaas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[App, Client[Any]]]:
    async with Sandbox(replace(Timing.instant(), deadline_scale=0.02)) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=tmp_path / "state"))
        async with Client(app.server) as client:
            yield app, client


async def _call(client: Client[Any], tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, {"app_name": "web", **arguments}, raise_on_error=False)
    return str(result.content[0].text)  # type: ignore[union-attr]


async def test_every_change_has_its_row_with_its_stages(klepaas: tuple[App, Client[Any]]) -> None:
    app, client = klepaas
    await _call(client, "deploy_application", image="registry.example/team/app:1")
    await _call(client, "deploy_application", image="registry.example/team/crash:2")
    await _call(client, "deploy_application", image="registry.example/team/app:1")
    broken, good = list(await History.of(app.host).find(application="web"))
    assert (good.state, good.operation_type, good.image_name, good.image_tag, good.release) == (
        "succeeded", "deploy", "registry.example/team/app", "1", 1,
    )  # fmt: skip
    assert [(stage.name, stage.state) for stage in good.stages] == [("apply", "succeeded"), ("verify", "succeeded")]
    assert (broken.state, broken.automatic, broken.rollback_to_release, broken.error_stage) == (
        "rolled_back", True, 1, "verify",
    )  # fmt: skip
    assert [stage.name for stage in broken.stages] == ["apply", "verify", "roll back"]
    assert "exit code 1" in (broken.error_message or "")
    assert all(stage.duration_s is not None for row in (broken, good) for stage in row.stages)


async def test_who_scaled_to_what_is_kept(klepaas: tuple[App, Client[Any]]) -> None:
    app, client = klepaas
    await _call(client, "deploy_application", image="example/app:1")
    await _call(client, "scale_application", replicas=3)
    key = ApplicationKey(await Clusters.of(app.host).identity(None), "default", "web")
    scaling = await Applications.of(app.host).scaling(key)
    assert scaling is not None
    assert scaling.replicas == 3
    assert scaling.scaled_by


async def test_an_address_that_a_person_gave_is_a_note_with_who_and_when_and_no_endpoint(
    klepaas: tuple[App, Client[Any]],
) -> None:
    _, client = klepaas
    await _call(client, "deploy_application", image="example/app:1", port=8080, url="https://shop.example")
    text = await _call(client, "get_deployment_status")
    (endpoints,) = [line for line in text.split("\n") if line.startswith("Endpoint: ")]
    assert endpoints.startswith("Endpoint: web.default.svc:8080")
    assert "shop.example" not in endpoints
    (note,) = [line for line in text.split("\n") if "shop.example" in line]
    assert re.fullmatch(r"Note: .+ gave the address https://shop\.example \d+s ago; not checked\.", note)
