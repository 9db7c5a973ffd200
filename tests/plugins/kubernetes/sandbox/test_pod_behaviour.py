"""How a pod behaves by its image's name, as a function of time alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from klepaas_plugins.kubernetes.sandbox import Timing
from klepaas_plugins.kubernetes.sandbox.pod_behaviour import Observation, Pod, fate_of, observe, qos_class

TIMING = Timing(pull_s=1, start_s=1, ready_s=1, slow_ready_s=20, back_off_s=10, complete_s=5)
START_S = 1_000_000.0


def at(image: str, seconds: float, **spec: Any) -> Observation:
    pod = Pod(
        "default",
        "web-1",
        "uid-1",
        {"containers": [{"name": "main", "image": image}], **spec},
        "10.1.0.1",
        "::1",
        START_S,
    )
    return observe(pod, START_S + seconds, TIMING)


def state(seen: Observation) -> dict[str, Any]:
    found: dict[str, Any] = seen.status["containerStatuses"][0]
    return found


@pytest.mark.parametrize(
    ("image", "fate"),
    [
        ("registry.example/crash/app:1", "run"),
        ("registry.example/app:crash-2", "crash"),
        ("oomer", "oom"),
        ("a/missing@sha256:0", "missing"),
        ("a/slow:1", "slow"),
    ],
)
def test_only_the_last_segment_of_an_image_decides(image: str, fate: str) -> None:
    assert fate_of(image) == fate


def test_a_pod_is_pulled_started_and_ready_in_turn() -> None:
    assert state(at("nginx:1", 0.5))["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert at("nginx:1", 0.5).status["phase"] == "Pending"
    running = state(at("nginx:1", 2.5))
    assert "running" in running["state"]
    assert running["ready"] is False
    assert state(at("nginx:1", 3))["ready"] is True
    assert at("nginx:1", 3).next_s is None


@pytest.mark.parametrize(
    ("seconds", "restarts", "delay"), [(4, 0, "10s"), (14.5, 1, "20s"), (36, 2, "40s"), (100_000, 64, "5m0s")]
)
def test_a_crashing_pod_backs_off_longer_each_time(seconds: float, restarts: int, delay: str) -> None:
    seen = state(at("app:crash", seconds))
    assert seen["restartCount"] == restarts
    waiting = seen["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"
    assert waiting["message"] == f"back-off {delay} restarting failed container=main pod=web-1_default(uid-1)"
    assert seen["lastState"]["terminated"]["exitCode"] == 1


def test_every_change_is_announced() -> None:
    """Looking again exactly when told to misses nothing: each look shows something new."""
    now_s, shown = 0.0, []
    for _ in range(8):
        seen = at("app:crash", now_s)
        shown.append((state(seen), seen.events))
        assert seen.next_s is not None
        now_s = seen.next_s - START_S
    assert all(one != other for one, other in pairwise(shown))


def test_a_missing_image_is_first_an_error_and_then_backed_off() -> None:
    assert state(at("missing:1", 2))["state"]["waiting"]["reason"] == "ErrImagePull"
    assert state(at("missing:1", 12))["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert {event.reason for event in at("missing:1", 12).events} == {"Pulling", "Failed", "BackOff"}


@pytest.mark.parametrize(("image", "phase"), [("job:1", "Succeeded"), ("job:crash", "Failed")])
def test_a_pod_that_is_not_restarted_ends(image: str, phase: str) -> None:
    assert at(image, 60, restartPolicy="Never").status["phase"] == phase


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
    ],
)
def test_quality_of_service_follows_requests_and_limits(resources: dict[str, Any], wanted: str) -> None:
    assert qos_class({"containers": [{"resources": resources}]}) == wanted
