import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from klepaas.output.redaction import MARK
from klepaas_plugins.kubernetes.sandbox import Sandbox, mutating

pytestmark = pytest.mark.anyio
Text = Callable[[Any], str]
HOSTILE = ["", ".", "..", "../x", "%2e%2e", "a/b", "a" * 254, "a\x00b", "-n", "a b", "ａ", "a\n", "a?x=1", "a#b", "a;b"]


def _pod(name: str, namespace: str = "default", **labels: str) -> dict[str, Any]:
    spec = {"nodeName": "elsewhere", "containers": [{"name": "main", "image": "example/app:1"}]}
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "main", "ready": True, "restartCount": 0, "state": state, "lastState": {}}],
    }
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def _config_map(name: str, namespace: str = "default", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def _code(result: Any) -> str:
    assert result.is_error
    return str((result.meta or {})["code"])


async def test_a_list_is_the_servers_table_one_line_an_object(ask: Any, text: Text, sandbox: Sandbox) -> None:
    sandbox.plant(_pod("web-1"))
    sandbox.plant(_pod("web-2"))
    lines = text(await ask("k8s_get", kind="po")).split("\n")
    assert lines[0] == "NAME\tREADY\tSTATUS\tRESTARTS\tAGE"
    assert [line.split("\t")[:3] for line in lines[1:]] == [["web-1", "1/1", "Running"], ["web-2", "1/1", "Running"]]


async def test_a_wide_list_has_every_column(ask: Any, text: Text, sandbox: Sandbox) -> None:
    sandbox.plant(_pod("web-1"))
    assert "\tNODE\t" in text(await ask("k8s_get", kind="pods", output="wide")).split("\n")[0]


async def test_a_list_of_all_namespaces_tells_each(ask: Any, text: Text, sandbox: Sandbox) -> None:
    sandbox.plant(_pod("web-1"))
    sandbox.plant(_pod("dns", "kube-system"))
    lines = text(await ask("k8s_get", kind="pods", all_namespaces=True)).split("\n")
    assert lines[0].startswith("NAMESPACE\tNAME\t")
    assert [line.split("\t")[:2] for line in lines[1:]] == [["default", "web-1"], ["kube-system", "dns"]]
    names = text(await ask("k8s_get", kind="pods", all_namespaces=True, output="names"))
    assert names == "default/web-1\nkube-system/dns"


async def test_selectors_narrow_a_list(ask: Any, text: Text, sandbox: Sandbox) -> None:
    sandbox.plant(_pod("web-1", app="web"))
    sandbox.plant(_pod("db-1", app="db"))
    assert text(await ask("k8s_get", kind="po", label_selector="app in (web)", output="names")) == "web-1"
    assert text(await ask("k8s_get", kind="po", field_selector="metadata.name=db-1", output="names")) == "db-1"


async def test_two_hundred_pods_fit_in_one_answer(ask: Any, text: Text, sandbox: Sandbox, cursor: Any) -> None:
    for number in range(200):
        sandbox.plant(_pod(f"checkout-{number:03}-6f6996c68c-xj6s8"))
    result = await ask("k8s_get", kind="pods")
    assert len(text(result).encode()) <= 10_000
    assert len(text(result).split("\n")) == 201
    assert cursor(result) is None


async def test_a_long_list_says_how_much_is_left_and_goes_on(
    ask: Any, text: Text, sandbox: Sandbox, cursor: Any
) -> None:
    for number in range(450):
        sandbox.plant(_pod(f"checkout-{number:03}-6f6996c68c-xj6s8"))
    seen: list[str] = []
    following: str | None = None
    for _ in range(4):
        result = await ask("k8s_get", kind="pods", **({"cursor": following} if following else {}))
        assert len(text(result).encode()) <= 10_000
        rows = [line for line in text(result).split("\n")[1:] if not line.startswith("[")]
        seen += [row.split("\t")[0] for row in rows]
        following = cursor(result)
        if following is None:
            break
        assert f"{450 - len(seen)} more" in text(result)
    assert following is None
    assert seen == sorted(seen)
    assert len(set(seen)) == len(seen) == 450


async def test_a_limit_is_kept_and_may_exceed_the_budget(ask: Any, text: Text, sandbox: Sandbox, cursor: Any) -> None:
    for number in range(300):
        sandbox.plant(_pod(f"checkout-{number:03}-6f6996c68c-xj6s8"))
    result = await ask("k8s_get", kind="pods", limit=2)
    assert len(text(result).split("\n")) == 4
    assert "298 more" in text(result)
    assert len(text(await ask("k8s_get", kind="pods", limit=300)).split("\n")) == 301


@pytest.mark.parametrize("change", ["x", "0" * 12 + ".abc", "..", "a" * 3000, "ffffffffffff.eyJ2IjoibWV0YSJ9"])
async def test_a_cursor_that_is_none_is_refused(ask: Any, change: str) -> None:
    assert _code(await ask("k8s_get", kind="pods", cursor=change)) == "bad_request"


async def test_a_cursor_of_another_question_is_refused(ask: Any, text: Text, sandbox: Sandbox, cursor: Any) -> None:
    for number in range(3):
        sandbox.plant(_pod(f"p-{number}"))
    following = cursor(await ask("k8s_get", kind="pods", limit=1))
    other = await ask("k8s_get", kind="configmaps", cursor=following)
    assert _code(other) == "bad_request"
    assert "another question" in text(other)
    tampered = following[:-6] + ("AAAAAA" if not following.endswith("AAAAAA") else "BBBBBB")
    assert _code(await ask("k8s_get", kind="pods", limit=1, cursor=tampered)) == "bad_request"


async def test_a_cursor_that_is_too_old_says_to_begin_again(
    ask: Any, text: Text, sandbox: Sandbox, cursor: Any
) -> None:
    for number in range(3):
        sandbox.plant(_pod(f"p-{number}"))
    following = cursor(await ask("k8s_get", kind="pods", limit=1))
    sandbox.fail("GET", "/pods$", 410, reason="Expired", message="The provided continue parameter is too old")
    result = await ask("k8s_get", kind="pods", limit=1, cursor=following)
    assert "too old" in text(result)
    assert "without it" in text(result)


async def test_an_object_is_shown_as_yaml_or_json_without_noise_and_secrets(
    ask: Any, text: Text, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("web", env=[{"name": "DB_PASSWORD", "value": "canary-1"}], args=["--token=canary-2"]))
    # Its rollout must not go on between the two looks.
    await until(lambda: ((sandbox.get("Deployment", "web") or {}).get("status") or {}).get("availableReplicas") == 1)
    shown = text(await ask("k8s_get", kind="deploy", name="web", output="yaml"))
    found = yaml.safe_load(shown)
    assert found["kind"] == "Deployment"
    assert "canary" not in shown
    assert "managedFields" not in shown
    whole = yaml.safe_load(text(await ask("k8s_get", kind="deploy", name="web", output="full")))
    assert json.loads(text(await ask("k8s_get", kind="deploy", name="web", output="json"))) == whole
    assert set(whole) - set(found) == {"status"}


async def test_a_secret_shows_its_keys_only(ask: Any, text: Text, sandbox: Sandbox) -> None:
    sandbox.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "canary-3"}}
    )
    for output in ("yaml", "json", "table", "wide", "names"):
        for name in ({"name": "db"}, {}):
            shown = text(await ask("k8s_get", kind="secret", output=output, **name))
            assert "canary" not in shown
            assert "Y2FuYXJ5LTM" not in shown
    assert MARK in text(await ask("k8s_get", kind="secret", name="db", output="yaml"))


async def test_a_list_of_documents_keeps_the_budget_and_goes_on(
    ask: Any, text: Text, sandbox: Sandbox, cursor: Any
) -> None:
    for number in range(12):
        sandbox.create(_config_map(f"big-{number:02}", text="line of text\n" * 200))
    result = await ask("k8s_get", kind="cm", output="yaml")
    shown = text(result)
    assert len(shown.encode()) <= 10_000
    documents = list(yaml.safe_load_all("\n".join(line for line in shown.split("\n") if not line.startswith("["))))
    assert [document["metadata"]["name"] for document in documents] == [
        f"big-{number:02}" for number in range(len(documents))
    ]
    assert all(document["kind"] == "ConfigMap" for document in documents)
    following = await ask("k8s_get", kind="cm", output="json", cursor=cursor(result))
    first = json.loads(text(following).split("\n")[0])
    assert first["metadata"]["name"] == f"big-{len(documents):02}"


async def test_one_object_larger_than_the_budget_is_still_shown(ask: Any, text: Text, sandbox: Sandbox) -> None:
    sandbox.create(_config_map("huge", text="line of text\n" * 50_000))
    shown = text(await ask("k8s_get", kind="cm", name="huge", output="yaml"))
    assert 100_000 < len(shown.encode()) < 256 * 1024
    assert "very large" in shown


def _widgets(*columns: tuple[str, str], described: bool = False) -> dict[str, Any]:
    """The definition of a custom kind with columns that print these paths."""
    printed = [
        {"name": name, "type": "string", "jsonPath": path, **({"description": f"The {name}"} if described else {})}
        for name, path in columns
    ]
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "additionalPrinterColumns": printed, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _widget(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}


async def test_a_custom_resource_is_shown_by_its_short_name_and_its_secret_columns_are_masked(
    ask: Any, text: Text, sandbox: Sandbox
) -> None:
    sandbox.create(_widgets(("Size", ".spec.size"), ("Password", ".spec.password")))
    sandbox.create(_widget(size="3", password="canary-4"))
    shown = text(await ask("k8s_get", kind="wd"))
    assert shown.startswith("NAME\tSIZE\tPASSWORD\nw\t3\t" + MARK)
    assert "canary" not in text(await ask("k8s_get", kind="widgets.example.com", name="w", output="yaml"))


@pytest.mark.parametrize("described", [False, True])
async def test_a_column_that_prints_a_secret_field_under_another_heading_is_masked(
    ask: Any, text: Text, sandbox: Sandbox, described: bool
) -> None:
    paths = [
        ("Login", ".spec.auth.password"),
        ("First", ".spec.parameters[0].value"),
        ("Address", ".spec.address"),
        ("Flow", ".spec.flow"),
        ("Size", ".spec.size"),
    ]
    sandbox.create(_widgets(*paths, described=described))
    sandbox.create(
        _widget(
            auth={"password": "canary-5"},
            parameters=[{"name": "API_TOKEN", "value": "canary-6"}],
            address="postgres://me:canary-7@db/x",
            flow="left to right",
            size="small",
        )
    )
    masked = f"{MARK}\t{MARK}\tpostgres://me:{MARK}@db/x\tleft to right\tsmall"
    for arguments in ({}, {"name": "w"}, {"output": "wide"}, {"all_namespaces": True}, {"sort_by": "login"}):
        shown = text(await ask("k8s_get", kind="wd", **arguments))
        assert masked in shown, arguments
    columns = "A:.spec.auth.password,B:.spec.parameters[0].value,C:.spec.address,D:..value"
    assert "canary" not in text(await ask("k8s_get", kind="wd", columns=columns))


async def test_an_empty_list_says_so_and_what_to_try(ask: Any, text: Text) -> None:
    result = await ask("k8s_get", kind="pods")
    assert text(result).startswith("No pods in namespace default.")
    assert not result.is_error
    selected = text(await ask("k8s_get", kind="pods", label_selector="app=x"))
    assert "match app=x" in selected


async def test_an_empty_list_of_a_namespace_that_does_not_exist_is_an_error(ask: Any, text: Text) -> None:
    result = await ask("k8s_get", kind="pods", namespace="defualt")
    assert _code(result) == "not_found"
    assert "Did you mean default?" in text(result)


async def test_a_missing_object_names_near_ones_or_where_it_is(ask: Any, text: Text, sandbox: Sandbox) -> None:
    sandbox.create(_config_map("settings"))
    sandbox.create(_config_map("elsewhere", "kube-system"))
    near = await ask("k8s_get", kind="cm", name="setting")
    assert _code(near) == "not_found"
    assert "Did you mean settings?" in text(near)
    assert "namespace kube-system" in text(await ask("k8s_get", kind="cm", name="elsewhere"))
    assert text(await ask("k8s_get", kind="cm", name="elsewhere", all_namespaces=True, output="names")) == (
        "kube-system/elsewhere"
    )
    assert _code(await ask("k8s_get", kind="cm", name="gone", all_namespaces=True)) == "not_found"


async def test_a_kind_without_namespaces_ignores_one_and_says_so(ask: Any, text: Text) -> None:
    shown = text(await ask("k8s_get", kind="nodes", namespace="default"))
    assert shown.startswith("[nodes have no namespace; it is ignored]\nNAME\t")
    assert "node-0" in shown
    assert "ignored" not in text(await ask("k8s_get", kind="nodes"))


async def test_each_failure_is_one_line_with_its_code(ask: Any, text: Text, sandbox: Sandbox) -> None:
    sandbox.deny("list", "secrets", "default")
    results = {
        "not_found": await ask("k8s_get", kind="plods"),
        "forbidden": await ask("k8s_get", kind="secrets"),
        "bad_request": await ask("k8s_get", kind="pods", label_selector="a===b"),
    }
    for code, result in results.items():
        assert _code(result) == code
        assert "\n" not in text(result)
    assert _code(await ask("k8s_get", kind="pods", context="nowhere")) == "not_found"
    assert _code(await ask("k8s_get", kind="pods", name="a", label_selector="b=c")) == "bad_request"
    assert _code(await ask("k8s_get", kind="selfsubjectaccessreviews")) == "bad_request"


async def test_a_cluster_that_breaks_down_is_unavailable(ask: Any, sandbox: Sandbox) -> None:
    await ask("k8s_get", kind="pods")
    sandbox.fail("GET", "/pods", 503)
    assert _code(await ask("k8s_get", kind="pods")) == "unavailable"


@pytest.mark.parametrize(
    "parameter", ["kind", "name", "namespace", "label_selector", "field_selector", "cursor", "context"]
)
async def test_hostile_texts_cause_no_request_outside_the_tools_own(ask: Any, sandbox: Sandbox, parameter: str) -> None:
    await ask("k8s_get", kind="pods")
    sandbox.clear_requests()
    for value in HOSTILE:
        await ask("k8s_get", **{"kind": "pods", parameter: value})
    own = {"/api", "/apis", "/api/v1/namespaces", "/api/v1/namespaces/default", "/api/v1/namespaces/default/pods"}
    assert {request.path for request in sandbox.requests} <= own
    assert {request.method for request in sandbox.requests} <= {"GET"}


async def test_no_reading_tool_changes_anything(ask: Any, sandbox: Sandbox, deployment: Any) -> None:
    sandbox.create(deployment("web"))
    calls: dict[str, dict[str, Any]] = {
        "k8s_get": {"kind": "deploy", "name": "web", "output": "yaml"},
        "k8s_logs": {"name": "web"},
        "k8s_events": {"all_namespaces": True},
    }
    for tool, arguments in calls.items():
        await ask(tool, **arguments)
    assert [request for request in sandbox.requests if mutating(request)] == []
