from collections.abc import Callable
from typing import Any

import anyio
import pytest

from klepaas.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from klepaas.output.redaction import MARK
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import AlreadyExists, Cluster, Clusters, Expired, FieldConflict
from klepaas_plugins.kubernetes.sandbox import Sandbox, mutating

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]
HOSTILE = ["", ".", "..", "../x", "%2e%2e", "a/b", "a" * 254, "a\x00b", "-n", "a b", "ａ", "a\n", "a?x=1", "a#b"]


def _config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


@pytest.mark.parametrize(
    "kind",
    [
        "deploy",
        "Deployment",
        "deployment",
        "deployments",
        "DEPLOYMENTS",
        "deployments.apps",
        "deployment.apps",
        "deployments.v1.apps",
        "apps/v1/Deployment",
        "apps/Deployment",
    ],
)
async def test_a_kind_is_found_by_every_name_it_has(cluster: Cluster, kind: str) -> None:
    found = await cluster.resource(kind)
    assert (found.api_version, found.kind, found.plural, found.namespaced) == (
        "apps/v1",
        "Deployment",
        "deployments",
        True,
    )


async def test_the_core_group_wins_where_several_serve_a_name(cluster: Cluster) -> None:
    assert (await cluster.resource("events")).group == ""
    assert (await cluster.resource("v1/Event")).api_version == "v1"


async def test_an_unknown_kind_names_near_ones(cluster: Cluster) -> None:
    with pytest.raises(NotFound) as caught:
        await cluster.resource("deplyoment")
    assert "deployments.apps" in caught.value.line


async def test_a_kind_that_was_installed_just_now_is_found(cluster: Cluster, sandbox: Sandbox) -> None:
    with pytest.raises(NotFound):
        await cluster.resource("widgets")
    sandbox.create(WIDGETS)
    with anyio.fail_after(scale_timeout(10)):
        while True:
            try:
                found = await cluster.resource("wd")
                break
            except NotFound:
                await sandbox.changed()
    assert found.full_name == "widgets.example.com"


async def test_discovery_is_asked_once_for_many_at_once(cluster: Cluster, sandbox: Sandbox) -> None:
    async with anyio.create_task_group() as group:
        for kind in ["po", "deploy", "svc", "cm", "nodes", "sts"] * 3:
            group.start_soon(cluster.resource, kind)
    assert [request.path for request in sandbox.requests] == ["/api", "/apis"]


async def test_a_server_without_aggregated_discovery_is_asked_group_by_group(
    sandbox: Sandbox, serve: Any, write_kubeconfig: Any, open_clusters: Open
) -> None:
    import json

    answers = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "groups": [
                {
                    "name": "apps",
                    "versions": [{"groupVersion": "apps/v1beta1"}, {"groupVersion": "apps/v1"}],
                    "preferredVersion": {"groupVersion": "apps/v1"},
                },
                {"name": "down.example.com", "versions": [{"groupVersion": "down.example.com/v1"}]},
            ],
        },
        "/api/v1": {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["list"]}]},
        "/apis/apps/v1": {
            "resources": [
                {"name": "deployments", "kind": "Deployment", "namespaced": True, "shortNames": ["deploy"]},
                {"name": "deployments/scale", "kind": "Scale", "namespaced": True},
                {"name": "../../evil", "kind": "Evil", "namespaced": True},
            ]
        },
        "/apis/apps/v1beta1": {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]},
    }

    async def answer(seen: Any) -> Any:
        body = json.dumps(answers.get(seen.path, {})).encode()
        code = "200 OK" if seen.path in answers else "503 Down"
        yield f"HTTP/1.1 {code}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    async with serve(answer) as server:
        write_kubeconfig(server.url)
        cluster = await open_clusters().cluster()
        assert (await cluster.resource("deploy")).api_version == "apps/v1"
        assert (await cluster.resource("pods")).kind == "Pod"
        with pytest.raises(NotFound):
            await cluster.resource("evil")


async def test_objects_are_created_read_changed_and_listed(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("cm")
    await cluster.create(kind, _config_map("a", x="1"), "default")
    changed = await cluster.merge_patch(kind, "a", "default", {"data": {"y": "2"}})
    assert changed["data"] == {"x": "1", "y": "2"}
    assert (await cluster.get(kind, "a", "default"))["data"] == {"x": "1", "y": "2"}
    with pytest.raises(AlreadyExists):
        await cluster.create(kind, _config_map("a"), "default")
    found = await cluster.list(kind, "default", field_selector="metadata.name=a")
    assert [item["metadata"]["name"] for item in found["items"]] == ["a"]


async def test_a_dry_run_changes_nothing(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("cm")
    sandbox.create(_config_map("a", x="1"))
    await cluster.create(kind, _config_map("b"), "default", dry_run=True)
    assert (await cluster.apply(_config_map("a", x="2"), force=True, dry_run=True))["data"]["x"] == "2"
    await cluster.merge_patch(kind, "a", "default", {"data": {"x": "3"}}, dry_run=True)
    assert sandbox.get("ConfigMap", "b") is None
    assert (sandbox.get("ConfigMap", "a") or {})["data"] == {"x": "1"}
    assert not any(mutating(request) for request in sandbox.requests)


async def test_an_apply_creates_then_changes_and_names_who_is_in_the_way(cluster: Cluster) -> None:
    await cluster.apply(_config_map("a", x="1"))
    assert (await cluster.apply(_config_map("a", x="2")))["data"] == {"x": "2"}
    with pytest.raises(FieldConflict) as caught:
        await cluster.apply(_config_map("a", x="3"), field_manager="other")
    assert caught.value.owners == (("klepaas", ".data.x"),)
    assert "klepaas" in caught.value.line
    assert ".data.x" in caught.value.line
    forced = await cluster.apply(_config_map("a", x="3"), field_manager="other", force=True)
    assert forced["data"] == {"x": "3"}


async def test_a_mark_of_redaction_is_never_written(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("cm")
    sandbox.clear_requests()
    body = _config_map("a", password=f"{MARK} (5 bytes)")
    with pytest.raises(BadRequest, match="stands for a secret"):
        await cluster.apply(body)
    with pytest.raises(BadRequest):
        await cluster.create(kind, body, "default")
    with pytest.raises(BadRequest):
        await cluster.merge_patch(kind, "a", "default", {"data": {"x": MARK}})
    assert sandbox.requests == []


async def test_a_list_comes_in_pages(cluster: Cluster, sandbox: Sandbox) -> None:
    for number in range(5):
        sandbox.create(_config_map(f"page-{number}", n=str(number)))
    kind = await cluster.resource("cm")
    names: list[str | None] = []
    cursor, remaining = None, None
    for _ in range(3):
        page = await cluster.table(kind, "default", limit=2, cursor=cursor)
        remaining = page.remaining
        names += [row.name for row in page.rows]
        cursor = page.cursor
    assert cursor is None
    assert remaining is None
    assert {f"page-{number}" for number in range(5)} <= set(names)
    assert len(names) == len(set(names))


async def test_a_table_tells_the_namespace_only_where_it_is_asked_for_all(cluster: Cluster, sandbox: Sandbox) -> None:
    sandbox.create(_config_map("a"))
    kind = await cluster.resource("cm")
    everywhere = await cluster.table(kind, None)
    assert ("default", "a") in [(row.namespace, row.name) for row in everywhere.rows]
    assert [column.name for column in everywhere.columns] == ["Name", "Data", "Age"]
    queries = [request.query["includeObject"] for request in sandbox.requests if "includeObject" in request.query]
    await cluster.table(kind, "default")
    assert queries == ["Metadata"]
    assert sandbox.requests[-1].query["includeObject"] == "None"


async def test_what_the_cluster_refuses_is_explained(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("secrets")
    sandbox.deny("list", "secrets", "default")
    with pytest.raises(Forbidden) as caught:
        await cluster.list(kind, "default")
    assert "cannot list resource" in caught.value.line
    assert "administrator" in caught.value.line
    with pytest.raises(NotFound, match="There is no secret nope in namespace default"):
        await cluster.get(kind, "nope", "default")
    with pytest.raises(BadRequest):
        await cluster.list(kind, "team", label_selector="a===b")
    with pytest.raises(NotFound, match='"gone" not found'):
        await cluster.create(await cluster.resource("cm"), _config_map("a"), "gone")


async def test_credentials_that_end_are_unauthorized(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("cm")
    sandbox.unauthorized_after(0)
    with pytest.raises(Unauthorized) as caught:
        await cluster.list(kind, "default")
    assert "Log in" in caught.value.line


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [(409, "Conflict", Conflict), (410, "Expired", Expired), (422, "Invalid", BadRequest), (413, "", BadRequest)],
)
async def test_each_refusal_becomes_one_error(
    cluster: Cluster, sandbox: Sandbox, status: int, reason: str, kind: type[Exception]
) -> None:
    found = await cluster.resource("cm")
    sandbox.fail("GET", "/configmaps", status, reason=reason, message="the server's own\n words")
    with pytest.raises(kind) as caught:
        await cluster.get(found, "a", "default")
    assert "\n" not in str(getattr(caught.value, "line", "\n"))


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_causes_no_request(cluster: Cluster, sandbox: Sandbox, name: str) -> None:
    kind = await cluster.resource("cm")
    sandbox.clear_requests()
    calls: list[Callable[[], Any]] = [
        lambda: cluster.get(kind, name, "default"),
        lambda: cluster.get(kind, "a", name),
        lambda: cluster.table(kind, "default", name=name),
        lambda: cluster.list(kind, name),
        lambda: cluster.create(kind, _config_map("a"), name),
        lambda: cluster.apply(_config_map(name)),
        lambda: cluster.apply({**_config_map("a"), "metadata": {"name": "a", "namespace": name or ".."}}),
        lambda: cluster.merge_patch(kind, name, "default", {}),
        lambda: cluster.merge_patch(kind, "a", name, {}),
        lambda: cluster.logs(name, "default"),
        lambda: cluster.logs("a", name),
        lambda: cluster.logs("a", "default", container=name),
        lambda: cluster.resource(name),
    ]
    for call in calls:
        with pytest.raises((BadRequest, NotFound)):
            await call()
    assert [request.path for request in sandbox.requests if request.path not in ("/api", "/apis")] == []


async def test_names_with_a_colon_reach_the_object_and_nothing_else(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("clusterroles")
    with pytest.raises(NotFound):
        await cluster.get(kind, "system:node", None)
    assert sandbox.requests[-1].path == "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"


async def test_many_at_once_share_one_client(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("cm")
    async with anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(cluster.table, kind, "default")
    assert len([request for request in sandbox.requests if request.path.endswith("/configmaps")]) == 40


async def test_several_clusters_live_side_by_side(sandbox: Sandbox, tmp_path: Any, open_clusters: Open) -> None:
    async with Sandbox() as other:
        other.create(_config_map("only-there"))
        first = await open_clusters(kubeconfig=str(sandbox.write_kubeconfig(tmp_path / "one"))).cluster()
        second = await open_clusters(kubeconfig=str(other.write_kubeconfig(tmp_path / "two"))).cluster()
        assert (await second.get(await second.resource("cm"), "only-there", "default"))["kind"] == "ConfigMap"
        with pytest.raises(NotFound):
            await first.get(await first.resource("cm"), "only-there", "default")


def test_clusters_can_be_used_from_one_event_loop_after_another(tmp_path: Any) -> None:
    from klepaas_plugins.kubernetes.settings import KubernetesSettings

    path = tmp_path / "sandbox"
    clusters = Clusters(KubernetesSettings(kubeconfig=str(path)))

    async def once() -> None:
        async with Sandbox() as running:
            running.write_kubeconfig(path)
            cluster = await clusters.cluster()
            assert (await cluster.resource("po")).kind == "Pod"
            await clusters.aclose()

    anyio.run(once)
    anyio.run(once)


async def test_logs_of_a_container_come_bounded(
    cluster: Cluster, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("web"))
    await until(lambda: [pod for pod in sandbox.list("Pod") if pod["status"].get("phase") == "Running"])
    pod = sandbox.list("Pod", "default")[0]["metadata"]["name"]
    sandbox.set_log("default", "web", "one\ntwo\nthree\n")
    assert await cluster.logs(pod, "default", tail_lines=1) == "three\n"
    assert len(await cluster.logs(pod, "default", limit_bytes=5)) <= 5
    with pytest.raises(BadRequest, match="nope"):
        await cluster.logs(pod, "default", container="nope")
    with pytest.raises(NotFound):
        await cluster.logs("gone", "default")
