"""Which operations exclude each other, and whether a lease still holds: pure rules for the journal.

An operation is locked by its target's namespace, which every role there may read, so that two processes that name the
same cluster differently still meet. A lease is compared with the store's clock; by whoever holds it, with the monotonic
clock of its own process.

Source: Kubernetes API conventions, "Metadata" (uid: unique in time and space).
"""

from dataclasses import dataclass

__all__ = ["Lease", "lock_key"]


@dataclass(frozen=True, kw_only=True)
class Lease:
    """Who holds an operation.

    Attributes:
        epoch: Counted up with each take-over; a write under an older one is refused.
        until_wall_s: Until when, by the store's clock, in seconds since 1970.
        lasts_s: How long a lease lasts, in seconds.
        until_monotonic_s: Until when, by the holder's own monotonic clock. None: this process does not hold it.
    """

    epoch: int
    until_wall_s: float
    lasts_s: float
    until_monotonic_s: float | None = None

    def is_free(self, wall_s: float) -> bool:
        """Whether another process may take it.

        One that is further ahead than it lasts was written by a clock that has been set back since: it counts as
        expired, or an operation would be held for hours.

        Args:
            wall_s: The store's clock now, in seconds since 1970.
        """
        return not wall_s < self.until_wall_s <= wall_s + self.lasts_s

    def is_held(self, epoch: int, monotonic_s: float) -> bool:
        """Whether this process surely holds it, whatever was done to the wall clock.

        Args:
            epoch: The epoch under which it took it.
            monotonic_s: Its monotonic clock now.
        """
        return self.until_monotonic_s is not None and epoch == self.epoch and monotonic_s < self.until_monotonic_s


def lock_key(namespace_uid: str | None, cluster_identity: str, namespace: str, kind: str, name: str) -> str:
    """What two operations on the same target have in common.

    Args:
        namespace_uid: The uid of the target's namespace. None: it does not exist yet, or may not be read.
        cluster_identity: What identifies the cluster otherwise.
        namespace: The namespace's name.
        kind: The target's kind.
        name: The target's name.
    """
    where = f"namespace:{namespace_uid}" if namespace_uid else f"{cluster_identity}/{namespace}"
    return f"{where}/{kind.lower()}/{name}"
