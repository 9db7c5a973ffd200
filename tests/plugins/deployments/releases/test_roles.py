"""What Kubernetes' own roles allow: `edit` deploys and goes back, `view` reads history, and neither needs a Secret."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastmcp import Client
from mcp_types import TextContent

from klepaas.app import create_app
from klepaas.policy import Decision, Rule
from klepaas.settings import Mode, Settings
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(Timing.instant()) as running:
        running.create(_documented_role())
        for role in ("view", "edit", "admin", "klepaas"):
            running.create(
                {
                    "apiVersion": f"{RBAC}/v1",
                    "kind": "RoleBinding",
                    "metadata": {"name": role, "namespace": "default"},
                    "roleRef": {
                        "apiGroup": RBAC,
                        "kind": "Role" if role == "klepaas" else "ClusterRole",
                        "name": role,
                    },
                    "subjects": [{"kind": "User", "name": f"{role}er", "apiGroup": RBAC}],
                }
            )
        yield running


@asynccontextmanager
async def klepaas_of(sandbox: Sandbox, role: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """What calls a klepaas whose credentials have one role in the namespace alone."""
    config = sandbox.kubeconfig()
    config["users"][0]["user"]["as"] = f"{role}er"
    path = folder / f"{role}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "0.05")
    (folder / role).mkdir(mode=0o700, exist_ok=True)
    settings = Settings(
        mode=Mode.WRITES,
        external_plugins=False,
        strict_plugins=True,
        state_dir=folder / role,
        policy=(Rule(decision=Decision.AUTO),),
    )
    async with Client(create_app(settings).server) as client:

        async def call(tool: str, **arguments: Any) -> str:
            result = await client.call_tool(tool, {"app_name": "web", **arguments}, raise_on_error=False)
            block = result.content[0]
            assert isinstance(block, TextContent)
            assert not result.is_error, block.text
            return block.text

        yield call


def _asked_of_secrets(sandbox: Sandbox) -> list[str]:
    return [f"{item.method} {item.path}" for item in sandbox.requests if "/secrets" in item.path]


def _documented_role() -> dict[str, Any]:
    """The role of the documentation, for the namespace of these tests."""
    page = (Path(__file__).parents[4] / "docs" / "releases.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    role: dict[str, Any] = yaml.safe_load(text)
    return {**role, "metadata": {"name": "klepaas", "namespace": "default"}}


@pytest.mark.parametrize("role", ["edit", "admin", "klepaas"])
async def test_who_may_edit_deploys_goes_back_and_reads_history_and_no_request_touches_a_secret(
    sandbox: Sandbox, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_RELEASES_READ_SECRETS", "false")
    async with klepaas_of(sandbox, role, tmp_path, monkeypatch) as call:
        for version in (1, 2):
            said = await call("deploy_application", image=f"example/app:{version}", port=80, wait_s=60)
            assert "could not be recorded" not in said
        assert "is back at release 1" in await call("rollback_deployment", wait_s=60)
        listed = json.loads(await call("list_releases", output="json"))
        assert [item["number"] for item in listed["releases"]] == [3, 2, 1]
        await call("diff_releases", before=1, after=2)
        await call("scale_application", replicas=2, wait_s=60)
        await call("restart_application", wait_s=60)
    assert _asked_of_secrets(sandbox) == []
    assert not [item for item in sandbox.list("Secret", "default") if "klepaas" in item["metadata"]["name"]]


async def test_secrets_are_looked_at_for_older_releases_before_the_first_record_and_never_again(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with klepaas_of(sandbox, "edit", tmp_path, monkeypatch) as call:
        await call("deploy_application", image="example/app:1", port=80, wait_s=60)
        assert set(_asked_of_secrets(sandbox)) <= {"GET /api/v1/namespaces/default/secrets"}
        sandbox.clear_requests()
        await call("deploy_application", image="example/app:2", port=80, wait_s=60)
        await call("rollback_deployment", wait_s=60)
        await call("list_releases")
    assert _asked_of_secrets(sandbox) == []


async def test_who_may_view_reads_the_history_that_another_made_and_no_request_touches_a_secret(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with klepaas_of(sandbox, "edit", tmp_path, monkeypatch) as call:
        for version in (1, 2):
            await call("deploy_application", image=f"example/app:{version}", port=80, wait_s=60)
    async with klepaas_of(sandbox, "view", tmp_path, monkeypatch) as call:
        sandbox.clear_requests()
        assert "release 2 (verified) runs" in await call("list_releases")
        assert "example/app:1 -> example/app:2" in await call("diff_releases", before=1, after=2)
        assert "Release: release 2 (verified) runs" in await call("get_deployment_status")
    assert _asked_of_secrets(sandbox) == []
