"""One change at a time to an application, within this server.

A second call that would change what a first is still changing is refused, with what is going on. It knows nothing of
other servers: the journal of operations will.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from klepaas.host import Host
from klepaas_plugins.deployments.errors import ChangeInProgress
from klepaas_plugins.deployments.place import Place

__all__ = ["ChangesInProgress"]


class ChangesInProgress:
    """The changes that run in this server at the moment; one a host."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str, str], tuple[str, float]] = {}

    @classmethod
    def of(cls, host: Host) -> "ChangesInProgress":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    @contextmanager
    def claim(self, place: Place, tool: str) -> Iterator[None]:
        """Hold the application for the time of a change.

        Raises:
            ChangeInProgress: Another call holds it.
        """
        key = place.cluster.context, place.namespace, place.app_name
        if key in self._running:
            other, since_s = self._running[key]
            raise ChangeInProgress(
                f"{place.text} is being changed by another call ({other}, for {time.monotonic() - since_s:.0f} s)",
                next_step="Wait until that call has answered; get_deployment_status shows how far it is",
            )
        self._running[key] = (tool, time.monotonic())
        try:
            yield
        finally:
            del self._running[key]
