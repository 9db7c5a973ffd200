"""The one writer: it sends what was planned while that holds, and judges what the server made of it."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from klepaas.changes import Action, ObjectChange, Risk
from klepaas.errors import Conflict
from klepaas_plugins.kubernetes.client import AlreadyExists
from klepaas_plugins.kubernetes.write import writer
from klepaas_plugins.kubernetes.write.delete import DeleteRequest, plan_delete
from klepaas_plugins.kubernetes.write.writer import ChangedSincePlan, RaisedEffect, write

from .conftest import JSON_PATCH, Json, World, config_map, container, deployment, lines, managers

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": {"a": "9"}}, r"data\.a"),
        ({"data": {"a": None}}, r"data\.a"),
        ({"data": {"new": "9"}}, r"data\.new"),
    ],
    ids=["a value that klepaas owns", "its removal", "a field that is named"],
)
async def test_nothing_is_sent_when_what_a_plan_rests_on_differs(world: World, change: Any, says: str) -> None:
    await world.apply(config_map({"a": "1", "b": "2"}))
    plan = await world.plan(config_map({"b": "3", "new": "1"}))
    await world.patch("ConfigMap", "settings", change, "kubectl-edit")
    with pytest.raises(ChangedSincePlan, match=f"not as it was when the change was planned: {says}"):
        await write(world.cluster, plan)
    assert (await world.get("ConfigMap", "settings"))["data"]["b"] == "2"


async def test_nothing_is_sent_when_a_controller_takes_a_field_without_changing_it(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await world.plan(config_map({"a": "2"}))
    shared = config_map({"a": "1"})
    await world.patch("ConfigMap", "settings", shared, "argocd-controller", "application/apply-patch+yaml")
    with pytest.raises(ChangedSincePlan):
        await write(world.cluster, plan)


async def test_nothing_is_sent_to_an_object_that_was_made_anew(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await world.plan(config_map({"a": "2"}))
    await world.http.delete(world.path("ConfigMap", "settings"))
    with pytest.raises(ChangedSincePlan, match="it was deleted"):
        await write(world.cluster, plan)
    await world.post(config_map({"a": "1"}), "kubectl-create")
    with pytest.raises(ChangedSincePlan, match="deleted and created again"):
        await write(world.cluster, plan)


def _pod(obj: Json) -> Json:
    found: Json = obj["spec"]["template"]["spec"]
    return found


# What is reordered, and how a refusal names it.
ORDERS = {
    "an atomic list": (lambda pod: pod["containers"][0]["args"], r"containers\[main\]\.args"),
    "an atomic list of objects": (lambda pod: pod["tolerations"], r"spec\.tolerations"),
    "variables, which refer to those before them": (
        lambda pod: pod["containers"][0]["env"], r"containers\[main\]\.env \(order\)",
    ),
    "init containers, which run one after another": (
        lambda pod: pod["initContainers"], r"spec\.initContainers \(order\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("find", "says"), ORDERS.values(), ids=list(ORDERS))
async def test_nothing_is_sent_when_a_list_beneath_the_plan_has_another_order(
    world: World, find: Any, says: str
) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]
    body = deployment({"name": "main", "image": "example/app:1", "args": ["a", "b"], "env": env}, replicas=0)
    tolerations = [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in ("x", "y")]
    init = [{"name": name, "image": "example/init:1"} for name in ("first", "second")]
    _pod(body).update(tolerations=tolerations, initContainers=init)
    await world.apply(body)
    plan = await world.plan(container(image="example/app:2"))
    live = await world.get("Deployment", "web")
    find(_pod(live)).reverse()
    answer = await world.http.put(world.path("Deployment", "web"), params={"fieldManager": "kubectl-edit"}, json=live)
    assert answer.json()["metadata"]["generation"] == 2, "another order is another object, and a rollout"
    with pytest.raises(ChangedSincePlan, match=says):
        await write(world.cluster, plan)
    assert _pod(await world.get("Deployment", "web"))["containers"][0]["image"] == "example/app:1"


async def test_what_moves_by_itself_changes_no_plan(world: World) -> None:
    await world.apply(deployment(replicas=1))
    plan = await world.plan(container(image="example/app:2"))
    note = {"metadata": {"annotations": {"deployment.kubernetes.io/note": "x"}}}
    await world.patch("Deployment", "web", note, "kube-controller-manager")
    await world.patch("Deployment", "web", {"status": {"observedGeneration": 1}}, "someone", subresource="status")
    made = await write(world.cluster, plan)
    assert lines(made.change)["spec.template.spec.containers[main].image"] == ("example/app:1", "example/app:2")


async def test_a_version_that_moves_between_look_and_write_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await world.plan(config_map({"a": "2"}))
    moved: list[int] = []
    apply = world.cluster.apply

    async def move_then_apply(body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        if len(moved) < 3:
            moved.append(len(moved))
            note = {"metadata": {"annotations": {"n": str(len(moved))}}}
            await world.patch("ConfigMap", "settings", note, "kube-controller-manager")
        return await apply(body, **more)

    monkeypatch.setattr(world.cluster, "apply", move_then_apply)
    await write(world.cluster, plan)
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "2"}
    assert len(moved) == 3


async def test_a_version_that_never_rests_ends_with_a_conflict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await world.plan(config_map({"a": "2"}))
    count: list[int] = []
    apply = world.cluster.apply

    async def move_then_apply(body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        count.append(1)
        note = {"metadata": {"annotations": {"n": str(len(count))}}}
        await world.patch("ConfigMap", "settings", note, "kube-controller-manager")
        return await apply(body, **more)

    monkeypatch.setattr(world.cluster, "apply", move_then_apply)
    monkeypatch.setattr(writer, "PAUSE_S", 0)
    with pytest.raises(Conflict, match="was changed by others 10 times"):
        await write(world.cluster, plan)
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_every_write_to_an_existing_object_carries_uid_and_version(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.apply(deployment())
    where = "/spec/template/spec/containers/0/image"
    edit = [{"op": "replace", "path": where, "value": "example/app:9"}]
    await world.patch("Deployment", "web", edit, "kubectl-edit", JSON_PATCH)
    plan = await world.plan(container(image="example/app:2"))
    sent: list[Any] = []
    for name in ("apply", "json_patch"):
        monkeypatch.setattr(world.cluster, name, functools.partial(_record, sent, getattr(world.cluster, name)))
    await write(world.cluster, plan)
    patch, body = sent[0], sent[-1]
    assert [one["path"] for one in patch] == ["/metadata/resourceVersion", "/metadata/managedFields"]
    assert {"uid", "resourceVersion"} <= set(body["metadata"])


async def _record(sent: list[Any], function: Any, *args: Any, **more: Any) -> Any:
    sent.append(args[-1])
    assert not more.get("force")
    return await function(*args, **more)


@pytest.mark.parametrize("manager", ["klepaas", "kubectl-edit"])
async def test_what_others_change_between_look_and_write_is_no_part_of_the_change(
    world: World, monkeypatch: pytest.MonkeyPatch, manager: str
) -> None:
    await world.apply(config_map({"a": "1"}))
    notes = {"metadata": {"annotations": {"theirs": "old", "gone": "soon"}}}
    await world.patch("ConfigMap", "settings", notes, "some-operator")
    if manager != "klepaas":
        await world.patch("ConfigMap", "settings", {"data": {"a": "2"}}, manager)
    plan = await world.plan(config_map({"a": "3"}))
    send, done = world.cluster.apply, list[str]()

    async def others_first(body: Json, **more: Any) -> Json:
        if not done and not more.get("dry_run"):
            done.append("once")
            theirs = {"metadata": {"annotations": {"theirs": "new", "gone": None}}}
            await world.patch("ConfigMap", "settings", theirs, "some-operator")
        return await send(body, **more)

    monkeypatch.setattr(world.cluster, "apply", others_first)
    made = await write(world.cluster, plan)
    assert done
    assert [one.path for one in made.change.fields] == ["data.a"]
    assert (await world.get("ConfigMap", "settings"))["metadata"]["annotations"] == {"theirs": "new"}


async def test_a_creation_never_changes_what_somebody_else_made_meanwhile(world: World) -> None:
    plan = await world.plan(config_map({"a": "1"}))
    await world.post(config_map({"b": "2"}), "kubectl-create")
    with pytest.raises(AlreadyExists, match="somebody else created it meanwhile"):
        await write(world.cluster, plan)
    found = await world.get("ConfigMap", "settings")
    assert (found["data"], managers(found)) == ({"b": "2"}, {("kubectl-create", "Update", "")})


async def _privileged(change: ObjectChange) -> Sequence[Risk]:
    """A judge that minds one annotation."""
    notes = ((change.after or {}).get("metadata") or {}).get("annotations") or {}
    return [Risk(code="privileged", text="runs privileged")] if "privileged" in notes else []


async def test_an_answer_that_does_more_than_was_planned_is_undone_and_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await world.plan(config_map({"a": "2"}))
    _mutate(world, monkeypatch, {"metadata": {"annotations": {"privileged": "true"}}})
    with pytest.raises(RaisedEffect, match=r"runs privileged; it was restored to what it was before") as caught:
        await write(world.cluster, plan, judge=_privileged)
    assert [risk.code for risk in caught.value.risks] == ["privileged"]
    found = await world.get("ConfigMap", "settings")
    assert found["data"] == {"a": "1"}


async def test_a_new_object_that_does_more_than_was_planned_is_deleted_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await world.plan(config_map({"a": "1"}))
    _mutate(world, monkeypatch, {"metadata": {"annotations": {"privileged": "true"}}})
    with pytest.raises(RaisedEffect, match="it was deleted again"):
        await write(world.cluster, plan, judge=_privileged)
    assert (await world.http.get(world.path("ConfigMap", "settings"))).status_code == 404


@pytest.mark.parametrize("manager", ["argocd-controller", "kubectl-edit"])
async def test_what_others_set_between_a_write_and_its_restoration_stays_and_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, manager: str
) -> None:
    await world.apply(config_map({"a": "1", "b": "1"}))
    plan = await world.plan(config_map({"a": "2", "b": "2"}))

    async def meet(change: ObjectChange) -> Sequence[Risk]:
        await world.patch("ConfigMap", "settings", {"data": {"b": "9"}}, manager)
        return await _privileged(change)

    _mutate(world, monkeypatch, {"metadata": {"annotations": {"privileged": "true"}}})
    says = rf"restored to what it was before, except data\.b, which {manager} set meanwhile"
    with pytest.raises(RaisedEffect, match=says):
        await write(world.cluster, plan, judge=meet)
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "1", "b": "9"}


async def test_a_removal_that_was_not_planned_is_undone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.apply(config_map({"a": "1", "b": "2"}))
    plan = await world.plan(config_map({"a": "2"}))
    _mutate(world, monkeypatch, {"data": {"b": None}})
    with pytest.raises(RaisedEffect, match=r"removes data\.b, which was not planned; it was restored"):
        await write(world.cluster, plan)
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "1", "b": "2"}


async def test_what_a_webhook_changes_harmlessly_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await world.plan(config_map({"a": "2"}))
    _mutate(world, monkeypatch, {"metadata": {"annotations": {"team": "x"}}})
    made = await write(world.cluster, plan, judge=_privileged)
    assert made.deviations == ("metadata.annotations.team",)


def _mutate(world: World, monkeypatch: pytest.MonkeyPatch, patch: Any) -> None:
    """Let the first write that comes be changed on the way, as a mutating webhook does."""
    done: list[int] = []
    apply = world.cluster.apply

    async def changed(body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        answer = await apply(body, **more)
        if done:
            return answer
        done.append(1)
        return await world.patch("ConfigMap", "settings", patch, "webhook")

    monkeypatch.setattr(world.cluster, "apply", changed)


async def _plan_deletion(world: World, **more: Any) -> ObjectChange:
    resource = await world.cluster.resource("ConfigMap")
    return await plan_delete(
        DeleteRequest(cluster=world.cluster, resource=resource, name="settings", namespace=world.namespace, **more)
    )


async def test_a_deletion_takes_only_the_object_that_was_planned_for(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await _plan_deletion(world)
    assert (plan.action, plan.facts[1]) == (Action.DELETE, ("with it", "nothing else"))
    await world.http.delete(world.path("ConfigMap", "settings"))
    await world.post(config_map({"a": "1"}), "kubectl-create")
    with pytest.raises(ChangedSincePlan, match="deleted and created again"):
        await write(world.cluster, plan)
    made = await write(world.cluster, await _plan_deletion(world))
    assert made.is_gone
    assert (await world.http.get(world.path("ConfigMap", "settings"))).status_code == 404


async def test_a_deletion_stops_when_finalizers_or_owners_differ(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await _plan_deletion(world)
    await world.patch("ConfigMap", "settings", {"metadata": {"finalizers": ["example.com/x"]}}, "some-operator")
    with pytest.raises(ChangedSincePlan, match="finalizers"):
        await write(world.cluster, plan)
    await world.patch("ConfigMap", "settings", {"metadata": {"finalizers": None}}, "some-operator")


async def test_a_deletion_goes_on_when_only_something_else_moved(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await _plan_deletion(world)
    await world.patch("ConfigMap", "settings", {"data": {"b": "2"}}, "some-operator")
    assert (await write(world.cluster, plan)).is_gone


async def test_no_sequence_of_writes_leaves_an_update_entry_of_klepaas(world: World) -> None:
    await world.apply(deployment())
    await world.apply(container(image="example/app:2"))
    await world.patch("Deployment", "web", {"spec": {"replicas": 3}}, "kubectl-scale", subresource="scale")
    await world.apply(deployment(replicas=2))
    await world.apply(container(env=[{"name": "A", "value": "1"}]))
    await world.apply(container(env=None))
    found = await world.get("Deployment", "web")
    assert {one for one in managers(found) if one[0] == "klepaas"} == {("klepaas", "Apply", "")}
    assert found["spec"]["replicas"] == 2
    assert "env" not in found["spec"]["template"]["spec"]["containers"][0]
