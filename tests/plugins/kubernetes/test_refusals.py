"""A text of admission decides what a refusal is, whatever its HTTP code: when planning, and when writing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from klepaas.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    KlepaasError,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from klepaas.resilience import OutcomeUnknown
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.errors import Act, BehindIt, Invalid, error_for
from klepaas_plugins.kubernetes.refusals import Refusal, find_refusal
from klepaas_plugins.kubernetes.sandbox import Sandbox
from klepaas_plugins.kubernetes.sandbox.webhooks import Webhook

pytestmark = pytest.mark.anyio

EVERY_CODE = range(400, 600)
USER = 'user "ann" (groups=["dev" "system:authenticated"])'
TEXTS: dict[str, tuple[str, Refusal, type[KlepaasError], str]] = {
    "webhook": (
        'admission webhook "sign.example.com" denied the request: images must be signed',
        Refusal.WEBHOOK, BadRequest, "images must be signed",
    ),
    "webhook without a text": (
        'admission webhook "sign.example.com" denied the request without explanation',
        Refusal.WEBHOOK, BadRequest, "without explanation",
    ),
    "policy": (
        "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'few' denied request: "
        "at most 5 replicas",
        Refusal.POLICY, Invalid, "at most 5 replicas",
    ),
    "quota": (
        'services "web2" is forbidden: exceeded quota: q, requested: services=1, used: services=1, limited: services=1',
        Refusal.QUOTA, Forbidden, "exceeded quota",
    ),
    "quota that wants limits": (
        'pods "web" is forbidden: failed quota: q: must specify cpu', Refusal.QUOTA, Forbidden, "must specify",
    ),
    "pod security": (
        'pods "web" is forbidden: violates PodSecurity "restricted:latest": privileged (container "main" must not)',
        Refusal.POD_SECURITY, Forbidden, "violates PodSecurity",
    ),
    "escalation": (
        f'roles.rbac.authorization.k8s.io "r" is forbidden: {USER} is attempting to grant RBAC permissions not '
        'currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}',
        Refusal.ESCALATION, Forbidden, "attempting to grant RBAC permissions",
    ),
    "limit range": (
        'pods "web" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
        Refusal.ADMISSION, Forbidden, "maximum cpu usage",
    ),
    "terminating namespace": (
        'configmaps "x" is forbidden: unable to create new content in namespace shop because it is being terminated',
        Refusal.NAMESPACE_ENDING, Conflict, "being terminated",
    ),
    "missing rights": (
        'deployments.apps "web" is forbidden: User "ann" cannot patch resource "deployments" in API group "apps" in '
        'the namespace "shop"',
        Refusal.RIGHTS, Forbidden, "cannot patch resource",
    ),
    "webhook that is not there": (
        'Internal error occurred: failed calling webhook "x.example.com": failed to call webhook: Post '
        '"https://x.shop.svc:443/?timeout=10s": dial tcp 10.0.0.9:443: connect: connection refused',
        Refusal.WEBHOOK_UNREACHABLE, BehindIt, "failed calling webhook",
    ),
}  # fmt: skip


def _error(code: int, text: str, *, changes: bool, reason: str = "") -> KlepaasError:
    body = {"kind": "Status", "status": "Failure", "message": text, "reason": reason, "code": code}
    return error_for(Act("apply", "Deployment web", "prod", "web", changes), code, json.dumps(body).encode())


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_admission_is_one_error_with_its_text_at_every_code_from_400_to_599(name: str) -> None:
    text, refusal, kind, part = TEXTS[name]
    assert find_refusal(text) is refusal
    for code in EVERY_CODE:
        for changes in (False, True):
            for reason in ("", "Unauthorized", "TooManyRequests", "InternalError", "Conflict", "NotFound"):
                error = _error(code, text, changes=changes, reason=reason)
                assert type(error) is kind, (code, changes, reason, error)
                assert part in error.what, (code, error.what)
                assert error.next_step


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("quoted", TEXTS)
def test_what_a_webhook_or_a_policy_quotes_of_another_refusal_does_not_count(name: str, quoted: str) -> None:
    text, refusal, _, _ = TEXTS[name]
    assert find_refusal(f"{text} {TEXTS[quoted][0]}") is refusal
    assert find_refusal(f"Cannot apply Deployment web (context prod): {text}") is refusal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Unauthorized",
        "the object has been modified",
        "etcdserver: request timed out",
        'deployments.apps "nope" not found',
        'deployments.apps "forbidden" already exists',
        "spec.replicas: Forbidden: field is immutable",
        'ConfigMap "web" is invalid: data: Invalid value: "exceeded quota: q": must be short',
        'admission webhook "x" does not support dry run',
    ],
)
def test_a_text_that_is_none_of_admission_leaves_it_to_the_code(text: str) -> None:
    assert find_refusal(text) is None


@pytest.mark.parametrize(
    ("code", "reason", "text", "changes", "kind"),
    [
        (401, "Unauthorized", "Unauthorized", False, Unauthorized),
        (401, "", "who are you?", False, Unauthorized),
        (403, "Forbidden", "", False, Forbidden),
        (404, "NotFound", "the server could not find the requested resource", False, NotFound),
        (429, "TooManyRequests", "too many requests, please try again later", False, RateLimited),
        (500, "InternalError", "etcdserver: request timed out", True, OutcomeUnknown),
        (503, "ServiceUnavailable", "the server is starting", False, Unavailable),
        (503, "ServiceUnavailable", "the server is starting", True, OutcomeUnknown),
        (504, "Timeout", "request did not complete", False, TimedOut),
    ],
)
def test_without_such_a_text_the_code_decides_and_what_was_said_stays(
    code: int, reason: str, text: str, changes: bool, kind: type[KlepaasError]
) -> None:
    error = _error(code, text, changes=changes, reason=reason)
    assert type(error) is kind
    assert text in error.what or reason == "Unauthorized" or code == 404


def _body(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def _sent(sandbox: Sandbox, *, dry_run: bool) -> int:
    """How often an apply reached the API server."""
    found = (one for one in sandbox.requests if one.method == "PATCH")
    return sum(("dryRun" in one.query) is dry_run for one in found)


def _deny(sandbox: Sandbox, code: int, **more: Any) -> None:
    sandbox.clear_faults()
    sandbox.clear_requests()
    sandbox.add_webhook(Webhook(resource="configmaps", denies=True, code=code, message=f"no, says {code}", **more))


@pytest.mark.parametrize("dry_run", [True, False], ids=["plan", "write"])
async def test_a_webhooks_denial_is_sent_once_and_keeps_its_text_at_every_code_from_400_to_599(
    sandbox: Sandbox, cluster: Cluster, dry_run: bool
) -> None:
    for code in EVERY_CODE:
        _deny(sandbox, code, lets_dry_runs_through=not dry_run)
        with pytest.raises(BadRequest, match=f"denied the request: no, says {code}"):
            await cluster.apply(_body("settings"), dry_run=dry_run)
        assert _sent(sandbox, dry_run=dry_run) == 1, code
    assert sandbox.get("ConfigMap", "settings") is None
    sandbox.clear_faults()
    await cluster.apply(_body("settings"))  # the API server is not taken for ill


def _walk() -> Iterator[tuple[str, int]]:
    """Each text at codes of every class, and the webhook's at those that mean something to HTTP."""
    for name in TEXTS:
        yield name, {"webhook that is not there": 500}.get(name, 401)
        yield name, 429
    for code in (400, 403, 404, 407, 409, 410, 413, 422, 425, 500, 502, 503, 504, 599):
        yield "webhook", code


@pytest.mark.parametrize("mode", ["plan", "write"])
async def test_a_tools_answer_keeps_the_text_of_admission_whatever_its_code_and_changes_nothing(
    sandbox: Sandbox, change: Any, mode: str
) -> None:
    manifest = json.dumps(_body("settings"))
    where = "dryRun=All" if mode == "plan" else "^(?!.*dryRun).*/configmaps/"
    for name, code in _walk():
        text, refusal, _, part = TEXTS[name]
        sandbox.clear_faults()
        sandbox.clear_requests()
        sandbox.fail("PATCH", where, code, message=text)
        answer = await change("k8s_apply", manifests=manifest, dry_run=mode == "plan")
        said = answer.content[0].text
        assert answer.is_error, (name, code, said)
        assert part in said, (name, code, said)
        assert bool((answer.meta or {}).get("retryable")) is (refusal is Refusal.WEBHOOK_UNREACHABLE), (name, code)
        assert _sent(sandbox, dry_run=mode == "plan") == 1, (name, code)
    assert sandbox.get("ConfigMap", "settings") is None


@pytest.mark.parametrize("code", [401, 404, 409, 429, 503])
async def test_a_deployment_that_a_webhook_denies_half_way_is_undone_at_once_with_the_webhooks_text(
    sandbox: Sandbox, change: Any, code: int
) -> None:
    hook = Webhook(resource="services", denies=True, code=code, message="no ports", lets_dry_runs_through=True)
    sandbox.add_webhook(hook)
    answer = await change("deploy_application", app_name="web", image="example/app:1", port=8080)
    said = answer.content[0].text
    assert answer.is_error
    assert "denied the request: no ports" in said, said
    assert not (answer.meta or {}).get("retryable"), said
    applied = [one for one in sandbox.requests if one.method == "PATCH" and one.path.endswith("/services/web")]
    assert sum("dryRun" not in one.query for one in applied) == 1, "it is not sent again"
