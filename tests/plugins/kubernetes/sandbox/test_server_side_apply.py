"""What server-side apply does to owners, removals, preconditions and odd bodies: on the sandbox and on a real server.

    KLEPAAS_TEST_KUBECONFIG=~/.kube/config pytest -m cluster tests/plugins/kubernetes/sandbox

Each test works in a namespace of its own. What is asserted was measured on Kubernetes 1.36.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import anyio
import pytest

from .api_server import (
    JSON_PATCH,
    LIMIT_S,
    MAIN,
    MERGE,
    SCALE,
    STRATEGIC,
    Json,
    Server,
    config_map,
    containers,
    deployment,
    entries,
)

pytestmark = pytest.mark.anyio


async def test_an_apply_of_the_scale_conflicts_with_ones_own_entry_in_both_directions(server: Server) -> None:
    path = server.deployment()
    assert (await server.apply(path, deployment(replicas=2))).status_code == 201
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 3}}
    refused = await server.apply(f"{path}/scale", scale)
    assert refused.status_code == 409
    assert [cause["field"] for cause in refused.json()["details"]["causes"]] == [".spec.replicas"]
    assert (await server.apply(f"{path}/scale", scale, force=True)).status_code == 200
    found = entries(await server.get(path))
    assert "f:replicas" in found[SCALE]["f:spec"]
    assert "f:replicas" not in found[MAIN]["f:spec"]
    refused = await server.apply(path, deployment(replicas=4))
    assert refused.status_code == 409
    assert 'with subresource "scale"' in refused.json()["message"]


async def test_an_item_that_is_removed_takes_along_what_another_owns_in_it_without_a_conflict(server: Server) -> None:
    path = server.deployment()
    helper = {"name": "helper", "image": "example/helper:1"}
    main = {"name": "main", "image": "example/app:1"}
    await server.apply(path, deployment(template=containers(main, helper)))
    leaf = [{"op": "replace", "path": "/spec/template/spec/containers/1/imagePullPolicy", "value": "Always"}]
    assert (await server.patch(path, leaf, JSON_PATCH, "operator")).status_code == 200
    removed = await server.apply(path, deployment(template=containers(main)))
    assert removed.status_code == 200, removed.text
    assert [one["name"] for one in removed.json()["spec"]["template"]["spec"]["containers"]] == ["main"]


async def test_an_item_that_another_owns_as_well_stays_when_it_is_no_longer_applied(server: Server) -> None:
    path = server.deployment()
    helper, main = {"name": "helper", "image": "example/helper:1"}, {"name": "main", "image": "example/app:1"}
    await server.apply(path, deployment(template=containers(main, helper)))
    shared = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    shared["spec"] = {"template": {"spec": {"containers": [helper]}}}
    assert (await server.apply(path, shared, "operator")).status_code == 200
    answer = await server.apply(path, deployment(template=containers(main)))
    assert answer.status_code == 200
    assert {one["name"] for one in answer.json()["spec"]["template"]["spec"]["containers"]} == {"main", "helper"}


async def test_an_item_that_a_person_owns_alone_stays_even_with_force(server: Server) -> None:
    path = server.deployment()
    await server.apply(path, deployment())
    added = [{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "x", "image": "example/x:1"}}]
    assert (await server.patch(path, added, JSON_PATCH)).status_code == 200
    answer = await server.apply(path, deployment(), force=True)
    assert {one["name"] for one in answer.json()["spec"]["template"]["spec"]["containers"]} == {"main", "x"}


async def test_fields_change_hands_in_managed_fields_without_a_rollout(server: Server) -> None:
    path = server.deployment()
    await server.apply(path, deployment(replicas=1))
    edit = {"spec": {"template": {"metadata": {"annotations": {"note": "by hand"}}}}}
    before = (await server.patch(path, edit)).json()
    after = await _take_over(server, path)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert ("kubectl", "Update", "") not in entries(after)
    assert "f:annotations" in entries(after)[MAIN]["f:spec"]["f:template"]["f:metadata"]
    # One apply without the fields then removes them.
    answer = await server.apply(path, deployment(replicas=1))
    assert "note" not in (answer.json()["spec"]["template"]["metadata"].get("annotations") or {})


async def _take_over(server: Server, path: str) -> Json:
    """Move what kubectl owns to klepaas; again where a controller's status came between."""
    with anyio.fail_after(LIMIT_S):
        while True:
            there = await server.get(path)
            given = there["metadata"]["managedFields"]
            theirs, mine = (next(one for one in given if one["manager"] == who) for who in ("kubectl", "klepaas"))
            moved = theirs["fieldsV1"]["f:spec"]["f:template"]["f:metadata"]
            mine["fieldsV1"]["f:spec"]["f:template"]["f:metadata"] |= moved
            held = {"op": "test", "path": "/metadata/resourceVersion", "value": there["metadata"]["resourceVersion"]}
            kept = [one for one in given if one is not theirs]
            transfer = [held, {"op": "replace", "path": "/metadata/managedFields", "value": kept}]
            answer = await server.patch(path, transfer, JSON_PATCH, "klepaas")
            if answer.status_code == 200:
                found: Json = answer.json()
                return found
            assert answer.status_code in (409, 422), answer.text


@pytest.mark.parametrize("kind", [MERGE, STRATEGIC])
async def test_a_patch_that_only_removes_leaves_no_entry_and_one_that_replaces_does(server: Server, kind: str) -> None:
    path = server.path("configmaps", "settings")
    await server.apply(path, config_map({"a": "1", "b": "2", "c": "3"}))
    removed = await server.patch(path, {"data": {"c": None}}, kind, "cleaner")
    assert removed.json()["data"] == {"a": "1", "b": "2"}
    assert ("cleaner", "Update", "") not in entries(removed.json())
    replaced = await server.patch(path, {"data": {"b": None, "a": "9"}}, kind, "cleaner")
    assert entries(replaced.json())["cleaner", "Update", ""] == {"f:data": {"f:a": {}}}


async def test_an_apply_with_a_stale_resource_version_is_a_conflict_without_causes(server: Server) -> None:
    path = server.path("configmaps", "settings")
    first = (await server.apply(path, config_map({"a": "1"}))).json()
    await server.apply(path, config_map({"a": "2"}))
    stale = config_map({"a": "3"}, resourceVersion=first["metadata"]["resourceVersion"])
    refused = await server.apply(path, stale)
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    assert not (refused.json().get("details") or {}).get("causes")


async def test_an_apply_with_a_resource_version_creates_what_is_absent(server: Server) -> None:
    answer = await server.apply(
        server.path("configmaps", "new"), config_map({"a": "1"}, "new", resourceVersion="12345")
    )
    assert answer.status_code == 201, answer.text


async def test_an_apply_with_a_uid_creates_nothing(server: Server) -> None:
    uid = "3f1f8a0e-4a3b-4a5c-9f6a-2d8b7c6e5f40"
    refused = await server.apply(server.path("configmaps", "new"), config_map({"a": "1"}, "new", uid=uid))
    assert refused.status_code == 409
    assert "uid mismatch" in refused.json()["message"]
    assert (await server.http.get(server.path("configmaps", "new"))).status_code == 404


async def test_an_apply_with_the_wrong_uid_is_refused(server: Server) -> None:
    path = server.path("configmaps", "settings")
    await server.apply(path, config_map({"a": "1"}))
    refused = await server.apply(path, config_map({"a": "2"}, uid="3f1f8a0e-4a3b-4a5c-9f6a-2d8b7c6e5f40"))
    assert refused.status_code == 422, refused.text
    # A real server checks some kinds twice.
    assert {(one["field"], one["message"]) for one in refused.json()["details"]["causes"]} == {
        ("metadata.uid", 'Invalid value: "3f1f8a0e-4a3b-4a5c-9f6a-2d8b7c6e5f40": field is immutable')
    }


async def test_what_is_created_by_post_is_owned_by_an_update_with_its_defaults(server: Server) -> None:
    made = await server.http.post(
        server.path("deployments", group="apps/v1"), params={"fieldManager": "klepaas"}, json=deployment()
    )
    assert made.status_code == 201, made.text
    found = entries(made.json())
    assert set(found) == {("klepaas", "Update", "")}
    assert {"f:progressDeadlineSeconds", "f:strategy"} <= set(found["klepaas", "Update", ""]["f:spec"])


async def test_an_apply_with_a_generated_name_is_refused(server: Server) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}, "data": {"a": "1"}}
    assert (await server.apply(server.path("configmaps"), body)).status_code == 405


async def test_an_apply_of_one_key_of_a_secret_removes_the_others(server: Server) -> None:
    path = server.path("secrets", "login")
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}}
    one, two = (b64encode(text.encode()).decode() for text in ("one", "two"))
    await server.apply(path, {**body, "data": {"a": one, "b": two}})
    answer = await server.apply(path, {**body, "data": {"a": one}})
    assert answer.json()["data"] == {"a": one}


async def test_plain_text_of_a_secret_is_owned_under_its_own_name_so_that_its_data_is_nobodys(server: Server) -> None:
    path = server.path("secrets", "login")
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}}
    made = (await server.apply(path, {**body, "stringData": {"a": "one"}})).json()
    assert made["data"] == {"a": b64encode(b"one").decode()}
    assert "stringData" not in made
    owned = entries(made)[MAIN]
    assert ("f:stringData" in owned, "f:data" in owned) == (True, False)
    # So an apply that no longer names it removes nothing.
    without = await server.apply(path, body)
    assert (without.status_code, without.json().get("data")) == (200, made["data"])
    assert MAIN not in entries(without.json())


def selecting(app: str) -> Json:
    labels = {"app": app}
    template = containers({"name": "main", "image": "example/app:1"})
    template["metadata"]["labels"] = labels
    return deployment(selector={"matchLabels": labels}, template=template)


def service(**spec: Any) -> Json:
    body = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": body}


def job(image: str) -> Json:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}
    spec = {"parallelism": 0, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web"}, "spec": spec}


def stateful_set(size: str, service_name: str = "web") -> Json:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    spec = {**deployment()["spec"], "replicas": 0, "serviceName": service_name}
    spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"}, "spec": spec}


ONLY = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'"


@pytest.mark.parametrize(
    ("plural", "before", "after", "field", "said"),
    [
        ("apps/v1/deployments", selecting("web"), selecting("other"), "spec.selector", "field is immutable"),
        ("/services", service(), service(clusterIP="10.0.77.7"), "spec.clusterIPs[0]", "may not change once set"),
        ("/services", service(), service(clusterIP="None"), "spec.clusterIPs[0]", "may not change once set"),
        ("batch/v1/jobs", job("example/app:1"), job("example/app:2"), "spec.template", "field is immutable"),
        ("apps/v1/statefulsets", stateful_set("1Gi"), stateful_set("2Gi"), "spec", ONLY),
        ("apps/v1/statefulsets", stateful_set("1Gi"), stateful_set("1Gi", "other"), "spec", ONLY),
    ],
    ids=["selector", "clusterIP", "clusterIP None", "Job template", "volumeClaimTemplates", "serviceName"],
)  # fmt: skip
async def test_an_immutable_field_is_refused_by_name(
    server: Server, plural: str, before: Json, after: Json, field: str, said: str
) -> None:
    group, _, kind = plural.rpartition("/")
    path = server.path(kind, "web", group)
    assert (await server.apply(path, before)).status_code == 201
    refused = await server.apply(path, after)
    assert (refused.status_code, refused.json()["reason"]) == (422, "Invalid")
    assert [one["field"] for one in refused.json()["details"]["causes"]] == [field]
    assert said in refused.json()["message"]
    # Nothing was written, and a dry run says so as well.
    assert (await server.apply(path, after, dry_run=True)).status_code == 422
    assert (await server.apply(path, before)).status_code == 200


async def test_an_apply_to_what_is_being_deleted_is_accepted_and_it_vanishes_all_the_same(server: Server) -> None:
    path = server.path("configmaps", "settings")
    await server.apply(path, config_map({"a": "1"}, finalizers=["example.com/wait"]))
    await server.http.delete(path)
    answer = await server.apply(path, config_map({"a": "2"}, finalizers=["example.com/wait"]))
    assert answer.status_code == 200, answer.text
    assert answer.json()["metadata"]["deletionTimestamp"]
    await server.patch(path, {"metadata": {"finalizers": None}})
    assert (await server.http.get(path)).status_code == 404


async def test_a_dry_run_promises_nothing_about_a_quota(server: Server) -> None:
    hard: Json = {"spec": {"hard": {"services": "1"}}}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, **hard}
    assert (await server.apply(server.path("resourcequotas", "few"), quota)).status_code == 201
    await server.until(server.path("resourcequotas", "few"), lambda found: "used" in (found.get("status") or {}))

    for name in ("a", "b"):
        answer = await server.apply(
            server.path("services", name), {**service(), "metadata": {"name": name}}, dry_run=True
        )
        assert answer.status_code == 201, answer.text
    codes = [
        (await server.apply(server.path("services", name), {**service(), "metadata": {"name": name}})).status_code
        for name in ("a", "b")
    ]
    assert codes == [201, 403]


async def test_an_empty_entry_wipes_what_everybody_owns(server: Server) -> None:
    path = server.path("configmaps", "settings")
    there = (await server.apply(path, config_map({"a": "1"}))).json()
    there["metadata"]["managedFields"] = [{}]
    answer = await server.http.put(path, params={"fieldManager": "someone"}, json=there)
    assert answer.status_code == 200, answer.text
    assert MAIN not in entries(answer.json())


@pytest.mark.parametrize(
    "container",
    [
        {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        {"ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "TCP", "name": "b"}]},
    ],
    ids=["variables of one name", "ports of one number"],
)
async def test_duplicate_items_in_an_applied_body_are_answered_with_500(server: Server, container: Json) -> None:
    main = {"name": "main", "image": "example/app:1", **container}
    refused = await server.apply(server.deployment(), deployment(template=containers(main)))
    assert refused.status_code == 500
    assert "failed to create typed patch object" in refused.json()["message"]
    made = await server.http.post(
        server.path("deployments", group="apps/v1"), json=deployment(template=containers(main))
    )
    assert made.status_code == 201, made.text


async def test_what_lies_in_no_namespace_or_is_of_no_kind_is_not_found_by_a_dry_run(server: Server) -> None:
    nowhere = await server.apply(server.path("configmaps", "a", namespace="no-such"), config_map({}, "a"), dry_run=True)
    assert (nowhere.status_code, 'namespaces "no-such" not found' in nowhere.json()["message"]) == (404, True)
    nothing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}}
    unknown = await server.apply(server.path("things", "a", "example.com/v1"), nothing, dry_run=True)
    assert unknown.status_code == 404


async def test_a_namespace_that_ends_says_so_as_a_cause(server: Server) -> None:
    name = f"{server.namespace}-ending"
    await server.http.post("/api/v1/namespaces", json={"metadata": {"name": name}})
    held = server.path("configmaps", "held", namespace=name)
    await server.apply(held, config_map({}, "held", finalizers=["example.com/wait"]))
    await server.http.delete(f"/api/v1/namespaces/{name}")
    refused = await server.apply(server.path("configmaps", "late", namespace=name), config_map({}, "late"))
    await server.patch(held, {"metadata": {"finalizers": None}})
    assert refused.status_code == 403
    assert [one["reason"] for one in refused.json()["details"]["causes"]] == ["NamespaceTerminating"]


@pytest.mark.parametrize(
    ("live", "applied", "merged"),
    [
        (["a", "b"], ["b", "a"], ["b", "a"]),
        (["a", "b", "c"], ["c", "a", "b"], ["c", "a", "b"]),
        (["a", "theirs", "b"], ["b", "a"], ["theirs", "b", "a"]),
        (["theirs", "a"], ["new", "a"], ["theirs", "new", "a"]),
        (["a", "theirs"], ["a", "new"], ["a", "theirs", "new"]),
    ],
)
async def test_the_items_of_a_list_with_keys_take_the_order_of_the_applied_list(
    server: Server, live: list[str], applied: list[str], merged: list[str]
) -> None:
    def body(names: list[str]) -> Json:
        env = [{"name": name, "value": "1"} for name in names]
        return deployment(template=containers({"name": "main", "image": "example/app:1", "env": env}))

    path = server.deployment()
    assert (await server.apply(path, body(live), manager="somebody")).status_code == 201
    answer = await server.apply(path, body(applied))
    assert answer.status_code == 200, answer.text
    env = answer.json()["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [one["name"] for one in env] == merged
