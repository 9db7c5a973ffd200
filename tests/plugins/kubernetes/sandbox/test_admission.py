"""What is let in: policies in CEL, LimitRanges, quotas, schedules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from klepaas_plugins.kubernetes.sandbox import Sandbox
from klepaas_plugins.kubernetes.sandbox.cel import EvaluationError, UnsupportedError, compile_cel

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
Until = Callable[[Callable[[], Any]], Awaitable[None]]
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
CRON_JOBS = "/apis/batch/v1/namespaces/default/cronjobs"
HEAD = "admissionregistration.k8s.io/v1"


def bind(sandbox: Sandbox, name: str, expression: str, *actions: str, **validation: Any) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": expression, **validation}],
    }
    sandbox.create({"apiVersion": HEAD, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec})
    binding = {"policyName": name, "validationActions": list(actions)}
    sandbox.create(
        {"apiVersion": HEAD, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": binding}
    )


def config_map(name: str, **data: str) -> Json:
    return {"metadata": {"name": name}, "data": data}


async def test_a_policy_refuses_in_the_words_of_the_api_server(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    bind(sandbox, "names", "object.metadata.name != 'bad'", "Deny")
    refused = await api.post(MAPS, json=config_map("bad"))
    assert refused.status_code == 422
    assert refused.json()["message"] == (
        "configmaps \"bad\" is forbidden: ValidatingAdmissionPolicy 'names' with binding 'names' denied request: "
        "failed expression: object.metadata.name != 'bad'"
    )
    assert (await api.post(MAPS, json=config_map("good"))).status_code == 201
    assert (await api.post("/api/v1/namespaces/default/secrets", json={"metadata": {"name": "bad"}})).status_code == 201


async def test_a_policy_holds_for_changes_and_dry_runs_too(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    bind(sandbox, "grow", "request.operation == 'CREATE' || size(object.data) >= size(oldObject.data)", "Deny")
    await api.post(MAPS, json=config_map("a", x="1", y="2"))
    merge = {"content-type": "application/merge-patch+json"}
    for query in ("", "?dryRun=All"):
        refused = await api.patch(f"{MAPS}/a{query}", json={"data": {"x": None}}, headers=merge)
        assert refused.status_code == 422
    assert (await api.patch(f"{MAPS}/a", json={"data": {"z": "3"}}, headers=merge)).status_code == 200


async def test_a_reason_and_a_message_are_those_of_the_policy(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    expression = "!has(object.data) || object.data.all(key, size(key) < 5)"
    said = "'too long in ' + object.metadata.name"
    bind(sandbox, "short", expression, "Deny", reason="Forbidden", messageExpression=said)
    refused = await api.post(MAPS, json=config_map("a", abcdef="1"))
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    assert refused.json()["message"].endswith("denied request: too long in a")
    bind(sandbox, "missing", "object.data.nope == 'x'", "Deny")
    failed = await api.post(MAPS, json=config_map("b"))
    assert failed.json()["message"].endswith(
        "expression 'object.data.nope == 'x'' resulted in error: no such key: nope"
    )


async def test_a_policy_may_only_warn(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    bind(sandbox, "nice", "object.metadata.name != 'warned'", "Warn", message="not nice")
    response = await api.post(MAPS, json=config_map("warned"))
    assert response.status_code == 201
    assert response.headers["warning"] == (
        "299 - \"Validation failed for ValidatingAdmissionPolicy 'nice' with binding 'nice': not nice\""
    )


async def test_an_expression_that_is_not_understood_is_said_so(api: httpx.AsyncClient) -> None:
    expression = "quantity(object.x).isLessThan(quantity('1'))"
    spec = {"matchConstraints": {"resourceRules": []}, "validations": [{"expression": expression}]}
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    response = await api.post(path, json={"metadata": {"name": "q"}, "spec": spec})
    assert response.status_code == 501
    assert "the sandbox does not do this: the CEL expression" in response.json()["message"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 == 7 && !false", True),
        ("object.a[0].b in ['x', 'y'] ? 'yes' : 'no'", "yes"),
        ("object.a.exists(i, i.b == 'x') && object.a.map(i, i.b) == ['x']", True),
        ("has(object.nope) || object.name.startsWith('w') && object.name.matches('^w.b$')", True),
        ("object.nope == 1 || true", True),
        ("size(object.a) > 0 && string(5) == '5' && int('7') % 4 == 3", True),
        ("-object.n < 0 && object.n / 2 == 2", True),
        ("object.a.filter(i, i.b != 'x').size() == 0", True),
    ],
)
def test_expressions_have_the_values_of_cel(text: str, value: object) -> None:
    assert compile_cel(text)({"object": {"a": [{"b": "x"}], "name": "web", "n": 5}}) == value


@pytest.mark.parametrize("text", ["", "a b", "f(1)", "a.b(", "'open", "a ==", "x.unknown()", "a <<= 5"])
def test_what_is_no_known_expression_is_refused_at_once(text: str) -> None:
    with pytest.raises(UnsupportedError):
        compile_cel(text)


@pytest.mark.parametrize("text", ["a.b", "1 < 'x'", "1 / 0", "true && 1", "[1][3]"])
def test_what_has_no_value_is_an_error(text: str) -> None:
    with pytest.raises(EvaluationError):
        compile_cel(text)({"a": {}})


def pod(**resources: Any) -> Json:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "m", "image": "i", "resources": resources}]}}


async def test_a_limit_range_fills_in_and_refuses(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    item = {
        "type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"},
        "max": {"cpu": "1", "memory": "1Gi"}, "min": {"cpu": "50m"}, "maxLimitRequestRatio": {"cpu": "10"},
    }  # fmt: skip
    sandbox.create({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [item]}})
    made = (await api.post(f"{PODS}?dryRun=All", json=pod(limits={"memory": "1Gi"}))).json()
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "500m", "memory": "1Gi"},
        "requests": {"cpu": "100m", "memory": "1Gi"},
    }
    said = made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert said == "LimitRanger plugin set: cpu request for container m; cpu limit for container m"
    refused = await api.post(PODS, json=pod(limits={"cpu": "2", "memory": "1Gi"}))
    assert refused.json()["message"] == ('pods "p" is forbidden: maximum cpu usage per Container is 1, but limit is 2')
    several = await api.post(PODS, json=pod(requests={"cpu": "10m"}, limits={"memory": "1Gi"}))
    assert several.json()["message"] == (
        'pods "p" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m, cpu max limit to request '
        "ratio per Container is 10, but provided ratio is 50.000000]"
    )


async def test_a_quota_sums_requests_and_limits(sandbox: Sandbox, api: httpx.AsyncClient, until: Until) -> None:
    hard = {"requests.cpu": "1", "limits.memory": "1Gi", "pods": "5", "services.nodeports": "0"}
    sandbox.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}})
    silent = await api.post(PODS, json=pod())
    assert silent.json()["message"] == (
        'pods "p" is forbidden: failed quota: q: must specify limits.memory for: m; requests.cpu for: m'
    )
    asked = {"requests": {"cpu": "600m"}, "limits": {"memory": "200Mi"}}
    assert (await api.post(PODS, json=pod(**asked))).status_code == 201
    more = pod(**asked)
    more["metadata"]["name"] = "p2"
    refused = await api.post(PODS, json=more)
    assert refused.json()["message"] == (
        'pods "p2" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, '
        "limited: requests.cpu=1"
    )
    await until(lambda: (sandbox.get("ResourceQuota", "q") or {})["status"].get("used", {}).get("pods") == "1")
    used = (sandbox.get("ResourceQuota", "q") or {})["status"]["used"]
    assert used == {"requests.cpu": "600m", "limits.memory": "200Mi", "pods": "1", "services.nodeports": "0"}
    service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}
    port = await api.post("/api/v1/namespaces/default/services", json=service)
    assert "requested: services.nodeports=1, used: services.nodeports=0" in port.json()["message"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"schedule": "* * * *"}, "expected exactly 5 fields, found 4: [* * * *]"),
        ({"schedule": "61 * * * *"}, "end of range (61) above maximum (59): 61"),
        ({"schedule": "* * 0 * *"}, "beginning of range (0) below minimum (1): 0"),
        ({"schedule": "5-1 * * * *"}, "beginning of range (5) beyond end of range (1): 5-1"),
        ({"schedule": "*/0 * * * *"}, "step of range should be a positive number: */0"),
        ({"schedule": "@foo"}, "unrecognized descriptor: @foo"),
        ({"schedule": "TZ=UTC * * * * *"}, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
        ({"timeZone": "Nope/Zone"}, "unknown time zone Nope/Zone"),
        ({"concurrencyPolicy": "Foo"}, 'supported values: "Allow", "Forbid", "Replace"'),
    ],
)
async def test_a_cron_job_with_a_mistake_is_refused(api: httpx.AsyncClient, spec: Json, said: str) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}
    job = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}, **spec}
    response = await api.post(CRON_JOBS, json={"metadata": {"name": "c"}, "spec": job})
    assert response.status_code == 422
    assert said in response.json()["message"]


@pytest.mark.parametrize("schedule", ["@hourly", "@every 1h30m", "*/5 0-6 1,15 JAN-mar MON", "0 0 * * 0"])
async def test_a_good_schedule_is_taken(api: httpx.AsyncClient, schedule: str) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}
    job = {"schedule": schedule, "timeZone": "Asia/Seoul", "jobTemplate": {"spec": {"template": template}}}
    response = await api.post(CRON_JOBS, json={"metadata": {"name": "c"}, "spec": job})
    assert response.status_code == 201, response.text
