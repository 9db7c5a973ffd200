from collections.abc import Callable
from typing import Any

import pytest

from klepaas_plugins.kubernetes.podchoice import POD_OR_WORKLOAD
from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Text = Callable[[Any], str]


def _pods(sandbox: Sandbox, prefix: str) -> list[dict[str, Any]]:
    return [pod for pod in sandbox.list("Pod", "default") if pod["metadata"]["name"].startswith(prefix)]


def _waits(pod: dict[str, Any], reason: str) -> bool:
    states = [status["state"] for status in pod["status"].get("containerStatuses", [])]
    return any(state.get("waiting", {}).get("reason") == reason for state in states)


def _running(sandbox: Sandbox, prefix: str, count: int = 1) -> Callable[[], bool]:
    return lambda: len([pod for pod in _pods(sandbox, prefix) if pod["status"].get("phase") == "Running"]) >= count


async def test_the_log_of_a_pod_stands_below_its_state(
    ask: Any, text: Text, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("web"))
    await until(_running(sandbox, "web"))
    name = _pods(sandbox, "web")[0]["metadata"]["name"]
    sandbox.set_log("default", "web", "one\ntwo\nthree\n")
    head, log = text(await ask("k8s_logs", name=name, tail_lines=2)).split("\n\n")
    assert head.startswith(f"pod {name}, container main: running for")
    assert log == "two\nthree"
    assert "/log" in sandbox.requests[-1].path
    assert sandbox.requests[-1].query["tailLines"] == "152", "what the first line belongs to is read too"


@pytest.mark.parametrize("name", ["web", "deployment/web", "deploy/web", "deployments.apps/web", "service/web"])
async def test_a_workload_or_an_application_stands_for_its_least_healthy_pod(
    ask: Any, text: Text, sandbox: Sandbox, deployment: Any, until: Any, name: str
) -> None:
    sandbox.create(deployment("web", replicas=2))
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    sandbox.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec})
    await until(_running(sandbox, "web", 2))
    bad = _pods(sandbox, "web")[0]
    metadata: dict[str, Any] = {"name": "web-bad", "creationTimestamp": "2026-01-01T00:00:00Z"}
    spec = {**bad["spec"], "nodeName": "elsewhere"}
    status = {**bad["status"], "containerStatuses": [_crashed()]}
    # The ReplicaSet would delete one pod too many: this one is only like its own.
    metadata["labels"] = {"app": "web"}
    sandbox.plant({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})
    shown = text(await ask("k8s_logs", name=name))
    assert "pod web-bad, container main: waiting: CrashLoopBackOff" in shown
    assert "exit code 3 (Error)" in shown
    assert "chosen of 3 pods of" in shown
    assert "previous=true" in shown


def _crashed() -> dict[str, Any]:
    times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
    ended = {"exitCode": 3, "reason": "Error", **times}
    return {
        "name": "main",
        "ready": False,
        "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }


async def test_a_crashing_container_says_how_it_ended_and_shows_its_log(
    ask: Any, text: Text, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("bad", "example/crash:1"))
    await until(lambda: any(_waits(pod, "CrashLoopBackOff") for pod in _pods(sandbox, "bad")))
    shown = text(await ask("k8s_logs", name="bad"))
    assert "exit code 1 (Error)" in shown
    assert "FATAL" in shown
    assert "FATAL" in text(await ask("k8s_logs", name="bad", previous=True, container="main"))


async def test_a_container_that_never_started_says_why(
    ask: Any, text: Text, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("pull", "example/missing:1"))
    await until(lambda: any(_waits(pod, "ImagePullBackOff") for pod in _pods(sandbox, "pull")))
    result = await ask("k8s_logs", name="pull")
    assert not result.is_error
    assert "ImagePullBackOff" in text(result)
    assert "It has no log" in text(result)
    assert "k8s_events" in text(result)


async def test_of_several_containers_the_failing_one_is_taken_and_the_others_named(
    ask: Any, text: Text, sandbox: Sandbox
) -> None:
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    running = {"ready": True, "restartCount": 0, "state": state, "lastState": {}}
    spec = {"nodeName": "elsewhere", "containers": [{"name": name, "image": "x"} for name in ("main", "proxy", "job")]}
    statuses = [{"name": "main", **running}, {**_crashed(), "name": "proxy"}, {"name": "job", **running}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "multi"}, "spec": spec}
    sandbox.plant({**pod, "status": {"phase": "Running", "containerStatuses": statuses}})
    shown = text(await ask("k8s_logs", name="multi"))
    assert "container proxy: waiting: CrashLoopBackOff" in shown
    assert "other containers: main, job" in shown
    healthy = [statuses[0], {"name": "proxy", **running}, statuses[2]]
    annotated = {"name": "multi2", "annotations": {"kubectl.kubernetes.io/default-container": "job"}}
    sandbox.plant({**pod, "metadata": annotated, "status": {"phase": "Running", "containerStatuses": healthy}})
    assert "container job: running" in text(await ask("k8s_logs", name="pod/multi2"))
    named = await ask("k8s_logs", name="multi", container="nope")
    assert (named.meta or {})["code"] == "bad_request"
    assert "main, proxy, job" in text(named)
    without = await ask("k8s_logs", name="multi2", container="main", previous=True)
    assert "no previous run" in text(without)


async def test_a_name_that_is_nothing_names_near_ones(
    ask: Any, text: Text, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("checkout"))
    await until(_running(sandbox, "checkout"))
    result = await ask("k8s_logs", name="chekout")
    assert (result.meta or {})["code"] == "not_found"
    wrong = await ask("k8s_logs", name="deployment/chekout")
    assert (wrong.meta or {})["code"] == "not_found"
    assert "config" in text(await ask("k8s_logs", name="configmap/kube-root-ca.crt"))


async def test_a_long_log_keeps_its_end(ask: Any, text: Text, sandbox: Sandbox, deployment: Any, until: Any) -> None:
    sandbox.create(deployment("web"))
    await until(_running(sandbox, "web"))
    lines = [f"{'ab'[number % 2]} {number} {'x' * 90}" for number in range(2000)] + ["y" * 5000, "the end"]
    sandbox.set_log("default", "web", "\n".join(lines) + "\n")
    shown = text(await ask("k8s_logs", name="web", tail_lines=2002))
    assert len(shown.encode()) < 34_000
    assert shown.endswith("the end")
    assert "earlier lines left out" in shown
    assert "[+3000 characters]" in shown


async def test_a_log_is_cleaned_and_redacted(
    ask: Any, text: Text, sandbox: Sandbox, deployment: Any, until: Any
) -> None:
    sandbox.create(deployment("web"))
    await until(_running(sandbox, "web"))
    sandbox.set_log("default", "web", "\x1b[31mred\x1b[0m \u202eevil password=canary-9\n")
    shown = text(await ask("k8s_logs", name="web"))
    assert "red" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "canary" not in shown


@pytest.mark.parametrize(
    "value", ["", ".", "..", "../x", "a/b/c", "pods/", "/a", "deployment/..", "a/%2e", "-n", "a b"]
)
async def test_hostile_names_cause_no_request(ask: Any, sandbox: Sandbox, value: str) -> None:
    result = await ask("k8s_logs", name=value)
    assert (result.meta or {})["code"] == "bad_request"
    assert sandbox.requests == []
    assert not POD_OR_WORKLOAD.accepts(value)


@pytest.mark.parametrize("tail", [0, -1, 5001])
async def test_the_number_of_lines_is_bounded(ask: Any, sandbox: Sandbox, tail: int) -> None:
    result = await ask("k8s_logs", name="web", tail_lines=tail)
    assert result.is_error
    assert sandbox.requests == []
