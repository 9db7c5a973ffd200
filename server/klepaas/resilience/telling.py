"""Tells people when a breaker opens and when it closes again; passes everything on to whoever counts.

A breaker that flaps is told once: it opens for nobody again until it has closed, and not more often than every ten
minutes; all breakers together are told only so often in an hour. What carries notifications is not told of by itself.
"""

from collections import deque

from klepaas.notifications import Notification, Notifications
from klepaas.resilience.breaker import State
from klepaas.resilience.classify import Kind
from klepaas.resilience.clock import Clock, SystemClock
from klepaas.resilience.observer import Observer

__all__ = ["CLOSED", "OPENED", "OWN_PREFIX", "TellingObserver"]

OPENED, CLOSED = "circuit_breaker_opened", "circuit_breaker_closed"
# Upstreams that carry notifications: telling of them by themselves would go round in circles.
OWN_PREFIX = "notifications/"
QUIET_S = 600.0
MOST_AN_HOUR = 30


class TellingObserver:
    """Counts through another observer, and tells of breakers.

    Args:
        counts: Who counts.
        notifications: Who is told.
        clock: The time. None: the machine's.
    """

    def __init__(self, counts: Observer, notifications: Notifications, clock: Clock | None = None) -> None:
        self._counts = counts
        self._notifications = notifications
        self._clock: Clock = clock or SystemClock()
        self._told_open: set[str] = set()
        self._opened_at: dict[str, float] = {}
        self._lately: deque[float] = deque(maxlen=MOST_AN_HOUR)

    def attempted(self, upstream: str, kind: Kind, latency_s: float) -> None:
        """Pass it on."""
        self._counts.attempted(upstream, kind, latency_s)

    def failed(self, upstream: str, kind: str) -> None:
        """Pass it on."""
        self._counts.failed(upstream, kind)

    def appeared(self, upstream: str) -> None:
        """Pass it on."""
        self._counts.appeared(upstream)

    def changed(self, upstream: str, old: State, new: State) -> None:
        """Pass it on, and tell people what they do not know yet."""
        self._counts.changed(upstream, old, new)
        if upstream.startswith(OWN_PREFIX):
            return
        if new is State.OPEN and upstream not in self._told_open and self._may_tell(upstream):
            self._told_open.add(upstream)
            self._tell(OPENED, upstream, f"{upstream} keeps failing; klepaas leaves it alone for now")
        elif new is State.CLOSED and upstream in self._told_open:
            self._told_open.discard(upstream)
            self._tell(CLOSED, upstream, f"{upstream} answers again")

    def _may_tell(self, upstream: str) -> bool:
        now = self._clock.monotonic()
        last = self._opened_at.get(upstream)
        if last is not None and now - last < QUIET_S:
            return False
        if len(self._lately) == MOST_AN_HOUR and now - self._lately[0] < 3600:
            return False
        self._opened_at[upstream] = now
        self._lately.append(now)
        return True

    def _tell(self, kind: str, upstream: str, title: str) -> None:
        self._notifications.send(Notification(kind, title, facts={"upstream": upstream}))
