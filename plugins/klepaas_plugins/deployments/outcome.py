"""How a change ended, in words and facts: verified, left as it is, rolled back, or in need of a person.

Only words: what is decided is `carrying`'s affair, what was seen `verifying`'s.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from klepaas.changes import FieldChange
from klepaas.errors import Conflict, KlepaasError
from klepaas.operations import Interrupted, OperationCancelled, Outcome, State
from klepaas.output.verdict import Claim, Verdict
from klepaas_plugins.deployments.evidence import collect
from klepaas_plugins.deployments.meanwhile import exception_of_others
from klepaas_plugins.deployments.objects import REVISION, annotation, images
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change
from klepaas_plugins.deployments.releases.model import Release
from klepaas_plugins.deployments.rollout import phase
from klepaas_plugins.deployments.verifying import Failure, Gated, evidence_names, observed_in, with_message

if TYPE_CHECKING:
    from klepaas.operations import Operation

__all__ = ["ANSWERS", "Undone", "Words", "nothing_done"]

# What shows that a change was applied, or could not be.
ANSWERS = ("the cluster's answers to what was applied",)
_OUTSIDE = "requests from outside the cluster"


@dataclass(frozen=True)
class Undone:
    """How going back went.

    Attributes:
        release: What it was to go back to.
        lines: What that did, one line each.
        failure: Why the restored release does not come to life, or could not be restored. None: it lives.
        revision: The Deployment's revision then. None: there is none.
        took_s: How long it took, in seconds.
        exception: What a sentence about the release adds where not all of it came back; else empty.
    """

    release: Release
    lines: Sequence[str] = ()
    failure: str | None = None
    revision: int | None = None
    took_s: float = 0.0
    exception: str = ""


@dataclass(frozen=True)
class Words:
    """The words for one change.

    Attributes:
        place: Where the application is.
        change: The change.
        operation_id: The operation.
        changed: What differs from the last verified release, the most telling first, one line each.
        reached: How far it came before it stopped, one line each; empty where all of it was applied.
    """

    place: Place
    change: Change
    operation_id: str
    changed: Sequence[str] = ()
    reached: Sequence[str] = ()

    def verified(
        self, gated: Gated, release: Release | None, notes: Sequence[str], others: Sequence[FieldChange] = ()
    ) -> Outcome:
        """It lives.

        Args:
            gated: What the gate saw.
            release: The release that was verified. None: none was.
            notes: What else is said, one line each.
            others: What others have changed since it was written.
        """
        followed = gated.followed
        assert followed is not None  # noqa: S101 - what was verified was seen
        verdict, workload = followed.verdict, followed.snapshot.workload
        revision = annotation(workload, REVISION)
        number = release.number if release is not None and release.number else None
        numbers = [verdict.progress, *([f"revision {revision}"] if revision else [])]
        numbers += [f"release {number}"] if number else []
        done = f"{self.place.text} {self.change.done}{exception_of_others(others)}"
        first = f"{done}: {', '.join(numbers)}, after {gated.took_s:.0f} s."
        seen = _gated(gated.took_s)
        facts = {
            **self._facts(phase(followed.snapshot).words(seen)),
            "ready": verdict.recent,
            "replicas": verdict.counts.desired,
            "image": ", ".join(images(workload)),
            **self.change.facts,
            **({"revision": int(revision)} if revision else {}),
            **({"release": number} if number else {}),
            **({"changed_by_others": [one.path for one in others]} if others else {}),
            **seen.facts(),
        }
        if facts.get("previous_revision") == facts.get("revision"):
            facts.pop("previous_revision", None)
        lines = [first, *self.change.lines, *self.change.notes, *notes, seen.basis()]
        return Outcome(State.SUCCEEDED, "\n".join(lines), facts)

    async def unseen(self, gated: Gated) -> Outcome:
        """It is applied, and how it goes cannot be seen; that must not make anybody repeat it."""
        look = f"Look again with {self.place.call('get_deployment_status')}."
        what = f"{self.change.noun} of {self.place.text} is applied"
        why = gated.trouble.line if gated.trouble else "the time was over."
        lines = [f"{what}, but how it goes could not be seen: {why}", *self.change.lines, *self.change.notes]
        if gated.followed is not None:
            lines += await self._so_far(gated)
        observed = observed_in(gated.followed.snapshot) if gated.followed is not None else ()
        seen = Verdict(observed=(*ANSWERS, *observed), not_checked=("whether it stays so", _OUTSIDE))
        return Outcome(State.UNKNOWN, "\n".join([*lines, look, seen.basis()]), self._facts("unknown") | seen.facts())

    async def _so_far(self, gated: Gated) -> list[str]:
        followed = gated.followed
        cause = followed.verdict.cause if followed else None
        if followed is None or cause is None:
            return []
        names = evidence_names(followed.snapshot, cause)
        evidence = await collect(self.place.cluster, self.place.namespace, cause, names, log_lines=0)
        return [f"So far: {with_message(evidence.cause)}", *evidence.lines(datetime.now(UTC))]

    def left(self, failure: Failure, back: str, *, cancelled: bool) -> Outcome:
        """It failed, or was cancelled, and stays as it is.

        Args:
            failure: Why.
            back: What to do about it beside the failure's own advice.
            cancelled: Whether somebody cancelled it.
        """
        seen = _seen(failure)
        if cancelled:
            what = f"{self.change.noun} of {self.place.text} was cancelled"
            lines = [f"{what} and stays as it is. {back}", *(self.reached or self.change.lines), seen.basis()]
            return Outcome(State.CANCELLED, "\n".join(lines), self._facts("cancelled") | seen.facts())
        what = f"{self.change.noun} of {self.place.text} failed: {failure.what}"
        return self._failed(State.FAILED, "failed", what, failure, [f"It stays as it is. {back}"], seen)

    def rolled_back(self, failure: Failure, undone: Undone, *, cancelled: bool) -> Outcome:
        """It failed, or was cancelled, and what was there before is there again."""
        again = _gated(undone.took_s)
        good, seen = again.render(Claim.VERIFIED), _seen(failure, f"after going back {again.observed[0]}")
        release = f"release {undone.release.number} ({undone.release.image}){undone.exception}"
        which = f"{release}, {good} after {undone.took_s:.0f} s"
        how = "was cancelled" if cancelled else "failed"
        what = f"{self.change.noun} of {self.place.text} {how} and is rolled back to {which}"
        what = what if cancelled else f"{what}: {failure.what}"
        facts = {
            "release": undone.release.number,
            "image": undone.release.image,
            **({"revision": undone.revision} if undone.revision else {}),
        }
        if cancelled:
            return Outcome(
                State.CANCELLED,
                "\n".join([f"{what}.", *self.reached, *undone.lines, seen.basis()]),
                {**self._facts("cancelled"), **facts, **seen.facts()},
            )
        return self._failed(State.ROLLED_BACK, "rolled back", what, failure, undone.lines, seen, facts)

    def not_rolled_back(self, failure: Failure, undone: Undone) -> Outcome:
        """It failed, and so did going back: a person is needed."""
        target = undone.release
        what = (
            f"{self.change.noun} of {self.place.text} failed AND ITS ROLLBACK to release {target.number} FAILED TOO, "
            f"so it needs a person now: {failure.what}"
        )
        call = self.place.call("rollback_deployment", release=target.number)
        lines = [
            f"The rollback: {undone.failure}",
            *undone.lines,
            f"What to do: look with {self.place.call('get_deployment_status')}, mend what the rollback says, "
            f"then try again with {call}.",
        ]
        seen = _seen(failure, f"going back to release {target.number}")
        return self._failed(State.FAILED, "failed", what, failure, lines, seen, {"rollback_failed": True})

    def _facts(self, state: str) -> dict[str, Any]:
        return {
            "app": self.place.app_name,
            "namespace": self.place.namespace,
            "state": state,
            "operation": self.operation_id,
        }

    def _failed(
        self,
        state: State,
        shown: str,
        what: str,
        failure: Failure,
        lines: Sequence[str],
        seen: Verdict,
        facts: Mapping[str, Any] | None = None,
    ) -> Outcome:
        changed = [f"Changed: {'; '.join(self.changed)}"] if self.changed else list(self.change.lines)
        details = [*failure.details, *self.reached, *changed, *lines, seen.basis()]
        found = {**self._facts(shown), **failure.facts, **(facts or {}), **seen.facts()}
        error = Conflict(what, next_step=failure.advice, details="\n".join(details))
        return Outcome(state, error.text, found, _as_json(error))


def _gated(took_s: float) -> Verdict:
    """What the health gate has looked at."""
    watched = f"rollout, pods and restarts for {took_s:.0f} s"
    return Verdict(observed=(watched,), not_checked=(_OUTSIDE,))


def _seen(failure: Failure, *further: str) -> Verdict:
    """What is known of a change that failed: what showed the failure, and what was looked at since."""
    at = time.time() if further else failure.at
    return Verdict(observed=(*failure.observed, *further), not_checked=(_OUTSIDE,), at=at)


def nothing_done(place: Place, operation: "Operation", reason: Interrupted) -> Outcome:
    """It was stopped before its first effect.

    Args:
        place: Where the application is.
        operation: The operation.
        reason: Why it was stopped.
    """
    cancelled = isinstance(reason, OperationCancelled)
    seen = Verdict(
        observed=(f"the steps of operation {operation.id}: none that changes the application had begun",),
        not_checked=("whether what ran before was put on record as a release",),
    )
    what = f"{operation.title} was stopped: {reason}. {seen.render(Claim.NOTHING_CHANGED).capitalize()}"
    state = State.CANCELLED if cancelled else State.FAILED
    facts = {
        "app": place.app_name,
        "namespace": place.namespace,
        "state": str(state),
        "operation": operation.id,
        **seen.facts(),
    }
    if cancelled:
        return Outcome(state, f"{what}.\n{seen.basis()}", facts)
    error = Conflict(what, next_step="Call it again", details=seen.basis())
    return Outcome(state, error.text, facts, _as_json(error))


def _as_json(error: KlepaasError) -> dict[str, Any]:
    return {**error.structured(), "what": error.what, "next_step": error.next_step, "details": error.details}
