"""Every change of an application is sent in one way, under one name, with one rule about other owners."""

import json
from typing import Any

import httpx
import pytest

from klepaas.operations import Operations
from klepaas.testing import scale_timeout
from klepaas_plugins.deployments.revisions import RESTARTED_AT
from klepaas_plugins.kubernetes.client import Clusters

pytestmark = pytest.mark.anyio


def entries_of(bench: Any, kind: str = "Deployment", name: str = "web") -> list[tuple[str, str, str]]:
    """Manager, operation and subresource of each owner of an object's fields, a status's owners left out."""
    found = bench.sandbox.get(kind, name)["metadata"]["managedFields"]
    named = [(one["manager"], one["operation"], one.get("subresource", "")) for one in found]
    return [one for one in named if one[2] != "status"]


async def apply_as(bench: Any, manager: str, spec: dict[str, Any], kind: str = "Deployment") -> None:
    """Another manager sets fields of the workload, whoever owned them."""
    cluster = await Clusters.of(bench.host).cluster(None)
    body = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web", "namespace": "default"}, "spec": spec}
    await cluster.apply(body, force=True, field_manager=manager)


async def replicas_of(bench: Any) -> int:
    return int(bench.sandbox.get("Deployment", "web")["spec"]["replicas"])


async def test_after_a_walk_over_the_verbs_klepaas_has_one_entry_of_operation_apply(bench: Any) -> None:
    walk: tuple[tuple[str, dict[str, Any]], ...] = (
        ("deploy_application", {"image": "example/app:2", "env_vars": ["B=2"], "port": 8080}),
        ("scale_application", {"replicas": 3}),
        ("restart_application", {}),
        ("deploy_application", {"image": "example/app:3", "env_vars": ["B"]}),
        ("rollback_deployment", {"release": 1}),
        ("rollback_deployment", {"revision": 2}),
        ("deploy_application", {"env_vars": ["C=3", "A=1"]}),
        ("deploy_application", {"image": "example/crash:4", "env_vars": ["D=1"]}),
        ("scale_application", {"replicas": 0}),
        ("scale_application", {"replicas": 1}),
        ("restart_application", {}),
    )
    await bench.deploy(env_vars=["A=1"])
    for tool, arguments in walk:
        said = await bench.call(tool, app_name="web", **arguments)
        assert said.is_error == ("crash" in str(arguments)), (tool, said.text)
        assert [one for one in entries_of(bench) if one[0] == "klepaas"] == [("klepaas", "Apply", "")], tool
    assert await replicas_of(bench) == 1
    assert bench.env() == {"A": "1", "B": "2", "C": "3"}


async def test_scaling_to_zero_is_destructive_and_asked_about(bench: Any) -> None:
    await bench.deploy()
    await bench.call("scale_application", app_name="web", replicas=2)
    assert bench.asked == []
    said = await bench.call("scale_application", app_name="web", replicas=0)
    assert not said.is_error, said.text
    assert "scale_application (destructive)" in bench.asked[0]
    assert "spec.replicas: 2 -> 0" in bench.asked[0]


@pytest.mark.parametrize("manager", ["kubectl", "kubectl-edit", "k9s", "node-fetch"])
async def test_a_number_that_a_person_s_command_set_is_taken_over_and_reported(bench: Any, manager: str) -> None:
    await bench.deploy()
    await apply_as(bench, manager, {"replicas": 4})
    dry = await bench.call("scale_application", app_name="web", replicas=2, dry_run=True)
    assert f"taken over from {manager}" in dry.text
    said = await bench.call("scale_application", app_name="web", replicas=2)
    assert not said.is_error, said.text
    assert f"Taken over from {manager}" in said.text
    assert await replicas_of(bench) == 2
    assert [one[0] for one in entries_of(bench)] == ["klepaas"]


@pytest.mark.parametrize("manager", ["argocd-controller", "helm", "some-operator"])
async def test_a_number_that_a_controller_set_is_refused_naming_it_until_ownership_is_taken(
    bench: Any, manager: str
) -> None:
    await bench.deploy()
    await apply_as(bench, manager, {"replicas": 4})
    operations = await _operations(bench)
    for dry_run in (True, False):
        said = await bench.call("scale_application", app_name="web", replicas=2, dry_run=dry_run)
        assert said.code == "conflict"
        assert manager in said.text
        assert "take_ownership=true" in said.text
    assert await replicas_of(bench) == 4
    assert await _operations(bench) == operations, "what was refused is no operation that ended badly"
    taken = await bench.call("scale_application", app_name="web", replicas=2, take_ownership=True)
    assert not taken.is_error, taken.text
    assert await replicas_of(bench) == 2


async def _scale_by_the_subresource(bench: Any, replicas: int) -> None:
    """As versions before the one writer scaled."""
    path = "/apis/apps/v1/namespaces/default/deployments/web/scale"
    async with httpx.AsyncClient(base_url=bench.sandbox.url, timeout=scale_timeout(15), trust_env=False) as http:
        answer = await http.patch(
            path,
            params={"fieldManager": "klepaas"},
            json={"spec": {"replicas": replicas}},
            headers={"content-type": "application/merge-patch+json"},
        )
    assert answer.status_code == 200, answer.text


async def test_entries_that_older_versions_left_are_folded(bench: Any) -> None:
    await bench.deploy()
    cluster = await Clusters.of(bench.host).cluster(None)
    resource = await cluster.resource("deployments.apps")
    await cluster.merge_patch(
        resource, "web", "default", {"spec": {"template": {"metadata": {"annotations": {"n": "1"}}}}}
    )
    await _scale_by_the_subresource(bench, 3)
    assert ("klepaas", "Update", "") in entries_of(bench)
    assert ("klepaas", "Update", "scale") in entries_of(bench)
    said = await bench.call("restart_application", app_name="web")
    assert not said.is_error, said.text
    assert [one for one in entries_of(bench) if one[0] == "klepaas"] == [("klepaas", "Apply", "")]
    assert await replicas_of(bench) == 3
    annotations = bench.sandbox.get("Deployment", "web")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["n"] == "1"


async def test_each_restart_is_a_new_one_and_a_person_s_restart_stays_until_then(bench: Any) -> None:
    await bench.deploy()
    seen = []
    for _ in range(2):
        said = await bench.call("restart_application", app_name="web")
        assert not said.is_error, said.text
        template = bench.sandbox.get("Deployment", "web")["spec"]["template"]
        seen.append(template["metadata"]["annotations"][RESTARTED_AT])
    assert seen[0] < seen[1]
    template = {"metadata": {"annotations": {RESTARTED_AT: "2030-01-01T00:00:00Z"}}}
    await apply_as(bench, "kubectl-rollout", {"template": template})
    await bench.call("scale_application", app_name="web", replicas=2)
    template = bench.sandbox.get("Deployment", "web")["spec"]["template"]
    assert template["metadata"]["annotations"][RESTARTED_AT] == "2030-01-01T00:00:00Z"


async def test_two_dry_runs_of_a_restart_show_the_same(bench: Any) -> None:
    await bench.deploy()
    said = [await bench.call("restart_application", app_name="web", dry_run=True) for _ in range(2)]
    assert len({one.text.partition("\nPlan ")[0] for one in said}) == 1
    assert RESTARTED_AT in said[0].text


@pytest.mark.parametrize(("manager", "is_taken"), [("kubectl-set", True), ("argocd-controller", False)])
async def test_a_variable_of_a_person_s_command_goes_and_that_of_a_controller_is_refused(
    bench: Any, manager: str, is_taken: bool
) -> None:
    await bench.deploy(env_vars=["A=1"])
    theirs = {"containers": [{"name": "web", "env": [{"name": "THEIRS", "value": "1"}]}]}
    await apply_as(bench, manager, {"template": {"spec": theirs}})
    said = await bench.call("deploy_application", app_name="web", env_vars=["THEIRS", "A"])
    assert said.is_error != is_taken, said.text
    assert manager in said.text
    assert bench.env() == ({} if is_taken else {"A": "1", "THEIRS": "1"})
    if not is_taken:
        taken = await bench.call("deploy_application", app_name="web", env_vars=["THEIRS", "A"], take_ownership=True)
        assert not taken.is_error, taken.text
        assert bench.env() == {}


async def test_what_others_added_stays_when_klepaas_deploys(bench: Any) -> None:
    await bench.deploy(env_vars=["A=1"])
    theirs = {"containers": [{"name": "web", "env": [{"name": "THEIRS", "value": "1"}]}]}
    await apply_as(bench, "some-operator", {"template": {"spec": theirs}})
    said = await bench.deploy(image="example/app:2", env_vars=["A=2"])
    assert not said.is_error, said.text
    assert bench.env() == {"A": "2", "THEIRS": "1"}


async def test_what_others_added_stays_theirs_when_the_last_variable_of_klepaas_goes(bench: Any) -> None:
    await bench.deploy(env_vars=["A=1"])
    theirs = {"containers": [{"name": "web", "env": [{"name": "THEIRS", "value": "1"}]}]}
    await apply_as(bench, "some-operator", {"template": {"spec": theirs}})
    for image, variables in (("example/app:2", ["A"]), ("example/app:3", [])):
        said = await bench.deploy(image=image, env_vars=variables)
        assert not said.is_error, said.text
    entries = bench.sandbox.get("Deployment", "web")["metadata"]["managedFields"]
    owners = [one["manager"] for one in entries if "THEIRS" in json.dumps(one["fieldsV1"])]
    assert owners == ["some-operator"]


async def test_a_deployment_that_is_refused_is_no_operation(bench: Any) -> None:
    await bench.deploy()
    await apply_as(bench, "argocd-controller", {"template": {"spec": {"containers": [_container("example/app:9")]}}})
    before = await _operations(bench)
    said = await bench.deploy(image="example/app:2")
    assert said.code == "conflict"
    assert "argocd-controller" in said.text
    assert "operation_id" not in said.meta
    assert await _operations(bench) == before


async def test_manifests_remove_what_the_last_release_had_and_they_lack_after_a_confirmation(bench: Any) -> None:
    whole = [_deployment("example/app:1"), _config("web-config"), _config("web-extra")]
    first = await bench.call("deploy_application", app_name="web", manifests=_yaml(whole))
    assert not first.is_error, first.text
    bench.asked.clear()
    less = _yaml([_deployment("example/app:2"), _config("web-config")])
    dry = await bench.call("deploy_application", app_name="web", manifests=less, dry_run=True)
    assert "delete configmap/web-extra (namespace default)" in dry.text
    assert bench.sandbox.get("ConfigMap", "web-extra") is not None
    said = await bench.call("deploy_application", app_name="web", manifests=less)
    assert not said.is_error, said.text
    assert "delete configmap/web-extra" in bench.asked[0]
    assert "Removed: ConfigMap web-extra" in said.text
    assert bench.sandbox.get("ConfigMap", "web-extra") is None
    assert bench.sandbox.get("ConfigMap", "web-config") is not None


async def test_a_change_that_is_begun_again_after_an_outage_goes_on_from_the_removal_that_it_made(bench: Any) -> None:
    whole = [_deployment("example/app:1"), _config("web-config"), _config("web-extra")]
    await bench.call("deploy_application", app_name="web", manifests=_yaml(whole))
    # The release is marked after the removal.
    bench.sandbox.fail("PATCH", "/configmaps/.*release", 503, times=3)
    less = _yaml([_deployment("example/app:2"), _config("web-config")])
    said = await bench.call("deploy_application", app_name="web", manifests=less)
    assert not said.is_error, said.text
    marks = [one for one in bench.sandbox.requests if one.method == "PATCH" and "klepaas.release" in one.path]
    assert len(marks) > 3
    assert "Removed: ConfigMap web-extra" in said.text
    assert bench.sandbox.get("ConfigMap", "web-extra") is None


async def test_what_manifests_removed_is_there_again_after_a_failure(bench: Any) -> None:
    whole = [_deployment("example/app:1"), _config("web-config"), _config("web-extra")]
    await bench.call("deploy_application", app_name="web", manifests=_yaml(whole))
    less = _yaml([_deployment("example/crash:2"), _config("web-config")])
    said = await bench.call("deploy_application", app_name="web", manifests=less)
    assert "is rolled back" in said.text
    assert bench.sandbox.get("ConfigMap", "web-extra")["data"] == {"mode": "fast"}
    assert bench.container()["image"] == "example/app:1"


async def test_a_rollback_keeps_the_number_of_pods_that_was_scaled_to_since(bench: Any) -> None:
    await bench.deploy(replicas=1)
    await bench.deploy(image="example/app:2")
    await bench.call("scale_application", app_name="web", replicas=3)
    said = await bench.call("rollback_deployment", app_name="web", release=1)
    assert not said.is_error, said.text
    assert "keeps its 3 pods, as it was scaled since; the release had 1" in said.text
    assert await replicas_of(bench) == 3
    assert bench.container()["image"] == "example/app:1"


async def test_a_rollback_leaves_what_others_added_and_names_it(bench: Any) -> None:
    await bench.deploy(env_vars=["A=1"])
    await bench.deploy(image="example/app:2", env_vars=["A=2"])
    theirs = {"containers": [{"name": "web", "env": [{"name": "THEIRS", "value": "1"}]}]}
    await apply_as(bench, "some-operator", {"template": {"spec": theirs}})
    said = await bench.call("rollback_deployment", app_name="web", release=1)
    assert not said.is_error, said.text
    assert "env[THEIRS].value stays as it is, set by some-operator" in said.text
    assert bench.env() == {"A": "1", "THEIRS": "1"}
    assert bench.container()["image"] == "example/app:1"


async def test_a_rollback_takes_back_what_a_person_s_command_changed(bench: Any) -> None:
    await bench.deploy()
    await apply_as(bench, "kubectl-set", {"template": {"spec": {"containers": [_container("example/app:9")]}}})
    said = await bench.call("rollback_deployment", app_name="web", release=1)
    assert not said.is_error, said.text
    assert bench.container()["image"] == "example/app:1"


async def test_a_rollback_takes_no_field_from_a_controller_until_ownership_is_taken(bench: Any) -> None:
    await bench.deploy()
    await bench.deploy(image="example/app:2")
    theirs = {"template": {"spec": {"containers": [_container("example/app:9")]}}}
    await apply_as(bench, "argocd-controller", theirs)
    said = await bench.call("rollback_deployment", app_name="web", release=1)
    assert said.is_error
    assert "argocd-controller (Argo CD) owns spec.template.spec.containers[web].image" in said.text
    assert "take_ownership=true" in said.text
    assert "operation_id" not in said.meta
    assert bench.container()["image"] == "example/app:9"
    said = await bench.call("rollback_deployment", app_name="web", release=1, take_ownership=True)
    assert not said.is_error, said.text
    assert "taken over from argocd-controller (Argo CD)" in said.text
    assert bench.container()["image"] == "example/app:1"


async def test_the_status_says_who_reconciles_an_application(bench: Any) -> None:
    await bench.deploy()
    said = await bench.call("get_deployment_status", app_name="web")
    assert "Reconciled by" not in said.text
    await apply_as(bench, "argocd-controller", {"template": {"spec": {"containers": [_container("example/app:9")]}}})
    said = await bench.call("get_deployment_status", app_name="web")
    assert "Reconciled by argocd-controller (Argo CD), which writes its own values again" in said.text


def _container(image: str) -> dict[str, Any]:
    return {"name": "web", "image": image}


def _deployment(image: str) -> dict[str, Any]:
    marks = {"app": "web"}
    template = {"metadata": {"labels": marks}, "spec": {"containers": [_container(image)]}}
    spec = {"selector": {"matchLabels": marks}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def _config(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"mode": "fast"}}


def _yaml(objects: list[dict[str, Any]]) -> str:
    return "\n---\n".join(json.dumps(one) for one in objects)


async def _operations(bench: Any) -> int:
    """How many operations there have been."""
    found = await Operations.of(bench.host).find(None, limit=100)
    return len(found)
