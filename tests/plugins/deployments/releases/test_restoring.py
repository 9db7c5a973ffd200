"""Going back to a release in the sandbox: every object exactly as it was, and nobody else's work run over."""

from collections.abc import Mapping
from typing import Any

import pytest

from klepaas.changes import ChangeSet
from klepaas.errors import BadRequest, Conflict, Unavailable
from klepaas.plans.describe import list_differences
from klepaas_plugins.deployments.releases import ReleaseState

pytestmark = pytest.mark.anyio


async def _web(yard: Any, shapes: Any) -> Any:
    """An application with a ConfigMap, an autoscaler and a Service, all made by klepaas; its releases."""
    await yard.apply(shapes.config_map("settings", {"app": "web"}, mode="fast", file="a\nb\n"))
    await yard.apply(shapes.deployment(envFrom=[{"configMapRef": {"name": "settings"}}], env=[_variable("A", "1")]))
    await yard.apply(shapes.service("web", {"app": "web"}, {"app": "web"}))
    await yard.apply(shapes.autoscaler("web", "web"))
    return await yard.releases()


def _variable(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


async def _next(yard: Any, shapes: Any, **more: Any) -> None:
    """The next deployment: another image, other settings, another variable."""
    await yard.apply(shapes.config_map("settings", {"app": "web"}, mode="slow", added="x"))
    env = [_variable("A", "2"), _variable("B", "1")]
    body = shapes.deployment(image="example/app:2", envFrom=[{"configMapRef": {"name": "settings"}}], env=env, **more)
    await yard.apply(body)


async def test_config_maps_variables_and_autoscalers_are_exactly_as_they_were(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    before = await releases.capture()
    await _next(yard, shapes)
    await yard.apply(shapes.autoscaler("web", "web", low=3, high=9))
    restored = await releases.restore(first)
    assert restored.text == "restored ConfigMap settings, Deployment web, HorizontalPodAutoscaler web"
    assert restored.workloads == [("Deployment", "web")]
    after = await releases.capture()
    assert (after.objects, after.exact) == (before.objects, first.exact)
    assert (await releases.restore(first)).text == "everything was as it should be"


async def test_what_was_added_since_is_removed_and_what_was_deleted_is_made_anew(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first, before = await releases.ensure_baseline(), await releases.capture()
    await _next(yard, shapes)
    await yard.apply(shapes.ingress("web", "web", labels={"app": "web"}))
    await yard.apply(shapes.deployment("web-worker", labels={"app": "web", "part": "worker"}))
    for kind, name in (("Service", "web"), ("HorizontalPodAutoscaler", "web")):
        yard.sandbox.delete(kind, name)
    restored = await releases.restore(first)
    assert restored.made == (("HorizontalPodAutoscaler", "web"), ("Service", "web"))
    assert restored.removed == (("Ingress", "web"), ("Deployment", "web-worker"))
    assert (await releases.capture()).objects == before.objects


async def test_an_application_that_was_deleted_comes_back_whole(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first, before = await releases.ensure_baseline(), await releases.capture()
    for kind, name in (
        ("Deployment", "web"), ("ConfigMap", "settings"), ("Service", "web"), ("HorizontalPodAutoscaler", "web"),
    ):  # fmt: skip
        yard.sandbox.delete(kind, name)
    await releases.mark(first, ReleaseState.PASSED)
    choice = await releases.choose()
    assert choice.release.number == first.number
    await releases.restore(choice.release)
    assert (await releases.capture()).objects == before.objects


async def test_what_somebody_else_added_stays_and_is_told(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    yard.sandbox.create(shapes.ingress("by-hand", "web"))
    await _next(yard, shapes)
    restored = await releases.restore(first)
    assert restored.notes == ("Ingress by-hand was added since and stays: klepaas did not make it.",)
    assert yard.sandbox.get("Ingress", "by-hand") is not None


async def test_claims_and_secrets_are_never_removed_and_never_restored(yard: Any, shapes: Any) -> None:
    env = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"p": "1"}}
    yard.sandbox.create(secret)
    await yard.apply(shapes.deployment(env=env))
    releases = await yard.releases()
    first = await releases.ensure_baseline()
    await yard.apply(shapes.claim("data", {"app": "web"}))
    await yard.apply(shapes.deployment(image="example/app:2", env=env))
    await yard.apply({**secret, "metadata": {"name": "db", "namespace": "default"}, "stringData": {"p": "2"}})
    restored = await releases.restore(first)
    assert sorted(restored.notes) == [
        "PersistentVolumeClaim data was added since and stays: it holds data.",
        "Secret db changed since; its values are never recorded, so it stays as it is.",
    ]
    assert yard.sandbox.get("PersistentVolumeClaim", "data") is not None
    assert yard.sandbox.get("Secret", "db")["data"] == {"p": "Mg=="}


async def test_a_release_whose_secret_is_gone_is_no_choice_and_it_says_why(yard: Any, shapes: Any) -> None:
    env = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}]
    yard.sandbox.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"p": "1"}})
    await yard.apply(shapes.deployment(env=env, replicas=0))
    releases = await yard.releases()
    await releases.ensure_baseline()
    await yard.apply(shapes.deployment(image="example/app:2", replicas=0))
    yard.sandbox.delete("Secret", "db")
    with pytest.raises(Conflict, match="Release 1 needs the Secret db, which is gone"):
        await releases.choose(steps=1)


async def test_a_shared_config_map_is_left_alone_and_told(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.config_map("common", mode="fast"))
    reference = [{"configMapRef": {"name": "common"}}]
    for name in ("web", "other"):
        await yard.apply(shapes.deployment(name, envFrom=reference))
    releases = await yard.releases()
    first = await releases.ensure_baseline()
    await yard.apply(shapes.config_map("common", mode="slow"))
    await yard.apply(shapes.deployment(image="example/app:2", envFrom=reference))
    restored = await releases.restore(first)
    assert restored.notes == ("ConfigMap common changed since and stays as it is: other workloads use it too.",)
    assert yard.sandbox.get("ConfigMap", "common")["data"] == {"mode": "slow"}


async def test_a_change_by_somebody_else_since_is_not_run_over(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    await _next(yard, shapes)
    expected = await releases.capture()
    await yard.apply(shapes.config_map("settings", {"app": "web"}, mode="by hand"), "kubectl")
    yard.sandbox.clear_requests()
    with pytest.raises(Conflict, match="ConfigMap settings was changed by somebody else meanwhile"):
        await releases.restore(first, expected=expected)
    writes = [item for item in yard.sandbox.requests if item.method != "GET"]
    assert {item.query.get("dryRun") for item in writes} <= {"All"}
    assert (await releases.restore(first)).changed == (("ConfigMap", "settings"), ("Deployment", "web"))


async def test_a_change_between_looking_and_writing_stops_before_that_object(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    await _next(yard, shapes)
    done: list[str] = []

    async def step(name: str, do: Any, *, find: Any = None) -> dict[str, Any]:
        if name == "restore Deployment web":
            await yard.apply(shapes.deployment(image="example/by-hand:1"), "kubectl")
        result: Mapping[str, Any] | None = await do()
        done.append(name)
        return dict(result or {})

    with pytest.raises(Conflict, match=r"deployment/web .* is not as it was when the change was planned: .*image"):
        await releases.restore(first, step)
    assert done == ["restore ConfigMap settings"]
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example/by-hand:1"


async def test_a_status_that_moves_on_meanwhile_is_no_obstacle(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    await _next(yard, shapes)
    moved = "Operation cannot be fulfilled: the object has been modified"
    path = r"/deployments/web\?fieldManager=klepaas&fieldValidation=Strict$"
    yard.sandbox.fail("PATCH", path, 409, reason="Conflict", message=moved, times=2)
    assert (await releases.restore(first)).changed


async def test_each_object_is_one_step_that_can_be_found_again(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first, before = await releases.ensure_baseline(), await releases.capture()
    await _next(yard, shapes)
    await yard.apply(shapes.ingress("web", "web", labels={"app": "web"}))
    names: list[str] = []

    async def step(name: str, do: Any, *, find: Any = None) -> dict[str, Any]:
        assert await find() is None
        await do()
        await do()
        names.append(name)
        return dict(await find())

    await releases.restore(first, step)
    assert names == ["restore ConfigMap settings", "restore Deployment web", "remove Ingress web"]
    assert (await releases.capture()).objects == before.objects


async def test_a_restoring_that_broke_off_is_finished_by_the_next(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first, before = await releases.ensure_baseline(), await releases.capture()
    await _next(yard, shapes)
    expected = await releases.capture()

    async def dying(name: str, do: Any, *, find: Any = None) -> dict[str, Any]:
        if name == "restore Deployment web":
            raise Unavailable("the process is gone")
        return dict(await do() or {})

    with pytest.raises(Unavailable):
        await releases.restore(first, dying, expected=expected)
    assert (await releases.restore(first, expected=expected)).text == "restored Deployment web"
    assert (await releases.capture()).objects == before.objects


async def test_what_the_server_refuses_is_refused_before_anything_is_changed(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    for kind in ("Deployment", "HorizontalPodAutoscaler"):
        yard.sandbox.delete(kind, "web")
    labels = {"app": "web", "more": "x"}
    await yard.apply(shapes.deployment(labels=labels))
    await yard.apply(shapes.config_map("settings", {"app": "web"}, mode="slow"))
    before = await releases.capture()
    with pytest.raises(BadRequest, match=r"Deployment web cannot be put back as it was: .*immutable"):
        await releases.restore(first)
    assert (await releases.capture()).objects == before.objects


async def test_the_count_of_an_autoscaler_is_left_to_it(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    await _next(yard, shapes)
    await yard.scale(4)
    restored = await releases.restore(first)
    assert restored.notes == ()
    assert yard.sandbox.get("Deployment", "web")["spec"]["replicas"] == 4
    assert (await releases.capture()).exact == first.exact


async def test_an_autoscaler_at_work_meanwhile_is_nobodys_change(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    await _next(yard, shapes)
    expected = await releases.capture()
    await yard.scale(4)

    async def step(name: str, do: Any, *, find: Any = None) -> dict[str, Any]:
        if name == "restore Deployment web":
            await yard.scale(5)
        return dict(await do() or {})

    await releases.restore(first, step, expected=expected)
    assert yard.sandbox.get("Deployment", "web")["spec"]["replicas"] == 5
    assert (await releases.capture()).exact == first.exact


async def test_the_count_of_an_autoscaler_that_goes_is_what_it_was(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(replicas=2))
    releases = await yard.releases()
    first = await releases.ensure_baseline()
    await yard.apply(shapes.autoscaler("web", "web", low=3))
    await yard.scale(4)
    await releases.restore(first)
    assert yard.sandbox.get("HorizontalPodAutoscaler", "web") is None
    assert yard.sandbox.get("Deployment", "web")["spec"]["replicas"] == 2


async def test_a_scaling_while_a_change_failed_is_kept_in_its_rollback(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(replicas=2))
    releases = await yard.releases()
    first = await releases.ensure_baseline()
    await yard.apply(shapes.deployment(image="example/app:2", replicas=3))
    expected = await releases.capture()
    await yard.scale(6)
    restored = await releases.restore(first, expected=expected)
    assert restored.notes == ("Deployment web keeps its 6 pods, as it was scaled since; the release had 2.",)
    assert yard.sandbox.get("Deployment", "web")["spec"]["replicas"] == 6


async def test_a_stopped_workload_with_an_autoscaler_gets_its_pods_back(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    then = yard.sandbox.get("Deployment", "web")["spec"]["replicas"]
    await yard.scale(0)
    await releases.restore(first)
    assert yard.sandbox.get("Deployment", "web")["spec"]["replicas"] == then


async def test_a_scaling_since_is_undone_unless_it_is_to_be_kept(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(replicas=2))
    releases = await yard.releases()
    first = await releases.ensure_baseline()
    await yard.apply(shapes.deployment(image="example/app:2", replicas=2))
    await yard.scale(5)
    kept = await releases.restore(first, keep_scale=True)
    assert kept.notes == ("Deployment web keeps its 5 pods, as it was scaled since; the release had 2.",)
    assert yard.sandbox.get("Deployment", "web")["spec"]["replicas"] == 5
    await releases.restore(first)
    assert yard.sandbox.get("Deployment", "web")["spec"]["replicas"] == 2


async def test_a_plan_stores_nothing_and_tells_every_field_without_secrets(yard: Any, shapes: Any) -> None:
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    await _next(yard, shapes)
    await yard.apply(shapes.ingress("web", "web", labels={"app": "web"}))
    yard.sandbox.clear_requests()
    plan = await releases.plan(first)
    writes = [item for item in yard.sandbox.requests if item.method != "GET"]
    assert all(item.query.get("dryRun") == "All" or item.parsed.get("dryRun") == ["All"] for item in writes)
    assert plan.count == 3
    assert plan.removed == (("Ingress", "web"),)
    changes = ChangeSet(title="back", objects=tuple(way.change for way in plan.ways.values()))
    assert list_differences(changes) == [
        "ConfigMap settings: data.mode: slow -> fast",
        "ConfigMap settings: data.added: x (removed)",
        'ConfigMap settings: data.file: "a\\nb\\n" (new)',
        "Deployment web: image: example/app:2 -> example/app:1",
        "Deployment web: env[A].value: 2 -> 1",
        "Deployment web: env[B].value: 1 (removed)",
    ]


async def test_kinds_that_the_release_could_not_see_are_not_removed(yard: Any, shapes: Any) -> None:
    yard.sandbox.deny("list", "ingresses")
    releases = await _web(yard, shapes)
    first = await releases.ensure_baseline()
    yard.sandbox.clear_faults()
    await yard.apply(shapes.ingress("web", "web", labels={"app": "web"}))
    restored = await releases.restore(first)
    assert restored.removed == ()
    assert "the release does not say whether it was there" in restored.notes[0]


@pytest.mark.parametrize("manager", ["klepaas", "kubectl"])
async def test_the_order_of_init_containers_and_of_variables_is_undone(yard: Any, shapes: Any, manager: str) -> None:
    def body(*names: str) -> dict[str, Any]:
        found = shapes.deployment(env=[_variable(name, "1") for name in names])
        first = [{"name": name.lower(), "image": "example/app:1"} for name in names]
        found["spec"]["template"]["spec"]["initContainers"] = first
        return dict(found)

    await yard.apply(body("MIGRATE", "WARM"))
    releases = await yard.releases()
    first = await releases.ensure_baseline()
    await yard.apply(body("WARM", "MIGRATE"), manager)
    assert (await releases.restore(first)).changed == (("Deployment", "web"),)
    pod = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]
    assert [one["name"] for one in pod["initContainers"]] == ["migrate", "warm"]
    assert [one["name"] for one in pod["containers"][0]["env"]] == ["MIGRATE", "WARM"]
