"""What server-side apply does to owners, removals, preconditions and odd bodies: on the sandbox and on a real server.

    KLEPAAS_TEST_KUBECONFIG=~/.kube/config pytest -m cluster tests/plugins/kubernetes/sandbox/test_server_side_apply.py

Each test works in a namespace of its own. What is asserted was measured on Kubernetes 1.36.
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
LIMIT_S = scale_timeout(15)


@dataclass
class Server:
    """An API server, and a namespace in it that a test has for itself.

    Attributes:
        http: Its client.
        namespace: The namespace.
        is_real: Whether it is no sandbox.
    """

    http: httpx.AsyncClient
    namespace: str
    is_real: bool

    def path(self, plural: str, name: str = "", group: str = "", namespace: str = "") -> str:
        head = f"/apis/{group}" if group else "/api/v1"
        return f"{head}/namespaces/{namespace or self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def apply(
        self, path: str, body: Json, manager: str = "klepaas", *, force: bool = False, dry_run: bool = False
    ) -> httpx.Response:
        query = {"fieldManager": manager, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        return await self.http.patch(path, params=query, content=json.dumps(body), headers={"content-type": APPLY})

    async def patch(self, path: str, body: Any, kind: str = MERGE, manager: str = "kubectl") -> httpx.Response:
        headers = {"content-type": kind}
        return await self.http.patch(path, params={"fieldManager": manager}, content=json.dumps(body), headers=headers)

    async def get(self, path: str) -> Json:
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def deployment(self, name: str = "web") -> str:
        return self.path("deployments", name, "apps/v1")


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.cluster)])
async def server(request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Server]:
    if request.param == "sandbox":
        async with (
            Sandbox(Timing.instant()) as sandbox,
            httpx.AsyncClient(base_url=sandbox.url, timeout=LIMIT_S, trust_env=False) as http,
        ):
            sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "applied"}})
            yield Server(http, "applied", is_real=False)
        return
    found = os.environ.get("KLEPAAS_TEST_KUBECONFIG")
    if not found:
        pytest.skip("KLEPAAS_TEST_KUBECONFIG names no real API server")
    async with _client_of(Path(found), tmp_path) as http:
        namespace = f"klepaas-apply-{secrets.token_hex(4)}"
        made = await http.post("/api/v1/namespaces", json={"metadata": {"name": namespace}})
        assert made.status_code == 201, made.text
        try:
            yield Server(http, namespace, is_real=True)
        finally:
            await http.delete(f"/api/v1/namespaces/{namespace}")


def _client_of(kubeconfig: Path, folder: Path) -> httpx.AsyncClient:
    """A bare client with the certificate of the current context's user."""
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    for name in ("client-certificate-data", "client-key-data"):
        (folder / name).write_bytes(b64decode(user[name]))
    trusted = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    trusted.load_cert_chain(folder / "client-certificate-data", folder / "client-key-data")
    return httpx.AsyncClient(base_url=cluster["server"], verify=trusted, timeout=LIMIT_S, trust_env=False)


def deployment(**spec: Any) -> Json:
    labels = {"app": "web"}
    pod = {"containers": [{"name": "main", "image": "example/app:1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def containers(*found: Json) -> Json:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": list(found)}}


def config_map(data: Json, name: str = "settings", **metadata: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data}


def entries(obj: Json) -> dict[tuple[str, str, str], Json]:
    """What each manager owns, by manager, operation and subresource."""
    found = obj["metadata"].get("managedFields") or []
    return {(one["manager"], one["operation"], one.get("subresource", "")): one["fieldsV1"] for one in found}


MAIN, SCALE = ("klepaas", "Apply", ""), ("klepaas", "Apply", "scale")


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


async def test_a_patch_that_only_removes_leaves_no_entry_and_one_that_replaces_does(server: Server) -> None:
    path = server.path("configmaps", "settings")
    await server.apply(path, config_map({"a": "1", "b": "2", "c": "3"}))
    removed = await server.patch(path, {"data": {"c": None}}, manager="cleaner")
    assert ("cleaner", "Update", "") not in entries(removed.json())
    replaced = await server.patch(path, {"data": {"b": None, "a": "9"}}, manager="cleaner")
    assert ("cleaner", "Update", "") in entries(replaced.json())


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


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"spec": {"selector": {"matchLabels": {"app": "other"}}, "template": {"metadata": {"labels": {"app": "other"}},
          "spec": {"containers": [{"name": "main", "image": "example/app:1"}]}}}}, "spec.selector"),
    ],
)  # fmt: skip
async def test_an_immutable_field_is_refused_by_name(server: Server, change: Json, field: str) -> None:
    path = server.deployment()
    await server.apply(path, deployment())
    refused = await server.apply(path, {**deployment(), **change})
    assert refused.status_code == 422
    assert [one["field"] for one in refused.json()["details"]["causes"]] == [field]
    assert "field is immutable" in refused.json()["message"]


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
    with anyio.fail_after(LIMIT_S):
        path = server.path("resourcequotas", "few")
        while "used" not in ((await server.get(path)).get("status") or {}):  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.05)

    def service(name: str) -> Json:
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}

    for name in ("a", "b"):
        answer = await server.apply(server.path("services", name), service(name), dry_run=True)
        assert answer.status_code == 201, answer.text
    codes = [(await server.apply(server.path("services", name), service(name))).status_code for name in ("a", "b")]
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


async def test_the_data_of_a_controller_revision_is_immutable_and_its_labels_are_too(server: Server) -> None:
    path = server.path("controllerrevisions", "r1", "apps/v1")
    body = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r1"}, "revision": 1}
    assert (await server.apply(path, {**body, "data": {"a": "1"}})).status_code == 201
    refused = await server.apply(path, {**body, "data": {"a": "2"}})
    assert refused.status_code == 422
    assert "field is immutable" in refused.json()["message"]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
async def test_labels_of_an_immutable_object_can_be_changed_and_its_data_cannot(server: Server, kind: str) -> None:
    path = server.path(f"{kind.lower()}s", "release")
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "release"}, "immutable": True}
    value = "b25l"
    assert (await server.apply(path, {**body, "data": {"a": value}})).status_code == 201
    labelled = await server.patch(path, {"metadata": {"labels": {"state": "verified"}}}, manager="klepaas")
    assert labelled.status_code == 200, labelled.text
    refused = await server.patch(path, {"data": {"a": "dHdv"}}, manager="klepaas")
    assert refused.status_code == 422
    assert "field is immutable when `immutable` is set" in refused.json()["message"]


async def test_a_config_map_holds_1_mebibyte_in_all(server: Server) -> None:
    path = server.path("configmaps", "large")
    fits = config_map({"a": "x" * 524_288, "b": "x" * 524_288}, "large")
    assert (await server.apply(path, fits)).status_code == 201
    refused = await server.apply(path, config_map({"a": "x" * 524_288, "b": "x" * 524_289}, "large"))
    assert refused.status_code == 422
    assert "Too long: may not be more than 1048576 bytes" in refused.json()["message"]
