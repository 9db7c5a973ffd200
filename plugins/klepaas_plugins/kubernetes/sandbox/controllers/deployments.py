"""Deployments: a ReplicaSet for each template, rolled from the old ones to the new one.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
Proportional scaling during a rollout is not done: the new ReplicaSet takes the whole change.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

from klepaas_plugins.kubernetes.sandbox.events import Recorder
from klepaas_plugins.kubernetes.sandbox.model import Json, hash_suffix, revision_name
from klepaas_plugins.kubernetes.sandbox.objects import CONTROLLER, DeleteOptions, Objects, Write
from klepaas_plugins.kubernetes.sandbox.resources import DEPLOYMENTS, REPLICA_SETS
from klepaas_plugins.kubernetes.sandbox.rounding import share
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of, owner_reference, owners_named
from .deployment_status import Progress, deployment_status, roll_message

REVISION = "deployment.kubernetes.io/revision"
_HISTORY = "deployment.kubernetes.io/revision-history"
_DESIRED = "deployment.kubernetes.io/desired-replicas"
_MAX = "deployment.kubernetes.io/max-replicas"
_HASH = "pod-template-hash"
_OWN = {REVISION, _HISTORY, _DESIRED, _MAX, "kubectl.kubernetes.io/last-applied-configuration"}


@dataclass
class _Rollout:
    """A Deployment with its ReplicaSets at one moment."""

    deployment: Json
    new: Json
    old: list[Json]

    @property
    def replicas(self) -> int:
        return int(self.deployment["spec"]["replicas"])

    @property
    def recreates(self) -> bool:
        return bool(self.deployment["spec"]["strategy"]["type"] == "Recreate")

    @property
    def surge(self) -> int:
        return 0 if self.recreates else self._bounds()[0]

    @property
    def unavailable(self) -> int:
        return 0 if self.recreates else min(self._bounds()[1], self.replicas)

    def _bounds(self) -> tuple[int, int]:
        rolling = self.deployment["spec"]["strategy"].get("rollingUpdate") or {}
        surge = share(rolling.get("maxSurge", "25%"), self.replicas, up=True)
        unavailable = share(rolling.get("maxUnavailable", "25%"), self.replicas, up=False)
        return surge, unavailable if surge or unavailable else 1

    @property
    def total(self) -> int:
        return wanted(self.new) + sum(wanted(one) for one in self.old)


def wanted(replica_set: Json) -> int:
    """The replicas a ReplicaSet is asked for."""
    return int(replica_set["spec"].get("replicas", 0))


def _available(replica_set: Json) -> int:
    return int(replica_set.get("status", {}).get("availableReplicas", 0))


def _revision(obj: Json) -> int:
    return int((obj["metadata"].get("annotations") or {}).get(REVISION, 0))


def _same_template(replica_set: Json, template: Json) -> bool:
    held = replica_set["spec"]["template"]
    labels = {key: value for key, value in (held["metadata"].get("labels") or {}).items() if key != _HASH}
    return {**held, "metadata": {**held["metadata"], "labels": labels}} == {
        **template,
        "metadata": {**template["metadata"], "labels": template["metadata"].get("labels") or {}},
    }


def template_hash(template: Json, collisions: int = 0) -> str:
    """The pod-template-hash of a template (FNV-1a; not the hash a real controller computes)."""
    value = 2166136261
    for byte in json.dumps([template, collisions], sort_keys=True).encode():
        value = (value ^ byte) * 16777619 % 2**32
    return hash_suffix(value)


class DeploymentController(Base):
    """Rolls Deployments."""

    def __init__(self, objects: Objects, recorder: Recorder) -> None:
        super().__init__(objects, recorder)
        self._progress: dict[str, Progress] = {}

    def concerns(self, change: Change) -> Iterable[Key]:
        """A Deployment, or the owner of a ReplicaSet."""
        if change.resource is DEPLOYMENTS:
            return [key_of(change.object)]
        return owners_named(change, DEPLOYMENTS) if change.resource is REPLICA_SETS else ()

    def reconcile(self, namespace: str, name: str) -> float | None:
        """One step of a rollout."""
        deployment = self.store.get(DEPLOYMENTS, namespace, name)
        if deployment is None or deployment["metadata"].get("deletionTimestamp"):
            return None
        owned = self.owned(deployment, REPLICA_SETS)
        new = next((one for one in owned if _same_template(one, deployment["spec"]["template"])), None)
        paused = deployment["spec"].get("paused", False)
        if new is None and not paused:
            self._begin(deployment, owned)
            return None
        if new is None:
            new = max(owned, key=_revision) if owned else None
            if new is None:
                self.objects.set_status(DEPLOYMENTS, deployment, deployment_status(deployment, None, [], 0))
                return None
        rollout = _Rollout(deployment, new, [one for one in owned if one is not new])
        if not paused:
            rollout = self._current(rollout)
        self._roll(rollout, paused=paused)
        return self._report(namespace, name)

    def _begin(self, deployment: Json, old: list[Json]) -> None:
        """Make the ReplicaSet of a new template."""
        revision = max((_revision(one) for one in old), default=0) + 1
        template = deployment["spec"]["template"]
        suffix = template_hash(template)
        labels = {**(template["metadata"].get("labels") or {}), _HASH: suffix}
        selector = deployment["spec"]["selector"]
        held = sum(wanted(one) for one in old)
        shape = _Rollout(deployment, {"spec": {"replicas": 0}}, old)
        replicas = 0 if shape.recreates and held else min(max(shape.replicas + shape.surge - held, 0), shape.replicas)
        replica_set: Json = {
            "kind": "ReplicaSet",
            "apiVersion": "apps/v1",
            "metadata": {
                "name": revision_name(deployment["metadata"]["name"], suffix),
                "namespace": deployment["metadata"]["namespace"],
                "labels": labels,
                "annotations": self._annotations(deployment, shape, revision),
                "ownerReferences": [owner_reference(DEPLOYMENTS, deployment)],
            },
            "spec": {
                "replicas": replicas,
                "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), _HASH: suffix}},
                "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
                **(
                    {"minReadySeconds": deployment["spec"]["minReadySeconds"]}
                    if deployment["spec"].get("minReadySeconds")
                    else {}
                ),
            },
        }
        made = self.objects.create(REPLICA_SETS, deployment["metadata"]["namespace"], replica_set, Write(CONTROLLER))
        self._forget_progress(deployment)
        self._announce(deployment, made["metadata"]["name"], revision)
        if replicas:
            self._scaled(deployment, made, 0, replicas)

    def _annotations(self, deployment: Json, rollout: _Rollout, revision: int) -> Json:
        own = {k: v for k, v in (deployment["metadata"].get("annotations") or {}).items() if k not in _OWN}
        return {
            **own,
            _DESIRED: str(rollout.replicas),
            _MAX: str(rollout.replicas + rollout.surge),
            REVISION: str(revision),
        }

    def _announce(self, deployment: Json, name: str, revision: int) -> None:
        """Say on the Deployment which revision it is at and that it progresses."""
        status = deployment.get("status", {})
        conditions = Progress.created(status.get("conditions") or [], name)
        self._mark(deployment, revision, {**status, "conditions": conditions})

    def _mark(self, deployment: Json, revision: int, status: Json) -> None:
        annotations = {**(deployment["metadata"].get("annotations") or {}), REVISION: str(revision)}
        marked = {**deployment, "metadata": {**deployment["metadata"], "annotations": annotations}, "status": status}
        self.objects.write_as_controller(DEPLOYMENTS, deployment, marked)

    def _current(self, rollout: _Rollout) -> _Rollout:
        """The rollout with its new ReplicaSet at the highest revision, as when an old template returns."""
        highest = max((_revision(one) for one in rollout.old), default=0)
        revision = _revision(rollout.new)
        annotations = dict(rollout.new["metadata"].get("annotations") or {})
        if revision <= highest:
            past = annotations.get(_HISTORY)
            annotations[_HISTORY] = f"{past},{revision}" if past else str(revision)
            revision = highest + 1
        annotations |= self._annotations(rollout.deployment, rollout, revision)
        if annotations != rollout.new["metadata"].get("annotations"):
            meta = {**rollout.new["metadata"], "annotations": annotations}
            rollout.new = self.objects.control(REPLICA_SETS, rollout.new, metadata=meta)
        if _revision(rollout.deployment) != revision:
            self._forget_progress(rollout.deployment)
            self._mark(rollout.deployment, revision, rollout.deployment.get("status", {}))
            rollout.deployment = self.objects.get(DEPLOYMENTS, *key_of(rollout.deployment))
        return rollout

    def _roll(self, rollout: _Rollout, *, paused: bool) -> None:
        active = [one for one in rollout.old if wanted(one)]
        if paused or (not active and wanted(rollout.new) > rollout.replicas):
            if not active:
                self._scale(rollout, rollout.new, rollout.replicas)
            return
        if rollout.recreates:
            self._recreate(rollout, active)
            return
        if self._grow(rollout):
            return
        self._shrink(rollout, active)
        self._clean(rollout)

    def _recreate(self, rollout: _Rollout, active: list[Json]) -> None:
        for one in active:
            self._scale(rollout, one, 0)
        gone = all(
            not one.get("status", {}).get("replicas") and not one.get("status", {}).get("terminatingReplicas")
            for one in rollout.old
        )
        if not active and gone:
            self._scale(rollout, rollout.new, rollout.replicas)
            self._clean(rollout)

    def _grow(self, rollout: _Rollout) -> bool:
        held = wanted(rollout.new)
        if held > rollout.replicas:
            return self._scale(rollout, rollout.new, rollout.replicas)
        room = rollout.replicas + rollout.surge - rollout.total
        return self._scale(rollout, rollout.new, held + max(min(room, rollout.replicas - held), 0))

    def _shrink(self, rollout: _Rollout, active: list[Json]) -> None:
        """Take from the old ReplicaSets what may go: first pods that are not available, then available ones."""
        least = rollout.replicas - rollout.unavailable
        new_missing = wanted(rollout.new) - _available(rollout.new)
        spare = rollout.total - least - new_missing
        if spare <= 0:
            return
        for index, one in enumerate(active):
            broken = min(max(wanted(one) - _available(one), 0), spare)
            if broken:
                self._scale(rollout, one, wanted(one) - broken)
                active[index] = self.objects.get(REPLICA_SETS, *key_of(one))
                spare -= broken
        available = _available(rollout.new) + sum(min(_available(one), wanted(one)) for one in active)
        surplus = min(available - least, spare)
        for one in active:
            take = min(wanted(one), max(surplus, 0))
            if take:
                self._scale(rollout, one, wanted(one) - take)
                surplus -= take

    def _scale(self, rollout: _Rollout, replica_set: Json, replicas: int) -> bool:
        before = wanted(replica_set)
        if before == replicas:
            return False
        scaled = self.objects.control(REPLICA_SETS, replica_set, spec={**replica_set["spec"], "replicas": replicas})
        if replica_set is rollout.new:
            rollout.new = scaled
        self._scaled(rollout.deployment, replica_set, before, replicas)
        return True

    def _scaled(self, deployment: Json, replica_set: Json, before: int, after: int) -> None:
        message = roll_message(replica_set["metadata"]["name"], before, after)
        self.recorder.emit(DEPLOYMENTS, deployment, "Normal", "ScalingReplicaSet", message, "deployment-controller")

    def _clean(self, rollout: _Rollout) -> None:
        """Forget the oldest revisions beyond revisionHistoryLimit."""
        limit = rollout.deployment["spec"].get("revisionHistoryLimit", 10)
        idle = [one for one in rollout.old if not wanted(one) and not one.get("status", {}).get("replicas")]
        for one in sorted(idle, key=_revision)[: max(len(idle) - limit, 0)]:
            self.objects.delete(REPLICA_SETS, *key_of(one), DeleteOptions())

    def _report(self, namespace: str, name: str) -> float | None:
        deployment = self.objects.get(DEPLOYMENTS, namespace, name)
        owned = self.owned(deployment, REPLICA_SETS)
        new = next((one for one in owned if _same_template(one, deployment["spec"]["template"])), None)
        unavailable = _Rollout(deployment, new or {"spec": {}}, []).unavailable
        progress = self._progress.setdefault(deployment["metadata"]["uid"], Progress(time.time()))
        status = deployment_status(deployment, new, owned, unavailable)
        status, again_s = progress.follow(deployment, new, status, self.timing.deadline_scale)
        self.objects.set_status(DEPLOYMENTS, deployment, status)
        if len(self._progress) > 1000:
            self._progress.pop(next(iter(self._progress)))
        return again_s

    def _forget_progress(self, deployment: Json) -> None:
        self._progress[deployment["metadata"]["uid"]] = Progress(time.time())
