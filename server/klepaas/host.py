"""What a plugin gets from the server that hosts it: the settings, and services that plugins share.

It knows no plugin: a service is named by its class, built on first use, and closed when the server stops.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

from klepaas.settings import Settings

__all__ = ["Closable", "Host"]

S = TypeVar("S")


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
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
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
        """Close every service that was built, last first."""
        while self._services:
            _, service = self._services.popitem()
            if isinstance(service, Closable):
                await service.aclose()
