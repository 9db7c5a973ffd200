"""k8s_top and k8s_explain, over an MCP session."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastmcp import Client

from klepaas.app import create_app
from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]

NODES = {
    "items": [
        {"metadata": {"name": "node-0"}, "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}}},
        {"metadata": {"name": "node-1"}, "status": {"allocatable": {"cpu": "2", "memory": "4Gi"}}},
    ]
}
NODE_USAGE = {
    "items": [
        {"metadata": {"name": "node-0"}, "usage": {"cpu": "1000m", "memory": "2Gi"}},
        {"metadata": {"name": "node-1"}, "usage": {"cpu": "1500000000n", "memory": "1024Mi"}},
    ]
}
POD_USAGE = {
    "items": [
        {
            "metadata": {"name": "web", "namespace": "default"},
            "containers": [
                {"name": "main", "usage": {"cpu": "100m", "memory": "10Mi"}},
                {"name": "proxy", "usage": {"cpu": "20m", "memory": "300Mi"}},
            ],
        },
        {
            "metadata": {"name": "db", "namespace": "default"},
            "containers": [{"name": "main", "usage": {"cpu": "200m", "memory": "64Mi"}}],
        },
    ]
}
METRICS = "/apis/metrics.k8s.io/v1beta1"


def _kinds(group_version: str, *kinds: tuple[str, str, bool]) -> dict[str, Any]:
    entries = [
        {"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}
        for name, kind, namespaced in kinds
    ]
    return {"kind": "APIResourceList", "groupVersion": group_version, "resources": entries}


GROUP = {"groupVersion": "metrics.k8s.io/v1beta1", "version": "v1beta1"}
KNOWN: dict[str, Any] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "groups": [{"name": "metrics.k8s.io", "versions": [GROUP], "preferredVersion": GROUP}],
    },
    "/api/v1": _kinds("v1", ("nodes", "Node", False), ("pods", "Pod", True)),
    METRICS: _kinds("metrics.k8s.io/v1beta1", ("nodes", "NodeMetrics", False), ("pods", "PodMetrics", True)),
    "/api/v1/nodes": NODES,
    f"{METRICS}/nodes": NODE_USAGE,
    f"{METRICS}/pods": POD_USAGE,
    f"{METRICS}/namespaces/default/pods": POD_USAGE,
}


@pytest.fixture
async def measured(serve: Any, write_kubeconfig: Any) -> AsyncIterator[Ask]:
    """Call a tool of a klepaas whose cluster has a metrics API."""

    async def answer(seen: Any) -> AsyncIterator[bytes]:
        body = KNOWN.get(seen.path.partition("?")[0])
        head = f"HTTP/1.1 {200 if body else 404} X\r\nContent-Type: application/json\r\n"
        yield f"{head}Connection: close\r\n\r\n".encode()
        yield json.dumps(body or {"kind": "Status", "message": "nothing here"}).encode()

    async with serve(answer) as server:
        write_kubeconfig(server.url)
        async with Client(create_app().server) as client:

            async def call(tool: str, /, **arguments: Any) -> Any:
                return await client.call_tool(tool, arguments, raise_on_error=False)

            yield call


async def test_pods_are_shown_with_what_their_containers_use_together_most_first(measured: Ask, text: Any) -> None:
    assert text(await measured("k8s_top")) == "NAME\tCPU\tMEMORY\ndb\t200m\t64Mi\nweb\t120m\t310Mi"
    by_memory = text(await measured("k8s_top", sort_by="memory", all_namespaces=True, limit=1))
    assert by_memory == "NAMESPACE\tNAME\tCPU\tMEMORY\ndefault\tweb\t120m\t310Mi\n[1 that use less left out]"


async def test_containers_are_shown_one_by_one(measured: Ask, text: Any) -> None:
    shown = text(await measured("k8s_top", what="containers", sort_by="memory"))
    assert shown.splitlines()[:2] == ["NAME\tCONTAINER\tCPU\tMEMORY", "web\tproxy\t20m\t300Mi"]


async def test_nodes_are_shown_with_their_share(measured: Ask, text: Any) -> None:
    shown = text(await measured("k8s_top", what="nodes"))
    assert shown.splitlines() == [
        "NAME\tCPU\tMEMORY\tCPU%\tMEMORY%",
        "node-1\t1500m\t1024Mi\t75%\t25%",
        "node-0\t1000m\t2048Mi\t25%\t25%",
    ]


async def test_a_cluster_without_a_metrics_api_is_told_in_one_line(ask: Ask, text: Any) -> None:
    answer = await ask("k8s_top")
    assert answer.is_error
    assert "has no metrics API" in text(answer)
    assert "metrics-server" in text(answer)


async def test_a_kind_is_explained_from_the_clusters_own_schema(ask: Ask, text: Any) -> None:
    shown = text(await ask("k8s_explain", kind="deployment", field="spec"))
    assert shown.startswith("Deployment.spec (apps/v1) <object>")
    assert "  selector <object> required" in shown
    assert "  replicas <integer>" in shown
    containers = text(await ask("k8s_explain", kind="deploy", field="spec.template.spec.containers[*]"))
    assert "  image <string>" in containers


async def test_a_field_that_is_not_there_is_answered_with_one_that_is(ask: Ask, text: Any) -> None:
    answer = await ask("k8s_explain", kind="deployment", field="spec.replica")
    assert answer.is_error
    assert "Deployment.spec has no field replica. Did you mean replicas" in text(answer)
    assert "Did you mean" in text(await ask("k8s_explain", kind="deploymnt"))


async def test_a_custom_resource_is_explained_and_its_secrets_are_not_told(
    ask: Ask, text: Any, sandbox: Sandbox
) -> None:
    spec = {
        "type": "object",
        "description": "What is wanted. The test one uses password=hunter2secret9.",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "description": "How large.", "default": 3},
            "mode": {"type": "string", "enum": ["fast", "safe"]},
            "url": {"type": "string", "default": "postgres://app:hunter2secret9@db/x"},
            "password": {"type": "string", "default": "hunter2", "description": "Its login."},
            "auth": {"type": "object", "default": {"token": "hunter2"}},
        },
    }
    schema = {"type": "object", "description": "A widget.", "properties": {"spec": spec}}
    sandbox.create(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            },
        }
    )
    shown = text(await ask("k8s_explain", kind="widget", field="spec"))
    assert "size <integer> required  How large; default 3" in shown
    assert "mode <string>  one of fast, safe" in shown
    assert "hunter2" not in shown
    assert "hunter2" not in text(await ask("k8s_explain", kind="widget", field="spec.password"))
    assert "hunter2" not in text(await ask("k8s_get", kind="crd", name="widgets.example.com", output="full"))


async def test_a_cluster_without_schemas_says_what_else_to_do(measured: Ask, text: Any) -> None:
    answer = await measured("k8s_explain", kind="pod")
    assert answer.is_error
    assert "publishes no schema of pods" in text(answer)
