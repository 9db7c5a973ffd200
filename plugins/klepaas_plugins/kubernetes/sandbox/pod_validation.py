"""What the API server refuses of a pod's spec, or of a template's."""

from __future__ import annotations

import difflib
import json
import re

from .faulty import LABEL, LABEL_SAYS, Causes, forbidden, invalid_value, port_faults, required
from .model import Json
from .quantities import quantity
from .status import Cause

_SOURCES_SAY = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
# The sources of volumes in the order in which they are looked at; others come after them.
_SOURCES = ("emptyDir", "hostPath", "secret", "nfs", "persistentVolumeClaim", "downwardAPI", "configMap", "projected")
_POLICIES = {"imagePullPolicy": ("Always", "IfNotPresent", "Never")}


def _resources(field: str, resources: Json) -> Causes:
    for name, wanted in (resources.get("requests") or {}).items():
        limit = (resources.get("limits") or {}).get(name)
        if limit is not None and quantity(wanted) > quantity(limit):
            yield invalid_value(
                f"{field}.resources.requests", str(wanted), f"must be less than or equal to {name} limit of {limit}"
            )


def _ports(field: str, container: Json) -> Causes:
    for index, port in enumerate(container.get("ports") or []):
        if not port.get("containerPort"):
            yield required(f"{field}.ports[{index}].containerPort")
        else:
            yield from port_faults(f"{field}.ports[{index}].containerPort", port["containerPort"])


def _env(field: str, container: Json) -> Causes:
    for index, variable in enumerate(container.get("env") or []):
        if not variable.get("name"):
            yield required(f"{field}.env[{index}].name")
        if variable.get("valueFrom") == {}:
            yield invalid_value(f"{field}.env[{index}].valueFrom", "", _SOURCES_SAY)
        elif variable.get("valueFrom") and variable.get("value"):
            yield invalid_value(f"{field}.env[{index}].valueFrom", "", "may not be specified when `value` is not empty")
        elif len(variable.get("valueFrom") or {}) > 1:
            says = "may not have more than one field specified at a time"
            yield invalid_value(f"{field}.env[{index}].valueFrom", "", says)


def _handlers(field: str, container: Json) -> Causes:
    """A probe, or what runs at a moment of a container's life, is done in one way."""
    lifecycle = container.get("lifecycle") or {}
    places = [(f"{field}.{name}", container.get(name), _HANDLERS) for name in _PROBES]
    places += [(f"{field}.lifecycle.{name}", lifecycle.get(name), _HOOK_HANDLERS) for name in ("postStart", "preStop")]
    for where, probe, handlers in places:
        found = [name for name in handlers if (probe or {}).get(name) is not None]
        if probe is not None and not found:
            yield required(where, "must specify a handler type")
        for name in found[1:]:
            yield forbidden(f"{where}.{name}", "may not specify more than 1 handler type")


def _volumes(field: str, spec: Json) -> Causes:
    for index, volume in enumerate(spec.get("volumes") or []):
        if volume.get("configMap") is not None and not volume["configMap"].get("name"):
            yield required(f"{field}.volumes[{index}].configMap.name")
        if volume.get("secret") is not None and not volume["secret"].get("secretName"):
            yield required(f"{field}.volumes[{index}].secret.secretName")
        sources = [name for name, value in volume.items() if name != "name" and value is not None]
        known = [name for name in _SOURCES if name in sources]
        for name in [*known, *(name for name in sources if name not in known)][1:]:
            yield forbidden(f"{field}.volumes[{index}].{name}", "may not specify more than 1 volume type")


def _container(field: str, container: Json) -> Causes:
    if not container.get("name"):
        yield required(f"{field}.name")
    elif not re.fullmatch(LABEL, container["name"]):
        yield invalid_value(f"{field}.name", container["name"], LABEL_SAYS)
    if not container.get("image"):
        yield required(f"{field}.image")
    for name, known in _POLICIES.items():
        if container.get(name, known[0]) not in known:
            supported = ", ".join(f'"{one}"' for one in known)
            says = f'Unsupported value: "{container[name]}": supported values: {supported}'
            yield Cause("FieldValueNotSupported", says, f"{field}.{name}")
    yield from _ports(field, container)
    yield from _env(field, container)
    yield from _handlers(field, container)
    yield from _resources(field, container.get("resources") or {})
    for index, mount in enumerate(container.get("volumeMounts") or []):
        if not mount.get("mountPath"):
            yield required(f"{field}.volumeMounts[{index}].mountPath")


def pod_spec_faults(field: str, spec: Json) -> Causes:
    """What is wrong with a pod's spec at a field."""
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{field}.containers")
    names: set[str] = set()
    for part in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(part) or []):
            yield from _container(f"{field}.{part}[{index}]", container)
            if container.get("name") and container["name"] in names:
                duplicate = json.dumps(container["name"])
                yield Cause("FieldValueDuplicate", f"Duplicate value: {duplicate}", f"{field}.{part}[{index}].name")
            names.add(container.get("name", ""))
    yield from _volumes(field, spec)
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for index, container in enumerate(containers):
        for at, mount in enumerate(container.get("volumeMounts") or []):
            if mount.get("name") not in volumes:
                where = f"{field}.containers[{index}].volumeMounts[{at}].name"
                yield Cause("FieldValueNotFound", f"Not found: {json.dumps(mount.get('name'))}", where)


_UPDATABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)
_FREE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")


def pod_changes(spec: Json, before: Json) -> Causes:
    """What may not change in a pod; the message prints the difference, values and all, as the API server does."""
    after = {**spec, **{name: before[name] for name in _FREE if name in before}}
    after = {name: value for name, value in after.items() if name in before or name not in (*_FREE, "nodeName")}
    for part in ("containers", "initContainers"):
        images = {one["name"]: one.get("image") for one in before.get(part) or ()}
        after[part] = [{**one, "image": images.get(one["name"], one.get("image"))} for one in spec.get(part) or ()]
        if not after[part] and part not in before:
            del after[part]
    if after == before:
        return
    old, new = (json.dumps(one, indent=2, sort_keys=True).splitlines() for one in (before, after))
    difference = "\n".join(list(difflib.unified_diff(old, new, lineterm="", n=3))[2:])
    yield forbidden("spec", f"pod updates may not change fields other than {_UPDATABLE}\n{difference}\n")
