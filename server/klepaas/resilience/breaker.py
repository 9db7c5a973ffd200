"""A circuit breaker for coroutines: pybreaker is the state machine and keeps the count, admission is decided here.

pybreaker 1.4 cannot guard a coroutine: it does not see its outcome, lets every waiting call through when half-open,
counts a cancellation as a failure and goes by the wall clock. So no call runs inside it. A call asks for a `Ticket`
first and settles it afterwards: with a success, with a failure, or, when it was cancelled, with nothing at all.

Only one ticket is out while the breaker is half-open; who gets none may wait for its end. A ticket from before the
last change of state counts for nothing: a straggler must neither close a breaker that has just opened nor open one
that has just closed.

Failures are counted by the length of the longest series of attempts, not by their number: five calls that are made at
the same time and fail once each are one observation of the upstream and count once, five that fail one after another
count five times.

Belongs to one event loop.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

import anyio
import pybreaker

from klepaas.resilience.clock import Clock

__all__ = ["AttemptSeries", "Breaker", "State", "Ticket"]

# pybreaker never lets a call through by its own clock: ten years.
_NEVER_S = 10 * 365 * 86_400.0
# What callers are told while somebody else tries: nobody knows how long that takes, but not long.
PROBING_RETRY_S = 1.0


class State(StrEnum):
    """The state of a breaker."""

    CLOSED = pybreaker.STATE_CLOSED
    OPEN = pybreaker.STATE_OPEN
    HALF_OPEN = pybreaker.STATE_HALF_OPEN


class _AttemptFailed(Exception):
    """Tells pybreaker of a failure; never leaves this module."""


def _fail() -> NoReturn:
    raise _AttemptFailed


class _Listener(pybreaker.CircuitBreakerListener):
    def __init__(self, changed: Callable[[State, State], None]) -> None:
        self._changed = changed

    def state_change(self, cb: pybreaker.CircuitBreaker, old_state: Any, new_state: Any) -> None:
        self._changed(State(old_state.name), State(new_state.name))


@dataclass
class AttemptSeries:
    """The attempts that one call makes one after another.

    Attributes:
        row: Which row of failures the number belongs to; a success begins a new one.
        failures: The breaker's failures when the call began, and the call's own since then.
    """

    row: int
    failures: int


class Ticket:
    """The right to make one attempt, to be settled exactly once; settling it again does nothing.

    Args:
        breaker: Who gave it.
        generation: The breaker's state at that time, counted through.
        series: The call that makes the attempt.
    """

    def __init__(self, breaker: "Breaker", generation: int, series: AttemptSeries) -> None:
        self._breaker = breaker
        self._generation = generation
        self._series = series
        self._settled = False

    def success(self) -> None:
        """The upstream was reached and did its part."""
        self._settle(failed=False)

    def failure(self, took_s: float = math.inf) -> None:
        """The upstream was not reached or did not do its part.

        Args:
            took_s: How long that took, in seconds; infinite: not known.
        """
        if not self._settled:
            self._breaker.last_took_s = took_s
        self._settle(failed=True)

    def release(self) -> None:
        """Nothing was learned: the call was cancelled."""
        self._settle(failed=None)

    def _settle(self, *, failed: bool | None) -> None:
        if not self._settled:
            self._settled = True
            self._breaker._settle(self, self._generation, self._series, failed)


class Breaker:
    """Decides whether an upstream is asked at all.

    Args:
        fail_max: Failures in a row that open it; those of calls at the same time count once.
        open_s: How long it stays open at most before one call may try, in seconds.
        clock: The time it goes by.
        on_change: Called with the old and the new state.
        open_ratio: How many times as long as the last failure took it stays open at most. It saves callers a wait:
            where an upstream fails at once, there is none to save.

    Attributes:
        last_took_s: How long the last failure took, in seconds.
    """

    def __init__(
        self,
        fail_max: int,
        open_s: float,
        clock: Clock,
        on_change: Callable[[State, State], None] | None = None,
        *,
        open_ratio: float = math.inf,
    ) -> None:
        self._open_max_s = open_s
        self._open_ratio = open_ratio
        self.last_took_s = math.inf
        self._clock = clock
        self._on_change = on_change
        self._generation = 0
        self._row = 0
        self._probe: Ticket | None = None
        self._probe_ended: anyio.Event | None = None
        self._changed_at = clock.monotonic()
        self._machine = pybreaker.CircuitBreaker(
            fail_max=fail_max,
            reset_timeout=_NEVER_S,
            listeners=[_Listener(self._changed)],
            throw_new_error_on_trip=False,
        )

    @property
    def state(self) -> State:
        """Its state; it stays open until a call asks after its time has passed."""
        return State(self._machine.current_state)

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._machine.fail_counter

    @property
    def state_age_s(self) -> float:
        """How long it has been in this state, in seconds."""
        return self._clock.monotonic() - self._changed_at

    @property
    def _open_s(self) -> float:
        if math.isinf(self._open_ratio) or math.isinf(self.last_took_s):
            return self._open_max_s
        return min(self._open_max_s, self._open_ratio * self.last_took_s)

    @property
    def retry_in_s(self) -> float | None:
        """After how many seconds a call that came now would be let through. None: at once."""
        state = self.state
        now = self._clock.monotonic()
        if state is State.OPEN and now < self._changed_at + self._open_s:
            return self._changed_at + self._open_s - now
        if state is State.HALF_OPEN and self._probe is not None:
            return PROBING_RETRY_S
        return None

    @property
    def refuses(self) -> bool:
        """Whether it is open and its time has not passed: a call is not made, and there is nothing to wait for."""
        return self.state is State.OPEN and self.retry_in_s is not None

    def begin(self) -> AttemptSeries:
        """Begin the attempts of one call."""
        return AttemptSeries(self._row, self.failures)

    def admit(self, series: AttemptSeries | None = None) -> Ticket | None:
        """Let one attempt through, or not: then `retry_in_s` says when.

        Args:
            series: The call that makes it. None: a call of one attempt.
        """
        if self.retry_in_s is not None:
            return None
        if self.state is State.OPEN:
            self._machine.half_open()
        ticket = Ticket(self, self._generation, series or self.begin())
        if self.state is State.HALF_OPEN:
            self._probe = ticket
        return ticket

    async def wait_for_probe(self) -> None:
        """Wait until the one call that tries has come to its end; return at once where none tries."""
        if self._probe is not None:
            self._probe_ended = self._probe_ended or anyio.Event()
            await self._probe_ended.wait()

    def _settle(self, ticket: Ticket, generation: int, series: AttemptSeries, failed: bool | None) -> None:
        if generation != self._generation:
            return
        if self._probe is ticket:
            self._end_probe()
        if failed is None or (failed and not self._counts(series)):
            return
        if not failed:
            self._row += 1
        with suppress(_AttemptFailed):
            self._machine.call(_fail if failed else _succeed)

    def _counts(self, series: AttemptSeries) -> bool:
        """Whether a failure is news: no call at the same time has failed as often already."""
        if series.row != self._row:
            series.row, series.failures = self._row, 0
        series.failures += 1
        return self.state is State.HALF_OPEN or series.failures > self.failures

    def _end_probe(self) -> None:
        self._probe = None
        if self._probe_ended is not None:
            self._probe_ended.set()
            self._probe_ended = None

    def _changed(self, old: State, new: State) -> None:
        self._generation += 1
        self._end_probe()
        self._changed_at = self._clock.monotonic()
        if self._on_change is not None:
            self._on_change(old, new)


def _succeed() -> None:
    """Tells pybreaker of a success."""
