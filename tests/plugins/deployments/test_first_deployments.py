"""A first deployment under way is told as such by whatever answers about applications, from its very beginning."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from mcp_types import TextContent

from klepaas.app import create_app
from klepaas.operations import Operations
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio

WRITES = r"deployments/web\?.*fieldManager=klepaas(?!.*dryRun)"


class Stage:
    """A klepaas in front of a sandbox."""

    def __init__(self, sandbox: Sandbox, client: Client[Any], operations: Operations) -> None:
        self.sandbox = sandbox
        self.client = client
        self.operations = operations

    async def call(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments, raise_on_error=False)
        block = result.content[0]
        assert isinstance(block, TextContent)
        return block.text

    async def begin(self, image: str = "example/unready:1") -> str:
        """A deployment that is not decided by itself."""
        await self.call("deploy_application", app_name="web", image=image, wait_s=0)
        (found,) = [one for one in await self.operations.find(None, limit=50) if not one.ended]
        return found.id

    async def told(self, tool: str, text: str, **arguments: Any) -> str:
        """An answer, as soon as it holds a text."""
        with anyio.fail_after(scale_timeout(20)):
            while text not in (said := await self.call(tool, **arguments)):  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.05)
        return said


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with Sandbox(replace(Timing.instant(), deadline_scale=100, autoscaler_s=3600.0)) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=tmp_path / "state"))
        async with Client(app.server) as client:
            yield Stage(sandbox, client, Operations.of(app.host))


async def test_before_anything_is_there_status_overview_and_list_name_the_first_deployment(stage: Stage) -> None:
    stage.sandbox.hang(r"deployments/web\?(?!.*dryRun)", times=1)
    begun = await stage.begin()
    status = await stage.call("get_deployment_status", app_name="web")
    assert status.startswith("web in default is not in the cluster yet.\nFirst deployment under way: ")
    assert f"(operation {begun}), since 2" in status
    data = json.loads(await stage.call("get_deployment_status", app_name="web", output="json"))
    assert (data["first_deployment"], data["operation"], data["state"]) == (True, begun, "deploying")
    listed = await stage.call("list_applications")
    assert "default/web: First deployment under way: Deploying example/unready:1 as web" in listed
    assert begun in listed
    assert json.loads(await stage.call("list_applications", output="json"))["first_deployments"]
    assert f"first deployment, Deploying example/unready:1 as web ({begun})" in await stage.call("get_overview")


async def test_while_nothing_of_it_was_verified_yet_status_says_that_it_is_the_first(stage: Stage) -> None:
    begun = await stage.begin()
    status = await stage.told("get_deployment_status", "First deployment under way", app_name="web")
    assert f"(operation {begun}), since 2" in status
    assert "of 1 pods" in status


async def test_a_later_deployment_is_under_way_and_not_the_first(stage: Stage) -> None:
    await stage.call("deploy_application", app_name="web", image="example/app:1", wait_s=60)
    begun = await stage.begin()
    status = await stage.told(
        "get_deployment_status", f"Under way: Deploying example/unready:1 as web ({begun})", app_name="web"
    )
    assert "First deployment" not in status


async def test_an_application_that_nobody_deploys_is_not_found_as_before(stage: Stage) -> None:
    assert "There is no application other in default" in await stage.call("get_deployment_status", app_name="other")
