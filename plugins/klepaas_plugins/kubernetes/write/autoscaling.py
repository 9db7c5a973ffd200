"""Whether an autoscaler sets a workload's number of replicas: then no body of ours holds it.

Zero stands aside: an autoscaler leaves a workload of no replicas alone, so 0 stops it and any other number wakes it.
"""

from collections.abc import Mapping
from typing import Any

from klepaas.errors import KlepaasError
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.write.own_fields import entries_of

__all__ = ["REPLICAS", "is_autoscaled", "may_set_replicas"]

REPLICAS = ("f:spec", "f:replicas")
_AUTOSCALERS = "autoscaling/v2/HorizontalPodAutoscaler"
LIMIT = 500


async def is_autoscaled(cluster: Cluster, live: Mapping[str, Any]) -> bool:
    """Whether an autoscaler targets a workload.

    Where the autoscalers may not be read, whoever owns the number tells.

    Args:
        cluster: The cluster.
        live: The workload, with its managedFields.
    """
    metadata = live.get("metadata") or {}
    namespace = metadata.get("namespace")
    if "replicas" not in (live.get("spec") or {}) or namespace is None:
        return False
    try:
        resource = await cluster.resource(_AUTOSCALERS)
        found = await cluster.list(resource, namespace, limit=LIMIT)
    except KlepaasError:
        return _owns_replicas(live)
    return any(_targets(one, live) for one in found.get("items") or ())


def _targets(autoscaler: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    target = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    group = str(target.get("apiVersion") or "").rpartition("/")[0]
    wanted = (live.get("kind"), (live.get("metadata") or {}).get("name"))
    same_group = not target.get("apiVersion") or group == str(live.get("apiVersion")).rpartition("/")[0]
    return same_group and (target.get("kind"), target.get("name")) == wanted


def _owns_replicas(live: Mapping[str, Any]) -> bool:
    return any(
        entry.manager == "kube-controller-manager" and entry.subresource == "scale" and REPLICAS in entry.paths
        for entry in entries_of(live)
    )


def may_set_replicas(live: Mapping[str, Any], wanted: Any) -> bool:
    """Whether a body may hold the number although an autoscaler targets the workload.

    Args:
        live: The workload.
        wanted: The number that is wished for.
    """
    return wanted == 0 or (live.get("spec") or {}).get("replicas") == 0
