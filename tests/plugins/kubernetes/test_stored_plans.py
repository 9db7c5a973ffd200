"""Plans of the cluster's tools that a person confirms at a terminal: 400 changes beneath them, real ones and others."""

import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client

from klepaas.app import App, create_app
from klepaas.catalogue import PlanResult
from klepaas.plans.plan_store import PlanStore
from klepaas.plans.rendering import Preview, preview_of
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
ROUNDS = 200
MERGE = "application/merge-patch+json"
PATH = "/apis/apps/v1/namespaces/default/deployments/web"
POLICY = '[{"effect": "*", "decision": "confirm"}]'


def manifest(image: str, **spec: Any) -> Json:
    container = {"name": "main", "image": image, "env": [{"name": "A", "value": "1"}]}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


@dataclass
class Bench:
    """klepaas, a client that cannot ask, and everybody else's way to the cluster."""

    app: App
    client: Client[Any]
    http: httpx.AsyncClient

    async def call(self, tool: str, **arguments: Any) -> Any:
        return await self.client.call_tool(tool, arguments, raise_on_error=False)

    async def apply(self, image: str, **more: Any) -> Any:
        return await self.call("k8s_apply", manifests=json.dumps(manifest(image)), **more)

    async def confirm(self, plan_id: str) -> None:
        """What `klepaas confirm` does once the person has typed the name."""
        plans = PlanStore.of(self.app.host)
        plan = await plans.get(plan_id)
        assert plan is not None
        assert await plans.confirm(plan, "alice") is not None

    async def patch(self, body: Json, manager: str = "some-controller", subresource: str = "") -> None:
        answer = await self.http.patch(
            f"{PATH}{subresource}",
            params={"fieldManager": manager},
            content=json.dumps(body),
            headers={"content-type": MERGE},
        )
        assert answer.status_code == 200, answer.text


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async with (
        Sandbox(Timing.instant()) as sandbox,
        httpx.AsyncClient(base_url=sandbox.url, timeout=scale_timeout(15), trust_env=False) as http,
    ):
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        settings = Settings(
            mode=Mode.WRITES, external_plugins=False, state_dir=tmp_path / "state", policy=json.loads(POLICY)
        )
        app = create_app(settings)
        async with Client(app.server) as client:
            bench = Bench(app, client, http)
            await bench.confirm((await bench.apply("example/app:1")).meta["plan_id"])
            assert not (await bench.apply("example/app:1")).is_error
            yield bench


async def test_an_apply_that_was_confirmed_at_a_terminal_is_made_although_status_and_scale_have_moved(
    bench: Bench,
) -> None:
    refused = await bench.apply("example/app:2")
    assert refused.is_error
    await bench.confirm(refused.meta["plan_id"])
    await bench.patch({"status": {"observedGeneration": 9, "replicas": 3}}, "kube-controller-manager", "/status")
    await bench.patch({"spec": {"replicas": 3}}, "kube-controller-manager", "/scale")
    made = await bench.apply("example/app:2")
    assert not made.is_error, made.content[0].text
    live = (await bench.http.get(PATH)).json()
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "example/app:2"
    assert live["spec"]["replicas"] == 3
    assert (await bench.apply("example/app:3")).is_error, "a plan is used once, and for its arguments"


async def test_a_deletion_that_was_confirmed_at_a_terminal_does_not_delete_what_was_made_anew(bench: Bench) -> None:
    what = {"kind": "deployments", "name": "web"}
    refused = await bench.call("k8s_delete", **what)
    await bench.confirm(refused.meta["plan_id"])
    assert (await bench.http.delete(PATH)).status_code == 200
    made = await bench.http.post(PATH.rpartition("/")[0], json=manifest("example/app:1"))
    assert made.status_code == 201, made.text
    stale = await bench.call("k8s_delete", **what)
    assert stale.is_error
    assert "does not count any more" in stale.content[0].text
    assert (await bench.http.get(PATH)).status_code == 200


async def test_a_plan_is_refused_once_the_variables_beneath_it_have_another_order(bench: Bench) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]
    body = manifest("example/app:1")
    body["spec"]["template"]["spec"]["containers"][0]["env"] = env
    text = json.dumps(body)
    await bench.confirm((await bench.call("k8s_apply", manifests=text)).meta["plan_id"])
    assert not (await bench.call("k8s_apply", manifests=text)).is_error
    refused = await bench.apply("example/app:2")
    await bench.confirm(refused.meta["plan_id"])
    live = (await bench.http.get(PATH)).json()
    live["spec"]["template"]["spec"]["containers"][0]["env"].reverse()
    assert (await bench.http.put(PATH, params={"fieldManager": "kubectl-edit"}, json=live)).status_code == 200
    stale = await bench.apply("example/app:2")
    assert stale.is_error
    assert "does not count any more" in stale.content[0].text


def _harmless(chance: random.Random) -> tuple[Json, str, str]:
    """A change that moves by itself: status, the number of replicas, what a controller notes there."""
    number = chance.randint(1, 10**6)
    changes: list[tuple[Json, str, str]] = [
        ({"status": {"observedGeneration": number, "readyReplicas": number % 9}}, "kubelet", "/status"),
        ({"spec": {"replicas": number % 9 + 1}}, "kube-controller-manager", "/scale"),
        (
            {"status": {"conditions": [{"type": "Progressing", "status": "True", "reason": f"r{number}"}]}},
            "kube-controller-manager",
            "/status",
        ),
    ]
    return chance.choice(changes)


def _real(chance: random.Random) -> tuple[Json, str, str]:
    """A change of what the plan names, by somebody else."""
    number = chance.randint(2, 10**6)
    container: Json = chance.choice(
        [
            {"name": "main", "image": f"example/app:{number}", "env": [{"name": "A", "value": "1"}]},
            {"name": "main", "image": "example/app:1", "env": [{"name": "A", "value": f"{number}"}]},
            {"name": "main", "image": "example/app:1", "env": []},
        ]
    )
    return {"spec": {"template": {"spec": {"containers": [container]}}}}, "kubectl-edit", ""


async def _plan(bench: Bench) -> Preview:
    entry = bench.app.catalogue.get("k8s_apply")
    assert entry is not None
    assert entry.plan is not None
    result = await entry.plan.run({"manifests": json.dumps(manifest("example/app:2"))})
    assert isinstance(result, PlanResult)
    return preview_of(result.changes)


async def _tried(bench: Bench, change: Callable[[random.Random], tuple[Json, str, str]]) -> list[bool]:
    """Whether the first plan still holds after each of many changes."""
    chance, plans = random.Random(7), PlanStore.of(bench.app.host)
    refused = await bench.apply("example/app:2")
    plan = await plans.get(refused.meta["plan_id"])
    assert plan is not None
    holds = []
    for _ in range(ROUNDS):
        await bench.patch(*change(chance))
        holds.append(await plans.compare(plan, await _plan(bench)) is None)
    return holds


async def test_none_of_200_harmless_changes_beneath_a_plan_is_refused(bench: Bench) -> None:
    assert await _tried(bench, _harmless) == [True] * ROUNDS


async def test_each_of_200_real_changes_beneath_a_plan_is_refused(bench: Bench) -> None:
    assert await _tried(bench, _real) == [False] * ROUNDS
