"""What a call has seen a moment ago: asked for once, forgotten by what makes it untrue, a fence for every write."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from klepaas.errors import Forbidden, NotFound
from klepaas_plugins.kubernetes.client import Cluster, Clusters, Looks, forget_looks, fresh, looks, remembering
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.kubernetes.settings import KubernetesSettings
from klepaas_plugins.kubernetes.write.writer import ChangedSincePlan, write

from .conftest import World, config_map, container, deployment

pytestmark = pytest.mark.anyio


@pytest.fixture
async def seen(anyio_backend: str, tmp_path: Path) -> AsyncIterator[tuple[Sandbox, World]]:
    """A namespace whose cluster remembers what it answered."""
    async with (
        Sandbox(Timing.instant()) as sandbox,
        httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as http,
    ):
        sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        clusters = Clusters(KubernetesSettings(kubeconfig=str(sandbox.write_kubeconfig(tmp_path / "sandbox"))))
        cluster = await clusters.cluster()
        await cluster.resource("configmaps")
        sandbox.clear_requests()
        yield sandbox, World(remembering(cluster, Looks()), http, "shop")
        await clusters.aclose()


def _asked(sandbox: Sandbox) -> list[str]:
    lines = [f"{one.method} {one.path.rpartition('/shop/')[2]}" for one in sandbox.requests]
    sandbox.clear_requests()
    return lines


async def _read(cluster: Cluster, name: str) -> dict[str, object]:
    return await cluster.get(await cluster.resource("configmaps"), name, "shop")


async def test_the_same_question_is_asked_once(seen: tuple[Sandbox, World]) -> None:
    sandbox, world = seen
    sandbox.create(config_map({"a": "1"}, namespace="shop"))
    first, again = await _read(world.cluster, "settings"), await _read(world.cluster, "settings")
    assert first == again
    with pytest.raises(NotFound):
        await _read(world.cluster, "absent")
    with pytest.raises(NotFound):
        await _read(world.cluster, "absent")
    assert _asked(sandbox) == ["GET configmaps/settings", "GET configmaps/absent"]


async def test_what_may_not_be_read_is_asked_for_once_and_makes_nothing_else_forgotten(
    seen: tuple[Sandbox, World],
) -> None:
    sandbox, world = seen
    sandbox.create(config_map({"a": "1"}, namespace="shop"))
    sandbox.deny("list", "services")
    services = await world.cluster.resource("services")
    for _ in range(2):
        await _read(world.cluster, "settings")
        with pytest.raises(Forbidden):
            await world.cluster.list(services, "shop")
    assert _asked(sandbox) == ["GET configmaps/settings", "GET services"]


async def test_whoever_changes_what_was_answered_changes_no_other_answer(seen: tuple[Sandbox, World]) -> None:
    sandbox, world = seen
    sandbox.create(config_map({"a": "1"}, namespace="shop"))
    (await _read(world.cluster, "settings"))["data"] = None
    assert (await _read(world.cluster, "settings"))["data"] == {"a": "1"}


async def test_an_object_of_a_list_that_was_read_is_not_asked_for_alone(seen: tuple[Sandbox, World]) -> None:
    sandbox, world = seen
    sandbox.create(config_map({"a": "1"}, namespace="shop"))
    resource = await world.cluster.resource("configmaps")
    await world.cluster.list(resource, "shop")
    alone = await _read(world.cluster, "settings")
    assert (alone["kind"], alone["apiVersion"], alone["data"]) == ("ConfigMap", "v1", {"a": "1"})
    assert _asked(sandbox) == ["GET configmaps"]


async def test_a_write_makes_the_lists_of_its_kind_and_its_object_new_and_leaves_the_rest(
    seen: tuple[Sandbox, World],
) -> None:
    sandbox, world = seen
    for name in ("settings", "other"):
        sandbox.create(config_map({"a": "1"}, name, namespace="shop"))
    cluster, resource = world.cluster, await world.cluster.resource("configmaps")
    await cluster.list(resource, "shop")
    await cluster.metadata(resource, "shop")
    await cluster.list(await cluster.resource("services"), "shop")
    await cluster.apply(config_map({"b": "2"}, namespace="shop"))
    sandbox.clear_requests()
    listed = await cluster.list(resource, "shop")
    data = {one["metadata"]["name"]: one["data"] for one in listed["items"]}
    assert (data["settings"], data["other"]) == ({"a": "1", "b": "2"}, {"a": "1"})
    assert (await _read(cluster, "settings"))["data"] == {"a": "1", "b": "2"}
    await cluster.list(await cluster.resource("services"), "shop")
    assert _asked(sandbox) == []
    await cluster.metadata(resource, "shop")
    assert _asked(sandbox) == ["GET configmaps"]


async def test_what_a_write_may_have_brought_into_a_list_or_out_of_it_is_listed_again(
    seen: tuple[Sandbox, World],
) -> None:
    sandbox, world = seen
    sandbox.create(config_map({"a": "1"}, namespace="shop"))
    cluster, resource = world.cluster, await world.cluster.resource("configmaps")
    for selector in (None, "tier=front"):
        await cluster.list(resource, "shop", label_selector=selector)
    await cluster.apply(config_map(namespace="shop", labels={"tier": "front"}))
    await cluster.apply(config_map({"a": "1"}, "new", namespace="shop"))
    assert len((await cluster.list(resource, "shop"))["items"]) == len(sandbox.list("configmaps", "shop"))
    assert len((await cluster.list(resource, "shop", label_selector="tier=front"))["items"]) == 1


async def test_a_write_leaves_the_lists_of_its_kind_whose_labels_its_object_has_never_had(
    seen: tuple[Sandbox, World],
) -> None:
    sandbox, world = seen
    sandbox.create(config_map({"a": "1"}, namespace="shop"))
    sandbox.create(config_map({"a": "1"}, "other", namespace="shop", labels={"tier": "front", "app": "web"}))
    cluster, resource = world.cluster, await world.cluster.resource("configmaps")

    async def ask() -> list[int]:
        for selector in ("tier=front", "tier=front,app=web", "tier!=front", "tier"):
            await cluster.metadata(resource, "shop", label_selector=selector)
        return [len(_asked(sandbox))]

    assert await ask() == [4]
    await cluster.apply(config_map({"b": "2"}, namespace="shop", labels={"tier": "back"}))
    await cluster.apply(config_map({"b": "2"}, "new", namespace="shop"))
    sandbox.clear_requests()
    assert await ask() == [2], "of what has other labels, and of that alone, it is known"
    await cluster.apply(config_map({"b": "2"}, "other", namespace="shop"))
    sandbox.clear_requests()
    assert await ask() == [4]


async def test_what_is_old_or_forgotten_or_asked_for_afresh_is_asked_for_again(
    seen: tuple[Sandbox, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, world = seen
    made = sandbox.create(config_map({"a": "1"}, namespace="shop"))
    await _read(world.cluster, "settings")
    assert (await _read(fresh(world.cluster), "settings"))["metadata"] == made["metadata"]
    forget_looks(world.cluster)
    await _read(world.cluster, "settings")
    monkeypatch.setattr(looks, "MAX_AGE_S", 0.0)
    await _read(world.cluster, "settings")
    assert _asked(sandbox) == ["GET configmaps/settings"] * 4


async def test_a_change_that_fails_has_everything_looked_at_again(seen: tuple[Sandbox, World]) -> None:
    sandbox, world = seen
    sandbox.create(config_map({"a": "1"}, namespace="shop"))
    await _read(world.cluster, "settings")
    sandbox.fail("PATCH", "configmaps/other", 422, reason="Invalid", times=1)
    with pytest.raises(Exception, match="other"):
        await world.cluster.apply(config_map({"a": "1"}, "other", namespace="shop"))
    sandbox.clear_requests()
    await _read(world.cluster, "settings")
    assert _asked(sandbox) == ["GET configmaps/settings"]


async def test_a_write_on_a_stale_look_is_refused_by_the_server_and_planned_on_what_is_there(
    seen: tuple[Sandbox, World],
) -> None:
    _, world = seen
    await world.apply(config_map({"a": "1"}))
    plan = await world.plan(config_map({"a": "2"}))
    await world.patch("ConfigMap", "settings", {"data": {"a": "9"}}, "kubectl-edit")
    with pytest.raises(ChangedSincePlan, match=r"data\.a"):
        await write(world.cluster, plan)
    assert (await world.get("ConfigMap", "settings"))["data"]["a"] == "9"


async def test_a_write_on_a_look_that_only_a_status_made_stale_is_made(seen: tuple[Sandbox, World]) -> None:
    sandbox, world = seen
    await world.apply(deployment(replicas=1))
    plan = await world.plan(container(image="example/app:2"))
    await world.patch("Deployment", "web", {"status": {"observedGeneration": 1}}, "someone", subresource="status")
    sandbox.clear_requests()
    await write(world.cluster, plan)
    live = await world.get("Deployment", "web")
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "example/app:2"


async def test_a_deletion_on_a_stale_look_is_refused_by_the_server_and_told(seen: tuple[Sandbox, World]) -> None:
    from klepaas_plugins.kubernetes.write.delete import DeleteRequest, plan_delete

    sandbox, world = seen
    sandbox.create(config_map({"a": "1"}, namespace="shop"))
    resource = await world.cluster.resource("configmaps")
    request = DeleteRequest(cluster=world.cluster, resource=resource, name="settings", namespace="shop")
    plan = await plan_delete(request)
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    await world.patch("ConfigMap", "settings", held, "kubectl-edit")
    with pytest.raises(ChangedSincePlan, match="finalizers"):
        await write(world.cluster, plan)
