"""What a rollback makes klepaas' own: what it owned in the release, and nothing that others set."""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from klepaas.errors import BadRequest
from klepaas_plugins.deployments.releases import Release, Snapshot
from klepaas_plugins.kubernetes.client import AlreadyExists, FieldConflict, RaisedEffect, own_fields

pytestmark = pytest.mark.anyio

WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}}


def part(**container: Any) -> dict[str, Any]:
    """A Deployment `web` of which a manager names one container only."""
    return {**WEB, "spec": {"template": {"spec": {"containers": [{"name": "web", **container}]}}}}


def variable(name: str, value: str = "1") -> dict[str, str]:
    return {"name": name, "value": value}


def owned(yard: Any, kind: str = "Deployment", name: str = "web") -> Any:
    return own_fields(yard.sandbox.get(kind, name))


async def released(yard: Any) -> Release:
    """The release of what runs now, as a later process reads it."""
    releases = await yard.releases()
    release: Release = await releases.record(await releases.capture(), principal="alice", operation_id="op-1")
    return replace(release, snapshot=None)


async def mixed(yard: Any, shapes: Any) -> None:
    """An application of klepaas of which a person has set a part."""
    body = shapes.deployment(env=[variable("A")], strategy={"type": "Recreate"})
    body["metadata"]["annotations"] = {"example.com/note": "x"}
    await yard.apply(body)
    await yard.apply(part(imagePullPolicy="Always", env=[variable("THEIRS")]), "kubectl")


async def test_a_release_holds_what_klepaas_owned_beside_the_objects(yard: Any, shapes: Any) -> None:
    await mixed(yard, shapes)
    await yard.apply(shapes.config_map("by-hand", {"app": "web"}, mode="x"), "kubectl")
    release = await released(yard)
    held = await (await yard.releases()).load(release)
    assert held.own == {("Deployment", "web"): owned(yard)}
    assert 'k:{"name":"THEIRS"}' not in json.dumps(held.own[("Deployment", "web")])


@pytest.mark.parametrize("change", ["more", "less", "strategy", "taken by a person", "deleted", "other container"])
async def test_after_a_rollback_klepaas_owns_exactly_what_it_owned_in_the_release(
    yard: Any, shapes: Any, change: str
) -> None:
    await yard.apply(shapes.deployment(env=[variable("A"), variable("B")], strategy={"type": "Recreate"}))
    before, release = owned(yard), await released(yard)
    bodies = {
        "more": shapes.deployment(
            env=[variable("A", "2"), variable("C")], minReadySeconds=5, strategy={"type": "Recreate"}
        ),
        "less": shapes.deployment(strategy={"type": "Recreate"}),
        "strategy": shapes.deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3}}),
        "other container": shapes.deployment(env=[variable("B"), variable("A")], strategy={"type": "Recreate"}),
    }
    if change in bodies:
        body = bodies[change]
        if change == "other container":
            body["spec"]["template"]["spec"]["containers"].append({"name": "helper", "image": "example/helper:1"})
        await yard.apply(body)
    elif change == "deleted":
        yard.sandbox.delete("Deployment", "web")
    else:
        await yard.apply(part(image="example/app:9", env=[variable("A", "9")]), "kubectl")
    releases = await yard.releases()
    await releases.restore(release)
    assert owned(yard) == before
    assert (await releases.diff(release)).lines == []


async def test_a_value_that_klepaas_took_over_since_comes_back_although_others_owned_it_then(
    yard: Any, shapes: Any
) -> None:
    await mixed(yard, shapes)
    release = await released(yard)
    body = shapes.deployment(image="example/app:2")
    body["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    await yard.apply(body)
    await (await yard.releases()).restore(release)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["imagePullPolicy"] == "Always"
    assert container["image"] == "example/app:1"


@pytest.mark.parametrize("take_ownership", [None, False])
async def test_what_a_person_added_after_the_release_stays_and_is_named(
    yard: Any, shapes: Any, take_ownership: bool | None
) -> None:
    await mixed(yard, shapes)
    before, release = owned(yard), await released(yard)
    await yard.apply(part(env=[variable("ADDED")], workingDir="/tmp"), "kubectl-edit")
    await yard.apply(shapes.deployment(image="example/app:2", env=[variable("A")], strategy={"type": "Recreate"}))
    restored = await (await yard.releases()).restore(release, take_ownership=take_ownership)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert [one["name"] for one in container["env"]] == ["A", "THEIRS", "ADDED"]
    assert container["workingDir"] == "/tmp"
    named = "\n".join(restored.notes)
    assert "env[ADDED].value stays as it is, set by kubectl-edit" in named
    assert "workingDir stays as it is, set by kubectl-edit" in named
    assert owned(yard) == before


async def test_what_others_changed_of_their_own_since_stays_and_is_named(yard: Any, shapes: Any) -> None:
    await mixed(yard, shapes)
    release = await released(yard)
    await yard.apply(part(imagePullPolicy="Never"), "kubectl")
    restored = await (await yard.releases()).restore(release, take_ownership=False)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["imagePullPolicy"] == "Never"
    assert [one["name"] for one in container["env"]] == ["A"]
    named = "\n".join(restored.notes)
    assert "imagePullPolicy stays as it is, set by kubectl" in named
    assert "env[THEIRS].value is gone since and does not come back: klepaas did not set it" in named


async def test_what_a_controller_took_since_is_left_and_named_when_nobody_asked(yard: Any, shapes: Any) -> None:
    await mixed(yard, shapes)
    release = await released(yard)
    body = shapes.deployment(env=[variable("A", "2")], strategy={"type": "Recreate"})
    await yard.apply(body)
    await yard.apply(part(image="example/app:9"), "argocd-controller")
    restored = await (await yard.releases()).restore(release)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example/app:9"
    assert {one["name"]: one["value"] for one in container["env"]}["A"] == "1"
    assert "image: left as it is: argocd-controller (Argo CD) owns it now" in "\n".join(restored.notes)


async def test_what_a_controller_took_during_a_failed_change_is_left_and_the_rest_comes_back(
    yard: Any, shapes: Any
) -> None:
    await mixed(yard, shapes)
    release = await released(yard)
    await yard.apply(shapes.deployment(image="example/app:2", env=[variable("A", "2")]))
    releases = await yard.releases()
    expected = await releases.capture()
    await yard.apply(part(image="example/app:9"), "argocd-controller")
    restored = await releases.restore(release, expected=expected)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example/app:9"
    assert {one["name"]: one["value"] for one in container["env"]} == {"A": "1", "THEIRS": "1"}
    assert "image: left as it is: argocd-controller (Argo CD) owns it now" in "\n".join(restored.notes)


async def test_what_a_controller_took_since_is_refused_when_a_person_asked_until_ownership_is_taken(
    yard: Any, shapes: Any
) -> None:
    await mixed(yard, shapes)
    release = await released(yard)
    await yard.apply(part(image="example/app:9"), "argocd-controller")
    releases = await yard.releases()
    yard.sandbox.clear_requests()
    with pytest.raises(FieldConflict, match=r"Deployment web|deployment/web") as refused:
        await releases.restore(release, take_ownership=False)
    assert "argocd-controller (Argo CD) owns spec.template.spec.containers[web].image" in refused.value.what
    assert "take_ownership=true" in str(refused.value.next_step)
    assert all(one.query.get("dryRun") for one in yard.sandbox.requests if one.method != "GET")
    await releases.restore(release, take_ownership=True)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example/app:1"


async def test_what_a_failed_change_removed_of_a_person_s_comes_back_with_it(yard: Any, shapes: Any) -> None:
    await mixed(yard, shapes)
    release = await released(yard)
    releases = await yard.releases()

    def take_away(item: dict[str, Any]) -> None:
        container = item["spec"]["template"]["spec"]["containers"][0]
        container["env"] = [one for one in container["env"] if one["name"] != "THEIRS"]

    yard.change("Deployment", "web", take_away)
    await yard.apply(shapes.deployment(image="example/app:2", env=[variable("A")], strategy={"type": "Recreate"}))
    expected = await releases.capture()
    await releases.restore(release, expected=expected)
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert [one["name"] for one in container["env"]] == ["A", "THEIRS"]
    assert container["image"] == "example/app:1"


async def test_a_release_without_the_own_field_set_is_restored_by_what_klepaas_owns_now(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment(env=[variable("A")]))
    releases = await yard.releases()
    snapshot: Snapshot = replace(await releases.capture(), own={})
    release = await releases.record(snapshot, principal="alice", operation_id="op-1")
    await yard.apply(shapes.deployment(image="example/app:2", env=[variable("A", "2")]))
    await yard.apply(part(env=[variable("THEIRS")]), "some-operator")
    restored = await releases.restore(replace(release, snapshot=None))
    container = yard.sandbox.get("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "example/app:1"
    assert {one["name"]: one["value"] for one in container["env"]} == {"A": "1", "THEIRS": "1"}
    assert "env[THEIRS].value stays as it is, set by some-operator" in "\n".join(restored.notes)


async def test_a_finalizer_and_an_address_that_klepaas_set_stay_since_no_release_holds_them(
    yard: Any, shapes: Any
) -> None:
    front = shapes.service("web", {"app": "web"}, {"app": "web"})
    front["metadata"]["finalizers"] = ["example.com/hold"]
    front["spec"]["clusterIP"] = "10.96.7.7"
    await yard.apply(shapes.deployment())
    await yard.apply(front)
    release = await released(yard)
    front["spec"]["ports"][0]["port"] = 81
    await yard.apply(front)
    await (await yard.releases()).restore(release)
    found = yard.sandbox.get("Service", "web")
    assert found["metadata"]["finalizers"] == ["example.com/hold"]
    assert (found["spec"]["clusterIP"], found["spec"]["ports"][0]["port"]) == ("10.96.7.7", 80)


async def test_a_webhook_that_makes_more_of_a_restored_object_than_was_planned_stops_the_restore(
    yard: Any, shapes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await yard.apply(shapes.deployment())
    release = await released(yard)
    await yard.apply(shapes.deployment(image="example/app:2"))
    releases = await yard.releases()
    cluster = (await yard.place()).cluster
    apply = cluster.apply

    async def mutate(body: dict[str, Any], **more: Any) -> Any:
        if not more.get("dry_run"):
            monkeypatch.setattr(cluster, "apply", apply)
            await apply(body, **more)
            return await apply(part(securityContext={"privileged": True}), force=True, field_manager="webhook")
        return await apply(body, **more)

    monkeypatch.setattr(cluster, "apply", mutate)
    with pytest.raises(RaisedEffect, match=r"does more than was planned: .*privileged"):
        await releases.restore(release)


async def test_a_refusal_while_restoring_names_the_object(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment())
    release = await released(yard)
    await yard.apply(shapes.deployment(image="example/app:2"))
    denied = 'admission webhook "policy.example.com" denied the request: no'
    yard.sandbox.fail("PATCH", r"/deployments/web\?fieldManager=klepaas&fieldValidation=Strict$", 403, message=denied)
    with pytest.raises(BadRequest, match=r"^Deployment web cannot be put back as it was: .*policy\.example\.com"):
        await (await yard.releases()).restore(release)


async def test_every_write_of_a_restore_carries_uid_and_version_of_a_fresh_look(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.config_map("settings", {"app": "web"}, mode="fast"))
    await yard.apply(shapes.deployment())
    release = await released(yard)
    await yard.apply(shapes.config_map("settings", {"app": "web"}, mode="slow"))
    await yard.apply(shapes.deployment(image="example/app:2"))
    await yard.apply(shapes.ingress("web", "web", labels={"app": "web"}))
    yard.sandbox.clear_requests()
    await (await yard.releases()).restore(release)
    sent = [one for one in yard.sandbox.requests if one.method in ("PATCH", "DELETE") and not one.query.get("dryRun")]
    bodies = [one.parsed for one in sent if (one.parsed or {}).get("dryRun") != ["All"]]
    assert len(bodies) == 3
    for body in bodies:
        assert {"uid", "resourceVersion"} <= set(body.get("metadata") or body.get("preconditions"))


async def test_an_object_that_somebody_made_again_meanwhile_is_not_run_over(yard: Any, shapes: Any) -> None:
    await yard.apply(shapes.deployment())
    await yard.apply(shapes.service("web", {"app": "web"}, {"app": "web"}))
    release = await released(yard)
    yard.sandbox.delete("Service", "web")
    theirs = shapes.service("web", {"app": "other"}, {"app": "web"})

    async def step(name: str, do: Any, *, find: Any = None) -> dict[str, Any]:
        yard.sandbox.create(theirs)
        return dict(await do() or {})

    with pytest.raises(AlreadyExists, match="somebody else created it meanwhile"):
        await (await yard.releases()).restore(release, step)
    assert yard.sandbox.get("Service", "web")["spec"]["selector"] == {"app": "other"}


def test_reading_releases_loads_nothing_that_writes() -> None:
    code = (
        "import sys; import klepaas_plugins.deployments.releases.book, klepaas_plugins.deployments.releases.listing; "
        "print([m for m in sys.modules if m.startswith('klepaas_plugins.kubernetes.risks') "
        "or m.endswith(('write.writer', 'write.planning', 'write.delete'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
