"""StatefulSets: numbered pods, one after the other, each with its claims. Update partitions are not done."""

from __future__ import annotations

from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.model import Json, revision_name
from klepaas_plugins.kubernetes.sandbox.objects import CONTROLLER, STRATEGIC_PATCH, DeleteOptions, Write
from klepaas_plugins.kubernetes.sandbox.pods import is_active, is_ready
from klepaas_plugins.kubernetes.sandbox.resources import CLAIMS, PODS, REVISIONS, STATEFUL_SETS
from klepaas_plugins.kubernetes.sandbox.selectors import selector_match
from klepaas_plugins.kubernetes.sandbox.status import ApiError
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of, owner_reference, owners_named, without_zeros
from .deployments import template_hash
from .replica_sets import pod_of

_REVISION = "controller-revision-hash"
_POD_NAME = "statefulset.kubernetes.io/pod-name"
_POD_INDEX = "apps.kubernetes.io/pod-index"


class StatefulSetController(Base):
    """Makes, replaces and deletes the pods of StatefulSets."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """A StatefulSet, or the owner of a pod."""
        if change.resource is STATEFUL_SETS:
            return [key_of(change.object)]
        return owners_named(change, STATEFUL_SETS) if change.resource is PODS else ()

    def reconcile(self, namespace: str, name: str) -> float | None:
        """One step: at most one pod made or deleted, unless the policy is Parallel."""
        found = self.store.get(STATEFUL_SETS, namespace, name)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return None
        self._adopt_revisions(found)
        revision = self._revision(found)
        pods = {_ordinal(pod): pod for pod in self.owned(found, PODS)}
        self._step(found, pods, revision)
        self._report(namespace, name, revision)
        return None

    def _adopt_revisions(self, found: Json) -> None:
        """Become the owner of revisions that nobody controls and that the selector matches.

        Raises:
            ApiError: one of them cannot be adopted: its data is not what the API server would write. Nothing moves.
        """
        namespace, match = found["metadata"]["namespace"], selector_match(found["spec"]["selector"])
        owner = {"metadata": {"ownerReferences": [owner_reference(STATEFUL_SETS, found)]}}
        for one in self.store.list(REVISIONS, namespace):
            owned = any(other.get("controller") for other in one["metadata"].get("ownerReferences") or ())
            if not owned and match(one["metadata"].get("labels") or {}):
                self.objects.patch(
                    REVISIONS, namespace, one["metadata"]["name"], STRATEGIC_PATCH, owner, "", Write(CONTROLLER)
                )

    def _revision(self, found: Json) -> str:
        template = found["spec"]["template"]
        name = revision_name(found["metadata"]["name"], template_hash(template))
        if self.store.get(REVISIONS, found["metadata"]["namespace"], name) is None:
            made = {
                "metadata": {"name": name, "ownerReferences": [owner_reference(STATEFUL_SETS, found)]},
                "data": {"spec": {"template": template}},
                "revision": len(self.owned(found, REVISIONS)) + 1,
            }
            self.objects.create(REVISIONS, found["metadata"]["namespace"], made, Write(CONTROLLER))
        return name

    def _step(self, found: Json, pods: dict[int, Json], revision: str) -> None:
        parallel = found["spec"].get("podManagementPolicy") == "Parallel"
        replicas = found["spec"]["replicas"]
        if self._grow(found, pods, revision, parallel):
            return
        for ordinal in sorted((one for one in pods if one >= replicas), reverse=True):
            self._delete(found, pods[ordinal])
            if not parallel:
                return
        if found["spec"]["updateStrategy"]["type"] == "RollingUpdate":
            self._renew(found, [pods[one] for one in sorted(pods, reverse=True) if one < replicas], revision)

    def _grow(self, found: Json, pods: dict[int, Json], revision: str, parallel: bool) -> bool:
        """Make missing pods; whether to wait for the first that is not ready, which a later revision may replace."""
        for ordinal in range(found["spec"]["replicas"]):
            pod = pods.get(ordinal)
            if pod is None:
                self._make(found, ordinal, revision)
            if not parallel and (pod is None or not is_ready(pod)):
                return pod is None or (is_active(pod) and self._is_current(pod, revision))
        return False

    def _renew(self, found: Json, pods: list[Json], revision: str) -> None:
        """Delete the last pod of an old revision, once those after it are ready."""
        for pod in pods:
            if not self._is_current(pod, revision):
                self._delete(found, pod)
                return
            if not is_ready(pod):
                return

    def _is_current(self, pod: Json, revision: str) -> bool:
        return bool((pod["metadata"].get("labels") or {}).get(_REVISION) == revision)

    def _make(self, found: Json, ordinal: int, revision: str) -> None:
        meta, template = found["metadata"], found["spec"]["template"]
        name = f"{meta['name']}-{ordinal}"
        labels = {
            **(template["metadata"].get("labels") or {}),
            _REVISION: revision, _POD_NAME: name, _POD_INDEX: str(ordinal),
        }  # fmt: skip
        pod = pod_of(STATEFUL_SETS, found, template, name=name, labels=labels)
        pod["spec"] = {**pod["spec"], "hostname": name, "subdomain": found["spec"].get("serviceName", "")}
        self._claim(found, pod)
        try:
            self.objects.create(PODS, meta["namespace"], pod, Write(CONTROLLER))
        except ApiError as error:
            said = f"create Pod {name} in StatefulSet {meta['name']} failed error: {error}"
            self.recorder.emit(STATEFUL_SETS, found, "Warning", "FailedCreate", said, "statefulset-controller")
            raise
        said = f"create Pod {name} in StatefulSet {meta['name']} successful"
        self.recorder.emit(STATEFUL_SETS, found, "Normal", "SuccessfulCreate", said, "statefulset-controller")

    def _claim(self, found: Json, pod: Json) -> None:
        """Make the claims of a numbered pod, unless an earlier one of its number left them, and mount them."""
        namespace, volumes = found["metadata"]["namespace"], list(pod["spec"].get("volumes") or ())
        for template in found["spec"].get("volumeClaimTemplates") or ():
            base = (template.get("metadata") or {}).get("name", "data")
            name = f"{base}-{pod['metadata']['name']}"
            volumes.append({"name": base, "persistentVolumeClaim": {"claimName": name}})
            if self.store.get(CLAIMS, namespace, name) is None:
                made = {
                    "metadata": {**(template.get("metadata") or {}), "name": name},
                    "spec": template.get("spec") or {},
                }
                self.objects.create(CLAIMS, namespace, made, Write(CONTROLLER))
        if volumes:
            pod["spec"]["volumes"] = volumes

    def _delete(self, found: Json, pod: Json) -> None:
        if pod["metadata"].get("deletionTimestamp"):
            return
        self.objects.delete(PODS, *key_of(pod), DeleteOptions())
        said = f"delete Pod {pod['metadata']['name']} in StatefulSet {found['metadata']['name']} successful"
        self.recorder.emit(STATEFUL_SETS, found, "Normal", "SuccessfulDelete", said, "statefulset-controller")

    def _report(self, namespace: str, name: str, revision: str) -> None:
        found = self.objects.get(STATEFUL_SETS, namespace, name)
        pods = [pod for pod in self.owned(found, PODS) if is_active(pod)]
        ready = sum(is_ready(pod) for pod in pods)
        current = sum(self._is_current(pod, revision) for pod in pods)
        settled = current == len(pods) == found["spec"]["replicas"]
        before = found.get("status", {}).get("currentRevision", revision)
        status = {
            "observedGeneration": found["metadata"]["generation"], "replicas": len(pods), "readyReplicas": ready,
            "currentReplicas": current, "updatedReplicas": current, "availableReplicas": ready,
            "currentRevision": revision if settled else before, "updateRevision": revision, "collisionCount": 0,
        }  # fmt: skip
        self.objects.set_status(
            STATEFUL_SETS, found, without_zeros(status, "replicas", "availableReplicas", "collisionCount")
        )


def _ordinal(pod: Json) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])
