"""What an API server answers when a policy, pod security or the bounds of a quota refuse: on both servers."""

from __future__ import annotations

from typing import Any

import pytest

from .api_server import Json, Server, config_map, containers, deployment

pytestmark = pytest.mark.anyio
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


async def bind_policy(server: Server, reason: str | None) -> None:
    """Refuse ConfigMaps of the name `bad` in the server's namespace, for a reason; None for none."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    validation = {"expression": "object.metadata.name != 'bad'"} | ({"reason": reason} if reason else {})
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]}
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": server.namespace}}}
    binding = {"policyName": server.namespace, "validationActions": ["Deny"], "matchResources": here}
    for plural, part in (("validatingadmissionpolicies", spec), ("validatingadmissionpolicybindings", binding)):
        server.cleanup.append(f"{ADMISSION}/{plural}/{server.namespace}")
        made = await server.post(f"{ADMISSION}/{plural}", {"metadata": {"name": server.namespace}, "spec": part})
        assert made.status_code == 201, made.text


@pytest.mark.parametrize(
    ("reason", "code"), [(None, 422), ("Invalid", 422), ("Forbidden", 403), ("RequestEntityTooLarge", 413)]
)
async def test_an_admission_policy_refuses_with_the_code_of_its_reason(
    server: Server, reason: str | None, code: int
) -> None:
    await bind_policy(server, reason)
    refused = await server.answers(
        lambda: server.apply(server.path("configmaps", "bad"), config_map({}, "bad"), dry_run=True),
        lambda answer: answer.status_code != 201,
    )
    assert (refused.status_code, refused.json()["reason"]) == (code, reason or "Invalid")
    name = server.namespace
    said = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: failed expression: "
    assert refused.json()["message"] == f"configmaps \"bad\" is forbidden: {said}object.metadata.name != 'bad'"


async def test_a_policy_cannot_refuse_as_missing_credentials_are(server: Server) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    validation = {"expression": "true", "reason": "Unauthorized"}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation]}
    refused = await server.post(
        f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": server.namespace}, "spec": spec}
    )
    assert refused.status_code == 422
    assert [cause["message"] for cause in refused.json()["details"]["causes"]] == [
        'Unsupported value: "Unauthorized": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"'
    ]


async def enforce(server: Server, level: str) -> None:
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}}
    assert (await server.patch(f"/api/v1/namespaces/{server.namespace}", labels)).status_code == 200


def pod(container: Json | None = None, **spec: Any) -> Json:
    main = {"name": "main", "image": "example/app:1", **(container or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [main], **spec}}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (pod({"securityContext": {"privileged": True}}),
         'privileged (container "main" must not set securityContext.privileged=true)'),
        (pod(hostNetwork=True, hostPID=True), "host namespaces (hostNetwork=true, hostPID=true)"),
        (pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), 'hostPath volumes (volume "v")'),
        (pod({"securityContext": {"capabilities": {"add": ["SYS_ADMIN", "NET_RAW", "CHOWN"]}}}),
         'non-default capabilities (container "main" must not include "NET_RAW", "SYS_ADMIN" in '
         "securityContext.capabilities.add)"),
        (pod({"ports": [{"containerPort": 80, "hostPort": 80}]}), 'hostPort (container "main" uses hostPort 80)'),
    ],
    ids=["privileged", "host namespaces", "host paths", "capabilities", "host ports"],
)  # fmt: skip
async def test_pod_security_refuses_with_403_what_the_level_forbids(server: Server, body: Json, said: str) -> None:
    await enforce(server, "baseline")
    refused = await server.answers(
        lambda: server.apply(server.path("pods", "p"), body, dry_run=True), lambda answer: answer.status_code != 201
    )
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    assert refused.json()["message"] == f'pods "p" is forbidden: violates PodSecurity "baseline:latest": {said}'
    assert (await server.apply(server.path("pods", "p"), pod(), dry_run=True)).status_code == 201


async def test_the_restricted_level_names_all_that_it_wants(server: Server) -> None:
    await enforce(server, "restricted")
    body = pod(
        {"securityContext": {"capabilities": {"add": ["CHOWN"]}}}, volumes=[{"name": "v", "hostPath": {"path": "/"}}]
    )
    refused = await server.answers(
        lambda: server.apply(server.path("pods", "p"), body, dry_run=True), lambda answer: answer.status_code != 201
    )
    assert refused.json()["message"].partition('latest": ')[2] == (
        'allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"]; container '
        '"main" must not include "CHOWN" in securityContext.capabilities.add), restricted volume types (volume "v" '
        'uses restricted volume type "hostPath"), runAsNonRoot != true (pod or container "main" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "main" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )
    kind = await server.apply(server.path("pods", "p"), pod({"securityContext": RESTRICTED}), dry_run=True)
    assert kind.status_code == 201, kind.text


async def test_a_workload_whose_pods_are_forbidden_is_let_in_with_a_warning_and_has_no_pods(server: Server) -> None:
    await enforce(server, "baseline")
    await server.answers(
        lambda: server.apply(server.path("pods", "p"), pod(hostPID=True), dry_run=True),
        lambda answer: answer.status_code == 403,
    )
    main = {"name": "main", "image": "example/app:1", "securityContext": {"privileged": True}}
    made = await server.apply(server.deployment(), deployment(template=containers(main)))
    assert made.status_code == 201, made.text
    assert "would violate PodSecurity" in made.headers["warning"]
    found = await server.until(server.deployment(), lambda one: _failures(one))
    assert 'violates PodSecurity "baseline:latest": privileged' in _failures(found)[0]["message"]


def _failures(found: Json) -> list[Json]:
    conditions = (found.get("status") or {}).get("conditions") or []
    return [one for one in conditions if (one["type"], one["status"]) == ("ReplicaFailure", "True")]


async def test_a_quota_that_is_used_up_refuses_with_403(server: Server) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
    path = server.path("resourcequotas", "few")
    await server.apply(path, {**quota, "spec": {"hard": {"count/secrets": "0"}}})
    await server.until(path, lambda one: "used" in (one.get("status") or {}))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}}
    refused = await server.apply(server.path("secrets", "login"), secret)
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    assert refused.json()["message"] == (
        'secrets "login" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=0, '
        "limited: count/secrets=0"
    )
