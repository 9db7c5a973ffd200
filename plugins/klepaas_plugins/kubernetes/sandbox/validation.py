"""What the API server refuses to store, in its own words.

The checks a mistake in a manifest most often meets; far from all of them. An object that passes here may still be
refused by a real API server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from . import structural
from .cron import schedule_fault, zone_fault
from .definitions import check_definition
from .faulty import (
    DNS_1035,
    DNS_1035_SAYS,
    LABEL,
    LABEL_SAYS,
    SUBDOMAIN,
    SUBDOMAIN_SAYS,
    Causes,
    forbidden,
    invalid_value,
    port_faults,
    required,
)
from .model import Json
from .pod_validation import pod_changes, pod_spec_faults
from .policies import check_policy
from .resources import (
    AUTOSCALERS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEFINITIONS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    POLICIES,
    REPLICA_SETS,
    REVISIONS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)  # fmt: skip
from .selectors import selector_match
from .status import Cause

_PERCENT_SAYS = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
_LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_LABEL_VALUE_SAYS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_LABEL_NAME_SAYS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_OWNER_FIELDS = {
    "apiVersion": "version must not be empty", "kind": "must not be empty", "name": "must not be empty",
    "uid": "must not be empty",
}  # fmt: skip
_ANNOTATIONS_BYTES = 262144
_LABEL_CHARS = 63
_CONCURRENCY = ("Allow", "Forbid", "Replace")
_VALUE_BYTES = 1048576
_MUTABLE_SPEC = {
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
}  # fmt: skip


def _name(resource: Resource, name: str) -> Causes:
    if resource in (ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS):
        return
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif resource is NAMESPACES:
        if not re.fullmatch(LABEL, name):
            yield invalid_value("metadata.name", name, LABEL_SAYS)
    elif resource is SERVICES:
        if not re.fullmatch(DNS_1035, name):
            yield invalid_value("metadata.name", name, DNS_1035_SAYS)
    elif not re.fullmatch(SUBDOMAIN, name):
        yield invalid_value("metadata.name", name, SUBDOMAIN_SAYS)
    limit = 63 if resource in (NAMESPACES, SERVICES) else 253
    if len(name) > limit:
        yield invalid_value(
            "metadata.name", name, f"must be no more than {limit} {'bytes' if limit == 63 else 'characters'}"
        )


def _metadata(meta: Json) -> Causes:
    size = sum(len(name) + len(value or "") for name, value in (meta.get("annotations") or {}).items())
    if size > _ANNOTATIONS_BYTES:
        says = f"Too long: may not be more than {_ANNOTATIONS_BYTES} bytes"
        yield Cause("FieldValueTooLong", says, "metadata.annotations")
    yield from _labels("metadata.labels", meta.get("labels") or {})
    for owner in meta.get("ownerReferences") or ():
        for field, says in _OWNER_FIELDS.items():
            if not owner.get(field):
                yield invalid_value(f"metadata.ownerReferences.{field}", "", says)


def _labels(path: str, labels: Json) -> Causes:
    for name, value in labels.items():
        if not re.fullmatch(_LABEL_VALUE, value or ""):
            yield invalid_value(path, value, _LABEL_VALUE_SAYS)
        if len(value or "") > _LABEL_CHARS:
            yield invalid_value(path, value, f"must be no more than {_LABEL_CHARS} bytes")
        if not re.fullmatch(rf"({SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", name):
            yield invalid_value(path, name, _LABEL_NAME_SAYS)


def _workload(resource: Resource, obj: Json) -> Causes:
    spec = obj["spec"]
    replicas = spec.get("replicas", 0)
    if replicas < 0:
        yield invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if resource not in (JOBS, CRON_JOBS):
        if not spec.get("selector"):
            yield required("spec.selector")
        if not spec.get("selector") or not selector_match(spec["selector"])(labels):
            says = "`selector` does not match template `labels`"
            yield invalid_value("spec.template.metadata.labels", labels or None, says)
    yield from _labels("spec.template.labels", labels)
    yield from pod_spec_faults("spec.template.spec", template.get("spec") or {})
    yield from _strategies(resource, spec)
    for name, part in ((spec.get("strategy") or {}).get("rollingUpdate") or {}).items():
        if isinstance(part, str) and not re.fullmatch("[0-9]+%", part):
            yield invalid_value(f"spec.strategy.rollingUpdate.{name}", part, _PERCENT_SAYS)


def _strategies(resource: Resource, spec: Json) -> Causes:
    """Bounds of a rollout stand beside the strategy that rolls; a DaemonSet's are left where they are."""
    strategy, update = spec.get("strategy") or {}, spec.get("updateStrategy") or {}
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate") is not None:
        says = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden("spec.strategy.rollingUpdate", says)
    bounds = update.get("rollingUpdate")
    if resource is STATEFUL_SETS and update.get("type") == "OnDelete" and bounds is not None:
        shown = {"Partition": bounds.get("partition"), "MaxUnavailable": bounds.get("maxUnavailable")}
        yield invalid_value(
            "spec.updateStrategy.rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'"
        )


def _job(resource: Resource, obj: Json) -> Causes:
    yield from _workload(resource, obj)
    policy = obj["spec"]["template"]["spec"].get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        says = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        yield Cause("FieldValueNotSupported", says, "spec.template.spec.restartPolicy")


def _cron_job(resource: Resource, obj: Json) -> Causes:
    spec = obj["spec"]
    schedule = spec.get("schedule") or ""
    if not schedule:
        yield required("spec.schedule")
    elif fault := schedule_fault(schedule):
        yield invalid_value("spec.schedule", schedule, fault)
    if spec.get("timeZone") is not None and (fault := zone_fault(spec["timeZone"])):
        yield invalid_value("spec.timeZone", spec["timeZone"], fault)
    if spec.get("concurrencyPolicy") not in _CONCURRENCY:
        supported = ", ".join(f'"{one}"' for one in _CONCURRENCY)
        says = f'Unsupported value: "{spec.get("concurrencyPolicy")}": supported values: {supported}'
        yield Cause("FieldValueNotSupported", says, "spec.concurrencyPolicy")
    for name in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        if spec.get(name, 0) < 0:
            yield invalid_value(f"spec.{name}", spec[name], "must be greater than or equal to 0")
    if spec["jobTemplate"]["spec"]["template"]["spec"].get("restartPolicy") in (None, "Always"):
        where = "spec.jobTemplate.spec.template.spec.restartPolicy"
        yield required(where, 'valid values: "OnFailure", "Never"')
    yield from pod_spec_faults(
        "spec.jobTemplate.spec.template.spec", obj["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    )


def _service(resource: Resource, obj: Json) -> Causes:
    spec = obj["spec"]
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    for index, port in enumerate(ports):
        yield from port_faults(f"spec.ports[{index}].port", port.get("port"))
        if len(ports) > 1 and not port.get("name"):
            yield required(f"spec.ports[{index}].name")


def _data(resource: Resource, obj: Json) -> Causes:
    size = sum(len(str(value)) for value in (obj.get("data") or {}).values())
    if resource is SECRETS:
        size = size * 3 // 4
    if size > _VALUE_BYTES:
        field = "data" if resource is SECRETS else ""
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {_VALUE_BYTES} bytes", field)
    for name in obj.get("data") or {}:
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", name):
            says = (
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
            )
            yield invalid_value(f"data[{name}]", name, says)


def _autoscaler(resource: Resource, obj: Json) -> Causes:
    spec = obj["spec"]
    most, least, target = spec.get("maxReplicas") or 0, spec.get("minReplicas", 1), spec.get("scaleTargetRef") or {}
    if most < 1:
        yield required("spec.maxReplicas", "must be set and greater than 0")
    if most < least:
        yield invalid_value("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    for name in ("kind", "name"):
        if not target.get(name):
            yield required(f"spec.scaleTargetRef.{name}")
    if not target.get("apiVersion"):
        yield invalid_value("spec.scaleTargetRef.apiVersion", "", "apiVersion must specify API group")


_CHECKS: dict[Resource, Callable[[Resource, Json], Causes]] = {
    PODS: lambda _, obj: pod_spec_faults("spec", obj["spec"]),
    DEPLOYMENTS: _workload,
    REPLICA_SETS: _workload,
    STATEFUL_SETS: _workload,
    DAEMON_SETS: _workload,
    JOBS: _job,
    AUTOSCALERS: _autoscaler,
    CRON_JOBS: _cron_job,
    SERVICES: _service,
    SECRETS: _data,
    CONFIG_MAPS: _data,
    DEFINITIONS: lambda _, obj: check_definition(obj),
    POLICIES: lambda _, obj: check_policy(obj["spec"]),
}


def validate(resource: Resource, obj: Json, old: Json | None) -> list[Cause]:
    """What is wrong with an object; with a change of one, when `old` is given."""
    causes = [] if old else list(_name(resource, obj["metadata"].get("name", "")))
    causes += _metadata(obj["metadata"])
    if resource.custom:
        causes += structural.faults(obj, resource.schema or {})
    if resource in _CHECKS:
        causes += _CHECKS[resource](resource, obj)
    if not old:
        return causes
    if resource is PODS:
        return causes + list(pod_changes(obj["spec"], old["spec"]))
    return causes + list(_change(resource, obj, old))


def _change(resource: Resource, obj: Json, old: Json) -> Causes:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    if resource in (DEPLOYMENTS, REPLICA_SETS, DAEMON_SETS, JOBS):
        if spec.get("selector") != before.get("selector"):
            yield invalid_value("spec.selector", spec.get("selector"), "field is immutable")
        if resource is JOBS and spec.get("template") != before.get("template"):
            yield invalid_value("spec.template", spec.get("template"), "field is immutable")
    elif resource is STATEFUL_SETS:
        fixed = [{name: value for name, value in part.items() if name not in _MUTABLE_SPEC} for part in (spec, before)]
        if fixed[0] != fixed[1]:
            says = (
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                "'minReadySeconds' are forbidden"
            )
            yield forbidden("spec", says)
    elif resource in (SECRETS, CONFIG_MAPS):
        yield from _immutable_data(obj, old)
        if resource is SECRETS and obj.get("type") != old.get("type"):
            yield invalid_value("type", obj.get("type"), "field is immutable")
    elif resource is REVISIONS and json.dumps(obj.get("data")) != json.dumps(old.get("data")):  # compared as bytes
        yield invalid_value("data", obj.get("data"), "field is immutable")
    elif resource is SERVICES and before.get("clusterIP") and spec.get("clusterIP") != before["clusterIP"]:
        yield invalid_value("spec.clusterIPs[0]", [spec.get("clusterIP")], "may not change once set")


def _immutable_data(obj: Json, old: Json) -> Causes:
    if not old.get("immutable"):
        return
    says = "field is immutable when `immutable` is set"
    if not obj.get("immutable"):
        yield forbidden("immutable", says)
    for field in ("data", "binaryData"):
        if obj.get(field) != old.get(field):
            yield forbidden(field, says)
