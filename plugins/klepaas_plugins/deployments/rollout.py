"""How far a rollout is: one pure decision over what is seen of a workload at one moment.

It asks nobody and waits for nothing; `watching` feeds it. A rollout is done when the controller has seen the change and
every pod is of it and available; it has failed when a decisive cause is there (`causes`). Else it is under way.

Sources: Kubernetes, "Deployments" (status, conditions, revision annotation), "StatefulSets" (update strategies).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from klepaas.output.verdict import Claim
from klepaas.output.verdict import Verdict as Seen
from klepaas_plugins.deployments.causes import Cause, held_up, pod_causes, replica_failure, worst
from klepaas_plugins.deployments.objects import (
    REVISION,
    Object,
    annotation,
    at,
    condition,
    desired_replicas,
    is_owned_by,
    labels,
    message_line,
    name_of,
    uid,
    when,
)

__all__ = [
    "Counts",
    "Phase",
    "Snapshot",
    "Verdict",
    "counts",
    "current_pods",
    "current_replicaset",
    "decide",
    "first_seen_waiting",
    "missed_deadline",
    "phase",
    "with_waits",
]


_REFUSED_S = 3.0


class Phase(Enum):
    """How a workload is, for code that decides; an answer writes it by `words`."""

    READY = "ready"
    STOPPED = "scaled to 0"
    ROLLING_OUT = "rolling out"
    DEGRADED = "degraded"
    FAILED = "failed"

    def words(self, seen: Seen) -> str:
        """The state as an answer says it.

        Args:
            seen: What it rests on.
        """
        return seen.render(Claim.HEALTHY) if self is Phase.READY else self.value


@dataclass(frozen=True)
class Counts:
    """A workload's numbers, the same for every kind.

    Attributes:
        desired: Pods wanted.
        total: Pods there are, old ones included.
        updated: Pods of the current template.
        ready: Pods that are ready.
        available: Pods that have been ready for long enough.
        observed: Whether the controller has seen the newest change.
    """

    desired: int
    total: int
    updated: int
    ready: int
    available: int
    observed: bool

    @property
    def complete(self) -> bool:
        """Whether every wanted pod is of the current template and available, and no other is left."""
        return self.observed and self.updated == self.total == self.available == self.desired


@dataclass(frozen=True)
class Snapshot:
    """What is seen of a workload at one moment.

    Attributes:
        kind: Deployment, StatefulSet or DaemonSet.
        workload: The object itself.
        replicasets: The ReplicaSets that a Deployment controls.
        pods: The workload's pods.
        waited_s: Seconds since each pod was first seen without a node, and each ReplicaSet without the right to create
            pods, by uid.
        grace_s: Seconds of either after which that is decisive.
        missed_before: When the deadline of an earlier rollout was missed, as the API says it; the controller leaves
            that condition in place when a change goes back to pods that exist. None: it was not.
        warnings: Warning events about pods of the namespace.
    """

    kind: str
    workload: Object
    replicasets: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    waited_s: Mapping[str, float] = field(default_factory=dict)
    grace_s: float = 0.0
    missed_before: str | None = None
    warnings: Sequence[Object] = ()

    @property
    def subject(self) -> str:
        """The workload as a sentence names it: "deployment web"."""
        return f"{self.kind.lower()} {name_of(self.workload)}"


@dataclass(frozen=True)
class Verdict:
    """What a snapshot says.

    Attributes:
        counts: The workload's numbers.
        done: Whether the rollout is complete.
        cause: The worst cause found. None: nothing is wrong.
        recent: Pods of the current template that are ready.
    """

    counts: Counts
    done: bool
    cause: Cause | None
    recent: int

    @property
    def failed(self) -> bool:
        """Whether waiting longer cannot be expected to help."""
        return not self.done and self.cause is not None and self.cause.decisive

    @property
    def progress(self) -> str:
        """The numbers as a person says them."""
        old = self.counts.total - self.counts.updated
        leaving = f", {old} old to go" if old > 0 else ""
        return f"{self.recent} of {self.counts.desired} pods ready{leaving}"


def counts(kind: str, workload: Object) -> Counts:
    """A workload's numbers."""
    status = workload.get("status") or {}
    observed = int(status.get("observedGeneration") or 0) >= int(at(workload, "metadata", "generation") or 0)

    def number(name: str) -> int:
        return int(status.get(name) or 0)

    if kind == "DaemonSet":
        return Counts(
            desired=number("desiredNumberScheduled"),
            total=number("currentNumberScheduled"),
            updated=number("updatedNumberScheduled"),
            ready=number("numberReady"),
            available=number("numberAvailable"),
            observed=observed,
        )
    ready = number("readyReplicas")
    # A StatefulSet counts as updated what is of updateRevision; before its first update the field is absent.
    same = kind == "StatefulSet" and status.get("currentRevision") == status.get("updateRevision")
    return Counts(
        desired=desired_replicas(workload),
        total=number("replicas"),
        updated=number("replicas") if same else number("updatedReplicas"),
        ready=ready,
        available=number("availableReplicas") if kind == "Deployment" else status.get("availableReplicas", ready),
        observed=observed,
    )


def current_replicaset(snapshot: Snapshot) -> Object | None:
    """The ReplicaSet of a Deployment's current template. None: it is not made yet, or the controller lags behind."""
    if not counts(snapshot.kind, snapshot.workload).observed:
        return None
    revision = annotation(snapshot.workload, REVISION)
    for replicaset in snapshot.replicasets:
        if annotation(replicaset, REVISION) == revision and is_owned_by(replicaset, snapshot.workload):
            return replicaset
    return None


def current_pods(snapshot: Snapshot) -> list[Object]:
    """The pods of the current template, without those on their way out."""
    alive = [pod for pod in snapshot.pods if not at(pod, "metadata", "deletionTimestamp")]
    if snapshot.kind == "Deployment":
        owner = current_replicaset(snapshot)
        return [pod for pod in alive if owner is not None and is_owned_by(pod, owner)]
    mine = [pod for pod in alive if is_owned_by(pod, snapshot.workload)]
    revision = at(snapshot.workload, "status", "updateRevision")
    if not revision:
        return mine
    return [pod for pod in mine if labels(pod).get("controller-revision-hash", revision) == revision]


def decide(snapshot: Snapshot) -> Verdict:
    """How far the rollout is and what stands in its way."""
    numbers = counts(snapshot.kind, snapshot.workload)
    pods = current_pods(snapshot)
    recent = sum(condition(pod, "Ready").get("status") == "True" for pod in pods)
    cause = None
    if numbers.observed and not numbers.complete:
        cause = _cause(snapshot, pods)
    # The pods seen may lag behind the workload that counts them.
    recent = numbers.available if numbers.complete else min(recent, numbers.desired)
    return Verdict(numbers, numbers.complete, cause, recent)


def _cause(snapshot: Snapshot, pods: Sequence[Object]) -> Cause | None:
    of_pods = worst([*pod_causes(pods, snapshot.waited_s, snapshot.grace_s), *held_up(pods, snapshot.warnings)])
    if of_pods is not None and of_pods.decisive:
        return of_pods
    refused = _refused(snapshot)
    if refused is not None and refused.decisive:
        return refused
    if at(snapshot.workload, "spec", "paused"):
        return Cause(snapshot.subject, "Paused", "the rollout is paused, so nothing is rolled out")
    missed = missed_deadline(snapshot.workload)
    if missed is not None and missed != snapshot.missed_before:
        return _late(snapshot, condition(snapshot.workload, "Progressing"), refused or of_pods)
    return refused or of_pods


def missed_deadline(workload: Object) -> str | None:
    """When a Deployment's rollout missed its deadline, as the API says it. None: it did not."""
    late = condition(workload, "Progressing")
    if late.get("status") != "False" or late.get("reason") != "ProgressDeadlineExceeded":
        return None
    return str(late.get("lastUpdateTime") or "")


def _refused(snapshot: Snapshot) -> Cause | None:
    """Why pods of the current template may not be created; an old ReplicaSet's trouble does not count."""
    if snapshot.kind != "Deployment":
        return None
    owner = current_replicaset(snapshot)
    if owner is None:
        return replica_failure(snapshot.workload, snapshot.subject)
    if not counts("ReplicaSet", owner).observed:
        return None
    refused = replica_failure(owner, f"replicaset {name_of(owner)}")
    # Pods that are still on their way out count for a quota too, so a first refusal may pass.
    waited_s = snapshot.waited_s.get(uid(owner), 0.0)
    return replace(refused, decisive=waited_s >= min(snapshot.grace_s, _REFUSED_S)) if refused else None


def _late(snapshot: Snapshot, late: Object, of_pods: Cause | None) -> Cause:
    """The deadline is over: the pods' own trouble, now decisive, else the controller's sentence."""
    if of_pods is None:
        return Cause(snapshot.subject, "ProgressDeadlineExceeded", message_line(late.get("message")))
    reason = "never became ready" if of_pods.reason == "not ready" else of_pods.reason
    return replace(of_pods, reason=reason, decisive=True)


def phase(snapshot: Snapshot) -> Phase:
    """How the workload is.

    Without pods and ReplicaSets in the snapshot the answer rests on the workload's own conditions.
    """
    verdict = decide(snapshot)
    if verdict.done:
        return Phase.READY if verdict.counts.desired else Phase.STOPPED
    if not _settled(snapshot):
        return Phase.FAILED if verdict.failed else Phase.ROLLING_OUT
    return Phase.DEGRADED if verdict.counts.available else Phase.FAILED


def _settled(snapshot: Snapshot) -> bool:
    """Whether the newest rollout had come to its end before, so that what is missing now has gone ill since."""
    numbers = counts(snapshot.kind, snapshot.workload)
    if snapshot.kind == "Deployment":
        progressing = condition(snapshot.workload, "Progressing")
        return numbers.observed and progressing.get("reason") == "NewReplicaSetAvailable"
    return numbers.observed and numbers.updated == numbers.total == numbers.desired


def first_seen_waiting(found: Sequence[Object], known: Mapping[str, float], now_s: float) -> dict[str, float]:
    """When each pod without a node, and each ReplicaSet that may create none, was first seen so.

    Args:
        found: Pods and ReplicaSets.
        known: What this said before.
        now_s: The caller's clock, in seconds.
    """
    return {uid(item): known.get(uid(item), now_s) for item in found if _stuck(item)}


def _stuck(item: Object) -> bool:
    unscheduled = condition(item, "PodScheduled").get("reason") == "Unschedulable"
    return unscheduled or condition(item, "ReplicaFailure").get("status") == "True"


def with_waits(snapshot: Snapshot, now: datetime) -> Snapshot:
    """The snapshot with how long each pod and ReplicaSet has been stuck, by the cluster's own account."""
    kinds = {"PodScheduled": ("False", snapshot.pods), "ReplicaFailure": ("True", snapshot.replicasets)}
    waited_s: dict[str, float] = {}
    for kind, (stuck, found) in kinds.items():
        for item in found:
            seen = condition(item, kind)
            since = when(seen.get("lastTransitionTime")) if seen.get("status") == stuck else None
            if since is not None:
                waited_s[uid(item)] = (now - since).total_seconds()
    return replace(snapshot, waited_s=waited_s)
