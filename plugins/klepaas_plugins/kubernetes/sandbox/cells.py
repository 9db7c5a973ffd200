"""How an object of each kind fills its row of a table, in the words kubectl users know."""

from __future__ import annotations

import re
from typing import Any

from .model import Json, seconds_of
from .resources import Resource
from .selectors import selector_text

Cells = list[Any]
NONE = "<none>"
_UNKNOWN = "<unknown>"


def age(stamp: str | None, now_s: float) -> str:
    """How long ago a timestamp is, as in `6m12s`, `5h` or `3d`."""
    return _duration(now_s - seconds_of(stamp)) if stamp else _UNKNOWN


def _duration(elapsed_s: float) -> str:
    seconds = max(int(elapsed_s), 0)
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    return f"{days}d{hours % 24}h" if days < 8 and hours % 24 else f"{days}d"


def _name(obj: Json) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Json, now_s: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now_s)


def _containers(spec: Json) -> Cells:
    containers = spec.get("containers") or []
    return [",".join(one["name"] for one in containers), ",".join(one.get("image", "") for one in containers)]


def _labels(labels: Json | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def pod(obj: Json, now_s: float) -> Cells:
    """A pod's row: its status is the most telling reason of its containers."""
    status, spec, meta = obj.get("status", {}), obj["spec"], obj["metadata"]
    ready = restarts = 0
    reason = status.get("reason") or status.get("phase", "")
    last_s = 0.0
    for container in reversed(status.get("containerStatuses") or ()):
        restarts += container["restartCount"]
        state = container["state"]
        ended = container["lastState"].get("terminated")
        if ended:
            last_s = max(last_s, seconds_of(ended["finishedAt"]))
        if state.get("waiting", {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = state["terminated"].get("reason") or f"ExitCode:{state['terminated']['exitCode']}"
        elif container["ready"] and "running" in state:
            ready += 1
    if meta.get("deletionTimestamp"):
        reason = "Terminating"
    shown = f"{restarts} ({_duration(now_s - last_s)} ago)" if restarts and last_s else str(restarts)
    return [
        meta["name"], f"{ready}/{len(spec['containers'])}", reason, shown, age(meta.get("creationTimestamp"), now_s),
        status.get("podIP", NONE), spec.get("nodeName", NONE), NONE, NONE,
    ]  # fmt: skip


def deployment(obj: Json, now_s: float) -> Cells:
    """A deployment's row."""
    spec, status = obj["spec"], obj.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [
        _name(obj), ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0), _age(obj, now_s),
        *_containers(spec["template"]["spec"]), selector_text(spec.get("selector")),
    ]  # fmt: skip


def replica_set(obj: Json, now_s: float) -> Cells:
    """A replica set's row."""
    spec, status = obj["spec"], obj.get("status", {})
    return [
        _name(obj), spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0),
        _age(obj, now_s), *_containers(spec["template"]["spec"]), selector_text(spec.get("selector")),
    ]  # fmt: skip


def stateful_set(obj: Json, now_s: float) -> Cells:
    """A stateful set's row."""
    spec = obj["spec"]
    ready = f"{obj.get('status', {}).get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    return [_name(obj), ready, _age(obj, now_s), *_containers(spec["template"]["spec"])]


def daemon_set(obj: Json, now_s: float) -> Cells:
    """A daemon set's row."""
    spec, status = obj["spec"], obj.get("status", {})
    return [
        _name(obj), status.get("desiredNumberScheduled", 0), status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0), status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0),
        _labels(spec["template"]["spec"].get("nodeSelector")), _age(obj, now_s),
        *_containers(spec["template"]["spec"]), selector_text(spec.get("selector")),
    ]  # fmt: skip


def job(obj: Json, now_s: float) -> Cells:
    """A job's row."""
    spec, status = obj["spec"], obj.get("status", {})
    conditions = {one["type"] for one in status.get("conditions") or () if one["status"] == "True"}
    state = next((kind for kind in ("Complete", "Failed", "Suspended") if kind in conditions), "Running")
    began, ended = status.get("startTime"), status.get("completionTime")
    took = _duration((seconds_of(ended) if ended else now_s) - seconds_of(began)) if began else ""
    return [
        _name(obj), state, f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}", took, _age(obj, now_s),
        *_containers(spec["template"]["spec"]), selector_text(spec.get("selector")),
    ]  # fmt: skip


def cron_job(obj: Json, now_s: float) -> Cells:
    """A cron job's row."""
    spec, status = obj["spec"], obj.get("status", {})
    last = status.get("lastScheduleTime")
    return [
        _name(obj), spec.get("schedule", ""), spec.get("timeZone", NONE), str(spec.get("suspend", False)),
        len(status.get("active") or ()), age(last, now_s) if last else NONE, _age(obj, now_s),
        *_containers(spec["jobTemplate"]["spec"]["template"]["spec"]), NONE,
    ]  # fmt: skip


def event(obj: Json, now_s: float) -> Cells:
    """An event's row."""
    involved, source = obj["involvedObject"], obj.get("source") or {}
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or first
    component = source.get("component") or obj.get("reportingComponent") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    return [
        age(last, now_s), obj.get("type", ""), obj.get("reason", ""),
        f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}", involved.get("fieldPath", ""),
        f"{component}, {host}" if host else component, str(obj.get("message", "")).strip(), age(first, now_s),
        obj.get("count") or 1, _name(obj),
    ]  # fmt: skip


def service(obj: Json, now_s: float) -> Cells:
    """A service's row."""
    spec = obj["spec"]
    ports = [
        f"{port['port']}{':' + str(port['nodePort']) if 'nodePort' in port else ''}/{port.get('protocol', 'TCP')}"
        for port in spec.get("ports") or ()
    ]
    external = {"LoadBalancer": "<pending>", "ExternalName": spec.get("externalName", "")}.get(
        spec.get("type", ""), NONE
    )
    return [
        _name(obj), spec.get("type", ""), spec.get("clusterIP", NONE), external, ",".join(ports) or NONE,
        _age(obj, now_s), _labels(spec.get("selector")),
    ]  # fmt: skip


def secret(obj: Json, now_s: float) -> Cells:
    """A secret's row."""
    return [_name(obj), obj.get("type", ""), len(obj.get("data") or ()), _age(obj, now_s)]


def config_map(obj: Json, now_s: float) -> Cells:
    """A config map's row."""
    return [_name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), _age(obj, now_s)]


def node(obj: Json, now_s: float) -> Cells:
    """A node's row."""
    status, info = obj.get("status", {}), obj.get("status", {}).get("nodeInfo", {})
    ready = next((one["status"] for one in status.get("conditions") or () if one["type"] == "Ready"), "Unknown")
    state = {"True": "Ready"}.get(ready, "NotReady") + (
        ",SchedulingDisabled" if obj.get("spec", {}).get("unschedulable") else ""
    )
    addresses = {one["type"]: one["address"] for one in status.get("addresses") or ()}
    return [
        _name(obj), state, NONE, _age(obj, now_s), info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE), addresses.get("ExternalIP", NONE), info.get("osImage", _UNKNOWN),
        f"{info.get('kernelVersion', '')} ({info.get('architecture', '')})",
        info.get("containerRuntimeVersion", _UNKNOWN),
    ]  # fmt: skip


def namespace(obj: Json, now_s: float) -> Cells:
    """A namespace's row."""
    return [_name(obj), obj.get("status", {}).get("phase", ""), _age(obj, now_s)]


def ingress(obj: Json, now_s: float) -> Cells:
    """An ingress's row."""
    spec = obj["spec"]
    hosts = ",".join(rule.get("host", "*") for rule in spec.get("rules") or ()) or "*"
    balancers = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    address = ",".join(one.get("ip") or one.get("hostname", "") for one in balancers)
    ports = "80, 443" if spec.get("tls") else "80"
    return [_name(obj), spec.get("ingressClassName", NONE), hosts, address, ports, _age(obj, now_s)]


def endpoints(obj: Json, now_s: float) -> Cells:
    """An Endpoints object's row."""
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    return [_name(obj), _shortened(found), _age(obj, now_s)]


def endpoint_slice(obj: Json, now_s: float) -> Cells:
    """An endpoint slice's row."""
    ports = ",".join(str(port.get("port")) for port in obj.get("ports") or ()) or "<unset>"
    addresses = [address for one in obj.get("endpoints") or () for address in one["addresses"]]
    return [_name(obj), obj.get("addressType", ""), ports, _shortened(addresses, "<unset>"), _age(obj, now_s)]


def _shortened(values: list[str], empty: str = NONE) -> str:
    more = f" + {len(values) - 3} more..." if len(values) > 3 else ""
    return ",".join(values[:3]) + more or empty


def claim(obj: Json, now_s: float) -> Cells:
    """A claim's row."""
    spec, status = obj["spec"], obj.get("status", {})
    modes = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    bound = bool(spec.get("volumeName"))
    return [
        _name(obj), status.get("phase", ""), spec.get("volumeName", ""),
        str(status.get("capacity", {}).get("storage", "")) if bound else "",
        ",".join(modes.get(mode, mode) for mode in spec.get("accessModes") or ()) if bound else "",
        spec.get("storageClassName", ""), "<unset>", _age(obj, now_s), spec.get("volumeMode", ""),
    ]  # fmt: skip


def quota(obj: Json, now_s: float) -> Cells:
    """A quota's row."""
    hard, held = obj["spec"].get("hard") or {}, obj.get("status", {}).get("used") or {}
    shown = [f"{name}: {held.get(name, '0')}/{limit}" for name, limit in sorted(hard.items())]
    limits = [text for text in shown if text.startswith("limits.")]
    return [_name(obj), ", ".join(text for text in shown if text not in limits), ", ".join(limits), _age(obj, now_s)]


def service_account(obj: Json, now_s: float) -> Cells:
    """A service account's row."""
    return [_name(obj), len(obj.get("secrets") or ()), _age(obj, now_s)]


def autoscaler(obj: Json, now_s: float) -> Cells:
    """An autoscaler's row."""
    spec = obj["spec"]
    reference = spec.get("scaleTargetRef", {})
    targets = []
    for metric in spec.get("metrics") or ():
        resource = metric.get("resource") or {}
        wanted = resource.get("target", {}).get("averageUtilization")
        targets.append(f"{resource.get('name', '?')}: {_UNKNOWN}/{f'{wanted}%' if wanted else '<auto>'}")
    return [
        _name(obj), f"{reference.get('kind', '')}/{reference.get('name', '')}", ", ".join(targets) or NONE,
        str(spec.get("minReplicas", "<unset>")), spec.get("maxReplicas", 0),
        obj.get("status", {}).get("currentReplicas", 0), _age(obj, now_s),
    ]  # fmt: skip


def budget(obj: Json, now_s: float) -> Cells:
    """A budget's row."""
    spec = obj["spec"]
    allowed = obj.get("status", {}).get("disruptionsAllowed", 0)
    return [
        _name(obj), str(spec.get("minAvailable", "N/A")), str(spec.get("maxUnavailable", "N/A")), allowed,
        _age(obj, now_s),
    ]  # fmt: skip


def network_policy(obj: Json, now_s: float) -> Cells:
    """A network policy's row."""
    return [_name(obj), selector_text(obj["spec"].get("podSelector")) or NONE, _age(obj, now_s)]


def lease(obj: Json, now_s: float) -> Cells:
    """A lease's row."""
    return [_name(obj), (obj.get("spec") or {}).get("holderIdentity", ""), _age(obj, now_s)]


def revision(obj: Json, now_s: float) -> Cells:
    """A revision's row."""
    owners = obj["metadata"].get("ownerReferences") or [{}]
    group = owners[0].get("apiVersion", "").rpartition("/")[0]
    controller = f"{owners[0].get('kind', '').lower()}.{group}/{owners[0].get('name', '')}" if owners[0] else NONE
    return [_name(obj), controller, obj.get("revision", 0), _age(obj, now_s)]


def role_binding(obj: Json, now_s: float) -> Cells:
    """A role binding's row."""
    role, subjects = obj.get("roleRef") or {}, obj.get("subjects") or ()

    def named(kind: str) -> str:
        return ", ".join(
            f"{one['namespace']}/{one['name']}" if one.get("namespace") else one["name"]
            for one in subjects
            if one["kind"] == kind
        )

    return [
        _name(obj), f"{role.get('kind', '')}/{role.get('name', '')}", _age(obj, now_s), named("User"), named("Group"),
        named("ServiceAccount"),
    ]  # fmt: skip


def created_at(obj: Json, now_s: float) -> Cells:
    """The row of a kind that shows only when it was created."""
    return [_name(obj), obj["metadata"]["creationTimestamp"]]


def custom_cells(resource: Resource, obj: Json, now_s: float) -> Cells:
    """A custom resource's row, by its additionalPrinterColumns."""
    if not resource.columns:
        return [_name(obj), _age(obj, now_s)]
    row: Cells = [_name(obj)]
    for column in resource.columns:
        value = json_path(obj, column["jsonPath"])
        row.append(age(value, now_s) if column["type"] == "date" and value else value)
    return row


def json_path(obj: Json, path: str) -> Any:
    """The value at a simple JSONPath: names, indexes and `[?(@.a=="b")]`; None when there is none."""
    value: Any = obj
    for name, index, key, wanted in re.findall(
        r"\.((?:\\\.|[^.\[\]])+)|\[(\d+)\]|\[\?\(@\.([\w.]+)\s*==\s*[\"']([^\"']*)[\"']\)\]", path
    ):
        if name:
            value = value.get(name.replace("\\.", ".")) if isinstance(value, dict) else None
        elif not isinstance(value, list):
            return None
        elif index:
            value = value[int(index)] if int(index) < len(value) else None
        else:
            value = next((item for item in value if str(item.get(key)) == wanted), None)
    return value
