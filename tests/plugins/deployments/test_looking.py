"""Looking through klepaas: one application, all of them, and the whole cluster."""

import re
from typing import Any

import pytest

from klepaas_plugins.deployments.revisions import history
from klepaas_plugins.kubernetes.sandbox import mutating

pytestmark = pytest.mark.anyio


async def test_the_status_of_a_healthy_application_is_short_and_whole(bench: Any) -> None:
    await bench.deploy(port=8080)
    await bench.deploy(image="example/app:2")
    _expose(bench)
    said = await bench.call("get_deployment_status", app_name="web")
    lines = said.text.split("\n")
    assert lines[0] == "web in default is healthy: 1 of 1 pods ready, revision 2, image example/app:2."
    assert lines[1] == "Endpoint: web.default.svc:8080 (ClusterIP); https://web.example.com/"
    assert lines[2].startswith("Release: release 2 (verified)")
    assert "Ingress web added" in lines[2]
    assert lines[3].startswith("Last change: ")
    assert "ago, deploy example/app:2; release 2 verified by " in lines[3]
    assert lines[4] == "Earlier revisions:"
    assert lines[5].startswith("  1: example/app:1, ")
    assert re.fullmatch(
        r"Looked at \(..:..:.. UTC\): deployment web, 1 pod, Services and Ingresses. "
        r"Not checked: requests from outside the cluster, whether objects of further kinds were added since release 2.",
        lines[-1],
    )
    assert "POD" not in said.text
    assert len(said.text) < 700
    found = (await bench.call("get_deployment_status", app_name="web", output="json")).json()
    assert found["state"] == "healthy"


def _config_map(value: str) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "default", "labels": {"app.kubernetes.io/instance": "web"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mode": value}}


def _policy(port: int) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "default", "labels": {"app.kubernetes.io/instance": "web"}}
    spec = {"podSelector": {}, "ingress": [{"ports": [{"port": port, "protocol": "TCP"}]}], "policyTypes": ["Ingress"]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


async def test_the_status_shows_drift_of_each_kind_that_the_release_holds_and_of_added_config_maps(bench: Any) -> None:
    bench.sandbox.create(_policy(80))
    await bench.deploy()
    bench.sandbox.delete("NetworkPolicy", "web")
    bench.sandbox.create(_policy(81))
    bench.sandbox.create(_config_map("slow"))
    said = await bench.call("get_deployment_status", app_name="web")
    assert "NetworkPolicy web (" in said.text
    assert "ConfigMap web added" in said.text


async def test_the_status_says_that_it_does_not_look_for_added_objects_of_kinds_that_the_release_lacks(
    bench: Any,
) -> None:
    await bench.deploy()
    bench.sandbox.create(_policy(80))
    said = await bench.call("get_deployment_status", app_name="web")
    assert "release 1 (verified) runs." in said.text
    assert "Not checked: requests from outside the cluster, whether objects of further kinds were added" in said.text
    found = (await bench.call("get_deployment_status", app_name="web", output="json")).json()
    assert "whether objects of further kinds were added since release 1" in found["not_checked"]
    # The comparison that is asked for looks at all kinds.
    assert "NetworkPolicy web: added" in (await bench.call("diff_releases", app_name="web")).text


async def test_the_number_of_pods_that_an_autoscaler_added_since_has_set_is_no_drift(bench: Any) -> None:
    await bench.deploy()
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5},
    }
    bench.sandbox.create(scaler)
    live = bench.sandbox.get("Deployment", "web")
    entry = {
        "manager": "kube-controller-manager", "operation": "Update", "subresource": "scale", "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }  # fmt: skip
    metadata = {**live["metadata"], "managedFields": [*live["metadata"]["managedFields"], entry]}
    bench.sandbox.plant({**live, "metadata": metadata, "spec": {**live["spec"], "replicas": 3}})
    said = await bench.call("get_deployment_status", app_name="web")
    assert "replicas" not in said.text.partition("Release:")[2].partition("\n")[0]


async def test_an_unknown_application_names_the_namespace_that_has_it(bench: Any) -> None:
    bench.sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    await bench.deploy(namespace="shop")
    said = await bench.call("get_deployment_status", app_name="web")
    assert said.code == "not_found"
    assert "It is in: shop" in said.text


async def test_an_application_of_several_workloads_shows_them_all(bench: Any) -> None:
    for name in ("shop-api", "shop-worker"):
        _plant(bench, name, labels={"app.kubernetes.io/instance": "shop"})
    said = await bench.call("get_deployment_status", app_name="shop")
    assert "shop in default has 2 workloads" in said.text
    assert "deployment/shop-api" in said.text
    assert (await bench.call("restart_application", app_name="shop")).code == "bad_request"
    assert "shop-api in default is " in (await bench.call("get_deployment_status", app_name="shop-api")).text


async def test_services_that_may_not_be_read_do_not_hide_the_status(bench: Any) -> None:
    await bench.deploy(port=8080)
    bench.sandbox.deny("list", "services")
    bench.sandbox.deny("list", "ingresses")
    said = await bench.call("get_deployment_status", app_name="web")
    assert "web in default is healthy" in said.text
    assert "Endpoint" not in said.text


async def test_the_list_has_the_unhealthy_first_with_their_cause(bench: Any) -> None:
    await bench.deploy(name="fine")
    await bench.deploy(name="ill", image="example/missing:1")
    _plant(bench, "worker", labels={"app": "jobs"})
    said = await bench.call("list_applications")
    lines = said.text.split("\n")
    assert lines[0] == "3 applications in namespace default, 1 not healthy"
    assert lines[1].split("\t") == ["APPLICATION", "WORKLOAD", "READY", "STATUS", "IMAGE", "AGE"]
    ill = lines[2].split("\t")
    assert ill[:3] == ["ill", "-", "0/1"]
    assert ill[3].startswith("failed: ")
    assert "ImagePull" in ill[3]
    assert [line.split("\t")[0] for line in lines[3:5]] == ["fine", "jobs"]
    assert lines[5].startswith("Looked at (")
    assert lines[4].split("\t")[1] == "deployment/worker"
    found = (await bench.call("list_applications", output="json")).json()
    assert (found["total"], found["unhealthy"], len(found["workloads"])) == (3, 1, 3)


async def test_the_list_of_nothing_says_so(bench: Any) -> None:
    assert "No application in namespace default" in (await bench.call("list_applications")).text


async def test_the_list_of_all_namespaces_needs_the_right_to_it(bench: Any) -> None:
    bench.sandbox.deny("list", "deployments")
    said = await bench.call("list_applications", all_namespaces=True)
    assert said.code == "forbidden"


async def test_the_overview_tells_what_is_ill_and_why_in_one_short_answer(bench: Any) -> None:
    await bench.deploy(name="fine")
    await bench.deploy(name="ill", image="example/crash:1")
    bench.sandbox.plant(_waiting_pod())
    said = await bench.call("get_overview")
    lines = said.text.split("\n")
    assert lines[0] == "sandbox, all namespaces: 2 applications, 1 not healthy."
    assert lines[1] == "Nodes: 2 of 2 ready"
    assert re.fullmatch(
        r"Looked at \(..:..:.. UTC\): status of 2 workloads, nodes, pods that do not run, warnings. "
        r"Not checked: requests from outside the cluster.",
        next(line for line in lines if line.startswith("Looked at")),
    )
    first = lines.index("Not healthy:") + 1
    assert lines[first].startswith("  default/ill: failed: ")
    assert "exit code 1" in lines[first]
    assert "Other pods that do not run:" in said.text
    assert "  default/lonely: ImagePullBackOff" in said.text
    assert "Newest warnings:" in said.text
    assert "Recent changes:" in said.text
    assert "deploy example/app:1" in said.text
    assert len(said.text) < 1700
    found = (await bench.call("get_overview", output="json")).json()
    numbers = {name: value for name, value in found.items() if isinstance(value, int)}
    assert numbers == {
        "applications": 2, "unhealthy": 1, "nodes": 2, "nodes_ready": 2, "operations_running": 0,
        "operations_failed": 1,
    }  # fmt: skip


async def test_the_overview_falls_back_to_one_namespace(bench: Any) -> None:
    await bench.deploy()
    bench.sandbox.deny("list", "nodes")
    bench.sandbox.fail(
        "GET", "^/apis/apps/v1/(deployments|statefulsets|daemonsets)$", 403, reason="Forbidden", message="not for you"
    )
    said = await bench.call("get_overview")
    assert not said.is_error, said.text
    assert "sandbox, namespace default: 1 application, all healthy." in said.text
    assert "may not list all namespaces" in said.text
    assert "Nodes: these credentials may not list them." in said.text


async def test_looking_changes_nothing(bench: Any) -> None:
    await bench.deploy(image="example/crash:1")
    bench.sandbox.clear_requests()
    for tool in ("get_deployment_status", "list_applications", "get_overview"):
        await bench.call(tool, **({"app_name": "web"} if tool == "get_deployment_status" else {}))
    assert not [request for request in bench.sandbox.requests if mutating(request)]


def _expose(bench: Any) -> None:
    backend = {"service": {"name": "web", "port": {"number": 8080}}}
    rule = {"host": "web.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    spec = {"rules": [rule], "tls": [{"hosts": ["web.example.com"]}]}
    bench.sandbox.create(
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}, "spec": spec}
    )


def _plant(bench: Any, name: str, labels: dict[str, str]) -> None:
    run = {"run": name[:60]}
    template = {"metadata": {"labels": run}, "spec": {"containers": [{"name": "main", "image": "a:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": run}, "template": template}
    metadata = {"name": name, "labels": labels}
    bench.sandbox.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


def _waiting_pod() -> dict[str, Any]:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    statuses = [{"name": "main", "ready": False, "restartCount": 0, "state": waiting}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "lonely", "namespace": "default"},
        "spec": {"nodeName": "elsewhere", "containers": [{"name": "main", "image": "nope:1"}]},
        "status": {"phase": "Pending", "containerStatuses": statuses},
    }


async def _last_and_recent(bench: Any) -> tuple[str, str]:
    """What the status and the overview say of the newest change."""
    status, overview = await bench.call("get_deployment_status", app_name="web"), await bench.call("get_overview")
    last = next(line for line in status.text.split("\n") if line.startswith("Last change: "))
    recent = next(line for line in overview.text.split("\n") if line.startswith("  default/web: "))
    return last, recent


async def test_the_last_change_is_told_from_the_release_record_after_a_deploy_a_scale_a_restart_and_a_rollback(
    bench: Any,
) -> None:
    await bench.deploy()
    await bench.deploy(image="example/app:2")
    steps: tuple[tuple[str, dict[str, int], str], ...] = (
        ("scale_application", {"replicas": 2}, "scale to 2; release 3 verified by "),
        ("restart_application", {}, "restart; release 4 verified by "),
        ("rollback_deployment", {"release": 1}, "rollback to release 1"),
    )
    for tool, arguments, words in steps:
        said = await bench.call(tool, app_name="web", **arguments)
        assert not said.is_error, said.text
        for line in await _last_and_recent(bench):
            assert f"s ago, {words}" in line
            assert "deploy example/app:2" not in line


async def test_a_change_made_outside_klepaas_is_attributed_to_its_field_manager_and_not_to_who_noticed_it(
    bench: Any,
) -> None:
    await bench.deploy()
    deployment = bench.sandbox.get("Deployment", "web")
    # Times of managed fields are whole seconds: far enough from the record's.
    later = {"manager": "kubectl-scale", "operation": "Update", "apiVersion": "apps/v1", "time": "2999-01-01T00:00:00Z"}
    deployment["spec"]["replicas"] = 2
    deployment["metadata"]["managedFields"].append({**later, "fieldsV1": {"f:spec": {"f:replicas": {}}}})
    bench.sandbox.plant(deployment)
    for line in await _last_and_recent(bench):
        assert "by kubectl-scale (field manager), not through klepaas" in line
        assert "deploy example/app:1" not in line
    await bench.deploy(image="example/app:2", take_ownership=True)
    releases = (await bench.call("list_releases", app_name="web")).text
    found = next(row for row in releases.split("\n") if "found" in row)
    assert "kubectl-scale (field manager)" in found
    assert "deploy example/app:1" not in found


def test_a_change_cause_that_a_change_without_one_left_is_not_carried_over() -> None:
    def replica_set(number: int, image: str, cause: str) -> dict[str, Any]:
        return {
            "metadata": {
                "name": f"web-{number}",
                "annotations": {"deployment.kubernetes.io/revision": str(number), "kubernetes.io/change-cause": cause},
                "ownerReferences": [{"uid": "u", "controller": True, "kind": "Deployment", "name": "web"}],
            },
            "spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
        }

    deployment = {"kind": "Deployment", "metadata": {"name": "web", "uid": "u", "annotations": {}}}
    told = [replica_set(1, "app:1", "deploy app:1"), replica_set(2, "app:2", "deploy app:1")]
    assert [one.change_cause for one in history(deployment, told)] == [None, "deploy app:1"]


async def test_the_name_of_a_pod_is_its_application(bench: Any) -> None:
    await bench.deploy()
    pod = bench.sandbox.list("Pod")[0]["metadata"]["name"]
    assert (await bench.call("get_deployment_status", app_name=pod)).text.startswith("web in default is healthy")


@pytest.mark.parametrize("name", ["shop.v2", "a" * 200 + ".b", "Shop_API"])
async def test_a_workload_with_dots_or_a_long_name_or_a_label_with_capitals_is_found(bench: Any, name: str) -> None:
    object_name = name.lower().replace("_", "-")
    _plant(bench, object_name, labels={"app": name[:63].rstrip(".")})
    said = await bench.call("get_deployment_status", app_name=name)
    assert not said.is_error, said.text


@pytest.mark.parametrize("name", ["shop.v2", "a" * 200 + ".b", "c" * 253])
async def test_changing_and_release_tools_take_a_workload_with_dots_and_a_long_name(bench: Any, name: str) -> None:
    selector = {"app": "shop"}
    container = {"name": "main", "image": "example/app:1"}
    template = {"metadata": {"labels": selector}, "spec": {"containers": [container]}}
    bench.sandbox.create({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": selector}, "template": template},
    })  # fmt: skip
    for tool, wanted in (
        ("deploy_application", {"image": "example/app:2", "take_ownership": True}),
        ("scale_application", {"replicas": 2, "take_ownership": True}),
        ("restart_application", {}),
    ):
        said = await bench.call(tool, app_name=name, **wanted)
        assert not said.is_error, (tool, said.text)
    listed = (await bench.call("list_releases", app_name=name, output="json")).json()
    numbers = [one["number"] for one in listed["releases"]]
    assert len(numbers) > 2
    assert not (await bench.call("diff_releases", app_name=name, before=numbers[-1], after=numbers[0])).is_error
    back = await bench.call("rollback_deployment", app_name=name, release=numbers[-1])
    assert not back.is_error, back.text
    assert (
        bench.sandbox.get("Deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"] == "example/app:1"
    )
    assert not (await bench.call("get_deployment_history", app_name=name)).is_error
