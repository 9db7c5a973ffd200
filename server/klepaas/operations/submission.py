"""What became of putting an operation on record, where the store gave no answer to its commit.

"Refused" means not done. The operation's id exists before the insert, so it is looked up before anything is said.

Source: PostgreSQL, "Frontend/Backend Protocol": a connection that ends after COMMIT was sent tells no outcome.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from klepaas.operations import journal
from klepaas.operations.model import Operation
from klepaas.store import CommitUnknown, Store, StoreUnavailable

if TYPE_CHECKING:
    from klepaas.operations.journal import Submission

__all__ = ["look_up", "look_up_cancel"]

LOOK_UP_S = 10.0
_PAUSE_S = 0.25


async def look_up(store: Store, wanted: "Submission", trouble: CommitUnknown) -> Operation:
    """The operation of a submission whose commit nobody confirmed.

    Args:
        store: Where the journal is.
        wanted: What was submitted.
        trouble: What the store said.

    Raises:
        StoreUnavailable: It is not on record, and never will be: it was not begun.
        CommitUnknown: That could not be found out; the error names the operation.
    """
    try:
        found = await _read(store, wanted.id, trouble, lambda found: found is not None)
    except StoreUnavailable:
        raise _unknown(wanted.id, wanted.title, trouble) from trouble
    if found is not None:
        return found
    raise StoreUnavailable(f"{wanted.title} was not begun: the store did not take it") from trouble


async def look_up_cancel(store: Store, operation_id: str, trouble: CommitUnknown) -> Operation:
    """An operation that somebody asked to cancel, where nobody confirmed that this is on record.

    Args:
        store: Where the journal is.
        operation_id: The operation.
        trouble: What the store said.

    Raises:
        CommitUnknown: Whether it is on record could not be found out; the error names the operation.
    """
    what = f"Cancelling operation {operation_id}"
    try:
        found = await _read(store, operation_id, trouble, _is_cancelled)
    except StoreUnavailable:
        raise _unknown(operation_id, what, trouble) from trouble
    if found is not None and _is_cancelled(found):
        return found
    raise StoreUnavailable(f"{what} was not asked for: the store did not take it") from trouble


def _is_cancelled(found: Operation | None) -> bool:
    return found is not None and (found.cancel_requested or found.ended)


async def _read(
    store: Store, operation_id: str, trouble: CommitUnknown, accepts: Callable[[Operation | None], bool]
) -> Operation | None:
    """The operation as it is on record: as the commit leaves it, or otherwise only once the commit is over.

    Raises:
        StoreUnavailable: The store gives no answer, or the commit does not end.
    """
    until = time.monotonic() + LOOK_UP_S
    while True:
        failure: Exception | None = None
        may_still_commit = trouble.may_still_commit
        try:
            with anyio.fail_after(LOOK_UP_S):
                found = await store.read(lambda session: journal.get(session, operation_id, None))
            if accepts(found) or not may_still_commit:
                return found
        except (StoreUnavailable, TimeoutError) as exc:
            failure = exc
        if time.monotonic() > until:
            raise trouble from failure
        await anyio.sleep(_PAUSE_S)


def _unknown(operation_id: str, title: str, trouble: CommitUnknown) -> CommitUnknown:
    exc = CommitUnknown(
        f"{title}: outcome unknown, operation {operation_id}. {trouble.what}",
        next_step=f"Look with get_operation {operation_id} before you call again",
        ended=trouble.ended,
    )
    exc.operation_id = operation_id
    return exc
