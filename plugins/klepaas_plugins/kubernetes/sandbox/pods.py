"""What controllers ask of a pod."""

from __future__ import annotations

from .model import Json, seconds_of


def is_ready(pod: Json) -> bool:
    """Whether its Ready condition holds."""
    return any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions") or ()
    )


def ready_since_s(pod: Json) -> float | None:
    """Unix time, in whole seconds, since which it is ready; None when it is not."""
    for one in pod.get("status", {}).get("conditions") or ():
        if one["type"] == "Ready" and one["status"] == "True":
            return seconds_of(one["lastTransitionTime"])
    return None


def is_active(pod: Json) -> bool:
    """Whether it counts as a replica: neither finished nor being deleted."""
    phase = pod.get("status", {}).get("phase")
    return not pod["metadata"].get("deletionTimestamp") and phase not in ("Succeeded", "Failed")


def is_finished(pod: Json) -> bool:
    """Whether its containers have ended for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def controller_uid(obj: Json) -> str | None:
    """The uid of the controller that owns it."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return None
