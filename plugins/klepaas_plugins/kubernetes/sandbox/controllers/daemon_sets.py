"""DaemonSets: a pod on every node that its template's node selector fits.

Pods of an old template are replaced, at most maxUnavailable at a time; maxSurge, taints and affinities are not done.
"""

from __future__ import annotations

from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.model import Json, pod_prefix
from klepaas_plugins.kubernetes.sandbox.objects import CONTROLLER, DeleteOptions, Write
from klepaas_plugins.kubernetes.sandbox.pods import is_active, is_ready
from klepaas_plugins.kubernetes.sandbox.resources import DAEMON_SETS, NODES, PODS
from klepaas_plugins.kubernetes.sandbox.rounding import share
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of, owners_named, without_zeros
from .deployments import template_hash
from .replica_sets import pod_of

_REVISION = "controller-revision-hash"
_TOLERATED = (("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"),
              ("memory-pressure", "NoSchedule"), ("pid-pressure", "NoSchedule"),
              ("unschedulable", "NoSchedule"))  # fmt: skip
_ZEROS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")


class DaemonSetController(Base):
    """Makes, replaces and deletes the pods of DaemonSets."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """A DaemonSet, the owner of a pod, or all when nodes come and go."""
        if change.resource is DAEMON_SETS:
            return [key_of(change.object)]
        if change.resource is NODES and change.type != "MODIFIED":
            return [key_of(one) for one in self.store.list(DAEMON_SETS)]
        return owners_named(change, DAEMON_SETS) if change.resource is PODS else ()

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Make what is missing, delete what is out of place or date, and count."""
        found = self.store.get(DAEMON_SETS, namespace, name)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return None
        revision = template_hash(found["spec"]["template"])
        nodes = [node["metadata"]["name"] for node in self.store.list(NODES) if _fits(found, node)]
        pods = {_node_of(pod): pod for pod in self.owned(found, PODS) if is_active(pod)}
        for node in nodes:
            if node not in pods:
                self._make(found, node, revision)
        for node, pod in pods.items():
            if node not in nodes:
                self._delete(found, pod)
        self._renew(found, [pods[node] for node in nodes if node in pods], revision)
        self._report(namespace, name, nodes, revision)
        return None

    def _make(self, found: Json, node: str, revision: str) -> None:
        meta, template = found["metadata"], found["spec"]["template"]
        labels = {**(template["metadata"].get("labels") or {}), _REVISION: revision}
        pod = pod_of(DAEMON_SETS, found, template, generateName=pod_prefix(meta["name"]), labels=labels)
        tolerations = [
            {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": effect} for why, effect in _TOLERATED
        ]
        term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        kept = template["spec"].get("tolerations") or []
        pod["spec"] = {**pod["spec"], "affinity": {"nodeAffinity": required}, "tolerations": [*kept, *tolerations]}
        made = self.objects.create(PODS, meta["namespace"], pod, Write(CONTROLLER))
        self._event(found, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    def _delete(self, found: Json, pod: Json) -> None:
        self.objects.delete(PODS, *key_of(pod), DeleteOptions())
        self._event(found, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    def _event(self, found: Json, reason: str, message: str) -> None:
        self.recorder.emit(DAEMON_SETS, found, "Normal", reason, message, "daemonset-controller")

    def _renew(self, found: Json, pods: list[Json], revision: str) -> None:
        strategy = found["spec"].get("updateStrategy") or {}
        if strategy.get("type") != "RollingUpdate":
            return
        most = share((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), len(pods), up=True)
        room = most - sum(not is_ready(pod) for pod in pods)
        for pod in (pod for pod in pods if not _is_current(pod, revision)):
            if not is_ready(pod) or room > 0:
                room -= is_ready(pod)
                self._delete(found, pod)

    def _report(self, namespace: str, name: str, nodes: list[str], revision: str) -> None:
        found = self.objects.get(DAEMON_SETS, namespace, name)
        pods = [pod for pod in self.owned(found, PODS) if is_active(pod) and _node_of(pod) in nodes]
        ready = sum(is_ready(pod) for pod in pods)
        status = {
            "currentNumberScheduled": len(pods), "numberMisscheduled": 0, "desiredNumberScheduled": len(nodes),
            "numberReady": ready, "observedGeneration": found["metadata"]["generation"],
            "updatedNumberScheduled": sum(_is_current(pod, revision) for pod in pods), "numberAvailable": ready,
            "numberUnavailable": len(nodes) - ready,
        }  # fmt: skip
        self.objects.set_status(DAEMON_SETS, found, without_zeros(status, *_ZEROS))


def _fits(found: Json, node: Json) -> bool:
    labels = node["metadata"].get("labels") or {}
    wanted = found["spec"]["template"]["spec"].get("nodeSelector") or {}
    return all(labels.get(name) == value for name, value in wanted.items())


def _node_of(pod: Json) -> str:
    return str(pod["spec"].get("nodeName") or pinned_node(pod))


def pinned_node(pod: Json) -> str:
    """The one node a pod must be on by its affinity, as pods of DaemonSets are; empty for any."""
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and len(field.get("values") or ()) == 1:
                return str(field["values"][0])
    return ""


def _is_current(pod: Json, revision: str) -> bool:
    return bool((pod["metadata"].get("labels") or {}).get(_REVISION) == revision)
