"""Whether an autoscaler sets a workload's number of replicas: then no body of ours holds it.

What counts is who targets the workload when the whole change is made: an autoscaler that goes with it sets nothing any
more, and one that comes with it sets the number from the start. Zero stands aside: an autoscaler leaves a workload of
no replicas alone, so 0 stops it and any other number wakes it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from klepaas.changes import Action, ObjectChange
from klepaas.errors import KlepaasError
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.write.own_fields import Entry, entries_of

__all__ = [
    "AUTOSCALER",
    "REPLICAS",
    "AutoscalerChanges",
    "is_autoscaled",
    "is_autoscalers",
    "is_target",
    "leaving_first",
    "may_set_replicas",
]

AUTOSCALER = "HorizontalPodAutoscaler"
REPLICAS = ("f:spec", "f:replicas")
_AUTOSCALERS = f"autoscaling/v2/{AUTOSCALER}"
LIMIT = 500


@dataclass(frozen=True)
class AutoscalerChanges:
    """What becomes of autoscalers in the change that a workload's own is a part of.

    Attributes:
        applied: Those that are applied, each with its namespace.
        removed: The names of those in the workload's namespace that are removed.
    """

    applied: tuple[Mapping[str, Any], ...] = ()
    removed: frozenset[str] = frozenset()


async def is_autoscaled(cluster: Cluster, workload: Mapping[str, Any], changes: AutoscalerChanges) -> bool:
    """Whether an autoscaler targets a workload when a change is made.

    Where the autoscalers may not be read, whoever owns the number tells.

    Args:
        cluster: The cluster.
        workload: The workload, with its managedFields where it is there already.
        changes: What becomes of autoscalers.
    """
    namespace = (workload.get("metadata") or {}).get("namespace")
    if namespace is None:
        return False
    ours = {_name_of(one): one for one in changes.applied if _namespace_of(one) == namespace}
    try:
        resource = await cluster.resource(_AUTOSCALERS)
        found = await cluster.list(resource, namespace, limit=LIMIT)
    except KlepaasError:
        return any(is_target(one, workload) for one in ours.values()) or _owns_replicas(workload)
    there = {_name_of(one): one for one in found.get("items") or ()}
    names = {**there, **ours}.keys() - changes.removed
    then = [_merged(there.get(name), ours.get(name)) for name in names]
    return any(is_target(one, workload) for one in then)


def _merged(there: Mapping[str, Any] | None, applied: Mapping[str, Any] | None) -> dict[str, Any]:
    """An autoscaler with what is applied to it; a part of it need not name its target again."""
    specs = [(one or {}).get("spec") or {} for one in (there, applied)]
    return {**(there or {}), **(applied or {}), "spec": {**specs[0], **specs[1]}}


def _name_of(obj: Mapping[str, Any]) -> str:
    return str((obj.get("metadata") or {}).get("name"))


def _namespace_of(obj: Mapping[str, Any]) -> Any:
    return (obj.get("metadata") or {}).get("namespace")


def is_target(autoscaler: Mapping[str, Any], workload: Mapping[str, Any]) -> bool:
    """Whether an autoscaler of a workload's namespace sets its number of replicas.

    Args:
        autoscaler: The autoscaler.
        workload: The workload.
    """
    target = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    group = str(target.get("apiVersion") or "").rpartition("/")[0]
    same_group = not target.get("apiVersion") or group == str(workload.get("apiVersion")).rpartition("/")[0]
    return same_group and (target.get("kind"), target.get("name")) == (workload.get("kind"), _name_of(workload))


def leaving_first(changes: Iterable[ObjectChange]) -> list[ObjectChange]:
    """The changes in their order, but for autoscalers that leave a workload: they would undo the number it is given.

    Args:
        changes: The changes.
    """
    return sorted(changes, key=lambda one: not _is_leaving(one))


def _is_leaving(change: ObjectChange) -> bool:
    if change.identity.kind != AUTOSCALER or change.before is None:
        return False
    aims = [((one or {}).get("spec") or {}).get("scaleTargetRef") or {} for one in (change.before, change.after)]
    names = [(aim.get("kind"), aim.get("name")) for aim in aims]
    return change.action is Action.DELETE or names[0] != names[1]


def _owns_replicas(live: Mapping[str, Any]) -> bool:
    return any(is_autoscalers(entry) and REPLICAS in entry.paths for entry in entries_of(live))


def is_autoscalers(entry: Entry) -> bool:
    """Whether an entry of managedFields is what autoscalers write.

    Args:
        entry: The entry.
    """
    return entry.manager == "kube-controller-manager" and entry.subresource == "scale"


def may_set_replicas(live: Mapping[str, Any] | None, wanted: Any) -> bool:
    """Whether a body may hold the number although an autoscaler targets the workload.

    Args:
        live: The workload. None: it is new.
        wanted: The number that is wished for.
    """
    return wanted == 0 or ((live or {}).get("spec") or {}).get("replicas") == 0
