"""k8s_apply and k8s_create, over an MCP session on the sandbox."""

import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from klepaas.errors import BadRequest
from klepaas.testing import time_budget
from klepaas_plugins.kubernetes import yaml_text
from klepaas_plugins.kubernetes.manifests import in_safe_order, read_manifests
from klepaas_plugins.kubernetes.sandbox import Sandbox, mutating

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]


def _config_map(name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _crd(kind: str = "Widget") -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [version],
        },
    }


def _text(*objects: dict[str, Any]) -> str:
    return "\n---\n".join(yaml.safe_dump(one) for one in objects)


def _bomb() -> str:
    lines, before = ["a: &a [x,x,x,x,x,x,x,x,x]"], "a"
    for name in "bcdefghij":
        lines.append(f"{name}: &{name} [{','.join(['*' + before] * 9)}]")
        before = name
    return "\n".join(lines)


async def test_an_object_is_created_then_unchanged_then_changed(change: Ask, text: Any, sandbox: Sandbox) -> None:
    first = await change("k8s_apply", manifests=_text(_config_map(host="db")))
    assert text(first) == "created\tconfigmap/settings (namespace default)"
    again = await change("k8s_apply", manifests=_text(_config_map(host="db")))
    assert text(again) == "unchanged\tconfigmap/settings (namespace default)"
    third = await change("k8s_apply", manifests=_text(_config_map(host="cache", port="1")))
    assert text(third).splitlines()[1:] == ["  data.host: db -> cache", "  data.port: 1 (new)"]
    assert text(third).startswith("changed\t")
    assert (sandbox.get("configmaps", "settings") or {})["data"] == {"host": "cache", "port": "1"}


async def test_a_dry_run_shows_the_difference_and_changes_nothing(change: Ask, text: Any, sandbox: Sandbox) -> None:
    await change("k8s_apply", manifests=_text(_config_map(host="db", file="a\nb\nc\n")))
    before = sandbox.get("configmaps", "settings")
    wanted = _text(_config_map(host="db", file="a\nB\nc\n"), _config_map("other"))
    shown = text(await change("k8s_apply", manifests=wanted, dry_run=True))
    assert shown.startswith("Dry run, nothing was changed (the server tried it out and stored nothing).")
    assert "  -b" in shown
    assert "  +B" in shown
    assert "create configmap/other (namespace default)" in shown
    assert sandbox.get("configmaps", "settings") == before
    assert sandbox.get("configmaps", "other") is None


async def test_the_difference_of_a_secret_tells_sizes_and_no_values(change: Ask, text: Any) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"key": "first-value-1"}}
    await change("k8s_apply", manifests=_text(secret))
    secret["stringData"] = {"key": "other-value-2"}
    shown = text(await change("k8s_apply", manifests=_text(secret), dry_run=True))
    assert shown.splitlines()[1:3] == [
        "change secret/s (namespace default)",
        "  data.key: 13 bytes, hidden, not compared",
    ]
    done = text(await change("k8s_apply", manifests=_text(secret)))
    assert done.splitlines() == [
        "applied, hidden values are not compared\tsecret/s (namespace default)",
        "  data.key: 13 bytes, hidden, not compared",
    ]
    assert "value-" not in shown
    assert "dmFsdW" not in shown


async def test_a_conflict_names_the_owners_and_changes_nothing(change: Ask, text: Any, sandbox: Sandbox) -> None:
    sandbox.create({**_config_map(host="db"), "metadata": {"name": "settings", "namespace": "default"}})
    refused = await change("k8s_apply", manifests=_text(_config_map("new"), _config_map(host="cache")))
    assert refused.is_error
    assert (refused.meta or {})["code"] == "conflict"
    assert "Nothing was changed" in text(refused)
    assert "sandbox owns data.host, and would write its values again" in text(refused)
    assert "take_ownership=true" in text(refused)
    assert sandbox.get("configmaps", "new") is None
    forced = await change("k8s_apply", manifests=_text(_config_map(host="cache")), take_ownership=True)
    assert not forced.is_error
    assert "data.host: db -> cache" in text(forced)


async def test_a_read_object_with_masks_is_refused_before_any_request(change: Ask, text: Any, sandbox: Sandbox) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}}
    sandbox.create({**secret, "stringData": {"key": "hidden-value-1"}})
    read = text(await change("k8s_get", kind="secret", name="s", output="yaml"))
    sandbox.clear_requests()
    refused = await change("k8s_apply", manifests=read)
    assert refused.is_error
    assert "data.key" in text(refused)
    assert sandbox.requests == []
    encoded = json.dumps({**secret, "data": {"key": "4oC5cmVkYWN0ZWTigLo="}})
    assert (await change("k8s_apply", manifests=encoded)).is_error
    assert sandbox.requests == []


async def test_definitions_and_namespaces_come_before_what_needs_them(
    change: Ask, text: Any, sandbox: Sandbox, deployment: Any
) -> None:
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "fresh"},
        "spec": {"a": 1},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh", "labels": {"team": "a"}}}
    web = deployment("web")
    web["metadata"]["namespace"] = "fresh"
    everything = _text(
        web, widget, {**_config_map(), "metadata": {"name": "c", "namespace": "fresh"}}, namespace, _crd()
    )
    dry = text(await change("k8s_apply", manifests=everything, dry_run=True))
    lines = dry.splitlines()
    widget_at, web_at = (lines.index(f"create {one} (namespace fresh)") for one in ("widget/w", "deployment/web"))
    assert lines[widget_at + 1] == "  not checked by the server: its definition is not served yet"
    assert lines[web_at + 1] == "  not checked by the server: its namespace does not exist yet"
    assert sandbox.get("namespaces", "fresh", "") is None
    done = await change("k8s_apply", manifests=everything)
    assert not done.is_error, text(done)
    assert [line.split("\t")[1].split("/")[0] for line in text(done).splitlines()] == [
        "namespace",
        "customresourcedefinition",
        "configmap",
        "widget",
        "deployment",
    ]
    assert sandbox.get("widgets", "w", "fresh") is not None


def test_the_safe_order_puts_configuration_before_what_runs_and_keeps_the_rest_in_place() -> None:
    kinds = ["Ingress", "Deployment", "Widget", "Secret", "Namespace", "Service"]
    texts = [json.dumps({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}}) for kind in kinds]
    ordered = in_safe_order(read_manifests("\n---\n".join(texts)))
    assert [one.kind for one in ordered] == ["Namespace", "Secret", "Service", "Widget", "Deployment", "Ingress"]


async def test_one_object_that_cannot_be_keeps_all_from_being_changed(change: Ask, text: Any, sandbox: Sandbox) -> None:
    sandbox.fail("PATCH", r"/api/v1/namespaces/default/serviceaccounts/b", 403, reason="Forbidden", message="quota")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "b"}}
    refused = await change("k8s_apply", manifests=_text(_config_map("a"), account))
    assert refused.is_error
    assert "Nothing was changed (the server tried it out and stored nothing): 1 of 2 objects" in text(refused)
    assert "ServiceAccount b" in text(refused)
    assert sandbox.get("configmaps", "a") is None


async def test_a_change_that_breaks_off_lists_done_failed_and_not_tried(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh", "labels": {"team": "a"}}}
    # What is wrong with it can only be seen in its namespace, so no dry run finds it.
    bad = {"metadata": {"name": "bad", "namespace": "fresh"}, "data": {"not a key!": "x"}}
    inside = {"apiVersion": "v1", "kind": "ConfigMap", **bad}
    after = {**_config_map("after"), "metadata": {"name": "after", "namespace": "fresh"}}
    failed = await change("k8s_apply", manifests=_text(namespace, inside, after))
    assert failed.is_error
    shown = text(failed)
    assert "1 of 3 objects were done" in shown
    assert "done: namespace/fresh created" in shown
    assert "failed: configmap/bad (namespace fresh)" in shown
    assert "not tried: configmap/after (namespace fresh)" in shown
    assert sandbox.get("configmaps", "after", "fresh") is None


async def test_an_unknown_field_is_an_error_and_nothing_is_changed(change: Ask, text: Any, sandbox: Sandbox) -> None:
    refused = await change("k8s_apply", manifests=_text({**_config_map(), "dta": {"a": "b"}}))
    assert refused.is_error
    assert "dta" in text(refused)
    assert [request for request in sandbox.requests if mutating(request) and "dryRun" not in request.query] == []


@pytest.mark.parametrize(
    ("manifests", "says"),
    [
        ("a: [1", "line 2, column 1"),
        ("kind: X\nkind: Y", "line 2, column 1"),
        ("just text", "Document 1 is no object"),
        ("kind: Pod\nmetadata: {name: x}", "no valid apiVersion"),
        ("apiVersion: v1\nmetadata: {name: x}", "no valid kind"),
        ("apiVersion: v1\nkind: Pod", "no metadata"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}", "no metadata.name"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: ..}", "metadata.name of document 1"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: 5}", "is no text"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: a/b}", "metadata.namespace of document 1"),
        ("---\n---\n", "no object"),
        ("apiVersion: v1\nkind: Pdo\nmetadata: {name: x}", "Did you mean pods"),
        (_bomb(), "grows too large"),
        ("x: &a {b: *a}", "stands for nothing before it"),
        ("x: !!python/object/apply:os.system [id]", "line 1, column 4"),
        ("[" * 1000, "nested deeper"),
    ],
)
async def test_bad_manifests_are_one_clear_line_and_nothing_is_changed(
    change: Ask, text: Any, sandbox: Sandbox, manifests: str, says: str
) -> None:
    for tool in ("k8s_apply", "k8s_create"):
        refused = await change(tool, manifests=manifests)
        assert refused.is_error
        assert says in text(refused)
        assert "\n" not in text(refused)
    assert [request for request in sandbox.requests if mutating(request)] == []


async def test_a_namespace_that_differs_from_the_calls_is_an_error(change: Ask, text: Any) -> None:
    other = {**_config_map(), "metadata": {"name": "x", "namespace": "kube-public"}}
    refused = await change("k8s_apply", manifests=_text(other), namespace="default")
    assert refused.is_error
    assert "document 1 (ConfigMap x) is for namespace kube-public, the call for default" in text(refused)


async def test_the_same_object_twice_is_an_error(change: Ask, text: Any) -> None:
    refused = await change("k8s_apply", manifests=_text(_config_map(), _config_map()))
    assert "document 1 (ConfigMap settings) and document 2 (ConfigMap settings) are the same object" in text(refused)


async def test_json_and_lists_are_read_too(change: Ask, text: Any) -> None:
    whole = {"apiVersion": "v1", "kind": "List", "items": [_config_map("a"), _config_map("b")]}
    assert text(await change("k8s_apply", manifests=json.dumps(whole))).count("created") == 2


async def test_create_refuses_what_exists_and_makes_up_names(change: Ask, text: Any, sandbox: Sandbox) -> None:
    assert text(await change("k8s_create", manifests=_text(_config_map(host="db")))).startswith("created")
    refused = await change("k8s_create", manifests=_text(_config_map(host="x")))
    assert (refused.meta or {})["code"] == "conflict"
    assert "already exists" in text(refused)
    generated = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "run-"}}
    dry = await change("k8s_create", manifests=_text(generated), dry_run=True)
    again = await change("k8s_create", manifests=_text(generated), dry_run=True)
    assert text(dry).splitlines()[:2] == text(again).splitlines()[:2]
    done = text(await change("k8s_create", manifests=_text(generated)))
    other = text(await change("k8s_create", manifests=_text(generated)))
    assert done != other
    made = {one["metadata"]["name"] for one in sandbox.list("configmaps")} - {"settings"}
    assert {f"created\tconfigmap/{name} (namespace default)" for name in made} >= {done, other}
    assert f"configmap/{done.split('/')[1].split(' ')[0]}" in text(dry)


async def test_apply_needs_a_name(change: Ask, text: Any) -> None:
    generated = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "run-"}}
    assert "no metadata.name" in text(await change("k8s_apply", manifests=_text(generated)))


async def test_a_right_that_is_missing_is_told_and_nothing_is_changed(change: Ask, text: Any, sandbox: Sandbox) -> None:
    sandbox.deny("patch", "configmaps")
    refused = await change("k8s_apply", manifests=_text(_config_map()))
    assert (refused.meta or {})["code"] == "forbidden"
    assert "Nothing was changed" in text(refused)


@pytest.mark.parametrize(
    "bomb",
    [
        _bomb(),
        "[" * 200_000,
        "{a: " * 50_000,
        "a: &a " + "x" * 100_000 + "\nb: [" + ",".join(["*a"] * 5000) + "]",
        "a: &a {x: 1}\n" + "\n".join(f"k{i}: &k{i} {{<<: [{','.join(['*a'] * 2000)}]}}" for i in range(100)),
    ],
)
def test_a_bomb_is_refused_at_once_and_costs_no_memory(bomb: str) -> None:
    tracemalloc.start()
    begun = time.perf_counter()
    with pytest.raises(BadRequest):
        yaml_text.documents(bomb)
    duration_s = time.perf_counter() - begun
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 5_000_000
    assert duration_s < time_budget(1, "the aliases would be expanded; tracemalloc slows it too")


def test_the_usual_bomb_is_refused_within_fifty_milliseconds() -> None:
    begun = time.perf_counter()
    with pytest.raises(BadRequest):
        yaml_text.documents(_bomb())
    assert time.perf_counter() - begun < time_budget(0.05, "the aliases would be expanded")


def test_values_are_read_as_kubernetes_reads_them() -> None:
    read = yaml_text.documents("a: 1:30\nb: 2026-01-01\nc: 1e3\nd: 0755\ne: yes\nf: 0x1F\ng: 1.5\n1: x\ni: '5'\nj: ~")[
        0
    ]
    assert read == {
        "a": "1:30",
        "b": "2026-01-01",
        "c": 1000,
        "d": 493,
        "e": True,
        "f": 31,
        "g": 1.5,
        "1": "x",
        "i": "5",
        "j": None,
    }
