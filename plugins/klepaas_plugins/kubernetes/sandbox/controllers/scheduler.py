"""The scheduler: each pod to the emptiest node that has room for its requests.

Node selectors, affinity, taints and priorities are not looked at.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.events import Recorder
from klepaas_plugins.kubernetes.sandbox.model import Json, timestamp
from klepaas_plugins.kubernetes.sandbox.objects import Objects
from klepaas_plugins.kubernetes.sandbox.quantities import quantity
from klepaas_plugins.kubernetes.sandbox.resources import CLAIMS, NODES, PODS, STORAGE_CLASSES
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of
from .daemon_sets import pinned_node
from .volumes import claims_of

_CLAIM_POLL_S = 0.05
_NAMES = ("cpu", "memory", "ephemeral-storage")


def requests_of(pod: Json) -> dict[str, float]:
    """What a pod's containers ask for together."""
    total: dict[str, float] = defaultdict(float)
    for container in pod["spec"].get("containers") or ():
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name, value in asked.items():
            total[name] += quantity(value)
    return total


class Scheduler(Base):
    """Binds pods to nodes."""

    def __init__(self, objects: Objects, recorder: Recorder) -> None:
        super().__init__(objects, recorder)
        self._held: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
        self._waiting: set[Key] = set()

    def concerns(self, change: Change) -> Iterable[Key]:
        """A pod without a node; every waiting pod when room appears."""
        if change.resource in (NODES, CLAIMS):
            return list(self._waiting)
        if change.resource is not PODS:
            return ()
        node, uid = change.object["spec"].get("nodeName"), change.object["metadata"]["uid"]
        if not node:
            return [key_of(change.object)] if change.type == "ADDED" else ()
        if change.type == "DELETED":
            self._held[node].pop(uid, None)
            return list(self._waiting)
        if uid not in self._held[node]:
            self._held[node][uid] = requests_of(change.object)
        return ()

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Bind a pod, or say why not."""
        pod = self.store.get(PODS, namespace, name)
        self._waiting.discard((namespace, name))
        if pod is None or pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
            return None
        asked = requests_of(pod)
        nodes = self.store.list(NODES)
        unbound = self._unbound(pod)
        if unbound is not None:
            if unbound:
                self._waiting.add((namespace, name))
                self._refuse(pod, f"0/{len(self.store.list(NODES))} nodes are available: {unbound}. not found")
            return time.time() + _CLAIM_POLL_S
        short = {node["metadata"]["name"]: self._short(pod, node, asked) for node in nodes}
        fitting = [node for node in short if not short[node]]
        if not fitting:
            self._waiting.add((namespace, name))
            self._refuse(pod, _why(list(short.values())))
            return None
        self._bind(pod, min(fitting, key=lambda node: len(self._held[node])))
        return None

    def _unbound(self, pod: Json) -> str | None:
        """Why a pod's claims hold it up, or nothing while they are being bound; None when they do not."""
        for name in claims_of(pod):
            claim = self.store.get(CLAIMS, pod["metadata"]["namespace"], name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if (claim.get("status") or {}).get("phase") == "Bound":
                continue
            held = self.store.get(STORAGE_CLASSES, "", claim["spec"].get("storageClassName") or "") or {}
            waits = held.get("volumeBindingMode") == "WaitForFirstConsumer"
            return "" if waits else "pod has unbound immediate PersistentVolumeClaims"
        return None

    def _short(self, pod: Json, node: Json, asked: dict[str, float]) -> str:
        """What a node has too little of; empty when it has room."""
        pinned, name = pinned_node(pod), node["metadata"]["name"]
        if pinned and pinned != name:
            return "node(s) didn't satisfy plugin(s) [NodeAffinity]"
        if node.get("spec", {}).get("unschedulable") and not pinned:
            return "node(s) were unschedulable"
        room = node.get("status", {}).get("allocatable") or {}
        held = self._held[node["metadata"]["name"]].values()
        if len(held) >= quantity(room.get("pods", "110")):
            return "Too many pods"
        for name in _NAMES:
            if asked.get(name, 0) + sum(one.get(name, 0) for one in held) > quantity(room.get(name, "0")) and asked.get(
                name
            ):
                return f"Insufficient {name}"
        return ""

    def _bind(self, pod: Json, node: str) -> None:
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": timestamp(time.time()),
        }
        status = {**pod["status"], "conditions": [scheduled]}
        self.recorder.emit(
            PODS, pod, "Normal", "Scheduled",
            f"Successfully assigned {pod['metadata']['namespace']}/{pod['metadata']['name']} to {node}",
            "default-scheduler",
        )  # fmt: skip
        self.store.put(PODS, {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": status})

    def _refuse(self, pod: Json, message: str) -> None:
        condition = {
            "type": "PodScheduled",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": timestamp(time.time()),
            "reason": "Unschedulable",
            "message": message,
        }
        held = pod["status"].get("conditions") or [{}]
        if held[0].get("message") == message:
            return
        self.recorder.emit(PODS, pod, "Warning", "FailedScheduling", message, "default-scheduler")
        status = {**pod["status"], "conditions": [condition], "qosClass": pod["status"].get("qosClass", "BestEffort")}
        if any(container.get("resources") for container in pod["spec"]["containers"]):
            status["qosClass"] = "Burstable"
        self.objects.set_status(PODS, pod, status, "kube-scheduler")


def _why(reasons: list[str]) -> str:
    """Why no node takes a pod, by what each has too little of."""
    total = len(reasons)
    if not total:
        return "0/0 nodes are available"
    counted = ", ".join(sorted(f"{reasons.count(reason)} {reason}" for reason in set(reasons)))
    return (
        f"0/{total} nodes are available: {counted}. no new claims to deallocate, preemption: 0/{total} nodes are "
        f"available: {total} Preemption is not helpful for scheduling."
    )
