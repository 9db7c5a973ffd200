"""How far a rollout is, from objects alone: `rollout.decide` with every wait measured by the cluster's own timestamps.

A process that is killed every ten seconds still decides: since when a pod finds no node, since when its containers run
and since when it is ready stands in the objects, not in a process. Kubernetes writes whole seconds, so a wait may seem
up to a second longer than it was.

Sources: Kubernetes, "Pod Lifecycle" (conditions, container states), "Deployments" (Progress Deadline Seconds),
"Configure Liveness, Readiness and Startup Probes" (periodSeconds, by default 10).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from klepaas_plugins.deployments import rollout
from klepaas_plugins.deployments.causes import Cause
from klepaas_plugins.deployments.executor.intent import ObjectKey
from klepaas_plugins.deployments.executor.observed import RolloutSeen
from klepaas_plugins.deployments.objects import Object, at, condition, is_owned_by, when

__all__ = ["HOLD_MAX_S", "HOLD_MIN_S", "hold_s", "rollout_of"]

HOLD_MIN_S, HOLD_MAX_S = 3.0, 10.0
_PERIODS = 2
_PERIOD_DEFAULT_S = 10
_PROGRESS_DEADLINE_DEFAULT_S = 600
# Pods on their way out count for a quota too; without any, a refusal that lasts so long is no race.
_REFUSED_S = 3.0
_PAUSED, _QUOTA = "Paused", "quota exceeded"


def hold_s(workload: Object) -> float:
    """How long a rollout has to stay complete: two periods of its slowest readiness probe, within limits, in seconds.

    Args:
        workload: The workload.
    """
    containers = at(workload, "spec", "template", "spec", "containers") or ()
    probes = [one["readinessProbe"] for one in containers if one.get("readinessProbe")]
    if not probes:
        return HOLD_MAX_S
    slowest_s = max(float(one.get("periodSeconds") or _PERIOD_DEFAULT_S) for one in probes)
    return min(HOLD_MAX_S, max(HOLD_MIN_S, _PERIODS * slowest_s))


def rollout_of(
    key: ObjectKey,
    snapshot: rollout.Snapshot,
    *,
    cluster_s: float,
    grace_s: float,
    missed_before: str | None = None,
    hold_wish_s: float | None = None,
) -> RolloutSeen:
    """How far a rollout is.

    Args:
        key: The workload.
        snapshot: The workload, its ReplicaSets, its pods and their warnings.
        cluster_s: The cluster's time, in seconds since 1970.
        grace_s: Seconds without a node, or without the right to create pods, after which that is decisive.
        missed_before: When an earlier rollout missed its deadline. None: it did not.
        hold_wish_s: How long it has to stay complete, in seconds. None: what its probe says.
    """
    now = datetime.fromtimestamp(cluster_s, UTC)
    snapshot = replace(rollout.with_waits(snapshot, now), grace_s=grace_s, missed_before=missed_before)
    verdict = rollout.decide(snapshot)
    cause = verdict.cause
    is_paused = bool(at(snapshot.workload, "spec", "paused"))
    decisive = cause is not None and cause.decisive and cause.reason != _PAUSED and not _may_pass(snapshot, cause)
    text = None if cause is None or cause.reason == _PAUSED else _text_of(cause)
    return RolloutSeen(
        key=key,
        complete=verdict.done,
        desired=verdict.counts.desired,
        progress=verdict.progress,
        held_s=_held_s(snapshot, verdict, now) if verdict.done else 0.0,
        hold_s=hold_s(snapshot.workload) if hold_wish_s is None else hold_wish_s,
        failure=text if decisive else None,
        cause=None if decisive else text,
        paused=is_paused,
        decides_in_s=None if decisive or verdict.done else _decides_in_s(snapshot, grace_s),
        progress_deadline_in_s=None if is_paused or verdict.done else _progress_deadline_in_s(snapshot, now),
        snapshot=snapshot,
    )


def _text_of(cause: Cause) -> str:
    return f"{cause.text}: {cause.message}" if cause.message else cause.text


def _may_pass(snapshot: rollout.Snapshot, cause: Cause) -> bool:
    """Whether a quota refuses pods only because old ones have not left yet."""
    return cause.reason == _QUOTA and _has_leaving_pods(snapshot)


def _has_leaving_pods(snapshot: rollout.Snapshot) -> bool:
    if any(at(pod, "metadata", "deletionTimestamp") for pod in snapshot.pods):
        return True
    current = rollout.current_replicaset(snapshot)
    others = (one for one in snapshot.replicasets if current is None or one is not current)
    return any(int(at(one, "status", "replicas") or 0) > int(at(one, "spec", "replicas") or 0) for one in others)


def _held_s(snapshot: rollout.Snapshot, verdict: rollout.Verdict, now: datetime) -> float:
    """Since when every pod is ready and every container runs; a pod that is not seen yet holds nothing."""
    pods = rollout.current_pods(snapshot)
    if len(pods) < verdict.counts.desired:
        return 0.0
    moments = [moment for pod in pods for moment in _since(pod)]
    return max(0.0, (now - max(moments)).total_seconds()) if moments else 0.0


def _since(pod: Object) -> Iterator[datetime]:
    stamps = [condition(pod, "Ready").get("lastTransitionTime")]
    for status in at(pod, "status", "containerStatuses") or ():
        stamps.append(at(status, "state", "running", "startedAt"))
    yield from (moment for moment in map(when, stamps) if moment is not None)


def _decides_in_s(snapshot: rollout.Snapshot, grace_s: float) -> float | None:
    """When time alone makes what is wrong decisive."""
    owner = rollout.current_replicaset(snapshot)
    limits = {at(pod, "metadata", "uid"): grace_s for pod in snapshot.pods}
    if owner is not None and is_owned_by(owner, snapshot.workload):
        limits[at(owner, "metadata", "uid")] = min(grace_s, _REFUSED_S)
    left = [limits[uid] - waited_s for uid, waited_s in snapshot.waited_s.items() if uid in limits]
    return min((one for one in left if one > 0), default=None)


def _progress_deadline_in_s(snapshot: rollout.Snapshot, now: datetime) -> float | None:
    """Seconds until the controller calls the rollout late; it begins anew with every pod that comes."""
    progressing = condition(snapshot.workload, "Progressing")
    began = when(progressing.get("lastUpdateTime"))
    if snapshot.kind != "Deployment" or progressing.get("status") == "False" or began is None:
        return None
    limit_s = at(snapshot.workload, "spec", "progressDeadlineSeconds")
    ends = began + timedelta(seconds=_PROGRESS_DEADLINE_DEFAULT_S if limit_s is None else int(limit_s))
    left_s = (ends - now).total_seconds()
    return left_s if left_s > 0 else None
