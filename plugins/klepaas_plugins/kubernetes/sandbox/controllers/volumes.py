"""Claims and volumes: bound to each other where one fits, or where a class provisions.

A StorageClass of the provisioner `klepaas.io/sandbox` gets a volume at once, or with its first pod when its binding
mode is WaitForFirstConsumer; any other class waits for a provisioner that never comes, as on a cluster without one.
Released volumes are not reclaimed; classes are never the default.
"""

from __future__ import annotations

from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.model import Json
from klepaas_plugins.kubernetes.sandbox.objects import CONTROLLER, Write
from klepaas_plugins.kubernetes.sandbox.quantities import quantity
from klepaas_plugins.kubernetes.sandbox.resources import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of

PROVISIONER = "klepaas.io/sandbox"
_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
_COMPLETED = "pv.kubernetes.io/bind-completed"
_WAITING = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
    "registered."
)


def claims_of(pod: Json) -> list[str]:
    """The names of the claims a pod mounts."""
    sources = [volume.get("persistentVolumeClaim") or {} for volume in pod["spec"].get("volumes") or ()]
    return [source["claimName"] for source in sources if source.get("claimName")]


class ClaimController(Base):
    """Binds claims, or says why they stay pending."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """Claims; those a new pod mounts; all pending ones when a volume or class appears."""
        if change.resource is CLAIMS:
            return () if change.type == "DELETED" else [key_of(change.object)]
        if change.resource is PODS and change.type == "ADDED":
            return [(change.object["metadata"]["namespace"], name) for name in claims_of(change.object)]
        if change.resource in (VOLUMES, STORAGE_CLASSES) and change.type == "ADDED":
            return [key_of(claim) for claim in self.store.list(CLAIMS) if not claim["spec"].get("volumeName")]
        return ()

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Bind, report, or let a deleted claim go."""
        claim = self.store.get(CLAIMS, namespace, name)
        if claim is None:
            return None
        if claim["metadata"].get("deletionTimestamp"):
            self.objects.control(CLAIMS, claim, metadata={**claim["metadata"], "finalizers": []})
            return None
        if claim["spec"].get("volumeName"):
            volume = self.store.get(VOLUMES, "", claim["spec"]["volumeName"])
            if volume is not None and (claim.get("status") or {}).get("phase") != "Bound":
                self._bind(claim, volume)
            return None
        volume = self._fitting(claim) or self._provisioned(claim)
        if volume is not None:
            self._bind(claim, volume)
        return None

    def _fitting(self, claim: Json) -> Json | None:
        wanted = quantity((claim["spec"].get("resources") or {}).get("requests", {}).get("storage", "0"))
        for volume in self.store.list(VOLUMES):
            spec = volume["spec"]
            fits = quantity((spec.get("capacity") or {}).get("storage", "0")) >= wanted
            modes = set(claim["spec"].get("accessModes") or ()) <= set(spec.get("accessModes") or ())
            same = (spec.get("storageClassName") or "") == (claim["spec"].get("storageClassName") or "")
            if fits and modes and same and not spec.get("claimRef"):
                return volume
        return None

    def _provisioned(self, claim: Json) -> Json | None:
        """A volume made for a claim; None, and an event that says why, when there will be none."""
        wanted = claim["spec"].get("storageClassName")
        held = self.store.get(STORAGE_CLASSES, "", wanted) if wanted else None
        if held is None:
            self._explain(claim, wanted)
            return None
        if held.get("volumeBindingMode") == "WaitForFirstConsumer" and not self._has_consumer(claim):
            said = "waiting for first consumer to be created before binding"
            self._event(claim, "Normal", "WaitForFirstConsumer", said)
            return None
        if held.get("provisioner") != PROVISIONER:
            self._event(claim, "Normal", "ExternalProvisioning", _WAITING.format(held.get("provisioner")))
            return None
        made = self.objects.create(VOLUMES, "", _volume_for(claim, held), Write(CONTROLLER))
        said = f"Successfully provisioned volume {made['metadata']['name']}"
        self._event(claim, "Normal", "ProvisioningSucceeded", said)
        return made

    def _explain(self, claim: Json, wanted: str | None) -> None:
        if wanted:
            said = f'storageclass.storage.k8s.io "{wanted}" not found'
            self._event(claim, "Warning", "ProvisioningFailed", said)
        else:
            said = "no persistent volumes available for this claim and no storage class is set"
            self._event(claim, "Normal", "FailedBinding", said)

    def _has_consumer(self, claim: Json) -> bool:
        namespace, name = key_of(claim)
        return any(name in claims_of(pod) for pod in self.store.list(PODS, namespace))

    def _event(self, claim: Json, kind: str, reason: str, message: str) -> None:
        self.recorder.emit(CLAIMS, claim, kind, reason, message, "persistentvolume-controller", count=1)

    def _bind(self, claim: Json, volume: Json) -> None:
        meta = claim["metadata"]
        reference = {
            "kind": "PersistentVolumeClaim", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"],
            "apiVersion": "v1", "resourceVersion": meta["resourceVersion"],
        }  # fmt: skip
        name, spec = volume["metadata"]["name"], volume["spec"]
        volume = self.objects.control(
            VOLUMES, volume, metadata=_noted(volume, _BY_CONTROLLER), spec={**spec, "claimRef": reference}
        )
        self.objects.set_status(VOLUMES, volume, {"phase": "Bound"})
        claim = self.objects.control(
            CLAIMS,
            claim,
            metadata=_noted(claim, _COMPLETED, _BY_CONTROLLER),
            spec={**claim["spec"], "volumeName": name},
        )
        status = {"phase": "Bound", "accessModes": spec.get("accessModes"), "capacity": spec.get("capacity")}
        self.objects.set_status(CLAIMS, claim, status)


def _noted(obj: Json, *annotations: str) -> Json:
    meta: Json = obj["metadata"]
    return {**meta, "annotations": {**(meta.get("annotations") or {}), **dict.fromkeys(annotations, "yes")}}


def _volume_for(claim: Json, held: Json) -> Json:
    meta, spec = claim["metadata"], claim["spec"]
    return {
        "kind": "PersistentVolume",
        "apiVersion": "v1",
        "metadata": {
            "name": f"pvc-{meta['uid']}",
            "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
        },
        "spec": {
            "capacity": dict((spec.get("resources") or {}).get("requests") or {}),
            "accessModes": spec.get("accessModes"),
            "persistentVolumeReclaimPolicy": held.get("reclaimPolicy", "Delete"),
            "storageClassName": spec.get("storageClassName"),
            "volumeMode": spec.get("volumeMode"),
            "hostPath": {"path": f"/sandbox/{meta['uid']}", "type": ""},
        },
    }
