"""What can be wrong with the store, under `KlepaasError`; no exception of the database library leaves this package."""

from klepaas.errors import Unavailable

__all__ = ["ASK_THE_DOCTOR", "StoreDeleted", "StoreTooNew", "StoreUnavailable"]

ASK_THE_DOCTOR = "Ask the person who runs klepaas to run `klepaas doctor`, which says how to repair it"


class StoreUnavailable(Unavailable):
    """The store cannot be read or written."""


class StoreDeleted(StoreUnavailable):
    """The file of the store was deleted while klepaas ran."""

    retryable = False


class StoreTooNew(StoreUnavailable):
    """A newer klepaas has written the store."""

    retryable = False
