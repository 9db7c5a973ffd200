"""Fields that exclude each other: an apply that names one removes the others, whoever set them, defaults included."""

import json
from typing import Any

import pytest

from klepaas.changes import Action
from klepaas_plugins.kubernetes.client import FieldConflict
from klepaas_plugins.kubernetes.errors import Invalid

from .conftest import APPLY, World, container, deployment, lines

pytestmark = pytest.mark.anyio
Json = dict[str, Any]
VALUE = {"value": "1"}
FIELD = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
SECRET = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
HTTP, TCP = {"httpGet": {"path": "/", "port": 80}}, {"tcpSocket": {"port": 80}}
RECREATE, ROLLING = {"type": "Recreate"}, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
BOUNDS = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}


def part(container: Json | None = None, pod: Json | None = None, **spec: Any) -> Json:
    """A workload with some fields, of no pods."""
    main = {"name": "main", "image": "example/app:1", **(container or {})}
    body = deployment(main, replicas=0, **spec)
    body["spec"]["template"]["spec"] |= pod or {}
    return body


def variable(value: Json) -> Json:
    return part({"env": [{"name": "A", **value}]})


def volume(**source: Any) -> Json:
    return {"volumes": [{"name": "v", **source}]}


# Before, after, and what goes with it.
EXCLUSIVE: dict[str, tuple[Json, Json, str]] = {
    "the bounds of a strategy": (part(strategy=BOUNDS), part(strategy=RECREATE), "spec.strategy.rollingUpdate"),
    "a variable's value": (variable(VALUE), variable(FIELD), "value"),
    "where a variable comes from": (variable(FIELD), variable(VALUE), "valueFrom"),
    "one of two places": (variable(FIELD), variable(SECRET), "fieldRef"),
    "the handler of a probe": (part({"readinessProbe": HTTP}), part({"readinessProbe": TCP}), "httpGet"),
    "the handler of a hook": (
        part({"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}),
        part({"lifecycle": {"preStop": {"httpGet": {"port": 80}}}}),
        "exec",
    ),
    "the source of a volume": (
        part(pod=volume(emptyDir={"sizeLimit": "1Gi"})), part(pod=volume(configMap={"name": "x"})), "emptyDir",
    ),
}  # fmt: skip
each = pytest.mark.parametrize(("before", "after", "gone"), EXCLUSIVE.values(), ids=list(EXCLUSIVE))


async def sent_by_others(world: World, body: Json) -> Any:
    """The answer to a forced apply."""
    return await world.http.patch(
        world.path("Deployment", "web"),
        params={"fieldManager": "klepaas", "force": "true"},
        json=body,
        headers={"content-type": APPLY},
    )


@each
async def test_a_server_refuses_an_apply_that_leaves_both(world: World, before: Json, after: Json, gone: str) -> None:
    await world.post(before, "kubectl-create")
    answer = await sent_by_others(world, after)
    assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid"), answer.text
    says = ("may not specify more than 1", "may not be specified when", "may not have more than one field")
    assert any(text in answer.json()["message"] for text in says), answer.text


@pytest.mark.parametrize("maker", ["kubectl-create", "klepaas"])
@each
async def test_what_is_named_removes_what_excludes_it_and_shows_that(
    world: World, before: Json, after: Json, gone: str, maker: str
) -> None:
    await (world.apply(before) if maker == "klepaas" else world.post(before, maker))
    plan = await world.plan(after)
    assert any(gone in one.path for one in plan.removals), lines(plan)
    made = await world.apply(after)
    assert not made.deviations
    live = json.dumps((await world.get("Deployment", "web"))["spec"])
    assert f'"{gone.rpartition(".")[2]}"' not in live, live
    assert (await world.plan(after)).action is Action.NONE


async def test_recreate_goes_over_bounds_that_the_server_set_by_default(world: World) -> None:
    await world.apply(part())
    refused = await sent_by_others(world, part(strategy=RECREATE))
    assert refused.status_code == 422
    assert "may not be specified when strategy `type` is 'Recreate'" in refused.json()["message"]
    plan = await world.plan(part(strategy=RECREATE))
    assert lines(plan) == {
        "spec.strategy.type": ("RollingUpdate", "Recreate"),
        "spec.strategy.rollingUpdate.maxUnavailable": ("25%", None),
        "spec.strategy.rollingUpdate.maxSurge": ("25%", None),
    }
    await world.apply(part(strategy=RECREATE))
    assert (await world.get("Deployment", "web"))["spec"]["strategy"] == RECREATE


async def test_the_bounds_that_klepaas_set_go_whole_when_it_names_them_no_more(world: World) -> None:
    await world.apply(part(strategy=ROLLING))
    answer = await sent_by_others(world, part(strategy=RECREATE))
    assert (answer.status_code, answer.json()["spec"]["strategy"]) == (200, RECREATE)


async def test_a_stateful_set_that_is_updated_on_deletion_loses_its_partition(world: World) -> None:
    body = part(serviceName="web")
    body = {**body, "kind": "StatefulSet"}
    await world.apply(body)
    changed = {**body, "spec": {**body["spec"], "updateStrategy": {"type": "OnDelete"}}}
    await world.apply(changed)
    assert (await world.get("StatefulSet", "web"))["spec"]["updateStrategy"] == {"type": "OnDelete"}


async def test_what_a_controller_set_is_not_removed_for_it_until_it_is_taken_over(world: World) -> None:
    await world.apply(part())
    await world.patch("Deployment", "web", container(readinessProbe=HTTP), "argocd-controller", APPLY)
    with pytest.raises(FieldConflict, match=r"argocd-controller \(Argo CD\) owns .*readinessProbe\.httpGet"):
        await world.plan(container(readinessProbe=TCP))
    await world.apply(container(readinessProbe=TCP), take_ownership=True)
    (main,) = (await world.get("Deployment", "web"))["spec"]["template"]["spec"]["containers"]
    assert "httpGet" not in main["readinessProbe"]


async def test_a_restoration_leaves_a_controller_s_choice_and_says_so(world: World) -> None:
    await world.apply(part())
    await world.patch("Deployment", "web", container(readinessProbe=HTTP), "argocd-controller", APPLY)
    plan = await world.plan(container(image="example/app:2", readinessProbe=TCP), is_restoring=True)
    left = dict(plan.facts)["spec.template.spec.containers[main].readinessProbe.httpGet"]
    assert left == "left as it is: a controller owns it now"
    assert list(lines(plan)) == ["spec.template.spec.containers[main].image"]


async def test_a_manifest_that_names_both_is_refused_by_the_server(world: World) -> None:
    await world.apply(part({"readinessProbe": HTTP}))
    with pytest.raises(Invalid, match="may not specify more than 1 handler type"):
        await world.plan(container(readinessProbe={**HTTP, **TCP}))


async def test_a_null_that_leaves_the_object_invalid_is_refused_with_the_server_s_reason(world: World) -> None:
    await world.apply(part({"readinessProbe": HTTP}))
    with pytest.raises(Invalid, match="must specify a handler type"):
        await world.plan(container(readinessProbe={"httpGet": None, "periodSeconds": 3}))


async def test_a_null_beside_its_alternative_takes_a_person_s_field(world: World) -> None:
    await world.post(variable(VALUE), "kubectl-create")
    await world.apply(container(env=[{"name": "A", "value": None, **FIELD}]))
    (main,) = (await world.get("Deployment", "web"))["spec"]["template"]["spec"]["containers"]
    (there,) = main["env"]
    assert "value" not in there
    assert there["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
