"""The one way of every outside call:

    concurrency limit -> total deadline -> retry -> breaker per attempt -> attempt timeout -> call -> classifier

The deadline is kept by arithmetic: no wait begins that does not fit into it, and an attempt is cut at its own limit or
at the deadline, whichever comes first. So a cut by us is always seen and counts as a timeout, and a cancellation that
arrives here is always the caller's and counts as nothing.

An attempt that the breaker refuses is no attempt: it is not counted, earns and costs no retry, and does not hide what
an earlier attempt of the same call brought. While one call tries an upstream that was left alone, others wait for it.

It sends nothing itself and knows no protocol. An upstream belongs to one event loop.

Source: the order is that of Polly and of Microsoft's standard resilience handler.
"""

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio

from klepaas.errors import CircuitOpen
from klepaas.resilience.answers import Asked, error_kind, one_line
from klepaas.resilience.breaker import PROBING_RETRY_S, AttemptSeries, Breaker, State, Ticket
from klepaas.resilience.classify import CONTACT, RETURNED, Classifier, Kind, Observation, Verdict, classify
from klepaas.resilience.clock import Clock, SystemClock
from klepaas.resilience.observer import Observer, Unobserved
from klepaas.resilience.policy import Policy
from klepaas.resilience.rate_limit import NotBefore
from klepaas.resilience.retry import Budget, Outcome, retried

if TYPE_CHECKING:
    from klepaas.clocks import Clocks

__all__ = ["Stream", "Upstream", "UpstreamState"]

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0


class Stream(Protocol):
    """Something open that is to be closed."""

    async def aclose(self) -> None:
        """Close it."""
        ...


T = TypeVar("T")
S = TypeVar("S", bound=Stream)
Operation = Callable[[], Awaitable[T]]


class _Refused(Exception):
    """The breaker let no attempt through; never leaves this module."""


@dataclass(kw_only=True)
class _Call:
    """One call on its way.

    Attributes:
        operation: Asks once.
        asked: The call in words.
        discard: Closes what an attempt brought and the classifier rejects. None: there is nothing to close.
        series: Its attempts, as the breaker counts them.
        deadline: The clock's time at which it must be over.
        last: What the last attempt brought. None: none was made.
    """

    operation: Operation[Any]
    asked: Asked
    discard: Callable[[Any], Awaitable[None]] | None
    series: AttemptSeries
    deadline: float
    last: Outcome | None = None


@dataclass(frozen=True)
class UpstreamState:
    """How an upstream is, for people and health checks.

    Attributes:
        name: Its name.
        state: Its breaker's state.
        failures: Failed attempts since the last good one.
        retry_in_s: Seconds until one call may try again. None: calls go through.
        rate_limited_for_s: Seconds for which it asked to be left alone. None: it did not.
        last_error: The last failure in one line, redacted. None: there was none since the last good attempt.
        since_s: When the breaker got into this state, in seconds since 1970.
    """

    name: str
    state: State
    failures: int
    retry_in_s: float | None
    rate_limited_for_s: float | None
    last_error: str | None
    since_s: float


class Upstream:
    """One system outside, asked through its own limits: a cluster's context, a Prometheus, a GitHub server.

    Args:
        name: What people call it, for example "kubernetes/prod"; also a metric's label.
        policy: The limits. None: the defaults.
        classify: Judges what each attempt brought.
        clock: The time it goes by. None: the machine's.
        observer: Whoever counts. None: nobody.
        clocks: Whoever compares clocks. None: nobody.
    """

    def __init__(
        self,
        name: str,
        policy: Policy | None = None,
        classify: Classifier = classify,
        clock: Clock | None = None,
        observer: Observer | None = None,
        clocks: "Clocks | None" = None,
    ) -> None:
        self.name = name
        self._clocks = clocks
        self.policy = policy or Policy()
        self._classify = classify
        self._clock: Clock = clock or SystemClock()
        self._observer: Observer = observer or Unobserved()
        self._slots = anyio.Semaphore(self.policy.max_concurrent, fast_acquire=True)
        self._budget = Budget(self.policy.retry_ratio, self.policy.retry_burst)
        self._not_before = NotBefore(self._clock, self.policy.rate_limit_pause_s, self.policy.rate_limit_max_s)
        self._breaker = Breaker(
            self.policy.fail_max,
            self.policy.open_s,
            self._clock,
            self._changed,
            open_ratio=self.policy.open_ratio,
        )
        self._last_error: str | None = None
        self._observer.appeared(name)

    async def call(self, operation: Operation[T], *, safe: bool, what: str, verify: str | None = None) -> T:
        """Make one call, an attempt of which is one run of the operation.

        Args:
            operation: Asks the upstream once, in one request; called again for each retry.
            safe: Whether it only reads. A change is repeated only when it was certainly not made.
            what: What is asked, to go after "Cannot": "list pods in namespace prod". No secrets.
            verify: For a change, how to find out whether it was made: "Read the deployment web". None: nothing special.

        Returns:
            What the operation returned. A result that the classifier calls the caller's mistake (a 404) comes back too.

        Raises:
            OutcomeUnknown: A change was sent and not confirmed.
            CircuitOpen: The upstream has just failed repeatedly; nothing was sent.
            RateLimited: The upstream wants to be left alone for longer than the call may take.
            Overloaded: Too many calls wait for the upstream; nothing was sent.
            KlepaasError: The call failed; exactly one kind of error for each kind of failure.
        """
        result: T = await self._guarded(operation, Asked(self.name, what, safe, verify), None)
        return result

    @asynccontextmanager
    async def open_stream(
        self, opening: Operation[S], *, what: str, safe: bool = True, verify: str | None = None
    ) -> AsyncIterator[S]:
        """Open something that stays open, a watch or a log that is followed.

        Only the opening goes through the pipeline. What follows has no time limit, holds no turn and counts for
        nothing here. It is closed at the end, also when an attempt opened something that the classifier rejects.

        Args:
            opening: Opens it and returns it; must leave no cancel scope or task group open behind it.
            what: As for `call`.
            safe: As for `call`.
            verify: As for `call`.

        Raises:
            KlepaasError: It cannot be opened; the same errors as those of `call`.
        """
        stream: S = await self._guarded(opening, Asked(self.name, what, safe, verify), _close)
        try:
            yield stream
        finally:
            await _close(stream)

    def snapshot(self) -> UpstreamState:
        """How it is now."""
        breaker = self._breaker
        return UpstreamState(
            name=self.name,
            state=breaker.state,
            failures=breaker.failures,
            retry_in_s=breaker.retry_in_s,
            rate_limited_for_s=self._not_before.wait_s or None,
            last_error=self._last_error,
            since_s=self._clock.wall() - breaker.state_age_s,
        )

    def told_the_time(self, date: str | None, took_s: float) -> None:
        """The upstream said what time it is; its client tells that.

        Args:
            date: The `Date` of an answer. None: it has none.
            took_s: How long the answer took, in seconds.
        """
        if self._clocks is not None:
            self._clocks.read(self.name, date, took_s)

    @property
    def wait_s(self) -> float:
        """Seconds for which it asked to be left alone; 0 when it did not."""
        return self._not_before.wait_s

    @property
    def shut(self) -> bool:
        """Whether its breaker would refuse a call now, at once and without waiting for another's."""
        return self._breaker.refuses

    async def _guarded(
        self, operation: Operation[Any], asked: Asked, discard: Callable[[Any], Awaitable[None]] | None
    ) -> Any:
        try:
            # Before the wait for a turn: an open breaker answers at once, however many calls hang.
            self._refuse_early(asked)
            # Begun before that wait: calls of one moment are of one moment, also where some of them have to queue.
            series = self._breaker.begin()
            async with self._turn(asked):
                outcome = await self._ask(operation, asked, discard, series)
                return asked.answer(outcome)
        except Exception as exc:
            self._observer.failed(self.name, error_kind(exc))
            raise

    async def _ask(
        self,
        operation: Operation[Any],
        asked: Asked,
        discard: Callable[[Any], Awaitable[None]] | None,
        series: AttemptSeries,
    ) -> Outcome:
        """What the last attempt brought; one that the breaker refuses is no attempt."""
        deadline = self._clock.monotonic() + self.policy.total_timeout_s
        call = _Call(operation=operation, asked=asked, discard=discard, series=series, deadline=deadline)
        try:
            return await retried(
                partial(self._attempt, call),
                policy=self.policy,
                clock=self._clock,
                budget=self._budget,
                turnstile=self,
                deadline=deadline,
                safe=asked.safe,
            )
        except _Refused:
            if call.last is None:
                raise self._refusal(asked) from None
            self._budget.refund()
            return call.last

    def _refuse_early(self, asked: Asked) -> None:
        if self._breaker.refuses:
            raise self._refusal(asked)
        if self.wait_s >= self.policy.total_timeout_s:
            raise asked.rate_limited(self.wait_s)

    def _refusal(self, asked: Asked) -> CircuitOpen:
        """The error of a call that the breaker lets through in no attempt."""
        breaker = self._breaker
        if breaker.state is State.OPEN:
            return asked.circuit_open(breaker.failures, breaker.retry_in_s or 0.0, self._last_error)
        return asked.probe_running(breaker.retry_in_s or PROBING_RETRY_S)

    @asynccontextmanager
    async def _turn(self, asked: Asked) -> AsyncIterator[None]:
        """One of the concurrent calls' places."""
        waiting = self._slots.statistics().tasks_waiting
        has_turn = False
        if waiting < self.policy.max_waiting or self._slots.value > 0:
            with self._clock.move_on_after(self.policy.queue_timeout_s):
                await self._slots.acquire()
                has_turn = True
        if not has_turn:
            raise asked.overloaded(self.policy.max_concurrent, waiting)
        try:
            yield
        finally:
            self._slots.release()

    async def _attempt(self, call: _Call) -> Outcome:
        await self._wait_for_quota(call.asked, call.deadline)
        ticket = await self._admit(call)
        if ticket is None:
            raise _Refused
        if call.last is None:
            self._budget.earn()
        try:
            started = self._clock.monotonic()
            limit_s = min(self.policy.attempt_timeout_s, call.deadline - started)
            outcome = call.last = await self._contact(call.operation, limit_s)
            self._record(ticket, outcome, self._clock.monotonic() - started)
        finally:
            ticket.release()
        if call.discard is not None and outcome.result is not None and outcome.verdict.kind not in RETURNED:
            await call.discard(outcome.result)
        return outcome

    async def _admit(self, call: _Call) -> Ticket | None:
        """The breaker's leave for one attempt. While another call tries, wait for its end, within a limit.

        None: the breaker is open, or the other call is still trying.
        """
        limit_s = min(self.policy.probe_wait_s, call.deadline - self._clock.monotonic())
        with self._clock.move_on_after(limit_s):
            while True:
                ticket = self._breaker.admit(call.series)
                if ticket is not None or self._breaker.refuses:
                    return ticket
                await self._breaker.wait_for_probe()
        return None

    async def _wait_for_quota(self, asked: Asked, deadline: float) -> None:
        while (wait_s := self.wait_s) > 0:
            if self._clock.monotonic() + wait_s >= deadline:
                raise asked.rate_limited(wait_s)
            await self._clock.sleep(wait_s)

    async def _contact(self, operation: Operation[Any], limit_s: float) -> Outcome:
        """Run the operation within its time limit and judge what it brought."""
        seen: Observation | None = None
        with self._clock.move_on_after(limit_s) as scope:
            try:
                seen = Observation(await operation(), wall_s=self._clock.wall())
            except Exception as exc:  # noqa: BLE001 -- guarded boundary: the classifier judges every exception
                seen = Observation(error=_only(exc), wall_s=self._clock.wall())
        # An exception out of an operation that we are cancelling says nothing about the upstream.
        if seen is None or (seen.error is not None and scope.cancel_called):
            verdict = Verdict(Kind.TIMEOUT, reason=f"gave no answer within {limit_s:.3g} s")
            return Outcome(verdict)
        return Outcome(self._judge(seen), seen.result, seen.error)

    def _judge(self, seen: Observation) -> Verdict:
        """The classifier's verdict; a classifier that fails lets nothing through."""
        try:
            verdict = self._classify(seen)
        except Exception:
            log.exception("the classifier of %s failed", self.name)
            return Verdict(Kind.PROTOCOL)
        return verdict if isinstance(verdict, Verdict) else Verdict(Kind.PROTOCOL)

    def _record(self, ticket: Ticket, outcome: Outcome, latency_s: float) -> None:
        kind = outcome.verdict.kind
        if kind is Kind.RATE_LIMITED:
            self._not_before.put_off(outcome.verdict.retry_after_s)
            ticket.release()
        elif kind is Kind.NOT_ASKED:
            ticket.release()
        elif kind in CONTACT:
            self._last_error = None
            ticket.success()
        else:
            self._last_error = one_line(outcome)
            # What makes callers wait is not asked again soon.
            ticket.failure(math.inf if kind is Kind.TIMEOUT else latency_s)
        self._observer.attempted(self.name, kind, latency_s)

    def _changed(self, old: State, new: State) -> None:
        level = logging.WARNING if new is State.OPEN else logging.INFO
        log.log(level, "circuit of %s: %s, was %s; last error: %s", self.name, new, old, self._last_error)
        self._observer.changed(self.name, old, new)


def _only(error: Exception) -> Exception:
    """The one exception in a task group's group of one; any other exception as it is."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def _close(stream: Stream) -> None:
    """Close, also under a cancellation, but not for ever."""
    with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
        await stream.aclose()
