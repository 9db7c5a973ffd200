"""Moments that the store keeps, compared so that a clock which was set does no harm.

Processes that share a store compare wall times, since they share no other clock. A moment that is further ahead than it
can be was written before the clock was set back, and counts as over. A process that sees the store's clock and its own
monotonic clock go apart knows that one of them was set, and takes nothing from others until they have had time to write
their leases anew.
"""

from dataclasses import dataclass

__all__ = ["ClockWatch", "is_ahead"]

# Roundings, and a clock that is corrected a little.
_TOLERANCE_S = 1.0


def is_ahead(moment_s: float | None, now_s: float, *, at_most_s: float) -> bool:
    """Whether a moment is still to come.

    Args:
        moment_s: The moment, in seconds since 1970. None: there is none.
        now_s: The store's time, in seconds since 1970.
        at_most_s: How far ahead it can be, in seconds; further ahead it counts as over.
    """
    return moment_s is not None and now_s < moment_s <= now_s + at_most_s + _TOLERANCE_S


@dataclass
class ClockWatch:
    """Notices that the store's clock was set, or that this machine slept.

    Attributes:
        settle_s: For how long afterwards the clock counts as unsteady, in seconds.
    """

    settle_s: float
    _offset_s: float | None = None
    _moved_at_s: float | None = None

    def observe(self, wall_s: float, monotonic_s: float) -> bool:
        """Whether the store's clock has been steady for a while, as far as this process saw it.

        Args:
            wall_s: The store's time, in seconds since 1970.
            monotonic_s: This process's monotonic clock at the same moment, in seconds.
        """
        offset_s = wall_s - monotonic_s
        if self._offset_s is not None and abs(offset_s - self._offset_s) > _TOLERANCE_S:
            self._moved_at_s = monotonic_s
        self._offset_s = offset_s
        return self.is_steady(monotonic_s)

    def is_steady(self, monotonic_s: float) -> bool:
        """Whether the clock was not seen to be set lately.

        Args:
            monotonic_s: This process's monotonic clock now, in seconds.
        """
        return self._moved_at_s is None or monotonic_s - self._moved_at_s > self.settle_s
