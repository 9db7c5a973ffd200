"""ReplicaSets: as many pods as asked for.

Pods are neither adopted nor released when labels change.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.events import Recorder
from klepaas_plugins.kubernetes.sandbox.model import Json, pod_prefix
from klepaas_plugins.kubernetes.sandbox.objects import CONTROLLER, DeleteOptions, Objects, Write
from klepaas_plugins.kubernetes.sandbox.pods import is_active, is_finished, is_ready
from klepaas_plugins.kubernetes.sandbox.resources import PODS, REPLICA_SETS, Resource
from klepaas_plugins.kubernetes.sandbox.status import ApiError
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of, owner_reference, owners_named, set_condition, without_zeros

_BATCH = 50
_RETRY_S = 1.0


def pod_of(owner_resource: Resource, owner: Json, template: Json, **meta: object) -> Json:
    """A pod made from a template."""
    held = template.get("metadata") or {}
    kept = {key: held[key] for key in ("labels", "annotations", "finalizers") if held.get(key)}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {**kept, "ownerReferences": [owner_reference(owner_resource, owner)], **meta},
        "spec": template["spec"],
    }


class ReplicaSetController(Base):
    """Makes and deletes the pods of ReplicaSets."""

    def __init__(self, objects: Objects, recorder: Recorder) -> None:
        super().__init__(objects, recorder)
        self._ready_since_s: dict[str, float] = {}

    def concerns(self, change: Change) -> Iterable[Key]:
        """A ReplicaSet, or the owner of a pod."""
        if change.resource is REPLICA_SETS:
            return [key_of(change.object)]
        if change.resource is not PODS:
            return ()
        if change.type == "DELETED":
            self._ready_since_s.pop(change.object["metadata"]["uid"], None)
        return owners_named(change, REPLICA_SETS)

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Make or delete pods, then count them."""
        replica_set = self.store.get(REPLICA_SETS, namespace, name)
        if replica_set is None:
            return None
        failure: str | None = None
        missing = 0
        if not replica_set["metadata"].get("deletionTimestamp"):
            pods = [pod for pod in self.owned(replica_set, PODS) if is_active(pod)]
            missing = replica_set["spec"].get("replicas", 0) - len(pods)
            if missing > 0:
                failure = self._make(replica_set, min(missing, _BATCH))
            for pod in sorted(pods, key=_keep_rank)[: max(-missing, 0)]:
                self._delete(replica_set, pod)
        again_s = self._report(replica_set, failure)
        if failure:
            return time.time() + _RETRY_S
        return time.time() if missing > _BATCH else again_s

    def _make(self, replica_set: Json, count: int) -> str | None:
        """Make pods; what kept the next one from being made, if anything."""
        meta = replica_set["metadata"]
        for _ in range(count):
            pod = pod_of(
                REPLICA_SETS, replica_set, replica_set["spec"]["template"], generateName=pod_prefix(meta["name"])
            )
            try:
                made = self.objects.create(PODS, meta["namespace"], pod, Write(CONTROLLER))
            except ApiError as error:
                said = f"Error creating: {error}"
                self._event(replica_set, "Warning", "FailedCreate", said)
                return str(error)
            self._event(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return None

    def _delete(self, replica_set: Json, pod: Json) -> None:
        self.objects.delete(PODS, *key_of(pod), DeleteOptions())
        self._event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    def _event(self, replica_set: Json, kind: str, reason: str, message: str) -> None:
        self.recorder.emit(REPLICA_SETS, replica_set, kind, reason, message, "replicaset-controller")

    def _report(self, replica_set: Json, failure: str | None) -> float | None:
        owned = self.owned(replica_set, PODS)
        pods = [pod for pod in owned if is_active(pod)]
        ready = [pod for pod in pods if is_ready(pod)]
        for pod in pods:
            if not is_ready(pod):
                self._ready_since_s.pop(pod["metadata"]["uid"], None)
        available, again_s = self._available(replica_set, ready)
        old = replica_set.get("status", {})
        conditions = old.get("conditions") or []
        if failure:
            # It stays as it is while the reason is the same, whatever name was refused last.
            conditions = set_condition(conditions, "ReplicaFailure", True, "FailedCreate", failure)
        else:
            conditions = [one for one in conditions if one["type"] != "ReplicaFailure"]
        status = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": len(ready),
            "availableReplicas": available,
            "terminatingReplicas": sum(
                bool(p["metadata"].get("deletionTimestamp")) and not is_finished(p) for p in owned
            ),
            "observedGeneration": replica_set["metadata"]["generation"],
            "conditions": conditions,
        }
        live = self.store.get(REPLICA_SETS, *key_of(replica_set))
        if live is not None:
            self.objects.set_status(REPLICA_SETS, live, without_zeros(status, "replicas", "terminatingReplicas"))
        return again_s

    def _available(self, replica_set: Json, ready: list[Json]) -> tuple[int, float | None]:
        """How many ready pods have been so for minReadySeconds, and when the next one will."""
        least_s = replica_set["spec"].get("minReadySeconds", 0) * self.timing.deadline_scale
        if not least_s:
            return len(ready), None
        now_s = time.time()
        times = [self._ready_since_s.setdefault(pod["metadata"]["uid"], now_s) + least_s for pod in ready]
        return sum(at_s <= now_s for at_s in times), min((at_s for at_s in times if at_s > now_s), default=None)


def _keep_rank(pod: Json) -> tuple[bool, bool, bool, int]:
    """Pods to delete first come first: unscheduled, pending, not ready, younger."""
    return (
        bool(pod["spec"].get("nodeName")),
        pod.get("status", {}).get("phase") == "Running",
        is_ready(pod),
        -int(pod["metadata"]["resourceVersion"]),
    )
