"""What the server cannot try out is shown as it is sent, says why, and is judged by its content."""

from typing import Any

import httpx
import pytest

from klepaas.changes import Action
from klepaas.effects import Effect
from klepaas.errors import BadRequest, Conflict, Forbidden
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import AlreadyExists, Cluster
from klepaas_plugins.kubernetes.sandbox import Sandbox
from klepaas_plugins.kubernetes.write.apply import ManifestRequest, answer_manifests, plan_manifests
from klepaas_plugins.kubernetes.write.delete import DeleteRequest, plan_delete
from klepaas_plugins.kubernetes.write.planning import ApplyRequest, plan_apply
from klepaas_plugins.kubernetes.write.writer import write

from .conftest import World, config_map, deployment, lines

pytestmark = pytest.mark.anyio
HOOK = 'admission webhook "audit.example.com" does not support dry run'


async def _plan(cluster: Cluster, body: Any, **request: Any) -> Any:
    resource = await cluster.resource(f"{body['apiVersion']}/{body['kind']}")
    named = {**body, "metadata": {"namespace": "default", **body["metadata"]}}
    return await plan_apply(ApplyRequest(cluster=cluster, resource=resource, body=named, **request))


async def test_a_webhook_without_dry_run_leaves_the_manifest_which_says_so(cluster: Cluster, sandbox: Sandbox) -> None:
    await write(cluster, await _plan(cluster, config_map({"a": "1", "b": "2"})))
    sandbox.fail("PATCH", r"dryRun=All", 400, reason="BadRequest", message=HOOK)
    plan = await _plan(cluster, config_map({"a": "2", "b": None}))
    assert plan.not_checked == 'webhook "audit.example.com" does not support dry run'
    assert lines(plan) == {"data.a": ("1", "2"), "data.b": ("2", None)}
    await write(cluster, plan)
    assert (sandbox.get("configmaps", "settings") or {})["data"] == {"a": "2"}


async def test_a_new_object_behind_such_a_webhook_is_shown_by_its_facts(cluster: Cluster, sandbox: Sandbox) -> None:
    sandbox.fail("PATCH", r"dryRun=All", 400, reason="BadRequest", message=HOOK)
    plan = await _plan(cluster, deployment())
    assert (plan.action, plan.after) == (Action.CREATE, plan.body)
    assert ("container main image", "example/app:1") in plan.facts


async def test_what_may_not_be_read_is_shown_as_it_is_sent_and_counts_as_destructive(
    cluster: Cluster, sandbox: Sandbox
) -> None:
    sandbox.deny("get", "configmaps")
    plan = await _plan(cluster, config_map({"a": "1"}))
    assert plan.not_checked == "the live object may not be read, so what changes in it is not known"
    assert plan.after == plan.body
    assert [(risk.code, risk.severity) for risk in plan.risks] == [("removes-unseen", Effect.DESTRUCTIVE)]


async def test_one_key_of_a_secret_that_may_not_be_read_cannot_be_set(cluster: Cluster, sandbox: Sandbox) -> None:
    sandbox.deny("get", "secrets")
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "b25l"}}
    with pytest.raises(Forbidden, match="an apply of some keys would remove the others"):
        await _plan(cluster, body, take_ownership=True)


async def test_a_creation_needs_no_right_to_read_and_still_never_changes_what_is_there(
    cluster: Cluster, sandbox: Sandbox
) -> None:
    sandbox.deny("get", "configmaps")
    await write(cluster, await _plan(cluster, config_map({"a": "1"}), create=True))
    with pytest.raises(AlreadyExists):
        await _plan(cluster, config_map({"b": "2"}), create=True)
    assert (sandbox.get("configmaps", "settings") or {})["data"] == {"a": "1"}


async def test_an_object_of_a_new_kind_in_a_new_namespace_is_planned_from_its_manifest_and_made(
    cluster: Cluster, sandbox: Sandbox
) -> None:
    names = {"kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version]}
    text = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: gadgets.example.com}}
spec: {spec}
---
apiVersion: example.com/v1
kind: Gadget
metadata: {{name: one, namespace: ignored}}
spec: {{size: 3}}
""".replace("True", "true")
    changes = await plan_manifests(ManifestRequest(cluster=cluster, text=text))
    gadget = changes.objects[1]
    assert (gadget.not_checked, gadget.identity.namespace) == ("its definition is not served yet", None)
    await answer_manifests(cluster, changes)
    assert (sandbox.get("gadgets", "one", "") or {})["spec"] == {"size": 3}


@pytest.mark.parametrize(
    ("body", "change", "path"),
    [
        (
            {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}},
            {"clusterIP": "10.0.77.77"},
            "spec.clusterIP",
        ),
        (
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "spec": {
                    "suspend": True,
                    "template": {
                        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example/job:1"}]}
                    },
                },
            },
            {"template": {"spec": {"containers": [{"name": "main", "image": "example/job:2"}]}}},
            "spec.template.spec.containers[main].image",
        ),
        (
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "spec": {
                    "serviceName": "web",
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [{"name": "main", "image": "example/app:1"}]},
                    },
                },
            },
            {"serviceName": "other"},
            "spec.serviceName",
        ),
    ],
    ids=["a Service's address", "a Job's template", "a StatefulSet's service"],
)
async def test_each_kind_of_immutable_field_needs_recreation(world: World, body: Any, change: Any, path: str) -> None:
    whole = {**body, "metadata": {"name": "fixed"}}
    await world.apply(whole)
    part = {**whole, "metadata": {"name": "fixed", "labels": {"team": "x"}}, "spec": change}
    plan = await world.plan(part)
    assert [one.path for one in plan.fields if one.recreate] == [path]
    assert lines(plan)["metadata.labels.team"] == (None, "x")
    with pytest.raises(Conflict, match="needs recreation"):
        await write(world.cluster, plan)


async def test_data_of_an_immutable_config_map_needs_recreation(world: World) -> None:
    await world.apply({**config_map({"a": "1"}), "immutable": True})
    plan = await world.plan(config_map({"a": "2"}))
    assert [(one.path, one.after, one.recreate) for one in plan.fields] == [("data.a", "2", True)]


async def test_a_deletion_that_a_webhook_does_not_try_out_is_planned_all_the_same(
    cluster: Cluster, sandbox: Sandbox
) -> None:
    sandbox.create({**config_map({"a": "1"}), "metadata": {"name": "settings", "namespace": "default"}})
    sandbox.fail("DELETE", r".", 400, reason="BadRequest", message=HOOK, times=1)
    resource = await cluster.resource("ConfigMap")
    plan = await plan_delete(DeleteRequest(cluster=cluster, resource=resource, name="settings", namespace="default"))
    assert plan.not_checked == 'webhook "audit.example.com" does not support dry run'
    assert (await write(cluster, plan)).is_gone


async def test_a_refusal_of_a_dry_run_is_no_lack_of_support(cluster: Cluster, sandbox: Sandbox) -> None:
    said = 'admission webhook "audit.example.com" denied the request: no'
    sandbox.fail("PATCH", r"dryRun=All", 400, reason="BadRequest", message=said)
    with pytest.raises(BadRequest, match="denied the request: no"):
        await _plan(cluster, config_map({"a": "1"}))


async def test_an_autoscaler_that_may_not_be_read_is_known_by_what_it_owns(cluster: Cluster, sandbox: Sandbox) -> None:
    await write(cluster, await _plan(cluster, deployment(replicas=2)))
    sandbox.deny("list", "horizontalpodautoscalers")
    path = "/apis/apps/v1/namespaces/default/deployments/web/scale"
    async with httpx.AsyncClient(base_url=sandbox.url, timeout=scale_timeout(10), trust_env=False) as http:
        answer = await http.patch(
            path,
            params={"fieldManager": "kube-controller-manager"},
            content='{"spec": {"replicas": 5}}',
            headers={"content-type": "application/merge-patch+json"},
        )
        assert answer.status_code == 200
    plan = await _plan(cluster, deployment({"name": "main", "image": "example/app:2"}, replicas=3))
    assert "replicas" not in plan.body["spec"]
    assert ("spec.replicas", "left to the autoscaler, which sets it") in plan.facts
