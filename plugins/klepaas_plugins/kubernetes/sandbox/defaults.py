"""The defaults the API server fills in before it stores an object.

Only those of the kinds a deployment is made of; other kinds are stored as given.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from .model import Json
from .openapi.schemas import node_of
from .resources import (
    AUTOSCALERS,
    CLAIMS,
    CRON_JOBS,
    DAEMON_SETS,
    DEFINITIONS,
    DEPLOYMENTS,
    INGRESSES,
    JOBS,
    LIMIT_RANGES,
    NAMESPACES,
    PODS,
    POLICIES,
    POLICY_BINDINGS,
    QUOTAS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    STORAGE_CLASSES,
    VOLUMES,
    Resource,
)  # fmt: skip
from .structural import defaulted


def _fill(target: Json, defaults: Mapping[str, Any]) -> Json:
    return {**target, **{name: value for name, value in defaults.items() if target.get(name) is None}}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _container(container: Json) -> Json:
    image = container.get("image") or ""
    tagged = ":" in image.rsplit("/", 1)[-1] and not image.endswith(":latest")
    container = _fill(
        container,
        {
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent" if tagged or "@" in image else "Always",
        },
    )
    if container.get("ports"):
        container["ports"] = [_fill(port, {"protocol": "TCP"}) for port in container["ports"]]
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe):
            container[probe] = _probe(container[probe])
    return container


def _probe(probe: Json) -> Json:
    if probe.get("httpGet"):
        probe = {**probe, "httpGet": _fill(probe["httpGet"], {"path": "/", "scheme": "HTTP"})}
    return _fill(probe, {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})


def _volume(volume: Json) -> Json:
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if volume.get(source) is not None:
            volume = {**volume, source: _fill(volume[source], {"defaultMode": 420})}
    return volume


def pod_spec(spec: Json, restart_policy: str = "Always") -> Json:
    """A pod spec with its defaults."""
    spec = _fill(
        spec,
        {
            "restartPolicy": restart_policy,
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        },
    )
    for name in ("containers", "initContainers"):
        if spec.get(name):
            spec[name] = [_container(container) for container in spec[name]]
    if spec.get("volumes"):
        spec["volumes"] = [_volume(volume) for volume in spec["volumes"]]
    return spec


def _templated(spec: Json) -> Json:
    template = spec.get("template") or {}
    return {**spec, "template": {"metadata": {}, **template, "spec": pod_spec(template.get("spec") or {})}}


def _deployment(spec: Json) -> Json:
    spec = _fill(
        _templated(spec),
        {"replicas": 1, "strategy": {}, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
    )
    strategy = _fill(spec["strategy"], {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = _fill(
            strategy.get("rollingUpdate") or {}, {"maxUnavailable": "25%", "maxSurge": "25%"}
        )
    return {**spec, "strategy": strategy}


def _stateful_set(spec: Json) -> Json:
    retention = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    strategy = _fill(spec.get("updateStrategy") or {}, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        strategy = _fill(strategy, {"rollingUpdate": {"partition": 0}})
    return _fill(
        {**_templated(spec), "updateStrategy": strategy},
        {
            "replicas": 1,
            "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 10,
            "persistentVolumeClaimRetentionPolicy": retention,
        },
    )


def _daemon_set(spec: Json) -> Json:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    return _fill(_templated(spec), {"updateStrategy": rolling, "revisionHistoryLimit": 10})


def _job(spec: Json) -> Json:
    defaults = {
        "parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False,
        "manualSelector": False, "podReplacementPolicy": "TerminatingOrFailed",
    }  # fmt: skip
    return _fill(_templated(spec), defaults)


def _cron_job(spec: Json) -> Json:
    template = spec.get("jobTemplate") or {}
    job = {**template, "metadata": template.get("metadata") or {}}
    job["spec"] = _templated(template.get("spec") or {})
    return _fill(
        {**spec, "jobTemplate": job},
        {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1},
    )


def _service(spec: Json) -> Json:
    ports = [_fill(port, {"protocol": "TCP", "targetPort": port.get("port")}) for port in spec.get("ports") or []]
    spec = _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None"})
    if spec["type"] != "ExternalName":
        spec = _fill(spec, {"internalTrafficPolicy": "Cluster"})
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec = _fill(spec, {"externalTrafficPolicy": "Cluster"})
    return {**spec, "ports": ports} if ports else spec


def _definition(spec: Json) -> Json:
    names = spec.get("names") or {}
    kind = names.get("kind", "")
    names = _fill(names, {"singular": kind.lower(), "listKind": f"{kind}List"})
    return _fill({**spec, "names": names}, {"conversion": {"strategy": "None"}})


def _limit_range(spec: Json) -> Json:
    items = []
    for item in spec.get("limits") or ():
        if item.get("type") == "Container":
            default = {**(item.get("max") or {}), **(item.get("default") or {})}
            request = {**(item.get("min") or {}), **default, **(item.get("defaultRequest") or {})}
            item = {**item, **{k: v for k, v in (("default", default), ("defaultRequest", request)) if v}}
        items.append(item)
    return {**spec, "limits": items}


def _matching(constraints: Json) -> Json:
    rules = [_fill(rule, {"scope": "*"}) for rule in constraints.get("resourceRules") or ()]
    filled = _fill(constraints, {"namespaceSelector": {}, "objectSelector": {}, "matchPolicy": "Equivalent"})
    return {**filled, "resourceRules": rules} if rules else filled


def _policy(spec: Json) -> Json:
    spec = _fill(spec, {"failurePolicy": "Fail"})
    return {**spec, "matchConstraints": _matching(spec["matchConstraints"])} if spec.get("matchConstraints") else spec


_TARGET = {"type": "Utilization", "averageUtilization": 80}
_METRICS = [{"type": "Resource", "resource": {"name": "cpu", "target": _TARGET}}]
_SPEC: dict[Resource, Callable[[Json], Json]] = {
    PODS: lambda spec: _fill(pod_spec(spec), {"enableServiceLinks": True}),
    DEPLOYMENTS: _deployment,
    REPLICA_SETS: lambda spec: _fill(_templated(spec), {"replicas": 1}),
    STATEFUL_SETS: _stateful_set,
    DAEMON_SETS: _daemon_set,
    JOBS: _job,
    CRON_JOBS: _cron_job,
    SERVICES: _service,
    CLAIMS: lambda spec: _fill(spec, {"volumeMode": "Filesystem"}),
    DEFINITIONS: _definition,
    AUTOSCALERS: lambda spec: _fill(spec, {"minReplicas": 1, "metrics": _METRICS}),
    VOLUMES: lambda spec: _fill(spec, {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"}),
    LIMIT_RANGES: _limit_range,
    POLICIES: _policy,
    POLICY_BINDINGS: lambda spec: {
        **spec,
        **({"matchResources": _matching(spec["matchResources"])} if spec.get("matchResources") else {}),
    },
}
_STATUS: dict[Resource, Json] = {
    PODS: {"phase": "Pending"},
    DEPLOYMENTS: {},
    REPLICA_SETS: {"replicas": 0},
    STATEFUL_SETS: {"replicas": 0, "availableReplicas": 0},
    DAEMON_SETS: {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0},
    JOBS: {},
    CRON_JOBS: {},
    SERVICES: {"loadBalancer": {}},
    INGRESSES: {"loadBalancer": {}},
    CLAIMS: {"phase": "Pending"},
    NAMESPACES: {"phase": "Active"},
    POLICIES: {},
    QUOTAS: {},
    VOLUMES: {"phase": "Available"},
    AUTOSCALERS: {"desiredReplicas": 0, "currentMetrics": None},
}


def apply_defaults(resource: Resource, obj: Json) -> Json:
    """The object with nulls dropped and defaults filled in."""
    if resource.custom:
        made: Json = defaulted(obj, resource.schema or {})
        return {**made, "metadata": _without_nulls(made.get("metadata") or {})}
    obj = _without_nulls(obj)
    below = node_of(resource).child("spec")
    if below is not None and below.there:
        obj = {**obj, "spec": obj.get("spec") or {}}
    if resource in _SPEC:
        obj = {**obj, "spec": _SPEC[resource](obj.get("spec") or {})}
    if resource is SECRETS:
        obj = _secret(obj)
    if resource is STORAGE_CLASSES:
        obj = _fill(obj, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})
    return obj


def _secret(obj: Json) -> Json:
    plain = obj.pop("stringData", None) or {}
    if plain:
        encoded = {name: base64.b64encode(str(value).encode()).decode() for name, value in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    return _fill(obj, {"type": "Opaque"})


def first_status(resource: Resource, obj: Json) -> Json | None:
    """The status a new object starts with, whatever its creator wrote; None where a kind has none."""
    if resource is DEFINITIONS:
        stored = [version["name"] for version in obj["spec"].get("versions", []) if version.get("storage")]
        return {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
    return _STATUS.get(resource)
