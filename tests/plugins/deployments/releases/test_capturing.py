"""What is an application's own, and what it only uses."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

LABELLED = {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web"}


def _names(snapshot: Any) -> list[str]:
    return [f"{item['kind']}/{item['metadata']['name']}" for item in snapshot.objects]


async def _capture(yard: Any, app_name: str = "web") -> Any:
    return await (await yard.releases(app_name)).capture()


async def test_an_application_that_is_not_there_has_nothing(yard: Any) -> None:
    assert (await _capture(yard)).objects == ()


async def test_what_serves_the_application_alone_is_its_own_also_without_labels(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment(envFrom=[{"configMapRef": {"name": "settings"}}]))
    for body in (
        shapes.config_map("settings", mode="fast"),
        shapes.config_map("of-nobody", mode="fast"),
        shapes.service("front", {"app": "web"}),
        shapes.service("elsewhere", {"app": "other"}),
        shapes.autoscaler("scaler", "web"),
        shapes.ingress("door", "front"),
        shapes.budget("budget", {"app": "web"}),
    ):
        yard.sandbox.create(body)
    assert _names(await _capture(yard)) == [
        "ConfigMap/settings", "Deployment/web", "PodDisruptionBudget/budget", "HorizontalPodAutoscaler/scaler",
        "Service/front", "Ingress/door",
    ]  # fmt: skip


async def test_what_others_use_too_is_noted_and_not_held(yard: Any, shapes: Any) -> None:
    for name in ("web", "other"):
        body = shapes.deployment(
            name, envFrom=[{"configMapRef": {"name": "common"}}], labels={"app": name, "tier": "x"}
        )
        yard.sandbox.create(body)
        yard.sandbox.create(shapes.service(f"{name}-front", {"app": name}))
    yard.sandbox.create(shapes.config_map("common", mode="fast"))
    yard.sandbox.create(shapes.service("all", {"tier": "x"}))
    yard.sandbox.create(shapes.ingress("both", "web-front", "other-front"))
    snapshot = await _capture(yard)
    assert _names(snapshot) == ["Deployment/web", "Service/web-front"]
    why = "other workloads use it too"
    assert [(item.kind, item.name, item.why) for item in snapshot.shared] == [
        ("ConfigMap", "common", why), ("Ingress", "both", "it serves other applications too"), ("Service", "all", why),
    ]  # fmt: skip


async def test_what_is_labelled_as_anothers_is_anothers(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment(envFrom=[{"configMapRef": {"name": "theirs"}}]))
    yard.sandbox.create(shapes.config_map("theirs", {"app": "other"}, mode="fast"))
    snapshot = await _capture(yard)
    assert _names(snapshot) == ["Deployment/web"]
    assert snapshot.shared[0].why == "it is labelled as other's"


async def test_roles_accounts_and_claims_are_its_own_only_by_label(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    for name, labels in (("mine", {"app": "web"}), ("nobodys", {})):
        yard.sandbox.create(shapes.plain("v1", "ServiceAccount", name, labels))
        yard.sandbox.create(shapes.plain("rbac.authorization.k8s.io/v1", "Role", name, labels, rules=[]))
        yard.sandbox.create(shapes.claim(name, labels))
    assert _names(await _capture(yard)) == [
        "ServiceAccount/mine", "Role/mine", "PersistentVolumeClaim/mine", "Deployment/web",
    ]  # fmt: skip


async def test_an_application_of_several_workloads_is_held_whole(yard: Any, shapes: Any) -> None:
    for part in ("front", "back"):
        labels = {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/name": part}
        yard.sandbox.create(shapes.deployment(part, labels=labels))
    assert _names(await _capture(yard, "shop")) == ["Deployment/back", "Deployment/front"]
    assert _names(await _capture(yard, "front")) == ["Deployment/front"]


async def test_a_worker_with_the_applications_labels_is_its_own_and_a_database_beside_it_is_not(
    yard: Any, shapes: Any
) -> None:
    yard.sandbox.create(shapes.deployment("web", labels=LABELLED))
    yard.sandbox.create(shapes.deployment("web-worker", labels={**LABELLED, "app.kubernetes.io/component": "worker"}))
    database = {"app.kubernetes.io/instance": "web", "app.kubernetes.io/name": "postgresql"}
    yard.sandbox.create(shapes.deployment("web-database", labels=database))
    assert _names(await _capture(yard)) == ["Deployment/web", "Deployment/web-worker"]


async def test_what_a_controller_made_is_the_controllers(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment(labels=LABELLED))
    made = shapes.config_map("made", LABELLED, mode="fast")
    owner = {"apiVersion": "example.com/v1", "kind": "Thing", "name": "t", "uid": "u-1", "controller": True}
    yard.sandbox.plant({**made, "metadata": {**made["metadata"], "ownerReferences": [owner]}})
    assert _names(await _capture(yard)) == ["Deployment/web"]


async def test_of_secrets_only_name_uid_and_version_are_asked_for(yard: Any, shapes: Any) -> None:
    env = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
    volumes = [{"name": "v", "secret": {"secretName": "tls", "optional": True}}]
    yard.sandbox.create(shapes.deployment(env=env, volumes=volumes, imagePullSecrets=[{"name": "registry"}]))
    made = yard.sandbox.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"password": "aHVudGVyMg=="}}
    )
    yard.sandbox.clear_requests()
    snapshot = await _capture(yard)
    assert [(item.name, item.optional, item.uid) for item in snapshot.secrets] == [
        ("db", False, made["metadata"]["uid"]), ("registry", True, None), ("tls", True, None),
    ]  # fmt: skip
    assert "aHVudGVyMg" not in repr(snapshot)
    asked = [item for item in yard.sandbox.requests if "/secrets" in item.path]
    assert len(asked) == 3
    assert all(item.path.endswith("/secrets") and "fieldSelector" in item.query for item in asked)


async def test_what_may_not_be_read_is_said_and_not_taken_for_absent(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment(labels=LABELLED, env=[_secret_variable()]))
    for resource in ("roles", "horizontalpodautoscalers", "secrets"):
        yard.sandbox.deny("list", resource)
    snapshot = await _capture(yard)
    assert snapshot.unseen == ("HorizontalPodAutoscaler", "Role")
    assert [(item.name, item.readable) for item in snapshot.secrets] == [("db", False)]


def _secret_variable() -> dict[str, Any]:
    return {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}


async def test_status_versions_and_the_controllers_notes_are_not_part_of_it(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment())
    (held,) = (await _capture(yard)).objects
    assert set(held) == {"apiVersion", "kind", "metadata", "spec"}
    assert held["metadata"] == {"name": "web", "namespace": "default", "labels": {"app": "web"}}
    assert held["spec"]["revisionHistoryLimit"] == 10


async def test_two_looks_at_the_same_application_are_equal(yard: Any, shapes: Any) -> None:
    yard.sandbox.create(shapes.deployment(labels=LABELLED))
    one, other = await _capture(yard), await _capture(yard)
    assert (one, one.content, one.exact) == (other, other.content, other.exact)
