"""What to answer when following a rollout has ended: done, failed with its cause, or still under way.

The words are here; the decision was `rollout.decide`'s, and what backs it up is collected by `evidence`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import anyio

from klepaas.errors import Conflict, KlepaasError, NotFound
from klepaas.output import Answer
from klepaas_plugins.deployments.causes import Cause, advice
from klepaas_plugins.deployments.errors import RolloutFailed
from klepaas_plugins.deployments.evidence import collect
from klepaas_plugins.deployments.objects import REVISION, Object, annotation, counted, images, is_owned_by, name_of
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.revisions import FAILED, Revision, choose, history
from klepaas_plugins.deployments.rollout import (
    Phase,
    Snapshot,
    current_pods,
    current_replicaset,
    missed_deadline,
    phase,
)
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.watching import Followed, Report, Target, follow

__all__ = ["Change", "evidence_names", "previous_revision", "serving", "settle"]


@dataclass(frozen=True)
class Change:
    """A change that was applied, in words.

    Attributes:
        noun: What it was: "Deployment", "Rollback", "Restart", "Scaling".
        done: What is true when it is complete: "is deployed".
        lines: What it changed, one line each.
        notes: What else the answer says, one line each.
        undo: What to do when it fails and going back to a revision is not it. None: go back to a revision.
        facts: Small values for a program.
        stored: Whether anything was stored; if not, the rollout that is looked at is an earlier one.
    """

    noun: str
    done: str
    lines: Sequence[str] = ()
    notes: Sequence[str] = ()
    undo: str | None = None
    facts: tuple[tuple[str, Any], ...] = ()
    stored: bool = True


async def settle(
    place: Place, kind: str, workload: Object, change: Change, settings: RolloutSettings, wait_s: float, report: Report
) -> Answer:
    """Wait for a change that was applied and say how it went.

    Args:
        place: Where the application is.
        kind: The workload's kind.
        workload: The workload as the change left it.
        change: The change.
        settings: How a rollout is judged.
        wait_s: Longest wait, in seconds; 0: only look.
        report: Takes progress.

    Raises:
        RolloutFailed: The rollout failed for a cause that is known.
    """
    began_s = anyio.current_time()
    missed_before = missed_deadline(workload) if change.stored else None
    target = replace(Target.of(kind, workload), missed_before=missed_before)
    try:
        followed = await follow(
            place.cluster,
            target,
            wait_s=wait_s,
            grace_s=settings.unschedulable_grace_s,
            report=report,
            hold_s=settings.min_healthy_s,
        )
    except NotFound:
        raise
    except KlepaasError as exc:
        if not change.stored:
            raise
        return _unseen(place, change, exc)
    took_s = anyio.current_time() - began_s
    await _note_failure(place, followed)
    if followed.verdict.failed and wait_s > 0:
        raise await _failure(place, followed.snapshot, followed.verdict.cause, change, settings)
    return await _answer(place, followed, change, wait_s, took_s)


def _unseen(place: Place, change: Change, trouble: KlepaasError) -> Answer:
    """The change is made; that it could not be looked at must not make anybody repeat it."""
    lines = [
        f"{change.noun} of {place.text} is applied, but how it goes could not be seen: {trouble.line}",
        *change.lines,
        *change.notes,
        f"Look again with {place.call('get_deployment_status')}.",
    ]
    return Answer("\n".join(lines), {"app": place.app_name, "namespace": place.namespace, "state": "unknown"})


async def _note_failure(place: Place, followed: Followed) -> None:
    """Note on the revision itself that it never came to life, or that it did after all.

    The note only serves a later choice, so that it cannot be made must not hide how the rollout went.
    """
    owner, cause = current_replicaset(followed.snapshot), followed.verdict.cause
    if owner is None:
        return
    never_lived = not (owner.get("status") or {}).get("availableReplicas")
    failed = followed.verdict.failed and cause is not None and cause.pod is not None and never_lived
    note = cause.reason if failed and cause is not None else None
    if annotation(owner, FAILED) == note or not (failed or followed.verdict.done):
        return
    try:
        resource = await place.cluster.resource("replicasets.apps")
        patch = {"metadata": {"annotations": {FAILED: note}}}
        await place.cluster.merge_patch(resource, name_of(owner), place.namespace, patch)
    except KlepaasError:
        return


async def _answer(place: Place, followed: Followed, change: Change, wait_s: float, took_s: float) -> Answer:
    verdict, workload = followed.verdict, followed.snapshot.workload
    revision = annotation(workload, REVISION) if verdict.counts.observed else None
    numbers = f"{verdict.progress}{f', revision {revision}' if revision else ''}"
    lines = [*change.lines, *change.notes]
    if verdict.done:
        first, state = f"{place.text} {change.done}: {numbers}, after {took_s:.0f} s.", phase(followed.snapshot)
    else:
        first, state = f"{change.noun} of {place.text} is applied and still rolling out: {numbers}.", Phase.ROLLING_OUT
        lines += await _unfinished(place, followed, wait_s)
    facts = {
        "app": place.app_name,
        "namespace": place.namespace,
        "state": str(state),
        "ready": verdict.recent,
        "replicas": verdict.counts.desired,
        "image": ", ".join(images(workload)),
        **dict(change.facts),
    }
    if revision:
        facts["revision"] = int(revision)
    if facts.get("previous_revision") == facts.get("revision"):
        facts.pop("previous_revision", None)
    return Answer("\n".join([first, *lines]), facts)


async def _unfinished(place: Place, followed: Followed, wait_s: float) -> list[str]:
    cause, again = followed.verdict.cause, f"Look again with {place.call('get_deployment_status')}."
    lines: list[str] = []
    if cause is not None:
        names = evidence_names(followed.snapshot, cause)
        evidence = await collect(place.cluster, place.namespace, cause, names, log_lines=0)
        lines += [f"So far: {_with_message(evidence.cause)}", *evidence.lines(datetime.now(UTC))]
    elif wait_s and followed.trouble is None:
        lines.append(f"Nothing has failed within {wait_s:g} s.")
    if followed.trouble is not None:
        lines.append(f"Watching it did not work: {followed.trouble.line}")
    return [*lines, again]


def _with_message(cause: Cause) -> str:
    return f"{cause.text}: {cause.message}" if cause.message else cause.text


async def _failure(
    place: Place, snapshot: Snapshot, cause: Cause | None, change: Change, settings: RolloutSettings
) -> RolloutFailed:
    assert cause is not None  # noqa: S101 - a failed verdict has one
    now = datetime.now(UTC)
    evidence = await collect(place.cluster, place.namespace, cause, evidence_names(snapshot, cause), settings.log_lines)
    cause, previous = evidence.cause, previous_revision(snapshot)
    details = [*evidence.lines(now), serving(snapshot), *change.lines]
    facts = {
        "app": place.app_name,
        "namespace": place.namespace,
        "state": "failed",
        "reason": cause.reason,
        "object": cause.subject,
        **({"container": cause.container} if cause.container else {}),
        **({"exit_code": cause.exit_code} if cause.exit_code is not None else {}),
        **({"previous_revision": previous.number} if previous else {}),
    }
    return RolloutFailed(
        f"{change.noun} of {place.text} failed: {_with_message(cause)}",
        next_step=_next_step(place, cause, change, previous),
        details="\n".join(details),
        facts=facts,
    )


def _next_step(place: Place, cause: Cause, change: Change, previous: Revision | None) -> str:
    first = advice(cause)
    if change.undo is not None:
        back = change.undo
    elif previous is not None:
        back = f"go back with {place.call('rollback_deployment', revision=previous.number)} ({previous.image})"
    else:
        back = "then deploy again; there is no earlier revision to go back to"
    return f"{first}, or {back}" if first and not back.startswith("then") else _sentence(first, back)


def _sentence(first: str | None, back: str) -> str:
    text = f"{first}, {back}" if first else back.removeprefix("then ")
    return text[0].upper() + text[1:]


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


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(found.get("type") == "Ready" and found.get("status") == "True" for found in conditions)


def evidence_names(snapshot: Snapshot, cause: Cause) -> list[str]:
    """The objects whose events tell about the cause, the most telling first."""
    owner = current_replicaset(snapshot)
    names = [cause.pod] if cause.pod else [name_of(pod) for pod in current_pods(snapshot)[:3]]
    return [*names, *([name_of(owner)] if owner is not None else []), name_of(snapshot.workload)]
