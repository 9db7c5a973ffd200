"""What a plugin gets from the server that hosts it: the settings, and services that plugins share.

It knows no plugin: a service is named by its class, built on first use, and closed when the server stops. Closing is a
call of a plugin's code and guarded like one.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import anyio

from klepaas.settings import Settings

__all__ = ["Closable", "Host"]

log = logging.getLogger(__name__)
S = TypeVar("S")

# A service may not hold up the end of the server.
CLOSE_LIMIT_S = 5.0


@runtime_checkable
class Closable(Protocol):
    """A service that holds something open."""

    def aclose(self) -> Awaitable[None]:
        """Let go of it."""
        ...


class Host:
    """One running klepaas, seen from a plugin.

    Args:
        settings: The settings it runs with.

    Attributes:
        began_at: When it was put together, in seconds since 1970.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.began_at = time.time()
        self._services: dict[type[Any], Any] = {}

    def service(self, kind: type[S], build: Callable[["Host"], S]) -> S:
        """The shared service of this class, built on first use.

        Args:
            kind: The service's class, which names it.
            build: Makes it; called at most once a host.
        """
        if kind not in self._services:
            self._services[kind] = build(self)
        service: S = self._services[kind]
        return service

    async def aclose(self) -> None:
        """Close every service that was built, last first, each within a limit; a failure is logged.

        It runs to its end also where the server itself is cancelled.
        """
        while self._services:
            kind, service = self._services.popitem()
            if isinstance(service, Closable):
                await _close(kind.__name__, service)


async def _close(name: str, service: Closable) -> None:
    try:
        with anyio.move_on_after(CLOSE_LIMIT_S, shield=True) as limit:
            await service.aclose()
    except Exception as exc:  # guarded boundary: a plugin's service
        log.warning("the service %s cannot be closed: %s", name, type(exc).__name__, exc_info=exc)
    if limit.cancelled_caught:
        log.warning("the service %s did not close within %g s", name, CLOSE_LIMIT_S)
