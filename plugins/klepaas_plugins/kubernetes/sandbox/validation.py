"""What the API server refuses to store, in its own words.

The checks a mistake in a manifest most often meets; far from all of them. An object that passes here may still be
refused by a real API server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from .model import Json
from .resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)  # fmt: skip
from .selectors import selector_match
from .status import Cause, bad_request

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_SAYS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_SAYS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_DNS_1035_SAYS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{_DNS_1035}')"
)
_VALUE_BYTES = 1048576
_MUTABLE_SPEC = {
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
}  # fmt: skip

Causes = Iterator[Cause]


def _value(field: str, value: Any, says: str) -> Cause:
    shown = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: {says}", field)


def _required(field: str, says: str = "") -> Cause:
    return Cause("FieldValueRequired", "Required value" + (f": {says}" if says else ""), field)


def _forbidden(field: str, says: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {says}", field)


def _name(resource: Resource, name: str) -> Causes:
    if resource in (ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS):
        return
    if not name:
        yield _required("metadata.name", "name or generateName is required")
    elif resource is NAMESPACES:
        if not re.fullmatch(_LABEL, name):
            yield _value("metadata.name", name, _LABEL_SAYS)
    elif resource is SERVICES:
        if not re.fullmatch(_DNS_1035, name):
            yield _value("metadata.name", name, _DNS_1035_SAYS)
    elif not re.fullmatch(_SUBDOMAIN, name):
        yield _value("metadata.name", name, _SUBDOMAIN_SAYS)
    limit = 63 if resource in (NAMESPACES, SERVICES) else 253
    if len(name) > limit:
        yield _value("metadata.name", name, f"must be no more than {limit} bytes")


def _port(field: str, port: Any) -> Causes:
    if not isinstance(port, int) or not 1 <= port <= 65535:
        yield _value(field, port, "must be between 1 and 65535, inclusive")


def _resources(field: str, resources: Json) -> Causes:
    for name, wanted in (resources.get("requests") or {}).items():
        limit = (resources.get("limits") or {}).get(name)
        if limit is not None and quantity(wanted) > quantity(limit):
            yield _value(
                f"{field}.resources.requests", str(wanted), f"must be less than or equal to {name} limit of {limit}"
            )


def _container(field: str, container: Json) -> Causes:
    if not container.get("name"):
        yield _required(f"{field}.name")
    elif not re.fullmatch(_LABEL, container["name"]):
        yield _value(f"{field}.name", container["name"], _LABEL_SAYS)
    if not container.get("image"):
        yield _required(f"{field}.image")
    for index, port in enumerate(container.get("ports") or []):
        yield from _port(f"{field}.ports[{index}].containerPort", port.get("containerPort"))
    for index, variable in enumerate(container.get("env") or []):
        if not variable.get("name"):
            yield _required(f"{field}.env[{index}].name")
    yield from _resources(field, container.get("resources") or {})
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if not mount.get("mountPath"):
            yield _required(f"{field}.volumeMounts[{index}].mountPath")


def _pod_spec(field: str, spec: Json) -> Causes:
    containers = spec.get("containers") or []
    if not containers:
        yield _required(f"{field}.containers")
    names: set[str] = set()
    for part in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(part) or []):
            yield from _container(f"{field}.{part}[{index}]", container)
            if container.get("name") in names:
                duplicate = json.dumps(container["name"])
                yield Cause("FieldValueDuplicate", f"Duplicate value: {duplicate}", f"{field}.{part}[{index}].name")
            names.add(container.get("name", ""))
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for index, container in enumerate(containers):
        for at, mount in enumerate(container.get("volumeMounts") or []):
            if mount.get("name") not in volumes:
                where = f"{field}.containers[{index}].volumeMounts[{at}].name"
                yield Cause("FieldValueNotFound", f"Not found: {json.dumps(mount.get('name'))}", where)


def _json_type(value: Any) -> str:
    return {bool: "bool", str: "string", dict: "object", list: "array"}.get(type(value), "number")


def _workload(resource: Resource, obj: Json) -> Causes:
    spec = obj["spec"]
    replicas = spec.get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request(
            f'{resource.kind} in version "v1" cannot be handled as a {resource.kind}: json: cannot unmarshal '
            f"{_json_type(replicas)} into Go struct field {resource.kind}Spec.spec.replicas of type int32"
        )
    if replicas < 0:
        yield _value("spec.replicas", replicas, "must be greater than or equal to 0")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if resource not in (JOBS, CRON_JOBS):
        if not spec.get("selector"):
            yield _required("spec.selector")
        elif not selector_match(spec["selector"])(labels):
            yield _value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _pod_spec("spec.template.spec", template.get("spec") or {})


def _job(resource: Resource, obj: Json) -> Causes:
    yield from _workload(resource, obj)
    policy = obj["spec"]["template"]["spec"].get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        says = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        yield Cause("FieldValueNotSupported", says, "spec.template.spec.restartPolicy")


def _cron_job(resource: Resource, obj: Json) -> Causes:
    schedule = obj["spec"].get("schedule") or ""
    fields = schedule.split()
    if not schedule:
        yield _required("spec.schedule")
    elif not schedule.startswith("@") and len(fields) != 5:
        says = f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
        yield _value("spec.schedule", schedule, says)
    yield from _pod_spec("spec.jobTemplate.spec.template.spec", obj["spec"]["jobTemplate"]["spec"]["template"]["spec"])


def _service(resource: Resource, obj: Json) -> Causes:
    spec = obj["spec"]
    ports = spec.get("ports") or []
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield _required("spec.ports")
    for index, port in enumerate(ports):
        yield from _port(f"spec.ports[{index}].port", port.get("port"))
        if len(ports) > 1 and not port.get("name"):
            yield _required(f"spec.ports[{index}].name")


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
            yield _value(f"data[{name}]", name, says)


_CHECKS: dict[Resource, Callable[[Resource, Json], Causes]] = {
    PODS: lambda _, obj: _pod_spec("spec", obj["spec"]),
    DEPLOYMENTS: _workload,
    REPLICA_SETS: _workload,
    STATEFUL_SETS: _workload,
    DAEMON_SETS: _workload,
    JOBS: _job,
    CRON_JOBS: _cron_job,
    SERVICES: _service,
    SECRETS: _data,
    CONFIG_MAPS: _data,
}


def validate(resource: Resource, obj: Json, old: Json | None) -> list[Cause]:
    """What is wrong with an object; with a change of one, when `old` is given."""
    causes = [] if old else list(_name(resource, obj["metadata"].get("name", "")))
    if resource in _CHECKS:
        causes += _CHECKS[resource](resource, obj)
    return causes + list(_change(resource, obj, old)) if old else causes


def _change(resource: Resource, obj: Json, old: Json) -> Causes:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    if resource in (DEPLOYMENTS, REPLICA_SETS, DAEMON_SETS, JOBS):
        if spec.get("selector") != before.get("selector"):
            yield _value("spec.selector", spec.get("selector"), "field is immutable")
        if resource is JOBS and spec.get("template") != before.get("template"):
            yield _value("spec.template", spec.get("template"), "field is immutable")
    elif resource is STATEFUL_SETS:
        fixed = [{name: value for name, value in part.items() if name not in _MUTABLE_SPEC} for part in (spec, before)]
        if fixed[0] != fixed[1]:
            says = (
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                "'minReadySeconds' are forbidden"
            )
            yield _forbidden("spec", says)
    elif resource in (SECRETS, CONFIG_MAPS):
        yield from _immutable_data(obj, old)
        if resource is SECRETS and obj.get("type") != old.get("type"):
            yield _value("type", obj.get("type"), "field is immutable")
    elif resource is SERVICES and before.get("clusterIP") and spec.get("clusterIP") != before["clusterIP"]:
        yield _value("spec.clusterIPs[0]", [spec.get("clusterIP")], "may not change once set")


def _immutable_data(obj: Json, old: Json) -> Causes:
    if not old.get("immutable"):
        return
    says = "field is immutable when `immutable` is set"
    if not obj.get("immutable"):
        yield _forbidden("immutable", says)
    if obj.get("data") != old.get("data"):
        yield _forbidden("data", says)


_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Ki": 2**10, "Mi": 2**20,
             "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60, "n": 1e-9, "u": 1e-6}  # fmt: skip


def quantity(text: Any) -> float:
    """A resource quantity as a number, such as `250m` or `1Gi`; 0 for what is none."""
    found = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)", str(text))
    return float(found[1]) * _SUFFIXES.get(found[2], 1.0) if found else 0.0
