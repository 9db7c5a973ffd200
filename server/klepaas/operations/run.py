"""What a kind of operation works with: its steps, its progress, its notes, and whether it may go on.

    intent on record -> effect -> done on record

A step that is done gives its result without being made again. One that was meant and of which nothing else is known is
looked up first (`find`), and made only when it is absent and old enough that it would show. Where nobody can tell, the
operation stops in the state "unknown": that is a person's to judge, and nothing is ever sent twice on a guess.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import anyio

from klepaas.errors import (
    BadRequest,
    CircuitOpen,
    Conflict,
    Forbidden,
    KlepaasError,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from klepaas.operations import failpoints
from klepaas.operations.kinds import (
    DeadlinePassed,
    Fenced,
    Interrupted,
    OperationCancelled,
    StepUnknown,
    Stopping,
)
from klepaas.operations.model import Operation, StepState
from klepaas.resilience.errors import NotSent, Overloaded

__all__ = ["Pages", "Run"]

Do = Callable[[], Awaitable[Mapping[str, Any] | None]]
Find = Callable[[], Awaitable[Mapping[str, Any] | None]]

# Errors that say by themselves that nothing was changed.
_DID_NOTHING = (BadRequest, Unauthorized, Forbidden, NotFound, Conflict, RateLimited, CircuitOpen, NotSent, Overloaded)
# How often one step is sent within one attempt, when each sending is known to have come to nothing.
_MOST_SENDINGS = 3
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_LOOK_UP_LIMIT_S = 30.0
STEP_LIMIT_S = 300.0
# What an earlier attempt may have sent gets so long to be found before a cancel cuts the work short anyway.
_UNSETTLED_LIMIT_S = 60.0


class Pages(Protocol):
    """The journal as one run may write it; `klepaas.operations.runner` has the real one."""

    async def intend(self, name: str, *, again: bool) -> Any:
        """Put a step's intent on record; gives a `journal.Intent`."""
        ...

    async def settle(self, name: str, state: StepState, result: Mapping[str, Any] | None = None) -> None:
        """Put on record what became of a step."""
        ...

    async def note(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add to the operation's notes; gives all of them."""
        ...

    async def wait(self, reason: str, for_s: float | None) -> None:
        """Put on record that the operation only waits."""
        ...

    async def resume(self) -> None:
        """Put on record that it is at work again."""
        ...

    async def seal(self, name: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Encrypt a document for a note."""
        ...

    async def unseal(self, name: str, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """The document that `seal` encrypted.

        Raises:
            StepUnknown: It cannot be read any more.
        """
        ...

    def reported(self, done: float, total: float, line: str) -> None:
        """The operation has come so far."""
        ...

    def holds(self) -> bool:
        """Whether the lease is surely still ours, by this process's own clock."""
        ...

    async def renew(self) -> None:
        """Make sure that it is.

        Raises:
            Fenced: It is not.
        """
        ...


class Run:
    """One attempt at an operation.

    Attributes:
        operation: The operation as it was when this attempt began.
        notes: What was noted so far, by earlier attempts too.
        tidying: Whether it is being left in order after a cancel, its deadline or too many attempts.
    """

    def __init__(self, operation: Operation, pages: Pages, seconds_left: float) -> None:
        self.operation = operation
        self.notes: Mapping[str, Any] = operation.notes
        self.tidying = False
        self._pages = pages
        self._began_at = time.monotonic()
        self._ends_at = self._began_at + seconds_left
        self._attended_at_most_s = operation.deadline_at - operation.created_at
        self._waits_for: _Wait | None = None
        self._stop_for: Interrupted | None = None
        self._stop_later_for: Interrupted | None = None
        # Steps that an earlier attempt may have sent: what became of them is found out before anything is cut short.
        self._unsettled = {step.name for step in operation.steps if step.state is StepState.INTENT}
        self._unsettled_until = time.monotonic() + _UNSETTLED_LIMIT_S
        self._begun = {step.name for step in operation.steps if step.state is not StepState.FAILED}
        self._in_step = self._in_pause = False

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; never below 0. They do not run out while it waits."""
        waits = self._waits_for
        now_s = waits.since_s if waits is not None and waits.stops_clock else time.monotonic()
        return max(0.0, self._ends_at - now_s)

    @property
    def attended_s(self) -> float | None:
        """How much of the operation's time is used, in seconds. None: it is being left in order."""
        return None if self.tidying else max(0.0, self._attended_at_most_s - self.seconds_left)

    @property
    def waits_for(self) -> str | None:
        """What it waits for, as `wait` was told in this attempt. None: it is at work."""
        return None if self._waits_for is None else self._waits_for.reason

    @property
    def begun(self) -> frozenset[str]:
        """The steps that were made, or may have been, in this attempt or an earlier one."""
        return frozenset(self._begun)

    def check(self) -> None:
        """Whether the work may go on.

        Raises:
            OperationCancelled: Somebody asked to cancel it.
            DeadlinePassed: Its time is over.
            Fenced: Another process carries it out now.
            Stopping: This server stops.
        """
        if self._stop_for is not None:
            raise self._stop_for
        if self.seconds_left <= 0 and not self._has_unsettled:
            raise DeadlinePassed(f"its {'time to tidy up' if self.tidying else 'deadline'} is over")

    async def step(
        self,
        name: str,
        do: Do,
        *,
        find: Find | None = None,
        visible_after_s: float = 0.0,
        limit_s: float = STEP_LIMIT_S,
    ) -> dict[str, Any]:
        """Have one effect, once, whatever happens to this process.

        Args:
            name: The step's name, one within the operation; the same work has the same name in every attempt.
            do: Has the effect; gives what later steps need, as JSON data without secrets.
            find: Looks whether the effect was had: its result, or None where it was not. It only reads. None: nobody
                can tell, so a step that was interrupted ends the operation as "unknown".
            visible_after_s: So long an effect may stay invisible to `find` after it was meant, in seconds; a request
                that is still on its way counts.
            limit_s: Longest time that `do` may take, in seconds.

        Returns:
            What `do`, or `find`, gave; of a step that is done already, what it gave then.

        Raises:
            KlepaasError: The effect was not had; the step may be made again.
            Interrupted: The work must stop here.
        """
        self.check()
        self._in_step = True
        try:
            result = await self._made(name, do, find, visible_after_s, limit_s)
        finally:
            self._in_step = False
            self._settled(name)
        if self._stop_for is not None:
            raise self._stop_for
        return result

    async def report(self, done: float, total: float, line: str) -> None:
        """Tell how far it is.

        Args:
            done: So much,
            total: of so much; 0: not known.
            line: What it is doing, in one line for people.
        """
        self._pages.reported(done, total, line)

    async def note(self, **facts: Any) -> None:
        """Keep facts with the operation, for later attempts and for whoever asks after it.

        Args:
            facts: JSON data without secrets.
        """
        self.notes = await self._pages.note(facts)

    async def wait(self, reason: str, until_s: float | None = None, *, stops_clock: bool = True) -> None:
        """Put on record that from now on it only waits, for what may take hours: the cluster, rights, a person.

        It ends with the next step, or with `resume`. Until then nothing may be written without one of these: a newer
        change of the same target may take its place at any moment, and then both raise `Fenced`. It does not sleep;
        telling it the same again costs nothing.

        Args:
            reason: What it waits for, in one line for people, without secrets.
            until_s: When it looks again at the latest, by the monotonic clock. None: that is not known.
            stops_clock: Whether the time does not count into the deadline.

        Raises:
            Fenced: Another process carries it out now, or a newer change has superseded it.
            JournalBroken: The journal cannot be written.
        """
        waits = self._waits_for
        if waits is not None and waits.says_the_same(reason, until_s):
            return
        self._count_wait()
        now_s = time.monotonic()
        await self._pages.wait(reason, None if until_s is None else max(0.0, until_s - now_s))
        self._waits_for = _Wait(reason, until_s, now_s, stops_clock)

    async def resume(self) -> None:
        """Put on record that it is at work again, before anything is written without a step.

        Raises:
            Fenced: Another process carries it out now, or a newer change has superseded it.
            JournalBroken: The journal cannot be written.
        """
        await self._pages.resume()
        self._count_wait()

    def _count_wait(self) -> None:
        """The wait is over; the time of it does not count."""
        waits, self._waits_for = self._waits_for, None
        if waits is not None and waits.stops_clock:
            self._ends_at += time.monotonic() - waits.since_s

    async def seal(self, name: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Encrypt a document that a note is to hold; it goes when the operation ends.

        Args:
            name: What it is, one within the operation.
            value: JSON data.
        """
        return await self._pages.seal(name, value)

    async def unseal(self, name: str, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """The document that `seal` encrypted.

        Args:
            name: What it is.
            kept: As `seal` gave it.

        Raises:
            StepUnknown: It cannot be read any more.
        """
        return await self._pages.unseal(name, kept)

    def stop_for(self, reason: Interrupted) -> bool:
        """The work must stop at the next step or check.

        Args:
            reason: Why.

        Returns:
            Whether it may be cut at once: no step is under way.
        """
        ends_here = isinstance(reason, Fenced | Stopping)
        if not ends_here and self._has_unsettled:
            self._stop_later_for = reason
            return False
        if self._stop_for is None or isinstance(reason, Fenced):
            self._stop_for = reason
        return not self._in_step or (ends_here and self._in_pause)

    def _settled(self, name: str) -> None:
        self._unsettled.discard(name)
        if self._stop_later_for is not None and not self._unsettled:
            self._stop_for = self._stop_for or self._stop_later_for

    @property
    def _has_unsettled(self) -> bool:
        return bool(self._unsettled) and time.monotonic() < self._unsettled_until

    @property
    def stops_for(self) -> Interrupted | None:
        """Why the work must stop. None: it may go on."""
        return self._stop_for

    def begin_to_tidy(self, limit_s: float) -> None:
        """From now on only what leaves things in order.

        Args:
            limit_s: The time for it, in seconds.
        """
        self.tidying, self._stop_for, self._stop_later_for = True, None, None
        self._count_wait()
        self._ends_at = time.monotonic() + limit_s

    async def _made(
        self, name: str, do: Do, find: Find | None, visible_after_s: float, limit_s: float
    ) -> dict[str, Any]:
        await failpoints.reach("before_intent", name)
        intent = await self._intend(name)
        if intent.step.state is StepState.DONE:
            return dict(intent.step.result or {})
        if intent.step.state is StepState.UNKNOWN:
            raise StepUnknown(name, "an earlier attempt could not tell whether it happened")
        failure: KlepaasError | None = None
        sent = 0
        while True:
            if not intent.is_new:
                await failpoints.reach("during_recovery", name)
                # A wall clock that was set makes an intent look older than it can be.
                age_s = min(max(0.0, intent.age_s), time.monotonic() - self._began_at)
                found = await self._found(name, find, visible_after_s - age_s, failure)
                if found is not None:
                    return await self._done(name, found)
                await self._ask_to_go_on(name, intent, failure if sent >= _MOST_SENDINGS else None)
                intent = await self._intend(name, again=True)
            if sent:
                await anyio.sleep(_pause_s(sent))
            try:
                return await self._sent(name, do, limit_s)
            except _Unsure as exc:
                failure, intent, sent = exc.failure, replace(intent, is_new=False, age_s=0.0), sent + 1

    async def _ask_to_go_on(self, name: str, intent: Any, failure: KlepaasError | None) -> None:
        """A step surely did not happen: it is not sent again where it failed too often or is not wanted any more."""
        unwanted = self._stop_for or self._stop_later_for
        if unwanted is None and intent.cancel_requested and not self.tidying:
            unwanted = OperationCancelled("somebody asked to cancel it")
        if unwanted is not None or failure is not None:
            await self._settle(name, StepState.FAILED)
        if unwanted is not None:
            raise unwanted
        if failure is not None:
            raise Unavailable(f"The step {name} did not happen: {failure.what}") from failure

    async def _intend(self, name: str, *, again: bool = False) -> Any:
        intent = await self._pages.intend(name, again=again)
        self._count_wait()
        if intent.cancel_requested and not self.tidying and intent.is_new:
            raise OperationCancelled("somebody asked to cancel it")
        self._begun.add(name)
        if intent.is_new:
            await failpoints.reach("after_intent", name)
        return intent

    async def _sent(self, name: str, do: Do, limit_s: float) -> dict[str, Any]:
        if not self._pages.holds():
            await self._pages.renew()
        await failpoints.reach("before_effect", name)
        try:
            with anyio.fail_after(limit_s):
                result = await do()
        except _DID_NOTHING:
            await self._settle(name, StepState.FAILED)
            raise
        except KlepaasError as exc:
            raise _Unsure(exc) from exc
        except TimeoutError as exc:
            raise _Unsure(Unavailable(f"The step {name} gave no answer within {limit_s:g} s")) from exc
        await failpoints.reach("after_effect", name)
        return await self._done(name, result or {})

    async def _done(self, name: str, result: Mapping[str, Any]) -> dict[str, Any]:
        await failpoints.reach("before_done", name)
        await self._settle(name, StepState.DONE, result)
        await failpoints.reach("after_done", name)
        return dict(result)

    async def _settle(self, name: str, state: StepState, result: Mapping[str, Any] | None = None) -> None:
        # What has happened is worth more than a quick end; the store sets its own limit.
        with anyio.CancelScope(shield=True):
            await self._pages.settle(name, state, result)
        if state is StepState.FAILED:
            self._begun.discard(name)

    async def _found(
        self, name: str, find: Find | None, invisible_s: float, failure: KlepaasError | None
    ) -> Mapping[str, Any] | None:
        """What became of a step that may have been sent. None: it surely did not happen."""
        if find is None:
            await self._settle(name, StepState.UNKNOWN)
            why = f"it was sent and not confirmed ({failure.line})" if failure else "it was sent before a restart"
            raise StepUnknown(name, why) from failure
        found = await self._look_up(name, find)
        if found is None and invisible_s > 0:
            await self._wait(invisible_s)
            found = await self._look_up(name, find)
        return found

    async def _wait(self, delay_s: float) -> None:
        """Wait for what was sent to show; a cancel does not cut that, else its fate would stay open."""
        self._in_pause = True
        try:
            if isinstance(self._stop_for, Fenced | Stopping):
                raise self._stop_for
            await anyio.sleep(delay_s)
        finally:
            self._in_pause = False

    async def _look_up(self, name: str, find: Find) -> Mapping[str, Any] | None:
        """Ask `find`, again where it fails for a while; what stays open is looked up by the next attempt."""
        until, pause_s = time.monotonic() + _LOOK_UP_LIMIT_S, _FIRST_PAUSE_S
        while True:
            try:
                with anyio.fail_after(_LOOK_UP_LIMIT_S):
                    return await find()
            except (KlepaasError, TimeoutError) as exc:
                lasting = isinstance(exc, KlepaasError) and not exc.retryable
                if lasting or time.monotonic() + pause_s > until:
                    text = exc.line if isinstance(exc, KlepaasError) else "no answer"
                    raise Unavailable(f"Whether the step {name} happened cannot be looked up ({text})") from exc
            await self._wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


@dataclass(frozen=True)
class _Wait:
    """What a run waits for.

    Attributes:
        reason: The reason.
        until_s: When it looks again at the latest, by the monotonic clock. None: that is not known.
        since_s: Since when, by the monotonic clock.
        stops_clock: Whether the time does not count into the deadline.
    """

    reason: str
    until_s: float | None
    since_s: float
    stops_clock: bool

    def says_the_same(self, reason: str, until_s: float | None) -> bool:
        """Whether the record needs no change: nobody cares for less than a second."""
        if reason != self.reason or (until_s is None) != (self.until_s is None):
            return False
        return until_s is None or self.until_s is None or abs(until_s - self.until_s) < 1.0


class _Unsure(Exception):
    """Sent, and the answer does not say whether it happened."""

    def __init__(self, failure: KlepaasError) -> None:
        super().__init__(failure.what)
        self.failure = failure


def _pause_s(sent: int) -> float:
    return float(min(_FIRST_PAUSE_S * 2 ** (sent - 1), _LONGEST_PAUSE_S))
