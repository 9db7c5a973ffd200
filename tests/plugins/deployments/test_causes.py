"""Causes, from the pods that a real cluster had."""

from collections.abc import Callable
from typing import Any

import pytest

from klepaas_plugins.deployments.causes import Cause, advice, pod_cause, replica_failure, worst
from klepaas_plugins.deployments.evidence import fold

Recorded = Callable[[str, str], Any]


def _pod(status: dict[str, Any], **more: Any) -> dict[str, Any]:
    container = {"name": "main", "ready": False, "restartCount": 0, "state": {}, "lastState": {}, **status}
    return {"metadata": {"name": "web-1", "uid": "1"}, "status": {"containerStatuses": [container], **more}}


def test_a_crash_loop_names_container_exit_code_and_restarts(recorded: Recorded) -> None:
    cause = pod_cause(recorded("failures", "pods of crash")[0])
    assert cause is not None
    assert cause.decisive
    assert cause.text == "container main of pod crash-99b9b7c4b-tlb4x: CrashLoopBackOff (exit code 1, 5 restarts)"


def test_an_image_that_cannot_be_pulled_is_decisive_and_says_which(recorded: Recorded) -> None:
    cause = pod_cause(recorded("failures", "pods of pull")[0])
    assert cause is not None
    assert (cause.reason, cause.decisive, cause.exit_code) == ("ImagePullBackOff", True, None)
    assert "example/missing:1" in cause.message


def test_a_pod_that_is_not_ready_yet_is_named_but_not_decisive(recorded: Recorded) -> None:
    cause = pod_cause(recorded("failures", "pods of unready")[0])
    assert cause is not None
    assert (cause.reason, cause.decisive) == ("not ready", False)


def test_a_pod_without_a_node_is_decisive_only_after_the_grace(recorded: Recorded) -> None:
    pod = recorded("failures", "unschedulable pods")[0]
    early, late = pod_cause(pod, 3.0, 10.0), pod_cause(pod, 10.0, 10.0)
    assert early is not None
    assert late is not None
    assert (early.decisive, late.decisive) == (False, True)
    assert "Insufficient cpu" in late.message


def test_out_of_memory_is_said_instead_of_the_crash_loop_that_follows_it(recorded: Recorded) -> None:
    cause = pod_cause(recorded("extensions-and-controllers", "out of memory pods")[0])
    assert cause is not None
    assert (cause.reason, cause.exit_code, cause.decisive) == ("OOMKilled", 137, True)
    assert "memory" in (advice(cause) or "")


def test_a_quota_that_refuses_pods_is_named_with_its_numbers(recorded: Recorded) -> None:
    deployment = recorded("extensions-and-controllers", "deployment short of pods")
    cause = replica_failure(deployment, "deployment web")
    assert cause is not None
    assert cause.reason == "quota exceeded"
    assert "used: pods=5, limited: pods=5" in cause.message


def test_pods_that_are_ready_have_no_cause(recorded: Recorded) -> None:
    assert [pod_cause(pod) for pod in recorded("deployment-lifecycle", "pods of it")] == [None, None]


def test_one_failed_start_is_not_decisive_and_the_second_is() -> None:
    ended = {"terminated": {"exitCode": 3, "reason": "Error", "message": "no database"}}
    first, second = pod_cause(_pod({"state": ended})), pod_cause(_pod({"state": ended, "restartCount": 1}))
    assert first is not None
    assert second is not None
    assert (first.decisive, second.decisive) == (False, True)
    assert (second.exit_code, second.message) == (3, "no database")


def test_a_container_that_runs_again_after_failing_twice_asks_for_its_previous_log() -> None:
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    cause = pod_cause(_pod({"state": {"running": {}}, "lastState": ended, "restartCount": 2}, phase="Running"))
    assert cause is not None
    assert cause.decisive
    assert cause.runs_again


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"])
def test_what_cannot_start_is_decisive(reason: str) -> None:
    cause = pod_cause(_pod({"state": {"waiting": {"reason": reason, "message": "because\nof this"}}}))
    assert cause is not None
    assert (cause.reason, cause.message, cause.decisive) == (reason, "because of this", True)


@pytest.mark.parametrize(
    ("message", "decisive"),
    [
        ("web:9: not found", True),
        ("pull access denied", True),
        ("dial tcp 10.0.0.1:443: i/o timeout", False),
        ("", False),
    ],
)
def test_a_first_failed_pull_is_decisive_only_where_the_image_cannot_be_had(message: str, decisive: bool) -> None:
    cause = pod_cause(_pod({"state": {"waiting": {"reason": "ErrImagePull", "message": message}}}))
    assert cause is not None
    assert cause.decisive is decisive


def test_a_container_that_is_being_created_says_nothing_yet() -> None:
    assert pod_cause(_pod({"state": {"waiting": {"reason": "ContainerCreating"}}})) is None


def test_an_init_container_that_fails_is_named() -> None:
    init = {"name": "migrate", "ready": False, "restartCount": 2, "lastState": {"terminated": {"exitCode": 2}}}
    pod = {"metadata": {"name": "web-1"}, "status": {"initContainerStatuses": [init]}}
    cause = pod_cause(pod)
    assert cause is not None
    assert cause.container == "migrate"


def test_the_decisive_cause_is_named_before_the_others() -> None:
    found = worst([Cause("pod a", "not ready", decisive=False, restarts=9), Cause("pod b", "OOMKilled")])
    assert found is not None
    assert found.subject == "pod b"
    assert worst([]) is None


def test_an_evicted_pod_is_explained_but_another_may_come() -> None:
    pod = {"metadata": {"name": "a"}, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on disk"}}
    cause = pod_cause(pod)
    assert cause is not None
    assert (cause.reason, cause.message, cause.decisive) == ("Evicted", "low on disk", False)


def test_a_readiness_probe_that_fails_later_does_not_hide_what_the_liveness_probe_met() -> None:
    about = {"kind": "Pod", "name": "web-1", "namespace": "default"}
    head = {"type": "Warning", "reason": "Unhealthy", "involvedObject": about}
    found = fold(
        {**head, "message": message, "lastTimestamp": f"2026-01-01T00:00:0{second}Z"}
        for second, message in enumerate(
            ("Liveness probe failed: refused", "Readiness probe failed: 503", "Readiness probe failed: refused")
        )
    )
    assert [(one.message, one.count) for one in found] == [
        ("Readiness probe failed: refused", 2),
        ("Liveness probe failed: refused", 1),
    ]
