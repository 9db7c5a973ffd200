"""The decision about a rollout, over the objects and event streams of a real cluster."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from klepaas_plugins.deployments.rollout import Phase, Snapshot, current_replicaset, decide, missed_deadline, phase

Recorded = Callable[[str, str], Any]


def _replicaset_of(pod: dict[str, Any], deployment: dict[str, Any], revision: str = "1") -> dict[str, Any]:
    """The ReplicaSet between a recorded pod and its Deployment; only these two were recorded."""
    owner = pod["metadata"]["ownerReferences"][0]
    reference = {"kind": "Deployment", "uid": deployment["metadata"]["uid"], "controller": True}
    annotations = {"deployment.kubernetes.io/revision": revision}
    return {
        "metadata": {
            "name": owner["name"],
            "uid": owner["uid"],
            "annotations": annotations,
            "ownerReferences": [reference],
        },
    }


def _snapshot(deployment: dict[str, Any], pods: list[dict[str, Any]], **more: Any) -> Snapshot:
    deployment = copy.deepcopy(deployment)
    deployment["metadata"].setdefault("annotations", {}).setdefault("deployment.kubernetes.io/revision", "1")
    replicasets = [_replicaset_of(pod, deployment) for pod in pods[:1]]
    return Snapshot("Deployment", deployment, replicasets, pods, **more)


def test_a_rollout_is_done_with_the_last_event_of_the_stream_and_not_before(recorded: Recorded) -> None:
    seen = recorded("deployment-lifecycle", "deployment becomes available")
    assert [decide(Snapshot("Deployment", item)).done for item in seen] == [False] * (len(seen) - 1) + [True]


def test_progress_counts_ready_pods(recorded: Recorded) -> None:
    deployment = recorded("deployment-lifecycle", "get")
    pods = recorded("deployment-lifecycle", "pods of it")
    replicasets = recorded("deployment-lifecycle", "replicasets of it")
    verdict = decide(Snapshot("Deployment", deployment, replicasets, pods))
    assert verdict.done
    assert verdict.progress == "2 of 2 pods ready"


@pytest.mark.parametrize(("name", "reason"), [("crash", "CrashLoopBackOff"), ("pull", "ImagePullBackOff")])
def test_a_decisive_cause_ends_the_rollout_long_before_its_deadline(recorded: Recorded, name: str, reason: str) -> None:
    seen = recorded("failures", f"{name} fails its deadline")
    pods = recorded("failures", f"pods of {name}")
    failed = [decide(_snapshot(item, pods)).failed for item in seen]
    # From the moment the controller has seen the change; the deadline comes with the last event only.
    assert failed == [False, False, True, True, True]
    cause = decide(_snapshot(seen[2], pods)).cause
    assert cause is not None
    assert cause.reason == reason


def test_a_pod_that_never_becomes_ready_fails_only_at_the_deadline(recorded: Recorded) -> None:
    seen = recorded("failures", "unready fails its deadline")
    pods = recorded("failures", "pods of unready")
    verdicts = [decide(_snapshot(item, pods)) for item in seen]
    assert [verdict.failed for verdict in verdicts] == [False, False, False, False, True]
    early, late = verdicts[3].cause, verdicts[4].cause
    assert early is not None
    assert late is not None
    assert (early.reason, late.reason) == ("not ready", "never became ready")
    assert late.container == "main"


def test_a_deadline_without_any_pod_quotes_the_controller(recorded: Recorded) -> None:
    last = recorded("failures", "unready fails its deadline")[-1]
    cause = decide(_snapshot(last, [])).cause
    assert cause is not None
    assert cause.reason == "ProgressDeadlineExceeded"
    assert "has timed out progressing" in cause.message


def test_a_deadline_that_an_earlier_rollout_missed_does_not_fail_this_one(recorded: Recorded) -> None:
    last = recorded("failures", "unready fails its deadline")[-1]
    missed = missed_deadline(last)
    assert missed == "2026-11-21T09:35:39Z"
    pods = recorded("failures", "pods of unready")
    assert not decide(_snapshot(last, pods, missed_before=missed)).failed
    assert decide(_snapshot(last, pods, missed_before="2026-11-21T09:00:00Z")).failed


def test_a_quota_fails_the_rollout(recorded: Recorded) -> None:
    deployment = recorded("extensions-and-controllers", "deployment short of pods")
    verdict = decide(Snapshot("Deployment", deployment))
    assert verdict.failed
    assert phase(Snapshot("Deployment", deployment)) is Phase.DEGRADED


def test_the_trouble_of_an_old_replicaset_does_not_fail_a_new_rollout(recorded: Recorded) -> None:
    deployment = recorded("extensions-and-controllers", "deployment short of pods")
    new = _replicaset_of({"metadata": {"ownerReferences": [{"name": "web-new", "uid": "new"}]}}, deployment)
    assert not decide(Snapshot("Deployment", deployment, [new])).failed


def test_pods_of_the_old_template_decide_nothing(recorded: Recorded) -> None:
    deployment = recorded("failures", "crash fails its deadline")[3]
    pods = recorded("failures", "pods of crash")
    snapshot = _snapshot(deployment, pods)
    snapshot.workload["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    assert current_replicaset(snapshot) is None
    assert decide(snapshot).cause is None


def test_a_change_that_the_controller_has_not_seen_is_neither_done_nor_failed(recorded: Recorded) -> None:
    deployment = recorded("deployment-lifecycle", "get")
    deployment["metadata"]["generation"] += 1
    verdict = decide(_snapshot(deployment, recorded("failures", "pods of crash")))
    assert (verdict.done, verdict.failed) == (False, False)
    assert phase(Snapshot("Deployment", deployment)) is Phase.ROLLING_OUT


def test_a_paused_rollout_says_so(recorded: Recorded) -> None:
    deployment = recorded("failures", "unready fails its deadline")[3]
    deployment["spec"]["paused"] = True
    cause = decide(_snapshot(deployment, [])).cause
    assert cause is not None
    assert cause.reason == "Paused"


def test_an_application_scaled_to_zero_is_not_ill() -> None:
    deployment = {"metadata": {"generation": 1}, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}}
    assert phase(Snapshot("Deployment", deployment)) is Phase.STOPPED


def test_a_stateful_set_is_done_when_its_pods_are_of_the_newest_revision() -> None:
    def stateful_set(**status: Any) -> Snapshot:
        item = {"metadata": {"generation": 2, "name": "db", "uid": "u"}, "spec": {"replicas": 2}}
        return Snapshot("StatefulSet", {**item, "status": {"observedGeneration": 2, "replicas": 2, **status}})

    same = {"currentRevision": "a", "updateRevision": "a", "readyReplicas": 2, "availableReplicas": 2}
    assert decide(stateful_set(**same)).done
    assert not decide(stateful_set(**{**same, "updateRevision": "b", "updatedReplicas": 1})).done


def test_a_daemon_set_is_done_when_every_node_has_the_newest_pod() -> None:
    def daemon_set(updated: int) -> Snapshot:
        numbers = {"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberAvailable": 3, "numberReady": 3}
        status = {"observedGeneration": 1, "updatedNumberScheduled": updated, **numbers}
        return Snapshot("DaemonSet", {"metadata": {"generation": 1, "uid": "u"}, "status": status})

    assert decide(daemon_set(3)).done
    assert not decide(daemon_set(2)).done
