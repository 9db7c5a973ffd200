"""What roles allow in a namespace, and that nobody grants more than they hold: on both servers."""

from __future__ import annotations

import httpx
import pytest

from .api_server import RBAC, Json, Server, config_map, deployment

pytestmark = pytest.mark.anyio
ROLES = ("view", "edit", "admin")
REVISION = {"metadata": {"name": "r"}, "revision": 1, "data": {"a": 1}}


async def bound(server: Server, role: str) -> Server:
    """The server, for a user who has a role in its namespace alone."""
    user = f"{role}-of-{server.namespace}"
    made = await server.post(server.path("rolebindings", group=f"{RBAC}/v1"), binding(role, user, role))
    assert made.status_code == 201, made.text
    allowed = server.impersonate(user)
    # A real server's authorizer hears of the binding a moment later.
    await server.answers(lambda: allowed.read(server.path("configmaps")), lambda answer: answer.status_code == 200)
    return allowed


async def with_rules(server: Server, *rules: Json) -> Server:
    """The server, for a user who may do this in its namespace alone, and read ConfigMaps."""
    user, seen = f"some-of-{server.namespace}", {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}
    head = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "some"}}
    role = await server.apply(server.path("roles", "some", f"{RBAC}/v1"), {**head, "rules": [*rules, seen]})
    made = await server.post(server.path("rolebindings", group=f"{RBAC}/v1"), binding("some", user, "some", "Role"))
    assert (role.status_code, made.status_code) == (201, 201)
    allowed = server.impersonate(user)
    await server.answers(lambda: allowed.read(server.path("configmaps")), lambda answer: answer.status_code == 200)
    return allowed


def binding(name: str, user: str, role: str, kind: str = "ClusterRole") -> Json:
    subjects = [{"kind": "User", "name": user, "apiGroup": RBAC}]
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": subjects,
    }


def cannot(answer: httpx.Response, server: Server, what: str) -> bool:
    """Whether an answer refuses for lack of rights, in the text that says so."""
    said = answer.json()["message"]
    return answer.status_code == 403 and f'is forbidden: User "{server.user}" cannot {what} in API group' in said


@pytest.mark.parametrize("role", ROLES)
async def test_every_role_reads_the_uid_of_its_own_namespace_and_not_of_kube_system(server: Server, role: str) -> None:
    user = await bound(server, role)
    own = await user.read(f"/api/v1/namespaces/{server.namespace}")
    assert (own.status_code, bool(own.json()["metadata"]["uid"])) == (200, True)
    refused = await user.read("/api/v1/namespaces/kube-system")
    assert refused.json()["message"] == (
        f'namespaces "kube-system" is forbidden: User "{user.user}" cannot get resource "namespaces" in API group "" '
        'in the namespace "kube-system"'
    )
    assert cannot(await user.read("/api/v1/namespaces"), user, 'list resource "namespaces"')
    assert cannot(await user.read("/api/v1/nodes"), user, 'list resource "nodes"')


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_creates_controller_revisions_and_every_role_reads_them(server: Server, role: str) -> None:
    user = await bound(server, role)
    path = server.path("controllerrevisions", group="apps/v1")
    assert cannot(await user.post(path, REVISION), user, 'create resource "controllerrevisions"')
    assert (await user.read(path)).status_code == 200
    applied = await user.apply(f"{path}/r", {"apiVersion": "apps/v1", "kind": "ControllerRevision", **REVISION})
    assert cannot(applied, user, 'patch resource "controllerrevisions"')


@pytest.mark.parametrize(("role", "reads", "writes"), [("view", 403, 403), ("edit", 200, 201), ("admin", 200, 201)])
async def test_secrets_are_read_by_those_who_may_write_them_alone(
    server: Server, role: str, reads: int, writes: int
) -> None:
    user = await bound(server, role)
    made = await user.post(server.path("secrets"), {"metadata": {"name": "login"}})
    assert (made.status_code, (await user.read(server.path("secrets"))).status_code) == (writes, reads)


@pytest.mark.parametrize(("role", "writes"), [("view", 403), ("edit", 201), ("admin", 201)])
async def test_config_maps_are_read_by_every_role_and_written_by_those_who_edit(
    server: Server, role: str, writes: int
) -> None:
    user = await bound(server, role)
    made = await user.apply(server.path("configmaps", "settings"), config_map({"a": "1"}))
    assert (made.status_code, (await user.read(server.path("configmaps"))).status_code) == (writes, 200)


@pytest.mark.parametrize("role", ROLES)
async def test_every_role_may_ask_who_and_what_it_is(server: Server, role: str) -> None:
    user = await bound(server, role)
    who = await user.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert who.status_code == 201, who.text
    assert who.json()["status"]["userInfo"] == {"username": user.user, "groups": ["system:authenticated"]}
    for resource, group, allowed in (("deployments", "apps", role != "view"), ("controllerrevisions", "apps", False)):
        asked = {"verb": "create", "group": group, "resource": resource, "namespace": server.namespace}
        review = await user.post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"resourceAttributes": asked}}
        )
        assert review.json()["status"].get("allowed") is allowed
    assert (await user.read("/version")).status_code == (await user.read("/api")).status_code == 200
    assert "cannot get path" in (await user.read("/metrics")).json()["message"]


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
async def test_a_binding_to_an_absent_role_is_not_found_for_a_namespaces_admin_and_made_for_a_clusters(
    server: Server, kind: str
) -> None:
    admin, path = await bound(server, "admin"), server.path("rolebindings", group=f"{RBAC}/v1")
    refused = await admin.post(path, binding("b", "somebody", "no-such", kind))
    assert (refused.status_code, refused.json()["reason"]) == (404, "NotFound")
    assert refused.json()["message"] == f'rolebindings.{RBAC} "no-such" not found'
    assert (await server.post(path, binding("b", "somebody", "no-such", kind))).status_code == 201


async def test_a_role_that_grants_more_than_its_writer_holds_is_escalation(server: Server) -> None:
    admin, path = await bound(server, "admin"), server.path("roles", "r", f"{RBAC}/v1")
    body = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "r"}}
    held = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    more = {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "impersonate"]}
    assert (await admin.apply(path, {**body, "rules": [held]})).status_code == 201
    refused = await admin.apply(path, {**body, "rules": [held, more]})
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    assert refused.json()["message"] == (
        f'roles.{RBAC} "r" is forbidden: user "{admin.user}" (groups=["system:authenticated"]) is attempting to grant '
        "RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["nodes"], Verbs:["get" "impersonate"]}\n'
        '{APIGroups:[""], Resources:["pods"], Verbs:["impersonate"]}'
    )
    assert (await server.apply(path, {**body, "rules": [held, more]}, force=True)).status_code == 200


async def test_a_binding_that_grants_more_than_its_writer_holds_is_escalation(server: Server) -> None:
    admin, path = await bound(server, "admin"), server.path("rolebindings", group=f"{RBAC}/v1")
    refused = await admin.post(path, binding("b", "somebody", "cluster-admin"))
    assert refused.status_code == 403
    assert refused.json()["message"].endswith(
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}'
    )
    assert (await admin.post(path, binding("b", "somebody", "view"))).status_code == 201


async def test_who_may_scale_alone_cannot_apply_the_workload(server: Server) -> None:
    path = server.deployment()
    await server.apply(path, deployment(replicas=1))
    rule = {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]}
    user = await with_rules(server, rule)
    assert (await user.patch(f"{path}/scale", {"spec": {"replicas": 2}})).status_code == 200
    assert cannot(await user.apply(path, deployment(replicas=3)), user, 'patch resource "deployments"')
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 3}}
    assert (await user.apply(f"{path}/scale", scale, force=True)).status_code == 200


async def test_who_may_not_read_a_secret_cannot_set_one_key_of_it_without_removing_the_others(server: Server) -> None:
    path = server.path("secrets", "login")
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}}
    await server.apply(path, {**body, "data": {"a": "b25l", "b": "dHdv"}})
    user = await with_rules(server, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["patch"]})
    assert cannot(await user.read(path), user, 'get resource "secrets"')
    answer = await user.apply(path, {**body, "data": {"a": "b25l"}})
    assert (answer.status_code, answer.json()["data"]) == (200, {"a": "b25l"})


async def test_a_named_resource_is_allowed_by_its_name_alone(server: Server) -> None:
    await server.apply(server.path("secrets", "a"), {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get"]}
    user = await with_rules(server, rule)
    assert (await user.read(server.path("secrets", "a"))).status_code == 200
    assert cannot(await user.read(server.path("secrets", "b")), user, 'get resource "secrets"')
    assert cannot(await user.read(server.path("secrets")), user, 'list resource "secrets"')


async def test_wrong_credentials_are_401_with_the_reason_and_none_are_nobody_who_may_do_nothing(server: Server) -> None:
    if server.sandbox is not None:
        server.sandbox.rotate_token("another")
    path = server.path("configmaps", "settings")
    async with httpx.AsyncClient(base_url=server.http.base_url, verify=server.trusted, trust_env=False) as stranger:
        wrong = await stranger.get(path, headers={"authorization": "Bearer wrong"})
        nobody = await stranger.get(path)
    assert (wrong.status_code, wrong.json()["reason"], wrong.json()["message"]) == (401,) + ("Unauthorized",) * 2
    assert nobody.status_code == 403
    assert nobody.json()["message"] == (
        'configmaps "settings" is forbidden: User "system:anonymous" cannot get resource "configmaps" in API group "" '
        f'in the namespace "{server.namespace}"'
    )
