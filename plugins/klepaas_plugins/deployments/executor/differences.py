"""Where the decision and the older way are known to differ, and why: what a run in shadow may show, and no more.

A difference that is not listed here is a fault of one of the two. The list goes when the verbs have moved.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["EXPECTED", "Difference", "Older", "find_reason"]


class Older(StrEnum):
    """What the older way did at a point where it decides."""

    APPLY = "apply"
    VERIFY = "verify"
    GO_BACK = "go back"
    LEAVE = "leave as it is"
    UNSEEN = "end without having seen it"
    WENT_BACK = "went back"
    COULD_NOT_GO_BACK = "could not go back"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One point at which the two differ.

    Attributes:
        operation_id: The operation.
        older: What the older way did.
        newer: What the decision says, in words.
        row: The row that says so.
        reason: Why that is expected. None: it is not.
    """

    operation_id: str
    older: Older
    newer: str
    row: str
    reason: str | None = None

    @property
    def text(self) -> str:
        """The difference on one line."""
        why = self.reason or "NOT EXPECTED"
        return f"{self.operation_id}: older: {self.older.value}; newer: {self.newer} ({self.row}); {why}"


# By what the older way did and the row that decides: why they differ.
EXPECTED: dict[tuple[Older, str], str] = {
    (
        Older.APPLY,
        "a text of admission decides, whatever its code",
    ): "the look's dry run says before the first write what the older way learns from its write",
    (
        Older.GO_BACK,
        "without an answer, credentials or rights it waits, for hours",
    ): "missing rights and outages are waited for, and never undo a change",
    (
        Older.UNSEEN,
        "a rollout under way is waited for",
    ): "a rollout that could not be followed is looked at again",
    (
        Older.GO_BACK,
        "a path that another writer set since is never written again",
    ): "another writer's change is not run over by going back",
    (
        Older.VERIFY,
        "a path that another writer set since is never written again",
    ): "what another writer changed since is never called good",
    (
        Older.VERIFY,
        "an object that somebody deleted or made again is never made again",
    ): "what somebody deleted since is never called good",
    (
        Older.GO_BACK,
        "as wanted and complete for long enough is the end",
    ): "what is there as wanted is never undone, also when a deadline or a failure was noted before",
    (
        Older.GO_BACK,
        "a complete rollout has to stay complete",
    ): "a rollout that came to life after its failure was noted may prove it first",
    (
        Older.GO_BACK,
        "a rollout that a person paused is waited for, then left as it is",
    ): "what a person paused is not undone",
    (
        Older.COULD_NOT_GO_BACK,
        "a rollout under way is waited for",
    ): "the shadow looks later than the older way, and does not see what refused its writes",
}


def find_reason(older: Older, row: str) -> str | None:
    """Why a difference is expected. None: it is not.

    Args:
        older: What the older way did.
        row: The row that decides.
    """
    return EXPECTED.get((older, row))
