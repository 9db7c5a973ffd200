"""What can be wrong with the store, under `KlepaasError`; no exception of the database library leaves this package."""

import threading

from klepaas.errors import Unavailable

__all__ = ["ASK_THE_DOCTOR", "CommitUnknown", "StoreDeleted", "StoreTooNew", "StoreUnavailable"]

ASK_THE_DOCTOR = "Ask the person who runs klepaas to run `klepaas doctor`, which says how to repair it"


class StoreUnavailable(Unavailable):
    """The store cannot be read or written."""


class CommitUnknown(StoreUnavailable):
    """Whether the store took a change is not known: its commit was sent, and nobody answered.

    Args:
        what: What happened, one sentence.
        next_step: What to do next. None: to look.
        ended: Set when the commit is over.
    """

    retryable = False

    def __init__(self, what: str, *, ended: threading.Event, next_step: str | None = None) -> None:
        super().__init__(what, next_step=next_step or "Look whether it is there before you ask for it again")
        self.ended = ended

    @property
    def may_still_commit(self) -> bool:
        """Whether the commit may be under way, so that what is not there now may be there soon."""
        return not self.ended.is_set()


class StoreDeleted(StoreUnavailable):
    """The file of the store was deleted while klepaas ran."""

    retryable = False


class StoreTooNew(StoreUnavailable):
    """A newer klepaas has written the store."""

    retryable = False
