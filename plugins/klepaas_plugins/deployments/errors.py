"""The failures that only the application verbs know; all of them are conflicts.

`RolloutFailed` is one too: the change is stored, but the cluster cannot bring it to life as it is.
"""

from collections.abc import Mapping
from typing import Any

from klepaas.errors import Conflict

__all__ = ["ChangeInProgress", "OwnedByAnother", "RolloutFailed"]


class RolloutFailed(Conflict):
    """A change was applied and its rollout failed for a cause that is known.

    Args:
        what: What happened and to what, one sentence without the final full stop.
        next_step: What to do next.
        details: Lines under the one line: event, log lines, what serves now.
        facts: Small values for a program, merged into the structured error.
    """

    def __init__(self, what: str, *, next_step: str | None, details: str, facts: Mapping[str, Any]) -> None:
        super().__init__(what, next_step=next_step, details=details)
        self.facts = dict(facts)

    def structured(self) -> dict[str, Any]:
        """The structured error with the failure's facts."""
        return {**self.facts, **super().structured()}


class OwnedByAnother(Conflict):
    """A field that this change would set is owned by another manager."""


class ChangeInProgress(Conflict):
    """The application is being changed by another call."""
