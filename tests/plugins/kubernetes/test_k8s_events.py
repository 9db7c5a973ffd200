from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Text = Callable[[Any], str]


def _event(
    sandbox: Sandbox,
    number: int,
    name: str,
    *,
    ago_s: int = 0,
    kind: str = "Pod",
    namespace: str = "default",
    **rest: Any,
) -> None:
    at = (datetime.now(UTC) - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"kind": kind, "name": name, "namespace": namespace, "apiVersion": "v1"}
    event = {"type": "Normal", "reason": "Started", "message": "Started", "count": 1, "lastTimestamp": at, **rest}
    metadata = {"name": f"e{number}", "namespace": namespace}
    sandbox.plant({"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": about, **event})


async def test_events_come_newest_first_with_repeats_folded(ask: Any, text: Text, sandbox: Sandbox) -> None:
    _event(sandbox, 1, "a", ago_s=600, reason="Old")
    for number in range(3):
        _event(
            sandbox, 10 + number, "a", ago_s=300 - number, type="Warning", reason="BackOff", message="again", count=4
        )
    _event(sandbox, 2, "b", reason="New")
    lines = text(await ask("k8s_events")).split("\n")
    assert lines[0] == "AGE\tTYPE\tREASON\tOBJECT\tMESSAGE"
    assert [line.split("\t")[2] for line in lines[1:]] == ["New", "BackOff", "Old"]
    assert lines[2].split("\t")[0].endswith("m x12")
    assert lines[2].split("\t")[1:] == ["Warning", "BackOff", "pod/a", "again"]


async def test_only_warnings_can_be_asked_for(ask: Any, text: Text, sandbox: Sandbox) -> None:
    _event(sandbox, 1, "a")
    _event(sandbox, 2, "b", type="Warning", reason="Failed")
    shown = text(await ask("k8s_events", types="warning"))
    assert "pod/b" in shown
    assert "pod/a" not in shown


async def test_a_name_means_the_object_and_what_its_controllers_made(ask: Any, text: Text, sandbox: Sandbox) -> None:
    made = ["web", "web-56cb6f6f4", "web-56cb6f6f4-hdww5", "web-0"]
    for number, name in enumerate([*made, "web-api", "web-api-56cb6f6f4-hdww5", "webhook", "my-web"]):
        _event(sandbox, number, name)
    shown = text(await ask("k8s_events", name="web")).split("\n")[1:]
    assert {line.split("\t")[3] for line in shown} == {f"pod/{name}" for name in made}


async def test_with_a_kind_only_that_object_is_meant(ask: Any, text: Text, sandbox: Sandbox) -> None:
    _event(sandbox, 1, "web", kind="Deployment", reason="Scaled")
    _event(sandbox, 2, "web", kind="Service")
    shown = text(await ask("k8s_events", name="web", kind="deploy"))
    assert "deployment/web" in shown
    assert "service/web" not in shown
    selector = [request.query.get("fieldSelector", "") for request in sandbox.requests][-1]
    assert selector == "involvedObject.kind=Deployment,involvedObject.name=web"


async def test_all_namespaces_are_told_apart(ask: Any, text: Text, sandbox: Sandbox) -> None:
    _event(sandbox, 1, "a")
    _event(sandbox, 2, "b", namespace="kube-system")
    lines = text(await ask("k8s_events", all_namespaces=True)).split("\n")
    assert lines[0].startswith("NAMESPACE\t")
    assert {line.split("\t")[0] for line in lines[1:]} == {"default", "kube-system"}


async def test_no_events_is_an_answer(ask: Any, text: Text) -> None:
    result = await ask("k8s_events", name="web", types="warning")
    assert not result.is_error
    assert text(result).startswith("No warning events of object web in namespace default.")


async def test_many_events_keep_the_budget(ask: Any, text: Text, sandbox: Sandbox) -> None:
    for number in range(700):
        _event(sandbox, number, f"p{number}", ago_s=number, message="x" * 300)
    shown = text(await ask("k8s_events", limit=500))
    assert len(shown.encode()) <= 10_500
    assert "pod/p0" in shown
    assert "older ones left out" in shown
    assert len(text(await ask("k8s_events", limit=5)).split("\n")) == 7


async def test_events_of_a_workload_hold_those_of_what_it_owns_and_no_others(
    ask: Any, text: Any, sandbox: Any, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("web", image="example/missing:1"))
    sandbox.create(deployment("web-other", image="example/crash:1"))
    await until(lambda: len([one for one in sandbox.list("events") if one["involvedObject"]["kind"] == "Pod"]) >= 4)
    shown = text(await ask("k8s_events", kind="deployment", name="web"))
    assert "deployment/web\t" in shown
    assert "replicaset/web-" in shown
    assert "pod/web-" in shown
    assert "web-other" not in shown


async def test_events_of_an_object_that_is_gone_are_still_shown(ask: Any, text: Any, sandbox: Any) -> None:
    about = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gone", "namespace": "default"}
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "gone.1", "namespace": "default"}}
    sandbox.create({**event, "involvedObject": about, "reason": "Scaled", "message": "to 0", "type": "Normal"})
    assert "to 0" in text(await ask("k8s_events", kind="deploy", name="gone"))
