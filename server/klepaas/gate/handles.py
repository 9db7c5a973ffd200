"""Handles for what was shown and may be confirmed: random, bound to one principal, used once, forgotten after a while.

They live in this process: a handle of another server, or of this one before it was restarted, is not known.
"""

import secrets
from dataclasses import dataclass

from klepaas.errors import RateLimited
from klepaas.resilience.clock import Clock

__all__ = ["Handles", "Shown", "new_handle"]

# No vowels, no look-alikes, in short groups: redaction takes longer random words for secrets, and people type these.
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"
_GROUPS, _GROUP_CHARS = 4, 5
# A caller that asks and never answers must not fill the memory.
_MOST_OF_ONE = 100
_MOST = 10_000


def new_handle() -> str:
    """A new handle of 95 random bits: `plan-` and four groups of letters and digits."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS))
    return "-".join(["plan", *groups])


@dataclass(frozen=True)
class Shown:
    """What was shown, by digests: whatever differs later was not confirmed.

    Attributes:
        arguments_digest: Of the tool and its arguments.
        preview_digest: Of what would change.
        rounds: How often it was shown in a row.
    """

    arguments_digest: str
    preview_digest: str
    rounds: int = 1


class Handles:
    """The handles of one kind.

    Args:
        ttl_s: How long one counts, in seconds.
        clock: The time it goes by.
    """

    def __init__(self, ttl_s: float, clock: Clock) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._open: dict[tuple[str, str], tuple[Shown, float]] = {}

    def issue(self, principal_key: str, shown: Shown) -> str:
        """A new handle.

        Args:
            principal_key: Who alone may use it.
            shown: What it stands for.

        Raises:
            RateLimited: Too many are open.
        """
        self._forget_the_expired()
        of_one = sum(key == principal_key for key, _ in self._open)
        if of_one >= _MOST_OF_ONE or len(self._open) >= _MOST:
            raise RateLimited("Too many changes wait for a confirmation", retry_after_s=self._ttl_s)
        handle = new_handle()
        self._open[principal_key, handle] = (shown, self._clock.monotonic() + self._ttl_s)
        return handle

    def take(self, principal_key: str, handle: str) -> Shown | None:
        """What a handle stands for, once; None where it was used, has expired, or is somebody else's.

        Args:
            principal_key: Who uses it.
            handle: What they sent.
        """
        self._forget_the_expired()
        found = self._open.pop((principal_key, handle), None)
        return found[0] if found else None

    def _forget_the_expired(self) -> None:
        now = self._clock.monotonic()
        self._open = {key: item for key, item in self._open.items() if item[1] > now}
