"""Carries what lies in the outbox to its sinks: one courier a sink, again and again until it arrives or is given up.

A courier looks when it is woken, when something becomes due, and now and then for what another server left behind. It
opens no store that nobody has written to. At the end of the server what is under way gets a moment; the rest stays for
the next server.
"""

import asyncio
import logging
import os
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio

from klepaas.errors import BadRequest, CircuitOpen, KlepaasError, RateLimited
from klepaas.notifications import Notification, NotificationSink, attempt, reason
from klepaas.resilience.errors import OutcomeUnknown, Overloaded
from klepaas.store.errors import StoreUnavailable
from klepaas.store.outbox import Outbox, Parcel

__all__ = ["Couriers", "Verdict", "judge"]

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 12
MOST_AGE_S = 24 * 3600.0
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 900.0
# More is not believed of a sink that asks for a pause.
LONGEST_PAUSE_S = 3600.0
# A lease outlives the delivery by this much.
LEASE_MARGIN_S = 30.0
# The start of a server has better things to do.
FIRST_LOOK_S = 3.0
LOOK_S = 30.0

Settled = Callable[[str | None, str, int], None]


@dataclass(frozen=True)
class Verdict:
    """What a failed delivery means.

    Attributes:
        give_up: Whether it is not tried again.
        wait_s: When it is, in seconds from now.
        counts: Whether that was one of its attempts: what was never sent is none.
        for_all: Whether the sink's other notifications wait as long.
    """

    give_up: bool = False
    wait_s: float = 0.0
    counts: bool = True
    for_all: bool = False


def judge(error: Exception, attempts: int) -> Verdict:
    """What a failed delivery means.

    Args:
        error: What the sink raised.
        attempts: How many there were before.
    """
    asked_s = min(LONGEST_PAUSE_S, (error.retry_after_s if isinstance(error, KlepaasError) else None) or 0.0)
    if isinstance(error, BadRequest):
        return Verdict(give_up=True)
    if isinstance(error, RateLimited | CircuitOpen | Overloaded):
        return Verdict(wait_s=max(0.05, asked_s or FIRST_WAIT_S), counts=False, for_all=True)
    if attempts + 1 >= MOST_ATTEMPTS:
        return Verdict(give_up=True)
    backoff_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempts)
    return Verdict(wait_s=max(asked_s, backoff_s * random.uniform(0.75, 1.25)))  # noqa: S311 -- spreads load


class Couriers:
    """The couriers of one server; they begin at once.

    Args:
        outbox: What they carry from.
        sinks: Where to.
        settled: Told of each delivery that ended (sink, "delivered" or "failed") and how many wait; without a sink only
            of the latter.
    """

    def __init__(self, outbox: Outbox, sinks: Sequence[NotificationSink], settled: Settled) -> None:
        self.outbox = outbox
        self._settled = settled
        self._holder = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._wakes = {sink.name: asyncio.Event() for sink in sinks}
        self._news = asyncio.Event()
        self._ending = False
        self.tasks = [asyncio.create_task(self._carry_for(sink), name=f"notifications-{sink.name}") for sink in sinks]

    def wake(self) -> None:
        """Something was put into the outbox."""
        for wake in self._wakes.values():
            wake.set()

    async def something_settled(self, wait_s: float) -> None:
        """Wait for the next delivery that ended or failed, not for long.

        Args:
            wait_s: Longest wait, in seconds.
        """
        with anyio.move_on_after(wait_s):
            await self._news.wait()

    async def finish(self) -> None:
        """Carry what is due now, and end."""
        self._ending = True
        self.wake()
        await asyncio.wait(self.tasks)

    async def aclose(self) -> None:
        """End now; what is under way is delivered again by somebody else, when its lease has run out."""
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)

    async def _carry_for(self, sink: NotificationSink) -> None:
        await self._pause(sink, FIRST_LOOK_S)
        while True:
            wait_s = await self._carry_next(sink)
            if wait_s > 0:
                if self._ending:
                    return
                await self._pause(sink, min(wait_s, LOOK_S))

    async def _pause(self, sink: NotificationSink, wait_s: float) -> None:
        wake = self._wakes[sink.name]
        with anyio.move_on_after(wait_s):
            await wake.wait()
        wake.clear()

    async def _carry_next(self, sink: NotificationSink) -> float:
        """Deliver what is due, if anything is; in how many seconds to look again."""
        if not self.outbox.exists:
            return LOOK_S
        try:
            parcel, wait_s = await self.outbox.take(sink.name, self._holder, sink.timeout_s + LEASE_MARGIN_S)
            if parcel is None:
                self._settled(None, "", (await self.outbox.census()).waiting)
                return max(0.05, LOOK_S if wait_s is None else wait_s)
            await self._carry(sink, parcel)
        except StoreUnavailable:
            log.debug("the outbox cannot be asked now")
            return LOOK_S
        return 0.0

    async def _carry(self, sink: NotificationSink, parcel: Parcel) -> None:
        if parcel.age_s > MOST_AGE_S:
            await self._give_up(sink, parcel, "it is older than a day")
            return
        try:
            notification = Notification.from_json(parcel.payload)
        except TypeError:
            await self._give_up(sink, parcel, "what is stored of it cannot be read")
            return
        error = await attempt(sink, notification)
        if error is None:
            await self.outbox.delivered(parcel, self._holder)
            await self._tell(sink, "delivered")
            return
        verdict = judge(error, parcel.attempts)
        if verdict.give_up:
            await self._give_up(sink, parcel, _why(error))
            return
        others = sink.name if verdict.for_all else None
        await self.outbox.put_off(
            parcel, self._holder, _why(error), verdict.wait_s, counts=verdict.counts, all_of=others
        )
        self._spread_the_news()

    async def _give_up(self, sink: NotificationSink, parcel: Parcel, why: str) -> None:
        log.error("a notification for %s is given up: %s", sink.name, why)
        await self.outbox.failed(parcel, self._holder, why)
        await self._tell(sink, "failed")

    async def _tell(self, sink: NotificationSink, outcome: str) -> None:
        self._spread_the_news()
        self._settled(sink.name, outcome, (await self.outbox.census()).waiting)

    def _spread_the_news(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _why(error: Exception) -> str:
    doubt = ", and it may have arrived all the same" if isinstance(error, OutcomeUnknown | TimeoutError) else ""
    return reason(error) + doubt
