"""What Deployments, their pods and other controllers do in the sandbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Until = Callable[[Callable[[], Any]], Awaitable[None]]
Make = Callable[..., dict[str, Any]]
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
MERGE = {"content-type": "application/merge-patch+json"}
APPLY = {"content-type": "application/apply-patch+yaml"}


def progressing(sandbox: Sandbox, name: str) -> str:
    found = sandbox.get("Deployment", name)
    conditions = found["status"].get("conditions", []) if found else []
    return next((str(one["reason"]) for one in conditions if one["type"] == "Progressing"), "")


def done(sandbox: Sandbox, name: str) -> bool:
    found = sandbox.get("Deployment", name)
    observed = found is not None and found["status"].get("observedGeneration") == found["metadata"]["generation"]
    settled = found is not None and found["status"].get("replicas") == found["status"].get("updatedReplicas")
    return observed and settled and progressing(sandbox, name) == "NewReplicaSetAvailable"


def waiting(sandbox: Sandbox) -> list[str]:
    return [
        one["state"].get("waiting", {}).get("reason", "")
        for pod in sandbox.list("pods", "default")
        for one in pod["status"].get("containerStatuses", [])
    ]


def reasons(sandbox: Sandbox) -> set[str]:
    return {event["reason"] for event in sandbox.list("events", "default")}


async def test_a_deployment_becomes_available(sandbox: Sandbox, deployment: Make, until: Until) -> None:
    sandbox.create(deployment("web", "nginx:1.27"))
    await until(lambda: done(sandbox, "web"))
    found = sandbox.get("Deployment", "web")
    assert found is not None
    assert found["status"]["availableReplicas"] == 2
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulled", "Created", "Started"} <= reasons(sandbox)


async def test_a_deleted_pod_is_replaced(sandbox: Sandbox, deployment: Make, until: Until) -> None:
    sandbox.create(deployment("web", "nginx:1.27"))
    await until(lambda: done(sandbox, "web"))
    gone = sandbox.list("pods", "default")[0]["metadata"]["name"]
    sandbox.delete("Pod", gone)
    await until(lambda: sandbox.get("Pod", gone) is None and len(sandbox.list("pods", "default")) == 2)


@pytest.mark.parametrize(
    ("image", "reason", "event"),
    [
        ("example/app:crash", "CrashLoopBackOff", "BackOff"),
        ("example/app:oom", "CrashLoopBackOff", "BackOff"),
        ("example/missing:1", "ImagePullBackOff", "Failed"),
    ],
)
async def test_a_failing_image_fails_the_way_its_name_says(
    sandbox: Sandbox, deployment: Make, until: Until, image: str, reason: str, event: str
) -> None:
    sandbox.create(deployment("bad", image, 1, progressDeadlineSeconds=5))
    await until(lambda: waiting(sandbox) == [reason])
    await until(lambda: progressing(sandbox, "bad") == "ProgressDeadlineExceeded")
    assert event in reasons(sandbox)


async def test_a_crashing_container_is_restarted_and_says_why_it_died(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until
) -> None:
    sandbox.create(deployment("bad", "example/app:crash", 1))

    def restarted() -> bool:
        pods = sandbox.list("pods", "default")
        return bool(pods) and any(one["restartCount"] >= 2 for one in pods[0]["status"].get("containerStatuses", []))

    await until(restarted)
    pod = sandbox.list("pods", "default")[0]
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    log = await api.get(f"{PODS}/{pod['metadata']['name']}/log", params={"previous": "true", "tailLines": "1"})
    assert "FATAL" in log.text
    assert len(log.text.splitlines()) == 1


async def test_an_unready_pod_runs_and_is_never_available(sandbox: Sandbox, deployment: Make, until: Until) -> None:
    sandbox.create(deployment("slow", "example/app:unready", 1, progressDeadlineSeconds=5))
    await until(lambda: progressing(sandbox, "slow") == "ProgressDeadlineExceeded" and "Unhealthy" in reasons(sandbox))
    pod = sandbox.list("pods", "default")[0]
    assert pod["status"]["phase"] == "Running"
    found = sandbox.get("Deployment", "slow")
    assert found is not None
    assert "availableReplicas" not in found["status"]


async def test_a_slow_image_is_ready_in_the_end(sandbox: Sandbox, deployment: Make, until: Until) -> None:
    sandbox.create(deployment("late", "example/slow:1", 1))
    await until(lambda: done(sandbox, "late"))


async def test_a_rolling_update_keeps_within_its_bounds(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until
) -> None:
    bounds = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
    sandbox.create(deployment("web", "nginx:1.26", 4, strategy=bounds))
    await until(lambda: done(sandbox, "web"))
    changed = deployment("web", "nginx:1.27", 4, strategy=bounds)
    seen: list[tuple[int, int]] = []

    def rolled() -> bool:
        pods = [pod for pod in sandbox.list("pods", "default") if not pod["metadata"].get("deletionTimestamp")]
        ready = [
            pod
            for pod in pods
            if any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))
        ]
        seen.append((len(pods), len(ready)))
        return done(sandbox, "web")

    response = await api.put(f"{DEPLOYMENTS}/web", json=changed)
    assert response.status_code == 200
    await until(rolled)
    assert max(pods for pods, _ in seen) <= 5
    assert min(ready for _, ready in seen) >= 3

    def images() -> set[str]:
        return {pod["spec"]["containers"][0]["image"] for pod in sandbox.list("pods", "default")}

    await until(lambda: images() == {"nginx:1.27"})


async def test_a_failing_update_leaves_the_old_pods_serving(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until
) -> None:
    sandbox.create(deployment("web", "nginx:1.26", 2, progressDeadlineSeconds=10))
    await until(lambda: done(sandbox, "web"))
    await api.put(f"{DEPLOYMENTS}/web", json=deployment("web", "example/missing:2", 2, progressDeadlineSeconds=10))
    await until(lambda: progressing(sandbox, "web") == "ProgressDeadlineExceeded")
    found = sandbox.get("Deployment", "web")
    assert found is not None
    assert found["status"]["availableReplicas"] == 2


async def test_recreate_ends_the_old_pods_before_it_makes_new_ones(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until
) -> None:
    sandbox.create(deployment("web", "nginx:1.26", strategy={"type": "Recreate"}))
    await until(lambda: done(sandbox, "web"))
    mixed: list[set[str]] = []

    def rolled() -> bool:
        mixed.append({pod["spec"]["containers"][0]["image"] for pod in sandbox.list("pods", "default")})
        return done(sandbox, "web")

    await api.put(f"{DEPLOYMENTS}/web", json=deployment("web", "nginx:1.27", strategy={"type": "Recreate"}))
    await until(rolled)
    assert {"nginx:1.26", "nginx:1.27"} not in mixed


async def test_an_old_template_brings_its_replica_set_back_at_a_new_revision(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until
) -> None:
    sandbox.create(deployment("web", "nginx:1.26"))
    await until(lambda: done(sandbox, "web"))
    first = sandbox.list("replicasets", "default")[0]["metadata"]["name"]
    for image in ("nginx:1.27", "nginx:1.26"):
        await api.put(f"{DEPLOYMENTS}/web", json=deployment("web", image))
        await until(lambda: done(sandbox, "web"))
    back = sandbox.get("ReplicaSet", first)
    assert back is not None
    assert back["spec"]["replicas"] == 2
    assert back["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert len(sandbox.list("replicasets", "default")) == 2


async def test_history_beyond_its_limit_is_forgotten(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until
) -> None:
    sandbox.create(deployment("web", "nginx:1", 1, revisionHistoryLimit=1))
    await until(lambda: done(sandbox, "web"))
    for tag in (2, 3, 4):
        await api.put(f"{DEPLOYMENTS}/web", json=deployment("web", f"nginx:{tag}", 1, revisionHistoryLimit=1))
        await until(lambda: done(sandbox, "web"))
    await until(lambda: len(sandbox.list("replicasets", "default")) == 2)


async def test_a_paused_deployment_does_not_roll(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until
) -> None:
    sandbox.create(deployment("web", "nginx:1.26"))
    await until(lambda: done(sandbox, "web"))
    await api.put(f"{DEPLOYMENTS}/web", json=deployment("web", "nginx:1.27", paused=True))
    await until(lambda: progressing(sandbox, "web") == "DeploymentPaused")
    assert len(sandbox.list("replicasets", "default")) == 1
    await api.patch(f"{DEPLOYMENTS}/web", json={"spec": {"paused": None}}, headers=MERGE)
    await until(lambda: done(sandbox, "web") and len(sandbox.list("replicasets", "default")) == 2)


@pytest.mark.parametrize("replicas", [0, 1, 5])
async def test_scaling_makes_as_many_pods_as_asked_for(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until, replicas: int
) -> None:
    sandbox.create(deployment("web", "nginx:1.27"))
    await until(lambda: done(sandbox, "web"))
    response = await api.patch(f"{DEPLOYMENTS}/web/scale", json={"spec": {"replicas": replicas}}, headers=MERGE)
    assert response.status_code == 200
    await until(lambda: len(sandbox.list("pods", "default")) == replicas and done(sandbox, "web"))


async def test_a_missing_configuration_keeps_a_container_from_starting(
    sandbox: Sandbox, deployment: Make, until: Until
) -> None:
    wanted = deployment("web", "nginx:1.27", 1)
    reference = {"secretKeyRef": {"name": "db", "key": "password"}}
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "valueFrom": reference}]
    sandbox.create(wanted)
    await until(lambda: waiting(sandbox) == ["CreateContainerConfigError"])
    state = sandbox.list("pods", "default")[0]["status"]["containerStatuses"][0]["state"]
    assert state["waiting"]["message"] == 'secret "db" not found'
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "x"}}
    sandbox.create(secret)
    await until(lambda: done(sandbox, "web"))


async def test_a_pod_too_large_for_any_node_stays_pending(sandbox: Sandbox, deployment: Make, until: Until) -> None:
    wanted = deployment("big", "nginx:1.27", 1)
    wanted["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "500"}}
    sandbox.create(wanted)
    await until(lambda: "FailedScheduling" in reasons(sandbox))
    status = sandbox.list("pods", "default")[0]["status"]
    assert status["phase"] == "Pending"
    assert status["conditions"][0]["reason"] == "Unschedulable"


async def test_a_service_lists_the_pods_that_are_ready(sandbox: Sandbox, deployment: Make, until: Until) -> None:
    ports = [{"port": 80, "targetPort": 8080}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    sandbox.create({**service, "spec": {"selector": {"app": "web"}, "ports": ports}})
    sandbox.create(deployment("web", "nginx:1.27"))

    def ready() -> int:
        found = sandbox.get("Endpoints", "web") or {}
        return sum(len(subset.get("addresses", [])) for subset in found.get("subsets", []))

    await until(lambda: ready() == 2)
    slices = sandbox.list("endpointslices", "default")
    assert [one["conditions"]["ready"] for one in slices[0]["endpoints"]] == [True, True]


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_what_a_deployment_owned_goes_with_it(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until, propagation: str
) -> None:
    sandbox.create(deployment("web", "nginx:1.27"))
    await until(lambda: done(sandbox, "web"))
    await api.request("DELETE", f"{DEPLOYMENTS}/web", json={"propagationPolicy": propagation})
    await until(lambda: not sandbox.list("pods", "default") and sandbox.get("Deployment", "web") is None)
    assert not sandbox.list("replicasets", "default")


async def test_orphans_stay(sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until) -> None:
    sandbox.create(deployment("web", "nginx:1.27"))
    await until(lambda: done(sandbox, "web"))
    await api.delete(f"{DEPLOYMENTS}/web", params={"propagationPolicy": "Orphan"})
    assert sandbox.get("Deployment", "web") is None
    assert "ownerReferences" not in sandbox.list("replicasets", "default")[0]["metadata"]


async def test_a_namespace_takes_everything_in_it_along(
    sandbox: Sandbox, api: httpx.AsyncClient, deployment: Make, until: Until
) -> None:
    sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    made = deployment("web", "nginx:1.27")
    made["metadata"]["namespace"] = "team"
    sandbox.create(made)
    await until(lambda: len(sandbox.list("pods", "team")) == 2)
    assert (await api.delete("/api/v1/namespaces/team")).json()["status"]["phase"] == "Terminating"
    await until(lambda: sandbox.get("Namespace", "team") is None)
    assert not sandbox.list("pods", "team")


async def test_a_stateful_set_makes_its_pods_in_order(sandbox: Sandbox, deployment: Make, until: Until) -> None:
    made = deployment("db", "postgres:17")
    sandbox.create({**made, "kind": "StatefulSet", "spec": {**made["spec"], "serviceName": "db"}})

    def ready() -> bool:
        found = sandbox.get("StatefulSet", "db")
        return found is not None and found["status"].get("readyReplicas") == 2

    await until(ready)
    assert [pod["metadata"]["name"] for pod in sandbox.list("pods", "default")] == ["db-0", "db-1"]


@pytest.mark.parametrize(("image", "outcome"), [("busybox:1", "Complete"), ("example/app:crash", "Failed")])
async def test_a_job_ends_as_its_pods_do(sandbox: Sandbox, until: Until, image: str, outcome: str) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}}
    sandbox.create({**job, "spec": {"backoffLimit": 1, "template": {"spec": pod}}})

    def ended() -> bool:
        found = sandbox.get("Job", "once")
        return found is not None and any(one["type"] == outcome for one in found["status"].get("conditions", []))

    await until(ended)


async def test_min_ready_seconds_delay_availability(sandbox: Sandbox, deployment: Make, until: Until) -> None:
    sandbox.create(deployment("web", "nginx:1.27", 1, minReadySeconds=10))

    def counts() -> tuple[int, int]:
        status = (sandbox.get("Deployment", "web") or {}).get("status", {})
        return status.get("readyReplicas", 0), status.get("availableReplicas", 0)

    await until(lambda: counts() == (1, 0))
    await until(lambda: counts() == (1, 1))


async def test_an_idle_sandbox_writes_nothing(sandbox: Sandbox, deployment: Make, until: Until) -> None:
    sandbox.create(deployment("web", "nginx:1.27"))
    await until(lambda: done(sandbox, "web"))
    with anyio.move_on_after(0.3) as scope:
        await sandbox.changed()
    assert scope.cancelled_caught
