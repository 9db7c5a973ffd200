"""How many calls there may be: so many a minute from one caller, so many at the same time in all.

It counts and waits; who a caller is, and what a refusal looks like to a client, is `klepaas.calls`' affair.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import anyio

from klepaas.errors import RateLimited, Unavailable
from klepaas.resilience.clock import Clock, SystemClock

__all__ = ["Rate", "Slots", "slot_set_aside"]

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
        slot = _Slot(self._slots)
        token = _held.set(slot)
        try:
            yield
        finally:
            _held.reset(token)
            slot.give_back()

    async def _acquire(self) -> None:
        try:
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            await self._wait()

    async def _wait(self) -> None:
        waiting = self._slots.statistics().tasks_waiting
        if waiting < self._limit * WAITING_PER_SLOT:
            with self._clock.move_on_after(QUEUE_TIMEOUT_S):
                await self._slots.acquire()
                return
        raise Unavailable(
            f"This server is busy: {self._limit} calls run and {waiting} wait", next_step="Try again", retry_after_s=2.0
        )


class _Slot:
    """One that is taken, and may be set aside for a while."""

    def __init__(self, slots: anyio.Semaphore) -> None:
        self._slots = slots
        self._taken = True

    def give_back(self) -> None:
        if self._taken:
            self._taken = False
            self._slots.release()

    async def take_again(self) -> None:
        await self._slots.acquire()
        self._taken = True


_held: ContextVar[_Slot | None] = ContextVar("klepaas_slot", default=None)


@asynccontextmanager
async def slot_set_aside() -> AsyncIterator[None]:
    """Let others use the slot of the call at hand while it waits for a person, who may take minutes."""
    slot = _held.get()
    if slot is None:
        yield
        return
    slot.give_back()
    yield  # no slot is taken again where the call ends here
    await slot.take_again()
