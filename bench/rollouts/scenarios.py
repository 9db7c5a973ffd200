"""What `rollouts.py` deploys: an application that is well, and changes of it that go wrong, or well.

Each scenario changes a copy of the same objects. Images behave as the sandbox's kubelet, or its stand-in on a real
control plane, lets them (`klepaas_plugins.kubernetes.sandbox.fates`).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["BAD", "FLOOR", "GOOD", "Scenario", "base", "changed"]

Objects = dict[str, dict[str, Any]]
FLOOR = 3
_IMAGE = "registry.example/web-listens-8080-serves-healthz-needs-64mi:1"
_NEXT = _IMAGE.replace(":1", ":2")
_LABELS = {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web"}


@dataclass(frozen=True)
class Scenario:
    """One change.

    Attributes:
        name: What it is.
        change: Changes the objects.
        cause: Texts that the answer must hold: the cause.
        subject: What the answer must name as the object, or how its name begins.
        changed: Texts of the field that changed.
        setup: Objects that are there before, as YAML documents would have them.
        refused: Whether it must be refused before anything is stored.
        fault: A request that the sandbox refuses; a real cluster cannot be told to.
    """

    name: str
    change: Callable[[Objects], None]
    cause: tuple[str, ...] = ()
    subject: str = "pod web-"
    changed: tuple[str, ...] = ()
    setup: tuple[dict[str, Any], ...] = ()
    refused: bool = False
    fault: str | None = None


def base() -> Objects:
    """The application when it is well: everything that a release holds of most applications."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2}
    container = {
        "name": "web",
        "image": _IMAGE,
        "ports": [{"containerPort": 8080}],
        "env": [
            {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "web-config", "key": "mode"}}},
            {"name": "PLAIN", "value": "1"},
        ],
        "resources": {"limits": {"memory": "128Mi", "cpu": "100m"}, "requests": {"memory": "32Mi", "cpu": "1m"}},
        "readinessProbe": probe,
        "livenessProbe": copy.deepcopy(probe),
    }
    template = {"metadata": {"labels": dict(_LABELS)}, "spec": {"containers": [container]}}
    workload = {
        "replicas": FLOOR,
        "progressDeadlineSeconds": 20,
        "minReadySeconds": 5,
        "selector": {"matchLabels": dict(_LABELS)},
        "template": template,
    }
    scaler = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": FLOOR,
        "maxReplicas": 6,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    }
    return {
        "ConfigMap": _object("v1", "ConfigMap", "web-config", data={"mode": "fast", "level": "info"}),
        "Deployment": _object("apps/v1", "Deployment", "web", spec=workload),
        "Service": _object(
            "v1", "Service", "web", spec={"selector": dict(_LABELS), "ports": [{"port": 80, "targetPort": 8080}]}
        ),
        "HorizontalPodAutoscaler": _object("autoscaling/v2", "HorizontalPodAutoscaler", "web", spec=scaler),
        "PodDisruptionBudget": _object(
            "policy/v1", "PodDisruptionBudget", "web",
            spec={"minAvailable": 2, "selector": {"matchLabels": dict(_LABELS)}},
        ),
    }  # fmt: skip


def _object(api_version: str, kind: str, name: str, **parts: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": dict(_LABELS)}, **parts}


def _pod(objects: Objects) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment"]["spec"]["template"]["spec"]
    return spec


def _main(objects: Objects) -> dict[str, Any]:
    container: dict[str, Any] = _pod(objects)["containers"][0]
    return container


def _image(image: str) -> Callable[[Objects], None]:
    def change(objects: Objects) -> None:
        _main(objects)["image"] = image

    return change


def _with(path: str, value: Any) -> Callable[[Objects], None]:
    """Sets a field of the container."""

    def change(objects: Objects) -> None:
        place: Any = _main(objects)
        *parts, last = path.split(".")
        for part in parts:
            place = place[part]
        place[last] = value

    return change


def _data(mode: str | None) -> Callable[[Objects], None]:
    """Changes the configuration, and the template's note of it, so that pods take it up."""

    def change(objects: Objects) -> None:
        data = objects["ConfigMap"]["data"]
        data.pop("mode") if mode is None else data.update(mode=mode)
        objects["Deployment"]["spec"]["template"]["metadata"]["annotations"] = {"checksum/config": str(mode)}

    return change


def _variable(name: str, source: dict[str, Any]) -> Callable[[Objects], None]:
    def change(objects: Objects) -> None:
        _main(objects)["env"].append({"name": name, **source})

    return change


def _beside(container: dict[str, Any], where: str = "containers") -> Callable[[Objects], None]:
    def change(objects: Objects) -> None:
        _pod(objects).setdefault(where, []).append(container)

    return change


def _volume(source: dict[str, Any]) -> Callable[[Objects], None]:
    def change(objects: Objects) -> None:
        _pod(objects)["volumes"] = [{"name": "extra", **source}]
        _main(objects)["volumeMounts"] = [{"name": "extra", "mountPath": "/extra"}]

    return change


def _both(*changes: Callable[[Objects], None]) -> Callable[[Objects], None]:
    def change(objects: Objects) -> None:
        for one in changes:
            one(objects)

    return change


def _selector(objects: Objects) -> None:
    spec = objects["Deployment"]["spec"]
    for labels in (spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]):
        labels["tier"] = "front"


def _patient(objects: Objects) -> None:
    """A deadline that fits a container which takes 20 s to be ready on a cluster."""
    objects["Deployment"]["spec"]["progressDeadlineSeconds"] = 120


def _service_type(objects: Objects) -> None:
    objects["Service"]["spec"]["ports"].append({"name": "admin", "port": 81, "targetPort": 8081})
    objects["Service"]["spec"]["ports"][0]["name"] = "web"


def _key_of(kind: str, name: str, key: str) -> dict[str, Any]:
    return {"valueFrom": {kind: {"name": name, "key": key}}}


def _policy(name: str, expression: str) -> tuple[dict[str, Any], ...]:
    rule = {
        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"],
    }  # fmt: skip
    head = "admissionregistration.k8s.io/v1"
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": expression}]}
    return (
        {"apiVersion": head, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec},
        {
            "apiVersion": head,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    )


_QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}}
_LIMITS = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "small"},
    "spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]},
}
_SIDE = {"name": "side", "image": "registry.example/side:1"}

BAD = (
    Scenario("crash", _image("registry.example/crash:2"), ("exit code 1", "FATAL exiting"), changed=("image:",)),
    Scenario("missing image", _image("registry.example/missing:2"), ("ImagePull", "not found"), changed=("image:",)),
    Scenario("invalid image name", _image("registry.example/Web:2"), ("InvalidImageName",), changed=("image:",)),
    Scenario("never ready", _image("registry.example/unready:2"), ("never became ready", "503"), changed=("image:",)),
    Scenario("out of memory", _image("registry.example/oom:2"), ("OOMKilled", "137"), changed=("image:",)),
    Scenario(
        "memory limit too low",
        _with("resources.limits.memory", "48Mi"),
        ("OOMKilled",),
        changed=("resources.limits.memory: 128Mi -> 48Mi",),
    ),
    Scenario(
        "wrong readiness port",
        _with("readinessProbe.httpGet.port", 9090),
        ("never became ready", "connection refused"),
        changed=("readinessProbe.httpGet.port: 8080 -> 9090",),
    ),
    Scenario(
        "readiness path 404",
        _with("readinessProbe.httpGet.path", "/ready"),
        ("never became ready", "404"),
        changed=("readinessProbe.httpGet.path: /healthz -> /ready",),
    ),
    Scenario(
        "liveness port kills",
        _with("livenessProbe.httpGet.port", 9090),
        ("Liveness probe failed", "exit code 137"),
        changed=("livenessProbe.httpGet.port: 8080 -> 9090",),
    ),
    Scenario(
        "liveness path kills",
        _with("livenessProbe.httpGet.path", "/live"),
        ("Liveness probe failed", "404"),
        changed=("livenessProbe.httpGet.path: /healthz -> /live",),
    ),
    Scenario(
        "missing ConfigMap key",
        _variable("EXTRA", _key_of("configMapKeyRef", "web-config", "nope")),
        ("CreateContainerConfigError", "couldn't find key nope"),
        changed=("env[EXTRA]",),
    ),
    Scenario(
        "key taken out of the ConfigMap",
        _both(_data(None), _image(_NEXT)),
        ("CreateContainerConfigError", "couldn't find key mode"),
        changed=("ConfigMap web-config: data.mode",),
    ),
    Scenario(
        "missing ConfigMap",
        _with("envFrom", [{"configMapRef": {"name": "nowhere"}}]),
        ("CreateContainerConfigError", 'configmap "nowhere" not found'),
        changed=("envFrom",),
    ),
    Scenario(
        "missing Secret",
        _variable("TOKEN", _key_of("secretKeyRef", "nowhere", "token")),
        ("CreateContainerConfigError", 'secret "nowhere" not found'),
        changed=("env[TOKEN]",),
    ),
    Scenario(
        "missing Secret volume",
        _volume({"secret": {"secretName": "nowhere"}}),
        ("FailedMount", 'secret "nowhere"'),
        changed=("volumes[extra]",),
    ),
    Scenario(
        "configuration that breaks",
        _data("broken"),
        ("exit code 1", "MODE has a value that is not valid"),
        changed=("ConfigMap web-config: data.mode: fast -> broken",),
    ),
    Scenario(
        "variable that breaks",
        lambda objects: _main(objects)["env"][1].update(value="broken"),
        ("exit code 1", "PLAIN has a value that is not valid"),
        changed=("env[PLAIN].value",),
    ),
    Scenario(
        "quota", _image(_NEXT), ("quota exceeded", "exceeded quota: few"), "replicaset web-", ("image:",), (_QUOTA,)
    ),
    Scenario(
        "unschedulable",
        _both(_with("resources.requests.cpu", "500"), _with("resources.limits.cpu", "500")),
        ("Unschedulable", "Insufficient cpu"),
        changed=("resources.requests.cpu",),
    ),
    Scenario(
        "admission refuses the workload",
        lambda objects: objects["Deployment"]["spec"].update(revisionHistoryLimit=6),
        ("denied request",),
        '"web"',
        ("revisionHistoryLimit",),
        _policy("web-not-six", "!(object.metadata.name == 'web') || object.spec.revisionHistoryLimit != 6"),
        refused=True,
    ),
    Scenario(
        "admission refuses the pods",
        _with("resources.limits.memory", "2Gi"),
        ("FailedCreate", "maximum memory usage"),
        "replicaset web-",
        ("resources.limits.memory: 128Mi -> 2Gi",),
        (_LIMITS,),
    ),
    Scenario("selector clash", _selector, ("needs recreation",), "deployment/web", ("selector",), refused=True),
    Scenario(
        "half applied",
        _both(_data("slow"), _image(_NEXT), _service_type),
        ("only a part of it could be applied", "no more ports"),
        "service web",
        ("image:",),
        fault=r"/services/web\?fieldManager=klepaas&fieldValidation=Strict(&force=true)?$",
    ),
    Scenario(
        "init container fails",
        _beside({"name": "migrate", "image": "registry.example/crash:1"}, "initContainers"),
        ("init container migrate", "exit code 1"),
        changed=("initContainers[migrate]",),
    ),
    Scenario(
        "init image missing",
        _beside({"name": "migrate", "image": "registry.example/missing:1"}, "initContainers"),
        ("init container migrate", "ImagePull"),
        changed=("initContainers[migrate]",),
    ),
    Scenario(
        "bad command", _with("command", ["no-such-program"]), ("executable file not found",), changed=("command",)
    ),
    Scenario(
        "port clash",
        _beside({**_SIDE, "ports": [{"containerPort": 8080}]}),
        ("container side", "address already in use"),
        changed=("side: image",),
    ),
    Scenario(
        "side container crashes",
        _beside({**_SIDE, "image": "registry.example/crash:1"}),
        ("container side", "exit code 1"),
        changed=("side: image",),
    ),
    Scenario(
        "healthy at first",
        _image("registry.example/flaky:2"),
        ("exit code 1", "lost the connection"),
        changed=("image:",),
    ),
)

GOOD = (
    Scenario("another image", _image(_NEXT)),
    Scenario("another variable", lambda objects: _main(objects)["env"][1].update(value="2")),
    Scenario("another configuration", _data("slow")),
    Scenario("more memory", _with("resources.limits.memory", "512Mi")),
    Scenario("slow to be ready", _both(_image("registry.example/slow:2"), _patient)),
    Scenario("one more container", _beside(_SIDE)),
    Scenario(
        "an init container", _beside({"name": "migrate", "image": "registry.example/migrate:1"}, "initContainers")
    ),
    Scenario("no liveness probe", lambda objects: _main(objects).pop("livenessProbe")),
    Scenario("one more port of the service", _service_type),
    Scenario("the same again", lambda _objects: None),
)


def changed(scenario: Scenario) -> Objects:
    """The objects of a scenario."""
    objects = copy.deepcopy(base())
    scenario.change(objects)
    return objects
