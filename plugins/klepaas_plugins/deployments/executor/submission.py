"""What became of putting an operation on record, where the store failed on the way.

"Refused" means not done. A commit may be in the store although its connection broke, or although our own limit cut the
wait for it; so the operation's id exists before the insert, and it is looked up again before anything is said.

Source: PostgreSQL, "Frontend/Backend Protocol": a connection that ends after COMMIT was sent tells no outcome.
"""

from enum import StrEnum

__all__ = ["LookUp", "Submission", "describe_submission", "judge_submission"]


class LookUp(StrEnum):
    """What looking the operation up by its id gave."""

    FOUND = "found"
    ABSENT = "absent"
    FAILED = "failed"
    NOT_TRIED = "not tried"


class Submission(StrEnum):
    """What became of it."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "outcome unknown"


def judge_submission(*, is_committed: bool, look_up: LookUp, may_still_commit: bool) -> Submission:
    """What became of a submission.

    Args:
        is_committed: Whether the store confirmed it.
        look_up: What looking it up gave.
        may_still_commit: Whether the transaction may still be under way, so that an absent operation may appear yet.
    """
    if is_committed or look_up is LookUp.FOUND:
        return Submission.ACCEPTED
    if look_up is LookUp.ABSENT and not may_still_commit:
        return Submission.REFUSED
    return Submission.UNKNOWN


def describe_submission(found: Submission, operation_id: str) -> str:
    """What an answer says; a call that stops waiting says the same of what goes on without it.

    Args:
        found: What became of it.
        operation_id: The operation.
    """
    if found is Submission.ACCEPTED:
        return f"operation {operation_id} goes on"
    if found is Submission.REFUSED:
        return "it was not begun: the store did not take it"
    return f"outcome unknown, operation {operation_id}: look with get_operation before you call again"
