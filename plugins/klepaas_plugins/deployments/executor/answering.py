"""How a change ends: its release marked, gone back where that was decided, and the answer, from intent and last look.

Going back is `undoing`'s affair: once its first step has begun, it goes on whatever is there.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from klepaas.changes import FieldChange, ObjectChange
from klepaas.errors import KlepaasError
from klepaas.operations import OperationCancelled, Outcome
from klepaas.output.verdict import Claim, nothing_changed, term
from klepaas_plugins.deployments.executor import recording
from klepaas_plugins.deployments.executor.case import Case
from klepaas_plugins.deployments.executor.decisions import End, Ended, Restore, Verify
from klepaas_plugins.deployments.executor.following import Rollouts
from klepaas_plugins.deployments.executor.intent import Failure as FailureSeen
from klepaas_plugins.deployments.executor.intent import FailureKind, Intent, ObjectKey
from klepaas_plugins.deployments.executor.journal import Journal
from klepaas_plugins.deployments.executor.observed import Observed
from klepaas_plugins.deployments.meanwhile import are_other_pods, changed_by_others, lines_of_others
from klepaas_plugins.deployments.outcome import ANSWERS, Words, nothing_done
from klepaas_plugins.deployments.own_release import OwnRelease
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import CANCELLED, Change
from klepaas_plugins.deployments.releases import ReleaseState
from klepaas_plugins.deployments.rollout import decide as judge_rollout
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.undoing import Undoing
from klepaas_plugins.deployments.verifying import Failure, Gated, explain, note_on_revision, observed_in
from klepaas_plugins.deployments.watching import Followed

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["Answering", "Ending"]

UNDO = "undo"
_RESTORE_LIMIT_S = 300.0
_COMPARED = "what is there is as the call wants it"
_NOT_STARTED = "no write of the operation was taken"
_STEPS = ("the steps of the operation",)
# What is left as it is although it is not as wanted, and what a person may do about it.
_LEFT: Mapping[End, str] = {
    End.DELETED: "It is not brought back, since somebody deleted it.",
    End.SUPERSEDED: "What others set is left to them; call again to set it anew.",
    End.PAUSED: "It is not rolled back; resume the rollout, or call rollback_deployment.",
    End.NAMESPACE_GONE: "Nothing can be changed there any more.",
    End.NOT_SERVED: "Install what serves that kind, then call again.",
}


@dataclass(frozen=True)
class Ending:
    """What is known at the end.

    Attributes:
        intent: What was wanted.
        seen: What is there.
        rollouts: The workloads.
        errors: What refused the last write of an object.
    """

    intent: Intent
    seen: Observed
    rollouts: Rollouts
    errors: Mapping[ObjectKey, KlepaasError]

    @property
    def followed(self) -> Followed | None:
        """The workload that decides: one that is not complete, else the last. None: none was seen."""
        shown = [one for one in self.seen.rollouts if one.snapshot is not None]
        chosen = next((one for one in shown if not one.complete), shown[-1] if shown else None)
        if chosen is None or chosen.snapshot is None:
            return None
        verdict = judge_rollout(chosen.snapshot)
        return Followed(chosen.snapshot, verdict, None, chosen.held_s, settled=chosen.is_settled)


@dataclass
class Answering:
    """Ends one change.

    Attributes:
        place: Where the application is.
        run: The operation's attempt.
        settings: How a rollout is judged.
        own: The release that it makes.
        journal: The intent on record.
        written: What this attempt has written, as the server answered.
    """

    place: Place
    run: "Run"
    settings: RolloutSettings
    own: OwnRelease
    journal: Journal
    written: list[ObjectChange] = field(default_factory=list)
    _began_s: float = field(default_factory=anyio.current_time)

    @property
    def is_going_back(self) -> bool:
        """Whether going back has begun."""
        return any(name.startswith(UNDO) for name in self.run.begun)

    async def end(self, decision: Verify | Restore | Ended, ending: Ending) -> Outcome:
        """End it as it was decided.

        Args:
            decision: The decision.
            ending: What is known.

        Raises:
            KlepaasError: The cluster is in trouble; or the change was refused before anything was written.
        """
        if isinstance(decision, Verify):
            return await self._verified(ending)
        if isinstance(decision, Restore):
            return await self._restore(decision.failure, ending)
        return await self._left(decision, ending)

    @property
    def _change(self) -> Change:
        return Change.from_json(self.run.notes["change"])

    def _words(self, changed: Sequence[str] = (), reached: Sequence[str] = ()) -> Words:
        return Words(self.place, self._change, self.run.operation.id, changed, reached)

    # As wanted.

    async def _verified(self, ending: Ending) -> Outcome:
        await self.own.record(ReleaseState.PENDING)
        followed = ending.followed
        live = followed.snapshot.workload if followed is not None else {}
        others = changed_by_others(self.written, live) if live and self._change.stored else []
        if followed is not None:
            await note_on_revision(self.place, followed)
        release = None if are_other_pods(others) else await self.own.mark(ReleaseState.PASSED)
        notes = self.run.notes
        lines = [f"This release could not be recorded: {notes['unrecorded']}"] if notes.get("unrecorded") else []
        if notes.get("unmarked"):
            lines.append(f"This release could not be marked as {term(Claim.VERIFIED)}: {notes['unmarked']}")
        return self._words().verified(self._gated(followed), release, [*lines_of_others(others), *lines], others)

    def _gated(self, followed: Followed | None) -> Gated:
        return Gated(followed, took_s=anyio.current_time() - self._began_s)

    # Not as wanted.

    async def _restore(self, failure: FailureSeen, ending: Ending) -> Outcome:
        """Back to what was there before the change."""
        if not self._change.stored:
            return await self._stay(await self._explain(failure, ending), _nothing_changed(_COMPARED), ending)
        number = self.run.notes.get("back")
        found = await self._note_failure(failure, ending)
        if number is None or (number == 0 and not self.own.unrecorded):
            return await self._stay(found, f"There is no earlier {term(Claim.VERIFIED)} release to go back to.", ending)
        return await self.go_back()

    async def go_back(self) -> Outcome:
        """Back, or the rest of the way.

        Raises:
            KlepaasError: The cluster is in trouble; it is to be tried again.
        """
        failure, undoing = Failure(**self.run.notes["failure"]), self._undoing
        await self.own.record(ReleaseState.FAILED)
        changed = await self.own.changed_fields(undoing)
        await self.own.mark(ReleaseState.FAILED, failure.what)
        undone = await undoing.go_back(await undoing.release(int(self.run.notes.get("back") or 0)))
        words = self._words(changed, self._reached())
        if undone.failure is not None:
            return words.not_rolled_back(failure, undone)
        return words.rolled_back(failure, undone, cancelled=bool(self.run.notes.get("cancelled")))

    @property
    def _undoing(self) -> Undoing:
        own = self.own
        return Undoing(self.place, self.run, own.releases, self.settings, own.unrecorded, _RESTORE_LIMIT_S)

    async def _left(self, decision: Ended, ending: Ending) -> Outcome:
        """It ends, and what is there stays."""
        if not ending.intent.begun and self._change.stored:
            return self._refused(decision, ending)
        if decision.failure is None:
            found = Failure(decision.text, facts={"reason": decision.end.value}, observed=ANSWERS)
            return await self._stay(found, _LEFT.get(decision.end, ""), ending, decision.end)
        found = await self._note_failure(decision.failure, ending)
        return await self._stay(found, self._how_to_go_back(), ending)

    def _refused(self, decision: Ended, ending: Ending) -> Outcome:
        """Nothing was written.

        Raises:
            KlepaasError: What refused the write.
        """
        if decision.end is End.CANCELLED:
            reason = OperationCancelled("somebody asked to cancel it")
            return nothing_done(self.place, self.run.operation, reason)
        for error in ending.errors.values():
            raise error
        found = Failure(decision.text, facts={"reason": decision.end.value}, observed=ANSWERS)
        return self._words().left(found, _nothing_changed(_NOT_STARTED), cancelled=False)

    async def _stay(self, failure: Failure, back: str, ending: Ending, end: End | None = None) -> Outcome:
        """What was written stays; its release failed, unless it was somebody else who changed it."""
        changed: list[str] = []
        if self._change.stored:
            await self.own.record(ReleaseState.PENDING if end is End.SUPERSEDED else ReleaseState.FAILED)
            changed = await self.own.changed_fields(self._undoing)
            if end is not End.SUPERSEDED:
                await self.own.mark(ReleaseState.FAILED, failure.what)
        reached = [*self._reached(), *(_lines_of_takers(ending) if end is End.SUPERSEDED else ())]
        cancelled = bool(self.run.notes.get("cancelled"))
        return self._words(changed, reached).left(failure, back, cancelled=cancelled)

    def _how_to_go_back(self) -> str:
        """Why it is not rolled back, and what a person can do."""
        number = self.run.notes.get("back")
        if not self._change.stored:
            return _nothing_changed(_COMPARED)
        if number is None or (number == 0 and not self.own.unrecorded):
            return f"There is no earlier {term(Claim.VERIFIED)} release to go back to."
        return f"Go back with {self.place.call('rollback_deployment', release=number)}."

    def _reached(self) -> list[str]:
        """What was changed and what was not, where it was stopped on the way."""
        effects, begun = list(self.run.notes["effects"]), self.run.begun
        missing = [name for name in effects if name not in begun]
        if not missing and not self.run.notes.get("cancelled"):
            return []
        done = [name for name in effects if name in begun]
        lines = [f"Done before it was stopped: {', '.join(done) or 'nothing'}"]
        return [*lines, f"Not done: {', '.join(missing)}"] if missing else lines

    # Why.

    async def _note_failure(self, failure: FailureSeen, ending: Ending) -> Failure:
        """The failure with its evidence, on record with the intent: the first one stays."""
        noted = self.run.notes.get("failure")
        if noted is not None:
            return Failure(**noted)
        found = await self._explain(failure, ending)
        followed = ending.followed
        if followed is not None:
            await note_on_revision(self.place, followed)
        await self.run.note(
            failure=found.as_json(),
            decided_at=time.time(),
            cancelled=failure.kind is FailureKind.CANCELLED,
            **self.journal.note_of(recording.record_failure(ending.intent, failure)),
        )
        return found

    async def _explain(self, failure: FailureSeen, ending: Ending) -> Failure:
        """What backs a failure up."""
        followed = ending.followed
        if failure.kind is FailureKind.CANCELLED:
            return Failure(CANCELLED, facts={"reason": "cancelled"}, observed=_STEPS)
        if failure.kind is FailureKind.ROLLOUT and followed is not None and followed.verdict.cause is not None:
            return await explain(self.place, followed.snapshot, followed.verdict.cause, self.settings)
        observed = ANSWERS if followed is None else observed_in(followed.snapshot)
        reason = "deadline" if failure.kind is FailureKind.DEADLINE else failure.kind.value
        return Failure(failure.text, facts={"reason": reason}, observed=observed)


def _nothing_changed(basis: str) -> str:
    return f"{nothing_changed(basis).capitalize()}."


def _lines_of_takers(ending: Ending) -> list[str]:
    """What others set since, for an answer."""
    case = Case(ending.intent, ending.seen, ending.seen.at)
    fields: list[FieldChange] = [one for pair in case.pairs for one in pair.remaining]
    return lines_of_others(fields)
