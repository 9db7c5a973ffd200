"""For how long a rollout has been complete, when another process goes on with watching it."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pytest

from klepaas_plugins.deployments.executor.progress import hold_s
from klepaas_plugins.deployments.hold import Hold, Record
from klepaas_plugins.deployments.rollout import Snapshot, decide
from klepaas_plugins.deployments.settings import RolloutSettings

pytestmark = pytest.mark.anyio

Change = Callable[[dict[str, Any], list[dict[str, Any]]], None]


def complete() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A StatefulSet whose one pod is ready."""
    labels = {"controller-revision-hash": "web-1", "app": "web"}
    workload = {
        "metadata": {"name": "web", "namespace": "default", "uid": "w", "generation": 3},
        "spec": {"replicas": 1, "updateStrategy": {"type": "RollingUpdate"}},
        "status": {
            "observedGeneration": 3, "replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "updatedReplicas": 1,
            "currentReplicas": 1, "currentRevision": "web-1", "updateRevision": "web-1",
        },
    }  # fmt: skip
    pod = {
        "metadata": {
            "name": "web-0", "namespace": "default", "uid": "p", "labels": labels,
            "ownerReferences": [{"uid": "w", "kind": "StatefulSet", "name": "web", "controller": True}],
        },
        "spec": {"nodeName": "n", "containers": [{"name": "c"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "containerStatuses": [{"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}}],
        },
    }  # fmt: skip
    return workload, [pod]


def seen(change: Change | None = None) -> Snapshot:
    """What is observed; a change makes it other than before."""
    workload, pods = copy.deepcopy(complete())
    if change is not None:
        change(workload, pods)
    return Snapshot("StatefulSet", workload, [], pods, {}, 0.0, None, [])


async def kept(snapshot: Snapshot) -> dict[str, Any]:
    """What a process keeps that saw this become complete a minute ago."""
    facts: dict[str, Any] = {}

    async def keep(fact: Mapping[str, Any]) -> None:
        facts.update(fact)

    hold = Hold(90.0, Record(None, keep))
    assert hold.observe(snapshot, decide(snapshot)) == 0.0
    await hold.keep()
    return {**facts, "since": facts["since"] - 60}


async def test_another_process_goes_on_from_when_it_became_complete() -> None:
    snapshot = seen()
    assert decide(snapshot).done
    hold = Hold(90.0, Record(await kept(snapshot)))
    assert 60 <= hold.observe(snapshot, decide(snapshot)) < 80


def restarted(_workload: dict[str, Any], pods: list[dict[str, Any]]) -> None:
    pods[0]["status"]["containerStatuses"][0]["restartCount"] = 1


def ready_anew(_workload: dict[str, Any], pods: list[dict[str, Any]]) -> None:
    pods[0]["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:30Z"


def replaced(_workload: dict[str, Any], pods: list[dict[str, Any]]) -> None:
    pods[0]["metadata"]["uid"] = "q"


def changed(workload: dict[str, Any], _pods: list[dict[str, Any]]) -> None:
    workload["metadata"]["generation"] = workload["status"]["observedGeneration"] = 4


@pytest.mark.parametrize("change", [restarted, ready_anew, replaced, changed])
async def test_what_happened_while_nobody_watched_begins_the_time_anew(change: Change) -> None:
    before, now = await kept(seen()), seen(change)
    assert decide(now).done
    assert Hold(90.0, Record(before)).observe(now, decide(now)) == 0.0


async def test_a_restart_that_is_watched_begins_it_anew_and_is_kept_so() -> None:
    facts: list[Mapping[str, Any]] = []

    async def keep(fact: Mapping[str, Any]) -> None:
        facts.append(fact)

    hold = Hold(90.0, Record(await kept(seen()), keep))
    assert hold.observe(seen(), decide(seen())) >= 60
    await hold.keep()
    after = seen(restarted)
    assert hold.observe(after, decide(after)) == 0.0
    await hold.keep()
    assert facts[1]["what"] != facts[0]["what"]
    assert facts[1]["since"] - facts[0]["since"] > 59
    assert hold.since_s is not None
    assert hold.since_s <= anyio.current_time()


async def test_a_clock_that_was_set_back_makes_nobody_wait_for_longer() -> None:
    before = await kept(seen())
    hold = Hold(90.0, Record({**before, "since": before["since"] + 3600}))
    assert hold.observe(seen(), decide(seen())) == 0.0


@pytest.mark.parametrize(
    ("periods", "needed_s"),
    [((), 10.0), ((1,), 3.0), ((2,), 4.0), ((4,), 8.0), ((60,), 10.0), ((None,), 10.0), ((1, 4), 8.0)],
)
def test_a_rollout_has_to_hold_two_periods_of_its_slowest_probe_between_3_and_10_s_and_10_without(
    periods: tuple[int | None, ...], needed_s: float
) -> None:
    probes = [{"periodSeconds": one} if one else {"failureThreshold": 3} for one in periods]
    containers: list[dict[str, Any]] = [{"name": "c", "readinessProbe": probe} for probe in probes] or [{"name": "c"}]
    assert hold_s({"spec": {"template": {"spec": {"containers": containers}}}}) == needed_s


async def test_what_klepaas_deploys_with_its_own_probe_holds_4_s(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", raising=False)
    assert RolloutSettings().min_healthy_s is None
    monkeypatch.setitem(vars(RolloutSettings.of(bench.host)), "min_healthy_s", None)
    said = await bench.deploy(port=8080, health_path="/ready", wait_s=60)
    assert not said.is_error, said.text
    assert any(" of 4 s" in line for line in said.progress), said.progress
