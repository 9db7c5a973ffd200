"""What becomes of a container by its spec and its environment."""

from __future__ import annotations

from typing import Any

import pytest

from klepaas_plugins.kubernetes.sandbox import Timing
from klepaas_plugins.kubernetes.sandbox.fates import life_of
from klepaas_plugins.kubernetes.sandbox.pod_behaviour import Observation, Pod, observe
from klepaas_plugins.kubernetes.sandbox.references import environments, missing

TIMING = Timing(pull_s=1, start_s=1, ready_s=1, slow_ready_s=20, back_off_s=10, complete_s=5)


def _at(seconds: float, *containers: dict[str, Any], **spec: Any) -> Observation:
    pod = Pod("default", "web-1", "uid-1", {"containers": list(containers), **spec}, "10.1.0.1", "::1", 0.0)
    return observe(pod, seconds, TIMING)


def _main(image: str = "app:1", **more: Any) -> dict[str, Any]:
    return {"name": "main", "image": image, **more}


@pytest.mark.parametrize(
    ("container", "fate"),
    [
        (_main(command=["/bin/no-such-thing"]), "unstartable"),
        (_main("app-needs-256mi:1", resources={"limits": {"memory": "128Mi"}}), "oom"),
        (_main("app-needs-256mi:1", resources={"limits": {"memory": "256Mi"}}), "run"),
        (_main("app-listens-8080:1", readinessProbe={"tcpSocket": {"port": 9090}}), "unready"),
        (_main("app-listens-8080:1", readinessProbe={"tcpSocket": {"port": 8080}}), "run"),
        (_main("app-serves-healthz:1", readinessProbe={"httpGet": {"port": 80, "path": "/nope"}}), "unready"),
        (_main("app-serves-healthz:1", livenessProbe={"httpGet": {"port": 80, "path": "/nope"}}), "killed"),
        (_main("app-serves-healthz:1", livenessProbe={"httpGet": {"port": 80, "path": "/healthz"}}), "run"),
    ],
)
def test_a_spec_decides_where_the_image_does_not(container: dict[str, Any], fate: str) -> None:
    assert life_of({"containers": [container]}, container, {}, "10.1.0.1").fate == fate


def test_a_value_that_is_broken_ends_the_program() -> None:
    assert life_of({}, _main(), {"MODE": "broken"}, "").words[0] == "FATAL MODE has a value that is not valid"


def test_a_port_that_another_container_has_taken_ends_the_program() -> None:
    first, second = (
        {"name": name, "image": "app:1", "ports": [{"containerPort": 8080}]} for name in ("first", "second")
    )
    spec = {"containers": [first, second]}
    assert life_of(spec, first, {}, "").fate == "run"
    assert "address already in use" in life_of(spec, second, {}, "").words[0]


def test_a_program_that_is_not_there_says_so_in_its_last_state() -> None:
    status = _at(3, _main(command=["no-such"])).status["containerStatuses"][0]
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    ended = status["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert "executable file not found in $PATH" in ended["message"]


def test_a_container_that_its_liveness_probe_kills_is_ready_in_between() -> None:
    container = _main("app-serves-healthz:1", livenessProbe={"httpGet": {"port": 80, "path": "/nope"}})
    assert _at(4, container).status["containerStatuses"][0]["ready"] is True
    seen = _at(8, container)
    assert seen.status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
    assert {"Unhealthy", "Killing"} <= {event.reason for event in seen.events}


def test_an_init_container_that_fails_keeps_the_others_waiting() -> None:
    seen = _at(8, _main(), initContainers=[{"name": "migrate", "image": "crash:1"}])
    status = seen.status
    assert status["phase"] == "Pending"
    assert status["initContainerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    initialized = next(one for one in status["conditions"] if one["type"] == "Initialized")
    assert initialized["message"] == "containers with incomplete status: [migrate]"


def test_an_init_container_that_does_its_work_lets_the_others_begin() -> None:
    seen = _at(8, _main(), initContainers=[{"name": "migrate", "image": "app:1"}])
    assert seen.status["initContainerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"
    assert seen.status["phase"] == "Running"


def test_what_a_pod_refers_to_is_missing_or_gives_variables() -> None:
    objects = {("ConfigMap", "settings"): {"data": {"mode": "a"}}, ("Secret", "login"): {"data": {"user": "a2lt"}}}
    env = [
        {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}},
        {"name": "USER", "valueFrom": {"secretKeyRef": {"name": "login", "key": "user"}}},
        {"name": "PLAIN", "value": "x"},
    ]
    spec = {"containers": [_main(env=env)]}

    def find(kind: str, name: str) -> dict[str, Any] | None:
        return objects.get((kind, name))

    assert missing("default", spec, find) == {}
    assert environments(spec, find) == {"main": {"MODE": "a", "USER": "kim", "PLAIN": "x"}}
    objects["ConfigMap", "settings"] = {"data": {}}
    assert missing("default", spec, find)["main"][1] == "couldn't find key mode in ConfigMap default/settings"
    del objects["Secret", "login"]
    spec["volumes"] = [{"name": "login", "secret": {"secretName": "login"}}]
    assert missing("default", spec, find)[""][0] == "FailedMount"
