"""k8s_delete, over an MCP session on the sandbox."""

from collections.abc import Callable
from typing import Any

import pytest

from klepaas_plugins.kubernetes.sandbox import Sandbox, mutating

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]


def _config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default", **metadata}}


async def test_one_object_is_deleted_and_no_other(change: Ask, text: Any, sandbox: Sandbox) -> None:
    sandbox.create(_config_map("one"))
    sandbox.create(_config_map("two"))
    done = await change("k8s_delete", kind="cm", name="one")
    assert not done.is_error
    assert "configmap/one (namespace default) is deleted" in text(done)
    assert sandbox.get("configmaps", "one") is None
    assert sandbox.get("configmaps", "two") is not None


async def test_a_dry_run_counts_what_would_go_and_deletes_nothing(
    change: Ask, text: Any, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("web", replicas=2))
    await until(lambda: len(sandbox.list("pods")) == 2)
    shown = text(await change("k8s_delete", kind="deployment", name="web", dry_run=True))
    assert shown.startswith("Dry run, nothing was changed")
    assert "with it: 1 replicaset, 2 pods" in shown
    assert sandbox.get("deployments", "web") is not None


async def test_what_it_owns_is_named_and_goes_with_it(
    change: Ask, text: Any, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("web"))
    await until(lambda: sandbox.list("pods"))
    assert "1 replicaset, 1 pod" in text(await change("k8s_delete", kind="deploy", name="web"))
    await until(lambda: not sandbox.list("replicasets") and not sandbox.list("pods"))


async def test_only_the_object_of_that_uid_and_version_is_deleted(change: Ask, text: Any, sandbox: Sandbox) -> None:
    made = sandbox.create(_config_map("one"))
    other = await change("k8s_delete", kind="cm", name="one", uid="0b0d8b4c-7f5e-4f6e-8d55-5d0d3a0f7a11")
    assert (other.meta or {})["code"] == "conflict"
    old = await change("k8s_delete", kind="cm", name="one", resource_version="1")
    assert (old.meta or {})["code"] == "conflict"
    assert sandbox.get("configmaps", "one") is not None
    assert not (await change("k8s_delete", kind="cm", name="one", uid=made["metadata"]["uid"])).is_error


async def test_a_namespace_is_deleted_only_when_its_name_is_repeated(change: Ask, text: Any, sandbox: Sandbox) -> None:
    sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    sandbox.create(_config_map("one", namespace="team"))
    refused = await change("k8s_delete", kind="namespace", name="team")
    assert refused.is_error
    assert "configmap" in text(refused)
    assert "confirm_name" in text(refused)
    wrong = await change("k8s_delete", kind="namespace", name="team", confirm_name="other")
    assert wrong.is_error
    assert sandbox.get("namespaces", "team", "") is not None
    assert "configmap" in text(await change("k8s_delete", kind="namespace", name="team", dry_run=True))
    done = await change("k8s_delete", kind="namespace", name="team", confirm_name="team")
    assert not done.is_error, text(done)


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-node-lease"])
async def test_the_clusters_own_namespaces_are_never_deleted(change: Ask, sandbox: Sandbox, name: str) -> None:
    refused = await change("k8s_delete", kind="namespace", name=name, confirm_name=name)
    assert (refused.meta or {})["code"] == "forbidden"
    assert [request for request in sandbox.requests if mutating(request)] == []


async def test_a_missing_object_and_an_unknown_kind_are_one_line(change: Ask, text: Any) -> None:
    missing = await change("k8s_delete", kind="cm", name="nothing")
    assert (missing.meta or {})["code"] == "not_found"
    unknown = await change("k8s_delete", kind="configmop", name="x")
    assert "Did you mean configmaps" in text(unknown)


async def test_what_holds_a_deletion_up_and_who_may_undo_it_is_told(
    change: Ask, text: Any, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(_config_map("held", finalizers=["example.com/hold"]))
    held = text(await change("k8s_delete", kind="cm", name="held"))
    assert "is being deleted" in held
    assert "example.com/hold" in held
    sandbox.create(deployment("web"))
    await until(lambda: sandbox.list("pods"))
    pod = sandbox.list("pods")[0]["metadata"]["name"]
    shown = text(await change("k8s_delete", kind="pod", name=pod, dry_run=True))
    assert "it belongs to: ReplicaSet web-" in shown


async def test_what_may_not_be_looked_at_is_told(change: Ask, text: Any, sandbox: Sandbox, deployment: Any) -> None:
    sandbox.create(deployment("web"))
    sandbox.deny("list", "pods")
    assert "not looked at: pods (forbidden)" in text(
        await change("k8s_delete", kind="deploy", name="web", dry_run=True)
    )


PLAIN = {"name": "main", "image": "example/app:1"}


def _pod_specs(key: str) -> dict[str, dict[str, Any]]:
    """Every way in which a pod takes something from an object that is called used."""
    variable: dict[str, Any] = {"env": [{"name": "A", "valueFrom": {f"{key}KeyRef": {"name": "used", "key": "a"}}}]}
    source = {"secretName": "used"} if key == "secret" else {"name": "used"}
    part = {"projected": {"sources": [{key: {"name": "used"}}]}}
    return {
        "a variable": {"containers": [{**PLAIN, **variable}]},
        "all variables": {"containers": [{**PLAIN, "envFrom": [{f"{key}Ref": {"name": "used"}}]}]},
        "a container that initializes": {
            "containers": [PLAIN],
            "initContainers": [{**PLAIN, "name": "first", **variable}],
        },
        "a volume": {"containers": [PLAIN], "volumes": [{"name": "v", key: source}]},
        "a part of a volume": {"containers": [PLAIN], "volumes": [{"name": "v", **part}]},
    }


def _held(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """An object of a kind that has a pod template, or a pod."""
    template = {"metadata": {"labels": {"app": "user"}}, "spec": spec}
    selected = {"selector": {"matchLabels": {"app": "user"}}, "template": template}
    jobs = {"template": {**template, "spec": {**spec, "restartPolicy": "Never"}}}
    group, body = {
        "Deployment": ("apps/v1", selected),
        "StatefulSet": ("apps/v1", {**selected, "serviceName": "user"}),
        "DaemonSet": ("apps/v1", selected),
        "CronJob": ("batch/v1", {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": jobs}}),
        "Pod": ("v1", spec),
    }[kind]
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "user"}, "spec": body}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize("way", list(_pod_specs("configMap")))
async def test_who_uses_a_config_map_or_a_secret_is_named_however_it_is_used(
    change: Ask, text: Any, sandbox: Sandbox, kind: str, way: str
) -> None:
    sandbox.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": "used"}})
    sandbox.create(_held("Deployment", _pod_specs({"ConfigMap": "configMap", "Secret": "secret"}[kind])[way]))
    shown = text(await change("k8s_delete", kind=kind, name="used", dry_run=True))
    assert "used by: deployment user" in shown
    assert f"{kind.lower()}/used" in shown


@pytest.mark.parametrize("user", ["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Pod"])
async def test_who_uses_a_config_map_is_named_whatever_has_the_pods(
    change: Ask, text: Any, sandbox: Sandbox, user: str
) -> None:
    sandbox.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "used"}})
    sandbox.create(_held(user, _pod_specs("configMap")["a variable"]))
    shown = text(await change("k8s_delete", kind="cm", name="used", dry_run=True))
    assert f"used by: {user.lower()} user" in shown


async def test_what_was_not_searched_for_the_users_of_a_config_map_is_named(
    change: Ask, text: Any, sandbox: Sandbox
) -> None:
    sandbox.create(_config_map("one"))
    shown = text(await change("k8s_delete", kind="cm", name="one", dry_run=True))
    assert "used by: nothing that was searched" in shown
    assert "not searched for who uses it or goes with it: kinds other than Deployments," in shown
    sandbox.deny("list", "pods")
    denied = text(await change("k8s_delete", kind="cm", name="one", dry_run=True))
    assert "and Pods, pods (forbidden)" in denied


async def test_what_a_config_map_owns_is_named_where_it_was_searched(
    change: Ask, text: Any, sandbox: Sandbox, deployment: Any
) -> None:
    made = sandbox.create(_config_map("one"))
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": made["metadata"]["uid"]}
    owned = deployment("web")
    owned["metadata"]["ownerReferences"] = [owner]
    sandbox.create(owned)
    shown = text(await change("k8s_delete", kind="cm", name="one", dry_run=True))
    assert "with it: 1 deployment" in shown
