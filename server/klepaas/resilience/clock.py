"""The time that the pipeline goes by, so that tests can turn it: `klepaas.testing.clock` has one to turn.

Durations are taken from a monotonic clock; a wall clock only reads dates that others wrote.
"""

import time
from typing import Protocol

import anyio

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What the pipeline needs of time."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def wall(self) -> float:
        """Seconds since 1970, as dates count them."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait so many seconds."""
        ...

    def move_on_after(self, delay_s: float) -> anyio.CancelScope:
        """A scope that is cancelled after so many seconds."""
        ...


class SystemClock:
    """The machine's time."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    async def sleep(self, delay_s: float) -> None:
        """Wait so many seconds."""
        await anyio.sleep(delay_s)

    def move_on_after(self, delay_s: float) -> anyio.CancelScope:
        """A scope that is cancelled after so many seconds."""
        return anyio.move_on_after(delay_s)
