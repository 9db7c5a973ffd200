"""How many pods a restored workload gets: an autoscaler's count is left to it, a scaling since may be kept. Pure."""

import copy
from typing import Any

from klepaas_plugins.deployments.objects import Object, at
from klepaas_plugins.deployments.releases.model import Snapshot, key_of, title_of

__all__ = ["settle_replicas"]


def settle_replicas(
    item: dict[str, Any], target: Snapshot, live: Snapshot, *, keep_scale: bool
) -> tuple[dict[str, Any], str | None]:
    """A workload with the number of pods that it is to have, and what to say of that.

    Args:
        item: The object as it was; one that is no scalable workload comes back as it is.
        target: The release.
        live: What is there now.
        keep_scale: Whether a number that was set by scaling stays.
    """
    key, there = key_of(item), live.by_key.get(key_of(item))
    then, now = at(item, "spec", "replicas"), at(there, "spec", "replicas")
    if key[0] not in ("Deployment", "StatefulSet") or then is None or now is None or then == now:
        return item, None
    if key in target.autoscaled:
        # At 0 pods an autoscaler rests: then somebody has to give it a pod to begin with.
        return (item, None) if now == 0 else (_with(item, now), None)
    if keep_scale and _is_scaled(live.live.get(key)):
        return _with(
            item, now
        ), f"{title_of(key)} keeps its {now} pods, as it was scaled since; the release had {then}."
    return item, None


def _with(item: dict[str, Any], replicas: int) -> dict[str, Any]:
    plain = copy.deepcopy(item)
    plain["spec"]["replicas"] = replicas
    return plain


def _is_scaled(item: Object | None) -> bool:
    """Whether the number of pods was set by scaling; a deployment that names a number takes that away.

    Source: Kubernetes, "Server-Side Apply": a manager of the scale subresource owns `spec.replicas`.
    """
    return any(
        entry.get("subresource") == "scale" and "f:replicas" in (at(entry, "fieldsV1", "f:spec") or {})
        for entry in at(item, "metadata", "managedFields") or ()
    )
