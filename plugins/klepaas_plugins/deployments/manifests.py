"""The objects that klepaas applies for an application: from parameters, on top of what it wanted before.

Pure: it reads nothing from a cluster and sends nothing. A parameter that is None keeps what the live object has of
klepaas; fields that others set are never named here, so that applying leaves them alone.

Sources: Kubernetes, "Recommended Labels"; "Configure Liveness, Readiness and Startup Probes".
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from klepaas import names
from klepaas.errors import BadRequest
from klepaas.output.redaction import MARK
from klepaas_plugins.deployments.naming import application_label, container_of
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object, at, labels

__all__ = ["Wanted", "change_cause", "deployment", "removed_variables", "selects", "service", "unnamed_settings"]

NAME, INSTANCE, MANAGED_BY = "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"
_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
# The API's own default of 10 s would make each rollout wait that long for its first answer.
_PROBE: dict[str, Any] = {"periodSeconds": 2, "timeoutSeconds": 2}
_PLACES = {
    "cpu": ("requests", "cpu"),
    "memory": ("requests", "memory"),
    "cpu_limit": ("limits", "cpu"),
    "memory_limit": ("limits", "memory"),
}


@dataclass(frozen=True)
class Wanted:
    """What a caller wants of an application; None keeps what there is.

    Attributes:
        app_name: The application, and the name of its objects.
        namespace: Where it runs.
        image: What it runs. None: what it runs now.
        replicas: How many pods.
        port: The port that its container listens on.
        env_vars: Variables to set; a value of None removes one.
        resources: Quantities by cpu, memory, cpu_limit, memory_limit.
        health_path: The HTTP path that tells whether it is ready.
    """

    app_name: str
    namespace: str
    image: str | None = None
    replicas: int | None = None
    port: int | None = None
    env_vars: Mapping[str, str | None] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    health_path: str | None = None

    def __post_init__(self) -> None:
        masked = [name for name, value in self.env_vars.items() if value is not None and MARK in value]
        if masked:
            raise BadRequest(
                f"env_vars[{masked[0]}] holds a redaction mark instead of its value",
                next_step="Leave the variable out to keep its value, or send the real one",
            )


def change_cause(wanted: Wanted) -> str:
    """Why this revision exists, in a few words; names of variables, never values."""
    parts = [f"replicas {wanted.replicas}"] if wanted.replicas is not None else []
    parts += [f"port {wanted.port}"] if wanted.port is not None else []
    parts += [f"env {', '.join(sorted(wanted.env_vars))}"] if wanted.env_vars else []
    parts += [f"{name} {value}" for name, value in wanted.resources.items()]
    return f"deploy {wanted.image}" + (f" ({'; '.join(parts)})" if parts else "")


def deployment(wanted: Wanted, live: Object | None, container: str | None = None) -> dict[str, Any]:
    """The Deployment to apply.

    Args:
        wanted: What the caller wants, its image included.
        live: The Deployment of this name as it is, with its managedFields. None: there is none.
        container: The container that it is for. None: the one of a new application.

    Raises:
        BadRequest: A health path without a port, or a name that a new application cannot have.
    """
    body = {"apiVersion": "apps/v1", "kind": "Deployment", **(_new(wanted) if live is None else _own(live))}
    metadata = body.setdefault("metadata", {})
    metadata.update(name=wanted.app_name, namespace=wanted.namespace)
    metadata.setdefault("annotations", {})[CHANGE_CAUSE] = change_cause(wanted)
    spec = body.setdefault("spec", {})
    if wanted.replicas is not None:
        spec["replicas"] = wanted.replicas
    name = container or container_of(wanted.app_name)
    filled = _container(spec.setdefault("template", {}).setdefault("spec", {}), name)
    _fill(filled, wanted, _live_container(live, name))
    return body


def _own(live: Object) -> dict[str, Any]:
    """What klepaas wanted of it so far, with the values that it has now."""
    from klepaas_plugins.kubernetes.client import extract_own

    return copy.deepcopy(extract_own({**live, "apiVersion": "apps/v1", "kind": "Deployment"}))


def _new(wanted: Wanted) -> dict[str, Any]:
    names.WORKLOAD.check(wanted.app_name, "app_name")
    selector = _selector(wanted.app_name)
    return {
        "metadata": {"labels": {**selector, MANAGED_BY: "klepaas"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": dict(selector)},
            "template": {"metadata": {"labels": {**selector, MANAGED_BY: "klepaas"}}},
        },
    }


def _selector(app_name: str) -> dict[str, str]:
    mark = application_label(app_name)
    return {NAME: mark, INSTANCE: mark}


def _container(pod_spec: dict[str, Any], name: str) -> dict[str, Any]:
    containers: list[dict[str, Any]] = pod_spec.setdefault("containers", [])
    for item in containers:
        if item.get("name") == name:
            return item
    containers.append({"name": name})
    return containers[-1]


def _live_container(live: Object | None, name: str) -> Object:
    for item in at(live, "spec", "template", "spec", "containers") or ():
        if item.get("name") == name:
            return dict(item)
    return {}


def _fill(container: dict[str, Any], wanted: Wanted, live: Object) -> None:
    container["image"] = wanted.image
    if wanted.port is not None:
        container["ports"] = [{"containerPort": wanted.port, "protocol": "TCP"}]
    if wanted.env_vars:
        container["env"] = _environment(container.get("env") or [], wanted.env_vars)
        if not container["env"]:
            # An empty list would be owned as a whole, with what others add to it.
            del container["env"]
    for name, quantity in wanted.resources.items():
        group, resource = _PLACES[name]
        container.setdefault("resources", {}).setdefault(group, {})[resource] = quantity
    # A probe that somebody else wrote is theirs to change, unless a path is asked for.
    theirs = "readinessProbe" in live and "readinessProbe" not in container
    if wanted.health_path is not None or (wanted.port is not None and not theirs):
        container["readinessProbe"] = _probe(container, wanted, live)


def _environment(present: list[dict[str, Any]], wanted: Mapping[str, str | None]) -> list[dict[str, Any]]:
    kept = [item for item in present if item["name"] not in wanted]
    return kept + [{"name": name, "value": value} for name, value in wanted.items() if value is not None]


def _probe(container: Object, wanted: Wanted, live: Object) -> dict[str, Any]:
    ports = container.get("ports") or live.get("ports") or ()
    port = wanted.port or next((item.get("containerPort") for item in ports), None)
    if port is None:
        raise BadRequest("health_path needs a port to ask on", next_step="Give port too")
    before: Mapping[str, Any] = container.get("readinessProbe") or _PROBE
    path = wanted.health_path or at(before, "httpGet", "path")
    handler = {"httpGet": {"path": path, "port": port}} if path else {"tcpSocket": {"port": port}}
    return {**{key: value for key, value in before.items() if key not in _HANDLERS}, **handler}


def removed_variables(wanted: Wanted) -> list[str]:
    """The variables that the caller wants gone."""
    return [name for name, value in wanted.env_vars.items() if value is None]


def selects(item: Object, pod_labels: Mapping[str, str]) -> bool:
    """Whether a Service sends traffic to pods with these labels."""
    selector = at(item, "spec", "selector") or {}
    return bool(selector) and all(pod_labels.get(key) == value for key, value in selector.items())


def service(wanted: Wanted, live_deployment: Object | None) -> dict[str, Any]:
    """The Service in front of the application's pods; needs `wanted.port`.

    Args:
        wanted: What the caller wants.
        live_deployment: The Deployment as it is, whose selector decides. None: it is about to be made.
    """
    selector = _selector(wanted.app_name)
    marks: Mapping[str, str] = {**selector, MANAGED_BY: "klepaas"}
    if live_deployment is not None:
        selector = dict(at(live_deployment, "spec", "selector", "matchLabels") or selector)
        marks = {**labels(live_deployment), MANAGED_BY: "klepaas"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": wanted.app_name, "namespace": wanted.namespace, "labels": dict(marks)},
        "spec": {
            "selector": selector,
            "ports": [{"port": wanted.port, "targetPort": wanted.port, "protocol": "TCP"}],
        },
    }


def unnamed_settings(body: Object, named: Sequence[str]) -> list[str]:
    """What an earlier deployment set and this call did not name: "port 8080", "env A, B".

    Args:
        body: The Deployment that is applied.
        named: Parameters and variables that the caller named.
    """
    notes: list[str] = []
    for container in at(body, "spec", "template", "spec", "containers") or ():
        variables = [item["name"] for item in container.get("env") or () if item["name"] not in named]
        ports = [str(item["containerPort"]) for item in container.get("ports") or ()]
        notes += [f"port {', '.join(ports)}"] if ports and "port" not in named else []
        notes += [f"env {', '.join(variables)}"] if variables else []
        notes += ["resources"] if container.get("resources") and "resources" not in named else []
    return notes
