"""Notifications: what happened on the platform, told to whoever wants to know (a chat, a pager, the log).

Whoever sends one never waits and never fails because of it: it is put into a queue that a task of the server empties,
each sink within its limit. A full queue drops the new ones, which the log says. Nothing is sent while no server runs.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from klepaas.host import Host
from klepaas.metrics import Metrics
from klepaas.observability import one_line, safe_text

__all__ = ["Notification", "NotificationSink", "Notifications"]

log = logging.getLogger(__name__)

_QUEUE_MAX = 100
# What the last ones get when the server ends.
DRAIN_LIMIT_S = 2.0


@dataclass(frozen=True)
class Notification:
    """Something that happened.

    Attributes:
        kind: What it was, for programs: "deployment_succeeded", "deployment_failed", "deployment_rolled_back".
        title: One line for people.
        text: The rest, for people; may be empty.
        facts: The few values that a program would want, as JSON data.
    """

    kind: str
    title: str
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def safe(self) -> "Notification":
        """The same, cleaned and without secrets."""
        return Notification(self.kind, one_line(self.title), safe_text(self.text), _safe(dict(self.facts)))


def _safe(value: Any) -> Any:
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, dict):
        return {one_line(str(name), 64): _safe(item) for name, item in value.items()}
    return [_safe(item) for item in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class NotificationSink:
    """Where notifications go.

    Attributes:
        name: The sink's name, for people.
        send: Takes one notification. It is called with a time limit.
        timeout_s: That limit, in seconds.
    """

    name: str
    send: Callable[[Notification], Awaitable[None]]
    timeout_s: float = 10.0


class Notifications:
    """The notifications of one server."""

    def __init__(self) -> None:
        self.sinks: Sequence[NotificationSink] = (NotificationSink("log", _log),)
        self.metrics: Metrics | None = None
        self.tasks: Sequence[asyncio.Task[None]] = ()
        self._waiting: deque[Notification] = deque()
        self._wake: asyncio.Event | None = None
        self._ending = False

    @classmethod
    def of(cls, host: Host) -> "Notifications":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    def send(self, notification: Notification) -> None:
        """Tell every sink, soon; returns at once.

        Args:
            notification: What happened; it is cleaned and redacted here.
        """
        if self._wake is None:
            log.debug("nobody is there to tell: %s", notification.kind)
        elif len(self._waiting) >= _QUEUE_MAX:
            log.warning("too many notifications wait; one is dropped: %s", notification.kind)
            self._count("any", "dropped")
        else:
            self._waiting.append(notification.safe())
            self._count_waiting()
            self._wake.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver while inside; at the end what waits gets a moment.

        A plain task and no task group: FastMCP leaves a lifespan inside a cancel scope that it did not enter it in.
        """
        self._wake, self._ending = asyncio.Event(), False
        task = asyncio.create_task(self._deliver_when_woken(self._wake))
        self.tasks = [task]
        try:
            yield
        finally:
            self.tasks = ()
            self._ending = True
            self._wake.set()
            with anyio.move_on_after(DRAIN_LIMIT_S, shield=True):
                await task
            self._wake = None
            self._waiting.clear()

    async def _deliver_when_woken(self, wake: asyncio.Event) -> None:
        while True:
            await wake.wait()
            wake.clear()
            while self._waiting:
                notification = self._waiting.popleft()
                async with anyio.create_task_group() as group:
                    for sink in self.sinks:
                        group.start_soon(self._deliver, sink, notification)
                self._count_waiting()
            if self._ending:
                return

    async def _deliver(self, sink: NotificationSink, notification: Notification) -> None:
        self._count(sink.name, "delivered" if await _deliver(sink, notification) else "failed")

    def _count(self, sink: str, outcome: str) -> None:
        if self.metrics is not None:
            self.metrics.notifications.ended(sink, outcome)

    def _count_waiting(self) -> None:
        if self.metrics is not None:
            self.metrics.notifications.waiting(len(self._waiting))


async def _deliver(sink: NotificationSink, notification: Notification) -> bool:
    """Whether the sink took it."""
    try:
        with anyio.fail_after(sink.timeout_s):
            await sink.send(notification)
    except Exception as exc:  # guarded boundary: a stranger's sink
        log.warning("the notification sink %s failed: %s", sink.name, type(exc).__name__, exc_info=exc)
        return False
    return True


async def _log(notification: Notification) -> None:
    log.info("%s: %s", notification.kind, notification.title)
