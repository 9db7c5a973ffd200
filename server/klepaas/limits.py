"""How many calls there may be: so many a minute from one caller, so many at the same time in all.

It counts and waits; who a caller is, and what a refusal looks like to a client, is `klepaas.calls`' affair.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from klepaas.errors import RateLimited, Unavailable
from klepaas.resilience.clock import Clock, SystemClock

__all__ = ["Rate", "Slots"]

# Callers are remembered only so long as their bucket is not full again, and never more than these.
MOST_CALLERS = 10_000
# Calls that may wait for each one that may run, and how long.
WAITING_PER_SLOT = 2
QUEUE_TIMEOUT_S = 5.0


class Rate:
    """A bucket of tokens for each caller, full at first.

    Args:
        per_minute: Tokens that come back in a minute, and that a bucket holds. 0: no limit.
        clock: The time it goes by. None: the machine's.
    """

    def __init__(self, per_minute: int, clock: Clock | None = None) -> None:
        self._per_minute = per_minute
        self._clock = clock or SystemClock()
        # What each caller had, and when; the one that called last stands last.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Take a token of the caller's.

        Args:
            caller: Whose.

        Raises:
            RateLimited: It has none; the error says when there will be one.
        """
        if not self._per_minute:
            return
        now = self._clock.monotonic()
        tokens = self._tokens(caller, now)
        if tokens < 1:
            self._buckets[caller] = (tokens, now)
            wait_s = (1 - tokens) * 60 / self._per_minute
            raise RateLimited(
                f"This server takes {self._per_minute} calls a minute from one caller, and these are used up",
                next_step="Ask for more in one call, for example with a selector instead of names",
                retry_after_s=max(0.1, round(wait_s, 1)),
            )
        self._buckets[caller] = (tokens - 1, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)

    def _tokens(self, caller: str, now: float) -> float:
        held, then = self._buckets.get(caller, (float(self._per_minute), now))
        return min(self._per_minute, held + (now - then) * self._per_minute / 60)


class Slots:
    """Lets so many run at the same time; a few more wait for their turn, the others are refused at once.

    Args:
        limit: How many run.
        clock: The time that waits go by. None: the machine's.
    """

    def __init__(self, limit: int, clock: Clock | None = None) -> None:
        self._limit = limit
        self._clock = clock or SystemClock()
        self._slots = anyio.Semaphore(limit, fast_acquire=True)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a slot.

        Raises:
            Unavailable: All are taken and enough wait already, or the wait took too long.
        """
        await self._acquire()
        try:
            yield
        finally:
            self._slots.release()

    async def _acquire(self) -> None:
        waiting = self._slots.statistics().tasks_waiting
        if self._slots.value > 0 or waiting < self._limit * WAITING_PER_SLOT:
            with self._clock.move_on_after(QUEUE_TIMEOUT_S):
                await self._slots.acquire()
                return
        raise Unavailable(
            f"This server is busy: {self._limit} calls run and {waiting} wait", next_step="Try again", retry_after_s=2.0
        )
