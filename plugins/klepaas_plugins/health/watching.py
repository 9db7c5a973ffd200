"""Asks every component from time to time, where the operator wants that: for the history and the metrics."""

import asyncio
import logging

import anyio

from klepaas.health import Health
from klepaas.host import Host
from klepaas_plugins.health.settings import HealthSettings

__all__ = ["Watch"]

log = logging.getLogger(__name__)


class Watch:
    """The one task that asks.

    Args:
        host: The server's settings and shared services.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, host: Host) -> "Watch":
        """The host's own."""
        return host.service(cls, cls)

    def begin(self) -> None:
        """Begin to ask, if the settings say so; the first time after one interval."""
        interval_s = HealthSettings.of(self._host).interval_s
        if interval_s is not None and self._task is None:
            self._task = asyncio.create_task(self._ask_every(interval_s))

    async def aclose(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1.0)
            self._task = None

    async def _ask_every(self, interval_s: float) -> None:
        health = Health.of(self._host)
        while True:
            await anyio.sleep(interval_s)
            try:
                await health.look()
            except Exception as exc:  # this task must not end before the server does
                log.warning("components cannot be asked: %s", type(exc).__name__, exc_info=exc)
