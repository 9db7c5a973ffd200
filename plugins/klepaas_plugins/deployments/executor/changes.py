"""From an operation of a verb to its execution: planned once, gone on with by any process, stopped in order."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from klepaas.errors import Conflict
from klepaas.host import Host
from klepaas.operations import PLANNED, Interrupted, Outcome
from klepaas.output.verdict import nothing_changed
from klepaas_plugins.deployments.executor.answering import Answering
from klepaas_plugins.deployments.executor.beginning import intent_of_plan
from klepaas_plugins.deployments.executor.execution import Execution
from klepaas_plugins.deployments.executor.following import Rollouts
from klepaas_plugins.deployments.executor.intent import Intent
from klepaas_plugins.deployments.executor.journal import Journal, has_intent
from klepaas_plugins.deployments.outcome import nothing_done
from klepaas_plugins.deployments.own_release import OwnRelease
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Planned
from klepaas_plugins.deployments.planning.apply import is_planned
from klepaas_plugins.deployments.releases import Cause, Releases, ReleaseSettings
from klepaas_plugins.deployments.rollout import missed_deadline
from klepaas_plugins.deployments.settings import RolloutSettings

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["ChangeOfApplication"]

_PLANNED_ANEW = "the change was planned again before its first step"
# Gets what an earlier attempt has chosen; empty in the first one.
Plan = Callable[[Mapping[str, Any]], Awaitable[Planned]]


@dataclass(frozen=True)
class ChangeOfApplication:
    """One change of an application, by the executor.

    Attributes:
        place: Where the application is.
        run: The operation's attempt.
        settings: How a rollout is judged.
        own: The release that it makes.
        plan: Looks what the change would do.
        auto_rollback: Whether a failure is rolled back.
    """

    place: Place
    run: "Run"
    settings: RolloutSettings
    own: OwnRelease
    plan: Plan
    auto_rollback: bool

    @classmethod
    def of(
        cls, host: Host, place: Place, run: "Run", cause: Cause, plan: Plan, *, auto_rollback: bool
    ) -> "ChangeOfApplication":
        """One change, with the settings and releases of a host.

        Args:
            host: The settings and shared services.
            place: Where the application is.
            run: The operation's attempt.
            cause: What makes the release.
            plan: Looks what the change would do.
            auto_rollback: Whether a failure is rolled back.
        """
        own = OwnRelease(run, Releases(place, ReleaseSettings.of(host)), cause)
        return cls(place, run, RolloutSettings.of(host), own, plan, auto_rollback)

    async def carry_out(self) -> Outcome:
        """The change, or the rest of it.

        Raises:
            KlepaasError: It was refused before anything was changed, or is to be tried again.
            Interrupted: It must stop here.
        """
        if has_intent(self.run):
            execution = self._execution()
            return await execution.carry_out(await execution.journal.load())
        await self.run.report(0, 0, "looking at what it changes")
        planned = await self.plan({})
        self._refuse_another(planned)
        execution = self._execution()
        intent = await self._begin(planned, execution.journal)
        execution.begin(planned.change_set.objects)
        return await execution.carry_out(intent)

    async def leave_in_order(self, reason: Interrupted) -> Outcome:
        """After a cancel, the deadline, or too many attempts: decided anew with that, unless nothing was begun.

        Args:
            reason: Why it was stopped.

        Raises:
            KlepaasError: It is to be tried again.
            Interrupted: It must stop here.
        """
        if not has_intent(self.run):
            return nothing_done(self.place, self.run.operation, reason)
        execution = self._execution()
        intent = await execution.journal.load()
        if not intent.begun and self.run.notes["change"]["stored"]:
            return nothing_done(self.place, self.run.operation, reason)
        return await execution.carry_out(intent, reason)

    def _execution(self) -> Execution:
        journal, settings = Journal(self.run), self.settings
        rollouts = Rollouts(self.place.cluster, self.run, settings.unschedulable_grace_s, settings.min_healthy_s)
        answering = Answering(self.place, self.run, settings, self.own, journal)
        take_ownership = bool(self.run.operation.request.get("take_ownership"))
        return Execution(self.place, self.run, journal, rollouts, answering, take_ownership)

    async def _begin(self, planned: Planned, journal: Journal) -> Intent:
        """What is decided once, on record before the first write."""
        effects = [effect.name for effect in planned.needed]
        baseline = back = None
        if effects:
            self.run.check()
            baseline, back = await self.own.find_baseline()
        back_number = None if back is None else back.number
        missed = {name: missed_deadline(item) for name, item in planned.before.items()}
        known = {name: moment for name, moment in missed.items() if moment and planned.change.stored}
        intent = await journal.seal(
            intent_of_plan(
                self.run.operation,
                planned.change_set,
                namespace=self.place.namespace,
                back=back_number,
                missed=known,
                settings=self.settings,
                auto_rollback=self.auto_rollback,
            )
        )
        await self.run.note(
            change=planned.change.as_json(),
            effects=effects,
            pins=dict(planned.pins),
            workloads=[list(workload) for workload in planned.workloads],
            missed=known,
            back=back_number,
            baseline=None if baseline is None else baseline.number,
            began_at=time.time(),
            **journal.note_of(intent),
        )
        return intent

    def _refuse_another(self, planned: Planned) -> None:
        """Refuse to make another change than the one that was planned, and confirmed where it had to be.

        Raises:
            Conflict: What would be sent now, or what it rests on, differs.
        """
        token = (self.run.operation.request.get(PLANNED) or {}).get("token")
        if token is None or is_planned(planned.change_set, str(token)):
            return
        raise Conflict(
            f"{self.run.operation.title} would change something else than was planned, since somebody changed what it "
            f"rests on; {nothing_changed(_PLANNED_ANEW)}",
            next_step="Call again, to plan it on what is there now",
        )
