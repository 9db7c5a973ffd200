"""How far a rollout is, by the cluster's own timestamps."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.plugins.deployments.executor.cases import WALL_S, WEB

from klepaas_plugins.deployments.executor.progress import hold_s, rollout_of
from klepaas_plugins.deployments.manifests import Wanted, deployment
from klepaas_plugins.deployments.rollout import Snapshot

Recorded = Callable[[str, str], Any]


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(WALL_S + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def workload(**spec: Any) -> dict[str, Any]:
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    metadata = {"name": "web", "uid": "d", "generation": 1, "annotations": {"deployment.kubernetes.io/revision": "1"}}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 1, **spec}, "status": status}


def replicaset(**status: Any) -> dict[str, Any]:
    owner = {"kind": "Deployment", "uid": "d", "controller": True}
    notes = {"deployment.kubernetes.io/revision": "1"}
    metadata = {"name": "web-1", "uid": "r", "annotations": notes, "ownerReferences": [owner]}
    return {"kind": "ReplicaSet", "metadata": metadata, "spec": {"replicas": 1}, "status": status}


def pod(ready_at: float = 0.0, started_at: float = 0.0, **metadata: Any) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "uid": "r", "controller": True}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": stamp(ready_at)}
    status = {"name": "web", "ready": True, "state": {"running": {"startedAt": stamp(started_at)}}}
    return {
        "metadata": {"name": "web-1-a", "uid": "p", "ownerReferences": [owner], **metadata},
        "status": {"phase": "Running", "conditions": [ready], "containerStatuses": [status]},
    }


def seen(*pods: dict[str, Any], item: Any = None, sets: Any = None, at_s: float = 0.0, **more: Any) -> Any:
    snapshot = Snapshot("Deployment", item or workload(), sets or [replicaset()], pods)
    return rollout_of(WEB, snapshot, cluster_s=WALL_S + at_s, **{"grace_s": 10.0, **more})


def unfinished(**spec: Any) -> dict[str, Any]:
    item = workload(**spec)
    item["status"] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}
    return item


@pytest.mark.parametrize(
    ("period_s", "expected_s"), [(1, 3.0), (2, 4.0), (4, 8.0), (5, 10.0), (60, 10.0), (None, 10.0)]
)
def test_the_hold_is_two_periods_of_its_probe_between_3_and_10_s(period_s: int | None, expected_s: float) -> None:
    probe = {"tcpSocket": {}} if period_s is None else {"tcpSocket": {}, "periodSeconds": period_s}
    item = {"spec": {"template": {"spec": {"containers": [{"readinessProbe": probe}, {"name": "other"}]}}}}
    assert hold_s(item) == expected_s


def test_without_a_probe_the_hold_is_10_s() -> None:
    assert hold_s({"spec": {"template": {"spec": {"containers": [{"name": "web"}]}}}}) == 10.0


def test_a_rollout_has_held_since_the_last_pod_became_ready_whichever_process_looks() -> None:
    assert seen(pod(ready_at=2.0), at_s=9.0).held_s == 7.0
    assert seen(pod(ready_at=2.0), at_s=20.0).is_settled
    assert not seen(pod(ready_at=2.0), at_s=9.0).is_settled


def test_a_restart_of_a_container_begins_the_hold_anew() -> None:
    assert seen(pod(ready_at=0.0, started_at=8.0), at_s=9.0).held_s == 1.0


def test_pods_that_are_not_seen_yet_hold_nothing_and_a_clock_behind_the_clusters_neither() -> None:
    assert seen(at_s=100.0).held_s == 0.0
    assert seen(pod(ready_at=2.0), at_s=-3600.0).held_s == 0.0


def test_a_pod_without_a_node_decides_after_the_grace_by_the_clusters_own_timestamps() -> None:
    lost = pod()
    lost["status"] = {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": stamp(0)}
        ],
    }
    early, late = (seen(lost, item=unfinished(), at_s=at_s) for at_s in (4.0, 10.0))
    assert (early.failure, early.decides_in_s) == (None, 6.0)
    assert "Unschedulable" in late.failure


def refused(at_s: float, *pods: dict[str, Any], **spec: Any) -> Any:
    message = 'pods "web-1-b" is forbidden: exceeded quota: q'
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    owner = replicaset(conditions=[{**failure, "lastTransitionTime": stamp(0)}])
    return seen(*pods, item=unfinished(**spec), sets=[owner, *spec.pop("others", [])], at_s=at_s)


def test_a_quota_on_pods_decides_only_when_no_old_pod_is_leaving() -> None:
    assert "quota exceeded" in refused(30.0).failure
    leaving = refused(30.0, pod(name="old", uid="o", deletionTimestamp=stamp(0)))
    assert leaving.failure is None
    assert "quota exceeded" in leaving.cause


def test_a_slow_pull_has_until_progress_deadline_seconds() -> None:
    slow = pod()
    waiting = {"name": "web", "ready": False, "state": {"waiting": {"reason": "ContainerCreating"}}}
    slow["status"] = {"phase": "Pending", "containerStatuses": [waiting]}
    item = unfinished(progressDeadlineSeconds=1800)
    progressing = {"type": "Progressing", "status": "True", "lastUpdateTime": stamp(0)}
    item["status"]["conditions"] = [progressing]
    found = seen(slow, item=item, at_s=1500.0)
    assert (found.failure, found.progress_deadline_in_s) == (None, 300.0)
    assert seen(slow, item=item, at_s=1801.0).progress_deadline_in_s is None


def test_a_paused_rollout_is_no_failure_and_has_no_deadline() -> None:
    item = unfinished(paused=True)
    item["status"]["conditions"] = [{"type": "Progressing", "status": "Unknown", "lastUpdateTime": stamp(0)}]
    found = seen(item=item)
    assert (found.paused, found.failure, found.progress_deadline_in_s) == (True, None, None)


@pytest.mark.parametrize("name", ["crash", "pull"])
def test_what_decides_does_so_at_the_first_look_of_any_process(recorded: Recorded, name: str) -> None:
    item = copy.deepcopy(recorded("failures", f"{name} fails its deadline")[2])
    pods = recorded("failures", f"pods of {name}")
    item["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = "1"
    owner = replicaset()
    owner["metadata"]["uid"] = pods[0]["metadata"]["ownerReferences"][0]["uid"]
    owner["metadata"]["ownerReferences"][0]["uid"] = item["metadata"]["uid"]
    found = rollout_of(WEB, Snapshot("Deployment", item, [owner], pods), cluster_s=WALL_S, grace_s=10.0)
    assert found.failure


def test_our_own_probe_has_a_period_of_2_s_so_that_its_hold_is_4_s() -> None:
    wanted = Wanted(app_name="web", namespace="shop", image="example/app:1", port=8080)
    assert hold_s(deployment(wanted, None)) == 4.0
