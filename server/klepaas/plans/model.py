"""What a stored plan is: plain data, without the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from klepaas.plans.rendering import Preview

__all__ = ["Draft", "Plan", "PlanState", "Rendering"]


class PlanState(StrEnum):
    """How a plan is."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    USED = "used"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What people are shown of a plan: whole, masked, each line clean.

    Attributes:
        title: What the change does, in a few words.
        targets: What it works on, a line each.
        lines: The whole change.
        risks: Of these lines, those that name risks.
        name: What a person types to confirm it; it stands in the lines above.
    """

    title: str
    targets: Sequence[str]
    lines: Sequence[str]
    risks: Sequence[str]
    name: str

    def as_json(self) -> dict[str, Any]:
        """The rendering as the store keeps it."""
        lists = {"targets": list(self.targets), "lines": list(self.lines), "risks": list(self.risks)}
        return {"title": self.title, "name": self.name, **lists}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What becomes a plan.

    Attributes:
        requested_by: The key of the principal who alone may use it (`Principal.key`).
        requester: The same as a sentence names them.
        tool: The tool.
        effect: What the call does, by its declaration and its content.
        arguments: The call's arguments, without `dry_run`.
        targets: What it works on, a line each.
        preview: What would change.
        rounds: How often it was shown in a row.
        awaits_answer: Whether the client may answer for it, once: it was asked a question.
    """

    requested_by: str
    requester: str
    tool: str
    effect: str
    arguments: Mapping[str, Any] = field(repr=False)
    targets: Sequence[str]
    preview: Preview
    rounds: int = 1
    awaits_answer: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan as it stands in the store.

    Attributes:
        id: Its handle.
        key_id: The key that its digests were made with.
        requested_by: The key of the principal who alone may use it.
        requester: The same as a sentence names them.
        tool: The tool.
        effect: What the call does.
        arguments_digest: Of the tool and its arguments.
        content_digest: Of what would change.
        basis_digest: Of what that rests on.
        rendering: What people are shown.
        state: How it is.
        awaits_answer: Whether the client may still answer for it.
        rounds: How often it was shown in a row.
        created_at: When it was made, in seconds since 1970.
        expires_at: From when on it does not count any more.
        confirmed_by: Who confirmed it at a terminal: the operating system's user. None: nobody has.
        confirmed_at: When. None: nobody has.
        expires_in_s: How long it still counts, in seconds; 0 or less: it does not.
        trouble: Why it cannot be used at all: it was altered, or its key is not here. None: it can.
    """

    id: str
    key_id: str
    requested_by: str
    requester: str
    tool: str
    effect: str
    arguments_digest: str
    content_digest: str
    basis_digest: str
    rendering: Rendering
    state: PlanState
    awaits_answer: bool
    rounds: int
    created_at: float
    expires_at: float
    confirmed_by: str | None = None
    confirmed_at: float | None = None
    expires_in_s: float = 0.0
    trouble: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it can still be confirmed or used."""
        ends = self.state in (PlanState.USED, PlanState.REFUSED)
        return not ends and self.trouble is None and self.expires_in_s > 0
