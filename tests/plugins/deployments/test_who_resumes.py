"""Who goes on with what another process began: the same user at the cluster, let through and put on record once more.

A klepaas begins a deployment and stops before it is decided; another one starts on the same store.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from fastmcp import Client
from mcp_types import TextContent

from klepaas import principals
from klepaas.app import create_app
from klepaas.operations import Operation, Operations, State
from klepaas.operations.timing import Timing as Leases
from klepaas.policy import Decision, Rule
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas.way_out import ids_of
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio

RBAC = "rbac.authorization.k8s.io"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
NOT_SERVED = "the server could not find the requested resource"
QUICK = Leases(lease_s=2.0, heartbeat_s=0.4, look_s=0.1, first_look_s=0.01, stop_grace_s=2.0, conclude_s=5.0)


@dataclass
class Server:
    """A klepaas, as somebody runs it."""

    client: Client[Any]
    operations: Operations

    async def call(self, tool: str, **arguments: Any) -> tuple[str, Any]:
        """The text of an answer, and what it refers to."""
        result = await self.client.call_tool(tool, arguments, raise_on_error=False)
        block = result.content[0]
        assert isinstance(block, TextContent)
        return block.text, ids_of(result.meta) or {}

    async def until(self, operation_id: str, accepts: Any) -> Operation:
        """The operation, as soon as it is so."""
        with anyio.fail_after(scale_timeout(30)):
            while True:
                found = await self.operations.get(operation_id, None)
                if accepts(found):
                    return found
                await anyio.sleep(0.02)

    async def ended(self, operation_id: str) -> Operation:
        return await self.until(operation_id, lambda found: found.ended)

    async def hindered(self, operation_id: str) -> str:
        """Why this server does not go on with it."""
        found = await self.until(operation_id, lambda found: found.ended or found.hindrance)
        assert not found.ended, found.outcome
        return str(found.hindrance)


@dataclass
class Stage:
    """A cluster, a store, and the people around them."""

    sandbox: Sandbox
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    @asynccontextmanager
    async def server(
        self, user: str = "alice", groups: Sequence[str] = ("team",), token: str | None = None, **settings: Any
    ) -> AsyncIterator[Server]:
        """A klepaas whose kubeconfig acts as a user with groups."""
        config = yaml.safe_load(self.sandbox.write_kubeconfig(self.folder / "kubeconfig").read_text())
        config["users"][0]["user"] |= {"as": user, "as-groups": list(groups)}
        if token is not None:
            config["users"][0]["user"]["token"] = token
        path = self.folder / f"kubeconfig-{user}"
        path.write_text(yaml.safe_dump(config))
        self.monkeypatch.setenv("KUBECONFIG", str(path))
        chosen = {"mode": Mode.WRITES, "external_plugins": False, "state_dir": self.folder / "state", **settings}
        app = create_app(Settings(**chosen))
        async with Client(app.server) as client:
            yield Server(client, Operations.of(app.host))

    async def leave_one(self, name: str = "web", **how: Any) -> str:
        """A deployment that its klepaas leaves before it is decided."""
        async with self.server(**how) as server:
            _, ids = await server.call("deploy_application", app_name=name, image="example/app:1", wait_s=0)
            await server.until(ids["operation_id"], lambda found: found.steps)
        return str(ids["operation_id"])

    def audit(self) -> list[dict[str, Any]]:
        """The rows of the audit."""
        files = sorted((self.folder / "state").glob("audit*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def reviews(self) -> int:
        """How often somebody asked the API server who they are."""
        return sum(request.path == WHO for request in self.sandbox.requests)


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr("klepaas.operations.service.Timing", lambda: QUICK)
    monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", "1.5")  # so long nothing is decided
    async with Sandbox(replace(Timing.instant(), autoscaler_s=3600.0), token="first") as sandbox:
        for user in ("alice", "bob"):
            sandbox.create(
                {
                    "apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding",
                    "metadata": {"name": user}, "subjects": [{"kind": "User", "name": user}],
                    "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
                }
            )  # fmt: skip
        yield Stage(sandbox, tmp_path, monkeypatch)


async def test_the_same_user_goes_on_and_that_has_an_audit_row_of_its_own(stage: Stage) -> None:
    left = await stage.leave_one()
    async with stage.server() as server:
        assert (await server.ended(left)).state is State.SUCCEEDED
    intents = [row for row in stage.audit() if row["event"] == "intent"]
    assert [row["tool"] for row in intents] == ["deploy_application"] * 2
    first, second = intents
    assert f"operation {left} is resumed by" in second["note"]
    assert "attempt 1" in second["note"]
    assert first["change"] in second["note"]
    assert second["correlation_id"] == left
    assert (second["targets"], second["confirmed"]) == (first["targets"], first["confirmed"])
    ends = [row for row in stage.audit() if row["event"] == "outcome" and row["change"] == second["change"]]
    assert [row["outcome"] for row in ends] == ["ok"]


async def test_another_users_process_on_a_shared_store_never_goes_on_and_says_so(stage: Stage) -> None:
    left = await stage.leave_one()
    async with stage.server("bob") as server:
        stage.sandbox.clear_requests()
        assert await server.hindered(left) == "alice began it, and this server acts as bob"
        told, _ = await server.call("get_operation", operation_id=left)
        status, _ = await server.call("get_deployment_status", app_name="web")
        overview, _ = await server.call("get_overview")
    for text in (told, status, overview):
        assert "not carried on here: alice began it, and this server acts as bob" in text, text
    changing = [one for one in stage.sandbox.requests if one.method != "GET" and one.path != WHO]
    assert changing == []
    assert [row["note"] for row in stage.audit() if row["event"] == "refused"] == [
        f"operation {left} is not resumed here: alice began it, and this server acts as bob"
    ]
    async with stage.server() as server:
        assert (await server.ended(left)).state is State.SUCCEEDED


async def test_other_groups_of_the_same_user_do_not_go_on(stage: Stage) -> None:
    left = await stage.leave_one(groups=("team", "admins"))
    async with stage.server(groups=("team",)) as server:
        assert await server.hindered(left) == "alice began it and has other groups now"
    async with stage.server(groups=("admins", "team")) as server:
        assert (await server.ended(left)).state is State.SUCCEEDED


async def test_a_new_login_of_the_same_user_goes_on(stage: Stage) -> None:
    left = await stage.leave_one()
    stage.sandbox.rotate_token("second")
    async with stage.server(token="second") as server:
        assert (await server.ended(left)).state is State.SUCCEEDED


async def test_until_the_cluster_says_who_this_is_nothing_is_taken_up(stage: Stage) -> None:
    left = await stage.leave_one()
    stage.sandbox.fail("POST", WHO, 503)
    async with stage.server() as server:
        stage.sandbox.clear_requests()
        assert await server.hindered(left) == "alice began it, and who this server acts as is not known yet"
        assert [one.path for one in stage.sandbox.requests if one.method != "GET" and one.path != WHO] == []
        stage.sandbox.clear_faults()
        assert (await server.ended(left)).state is State.SUCCEEDED


@pytest.mark.parametrize("is_here", [True, False], ids=["here", "on another machine"])
async def test_where_a_server_is_older_than_the_review_only_the_same_user_of_the_same_machine_goes_on(
    stage: Stage, is_here: bool
) -> None:
    stage.sandbox.fail("POST", WHO, 404, reason="NotFound", message=NOT_SERVED)
    left = await stage.leave_one()
    if not is_here:
        stage.monkeypatch.setattr(principals, "machine_id", lambda: "another")
    async with stage.server() as server:
        if is_here:
            assert (await server.ended(left)).state is State.SUCCEEDED
        else:
            assert await server.hindered(left) == "another user, or another machine, began it"


async def test_the_same_user_of_the_cluster_goes_on_from_another_machine_too(stage: Stage) -> None:
    left = await stage.leave_one()
    stage.monkeypatch.setattr(principals, "machine_id", lambda: "another")
    async with stage.server() as server:
        assert (await server.ended(left)).state is State.SUCCEEDED


async def test_where_writes_are_switched_off_at_the_restart_nothing_is_carried_on_and_it_is_said(stage: Stage) -> None:
    left = await stage.leave_one()
    stage.sandbox.clear_requests()
    async with stage.server(mode=Mode.READ_ONLY) as server:
        told, _ = await server.call("get_operation", operation_id=left)
        status, _ = await server.call("get_deployment_status", app_name="web")
    for text in (told, status):
        assert "not carried on here: this server may not change anything" in text, text
    assert [one.path for one in stage.sandbox.requests if one.method != "GET"] == []


async def test_a_tool_that_is_not_offered_any_more_is_not_carried_on(stage: Stage) -> None:
    left = await stage.leave_one()
    async with stage.server(disabled_plugins=("deployments", "cluster")) as server:
        assert await server.hindered(left) == "no plugin here carries out a deploy"
        told, _ = await server.call("get_operation", operation_id=left)
    assert "not carried on here: no plugin here carries out a deploy" in told


async def test_what_the_policy_wants_confirmed_now_is_not_carried_on_and_can_be_cancelled(stage: Stage) -> None:
    left = await stage.leave_one()
    rule = Rule(decision=Decision.CONFIRM, tool="deploy_application")
    async with stage.server(policy=(rule,)) as server:
        why = "the policy asks for a person's confirmation of deploy_application now, and it was begun without one"
        assert await server.hindered(left) == why
        assert any(row["event"] == "refused" and why in row["note"] for row in stage.audit())
        stage.sandbox.clear_requests()
        told, _ = await server.call("cancel_operation", operation_id=left)
        assert (await server.ended(left)).state is State.CANCELLED
        assert f"It was not put in order, since {why}" in told
    changing = [one.path for one in stage.sandbox.requests if one.method != "GET" and one.path != WHO]
    assert changing == [], "what may not be carried on may not be undone either"


async def test_where_the_audit_cannot_record_it_nothing_is_carried_on(stage: Stage) -> None:
    left = await stage.leave_one()
    (file,) = (stage.folder / "state").glob("audit*.jsonl")
    kept = file.rename(file.with_suffix(".kept"))
    file.mkdir()
    stage.sandbox.clear_requests()
    async with stage.server() as server:
        await server.until(left, lambda _: stage.reviews() > 0)
        await server.operations._looked()
        assert not (await server.operations.get(left, None)).ended
    assert [one.path for one in stage.sandbox.requests if one.method != "GET" and one.path != WHO] == []
    file.rmdir()
    kept.rename(file)
    async with stage.server() as server:
        assert (await server.ended(left)).state is State.SUCCEEDED


async def test_a_process_asks_who_it_is_once_for_a_credential_and_again_for_another(stage: Stage) -> None:
    async with stage.server() as server:
        for _ in range(2):
            await server.call("deploy_application", app_name="web", image="example/app:1", wait_s=30)
        assert stage.reviews() == 1
        stage.sandbox.rotate_token("second")
    async with stage.server(token="second") as server:
        await server.call("deploy_application", app_name="web", image="example/app:2", wait_s=30)
    assert stage.reviews() == 2
