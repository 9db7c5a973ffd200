"""Carrying a change of an application out, as an operation that survives its process.

    plan -> baseline release -> each effect, a step -> release, pending -> health gate -> verified
                                                                              `-> failed -> last verified release again

Every attempt runs through this from the start: what is done is on record (`Run.step`), and what was decided is in the
operation's notes, so that no later attempt decides again. It rolls back once at most, and never rolls back a rollback.
"""

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from klepaas.changes import ObjectChange
from klepaas.errors import Conflict, KlepaasError
from klepaas.host import Host
from klepaas.operations import PLANNED, DeadlinePassed, Interrupted, OperationCancelled, Outcome
from klepaas.output.verdict import Claim, nothing_changed, term
from klepaas_plugins.deployments.meanwhile import are_other_pods, changed_by_others, lines_of_others
from klepaas_plugins.deployments.outages import is_outage
from klepaas_plugins.deployments.outcome import ANSWERS, Words, nothing_done
from klepaas_plugins.deployments.own_release import OwnRelease
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import CANCELLED, Change, Effect, Planned
from klepaas_plugins.deployments.releases import (
    Cause,
    Releases,
    ReleaseSettings,
    ReleaseState,
)
from klepaas_plugins.deployments.rollout import missed_deadline
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.undoing import Undoing
from klepaas_plugins.deployments.verifying import Failure, Gated, gate, observed_in

if TYPE_CHECKING:
    from klepaas.operations import Run
    from klepaas_plugins.deployments.executor.shadow import Shadow

__all__ = ["Carrier"]

# How the steps of a rollback that was asked for are called.
_BACK = "roll back: "
# How those of going back after a failure are.
_BACK_AGAIN = "undo"
# How it is known that a change stored nothing.
_COMPARED = "what is there is as the call wants it"
_PLANNED_ANEW = "the change was planned again before its first step"
# What shows that a change was cancelled.
_STEPS = ("the steps of the operation",)

# Compares what is decided here with `executor.decide`; None: nobody does.
shadow: "Shadow | None" = None
# Gets what an earlier attempt has chosen; empty in the first one.
Plan = Callable[[Mapping[str, Any]], Awaitable[Planned]]


async def _not_there() -> None:
    """An effect that has nothing left to do."""


async def _as_it_should_be() -> Mapping[str, Any]:
    """A look-up for what the plan does not name any more."""
    return {}


@dataclass(frozen=True)
class Carrier:
    """One change.

    Attributes:
        place: Where the application is.
        run: The operation's attempt.
        releases: The application's releases.
        settings: How a rollout is judged.
        own: The release that it makes.
        auto_rollback: Whether a failure is rolled back.
        plan: Looks what the change would do.
        written: What it makes of each object, as the server computed it in this attempt.
    """

    place: Place
    run: "Run"
    releases: Releases
    settings: RolloutSettings
    own: OwnRelease
    auto_rollback: bool
    plan: Plan
    written: list[ObjectChange] = field(default_factory=list)

    @classmethod
    def of(cls, host: Host, place: Place, run: "Run", cause: Cause, plan: Plan, *, auto_rollback: bool) -> "Carrier":
        """One change, with the settings and releases of a host.

        Args:
            host: The settings and shared services.
            place: Where the application is.
            run: The operation's attempt.
            cause: What makes the release.
            plan: Looks what the change would do.
            auto_rollback: Whether a failure is rolled back.
        """
        releases = Releases(place, ReleaseSettings.of(host))
        own = OwnRelease(run, releases, cause)
        return cls(place, run, releases, RolloutSettings.of(host), own, auto_rollback, plan)

    async def carry_out(self) -> Outcome:
        """The change, or the rest of it.

        Raises:
            KlepaasError: It was refused before anything was changed, or is to be tried again.
            Interrupted: It must stop here.
        """
        failure = self._noted_failure()
        if failure is not None:
            return await self._alive_after_all() or await self._undo(failure)
        failure = await self._begin_and_apply()
        if failure is None:
            gated = await self._gate()
            if gated.verified:
                await self._shadow("verify")
                return await self._verified(gated)
            if gated.failure is None:
                return await self._undecided(gated)
            failure = gated.failure
        await self.run.note(failure=failure.as_json(), decided_at=time.time())
        return await self._undo(failure)

    async def leave_in_order(self, reason: Interrupted) -> Outcome:
        """After a cancel, the deadline, or too many attempts: back to what was there, unless nothing was done.

        Args:
            reason: Why it was stopped.

        Raises:
            KlepaasError: It is to be tried again.
            Interrupted: It must stop here.
        """
        cancelled = isinstance(reason, OperationCancelled)
        if "change" not in self.run.notes or (self._change.stored and not self.run.begun):
            return nothing_done(self.place, self.run.operation, reason)
        alive = None if cancelled or self.run.notes.get("cancelled") else await self._alive_after_all()
        if alive is not None:
            return alive
        failure = self._noted_failure() or await self._why_stopped(reason)
        decided_at = self.run.notes.get("decided_at", time.time())
        cancelled = bool(self.run.notes.get("cancelled")) or cancelled
        await self.run.note(failure=failure.as_json(), cancelled=cancelled, decided_at=decided_at)
        return await self._undo(failure)

    @property
    def _undoing(self) -> Undoing:
        return Undoing(self.place, self.run, self.releases, self.settings, self.own.unrecorded)

    # What was decided.

    @property
    def _change(self) -> Change:
        return Change.from_json(self.run.notes["change"])

    def _noted_failure(self) -> Failure | None:
        noted = self.run.notes.get("failure")
        return None if noted is None else Failure(**noted)

    def _words(self, changed: list[str] | None = None) -> Words:
        return Words(self.place, self._change, self.run.operation.id, changed or (), self._reached())

    def _reached(self) -> list[str]:
        """What was changed and what was not, where it was stopped on the way."""
        effects, begun = list(self.run.notes["effects"]), self.run.begun
        missing = [name for name in effects if name not in begun]
        if not missing and not self.run.notes.get("cancelled"):
            return []
        done = [name for name in effects if name in begun]
        done += sorted(name.removeprefix(_BACK) for name in begun if name.startswith(_BACK))
        lines = [f"Done before it was stopped: {', '.join(done) or 'nothing'}"]
        return [*lines, f"Not done: {', '.join(missing)}"] if missing else lines

    # The change itself.

    async def _begin_and_apply(self) -> Failure | None:
        """Every effect; why it failed half-way, where it did."""
        try:
            begun = await self._begin()
        except KlepaasError as exc:
            # What an earlier attempt has begun must not be left half done.
            if is_outage(exc) or not self.run.begun:
                raise
            return Failure(f"it could not be gone on with: {exc.line}", facts={"reason": exc.code}, observed=ANSWERS)
        if shadow is not None:
            await shadow.compare_plan(self, begun)
        self.written[:] = begun.changes.objects if begun.changes is not None else ()
        return await self._apply(begun)

    async def _begin(self) -> Planned:
        """The plan; what it says is noted before the first effect."""
        noted = self.run.notes
        await self.run.report(0, 0, "looking at what it changes")
        planned = await self.plan(noted.get("pins") or {})
        if "change" in noted:
            return planned
        self._refuse_another(planned)
        effects = [effect.name for effect in planned.needed]
        baseline = back = None
        if effects or planned.restores is not None:
            self.run.check()
            baseline, back = await self.own.find_baseline()
        missed = {name: missed_deadline(item) for name, item in planned.before.items()}
        await self.run.note(
            change=planned.change.as_json(),
            effects=effects,
            pins=dict(planned.pins),
            workloads=[list(workload) for workload in planned.workloads],
            missed={name: moment for name, moment in missed.items() if moment and planned.change.stored},
            back=None if back is None else back.number,
            baseline=None if baseline is None else baseline.number,
            began_at=time.time(),
        )
        return planned

    def _refuse_another(self, planned: Planned) -> None:
        """Refuse to make another change than the one that was planned, and confirmed where it had to be.

        Raises:
            Conflict: What would be sent now, or what it rests on, differs.
        """
        from klepaas_plugins.deployments.planning.apply import is_planned

        token = (self.run.operation.request.get(PLANNED) or {}).get("token")
        if token is None or planned.changes is None or is_planned(planned.changes, str(token)):
            return
        raise Conflict(
            f"{self.run.operation.title} would change something else than was planned, since somebody changed what it "
            f"rests on; {nothing_changed(_PLANNED_ANEW)}",
            next_step="Call again, to plan it on what is there now",
        )

    async def _apply(self, planned: Planned) -> Failure | None:
        """Every effect; why it failed half-way, where it did."""
        done = 0
        effects = {effect.name: effect for effect in planned.effects}
        names: list[str] = list(self.run.notes["effects"])
        try:
            if planned.restores is not None:
                take = bool(self.run.operation.request.get("take_ownership"))
                stage = _BACK.rstrip(": ")
                await self._undoing.restore(planned.restores, stage, keep_scale=True, take_ownership=take)
            for name in names:
                await self.run.report(done, len(names), name)
                # What an earlier attempt has removed is in no later plan.
                effect = effects.get(name) or Effect(name, _not_there, _as_it_should_be)
                await self.run.step(name, effect.do, find=effect.find)
                done += 1
        except KlepaasError as exc:
            if is_outage(exc) or not self.run.begun:
                raise
            return Failure(
                f"only a part of it could be applied: {exc.line}", facts={"reason": exc.code}, observed=ANSWERS
            )
        return None

    async def _gate(self) -> Gated:
        await self.own.record(ReleaseState.PENDING)
        noted = self.run.notes
        workloads = [(kind, name) for kind, name in noted["workloads"]]
        gated = await gate(
            self.place,
            workloads,
            self.settings,
            self.run.report,
            limit_s=self.run.seconds_left,
            missed_before=noted["missed"],
            run=self.run,
        )
        if shadow is not None:
            shadow.see(self, gated)
        return gated

    async def _shadow(self, older: str, failure: Failure | None = None) -> None:
        """Compare what is decided here, where somebody asks for that."""
        if shadow is not None:
            await shadow.compare_end(self, older, failure)

    async def _verified(self, gated: Gated) -> Outcome:
        live = gated.followed.snapshot.workload if gated.followed is not None else {}
        others = changed_by_others(self.written, live) if live and self._change.stored else []
        release = None if are_other_pods(others) else await self.own.mark(ReleaseState.PASSED)
        unrecorded = self.run.notes.get("unrecorded")
        notes = [f"This release could not be recorded: {unrecorded}"] if unrecorded else []
        unmarked = self.run.notes.get("unmarked")
        notes += [f"This release could not be marked as {term(Claim.VERIFIED)}: {unmarked}"] if unmarked else []
        return self._words().verified(gated, release, [*lines_of_others(others), *notes], others)

    async def _undecided(self, gated: Gated) -> Outcome:
        """Neither alive nor dead: its time is over, or it cannot be seen."""
        if gated.trouble is None:
            self.run.check()
            raise DeadlinePassed("its deadline is over")
        await self._shadow("end without having seen it")
        return await self._words().unseen(gated)

    # Going back.

    async def _why_stopped(self, reason: Interrupted) -> Failure:
        """What was wrong when it was stopped."""
        if isinstance(reason, OperationCancelled):
            return Failure(CANCELLED, facts={"reason": "cancelled"}, observed=_STEPS)
        workloads = [(kind, name) for kind, name in self.run.notes["workloads"]]
        seen = await gate(
            self.place, workloads, self.settings, self.run.report, limit_s=0, missed_before=self.run.notes["missed"]
        )
        if seen.failure is not None:
            return seen.failure
        cause = seen.followed.verdict.cause if seen.followed else None
        so_far = f"; so far {cause.text}" if cause else ""
        observed = observed_in(seen.followed.snapshot) if seen.followed else ()
        return Failure(f"{reason}{so_far}", facts={"reason": "deadline"}, observed=observed)

    async def _alive_after_all(self) -> Outcome | None:
        """The look before every way back: what is there as wanted and healthy is never undone. None: it is not."""
        begun, effects = self.run.begun, self.run.notes["effects"]
        is_going_back = any(name.startswith(_BACK_AGAIN) for name in begun)
        if is_going_back or self.run.notes.get("cancelled") or not begun.issuperset(effects):
            return None
        workloads = [(kind, name) for kind, name in self.run.notes["workloads"]]
        look = partial(
            gate, self.place, workloads, self.settings, self.run.report, missed_before=self.run.notes["missed"]
        )
        seen = await look(limit_s=0)
        if seen.failure is not None or seen.followed is None or not seen.followed.verdict.done:
            return None
        await self.own.record(ReleaseState.PENDING)
        # The other half of the time is for going back.
        gated = await look(limit_s=self.run.seconds_left / 2, run=self.run)
        return await self._verified(gated) if gated.verified else None

    async def _undo(self, failure: Failure) -> Outcome:
        """Back to the last verified release, where there is one and that is wanted."""
        await self.own.record(ReleaseState.FAILED)
        changed = await self.own.changed_fields(self._undoing)
        await self.own.mark(ReleaseState.FAILED, failure.what)
        words, number = self._words(changed), self.run.notes.get("back")
        cancelled = bool(self.run.notes.get("cancelled"))
        reason_to_leave = self._reason_to_leave(failure, number)
        await self._shadow("go back" if reason_to_leave is None else "leave as it is", failure)
        if reason_to_leave is not None:
            return words.left(failure, reason_to_leave, cancelled=cancelled)
        undone = await self._undoing.go_back(await self._undoing.release(int(number or 0)))
        if shadow is not None:
            await shadow.compare_restore(self, undone)
        if undone.failure is not None:
            return words.not_rolled_back(failure, undone)
        return words.rolled_back(failure, undone, cancelled=cancelled)

    def _reason_to_leave(self, failure: Failure, back: int | None) -> str | None:
        """Why it is not rolled back, and what a person can do. None: it is."""
        if not self._change.stored:
            return f"{nothing_changed(_COMPARED).capitalize()}."
        if failure.gone:
            return "It is not brought back, since somebody deleted it."
        if back is None or (back == 0 and not self.own.unrecorded):
            return f"There is no earlier {term(Claim.VERIFIED)} release to go back to."
        if not self.auto_rollback:
            return f"Go back with {self.place.call('rollback_deployment', release=back)}."
        return None


if os.environ.get("KLEPAAS_TEST_SHADOW") == "1":
    from klepaas_plugins.deployments.executor.shadow import Shadow

    shadow = Shadow()
