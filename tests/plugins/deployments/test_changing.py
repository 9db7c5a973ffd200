"""Rolling back, scaling and restarting through klepaas in the sandbox."""

from typing import Any

import anyio
import pytest

from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio


async def test_a_rollback_restores_the_template_and_names_what_others_added(bench: Any) -> None:
    await bench.deploy(env_vars={"KEPT": "1", "GONE": "old"}, resources={"memory": "64Mi"})
    before = bench.sandbox.get("Deployment", "web")["spec"]["template"]
    await bench.deploy(
        image="example/app:2", env_vars={"KEPT": "2", "ADDED": "x"}, resources={"memory": "128Mi", "cpu": "100m"}
    )
    _set_by_kubectl(bench, {"name": "BY_HAND", "value": "1"})
    said = await bench.call("rollback_deployment", app_name="web", revision=1)
    assert not said.is_error, said.text
    assert "web in default is back at revision 1 (example/app:1)" in said.text
    assert "Not restored by this: ConfigMaps, Secrets" in said.text
    assert "env[BY_HAND].value stays as it is, set by kubectl-set" in said.text
    assert bench.env() == {"KEPT": "1", "GONE": "old", "BY_HAND": "1"}
    after = bench.sandbox.get("Deployment", "web")["spec"]["template"]
    assert after["metadata"] == before["metadata"]
    assert bench.container()["resources"] == {"requests": {"memory": "64Mi"}}
    cause = bench.sandbox.get("Deployment", "web")["metadata"]["annotations"]["kubernetes.io/change-cause"]
    assert cause.startswith("rollback to revision 1: deploy example/app:1")


async def test_a_rollback_goes_to_what_was_verified(bench: Any) -> None:
    await bench.deploy(replicas=2)
    for image in ("example/missing:2", "example/missing:3"):
        await bench.deploy(image=image, auto_rollback=False)
    said = await bench.call("rollback_deployment", app_name="web")
    assert not said.is_error, said.text
    found = await bench.result(said)
    assert (found["restored_release"], found["state"]) == (1, "healthy")


async def test_what_never_worked_is_no_way_back(bench: Any) -> None:
    await bench.deploy(replicas=2)
    for image in ("example/missing:2", "example/missing:3"):
        failed = await bench.deploy(image=image)
        found = await bench.result(failed)
        assert found["release"] == 1, "a failure that was undone leaves no new release behind"
    said = await bench.call("rollback_deployment", app_name="web")
    assert said.code == "conflict"
    assert "no earlier verified release" in said.text
    assert bench.container()["image"] == "example/app:1"


async def test_a_deployment_after_a_rollback_keeps_what_was_restored(bench: Any) -> None:
    await bench.deploy(env_vars={"A": "1"})
    await bench.deploy(image="example/app:2", env_vars={"A": "2"})
    await bench.call("rollback_deployment", app_name="web")
    said = await bench.deploy(image="example/app:3")
    assert not said.is_error, said.text
    assert bench.env() == {"A": "1"}
    assert bench.container()["image"] == "example/app:3"


async def test_there_is_nothing_to_roll_back_to_after_a_first_deployment(bench: Any) -> None:
    await bench.deploy()
    said = await bench.call("rollback_deployment", app_name="web")
    assert said.code == "conflict"
    assert "There is no earlier verified release" in said.text


async def test_an_unknown_revision_lists_those_there_are(bench: Any) -> None:
    await bench.deploy()
    await bench.deploy(image="example/app:2")
    said = await bench.call("rollback_deployment", app_name="web", revision=9)
    assert said.code == "bad_request"
    assert "There are: 2 (example/app:2), 1 (example/app:1)" in said.text


async def test_a_dry_run_of_a_rollback_shows_what_would_change(bench: Any) -> None:
    await bench.deploy(env_vars={"A": "1"})
    await bench.deploy(image="example/app:2", env_vars={"B": "2"})
    bench.sandbox.clear_requests()
    said = await bench.call("rollback_deployment", app_name="web", dry_run=True)
    assert "image: example/app:2 -> example/app:1" in said.text
    assert "env[B].value: 2 (removed)" in said.text
    writes = [item for item in bench.sandbox.requests if item.method != "GET"]
    assert {item.query.get("dryRun") for item in writes} == {"All"}
    assert bench.container()["image"] == "example/app:2"


async def test_a_rollback_goes_through_although_the_status_changes_meanwhile(bench: Any) -> None:
    await bench.deploy()
    await bench.deploy(image="example/app:2")
    moved = "Operation cannot be fulfilled: the object has been modified"
    path = r"/deployments/web\?fieldManager=klepaas&fieldValidation=Strict$"
    bench.sandbox.fail("PATCH", path, 409, reason="Conflict", message=moved, times=2)
    said = await bench.call("rollback_deployment", app_name="web")
    assert not said.is_error, said.text


async def test_scaling_up_and_down_says_from_and_to(bench: Any) -> None:
    await bench.deploy()
    up = await bench.call("scale_application", app_name="web", replicas=3)
    assert "is scaled (1 -> 3 pods): 3 of 3 pods ready" in up.text
    assert (await bench.result(up))["previous_replicas"] == 1
    down = await bench.call("scale_application", app_name="web", replicas=2)
    assert "is scaled (3 -> 2 pods): 2 of 2 pods ready" in down.text
    again = await bench.call("scale_application", app_name="web", replicas=2)
    assert "already wants 2 pods" in again.text


async def test_scaling_to_zero_warns_that_nothing_answers(bench: Any) -> None:
    await bench.deploy()
    said = await bench.call("scale_application", app_name="web", replicas=0)
    assert not said.is_error
    assert "nothing answers" in said.text
    with anyio.fail_after(scale_timeout(5)):
        while bench.sandbox.list("Pod"):  # the last ones may still be ending
            await bench.sandbox.changed()


async def test_scaling_beyond_the_quota_fails_with_the_way_back(bench: Any) -> None:
    hard = {"hard": {"pods": "2"}}
    bench.sandbox.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": hard})
    await bench.deploy()
    said = await bench.call("scale_application", app_name="web", replicas=5)
    assert said.is_error
    assert "quota exceeded" in said.text
    assert "is rolled back to release 1" in said.text
    assert bench.sandbox.get("Deployment", "web")["spec"]["replicas"] == 1


async def test_an_autoscaler_is_not_overruled(bench: Any) -> None:
    await bench.deploy()
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 4}
    metadata = {"name": "web-hpa"}
    bench.sandbox.create(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    )
    said = await bench.call("scale_application", app_name="web", replicas=3)
    assert said.code == "conflict"
    assert "The autoscaler web-hpa decides" in said.text
    assert not (await bench.call("scale_application", app_name="web", replicas=0)).is_error


async def test_a_dry_run_of_scaling_stores_nothing(bench: Any) -> None:
    await bench.deploy()
    said = await bench.call("scale_application", app_name="web", replicas=3, dry_run=True)
    assert "spec.replicas: 1 -> 3" in said.text
    assert bench.sandbox.get("Deployment", "web")["spec"]["replicas"] == 1


async def test_a_restart_replaces_every_pod(bench: Any) -> None:
    await bench.deploy(replicas=2)
    before = {item["metadata"]["uid"] for item in bench.sandbox.list("Pod")}
    said = await bench.call("restart_application", app_name="web")
    assert "web in default is restarted: 2 of 2 pods ready" in said.text
    after = {
        item["metadata"]["uid"] for item in bench.sandbox.list("Pod") if "deletionTimestamp" not in item["metadata"]
    }
    assert len(after) == 2
    assert not before & after


async def test_a_stateful_set_is_scaled_and_restarted(bench: Any) -> None:
    _plant_stateful_set(bench)
    said = await bench.call("scale_application", app_name="db", replicas=2, take_ownership=True)
    assert not said.is_error, said.text
    assert "2 of 2 pods ready" in said.text
    said = await bench.call("restart_application", app_name="db")
    assert not said.is_error, said.text
    assert "db in default is restarted: 2 of 2 pods ready" in said.text
    assert (await bench.call("rollback_deployment", app_name="db", revision=1)).code == "bad_request"


async def test_what_does_not_exist_is_said_with_what_there_is(bench: Any) -> None:
    await bench.deploy(name="shop")
    for tool, more in (
        ("restart_application", {}),
        ("scale_application", {"replicas": 2}),
        ("rollback_deployment", {}),
    ):
        said = await bench.call(tool, app_name="shoop", **more)
        assert said.code == "not_found"
        assert "There are: shop" in said.text


def _set_by_kubectl(bench: Any, variable: dict[str, str]) -> None:
    """Another manager adds a variable to the live template; the object is stored as it would be then."""
    live = bench.sandbox.get("Deployment", "web")
    container = bench.container()
    changed = {**container, "env": [*container["env"], variable]}
    template = {**live["spec"]["template"], "spec": {**live["spec"]["template"]["spec"], "containers": [changed]}}
    fields: dict[str, Any] = {
        "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:env": {}}}}}}
    }
    entry = {"manager": "kubectl-set", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": fields}
    metadata = {**live["metadata"], "managedFields": [*live["metadata"]["managedFields"], entry]}
    bench.sandbox.plant({**live, "metadata": metadata, "spec": {**live["spec"], "template": template}})


def _plant_stateful_set(bench: Any) -> None:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}}
    spec = {"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template}
    bench.sandbox.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec})
