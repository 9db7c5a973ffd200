"""How many pods a restored workload gets: an autoscaler's count is left to it, a scaling since may be kept. Pure."""

import copy
from typing import Any

from klepaas_plugins.deployments.objects import Object, at
from klepaas_plugins.deployments.releases.model import Snapshot, key_of, title_of
from klepaas_plugins.kubernetes.client import REPLICAS, entries_of, is_autoscalers

__all__ = ["settle_replicas", "without_replicas"]


def settle_replicas(
    item: dict[str, Any],
    target: Snapshot,
    live: Snapshot,
    expected: Snapshot | None = None,
    *,
    keep_scale: bool,
    scaled_to: int | None = None,
) -> tuple[dict[str, Any], str | None]:
    """A workload with the number of pods that it is to have, and what to say of that.

    Args:
        item: The object as it was; one that is no scalable workload comes back as it is.
        target: The release.
        live: What is there now.
        expected: What should be there; another number was set by somebody meanwhile. None: nothing is expected.
        keep_scale: Whether a number that was set by scaling stays.
        scaled_to: The number that klepaas has scaled it to since the release. None: it has not.
    """
    key, there = key_of(item), live.by_key.get(key_of(item))
    then, now = at(item, "spec", "replicas"), at(there, "spec", "replicas")
    if key[0] not in ("Deployment", "StatefulSet") or then is None or now is None or then == now:
        return item, None
    if key in target.autoscaled:
        # At 0 pods an autoscaler rests: then somebody has to give it a pod to begin with.
        return (item, None) if now == 0 else (_with(item, now), None)
    # A number that an autoscaler has set, which goes now, is nobody's wish.
    is_known = expected is not None and key not in expected.autoscaled
    planned = at(expected.by_key.get(key), "spec", "replicas") if expected is not None and is_known else None
    is_scaled = keep_scale and (now == scaled_to or _is_scaled(live.live.get(key)))
    if is_scaled or planned not in (None, now):
        return _with(
            item, now
        ), f"{title_of(key)} keeps its {now} pods, as it was scaled since; the release had {then}."
    return item, None


def without_replicas(item: Object) -> Object:
    """An object without its number of pods, which is compared by `settle_replicas` alone."""
    spec = item.get("spec")
    if not isinstance(spec, dict) or "replicas" not in spec:
        return item
    return {**item, "spec": {key: value for key, value in spec.items() if key != "replicas"}}


def _with(item: dict[str, Any], replicas: int) -> dict[str, Any]:
    plain = copy.deepcopy(item)
    plain["spec"]["replicas"] = replicas
    return plain


def _is_scaled(item: Object | None) -> bool:
    """Whether somebody has scaled it, an autoscaler excepted; a deployment that names a number takes that away.

    Source: Kubernetes, "Server-Side Apply": a manager of the scale subresource owns `spec.replicas`.
    """
    scaling = (entry for entry in entries_of(item) if entry.subresource == "scale" and REPLICAS in entry.paths)
    return any(not is_autoscalers(entry) for entry in scaling)
