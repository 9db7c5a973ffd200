"""Changes that are stopped on the way or undone: what is said of it, and what stays on record."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from klepaas.errors import BadRequest, KlepaasError, Unavailable
from klepaas.operations import Operations
from klepaas.operations.failpoints import Failpoint, armed
from klepaas_plugins.deployments.kinds import place_again, target_text
from klepaas_plugins.deployments.place import locate
from klepaas_plugins.kubernetes.client import Clusters

pytestmark = pytest.mark.anyio

DEPLOYMENT, SERVICE = "apply Deployment web", "apply Service web"


def _cancels(bench: Any) -> Callable[[], Awaitable[None]]:
    """Cancels the operation that is under way."""

    async def cancel() -> None:
        operations = Operations.of(bench.host)
        newest = max(await operations.find(None, limit=20), key=lambda one: one.created_at)
        await operations.cancel(newest.id, None)

    return cancel


def _releases(bench: Any) -> int:
    return sum(one["metadata"]["name"].startswith("klepaas.release") for one in bench.sandbox.list("ConfigMap"))


@pytest.mark.parametrize("is_first", [True, False], ids=["the first one", "a later one"])
async def test_what_is_cancelled_before_its_first_effect_records_no_release(bench: Any, is_first: bool) -> None:
    if not is_first:
        await bench.deploy()
    before = _releases(bench)
    with armed(Failpoint("before_intent", _cancels(bench), DEPLOYMENT)):
        said = await bench.deploy(image="example/app:2")
    assert "Nothing was changed." in said.text
    assert (await bench.result(said))["state"] == "cancelled"
    assert _releases(bench) == before
    there = await bench.call("get_operation", operation_id=said.operation)
    assert "Nothing was changed." in there.text


async def test_what_is_cancelled_half_way_says_what_was_changed_and_what_was_not(bench: Any) -> None:
    await bench.deploy(port=8080)
    with armed(Failpoint("before_intent", _cancels(bench), SERVICE)):
        said = await bench.deploy(image="example/app:2", port=8081)
    assert "was cancelled and is rolled back to release 1" in said.text
    assert f"Done before it was stopped: {DEPLOYMENT}" in said.text
    assert f"Not done: {SERVICE}" in said.text
    assert bench.container()["image"] == "example/app:1"
    there = await bench.call("get_operation", operation_id=said.operation)
    assert f"Not done: {SERVICE}" in there.text
    status = await bench.call("get_deployment_status", app_name="web")
    assert "rolled back automatically to release 1, because release 2 was cancelled" in status.text


@pytest.mark.parametrize("status", [403, 409, 422])
async def test_what_is_refused_half_way_is_undone_and_says_how_far_it_came(bench: Any, status: int) -> None:
    await bench.deploy(port=8080)
    path = r"services/web\?fieldManager=klepaas&fieldValidation=Strict(&force=true)?$"
    bench.sandbox.fail("PATCH", path, status, message="not today", times=1)
    said = await bench.deploy(image="example/app:2", port=8081)
    assert "only a part of it could be applied" in said.text
    assert "rolled back to release 1" in said.text
    assert f"Done before it was stopped: {DEPLOYMENT}" in said.text
    assert f"Not done: {SERVICE}" in said.text
    assert bench.container()["image"] == "example/app:1"
    assert bench.sandbox.get("Service", "web")["spec"]["ports"][0]["port"] == 8080


async def test_after_going_back_by_itself_the_status_says_so_and_why(bench: Any) -> None:
    await bench.deploy()
    await bench.deploy(image="example/crash:2")
    said = await bench.call("get_deployment_status", app_name="web")
    line = next(line for line in said.text.split("\n") if line.startswith("Last change: "))
    assert "rolled back automatically to release 1, because release 2 failed: " in line
    assert "exit code 1" in line
    await bench.deploy(image="example/app:3")
    said = await bench.call("get_deployment_status", app_name="web")
    assert "rolled back automatically" not in said.text


async def test_the_list_of_releases_says_each_thing_once(bench: Any) -> None:
    await bench.deploy(port=8080)
    await bench.call("scale_application", app_name="web", replicas=2)
    await bench.call("restart_application", app_name="web")
    said = await bench.call("list_releases", app_name="web")
    rows = [line for line in said.text.split("\n") if "example/app:1" in line]
    assert [row.count("example/app:1") for row in rows] == [1, 1, 1], said.text
    assert rows[2].endswith("deploy (port 8080)")
    assert rows[1].endswith("scale to 2 (as release 1)")
    assert "restart" in rows[0]
    assert "restart: restart" not in rows[0]


async def _failing_beside_an_autoscaler(bench: Any, meanwhile: dict[str, Any]) -> Any:
    await bench.deploy(replicas=2)
    aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": aim, "minReplicas": 2, "maxReplicas": 5}
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}}
    bench.sandbox.create({**scaler, "spec": spec})

    async def change() -> None:
        live = bench.sandbox.get("Deployment", "web")
        await _patch(bench, {"spec": {**meanwhile, "replicas": live["spec"]["replicas"] + 1}})

    with armed(Failpoint("before_intent", change, "mark the release failed")):
        return await bench.deploy(image="example/crash:2")


async def _patch(bench: Any, patch: dict[str, Any]) -> None:
    from klepaas_plugins.kubernetes.client import Clusters

    cluster = await Clusters.of(bench.host).cluster()
    await cluster.merge_patch(await cluster.resource("deployments.apps"), "web", "default", patch)


async def test_an_autoscaler_that_sets_its_count_is_nobody_elses_change(bench: Any) -> None:
    said = await _failing_beside_an_autoscaler(bench, {})
    assert "is rolled back to release 2" in said.text, said.text
    assert bench.container()["image"] == "example/app:1"
    assert bench.sandbox.get("Deployment", "web")["spec"]["replicas"] == 3


async def test_beside_an_autoscaler_somebody_elses_change_is_not_run_over(bench: Any) -> None:
    said = await _failing_beside_an_autoscaler(bench, {"revisionHistoryLimit": 7})
    assert "ITS ROLLBACK to release 2 FAILED TOO" in said.text, said.text
    assert "Deployment web was changed by somebody else meanwhile" in said.text
    assert bench.sandbox.get("Deployment", "web")["spec"]["revisionHistoryLimit"] == 7


async def test_a_cluster_that_cannot_be_looked_up_for_a_moment_is_not_one_that_is_gone(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters = Clusters.of(bench.host)
    target = await target_text(clusters, await locate(clusters, "web", None, None))
    trouble: KlepaasError = Unavailable("the kubeconfig is being written")

    async def fail(_context: str | None) -> Any:
        raise trouble

    monkeypatch.setattr(clusters, "identities", fail)
    with pytest.raises(Unavailable):
        await place_again(clusters, target, None)
    trouble = BadRequest("the context is broken")
    assert await place_again(clusters, target, None) is None
