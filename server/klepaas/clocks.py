"""What upstreams say of the time, so that a clock that is wrong is noticed: ours, or one of theirs.

Clients of upstreams tell it what they saw in the `Date` of an answer; it compares and keeps the last of each. It asks
nobody and sets no clock.
"""

import time
from typing import NamedTuple

from klepaas.host import Host

__all__ = ["Clocks", "Seen"]

# A date has whole seconds and was written before it was read.
_ROUNDING_S = 0.5
# What was seen longer ago says nothing of now.
_BELIEVED_S = 3600.0
# Of one upstream a date is read at most so often.
_PAUSE_S = 20.0
_MOST_UPSTREAMS = 200


class Seen(NamedTuple):
    """What one upstream's clock says.

    Attributes:
        upstream: Its name.
        ahead_s: How far it is before our clock, as far as that is certain, in seconds; below 0: behind.
        at: When it was seen, by a clock that never goes back.
    """

    upstream: str
    ahead_s: float
    at: float


class Clocks:
    """The clocks of one server's upstreams."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    @classmethod
    def of(cls, host: Host) -> "Clocks":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    def noticed(self, upstream: str, ahead_s: float) -> None:
        """An upstream's clock was compared with ours.

        Args:
            upstream: Its name.
            ahead_s: How far it is before ours, as far as that is certain, in seconds.
        """
        if upstream in self._seen or len(self._seen) < _MOST_UPSTREAMS:
            self._seen[upstream] = Seen(upstream, ahead_s, time.monotonic())

    def read(self, upstream: str, date: str | None, took_s: float) -> None:
        """An upstream answered; its date is read, unless it was lately.

        Args:
            upstream: Its name.
            date: The `Date` of its answer. None: it has none.
            took_s: How long the answer took, in seconds.
        """
        last = self._seen.get(upstream)
        if date is None or (last is not None and time.monotonic() - last.at < _PAUSE_S):
            return
        from email.utils import parsedate_to_datetime

        try:
            theirs = parsedate_to_datetime(date[:64]).timestamp()
        except (ValueError, OverflowError):
            return
        difference, doubt = theirs + _ROUNDING_S - time.time(), _ROUNDING_S + took_s
        certain = max(0.0, abs(difference) - doubt)
        self.noticed(upstream, certain if difference > 0 else -certain)

    def lately(self) -> list[Seen]:
        """What was seen in the last hour."""
        now = time.monotonic()
        return [seen for seen in self._seen.values() if now - seen.at < _BELIEVED_S]

    def ours_is_ahead_s(self) -> float | None:
        """How far our clock is before those of most upstreams, in seconds. None: nobody has told the time."""
        import statistics

        seen = self.lately()
        return -statistics.median(one.ahead_s for one in seen) if seen else None
