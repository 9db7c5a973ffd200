"""LimitRanges and ResourceQuotas: defaults for containers, bounds for containers and pods, sums for namespaces.

Quotas count objects, requests and limits of pods, storage of claims and node ports. Not done: scopes, classes of
storage, limits of claims and images, local ephemeral storage of init containers.

Source: https://kubernetes.io/docs/concepts/policy/limit-range/ and .../resource-quotas/
"""

from __future__ import annotations

from collections.abc import Iterator

from .model import Json
from .pods import is_finished
from .quantities import quantity, quantity_text
from .resources import BUILT_IN, CLAIMS, LIMIT_RANGES, PODS, QUOTAS, SERVICES, Resource
from .status import forbidden
from .store import Store

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_SIZES = tuple(f"{kind}{name}" for kind in ("", "requests.", "limits.") for name in _COMPUTE)


def _items(store: Store, namespace: str, kind: str) -> Iterator[Json]:
    for found in store.list(LIMIT_RANGES, namespace):
        for item in (found.get("spec") or {}).get("limits") or ():
            if item.get("type") == kind:
                yield item


def limited(store: Store, resource: Resource, obj: Json) -> Json:
    """A new pod with the requests and limits that LimitRanges give containers without."""
    if resource is not PODS:
        return obj
    for item in _items(store, obj["metadata"].get("namespace", ""), "Container"):
        obj = _with_defaults(obj, item)
    return obj


def _with_defaults(pod: Json, item: Json) -> Json:
    said, containers = [], []
    for container in pod["spec"].get("containers") or ():
        resources = container.get("resources") or {}
        limits, requests = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
        given = [name for name in item.get("defaultRequest") or {} if name not in requests and name not in limits]
        capped = [name for name in item.get("default") or {} if name not in limits]
        said += [f"{name} request for container {container['name']}" for name in given]
        said += [f"{name} limit for container {container['name']}" for name in capped]
        requests |= {name: item["defaultRequest"][name] for name in given}
        limits |= {name: item["default"][name] for name in capped}
        requests |= {name: limit for name, limit in limits.items() if name not in requests}
        parts = {"limits": limits, "requests": requests}
        containers.append({**container, "resources": {**resources, **{k: v for k, v in parts.items() if v}}})
    meta = pod["metadata"]
    if said:
        note = {"kubernetes.io/limit-ranger": f"LimitRanger plugin set: {'; '.join(said)}"}
        meta = {**meta, "annotations": {**(meta.get("annotations") or {}), **note}}
    return {**pod, "metadata": meta, "spec": {**pod["spec"], "containers": containers}}


def check_limits(store: Store, resource: Resource, obj: Json) -> None:
    """Refuse a pod that is beyond a LimitRange.

    Raises:
        ApiError: 403.
    """
    if resource is not PODS:
        return
    namespace = obj["metadata"].get("namespace", "")
    containers = [one.get("resources") or {} for one in obj["spec"].get("containers") or ()]
    said = [
        fault
        for item in _items(store, namespace, "Container")
        for part in containers
        for fault in _beyond("Container", item, part.get("requests") or {}, part.get("limits") or {})
    ]
    for item in _items(store, namespace, "Pod"):
        sums = [_sum([part.get(kind) or {} for part in containers]) for kind in ("requests", "limits")]
        said += _beyond("Pod", item, *sums)
    if said:
        name = obj["metadata"].get("name", "")
        raise forbidden(resource, name, said[0] if len(said) == 1 else f"[{', '.join(said)}]")


def _sum(parts: list[Json]) -> Json:
    names = {name for part in parts for name in part}
    return {name: quantity_text(name, sum(quantity(part.get(name, "0")) for part in parts)) for name in sorted(names)}


def _beyond(kind: str, item: Json, requests: Json, limits: Json) -> Iterator[str]:
    for name, least in (item.get("min") or {}).items():
        asked = requests.get(name)
        if asked is None:
            yield f"minimum {name} usage per {kind} is {least}.  No request is specified"
        elif quantity(asked) < quantity(least):
            yield f"minimum {name} usage per {kind} is {least}, but request is {asked}"
    for name, most in (item.get("max") or {}).items():
        limit = limits.get(name)
        if limit is None:
            yield f"maximum {name} usage per {kind} is {most}.  No limit is specified"
        elif quantity(limit) > quantity(most):
            yield f"maximum {name} usage per {kind} is {most}, but limit is {limit}"
    for name, ratio in (item.get("maxLimitRequestRatio") or {}).items():
        asked, limit = quantity(requests.get(name, "0")), quantity(limits.get(name, "0"))
        if asked and limit / asked > quantity(ratio):
            yield (
                f"{name} max limit to request ratio per {kind} is {ratio}, but provided ratio is {limit / asked:.6f}"
            )


def _size(obj: Json, counted: str) -> float | None:
    """What a pod adds to a quota of cpu, memory or storage; None when a container does not say."""
    kind, _, name = counted.rpartition(".")
    part = "limits" if kind == "limits" else "requests"
    values = [((one.get("resources") or {}).get(part) or {}).get(name) for one in obj["spec"].get("containers") or ()]
    return None if None in values else sum(quantity(value) for value in values)


def _weight(resource: Resource, obj: Json, counted: str) -> float:
    """What an object adds to one line of a quota."""
    if resource is PODS and counted in _SIZES:
        return _size(obj, counted) or 0.0
    if resource is CLAIMS and counted == "requests.storage":
        return quantity(((obj["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))
    if resource is SERVICES and counted in ("services.nodeports", "services.loadbalancers"):
        kind = obj["spec"].get("type")
        if counted == "services.loadbalancers":
            return float(kind == "LoadBalancer")
        return float(len(obj["spec"].get("ports") or ())) if kind in ("NodePort", "LoadBalancer") else 0.0
    return float(counted in (resource.plural, f"count/{resource.qualified}"))


def _counted_kind(counted: str) -> Resource | None:
    if counted in _SIZES:
        return PODS
    if counted == "requests.storage":
        return CLAIMS
    plural, _, group = counted.removeprefix("count/").partition(".")
    if plural == "services":
        return SERVICES
    for resource in BUILT_IN:
        if resource.plural == plural and (not counted.startswith("count/") or resource.group == group):
            return resource
    return None


def used(store: Store, counted: str, namespace: str) -> str | None:
    """What a namespace uses of one line of a quota; None for what the sandbox does not count."""
    resource = _counted_kind(counted)
    if resource is None:
        return None
    found = store.list(resource, namespace)
    if resource is PODS:
        found = [pod for pod in found if counted.startswith("count/") or not is_finished(pod)]
    return quantity_text(counted, sum(_weight(resource, obj, counted) for obj in found))


def check_quota(store: Store, resource: Resource, obj: Json) -> None:
    """Refuse an object that is beyond what a ResourceQuota leaves.

    Raises:
        ApiError: 403.
    """
    if not resource.namespaced:
        return
    namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"].get("name", "")
    for quota in store.list(QUOTAS, namespace):
        hard = (quota.get("spec") or {}).get("hard") or {}
        if resource is PODS:
            _check_specified(quota, hard, obj)
        lines = []
        for counted in sorted(hard):
            more, held = _weight(resource, obj, counted), used(store, counted, namespace)
            if more and held is not None and quantity(held) + more > quantity(hard[counted]):
                lines.append((counted, quantity_text(counted, more), held, hard[counted]))
        if lines:
            parts = [",".join(f"{line[0]}={line[at]}" for line in lines) for at in (1, 2, 3)]
            whose = quota["metadata"]["name"]
            why = f"exceeded quota: {whose}, requested: {parts[0]}, used: {parts[1]}, limited: {parts[2]}"
            raise forbidden(resource, name, why)


def _check_specified(quota: Json, hard: Json, pod: Json) -> None:
    missing = [counted for counted in sorted(hard) if counted in _SIZES and _size(pod, counted) is None]
    if missing:
        names = [one["name"] for one in pod["spec"].get("containers") or ()]
        said = "; ".join(f"{counted} for: {','.join(names)}" for counted in missing)
        why = f"failed quota: {quota['metadata']['name']}: must specify {said}"
        raise forbidden(PODS, pod["metadata"].get("name", ""), why)
