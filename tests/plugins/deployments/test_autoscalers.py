"""The number of pods is in no change of klepaas' while an autoscaler targets the workload, whichever verb it is."""

import json
from typing import Any

import httpx
import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox.server import mutating

pytestmark = pytest.mark.anyio
_AUTOSCALER = ("kube-controller-manager", "Update", "scale")


@pytest.fixture
def deadline_scale() -> float:
    """No rollout here is to miss its deadline, on a busy machine either."""
    return 0.1


def scaler(target: str = "web", name: str = "web", low: int = 1) -> dict[str, Any]:
    aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    spec = {"scaleTargetRef": aim, "minReplicas": low, "maxReplicas": 9}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec}


def workload(image: str = "example/app:1", name: str = "web", **spec: Any) -> dict[str, Any]:
    marks = {"app": name}
    template = {"metadata": {"labels": marks}, "spec": {"containers": [{"name": "web", "image": image}]}}
    whole = {"selector": {"matchLabels": marks}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole}


def text(*objects: dict[str, Any]) -> str:
    return "\n---\n".join(json.dumps(one) for one in objects)


async def scale_by_the_autoscaler(bench: Any, replicas: int) -> None:
    """As the controller of the cluster does."""
    path = "/apis/apps/v1/namespaces/default/deployments/web/scale"
    async with httpx.AsyncClient(base_url=bench.sandbox.url, timeout=scale_timeout(15), trust_env=False) as http:
        answer = await http.patch(
            path,
            params={"fieldManager": "kube-controller-manager"},
            json={"spec": {"replicas": replicas}},
            headers={"content-type": "application/merge-patch+json"},
        )
    assert answer.status_code == 200, answer.text


def replicas_of(bench: Any, name: str = "web") -> int:
    return int(bench.sandbox.get("Deployment", name)["spec"]["replicas"])


def owners_of_replicas(bench: Any, name: str = "web") -> set[tuple[str, str, str]]:
    found = bench.sandbox.get("Deployment", name)["metadata"]["managedFields"]
    return {
        (one["manager"], one["operation"], one.get("subresource", ""))
        for one in found
        if "f:replicas" in (one["fieldsV1"].get("f:spec") or {})
    }


def numbers_sent(bench: Any) -> list[Any]:
    """The numbers of pods in what was sent to Deployments since requests were last forgotten."""
    sent = [
        one for one in bench.sandbox.requests if mutating(one) and one.path.rpartition("/")[0].endswith("/deployments")
    ]
    bodies = [one.parsed for one in sent if isinstance(one.parsed, dict)]
    return [body["spec"]["replicas"] for body in bodies if "replicas" in (body.get("spec") or {})]


async def done(said: Any) -> None:
    said = await said
    assert not said.is_error, said.text


async def test_no_verb_sends_a_number_while_an_autoscaler_targets_the_workload(bench: Any) -> None:
    await done(bench.deploy(replicas=2))
    await done(bench.deploy(image="example/app:2"))
    bench.sandbox.create(scaler())
    await scale_by_the_autoscaler(bench, 4)
    bench.sandbox.clear_requests()
    await done(bench.deploy(image="example/app:3", replicas=1))
    await done(bench.call("restart_application", app_name="web"))
    await done(bench.call("rollback_deployment", app_name="web", release=2))
    await done(bench.call("rollback_deployment", app_name="web", revision=1))
    failed = await bench.deploy(image="example/crash:1", replicas=7)
    assert "is rolled back" in failed.text
    part = workload()
    part["spec"] = {"replicas": 5, "minReadySeconds": 1}
    await done(bench.call("k8s_apply", manifests=text(part)))
    assert numbers_sent(bench) == []
    assert replicas_of(bench) == 4
    assert owners_of_replicas(bench) == {_AUTOSCALER}


async def test_zero_pods_stop_a_workload_whose_number_an_autoscaler_has_set_and_another_number_wakes_it(
    bench: Any,
) -> None:
    await done(bench.deploy(replicas=2))
    bench.sandbox.create(scaler())
    await scale_by_the_autoscaler(bench, 4)
    await done(bench.call("scale_application", app_name="web", replicas=0))
    assert replicas_of(bench) == 0
    await done(bench.deploy(image="example/app:2", replicas=3))
    assert replicas_of(bench) == 3


async def test_a_number_that_an_autoscaler_left_when_it_was_deleted_is_taken_over_and_reported(bench: Any) -> None:
    await done(bench.deploy(replicas=2))
    bench.sandbox.create(scaler())
    await scale_by_the_autoscaler(bench, 4)
    bench.sandbox.delete("HorizontalPodAutoscaler", "web")
    said = await bench.call("scale_application", app_name="web", replicas=3)
    assert not said.is_error, said.text
    assert "Taken over from kube-controller-manager" in said.text
    assert replicas_of(bench) == 3
    assert owners_of_replicas(bench) == {("klepaas", "Apply", "")}


async def test_manifests_that_remove_the_autoscaler_and_set_a_number_write_the_number(bench: Any) -> None:
    await done(bench.call("deploy_application", app_name="web", manifests=text(workload(), scaler())))
    await scale_by_the_autoscaler(bench, 4)
    bench.sandbox.clear_requests()
    said = await bench.call("deploy_application", app_name="web", manifests=text(workload(replicas=2)))
    assert not said.is_error, said.text
    assert "spec.replicas: 4 -> 2" in bench.asked[-1]
    assert "replicas: 4 -> 2" in said.text
    assert replicas_of(bench) == 2
    assert bench.sandbox.get("HorizontalPodAutoscaler", "web") is None
    assert owners_of_replicas(bench) == {("klepaas", "Apply", "")}
    changed = [one for one in bench.sandbox.requests if mutating(one) and one.path.endswith("/web")]
    kinds = [one.path.split("/")[-2] for one in changed]
    assert kinds.index("horizontalpodautoscalers") < kinds.index("deployments"), "it would undo the number"


async def test_manifests_that_retarget_the_autoscaler_and_set_a_number_write_the_number(bench: Any) -> None:
    await done(bench.call("deploy_application", app_name="web", manifests=text(workload(), scaler())))
    await scale_by_the_autoscaler(bench, 4)
    bench.sandbox.clear_requests()
    changed = text(workload(replicas=2), scaler("other"))
    await done(bench.call("deploy_application", app_name="web", manifests=changed))
    assert replicas_of(bench) == 2
    kinds = [one.path.split("/")[-2] for one in bench.sandbox.requests if mutating(one) and one.path.endswith("/web")]
    assert kinds.index("horizontalpodautoscalers") < kinds.index("deployments"), "it would undo the number"


def _writes_of_kinds(bench: Any) -> list[str]:
    """The kinds of the objects called `web` that were written, in that order."""
    changed = [one for one in bench.sandbox.requests if mutating(one) and one.path.endswith("/web")]
    return [one.path.split("/")[-2] for one in changed]


async def test_objects_applied_together_move_the_autoscaler_away_before_the_number_is_set(bench: Any) -> None:
    await done(bench.call("k8s_apply", manifests=text(workload(), scaler())))
    await scale_by_the_autoscaler(bench, 4)
    bench.sandbox.clear_requests()
    await done(bench.call("k8s_apply", manifests=text(workload(replicas=2), scaler("other"))))
    assert list(dict.fromkeys(_writes_of_kinds(bench))) == ["horizontalpodautoscalers", "deployments"]
    assert replicas_of(bench) == 2


async def test_an_applied_autoscaler_that_stays_comes_after_its_workload(bench: Any) -> None:
    await done(bench.call("k8s_apply", manifests=text(workload(), scaler())))
    bench.sandbox.clear_requests()
    await done(bench.call("k8s_apply", manifests=text(workload("example/app:2"), scaler(low=2))))
    assert list(dict.fromkeys(_writes_of_kinds(bench))) == ["deployments", "horizontalpodautoscalers"]


async def test_a_rollback_frees_the_workload_of_its_autoscaler_before_it_sets_the_number(bench: Any) -> None:
    before, after = (workload(replicas=2), scaler("other")), (workload(), scaler())
    await done(bench.call("deploy_application", app_name="web", manifests=text(*before)))
    await done(bench.call("deploy_application", app_name="web", manifests=text(*after)))
    await scale_by_the_autoscaler(bench, 4)
    bench.sandbox.clear_requests()
    await done(bench.call("rollback_deployment", app_name="web", release=1))
    kinds = _writes_of_kinds(bench)
    assert kinds.index("horizontalpodautoscalers") < kinds.index("deployments")
    assert replicas_of(bench) == 2


async def test_manifests_that_add_an_autoscaler_leave_it_the_number_of_a_new_workload_from_the_start(
    bench: Any,
) -> None:
    both = text(workload(replicas=3), scaler())
    said = await bench.call("deploy_application", app_name="web", manifests=both, dry_run=True)
    assert "left to the autoscaler" in said.text
    await done(bench.call("deploy_application", app_name="web", manifests=both))
    assert numbers_sent(bench) == []
    assert ("klepaas", "Apply", "") not in owners_of_replicas(bench)


async def test_manifests_that_add_an_autoscaler_leave_it_the_number_that_klepaas_has_set(bench: Any) -> None:
    await done(bench.call("deploy_application", app_name="web", manifests=text(workload(replicas=3))))
    bench.sandbox.clear_requests()
    await done(bench.call("deploy_application", app_name="web", manifests=text(workload(replicas=2), scaler())))
    assert numbers_sent(bench) == []
    assert replicas_of(bench) == 3
    assert owners_of_replicas(bench) == {_AUTOSCALER}


async def test_manifests_that_add_an_autoscaler_of_another_workload_write_the_number(bench: Any) -> None:
    await done(bench.call("deploy_application", app_name="web", manifests=text(workload(replicas=3), scaler("other"))))
    assert replicas_of(bench) == 3
    assert owners_of_replicas(bench) == {("klepaas", "Apply", "")}


async def test_an_applied_autoscaler_of_another_namespace_leaves_the_number_to_the_manifest(bench: Any) -> None:
    bench.sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
    far = scaler()
    far["metadata"]["namespace"] = "elsewhere"
    await done(bench.call("k8s_apply", manifests=text(workload(replicas=3), far)))
    assert replicas_of(bench) == 3


async def test_objects_applied_together_leave_the_number_to_the_autoscaler_among_them(bench: Any) -> None:
    await done(bench.call("k8s_apply", manifests=text(workload(replicas=3), scaler())))
    assert numbers_sent(bench) == []


async def test_a_first_deployment_leaves_the_number_to_an_autoscaler_that_waits_for_it(bench: Any) -> None:
    bench.sandbox.create(scaler())
    await done(bench.deploy(replicas=3))
    assert numbers_sent(bench) == []
