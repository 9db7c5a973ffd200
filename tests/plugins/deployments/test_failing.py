"""Deployments that fail: the answer names the cause with its evidence, and what was there before is there again."""

from typing import Any

import anyio
import pytest

from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio

FAILED = "klepaas/rollout-failed"


async def test_a_crash_names_container_exit_code_and_last_log_lines(bench: Any) -> None:
    await bench.deploy(replicas=2)
    said = await bench.deploy(image="example/crash:2")
    assert said.is_error
    assert said.code == "conflict"
    first, rest = said.text.split("\n", 1)
    back = "Deployment of web in default failed and is rolled back to release 1 (example/app:1), verified after "
    assert first.startswith(back)
    assert "container web of pod web-" in first
    assert "CrashLoopBackOff (exit code 1" in first or "Error (exit code 1" in first
    assert "could not connect to postgres at db:5432" in rest
    assert "Changed: Deployment web: image: example/app:1 -> example/crash:2" in rest
    assert "restored Deployment web" in rest
    ended = await bench.result(said)
    found = {name: ended[name] for name in ("state", "container", "exit_code", "release")}
    assert found == {"state": "rolled back", "container": "web", "exit_code": 1, "release": 1}
    assert bench.container()["image"] == "example/app:1"
    assert len(said.text) < 1500


async def test_a_failure_is_left_in_place_where_that_is_asked_for(bench: Any) -> None:
    await bench.deploy(replicas=2)
    said = await bench.deploy(image="example/crash:2", auto_rollback=False)
    assert said.is_error
    assert said.text.startswith("Deployment of web in default failed: container web of pod web-")
    assert "Now: the old revision 1 (example/app:1) serves with 2 pods" in said.text
    assert 'rollback_deployment(app_name="web", namespace="default", release=1)' in said.text
    assert bench.container()["image"] == "example/crash:2"


async def test_a_missing_image_is_named_without_waiting_for_a_deadline(bench: Any) -> None:
    with anyio.fail_after(scale_timeout(5)):
        said = await bench.deploy(image="registry.example/team/missing:9")
    assert (await bench.result(said))["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert "registry.example/team/missing:9: not found" in said.text
    assert "Check the image's name and tag" in said.text
    assert "It stays as it is. There is no earlier verified release to go back to." in said.text
    assert "Now: no pod serves" in said.text


async def test_a_pod_that_never_gets_ready_fails_with_what_its_probe_met(bench: Any) -> None:
    said = await bench.deploy(image="example/unready:1", port=8080, health_path="/healthz")
    first = said.text.split("\n", 1)[0]
    assert "never became ready: Readiness probe failed: HTTP probe failed with statuscode: 503" in first
    assert "timed out" not in said.text


async def test_before_the_deadline_an_unready_pod_is_no_failure(bench: Any) -> None:
    said = await bench.deploy(image="example/unready:1", port=8080, wait_s=0)
    assert not said.is_error
    assert "is under way: " in said.text


async def test_out_of_memory_is_named_with_what_to_raise(bench: Any) -> None:
    said = await bench.deploy(image="example/oom:1")
    assert "OOMKilled (exit code 137" in said.text
    assert "Raise resources.memory_limit" in said.text
    assert "loading the whole table into memory" in said.text


async def test_a_pod_that_fits_no_node_fails_after_the_grace(bench: Any) -> None:
    said = await bench.deploy(resources={"cpu": "500"})
    assert "Unschedulable: 0/2 nodes are available: 2 Insufficient cpu" in said.text
    assert said.text.count("Insufficient cpu") == 1, "the event says the same and is left out"


async def test_a_missing_configmap_key_is_named(bench: Any) -> None:
    bench.sandbox.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
    )
    await bench.deploy()
    _refer_to_key(bench, "nope")
    with anyio.fail_after(scale_timeout(10)):
        while "Cause: " not in (said := await bench.call("get_deployment_status", app_name="web")).text:
            await bench.sandbox.changed()
    assert "CreateContainerConfigError" in said.text
    assert "nope" in said.text


async def test_a_quota_that_allows_no_more_pods_is_named_with_its_numbers(bench: Any) -> None:
    hard = {"hard": {"pods": "2"}}
    bench.sandbox.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": hard})
    said = await bench.deploy(replicas=4)
    assert said.is_error
    assert "quota exceeded" in said.text
    assert "exceeded quota: q" in said.text
    assert "Free or raise the namespace's quota" in said.text
    assert bench.sandbox.list("ReplicaSet")[0]["metadata"].get("annotations", {}).get(FAILED) is None


async def test_a_failed_revision_is_remembered_and_not_gone_back_to(bench: Any) -> None:
    await bench.deploy(image="example/app:1")
    await bench.deploy(image="example/crash:2", auto_rollback=False)
    await bench.deploy(image="example/app:3")
    said = await bench.call("rollback_deployment", app_name="web")
    assert not said.is_error, said.text
    assert (await bench.result(said))["restored_release"] == 1
    status = await bench.call("get_deployment_status", app_name="web")
    assert "example/crash:2" in status.text
    assert "failed: " in status.text


async def test_a_revision_that_works_after_all_is_no_longer_remembered_as_failed(bench: Any) -> None:
    await bench.deploy(image="example/crash:1")
    replicaset = bench.sandbox.list("ReplicaSet")[0]
    assert replicaset["metadata"]["annotations"][FAILED]
    ours = [one for one in replicaset["metadata"]["managedFields"] if one["manager"] == "klepaas"]
    assert [one["operation"] for one in ours] == ["Apply"], "it was written as every value is"
    await bench.call("scale_application", app_name="web", replicas=0)
    assert FAILED not in bench.sandbox.list("ReplicaSet")[0]["metadata"]["annotations"]


async def test_the_status_of_a_failed_deployment_needs_no_second_question(bench: Any) -> None:
    await bench.deploy(replicas=2, port=8080)
    await bench.deploy(image="example/crash:2", auto_rollback=False)
    said = await bench.call("get_deployment_status", app_name="web")
    found = (await bench.call("get_deployment_status", app_name="web", output="json")).json()
    assert (found["state"], found["previous_revision"]) == ("failed", 1)
    for expected in (
        "web in default has failed",
        "(0 of the newest revision)",
        "exit code 1",
        "could not connect to postgres",
        "POD\tREADY\tSTATUS",
        "Now: the old revision 1 (example/app:1) serves with 2 pods",
        'rollback_deployment(app_name="web", namespace="default", revision=1)',
        "Endpoint: web.default.svc:8080 (ClusterIP)",
        "Last change: ",
        "  1: example/app:1",
    ):
        assert expected in said.text
    assert len(said.text) < 1600


def _refer_to_key(bench: Any, key: str) -> None:
    """A second deployment with a variable from a key of a ConfigMap, which klepaas does not write itself."""
    live = bench.sandbox.get("Deployment", "web")
    container = {
        **bench.container(),
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": key}}}],
    }
    bench.sandbox.delete("Deployment", "web")
    template = {**live["spec"]["template"], "spec": {"containers": [container]}}
    spec = {"selector": live["spec"]["selector"], "template": template}
    metadata = {"name": "web", "labels": live["metadata"]["labels"]}
    bench.sandbox.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
