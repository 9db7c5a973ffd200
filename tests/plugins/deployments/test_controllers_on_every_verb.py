"""What a controller owns is refused by every verb, named with its owner, until ownership is taken."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from klepaas.operations import Operations
from klepaas_plugins.deployments.revisions import RESTARTED_AT
from klepaas_plugins.kubernetes.client import Clusters

pytestmark = pytest.mark.anyio
Json = dict[str, Any]


@pytest.fixture
def deadline_scale() -> float:
    """No rollout here is to miss its deadline, on a busy machine either."""
    return 0.1


async def apply_as(bench: Any, manager: str, spec: Json) -> None:
    """Another manager sets fields of the workload, whoever owned them."""
    cluster = await Clusters.of(bench.host).cluster(None)
    metadata = {"name": "web", "namespace": "default"}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    await cluster.apply(body, force=True, field_manager=manager)


def manifest(image: str) -> str:
    marks = {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web"}
    template = {"metadata": {"labels": marks}, "spec": {"containers": [{"name": "web", "image": image}]}}
    spec = {"selector": {"matchLabels": marks}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})


def image_of(spec: Json) -> Any:
    return spec["template"]["spec"]["containers"][0]["image"]


def moment_of(spec: Json) -> Any:
    return spec["template"]["metadata"]["annotations"][RESTARTED_AT]


_IMAGE = {"template": {"spec": {"containers": [{"name": "web", "image": "example/app:9"}]}}}
_MOMENT = {"template": {"metadata": {"annotations": {RESTARTED_AT: "2020-01-01T00:00:00Z"}}}}
# The verb, its arguments, what the controller sets, and where that lies.
VERBS: list[tuple[str, Json, Json, Callable[[Json], Any], str]] = [
    ("deploy_application", {"image": "example/app:2"}, _IMAGE, image_of, "containers[web].image"),
    ("deploy_application", {"manifests": manifest("example/app:2")}, _IMAGE, image_of, "containers[web].image"),
    ("scale_application", {"replicas": 3}, {"replicas": 2}, lambda spec: spec["replicas"], "spec.replicas"),
    ("restart_application", {}, _MOMENT, moment_of, f"annotations.{RESTARTED_AT}"),
    ("rollback_deployment", {"release": 1}, _IMAGE, image_of, "containers[web].image"),
    ("k8s_apply", {"manifests": manifest("example/app:2")}, _IMAGE, image_of, "containers[web].image"),
]
NAMES = ["deploy an image", "deploy manifests", "scale", "restart", "roll back", "apply"]


@pytest.mark.parametrize(("tool", "arguments", "theirs", "look", "path"), VERBS, ids=NAMES)
async def test_every_verb_refuses_what_a_controller_owns_until_ownership_is_taken(
    bench: Any, tool: str, arguments: Json, theirs: Json, look: Callable[[Json], Any], path: str
) -> None:
    await bench.deploy()
    await apply_as(bench, "argocd-controller", theirs)
    before, operations = _spec(bench), await _operations(bench)
    named = arguments if tool == "k8s_apply" else {"app_name": "web", **arguments}
    for dry_run in (True, False):
        said = await bench.call(tool, **named, dry_run=dry_run)
        assert said.code == "conflict", said.text
        assert "argocd-controller (Argo CD) owns" in said.text
        assert path in said.text
        assert "take_ownership=true" in said.text
    assert _spec(bench) == before
    assert await _operations(bench) == operations, "what was refused is no operation that ended badly"
    taken = await bench.call(tool, **named, take_ownership=True)
    assert not taken.is_error, taken.text
    assert "argocd-controller (Argo CD)" in taken.text
    assert look(_spec(bench)) != look(before)


@pytest.mark.parametrize(("tool", "arguments", "theirs", "look", "path"), VERBS, ids=NAMES)
async def test_every_verb_takes_over_what_a_person_s_command_set_and_reports_it(
    bench: Any, tool: str, arguments: Json, theirs: Json, look: Callable[[Json], Any], path: str
) -> None:
    await bench.deploy()
    await apply_as(bench, "kubectl-edit", theirs)
    before = _spec(bench)
    named = arguments if tool == "k8s_apply" else {"app_name": "web", **arguments}
    said = await bench.call(tool, **named)
    assert not said.is_error, said.text
    assert "aken over from kubectl-edit" in said.text
    assert path in said.text
    assert look(_spec(bench)) != look(before)


async def test_a_rollback_of_what_an_autoscaler_sized_leaves_a_controller_s_fields_and_restores_the_number(
    bench: Any,
) -> None:
    """The number was the autoscaler's, which goes; the seconds were never klepaas', and stay the controller's."""
    from .test_autoscalers import done, replicas_of, scale_by_the_autoscaler, scaler, text, workload

    await done(bench.call("deploy_application", app_name="web", manifests=text(workload(replicas=2))))
    sized = text(workload("example/app:2"), scaler())
    await done(bench.call("deploy_application", app_name="web", manifests=sized))
    await scale_by_the_autoscaler(bench, 4)
    await apply_as(bench, "argocd-controller", {"minReadySeconds": 2})
    said = await bench.call("rollback_deployment", app_name="web", release=1)
    assert not said.is_error, said.text
    assert "minReadySeconds" in said.text
    assert _spec(bench)["minReadySeconds"] == 2
    assert image_of(_spec(bench)) == "example/app:1"
    assert bench.sandbox.get("HorizontalPodAutoscaler", "web") is None
    assert replicas_of(bench) == 2


def _spec(bench: Any) -> Json:
    found: Json = bench.sandbox.get("Deployment", "web")["spec"]
    return found


async def _operations(bench: Any) -> int:
    return len(await Operations.of(bench.host).find(None, limit=100))
