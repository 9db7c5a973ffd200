"""Looks at one workload's rollout: its ReplicaSets, its pods and, while it is not complete, their warnings."""

from dataclasses import replace
from functools import partial
from typing import Any

from klepaas.errors import Forbidden
from klepaas_plugins.deployments import rollout
from klepaas_plugins.deployments.executor.intent import Intent
from klepaas_plugins.deployments.executor.observed import ObjectSeen, RolloutSeen
from klepaas_plugins.deployments.executor.progress import rollout_of
from klepaas_plugins.deployments.objects import is_owned_by, items, selector_text
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import Cluster

__all__ = ["look_at_rollout"]

_WARNINGS = "involvedObject.kind=Pod,type=Warning"


async def look_at_rollout(
    cluster: Cluster, intent: Intent, seen: ObjectSeen, *, cluster_s: float, grace_s: float
) -> RolloutSeen:
    """How far a workload is.

    Args:
        cluster: The cluster.
        intent: The operation.
        seen: The workload, which is live.
        cluster_s: The cluster's time, in seconds since 1970.
        grace_s: Seconds without a node after which that is decisive.

    Raises:
        KlepaasError: Its ReplicaSets or pods cannot be listed.
    """
    key, live = seen.key, seen.live or {}
    selector = selector_text((live.get("spec") or {}).get("selector") or {})
    kinds = ["pods", *(["replicasets.apps"] if key.kind == "Deployment" else [])]
    listed = await together(*(partial(_list, cluster, kind, key.namespace, label_selector=selector) for kind in kinds))
    owned = [one for one in listed[1] if is_owned_by(one, live)] if len(listed) > 1 else []
    judge = partial(
        rollout_of,
        key,
        cluster_s=cluster_s,
        grace_s=grace_s,
        missed_before=intent.missed_deadlines.get(f"{key.kind}/{key.name}"),
        hold_wish_s=intent.hold_s,
    )
    snapshot = rollout.Snapshot(key.kind, live, owned, listed[0])
    found = judge(snapshot)
    if found.complete or found.failure is not None:
        return found
    try:
        warnings = await _list(cluster, "events", key.namespace, field_selector=_WARNINGS)
    except Forbidden:
        # Warnings only make the decision earlier.
        return found
    return judge(replace(snapshot, warnings=warnings))


async def _list(
    cluster: Cluster,
    kind: str,
    namespace: str | None,
    *,
    label_selector: str | None = None,
    field_selector: str | None = None,
) -> list[dict[str, Any]]:
    return items(
        await cluster.list(
            await cluster.resource(kind), namespace, label_selector=label_selector, field_selector=field_selector
        )
    )
