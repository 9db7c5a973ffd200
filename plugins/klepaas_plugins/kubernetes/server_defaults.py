"""Objects as people write them: without status, and without what the API server and its controllers filled in.

A field goes where its value is the documented default and nobody has applied it: what a server-side apply set is
somebody's wish, also where it says the default. Custom resources keep all of their spec, since their defaults are not
known here. Pure.

Sources: Kubernetes API reference, "Pod v1", "Deployment v1", "StatefulSet v1", "DaemonSet v1", "Job v1", "CronJob v1",
"Service v1", "PersistentVolumeClaim v1"; "Server-Side Apply", section "Field management".
"""

from collections.abc import Callable, Mapping
from typing import Any

from klepaas_plugins.kubernetes.field_keys import fields_of_key

__all__ = ["without_defaults"]

Json = dict[str, Any]
_Path = tuple[str, ...]

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_EACH = "*"


def _pull_policy(container: Mapping[str, Any]) -> str:
    image = str(container.get("image") or "")
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return "IfNotPresent" if "@" in image or tag not in ("", "latest") else "Always"


def _account(spec: Mapping[str, Any]) -> Any:
    """What the deprecated field of the account repeats."""
    return spec.get("serviceAccountName")


# What a field's default is, by its path; a function finds it from the fields beside it.
_POD: dict[_Path, Any] = {
    ("restartPolicy",): "Always",
    ("terminationGracePeriodSeconds",): 30,
    ("dnsPolicy",): "ClusterFirst",
    ("securityContext",): {},
    ("schedulerName",): "default-scheduler",
    ("enableServiceLinks",): True,
    ("preemptionPolicy",): "PreemptLowerPriority",
    ("priority",): 0,
    ("serviceAccount",): _account,
    ("serviceAccountName",): "default",
    **{
        (part, _EACH, *path): value
        for part in _CONTAINERS
        for path, value in {
            ("resources",): {},
            ("imagePullPolicy",): _pull_policy,
            ("terminationMessagePath",): "/dev/termination-log",
            ("terminationMessagePolicy",): "File",
            ("ports", _EACH, "protocol"): "TCP",
            ("env", _EACH, "valueFrom", "fieldRef", "apiVersion"): "v1",
            **{
                (probe, *inner): default
                for probe in _PROBES
                for inner, default in {
                    ("timeoutSeconds",): 1,
                    ("periodSeconds",): 10,
                    ("successThreshold",): 1,
                    ("failureThreshold",): 3,
                    ("httpGet", "scheme"): "HTTP",
                    ("grpc", "service"): "",
                }.items()
            },
        }.items()
    },
    **{
        ("volumes", _EACH, source, "defaultMode"): 420 for source in ("configMap", "secret", "projected", "downwardAPI")
    },
    ("volumes", _EACH, "hostPath", "type"): "",
}
_JOB: dict[_Path, Any] = {
    ("parallelism",): 1, ("completions",): 1, ("backoffLimit",): 6, ("completionMode",): "NonIndexed",
    ("suspend",): False, ("manualSelector",): False, ("podReplacementPolicy",): "TerminatingOrFailed",
}  # fmt: skip


def _below(table: Mapping[_Path, Any], *path: str) -> dict[_Path, Any]:
    return {(*path, *rest): value for rest, value in table.items()}


_TEMPLATE = {("template", "metadata", "creationTimestamp"): None, **_below(_POD, "template", "spec")}
_ROLLING = {"maxUnavailable": "25%", "maxSurge": "25%"}
_DAEMON_ROLLING = {"maxUnavailable": 1, "maxSurge": 0}
_CLAIM: dict[_Path, Any] = {("volumeMode",): "Filesystem"}
_SPECS: dict[tuple[str, str], dict[_Path, Any]] = {
    ("v1", "Pod"): _POD,
    ("v1", "ReplicationController"): _TEMPLATE,
    ("apps/v1", "ReplicaSet"): _TEMPLATE,
    ("apps/v1", "Deployment"): {
        **_TEMPLATE, ("revisionHistoryLimit",): 10, ("progressDeadlineSeconds",): 600,
        ("strategy",): {"type": "RollingUpdate", "rollingUpdate": _ROLLING},
    },
    ("apps/v1", "StatefulSet"): {
        **_TEMPLATE, ("revisionHistoryLimit",): 10, ("podManagementPolicy",): "OrderedReady",
        ("updateStrategy",): {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        ("persistentVolumeClaimRetentionPolicy",): {"whenDeleted": "Retain", "whenScaled": "Retain"},
        **_below(_CLAIM, "volumeClaimTemplates", _EACH, "spec"),
        ("volumeClaimTemplates", _EACH, "status"): {"phase": "Pending"},
    },
    ("apps/v1", "DaemonSet"): {
        **_TEMPLATE, ("revisionHistoryLimit",): 10,
        ("updateStrategy",): {"type": "RollingUpdate", "rollingUpdate": _DAEMON_ROLLING},
    },
    ("batch/v1", "Job"): {**_TEMPLATE, **_JOB},
    ("batch/v1", "CronJob"): {
        ("concurrencyPolicy",): "Allow", ("suspend",): False,
        ("successfulJobsHistoryLimit",): 3, ("failedJobsHistoryLimit",): 1,
        **_below({**_TEMPLATE, **_JOB}, "jobTemplate", "spec"),
        ("jobTemplate", "metadata", "creationTimestamp"): None,
    },
    ("v1", "Service"): {
        ("type",): "ClusterIP", ("sessionAffinity",): "None", ("internalTrafficPolicy",): "Cluster",
        ("externalTrafficPolicy",): "Cluster", ("ipFamilyPolicy",): "SingleStack", ("ipFamilies",): ["IPv4"],
        ("allocateLoadBalancerNodePorts",): True, ("ports", _EACH, "protocol"): "TCP",
    },
    ("v1", "PersistentVolumeClaim"): _CLAIM,
    ("v1", "PersistentVolume"): _CLAIM,
}  # fmt: skip
_EVICTIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOKEN_VOLUME = "kube-api-access-"  # noqa: S105
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105


def without_defaults(found: Mapping[str, Any]) -> Json:
    """An object without status and without documented defaults that nobody applied.

    Args:
        found: The object as the API sends it, with its managedFields; it stays as it is.
    """
    result = {name: value for name, value in found.items() if name != "status" or not isinstance(value, Mapping)}
    spec = found.get("spec")
    if not isinstance(spec, Mapping):
        return result
    applied = _below_field(_applied(found), "spec")
    spec = _without_admitted(spec) if found.get("kind") == "Pod" else dict(spec)
    if spec.get("clusterIPs") == [spec.get("clusterIP")]:
        del spec["clusterIPs"]
    for path, default in _SPECS.get((str(found.get("apiVersion")), str(found.get("kind"))), {}).items():
        spec = _drop(spec, path, default, applied)
    return {**result, "spec": spec}


def _applied(found: Mapping[str, Any]) -> list[Json]:
    """The sets of fields that server-side applies of the object itself have set."""
    entries = (found.get("metadata") or {}).get("managedFields") or ()
    mine = [one for one in entries if one.get("operation") == "Apply" and not one.get("subresource")]
    return [one.get("fieldsV1") or {} for one in mine]


def _below_field(applied: list[Json], name: str) -> list[Json]:
    """The sets below a field. An empty set owns all that is below it."""
    return [fields.get(f"f:{name}", {}) for fields in applied if not fields or f"f:{name}" in fields]


def _below_item(applied: list[Json], item: Any) -> list[Json]:
    """The sets below an item of a list, which is known by some of its fields."""
    found = [fields for fields in applied if not fields]
    for fields in applied:
        for key, inner in fields.items():
            if isinstance(item, Mapping) and _is_key_of(key, item):
                found.append(inner)
    return found


def _is_key_of(key: str, item: Mapping[str, Any]) -> bool:
    named = fields_of_key(key)
    return named is not None and all(item.get(name) == value for name, value in named.items())


def _drop(value: Any, path: _Path, default: Any, applied: list[Json]) -> Any:
    """A value without what a path leads to, where that is the default and nobody applied it."""
    name, rest = path[0], path[1:]
    if name == _EACH:
        is_list = isinstance(value, list)
        return [_drop(item, rest, default, _below_item(applied, item)) for item in value] if is_list else value
    if not isinstance(value, Mapping) or name not in value:
        return value
    below = _below_field(applied, name)
    if rest:
        return {**value, name: _drop(value[name], rest, default, below)}
    expected = default(value) if callable(default) else default
    if below or value[name] != expected:
        return value
    return {field: inner for field, inner in value.items() if field != name}


def _without_admitted(spec: Mapping[str, Any]) -> Json:
    """A Pod's spec without what admission adds to each: the account's token, and how long it outlives its node."""
    kept = dict(spec)
    _keep_items(kept, "tolerations", lambda one: not _is_eviction(one))
    _keep_items(kept, "volumes", lambda one: not str(one.get("name")).startswith(_TOKEN_VOLUME))
    for part in _CONTAINERS:
        if isinstance(kept.get(part), list):
            kept[part] = [dict(container) for container in kept[part]]
            for container in kept[part]:
                _keep_items(container, "volumeMounts", lambda one: one.get("mountPath") != _TOKEN_PATH)
    return kept


def _is_eviction(toleration: Mapping[str, Any]) -> bool:
    return toleration.get("key") in _EVICTIONS and toleration.get("tolerationSeconds") == 300


def _keep_items(holder: Json, name: str, is_kept: Callable[[Mapping[str, Any]], bool]) -> None:
    """Keep some of a list, and the list only where something is left."""
    if isinstance(holder.get(name), list):
        holder[name] = [one for one in holder[name] if not isinstance(one, Mapping) or is_kept(one)]
        if not holder[name]:
            del holder[name]
