"""A clock that a test turns: no test waits for real time.

    clock = FakeClock()
    task_group.start_soon(call_that_times_out_after_ten_seconds)
    await clock.run(10)

Everything that waits on the clock is woken at its own time, in order, and the tasks run in between.
"""

import heapq
import itertools
import math
from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

__all__ = ["FakeClock"]

# Turns of the event loop after which tasks that wait for nothing but each other have come to rest.
_SETTLING_TURNS = 25


class FakeClock:
    """Time that stands still until it is turned.

    Args:
        wall_s: The wall clock's start, in seconds since 1970.
        hurries: Whether a sleep turns the clock itself, so that code on its own need not be turned from outside.
    """

    def __init__(self, wall_s: float = 1_800_000_000.0, *, hurries: bool = False) -> None:
        self._now = 1000.0
        self._wall_offset = wall_s - self._now
        self._hurries = hurries
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self.slept_s: list[float] = []

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self._now

    def wall(self) -> float:
        """Seconds since 1970."""
        return self._now + self._wall_offset

    async def sleep(self, delay_s: float) -> None:
        """Wait until the clock has been turned so far; `slept_s` keeps what was asked for."""
        self.slept_s.append(delay_s)
        if self._hurries:
            self.advance(delay_s)
            await checkpoint()
        elif delay_s > 0:
            woken = anyio.Event()
            self._at(delay_s, woken.set)
            await woken.wait()
        else:
            await checkpoint()

    def move_on_after(self, delay_s: float) -> anyio.CancelScope:
        """A scope that is cancelled once the clock has been turned so far."""
        scope = anyio.CancelScope()
        if math.isfinite(delay_s):
            self._at(delay_s, scope.cancel)
        return scope

    def advance(self, seconds: float) -> None:
        """Turn the clock; what is due is woken in order and runs when the caller waits for something."""
        until = self._now + seconds
        while self._next_due_by(until):
            self._ring()
        self._now = until

    async def run(self, seconds: float) -> None:
        """Turn the clock and let every task run at each moment that something waits for."""
        until = self._now + seconds
        await self.settle()
        while self._next_due_by(until):
            self._ring()
            await self.settle()
        self._now = until
        await self.settle()

    async def settle(self) -> None:
        """Let the other tasks run until they wait for time, or for the world outside."""
        for _ in range(_SETTLING_TURNS):
            await checkpoint()

    def shift_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator or a leap second would."""
        self._wall_offset += seconds

    def _at(self, delay_s: float, ring: Callable[[], object]) -> None:
        heapq.heappush(self._timers, (self._now + delay_s, next(self._order), ring))

    def _next_due_by(self, until: float) -> bool:
        return bool(self._timers) and self._timers[0][0] <= until

    def _ring(self) -> None:
        due, _, ring = heapq.heappop(self._timers)
        self._now = max(self._now, due)
        ring()
