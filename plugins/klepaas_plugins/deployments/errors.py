"""The failures that only the application verbs know; they are conflicts."""

from klepaas.errors import Conflict

__all__ = ["OwnedByAnother"]


class OwnedByAnother(Conflict):
    """A field that this change would set is owned by another manager."""
