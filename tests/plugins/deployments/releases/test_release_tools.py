"""Releases, differences, drift and history as a person asks for them, through klepaas in the sandbox."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from klepaas.operations import Operations
from klepaas.principals import Principal
from klepaas.store.history import Deployment, History, Stage
from klepaas_plugins.deployments.kinds import target_text
from klepaas_plugins.deployments.place import locate
from klepaas_plugins.kubernetes.client import Clusters

pytestmark = pytest.mark.anyio

SECRET = "hunter2-hunter2-hunter2"


def _rows(text: str) -> list[list[str]]:
    """The rows of the table in an answer."""
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(("RELEASE", "AGE", "APPLICATION")))
    return [line.split("\t") for line in lines[begin + 1 :] if "\t" in line]


async def test_a_list_says_who_when_what_and_how_far_back_each_is(bench: Any) -> None:
    await bench.deploy(env_vars={"A": "1"})
    await bench.deploy(image="example/app:2")
    await bench.deploy(image="example/missing:3")
    await bench.deploy(image="example/app:4")
    said = await bench.call("list_releases", app_name="web")
    assert said.text.startswith("web in default: release 4 (verified) runs.")
    rows = _rows(said.text)
    assert [row[0] for row in rows] == ["4", "3", "2", "1"]
    assert [row[2] for row in rows] == ["verified", "failed", "verified", "verified"]
    assert [row[3] for row in rows] == ["runs now", "-", "1", "2"]
    assert "ErrImagePull" in rows[1][6] or "ImagePullBackOff" in rows[1][6]
    found = (await bench.call("list_releases", app_name="web", output="json")).json()
    assert (found["release"], found["release_state"], found["drift"], found["total"]) == (4, "verified", 0, 4)
    assert [one["number"] for one in found["releases"] if one["steps_back"]] == [2, 1]


async def test_a_long_list_goes_on_with_its_cursor(bench: Any, yard_of: Any) -> None:
    await bench.deploy()
    releases = await yard_of(bench)
    snapshot = await releases.capture()
    for number in range(24):
        await releases.record(snapshot, principal="alice", operation_id=f"op-{number}")
    first = await bench.call("list_releases", app_name="web")
    assert "5 older ones: cursor=6" in first.text
    assert [row[2] for row in _rows(first.text)][:3] == ["pending", "superseded", "superseded"]
    rest = await bench.call("list_releases", app_name="web", cursor="6")
    assert [row[0] for row in _rows(first.text) + _rows(rest.text)] == [str(number) for number in range(25, 0, -1)]


async def test_of_an_application_that_is_nowhere_it_says_so(bench: Any) -> None:
    said = await bench.call("list_releases", app_name="nothing")
    assert said.code == "not_found"
    assert said.text.startswith("There is no application nothing in default (context sandbox), and no release of it. ")
    assert "list_applications(all_namespaces=true) shows the rest" in said.text


async def test_an_application_without_releases_and_a_deleted_one_with_some(bench: Any, shapes: Any) -> None:
    bench.sandbox.create(shapes.deployment("other"))
    said = await bench.call("list_releases", app_name="other")
    assert "other in default has no release yet" in said.text
    await bench.deploy()
    bench.sandbox.delete("Deployment", "web")
    said = await bench.call("list_releases", app_name="web")
    assert said.text.startswith("web in default does not run; a rollback to a release makes it anew.")


async def test_without_the_right_to_config_maps_it_says_what_is_missing(bench: Any) -> None:
    await bench.deploy()
    bench.sandbox.deny("list", "configmaps")
    said = await bench.call("list_releases", app_name="web")
    assert said.code == "forbidden"
    assert "The releases of web in default cannot be listed: " in said.text
    assert 'cannot list resource "configmaps"' in said.text


async def test_a_difference_tells_fields_and_no_secret(bench: Any, shapes: Any) -> None:
    await bench.deploy(env_vars={"DB_PASSWORD": "first-" + SECRET, "MODE": "fast"})
    bench.sandbox.create(shapes.config_map("web", {"app.kubernetes.io/instance": "web"}, password=SECRET, mode="fast"))
    await bench.deploy(image="example/app:2", env_vars={"DB_PASSWORD": SECRET}, port=8080)
    # What was added by hand is a release of its own: found before the next change.
    said = await bench.call("diff_releases", app_name="web", before=1, after=3)
    lines = said.text.splitlines()
    data = await bench.call("diff_releases", app_name="web", before=1, after=3, output="json")
    assert lines[0] == f"web in default, from release 1 to release 3: {data.json()['count']} changes"
    assert "Deployment web: image: example/app:1 -> example/app:2" in lines
    assert "Deployment web: env[DB_PASSWORD].value: a hidden value -> another hidden value" in lines
    assert {"ConfigMap web: added", "Service web: added"} <= set(lines)
    assert SECRET not in json.dumps([said.text, data.text])


async def test_a_change_by_hand_is_drift_in_the_difference_the_list_and_the_state(bench: Any, shapes: Any) -> None:
    labels = {"app.kubernetes.io/instance": "web"}
    bench.sandbox.create(shapes.config_map("web", labels, mode="fast", password=SECRET))
    await bench.deploy()
    cluster = await Clusters.of(bench.host).cluster(None)
    body = shapes.config_map("web", labels, mode="slow", password="other-" + SECRET)
    await cluster.apply(body, force=True, field_manager="kubectl")
    difference = await bench.call("diff_releases", app_name="web")
    assert difference.text.splitlines()[1:-1] == [
        "ConfigMap web: data.mode: fast -> slow",
        "ConfigMap web: data.password: a hidden value -> another hidden value",
    ]
    drift = "with changes made since, not by a release: ConfigMap web (data.mode, data.password)."
    assert f"release 1 (verified) {drift}" in (await bench.call("list_releases", app_name="web")).text
    state = await bench.call("get_deployment_status", app_name="web")
    assert f"Release: release 1 (verified) {drift}" in state.text
    found = (await bench.call("get_deployment_status", app_name="web", output="json")).json()
    assert (found["release"], found["drift"]) == (1, 2)


async def test_a_text_of_many_lines_is_told_by_the_lines_that_differ(bench: Any, shapes: Any) -> None:
    labels = {"app.kubernetes.io/instance": "web"}
    lines = [f"key{number}=value{number}" for number in range(40)]
    bench.sandbox.create(shapes.config_map("web", labels, **{"app.conf": "\n".join(lines)}))
    await bench.deploy()
    lines[7] = "key7=other"
    body = shapes.config_map("web", labels, **{"app.conf": "\n".join(lines)})
    await (await Clusters.of(bench.host).cluster(None)).apply(body, force=True, field_manager="kubectl")
    said = await bench.call("diff_releases", app_name="web")
    assert said.text.splitlines()[1:-1] == ["ConfigMap web: data.app.conf: key7=value7 -> key7=other"]


async def test_a_state_is_told_also_where_releases_cannot_be_read(bench: Any) -> None:
    await bench.deploy()
    bench.sandbox.deny("*", "configmaps")
    said = await bench.call("get_deployment_status", app_name="web")
    assert not said.is_error
    assert "Release:" not in said.text


async def test_a_change_that_nobody_attends_to_is_told_with_the_state(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.deploy()
    clusters = Clusters.of(bench.host)
    target = await target_text(clusters, await locate(clusters, "web", None, None))
    begun = await _left_alone(bench, target)

    async def running_on(_: Operations, asked: str) -> Any:
        return begun if asked == target else None

    monkeypatch.setattr(Operations, "running_on", running_on)
    said = await bench.call("get_deployment_status", app_name="web")
    assert f"Under way: Scaling web ({begun.id}), for 60 s: 1 of 3 pods. Unattended since " in said.text
    assert "no klepaas server carries it out" in said.text
    assert said.operation == begun.id
    found = (await bench.call("get_deployment_status", app_name="web", output="json")).json()
    assert found["unattended_since"].endswith("Z")


async def _left_alone(bench: Any, target: str) -> Any:
    from klepaas.operations import Operation, State

    now = time.time()
    who = Principal("alice", "memory")
    begun = Operation("op-x", "scale", target, "Scaling web", {}, who, State.RUNNING, 1, now - 60, now - 50, now + 600)
    return replace(begun, line="1 of 3 pods", unattended_since=now - 40)


def _deployment(number: int, cluster: str, **other: Any) -> Deployment:
    began = time.time() - 3600 + number
    plain = Deployment(
        f"op-h{number}", "deploy", "succeeded", cluster, "default", "web", "alice", began, began + 4.0,
        image=f"example/app:{number}", release=number,
    )  # fmt: skip
    return replace(plain, **other)


async def test_the_history_has_figures_and_reasons(bench: Any) -> None:
    cluster, history = await Clusters.of(bench.host).identity(None), History.of(bench.host)
    failed = {"error_stage": "rollout", "error_message": "CrashLoopBackOff", "stages": (Stage("rollout", "failed"),)}
    back = {"automatic": True, "is_rollback": True, "rollback_to_release": 1}
    for item in (
        _deployment(1, cluster),
        _deployment(2, cluster, state="rolled_back", commit_sha="0123456789abcdef", **failed, **back),
        _deployment(3, cluster, operation_type="scale", replicas=5, previous_replicas=2),
        _deployment(4, cluster, operation_type="rollback", rollback_to_release=1),
        _deployment(5, cluster, application="other"),
    ):
        await history.put(item)
    said = await bench.call("get_deployment_history", app_name="web")
    assert said.text.startswith(
        "4 changes of web in default in the last 30 days (2 deploy, 1 rollback, 1 scale), 75% of those that ended "
        "succeeded, half of them within 4.0 s, the last failure "
    )
    rows = _rows(said.text)
    assert [row[1] for row in rows] == ["rollback to 1", "scale 2 -> 5", "deploy", "deploy"]
    assert rows[2][5] == "example/app:2 (0123456789ab)"
    assert rows[2][7] == "rollout: CrashLoopBackOff (back at release 1)"
    everything = await bench.call("get_deployment_history")
    assert (await bench.call("get_deployment_history", output="json")).json()["total"] == 5
    assert _rows(everything.text)[0][0] == "default/other"
    empty = await bench.call("get_deployment_history", namespace="kube-public", output="json")
    assert empty.json()["total"] == 0


async def test_a_long_history_goes_on_with_its_cursor(bench: Any) -> None:
    cluster, history = await Clusters.of(bench.host).identity(None), History.of(bench.host)
    for number in range(1, 24):
        await history.put(_deployment(number, cluster))
    first = await bench.call("get_deployment_history", app_name="web")
    rest = await bench.call("get_deployment_history", app_name="web", cursor=first.text.rpartition("cursor=")[2])
    releases = [row[4] for row in _rows(first.text) + _rows(rest.text)]
    assert releases == [str(number) for number in range(23, 0, -1)]


async def test_releases_and_history_can_be_read_as_resources(bench: Any) -> None:
    await bench.deploy()
    for name, words in (("releases", "release 1 (verified) runs"), ("history", "web in default")):
        (found,) = await bench.client.read_resource(f"klepaas://{name}/sandbox/default/web")
        assert words in found.text
