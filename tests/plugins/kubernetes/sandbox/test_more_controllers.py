"""Daemon sets, claims and volumes, autoscalers, metrics, ingresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
Until = Callable[[Callable[[], Any]], Awaitable[None]]
Make = Callable[..., Json]
METRICS = "/apis/metrics.k8s.io/v1beta1"


def named(api_version: str, kind: str, name: str, **parts: Any) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **parts}


def claim(name: str, storage_class: str | None = None) -> Json:
    spec: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return named("v1", "PersistentVolumeClaim", name, spec=spec)


def pod_with(claim_name: str) -> Json:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}]
    spec = {"containers": [{"name": "m", "image": "nginx:1"}], "volumes": volumes}
    return named("v1", "Pod", "p", spec=spec)


def phase(sandbox: Sandbox, kind: str, name: str) -> str:
    return str(((sandbox.get(kind, name) or {}).get("status") or {}).get("phase", ""))


def daemon_set(image: str) -> Json:
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "m", "image": image}]}}
    return named("apps/v1", "DaemonSet", "d", spec={"selector": {"matchLabels": labels}, "template": template})


async def test_a_daemon_set_runs_on_every_node_and_is_renewed(
    sandbox: Sandbox, api: httpx.AsyncClient, until: Until
) -> None:
    sandbox.create(daemon_set("nginx:1"))
    await until(lambda: (sandbox.get("DaemonSet", "d") or {})["status"].get("numberAvailable") == 2)
    assert {pod["spec"]["nodeName"] for pod in sandbox.list("pods", "default")} == {"node-0", "node-1"}
    merge = {"content-type": "application/strategic-merge-patch+json"}
    body = {"spec": {"template": {"spec": {"containers": [{"name": "m", "image": "nginx:2"}]}}}}
    await api.patch("/apis/apps/v1/namespaces/default/daemonsets/d", json=body, headers=merge)

    def images() -> set[str]:
        return {pod["spec"]["containers"][0]["image"] for pod in sandbox.list("pods", "default")}

    await until(lambda: images() == {"nginx:2"})
    await until(lambda: (sandbox.get("DaemonSet", "d") or {})["status"].get("updatedNumberScheduled") == 2)


async def test_a_claim_without_a_class_stays_pending_and_holds_its_pod(sandbox: Sandbox, until: Until) -> None:
    sandbox.create(claim("c"))
    sandbox.create(pod_with("c"))

    def said() -> set[str]:
        return {event["message"] for event in sandbox.list("events", "default")}

    await until(
        lambda: "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found" in said()
    )
    assert "no persistent volumes available for this claim and no storage class is set" in said()
    assert (phase(sandbox, "PersistentVolumeClaim", "c"), phase(sandbox, "Pod", "p")) == ("Pending", "Pending")


@pytest.mark.parametrize("wait_for_pod", [False, True])
async def test_a_class_that_provisions_binds_claims(sandbox: Sandbox, until: Until, wait_for_pod: bool) -> None:
    sandbox.provision("standard", wait_for_pod=wait_for_pod)
    sandbox.create(claim("c", "standard"))
    if wait_for_pod:
        await until(lambda: "WaitForFirstConsumer" in {event["reason"] for event in sandbox.list("events", "default")})
        assert phase(sandbox, "PersistentVolumeClaim", "c") == "Pending"
    sandbox.create(pod_with("c"))
    await until(lambda: phase(sandbox, "Pod", "p") == "Running")
    bound = sandbox.get("PersistentVolumeClaim", "c") or {}
    assert (bound["status"]["phase"], bound["status"]["capacity"]) == ("Bound", {"storage": "1Gi"})
    volume = sandbox.get("PersistentVolume", bound["spec"]["volumeName"]) or {}
    assert (volume["status"]["phase"], volume["spec"]["claimRef"]["name"]) == ("Bound", "c")


async def test_a_volume_that_fits_is_bound(sandbox: Sandbox, until: Until) -> None:
    spec = {"capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    sandbox.create(named("v1", "PersistentVolume", "pv", spec=spec))
    sandbox.create(claim("c", ""))
    await until(lambda: phase(sandbox, "PersistentVolumeClaim", "c") == "Bound")


async def test_a_stateful_set_gets_a_claim_for_each_pod(sandbox: Sandbox, until: Until, deployment: Make) -> None:
    sandbox.provision()
    made = deployment("db", "postgres:1", 2, serviceName="db")
    template = claim("data", "standard")
    made |= {"kind": "StatefulSet"}
    made["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": template["spec"]}]
    sandbox.create(made)
    await until(lambda: (sandbox.get("StatefulSet", "db") or {})["status"].get("readyReplicas") == 2)
    names = [one["metadata"]["name"] for one in sandbox.list("persistentvolumeclaims", "default")]
    assert names == ["data-db-0", "data-db-1"]


def autoscaler(most: int = 4) -> Json:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    spec = {"minReplicas": 1, "maxReplicas": most, "scaleTargetRef": target}
    spec["metrics"] = [{"type": "Resource", "resource": metric}]
    return named("autoscaling/v2", "HorizontalPodAutoscaler", "web", spec=spec)


def conditions(sandbox: Sandbox) -> dict[str, str]:
    found = sandbox.get("HorizontalPodAutoscaler", "web") or {}
    return {one["type"]: one["reason"] for one in found.get("status", {}).get("conditions") or ()}


async def test_an_autoscaler_without_a_target_says_so(sandbox: Sandbox, until: Until) -> None:
    sandbox.create(autoscaler())
    await until(lambda: conditions(sandbox).get("AbleToScale") == "FailedGetScale")


async def test_an_autoscaler_scales_by_what_pods_use(sandbox: Sandbox, until: Until, deployment: Make) -> None:
    made = deployment("web", "nginx:1", 1)
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    sandbox.create(made)
    sandbox.create(autoscaler())
    await until(lambda: conditions(sandbox).get("ScalingActive") == "FailedGetResourceMetric")
    sandbox.set_usage("default", "web-", cpu="150m")
    sandbox.serve_metrics()
    await until(lambda: (sandbox.get("Deployment", "web") or {})["spec"]["replicas"] == 4)
    await until(lambda: conditions(sandbox).get("ScalingLimited") == "TooManyReplicas")
    sandbox.set_usage("default", "web-", cpu="1m")
    await until(lambda: (sandbox.get("Deployment", "web") or {})["spec"]["replicas"] == 1)
    assert "SuccessfulRescale" in {event["reason"] for event in sandbox.list("events", "default")}


async def test_metrics_are_served_only_when_asked_for(sandbox: Sandbox, api: httpx.AsyncClient, until: Until) -> None:
    assert (await api.get(f"{METRICS}/pods")).status_code == 404
    spec = {"containers": [{"name": "m", "image": "nginx:1"}]}
    sandbox.create(named("v1", "Pod", "p", spec=spec))
    await until(lambda: phase(sandbox, "Pod", "p") == "Running")
    sandbox.serve_metrics()
    sandbox.set_usage("default", "p", cpu="250m", memory="64Mi")
    listed = (await api.get(f"{METRICS}/namespaces/default/pods")).json()
    assert (listed["kind"], listed["items"][0]["containers"][0]["usage"]) == (
        "PodMetricsList",
        {"cpu": "250m", "memory": "64Mi"},
    )
    one = (await api.get(f"{METRICS}/namespaces/default/pods/p")).json()
    assert (one["kind"], one["metadata"]["name"]) == ("PodMetrics", "p")
    nodes = (await api.get(f"{METRICS}/nodes")).json()["items"]
    assert sorted(node["usage"]["cpu"] for node in nodes) == ["0", "250m"]
    assert (await api.delete(f"{METRICS}/namespaces/default/pods/p")).status_code == 405
    group = [one["name"] for one in (await api.get("/apis")).json()["groups"]]
    assert "metrics.k8s.io" in group


async def test_an_ingress_gets_an_address_by_knob(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    sandbox.create(named("networking.k8s.io/v1", "Ingress", "web", spec={"defaultBackend": backend}))
    sandbox.set_ingress_address("web", "192.0.2.7")
    table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    listed = (await api.get("/apis/networking.k8s.io/v1/namespaces/default/ingresses", headers=table)).json()
    assert listed["rows"][0]["cells"][3] == "192.0.2.7"
