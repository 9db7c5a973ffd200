"""What a call may do to the world."""

from enum import StrEnum

__all__ = ["Effect"]


class Effect(StrEnum):
    """What a call may do to the world; an upstream's own hints decide nothing."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"

    @property
    def rank(self) -> int:
        """0 for what only reads, more for what does more."""
        return list(Effect).index(self)
