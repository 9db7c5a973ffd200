"""Observations of a cluster that runs, and the decisions that they lead to; errors are part of what is seen."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from klepaas.host import Host
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.deployments.executor.decide import decide
from klepaas_plugins.deployments.executor.decisions import Apply, Decision, End, Ended, Reason, Restore, Verify, Wait
from klepaas_plugins.deployments.executor.intent import (
    Answer,
    Intent,
    ObjectIntent,
    ObjectKey,
    Payload,
    PayloadForm,
    RestoreTarget,
)
from klepaas_plugins.deployments.executor.observe import Observer, Surroundings
from klepaas_plugins.deployments.executor.observed import (
    NamespaceState,
    Observed,
    Presence,
    PrincipalState,
    Trouble,
)
from klepaas_plugins.deployments.executor.recording import record_answer, record_attempt, record_attention, record_look
from klepaas_plugins.kubernetes.client import Cluster, Clusters, Looks, remembering
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing, Webhook

pytestmark = pytest.mark.anyio

WEB = ObjectKey(api_version="apps/v1", kind="Deployment", name="web", namespace="default")
SETTINGS = ObjectKey(api_version="v1", kind="ConfigMap", name="settings", namespace="default")


def deployment(image: str = "example/app:1", **spec: Any) -> dict[str, Any]:
    marks = {"app": "web"}
    pod = {"containers": [{"name": "web", "image": image}]}
    template = {"metadata": {"labels": marks}, "spec": pod}
    body = {"replicas": 1, "selector": {"matchLabels": marks}, "template": template, **spec}
    metadata = {"name": "web", "namespace": "default", "labels": marks}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": body}


def settings_map(value: str = "1") -> dict[str, Any]:
    metadata = {"name": "settings", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}


def wish(key: ObjectKey, body: dict[str, Any] | None, uid: str | None = None) -> ObjectIntent:
    payload = None if body is None else Payload(PayloadForm.PLAIN, body)
    return ObjectIntent(key=key, body=payload, uid=uid)


def intent(*objects: ObjectIntent, **more: Any) -> Intent:
    base: dict[str, Any] = {"operation_id": "op-1", "verb": "deploy", "namespace": "default", "hold_s": 0.0}
    return Intent(objects=objects, **{**base, "restore_target": RestoreTarget(release=1), **more})


@dataclass
class Scene:
    """A cluster, and whoever looks at it and does what is decided."""

    sandbox: Sandbox
    cluster: Cluster
    observer: Observer
    intent: Intent = field(default_factory=intent)
    before: Observed | None = None

    async def look(self, around: Surroundings | None = None) -> Observed:
        self.before = await self.observer.observe(self.intent, self.before, around)
        return self.before

    async def decide(self, around: Surroundings | None = None) -> Decision:
        before, seen = self.before, await self.look(around)
        self.intent = record_attention(record_look(self.intent, seen), before, seen)
        return decide(self.intent, seen, seen.at)

    async def write(self, keys: tuple[ObjectKey, ...]) -> None:
        """Write as an executor does: the attempt on record, the request, its answer."""
        for key in keys:
            self.intent = record_attempt(self.intent, key)
            one = next(one for one in self.intent.objects if one.key == key)
            assert one.body is not None
            answer = await self.cluster.apply(one.body.content)
            self.intent = record_answer(self.intent, key, Answer(answer["metadata"]["uid"]))

    async def carry_out(self, what: Intent) -> Decision:
        """Until it is verified, ends or goes back."""
        self.intent, self.before = what, None
        with anyio.fail_after(scale_timeout(20)):
            while True:
                found = await self.decide()
                if isinstance(found, Apply):
                    await self.write(found.objects)
                elif not isinstance(found, Wait):
                    return found
                else:
                    with anyio.move_on_after(0.05):  # what nothing but time brings about
                        await self.sandbox.changed()

    @property
    def requests(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.sandbox.requests]


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    async with Sandbox(replace(Timing.instant(), autoscaler_s=3600.0)) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        clusters = Clusters.of(Host(Settings(mode=Mode.WRITES, state_dir=tmp_path)))
        cluster = await clusters.cluster(None)
        yield Scene(sandbox, cluster, Observer(cluster=cluster, open_payload=lambda payload: payload.content))
        await clusters.aclose()


def uid_of(sandbox: Sandbox, key: ObjectKey) -> str:
    found = sandbox.get(key.kind, key.name)
    assert found is not None
    return str(found["metadata"]["uid"])


async def test_a_first_deployment_is_applied_waited_for_and_verified(scene: Scene) -> None:
    what = intent(wish(SETTINGS, settings_map()), wish(WEB, deployment()), restore_target=None)
    assert isinstance(await scene.carry_out(what), Verify)
    assert [one.attempts for one in scene.intent.objects] == [1, 1], "nothing is written twice"


async def test_a_change_that_crashes_goes_back_and_names_the_container(scene: Scene) -> None:
    await scene.carry_out(intent(wish(WEB, deployment())))
    bad = intent(wish(WEB, deployment("example/crash:2"), uid_of(scene.sandbox, WEB)))
    found = await scene.carry_out(bad)
    assert isinstance(found, Restore)
    assert "container web of pod web-" in found.failure.text


async def test_a_dry_run_says_what_is_still_to_be_written(scene: Scene) -> None:
    await scene.carry_out(intent(wish(WEB, deployment())))
    scene.intent = intent(wish(WEB, deployment("example/app:2"), uid_of(scene.sandbox, WEB)))
    seen = await scene.look()
    assert [one.path for one in seen.objects[0].remaining or ()] == ["spec.template.spec.containers[web].image"]
    assert seen.objects[0].is_ours


async def test_another_writer_is_named_by_its_manager(scene: Scene) -> None:
    await scene.carry_out(intent(wish(WEB, deployment())))
    await scene.cluster.apply(deployment("example/theirs:3"), force=True, field_manager="argocd-controller")
    found = await scene.decide()
    assert isinstance(found, Ended)
    assert found.end is End.SUPERSEDED
    assert "superseded by argocd-controller" in found.text


async def test_a_mutating_webhook_is_no_disagreement(scene: Scene) -> None:
    scene.sandbox.add_webhook(Webhook(resource="deployments", merge={"metadata": {"labels": {"team": "a"}}}))
    assert isinstance(await scene.carry_out(intent(wish(WEB, deployment()))), Verify)


@pytest.mark.parametrize("code", [None, 401, 403, 404, 409, 429, 500, 503])
async def test_a_denial_is_seen_as_admission_whatever_its_code(scene: Scene, code: int | None) -> None:
    scene.sandbox.add_webhook(Webhook(resource="configmaps", denies=True, code=code, message="no"))
    found = await scene.carry_out(intent(wish(SETTINGS, settings_map())))
    assert isinstance(found, Ended)
    assert found.end is End.REFUSED
    assert "denied the request" in found.text


async def test_a_denial_that_came_later_undoes_nothing(scene: Scene) -> None:
    await scene.carry_out(intent(wish(WEB, deployment())))
    scene.sandbox.add_webhook(Webhook(resource="deployments", denies=True, message="no"))
    scene.before = None
    assert isinstance(await scene.decide(), Verify)


async def test_a_webhook_that_cannot_be_called_is_waited_for(scene: Scene) -> None:
    scene.sandbox.add_webhook(Webhook(resource="configmaps", failure="connection refused", times=2))
    scene.intent = intent(wish(SETTINGS, settings_map()))
    found = await scene.decide()
    assert isinstance(found, Wait)
    assert found.reason is Reason.WEBHOOK


async def test_a_webhook_that_refuses_dry_runs_does_not_keep_the_change_from_being_written(scene: Scene) -> None:
    scene.sandbox.add_webhook(Webhook(resource="configmaps", supports_dry_run=False))
    assert isinstance(await scene.carry_out(intent(wish(SETTINGS, settings_map()))), Verify)


@pytest.mark.parametrize(
    ("code", "reason", "trouble"),
    [(401, "Unauthorized", Trouble.CREDENTIALS), (503, "", Trouble.UNREACHABLE), (429, "", Trouble.RATE_LIMITED)],
)
async def test_trouble_is_an_observation_with_since_when(
    scene: Scene, code: int, reason: str, trouble: Trouble
) -> None:
    await scene.carry_out(intent(wish(SETTINGS, settings_map())))
    scene.sandbox.fail("GET", "/configmaps/settings", code, reason=reason, message="trouble")
    first, second = await scene.look(), await scene.look()
    error = second.objects[0].error
    assert error is not None
    assert (error.trouble, second.objects[0].presence) == (trouble, Presence.UNKNOWN)
    assert error == first.objects[0].error, "it has been so since the first of both"
    assert isinstance(decide(scene.intent, second, second.at), Wait)


async def test_lists_that_may_not_be_read_are_waited_for(scene: Scene) -> None:
    await scene.carry_out(intent(wish(WEB, deployment())))
    scene.sandbox.fail("GET", "/pods$", 403, message='pods is forbidden: User "u" cannot list resource "pods" in')
    found = await scene.decide()
    assert isinstance(found, Wait)
    assert found.reason is Reason.RIGHTS


async def test_a_deleted_object_a_missing_namespace_and_a_missing_kind_are_told_apart(scene: Scene) -> None:
    await scene.carry_out(intent(wish(SETTINGS, settings_map())))
    scene.sandbox.delete("ConfigMap", "settings")
    found = await scene.decide()
    assert isinstance(found, Ended)
    assert found.end is End.DELETED
    scene.intent, scene.before = intent(wish(SETTINGS, settings_map()), namespace="nowhere"), None
    assert (await scene.look()).namespace is NamespaceState.ABSENT
    widget = ObjectKey(api_version="example.com/v1", kind="Widget", name="w", namespace="default")
    scene.intent, scene.before = intent(wish(widget, {"apiVersion": "example.com/v1"})), None
    assert isinstance(await scene.decide(), Wait)
    ended = await scene.decide()
    assert isinstance(ended, Ended)
    assert (ended.end, "Widget" in ended.text) == (End.NOT_SERVED, True)


async def test_an_object_that_is_ending_is_seen_as_ending(scene: Scene) -> None:
    held = settings_map()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    scene.sandbox.plant(held)
    scene.sandbox.delete("ConfigMap", "settings")
    scene.intent = intent(wish(SETTINGS, settings_map()))
    assert (await scene.look()).objects[0].presence is Presence.ENDING


async def test_what_is_known_beside_the_objects_is_part_of_it(scene: Scene) -> None:
    scene.intent = intent(wish(SETTINGS, settings_map()))
    around = Surroundings(principal=PrincipalState.OTHER)
    found = await scene.decide(around)
    assert isinstance(found, Wait)
    assert found.reason is Reason.PRINCIPAL


async def test_the_refusal_of_the_last_write_is_an_observation(scene: Scene) -> None:
    from klepaas.errors import Forbidden

    scene.intent = intent(wish(SETTINGS, settings_map()))
    denied = Forbidden('Cannot apply ConfigMap settings (context c): pods "x" is forbidden: exceeded quota: q')
    found = await scene.decide(Surroundings(write_errors={SETTINGS: denied}))
    assert isinstance(found, Ended)
    assert found.end is End.REFUSED


async def test_a_look_costs_few_requests_and_a_second_one_fewer(scene: Scene) -> None:
    await scene.carry_out(intent(wish(SETTINGS, settings_map()), wish(WEB, deployment())))
    scene.before = None
    scene.sandbox.clear_requests()
    await scene.look()
    # Two objects with a dry run each, pods, ReplicaSets, the namespace.
    assert len(scene.requests) == 7, scene.requests
    scene.sandbox.clear_requests()
    await scene.look()
    assert len(scene.requests) == 4, scene.requests
    assert not any("events" in one for one in scene.requests), "warnings are for what is not complete"


async def test_a_look_sees_what_is_there_now_whatever_the_call_remembers(scene: Scene) -> None:
    observer = Observer(cluster=remembering(scene.cluster, Looks()), open_payload=lambda payload: payload.content)
    what = intent(wish(SETTINGS, settings_map()))
    assert (await observer.observe(what)).objects[0].presence is Presence.ABSENT
    scene.sandbox.plant(settings_map())
    assert (await observer.observe(what)).objects[0].presence is Presence.LIVE


async def test_a_look_changes_nothing(scene: Scene) -> None:
    await scene.carry_out(intent(wish(SETTINGS, settings_map()), wish(WEB, deployment())))
    scene.sandbox.clear_requests()
    scene.intent = intent(wish(SETTINGS, settings_map("2")), wish(WEB, deployment("example/app:9")))
    await scene.look()
    assert [one for one in scene.sandbox.requests if one.method != "GET" and one.query.get("dryRun") != "All"] == []
