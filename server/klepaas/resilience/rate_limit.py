"""An upstream's wish to be left alone: how it is read, and the one moment before which nobody asks it again.

A rate limit is not a failure and never opens a breaker; it is shared by all calls to the upstream.

Source: RFC 9110 sections 10.2.3 (Retry-After) and 5.6.7 (dates); GitHub REST API, "Rate limits" (X-RateLimit-Reset).
"""

import math
from datetime import UTC
from email.utils import parsedate_to_datetime

from klepaas.resilience.clock import Clock

__all__ = ["NotBefore", "parse_reset", "parse_retry_after"]


def parse_retry_after(value: str | None, wall_s: float) -> float | None:
    """Read a `Retry-After` header.

    Args:
        value: The header: seconds or a date. None: there was none.
        wall_s: Now, in seconds since 1970.

    Returns:
        Seconds from now, never negative. None: there is none, or it says nothing sensible.
    """
    if value is None:
        return None
    seconds = _seconds(value)
    return seconds if seconds is not None else _until_date(value, wall_s)


def parse_reset(value: str | None, wall_s: float) -> float | None:
    """Read an `X-RateLimit-Reset` header: the moment, in seconds since 1970, when there is quota again.

    Args:
        value: The header. None: there was none.
        wall_s: Now, in seconds since 1970.
    """
    moment = None if value is None else _seconds(value)
    return None if moment is None else max(0.0, moment - wall_s)


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value.strip()[:32])
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until_date(value: str, wall_s: float) -> float | None:
    try:
        moment = parsedate_to_datetime(value.strip()[:64])
        # "-0000", the zone nobody knows, is GMT: HTTP has no other.
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - wall_s)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


class NotBefore:
    """The moment before which an upstream is not asked.

    Args:
        clock: The time it goes by.
        pause_s: How long to wait when the upstream does not say, in seconds.
        max_s: The longest wait that is believed, in seconds.
    """

    def __init__(self, clock: Clock, pause_s: float, max_s: float) -> None:
        self._clock = clock
        self._pause_s = pause_s
        self._max_s = max_s
        self._at = -math.inf

    @property
    def wait_s(self) -> float:
        """Seconds until the upstream may be asked; 0 when it may."""
        return max(0.0, self._at - self._clock.monotonic())

    def put_off(self, delay_s: float | None) -> None:
        """Ask no earlier than then; an earlier wish for a later moment stays.

        Args:
            delay_s: Seconds from now. None: the upstream did not say.
        """
        wanted = self._pause_s if delay_s is None else min(delay_s, self._max_s)
        self._at = max(self._at, self._clock.monotonic() + wanted)
