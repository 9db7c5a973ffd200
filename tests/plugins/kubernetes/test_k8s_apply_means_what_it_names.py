"""k8s_apply over an MCP session: what it changes, removes, takes from others and refuses, and what it asks."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import anyio
import httpx
import pytest
import yaml
from fastmcp import Client

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.sandbox import Sandbox, mutating

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]
GROUP = {"apiVersion": "example.com/v1", "kind": "Tank"}


def _config_map(data: dict[str, Any] | None = None, **metadata: Any) -> str:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", **metadata}}
    return yaml.safe_dump(body if data is None else {**body, "data": data})


def _definition() -> str:
    valve = {"type": "object", "properties": {"name": {"type": "string"}, "open": {"type": "boolean"}}}
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer"},
            "colour": {"type": "string"},
            "valves": {"type": "array", "items": valve},
        },
    }
    schema = {"type": "object", "properties": {"spec": spec}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Tank", "plural": "tanks", "singular": "tank", "listKind": "TankList"}
    return yaml.safe_dump(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "tanks.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )


def _tank(**spec: Any) -> str:
    return yaml.safe_dump({**GROUP, "metadata": {"name": "one"}, "spec": spec})


@pytest.fixture
async def client(sandbox: Sandbox, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client[Any]]:
    """A klepaas that may write under the default policy: what destroys is confirmed, and nobody is there to do it."""
    monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "sandbox")))
    async with Client(create_app(Settings(mode=Mode.WRITES)).server) as opened:
        yield opened


async def _call(client: Client[Any], **arguments: Any) -> Any:
    with anyio.fail_after(scale_timeout(20)):
        return await client.call_tool("k8s_apply", arguments, raise_on_error=False)


async def test_a_partial_manifest_of_a_custom_resource_keeps_its_required_fields(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    await change("k8s_apply", manifests=_definition())
    await change("k8s_apply", manifests=_tank(size=3, colour="red"))
    done = await change("k8s_apply", manifests=_tank(colour="blue"))
    assert text(done).splitlines() == [
        "changed\ttank/one (namespace default)",
        "  not named and kept as klepaas set it: spec.size",
        "  spec.colour: red -> blue",
    ]
    assert (sandbox.get("tanks", "one") or {})["spec"] == {"size": 3, "colour": "blue"}


async def test_an_atomic_list_of_a_custom_resource_is_shown_as_replaced_item_by_item(change: Ask, text: Any) -> None:
    await change("k8s_apply", manifests=_definition())
    valves = [{"name": "a", "open": True}, {"name": "b", "open": False}]
    await change("k8s_apply", manifests=_tank(size=3, valves=valves))
    shown = text(
        await change("k8s_apply", manifests=_tank(size=3, valves=[{"name": "a", "open": False}]), dry_run=True)
    )
    assert "  spec.valves[a].open: true -> false\n" in shown
    assert "  spec.valves[b].open: false (removed)\n" in shown


async def test_the_answer_names_what_was_left_and_what_was_taken_over(change: Ask, text: Any, sandbox: Sandbox) -> None:
    await change("k8s_apply", manifests=_config_map({"a": "1", "b": "2"}))
    await _patch(sandbox, {"data": {"a": "9"}}, "kubectl-edit")
    done = text(await change("k8s_apply", manifests=_config_map({"a": "3"})))
    assert done.splitlines() == [
        "changed\tconfigmap/settings (namespace default)",
        "  taken over from kubectl-edit (kubectl edit): data.a",
        "  not named and kept as klepaas set it: data.b",
        "  data.a: 9 -> 3 (owned by kubectl-edit)",
    ]


async def _patch(sandbox: Sandbox, patch: Mapping[str, Any], manager: str) -> None:
    """What another manager does to the ConfigMap."""
    async with httpx.AsyncClient(base_url=sandbox.url, timeout=scale_timeout(10), trust_env=False) as http:
        answer = await http.patch(
            "/api/v1/namespaces/default/configmaps/settings",
            params={"fieldManager": manager},
            content=json.dumps(patch),
            headers={"content-type": "application/merge-patch+json"},
        )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "arguments",
    [
        {"manifests": _config_map({"b": None})},
        {"manifests": _config_map({"a": "1"}), "remove_unnamed": True},
        {"manifests": _config_map(finalizers=None)},
    ],
    ids=["a key set to null", "a key that is not named any more", "finalizers"],
)
async def test_a_removal_is_asked_about_as_a_deletion_is(
    client: Client[Any], text: Any, sandbox: Sandbox, arguments: dict[str, Any]
) -> None:
    await _call(client, manifests=_config_map({"a": "1", "b": "2"}, finalizers=["example.com/hold"]))
    before = sandbox.get("configmaps", "settings")
    asked = await _call(client, **arguments)
    assert asked.is_error
    assert "(removed)" in text(asked)
    assert sandbox.get("configmaps", "settings") == before


async def test_a_plain_change_is_made_at_once(client: Client[Any], sandbox: Sandbox) -> None:
    await _call(client, manifests=_config_map({"a": "1"}))
    assert not (await _call(client, manifests=_config_map({"a": "2"}))).is_error
    assert (sandbox.get("configmaps", "settings") or {})["data"] == {"a": "2"}


async def test_what_raises_the_effect_of_a_manifest_is_named_in_the_question(client: Client[Any], text: Any) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": [{"name": "m", "image": "example/app:1", "securityContext": {"privileged": True}}]},
    }
    asked = await _call(client, manifests=yaml.safe_dump(pod))
    assert asked.is_error
    assert "k8s_apply (destructive)" in text(asked) or "destructive" in text(asked)
    assert "privileged" in text(asked)


async def test_a_webhook_that_makes_more_of_an_apply_stops_it_and_the_object_is_restored(
    change: Ask, text: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, deployment: Any
) -> None:
    web = deployment("web")
    await change("k8s_apply", manifests=yaml.safe_dump(web))
    apply = Cluster.apply
    done: list[int] = []

    async def mutated(self: Cluster, body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        answer = await apply(self, body, **more)
        if more.get("dry_run") or done:
            return answer
        done.append(1)
        (one,) = answer["spec"]["template"]["spec"]["containers"]
        one["securityContext"] = {"privileged": True}
        return answer

    monkeypatch.setattr(Cluster, "apply", mutated)
    web["spec"]["template"]["spec"]["containers"][0]["image"] = "example/app:2"
    refused = await change("k8s_apply", manifests=yaml.safe_dump(web))
    assert refused.is_error
    assert "does more than was planned" in text(refused)
    assert "privileged" in text(refused)
    assert "it was restored to what it was before" in text(refused)
    spec = (sandbox.get("deployments", "web") or {})["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == "example/app:1"


async def test_what_runs_sends_exactly_the_bodies_of_the_plan(
    change: Ask, text: Any, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from klepaas_plugins.kubernetes.write import apply as module

    planned, sent = [], []
    plan, send = module.plan_manifests, Cluster.apply

    async def note_plan(request: Any) -> Any:
        changes = await plan(request)
        planned.append([one.body for one in changes.objects])
        return changes

    async def note_body(self: Cluster, body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        if not more.get("dry_run"):
            sent.append({**body, "metadata": {k: v for k, v in body["metadata"].items() if k not in _HELD}})
        return await send(self, body, **more)

    monkeypatch.setattr(module, "plan_manifests", note_plan)
    monkeypatch.setattr(Cluster, "apply", note_body)
    await change("k8s_apply", manifests=_config_map({"a": "1"}))
    await change("k8s_apply", manifests=_config_map({"b": "2"}))
    assert [one for bodies in planned for one in bodies] == sent


_HELD = ("uid", "resourceVersion")


async def test_immutable_fields_are_named_by_a_dry_run_and_refused_by_the_call(
    change: Ask, text: Any, sandbox: Sandbox, deployment: Any
) -> None:
    await change("k8s_apply", manifests=yaml.safe_dump(deployment("web")))
    other = deployment("web")
    other["spec"]["selector"]["matchLabels"] = {"app": "web", "tier": "x"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "web", "tier": "x"}
    shown = text(await change("k8s_apply", manifests=yaml.safe_dump(other), dry_run=True))
    assert "spec.selector.matchLabels.tier: x (new) (needs recreation)" in shown
    sandbox.clear_requests()
    refused = await change("k8s_apply", manifests=yaml.safe_dump(other))
    assert "needs recreation: spec.selector.matchLabels.tier" in text(refused)
    assert [one for one in sandbox.requests if mutating(one) and "dryRun" not in one.query] == []


async def test_a_creation_answers_conflict_where_the_object_exists(change: Ask, text: Any, sandbox: Sandbox) -> None:
    sandbox.create(
        {**yaml.safe_load(_config_map({"a": "1"})), "metadata": {"name": "settings", "namespace": "default"}}
    )
    refused = await change("k8s_create", manifests=_config_map({"a": "2"}))
    assert (refused.meta or {})["code"] == "conflict"
    assert "already exists" in text(refused)
    assert (sandbox.get("configmaps", "settings") or {})["data"] == {"a": "1"}


async def test_two_documents_of_one_object_are_refused_also_where_one_names_the_namespace(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    both = f"{_config_map({'a': '1'})}---\n{_config_map({'b': '2'}, namespace='default')}"
    refused = await change("k8s_apply", manifests=both)
    assert "are the same object" in text(refused)
    assert sandbox.get("configmaps", "settings") is None


async def test_requests_of_an_apply_to_one_object_are_few(change: Ask, sandbox: Sandbox) -> None:
    await change("k8s_apply", manifests=_config_map({"a": "1"}))
    sandbox.clear_requests()
    await change("k8s_apply", manifests=_config_map({"a": "2"}))
    seen = [f"{one.method} {one.path}" for one in sandbox.requests if "/configmaps/" in one.path]
    path = "/api/v1/namespaces/default/configmaps/settings"
    assert seen == [f"GET {path}", f"PATCH {path}", f"GET {path}", f"PATCH {path}"]


async def test_a_list_of_a_custom_resource_that_has_keys_is_merged_item_by_item(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    definition = yaml.safe_load(_definition())
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["valves"] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    spec["properties"]["valves"]["items"]["required"] = ["name"]
    await change("k8s_apply", manifests=yaml.safe_dump(definition))
    await change("k8s_apply", manifests=_tank(size=3, valves=[{"name": "a", "open": True}, {"name": "b"}]))
    done = text(await change("k8s_apply", manifests=_tank(valves=[{"name": "b", "open": True}])))
    assert "  spec.valves[b].open: true (new)" in done
    assert (sandbox.get("tanks", "one") or {})["spec"] == {
        "size": 3,
        "valves": [{"name": "a", "open": True}, {"name": "b", "open": True}],
    }


async def test_a_quota_that_no_dry_run_sees_stops_half_way_and_the_answer_says_where(
    change: Ask, text: Any, sandbox: Sandbox, until: Any
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": "default"}}
    # One for what every namespace holds, one for the first of the two.
    sandbox.create({**quota, "spec": {"hard": {"count/configmaps": "2"}}})
    await until(lambda: "used" in ((sandbox.get("resourcequotas", "few") or {}).get("status") or {}))
    both = "---\n".join(_config_map({"a": "1"}).replace("settings", name) for name in ("one", "two"))
    failed = await change("k8s_apply", manifests=both)
    assert failed.is_error
    assert "1 of 2 objects were done, then configmap/two (namespace default) failed" in text(failed)
    assert "done: configmap/one (namespace default) created" in text(failed)


async def test_a_long_change_into_a_new_namespace_is_planned_judged_and_made_in_good_time(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}}
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number}", "namespace": "fresh"}}
        for number in range(60)
    ]
    everything = "---\n".join(yaml.safe_dump(one) for one in [namespace, *objects])
    done = await change("k8s_apply", manifests=everything)
    assert not done.is_error, text(done)
    assert len([one for one in sandbox.list("configmaps", "fresh") if one["metadata"]["name"].startswith("c")]) == 60
