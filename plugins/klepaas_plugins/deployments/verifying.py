"""The health gate: whether a change that was applied has come to life, and why not.

It follows each workload of the change (`watching`) until it has stayed healthy for long enough or has failed for a
decisive cause, and collects what backs the cause up. What follows from it is decided in `carrying`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from klepaas.errors import Conflict, Forbidden, KlepaasError, NotFound
from klepaas_plugins.deployments.causes import Cause, advice
from klepaas_plugins.deployments.evidence import collect
from klepaas_plugins.deployments.executor.progress import hold_s
from klepaas_plugins.deployments.hold import Hold, Record
from klepaas_plugins.deployments.lookup import find
from klepaas_plugins.deployments.objects import annotation, counted, is_owned_by, name_of
from klepaas_plugins.deployments.outages import Patience, is_outage
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import WorkloadName
from klepaas_plugins.deployments.revisions import FAILED, Revision, choose, history
from klepaas_plugins.deployments.rollout import Snapshot, current_pods, current_replicaset
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.watching import Followed, Report, Target, follow

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = [
    "Failure",
    "Gated",
    "evidence_names",
    "explain",
    "gate",
    "hold_record",
    "note_on_revision",
    "observed_in",
    "previous_revision",
    "serving",
    "with_message",
]


@dataclass(frozen=True)
class Failure:
    """Why a change failed, as an operation's notes keep it.

    Attributes:
        what: The cause on one line.
        advice: What to do about it, as the beginning of a sentence. None: nothing is known.
        details: Evidence, one line each.
        facts: Small values for a program.
        gone: Whether the workload was deleted meanwhile, so that somebody does not want it any more.
        observed: What was looked at, each in a few words.
        at: When, in seconds since 1970.
    """

    what: str
    advice: str | None = None
    details: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    gone: bool = False
    observed: Sequence[str] = ()
    at: float = field(default_factory=time.time)

    def as_json(self) -> dict[str, Any]:
        """As notes keep it."""
        return {
            "what": self.what,
            "advice": self.advice,
            "details": list(self.details),
            "facts": dict(self.facts),
            "gone": self.gone,
            "observed": list(self.observed),
            "at": self.at,
        }


@dataclass(frozen=True)
class Gated:
    """What the gate saw.

    Attributes:
        followed: How the workload that decided was seen last. None: it could not be seen.
        failure: Why the change failed. None: it did not.
        trouble: Why it could not be seen, or not be followed. None: it could.
        took_s: How long it took, in seconds.
    """

    followed: Followed | None = None
    failure: Failure | None = None
    trouble: KlepaasError | None = None
    took_s: float = 0.0

    @property
    def verified(self) -> bool:
        """Whether the change has come to life and stayed alive."""
        return self.failure is None and self.followed is not None and self.followed.settled


async def gate(
    place: Place,
    workloads: Sequence[WorkloadName],
    settings: RolloutSettings,
    report: Report,
    *,
    limit_s: float,
    missed_before: Mapping[str, str],
    run: "Run | None" = None,
) -> Gated:
    """Wait for a change that was applied.

    Args:
        place: Where the application is.
        workloads: What rolls out.
        settings: How a rollout is judged.
        report: Takes progress.
        limit_s: Longest wait, in seconds.
        missed_before: When an earlier rollout of a workload missed its deadline, by kind and name; see `watching`.
        run: Keeps for the next process how long it has been complete. None: nobody goes on.
    """
    began_s = anyio.current_time()
    seen = Gated()
    for kind, name in workloads:
        rest_s = max(0.0, limit_s - (anyio.current_time() - began_s))
        missed = missed_before.get(f"{kind}/{name}")
        hold = Hold(settings.min_healthy_s or 0.0, hold_record(run, f"{kind}/{name}"))
        patience = Patience(run) if run is not None else None
        seen = await _one(place, (kind, name), missed, settings, report, rest_s, hold, patience)
        if not seen.verified:
            break
    return replace(seen, took_s=anyio.current_time() - began_s)


def hold_record(run: "Run | None", name: str) -> Record:
    """What an operation's notes say of how long a workload has been complete.

    Args:
        run: The operation. None: nobody goes on.
        name: The workload, as "Kind/name".
    """
    if run is None:
        return Record()
    known: Mapping[str, Any] = run.notes.get("complete") or {}

    async def keep(fact: Mapping[str, Any]) -> None:
        await run.note(complete={**(run.notes.get("complete") or {}), name: dict(fact)})

    return Record(known.get(name), keep)


async def _one(
    place: Place,
    workload: WorkloadName,
    missed: str | None,
    settings: RolloutSettings,
    report: Report,
    limit_s: float,
    hold: Hold,
    patience: Patience | None,
) -> Gated:
    kind, name = workload
    live = None
    try:
        live = await find(place.cluster, f"{kind.lower()}s.apps", name, place.namespace)
        if live is None:
            return Gated(failure=_gone(kind, name))
        if settings.min_healthy_s is None:
            hold.needed_s = hold_s(live)
        target = replace(Target.of(kind, live), missed_before=missed)
        grace_s = settings.unschedulable_grace_s
        followed = await follow(
            place.cluster,
            target,
            wait_s=limit_s,
            grace_s=grace_s,
            report=report,
            hold=hold,
            seen=live,
            patience=patience,
        )
    except NotFound:
        return Gated(failure=_gone(kind, name))
    except KlepaasError as exc:
        # Who may read the workload and not its pods has a role that is so; waiting would not end.
        if is_outage(exc) and not (live is not None and isinstance(exc, Forbidden)):
            raise
        return Gated(trouble=exc)
    await note_on_revision(place, followed)
    if followed.verdict.failed and followed.verdict.cause is not None:
        return Gated(followed, await explain(place, followed.snapshot, followed.verdict.cause, settings))
    return Gated(followed, trouble=followed.trouble)


def _gone(kind: str, name: str) -> Failure:
    what, facts = f"{kind.lower()} {name} was deleted meanwhile", {"reason": "deleted"}
    return Failure(what, facts=facts, gone=True, observed=(f"{kind.lower()} {name}",))


async def explain(place: Place, snapshot: Snapshot, cause: Cause, settings: RolloutSettings) -> Failure:
    """A cause with what backs it up.

    Args:
        place: Where the application is.
        snapshot: What was seen.
        cause: The cause.
        settings: How many log lines to show.
    """
    names = evidence_names(snapshot, cause)
    evidence = await collect(place.cluster, place.namespace, cause, names, settings.log_lines)
    cause = evidence.cause
    facts = {
        "reason": cause.reason,
        "object": cause.subject,
        **({"container": cause.container} if cause.container else {}),
        **({"exit_code": cause.exit_code} if cause.exit_code is not None else {}),
    }
    details = [*evidence.lines(datetime.now(UTC)), serving(snapshot)]
    return Failure(with_message(cause), advice(cause), details, facts, observed=observed_in(snapshot))


def observed_in(snapshot: Snapshot) -> tuple[str, ...]:
    """What a snapshot has looked at, for a Verdict."""
    return (f"{snapshot.subject}, {counted(len(snapshot.pods), 'pod')}",)


def with_message(cause: Cause) -> str:
    """A cause with the cluster's own sentence."""
    return f"{cause.text}: {cause.message}" if cause.message else cause.text


async def note_on_revision(place: Place, followed: Followed) -> None:
    """Note on the revision itself that it never came to life, or that it did after all.

    The note only serves a later choice, so that it cannot be made must not hide how the rollout went.

    Args:
        place: Where the application is.
        followed: How the rollout went.
    """
    owner, cause = current_replicaset(followed.snapshot), followed.verdict.cause
    if owner is None:
        return
    never_lived = not (owner.get("status") or {}).get("availableReplicas")
    failed = followed.verdict.failed and cause is not None and cause.pod is not None and never_lived
    note = cause.reason if failed and cause is not None else None
    if annotation(owner, FAILED) == note or not (failed or followed.verdict.done):
        return
    from klepaas_plugins.deployments.planning.apply import own_body, plan_object
    from klepaas_plugins.kubernetes.client import write

    try:
        body = own_body(owner, "ReplicaSet", "apps/v1")
        body["metadata"].pop("annotations", None)
        body["metadata"].update({} if note is None else {"annotations": {FAILED: note}})
        await write(place.cluster, await plan_object(place, body))
    except KlepaasError:
        return


def previous_revision(snapshot: Snapshot) -> Revision | None:
    """The revision that a rollback would choose. None: there is none."""
    if snapshot.kind != "Deployment":
        return None
    try:
        return choose(snapshot.workload, history(snapshot.workload, snapshot.replicasets), None)
    except Conflict:
        return None


def serving(snapshot: Snapshot) -> str:
    """Which revision serves with how many pods now."""
    if snapshot.kind != "Deployment":
        ready = sum(_is_ready(pod) for pod in snapshot.pods if is_owned_by(pod, snapshot.workload))
        return f"Now: {counted(ready, 'pod')} ready"
    alive = [item for item in history(snapshot.workload, snapshot.replicasets) if item.available]
    parts = [
        f"{'revision' if item.is_current else 'the old revision'} {item.number} ({item.image}) serves with "
        f"{counted(item.available, 'pod')}"
        for item in alive
    ]
    return f"Now: {'; '.join(parts)}" if parts else "Now: no pod serves"


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(found.get("type") == "Ready" and found.get("status") == "True" for found in conditions)


def evidence_names(snapshot: Snapshot, cause: Cause) -> list[str]:
    """The objects whose events tell about the cause, the most telling first."""
    owner = current_replicaset(snapshot)
    names = [cause.pod] if cause.pod else [name_of(pod) for pod in current_pods(snapshot)[:3]]
    return [*names, *([name_of(owner)] if owner is not None else []), name_of(snapshot.workload)]
