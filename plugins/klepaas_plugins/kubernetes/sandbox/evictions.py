"""The eviction subresource: a delete that PodDisruptionBudgets may hold back."""

from __future__ import annotations

from .model import Json
from .objects import DeleteOptions, Objects
from .pods import is_ready
from .resources import BUDGETS, PODS
from .rounding import share
from .selectors import selector_match
from .status import ApiError


def healthy(objects: Objects, budget: Json) -> tuple[int, int]:
    """How many pods of a budget are ready, and how many it wants."""
    namespace, spec = budget["metadata"]["namespace"], budget["spec"]
    match = selector_match(spec.get("selector"))
    pods = [pod for pod in objects.store.list(PODS, namespace) if match(pod["metadata"].get("labels") or {})]
    ready = sum(is_ready(pod) and not pod["metadata"].get("deletionTimestamp") for pod in pods)
    if "maxUnavailable" in spec:
        return ready, len(pods) - share(spec["maxUnavailable"], len(pods), up=True)
    return ready, share(spec.get("minAvailable", 1), len(pods), up=True)


def evict(objects: Objects, namespace: str, name: str, dry_run: bool) -> Json:
    """Evict a pod.

    Raises:
        ApiError: 404, or 429 when a budget would be broken.
    """
    pod = objects.get(PODS, namespace, name)
    for budget in objects.store.list(BUDGETS, namespace):
        if not selector_match(budget["spec"].get("selector"))(pod["metadata"].get("labels") or {}):
            continue
        ready, wanted = healthy(objects, budget)
        if is_ready(pod) and ready - 1 < wanted:
            held_by = budget["metadata"]["name"]
            said = f"The disruption budget {held_by} needs {wanted} healthy pods and has {ready} currently"
            causes = [{"reason": "DisruptionBudget", "message": said}]
            message = "Cannot evict pod as it would violate the pod's disruption budget."
            raise ApiError(429, message, "TooManyRequests", {"causes": causes})
    objects.delete(PODS, namespace, name, DeleteOptions(dry_run=dry_run))
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
