"""A Deployment's status: counts, conditions, and whether its rollout is late."""

from __future__ import annotations

import time
from dataclasses import dataclass

from klepaas_plugins.kubernetes.sandbox.model import Json

from .base import set_condition, without_zeros

_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
_PROGRESSING = "Progressing"


def roll_message(name: str, before: int, after: int) -> str:
    """What a ScalingReplicaSet event says."""
    return f"Scaled {'up' if after > before else 'down'} replica set {name} from {before} to {after}"


def _sum(replica_sets: list[Json], field: str) -> int:
    return sum(one.get("status", {}).get(field, 0) for one in replica_sets)


def deployment_status(deployment: Json, new: Json | None, owned: list[Json], unavailable: int) -> Json:
    """The status without its Progressing condition brought up to date.

    `unavailable` is how many replicas may be missing for the Deployment to count as available.
    """
    old = deployment.get("status", {})
    available = _sum(owned, "availableReplicas")
    asked = sum(one["spec"].get("replicas", 0) for one in owned)
    conditions = old.get("conditions") or []
    if available >= deployment["spec"]["replicas"] - unavailable:
        said = "Deployment has minimum availability."
        conditions = set_condition(conditions, "Available", True, "MinimumReplicasAvailable", said)
    else:
        said = "Deployment does not have minimum availability."
        conditions = set_condition(conditions, "Available", False, "MinimumReplicasUnavailable", said)
    status: Json = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": _sum(owned, "replicas"),
        "updatedReplicas": _sum([new], "replicas") if new else 0,
        "readyReplicas": _sum(owned, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(asked - available, 0),
        "terminatingReplicas": _sum(owned, "terminatingReplicas"),
        "conditions": _failure(conditions, owned),
    }
    return without_zeros(status, "terminatingReplicas")


def _failure(conditions: list[Json], owned: list[Json]) -> list[Json]:
    for one in owned:
        for held in one.get("status", {}).get("conditions") or ():
            if held["type"] == "ReplicaFailure":
                return set_condition(conditions, "ReplicaFailure", True, held["reason"], held["message"])
    return [one for one in conditions if one["type"] != "ReplicaFailure"]


@dataclass
class Progress:
    """Since when a rollout has not progressed; timestamps in the object are too coarse for short deadlines."""

    since_s: float

    @staticmethod
    def created(conditions: list[Json], name: str) -> list[Json]:
        """The conditions after a new ReplicaSet."""
        said = f'Created new replica set "{name}"'
        return set_condition(conditions, _PROGRESSING, True, "NewReplicaSetCreated", said)

    def follow(self, deployment: Json, new: Json | None, status: Json, scale: float) -> tuple[Json, float | None]:
        """The status with its Progressing condition, and when the deadline, multiplied by `scale`, is over."""
        spec, conditions = deployment["spec"], status["conditions"]
        held = next((one for one in conditions if one["type"] == _PROGRESSING), None)
        paused = bool(spec.get("paused"))
        if paused or new is None:
            self.since_s = time.time()
            return _paused(status, held, paused), None
        name = new["metadata"]["name"]
        done = held is not None and held["reason"] == "NewReplicaSetAvailable"
        if done and status.get("replicas", 0) == status.get("updatedReplicas", 0):
            return status, None
        replicas = spec["replicas"]
        if all(status.get(field, 0) == replicas for field in ("replicas", "updatedReplicas", "availableReplicas")):
            said = f'ReplicaSet "{name}" has successfully progressed.'
            return _with(status, True, "NewReplicaSetAvailable", said), None
        deadline_s = self.since_s + spec.get("progressDeadlineSeconds", 600) * scale
        if _moved(deployment.get("status", {}), status):
            self.since_s = time.time()
            said = f'ReplicaSet "{name}" is progressing.'
            deadline_s = self.since_s + spec.get("progressDeadlineSeconds", 600) * scale
            return _with(status, True, "ReplicaSetUpdated", said), deadline_s
        if time.time() < deadline_s:
            return status, deadline_s
        said = f'ReplicaSet "{name}" has timed out progressing.'
        return _with(status, False, "ProgressDeadlineExceeded", said), None


def _paused(status: Json, held: Json | None, paused: bool) -> Json:
    if not paused or (held and held["reason"] == "DeploymentPaused"):
        return status
    return _with(status, None, "DeploymentPaused", "Deployment is paused")


def _with(status: Json, holds: bool | None, reason: str, message: str) -> Json:
    conditions = set_condition(status["conditions"], _PROGRESSING, bool(holds), reason, message)
    if holds is None:
        conditions = [{**one, "status": "Unknown"} if one["type"] == _PROGRESSING else one for one in conditions]
    return {**status, "conditions": conditions}


def _moved(old: Json, new: Json) -> bool:
    """Whether a rollout came nearer to its end."""

    def count(status: Json, name: str) -> int:
        return int(status.get(name, 0))

    def left(status: Json) -> int:
        return count(status, "replicas") - count(status, "updatedReplicas")

    grew = any(count(new, name) > count(old, name) for name in _COUNTS[1:])
    return grew or left(new) < left(old)
