"""Carries a change out over a real cluster: plans it once, then does what the loop decides.

Every error of looking or writing becomes a part of the next observation. A write is a step of the operation, so that
it is never cut in two and never sent without the lease; what became of a step that a process left open, the next look
tells.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio

from klepaas.changes import ObjectChange
from klepaas.errors import KlepaasError
from klepaas.operations import (
    DeadlinePassed,
    Interrupted,
    OperationCancelled,
    Outcome,
    StepState,
    StepUnknown,
    failpoints,
)
from klepaas_plugins.deployments.executor import recording
from klepaas_plugins.deployments.executor.answering import Answering, Ending
from klepaas_plugins.deployments.executor.beginning import key_of, seen_in_plan
from klepaas_plugins.deployments.executor.case import Case
from klepaas_plugins.deployments.executor.decisions import Ended, Reason, Restore, Verify, Wait
from klepaas_plugins.deployments.executor.failures import classify_error
from klepaas_plugins.deployments.executor.following import Rollouts
from klepaas_plugins.deployments.executor.intent import Answer, Failure, FailureKind, Intent, ObjectKey
from klepaas_plugins.deployments.executor.journal import Journal
from klepaas_plugins.deployments.executor.loop import carry_out
from klepaas_plugins.deployments.executor.observe import Observer, Surroundings
from klepaas_plugins.deployments.executor.observed import BLOCKING, Moment, ObjectSeen, Observed, Presence
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planning.apply import is_needed, plan_object
from klepaas_plugins.deployments.releases import ReleaseState
from klepaas_plugins.kubernetes.client import (
    AlreadyExists,
    ChangedSincePlan,
    Written,
    forget_looks,
    judge_again,
    write,
)

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["Execution"]

# Whoever paused a rollout resumes it at a moment that no watch of ours waits for.
_PAUSED_LOOK_S = 5.0
# What was waited for says nothing of what is there.
_UNSEEN = frozenset({Reason.LEASE, Reason.PRINCIPAL, Reason.LOOK_AGAIN})
_SHORTEST_WAIT_S, _TROUBLE_S = 0.05, 1.0


async def _never() -> None:
    """What a step would do that only has to be settled."""


async def _as_wanted() -> Mapping[str, Any]:
    """A look-up for what was just seen to be as wanted."""
    return {}


@dataclass
class Execution:
    """One attempt at one change.

    Attributes:
        place: Where the application is.
        run: The operation's attempt.
        journal: The intent on record.
        rollouts: The workloads.
        answering: Ends it.
        take_ownership: Whether controllers' fields may be taken over.
    """

    place: Place
    run: "Run"
    journal: Journal
    rollouts: Rollouts
    answering: Answering
    take_ownership: bool = False
    _planned: dict[ObjectKey, ObjectChange] = field(default_factory=dict)
    _at_hand: dict[ObjectKey, ObjectSeen] = field(default_factory=dict)
    _errors: dict[ObjectKey, KlepaasError] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        steps = self.run.operation.steps
        names = tuple(self.run.notes.get("effects") or ())
        self._open = {one.name for one in steps if one.state is StepState.INTENT and one.name.startswith(names)}
        self._observer = Observer(
            cluster=self.place.cluster,
            open_payload=self.journal.open,
            grace_s=self.rollouts.grace_s,
            look_at_rollout=self.rollouts.look,
        )

    def begin(self, changes: tuple[ObjectChange, ...]) -> None:
        """Take over what the plan has seen a moment ago.

        Args:
            changes: The plan's objects.
        """
        self._planned = {key_of(one): one for one in changes}
        self._at_hand = {key_of(one): seen_in_plan(one) for one in changes}

    async def carry_out(self, intent: Intent, reason: Interrupted | None = None) -> Outcome:
        """The change, or the rest of it.

        Args:
            intent: What is wanted.
            reason: Why it was stopped. None: it was not.

        Raises:
            KlepaasError: It was refused before anything was changed, or is to be tried again.
            Interrupted: It must stop here.
        """
        if reason is not None:
            intent = _stopped(intent, reason)
            await self.keep(intent)
        if self.answering.is_going_back:
            return await self.answering.go_back()
        return await carry_out(intent, self)

    # What the loop does its work with.

    def now(self) -> Moment:
        """The moment."""
        return Moment(wall_s=time.time(), monotonic_s=time.monotonic())

    async def observe(self, intent: Intent, before: Observed | None) -> Observed:
        """Look; what is known of this very moment is not asked for."""
        self.run.check()
        around = Surroundings(write_errors=dict(self._errors), at_hand=dict(self._at_hand))
        self._at_hand = {}
        seen = await self._observer.observe(intent, before, around)
        await self._settle_open(Case(intent, seen, seen.at))
        return seen

    async def _settle_open(self, case: Case) -> None:
        """Put on record what became of the writes that an earlier process left open, where the look tells."""
        for pair in case.pairs:
            name = self._step_name(pair.wanted.key)
            if pair.is_settled and name in self._open:
                await self.run.step(name, _never, find=_as_wanted)
                self._open.discard(name)

    async def keep(self, intent: Intent) -> None:
        """Put the intent on record."""
        await self.journal.keep(intent)

    async def write(self, intent: Intent, key: ObjectKey) -> tuple[Intent, bool]:
        """Write an object, once; an error is for the next look."""
        name = self._step_name(key)
        await self.run.report(0, len(intent.objects), name)
        self._errors.pop(key, None)
        try:
            change = self._planned.pop(key, None) or await self._plan(intent, key)
        except KlepaasError as exc:
            self._errors[key] = exc
            return intent, False
        intent = recording.record_attempt(intent, key)
        await self.keep(intent)
        await failpoints.reach("before_write", name)
        try:
            written = await self._send(name, change, intent)
        except KlepaasError as exc:
            self._errors[key] = exc
            if name not in self.run.begun:
                intent = _unsent(intent, key, exc)
                await self.keep(intent)
            return intent, False
        await failpoints.reach("after_write", name)
        return await self._take_answer(intent, key, written), True

    async def _take_answer(self, intent: Intent, key: ObjectKey, written: Written | None) -> Intent:
        live = written.object if written is not None else None
        if written is None or live is None:
            return intent
        uid = str(live["metadata"]["uid"])
        intent = recording.record_answer(intent, key, Answer(uid, written.deviations))
        await self.keep(intent)
        self.answering.written.append(written.change)
        self._at_hand[key] = ObjectSeen(
            key=key,
            presence=Presence.LIVE,
            uid=uid,
            remaining=(),
            is_ours=True,
            live=live,
            body=next(one.body for one in intent.objects if one.key == key),
        )
        return intent

    async def _send(self, name: str, change: ObjectChange, intent: Intent) -> Written | None:
        """The write as a step. None: an earlier request of ours had made it."""
        found: list[Written] = []

        async def find() -> Mapping[str, Any] | None:
            return None if is_needed(await self._plan(intent, key_of(change))) else {}

        async def do() -> None:
            try:
                found[:] = [await write(self.place.cluster, change, judge=judge_again(self.place.cluster, [change]))]
            except (AlreadyExists, ChangedSincePlan):
                # A request of an earlier attempt may have come in late: then what is there is what was wanted.
                if await find() is None:
                    raise

        await self.run.step(name, do, find=find)
        self._open.discard(name)
        return found[0] if found else None

    async def _plan(self, intent: Intent, key: ObjectKey) -> ObjectChange:
        """The write of a body on record, planned on what is there now."""
        wanted = next(one for one in intent.objects if one.key == key)
        forget_looks(self.place.cluster)
        body = self.journal.open(wanted.body) if wanted.body is not None else {}
        return await plan_object(self.place, body, take_ownership=self.take_ownership)

    def _step_name(self, key: ObjectKey) -> str:
        """The write's name as a step: another one where it was made before and has to be made again."""
        names = self.run.notes.get("effects") or ()
        base = next((one for one in names if one.lower().endswith(key.title.lower())), f"apply {key.title}")
        number, name = 1, base
        while name in self.run.begun and name not in self._open:
            number += 1
            name = f"{base} ({number})"
        return name

    async def wait(self, decision: Wait, intent: Intent, seen: Observed) -> None:
        """Wait, after the release was put on record where everything is written."""
        self._errors.clear()
        case = Case(intent, seen, seen.at)
        is_written = case.is_settled and intent.begun and decision.reason not in _UNSEEN
        if is_written and not await self._try(self.answering.own.record, ReleaseState.PENDING):
            return
        left_s = max(_SHORTEST_WAIT_S, decision.until_s - time.monotonic())
        if decision.reason in (Reason.ROLLOUT, Reason.HOLD):
            await self._be_at_work()
            await self._wait_for_rollout(seen, left_s)
        else:
            self.rollouts.forget()
            await self._tell(f"{decision.reason.value}: {decision.text}", decision.until_s)
            await anyio.sleep(min(left_s, _PAUSED_LOOK_S) if decision.reason is Reason.PAUSED else left_s)
        forget_looks(self.place.cluster)

    async def _wait_for_rollout(self, seen: Observed, left_s: float) -> None:
        waiting = [one for one in seen.rollouts if not one.is_settled]
        unfinished = [one for one in waiting if not one.complete] or waiting
        if not unfinished:
            await anyio.sleep(min(left_s, _TROUBLE_S))
            return
        if await self.rollouts.wait(unfinished[0].key, left_s):
            self._at_hand = self.rollouts.at_hand()

    async def _try(self, do: Callable[[ReleaseState], Awaitable[None]], state: ReleaseState) -> bool:
        """Do what needs the cluster, unless that is in trouble; whether it is done."""
        try:
            await do(state)
        except KlepaasError as exc:
            if not _may_pass(exc):
                raise
            await self._wait_out(exc)
            return False
        return True

    async def _wait_out(self, error: KlepaasError) -> None:
        await self._tell(f"{Reason.UNREACHABLE.value}: {error.line}", time.monotonic() + _TROUBLE_S)
        await anyio.sleep(_TROUBLE_S)

    async def _tell(self, reason: str, until_s: float) -> None:
        """Put on record what is waited for, so that a newer change may take this one's place."""
        await self.run.report(0, 0, f"waits for {reason}")
        await self.run.wait(reason, until_s)

    async def _be_at_work(self) -> None:
        if self.run.waits_for is not None:
            await self.run.resume()

    async def end(self, decision: Verify | Restore | Ended, intent: Intent, seen: Observed) -> Outcome | None:
        """End it. None: the cluster was in trouble."""
        for name in sorted(self._open):
            # It was looked at, and it is not as wanted: whether it was ever made, nobody can tell.
            with suppress(StepUnknown):
                await self.run.step(name, _never, find=None)
        self._open.clear()
        await self._be_at_work()
        await failpoints.reach("before_record")
        ending = Ending(intent, seen, self.rollouts, dict(self._errors))
        try:
            return await self.answering.end(decision, ending)
        except KlepaasError as exc:
            # What has begun to go back goes on with the next attempt, whatever is there.
            if not _may_pass(exc) or self.answering.is_going_back:
                raise
            await self._wait_out(exc)
            return None


def _may_pass(error: KlepaasError) -> bool:
    """Whether waiting is worth it: an outage, credentials or rights."""
    return error.retryable or classify_error(error) in BLOCKING


def _unsent(intent: Intent, key: ObjectKey, error: KlepaasError) -> Intent:
    """The intent after a write that certainly changed nothing."""
    if classify_error(error) in BLOCKING:
        return recording.take_back_attempt(intent, key)
    return recording.record_refusal(intent, key)


def _stopped(intent: Intent, reason: Interrupted) -> Intent:
    """The intent of an operation that was cancelled, is too late or was tried too often."""
    if isinstance(reason, OperationCancelled):
        return recording.record_cancel(intent)
    if isinstance(reason, DeadlinePassed):
        return replace(intent, attended_s=intent.limit_s)
    return recording.record_failure(intent, Failure(FailureKind.CRASHES, str(reason), time.time()))
