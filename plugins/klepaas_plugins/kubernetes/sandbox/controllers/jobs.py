"""Jobs: pods that run to completion. Indexed completion, suspension and deadlines are not done."""

from __future__ import annotations

import time
from collections.abc import Iterable

from klepaas_plugins.kubernetes.sandbox.model import Json, pod_prefix, timestamp
from klepaas_plugins.kubernetes.sandbox.objects import CONTROLLER, Write
from klepaas_plugins.kubernetes.sandbox.pods import is_active, is_ready
from klepaas_plugins.kubernetes.sandbox.resources import JOBS, PODS
from klepaas_plugins.kubernetes.sandbox.store import Change

from .base import Base, Key, key_of, owners_named
from .replica_sets import pod_of


class JobController(Base):
    """Makes the pods of Jobs and counts how they end."""

    def concerns(self, change: Change) -> Iterable[Key]:
        """A Job, or the owner of a pod."""
        if change.resource is JOBS:
            return [key_of(change.object)] if change.type != "DELETED" else ()
        return owners_named(change, JOBS) if change.resource is PODS else ()

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Make missing pods, or end the Job."""
        job = self.store.get(JOBS, namespace, name)
        if job is None or job["metadata"].get("deletionTimestamp") or job.get("status", {}).get("conditions"):
            return None
        if job["spec"].get("suspend"):
            return None
        spec = job["spec"]
        pods = self.owned(job, PODS)
        phases = [pod.get("status", {}).get("phase") for pod in pods]
        succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
        conditions: list[Json] = []
        if succeeded >= spec["completions"]:
            said = "Reached expected number of succeeded pods"
            conditions = [
                _condition("SuccessCriteriaMet", "CompletionsReached", said),
                _condition("Complete", "CompletionsReached", said),
            ]
        elif failed > spec["backoffLimit"]:
            said = "Job has reached the specified backoff limit"
            conditions = [
                _condition("FailureTarget", "BackoffLimitExceeded", said),
                _condition("Failed", "BackoffLimitExceeded", said),
            ]
        active = [pod for pod in pods if is_active(pod)]
        if not conditions:
            missing = min(spec["parallelism"], spec["completions"] - succeeded) - len(active)
            for _ in range(max(missing, 0)):
                active.append(self._make(job))
        self._report(job, active, succeeded, failed, conditions)
        return None

    def _make(self, job: Json) -> Json:
        meta, template = job["metadata"], job["spec"]["template"]
        labels = {
            **((template.get("metadata") or {}).get("labels") or {}),
            "batch.kubernetes.io/controller-uid": meta["uid"], "batch.kubernetes.io/job-name": meta["name"],
            "controller-uid": meta["uid"], "job-name": meta["name"],
        }  # fmt: skip
        pod = pod_of(JOBS, job, template, generateName=pod_prefix(meta["name"]), labels=labels)
        made = self.objects.create(PODS, meta["namespace"], pod, Write(CONTROLLER))
        said = f"Created pod: {made['metadata']['name']}"
        self.recorder.emit(JOBS, job, "Normal", "SuccessfulCreate", said, "job-controller")
        return made

    def _report(self, job: Json, active: list[Json], succeeded: int, failed: int, conditions: list[Json]) -> None:
        stamp = timestamp(time.time())
        status: Json = {"startTime": job.get("status", {}).get("startTime", stamp), "terminating": 0}
        status |= {"uncountedTerminatedPods": {}, "ready": sum(is_ready(pod) for pod in active)}
        counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
        status |= {name: count for name, count in counts.items() if count}
        if conditions:
            status["conditions"] = conditions
            if conditions[-1]["type"] == "Complete":
                status["completionTime"] = stamp
                self.recorder.emit(JOBS, job, "Normal", "Completed", "Job completed", "job-controller")
            else:
                said = conditions[-1]["message"]
                self.recorder.emit(JOBS, job, "Warning", "BackoffLimitExceeded", said, "job-controller")
        self.objects.set_status(JOBS, job, status)


def _condition(kind: str, reason: str, message: str) -> Json:
    stamp = timestamp(time.time())
    return {
        "type": kind, "status": "True", "lastProbeTime": stamp, "lastTransitionTime": stamp, "reason": reason,
        "message": message,
    }  # fmt: skip
