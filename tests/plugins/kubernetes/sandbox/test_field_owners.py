"""Who owns what after a takeover, beside an autoscaler and in custom resources: on both servers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from klepaas.testing import scale_timeout

from .api_server import (
    JSON_PATCH,
    MAIN,
    MANAGED,
    RBAC,
    SCALE,
    Json,
    Server,
    config_map,
    containers,
    deployment,
    entries,
)

pytestmark = pytest.mark.anyio
AUTOSCALER = (MANAGED, "Update", "scale")
# A real cluster looks at its autoscalers every 15 s, for the first time 15 s after they were made.
PERIOD_S = scale_timeout(40)
RESTARTED = "kubectl.kubernetes.io/restartedAt"


async def autoscaled(server: Server) -> str:
    """The path of a Deployment that was applied with one replica, once its autoscaler has made three of it."""
    path = server.deployment()
    assert (await server.apply(path, deployment(replicas=1))).status_code == 201
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    spec = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5}
    body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}}
    scaler = {**body, "spec": {**spec, "metrics": [{"type": "Resource", "resource": metric}]}}
    made = await server.apply(server.path("horizontalpodautoscalers", "web", "autoscaling/v2"), scaler)
    assert made.status_code == 201, made.text
    await server.until(path, lambda found: found["spec"]["replicas"] == 3, PERIOD_S)
    return path


async def test_an_autoscaler_takes_the_replicas_out_of_the_entry_that_applied_them(server: Server) -> None:
    path = await autoscaled(server)
    owners = entries(await server.get(path))
    assert owners[AUTOSCALER] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owners[MAIN]["f:spec"]
    refused = await server.apply(path, deployment(replicas=2))
    assert refused.status_code == 409
    assert refused.json()["message"] == (
        'Apply failed with 1 conflict: conflict with "kube-controller-manager" with subresource "scale" using apps/v1: '
        ".spec.replicas"
    )
    equal = await server.apply(path, deployment(replicas=3))
    owners = entries(equal.json())
    assert equal.status_code == 200
    assert "f:replicas" in owners[MAIN]["f:spec"]
    assert "f:replicas" in owners[AUTOSCALER]["f:spec"]
    without = await server.apply(path, deployment())
    assert (without.status_code, without.json()["spec"]["replicas"]) == (200, 3)
    assert "f:replicas" not in entries(without.json())[MAIN]["f:spec"]


async def test_an_autoscaler_leaves_a_workload_of_zero_replicas_alone(server: Server) -> None:
    path = await autoscaled(server)
    stopped = await server.apply(path, deployment(replicas=0), force=True)
    assert (stopped.status_code, stopped.json()["spec"]["replicas"]) == (200, 0)
    scaler = server.path("horizontalpodautoscalers", "web", "autoscaling/v2")
    await server.until(scaler, lambda found: _reason(found, "ScalingActive") == "ScalingDisabled", PERIOD_S)
    assert (await server.get(path))["spec"]["replicas"] == 0


def _reason(found: Json, kind: str) -> str:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((str(one["reason"]) for one in conditions if one["type"] == kind), "")


def restarted(at: str) -> Json:
    body = deployment(template=containers({"name": "main", "image": "example/app:1"}))
    body["spec"]["template"]["metadata"]["annotations"] = {RESTARTED: at}
    return body


async def test_a_body_made_of_an_old_release_turns_back_what_a_person_did_since(server: Server) -> None:
    path = server.deployment()
    await server.apply(path, restarted("2026-01-01T00:00:00Z"))
    person = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: "2026-02-02T00:00:00Z"}}}}}
    assert (await server.patch(path, person)).status_code == 200
    owners = entries(await server.get(path))
    assert "f:annotations" not in owners[MAIN]["f:spec"]["f:template"]["f:metadata"]
    assert (await server.apply(path, restarted("2026-01-01T00:00:00Z"))).status_code == 409
    # What klepaas owns of the live object no longer names it.
    live = await server.apply(path, deployment(replicas=2))
    assert live.json()["spec"]["template"]["metadata"]["annotations"] == {RESTARTED: "2026-02-02T00:00:00Z"}
    forced = await server.apply(path, restarted("2026-01-01T00:00:00Z"), force=True)
    assert forced.json()["spec"]["template"]["metadata"]["annotations"] == {RESTARTED: "2026-01-01T00:00:00Z"}


async def test_applying_a_whole_object_claims_every_default(server: Server) -> None:
    path = server.deployment()
    made = (await server.apply(path, deployment())).json()
    assert "f:strategy" not in entries(made)[MAIN]["f:spec"]
    whole = {**made, "metadata": {"name": "web"}}
    del whole["status"]
    owned = entries((await server.apply(path, whole)).json())[MAIN]["f:spec"]
    assert {"f:strategy", "f:progressDeadlineSeconds", "f:revisionHistoryLimit", "f:replicas"} <= set(owned)


async def transfer(server: Server, path: str, given: list[Json], version: str, kind: str = "replace") -> httpx.Response:
    held = {"op": kind, "path": "/metadata/resourceVersion", "value": version}
    return await server.patch(
        path, [held, {"op": "replace", "path": "/metadata/managedFields", "value": given}], JSON_PATCH, "klepaas"
    )


@pytest.mark.parametrize("role", ["", "edit"])
async def test_old_updates_and_their_scale_are_folded_into_the_apply_by_one_patch(server: Server, role: str) -> None:
    path, writer = server.deployment(), await _writer(server, role)
    await server.post(server.path("deployments", group="apps/v1"), deployment(replicas=1), "klepaas")
    await server.patch(f"{path}/scale", {"spec": {"replicas": 2}}, manager="klepaas")
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    wanted: Json = {"template": {"metadata": {"annotations": {"note": "a"}}}}
    await server.apply(path, {**body, "spec": wanted})
    assert {MAIN, ("klepaas", "Update", ""), ("klepaas", "Update", "scale")} <= set(entries(await server.get(path)))

    async def fold() -> httpx.Response:
        there = await writer.get(path)
        spec: Json = {"f:replicas": {}, "f:template": {"f:metadata": {"f:annotations": {"f:note": {}}}}}
        mine = {"manager": "klepaas", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1"}
        others = [one for one in there["metadata"]["managedFields"] if one["manager"] != "klepaas"]
        version = there["metadata"]["resourceVersion"]
        answer = await transfer(writer, path, [{**mine, "fieldsV1": {"f:spec": spec}}, *others], version)
        assert answer.status_code in (200, 409), answer.text
        return answer

    before = await server.get(path)
    after = (await server.answers(fold, lambda answer: answer.status_code == 200)).json()
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert [owner for owner in entries(after) if owner[0] == "klepaas"] == [MAIN]
    scaled = await writer.apply(path, {**body, "spec": {**wanted, "replicas": 3}})
    assert (scaled.status_code, scaled.json()["spec"]["replicas"]) == (200, 3)


async def _writer(server: Server, role: str) -> Server:
    if not role:
        return server
    user = f"{role}-of-{server.namespace}"
    subjects = [{"kind": "User", "name": user, "apiGroup": RBAC}]
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    binding = {"metadata": {"name": role}, "roleRef": reference, "subjects": subjects}
    assert (await server.post(server.path("rolebindings", group=f"{RBAC}/v1"), binding)).status_code == 201
    writer = server.impersonate(user)
    await server.answers(lambda: writer.read(server.path("pods")), lambda answer: answer.status_code == 200)
    return writer


@pytest.mark.parametrize(("kind", "code"), [("replace", 409), ("test", 422)])
async def test_a_transfer_that_is_held_to_a_stale_version_is_refused(server: Server, kind: str, code: int) -> None:
    path = server.path("configmaps", "settings")
    stale = (await server.apply(path, config_map({"a": "1"}))).json()["metadata"]
    await server.patch(path, {"data": {"b": "2"}})
    refused = await transfer(server, path, stale["managedFields"], stale["resourceVersion"], kind)
    assert refused.status_code == code
    assert ("kubectl", "Update", "") in entries(await server.get(path))


@pytest.mark.parametrize("version", ["", "0"])
async def test_an_apply_cannot_be_held_to_the_absence_of_an_object(server: Server, version: str) -> None:
    path = server.path("configmaps", "settings")
    assert (await server.apply(path, config_map({"a": "1"}, resourceVersion=version))).status_code == 201
    merged = await server.apply(path, config_map({"b": "2"}, resourceVersion=version), "operator")
    assert (merged.status_code, merged.json()["data"]) == (200, {"a": "1", "b": "2"})


@dataclass
class Things:
    """A kind whose objects need a size and hold a list."""

    server: Server
    group: str
    kind: str
    path: str

    def body(self, **spec: Any) -> Json:
        return {"apiVersion": f"{self.group}/v1", "kind": self.kind, "metadata": {"name": "one"}, "spec": spec}


@pytest.fixture
async def things(server: Server) -> Things:
    word = f"thing{secrets.token_hex(3)}"
    group, kind = "facts.example.com", word.capitalize()
    item = {"type": "object", "properties": {"name": {"type": "string"}}}
    fields = {"size": {"type": "integer"}, "note": {"type": "string"}, "items": {"type": "array", "items": item}}
    spec = {"type": "object", "required": ["size"], "properties": fields}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    names = {"plural": f"{word}s", "singular": word, "kind": kind, "listKind": f"{kind}List"}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    made = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    definition = {"metadata": {"name": f"{word}s.{group}"}, "spec": made}
    plural = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    answer = await server.post(
        plural, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"} | definition
    )
    assert answer.status_code == 201, answer.text
    server.cleanup.append(f"{plural}/{word}s.{group}")
    found = Things(server, group, kind, server.path(f"{word}s", "one", f"{group}/v1"))
    await server.answers(
        lambda: server.apply(found.path, found.body(size=1), dry_run=True), lambda answer: answer.status_code == 201
    )
    return found


async def test_a_manifest_that_lacks_a_required_field_is_refused_once_nobody_else_sets_it(things: Things) -> None:
    server = things.server
    assert (await server.apply(things.path, things.body(size=1))).status_code == 201
    beside = await server.apply(things.path, things.body(note="x"), "operator")
    assert (beside.status_code, beside.json()["spec"]) == (200, {"size": 1, "note": "x"})
    refused = await server.apply(things.path, things.body(note="x"))
    assert refused.status_code == 422
    causes = [(cause["field"], cause["message"]) for cause in refused.json()["details"]["causes"]]
    assert causes == [("spec.size", "Required value")]


async def test_a_list_of_a_custom_resource_is_taken_whole_by_who_adds_to_it(things: Things) -> None:
    server, body = things.server, things.body(size=1, items=[{"name": "a"}])
    made = await server.apply(things.path, body)
    assert entries(made.json())[MAIN] == {"f:spec": {"f:items": {}, "f:size": {}}}
    added = [{"op": "add", "path": "/spec/items/-", "value": {"name": "b"}}]
    owners = entries((await server.patch(things.path, added, JSON_PATCH)).json())
    assert owners[MAIN] == {"f:spec": {"f:size": {}}}
    assert owners["kubectl", "Update", ""] == {"f:spec": {"f:items": {}}}
    refused = await server.apply(things.path, body)
    assert refused.status_code == 409
    assert [cause["field"] for cause in refused.json()["details"]["causes"]] == [".spec.items"]
    forced = await server.apply(things.path, body, force=True)
    assert forced.json()["spec"]["items"] == [{"name": "a"}]


async def test_a_dry_run_says_by_which_keys_the_items_of_lists_are_owned(server: Server) -> None:
    main = {"name": "main", "image": "example/app:1", "ports": [{"containerPort": 80}]}
    tried = await server.apply(server.deployment(), deployment(template=containers(main)), dry_run=True)
    owned = entries(tried.json())[MAIN]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert set(owned) == {'k:{"name":"main"}'}
    assert set(owned['k:{"name":"main"}']["f:ports"]) == {'k:{"containerPort":80,"protocol":"TCP"}'}
    assert (await server.read(server.deployment())).status_code == 404


async def test_a_second_entry_by_the_scale_is_not_made_by_an_apply_of_the_workload_itself(server: Server) -> None:
    path = server.deployment()
    await server.apply(path, deployment(replicas=1))
    scaled = await server.apply(path, deployment(replicas=2))
    assert (scaled.status_code, scaled.json()["spec"]["replicas"]) == (200, 2)
    assert SCALE not in entries(scaled.json())
