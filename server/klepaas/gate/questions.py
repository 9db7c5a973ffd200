"""The question that a person is asked: what it says, and what of the answers is a yes.

The preview is indented, so that no text in it can pass for a line of klepaas' own. When to ask, and what follows, is
`klepaas.gate.confirmation`'s affair.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import mcp_types as mt
from fastmcp import Context
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from klepaas.asking_clients import after_a_no
from klepaas.audit import Change
from klepaas.errors import Forbidden
from klepaas.output.verdict import NOT_RUN, nothing_changed
from klepaas.plans.model import Draft, Plan
from klepaas.plans.rendering import Preview, indented

__all__ = ["FIELD", "SCHEMA", "NotConfirmed", "Request", "action_of", "can_ask", "draft_of", "message"]

FIELD = "confirm"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {FIELD: {"type": "boolean", "title": "Make this change (변경 실행)", "default": False}},
    "required": [FIELD],
}
_REFUSALS = {
    # Several clients answer by themselves where nobody sits in front of them, so a no is not a person's word.
    "decline": "the client declined, perhaps without asking anybody",
    "cancel": "the client declined, perhaps without asking anybody",
    "no": "the question was answered, but not with a yes",
    "failed": "the client could not ask a person",
    "timed_out": "nobody answered in time",
    "used": "the answer was used before, came too late, or belongs to another call or caller",
}


class NotConfirmed(Forbidden):
    """A change was not confirmed.

    Args:
        reason: Why, in one word.
        what: What happened, one sentence without the final full stop.
        next_step: What to do next.
        details: What would change.

    Attributes:
        reason: Why, in one word.
        note: What the word does not say, for the audit. None: nothing.
    """

    def __init__(self, reason: str, what: str, next_step: str | None = None, details: str | None = None) -> None:
        super().__init__(what, next_step=next_step, details=details)
        self.reason = reason
        self.note = _REFUSALS.get(reason)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A change that needs a confirmation.

    Attributes:
        context: Of the call.
        change: The change.
        arguments: The call's arguments, without `dry_run`.
        look: Looks at what would change.
        without_human: Whether a client that cannot ask may confirm by itself.
        plan_id: The plan that the caller confirms. None: none.
    """

    context: Context
    change: Change
    arguments: Mapping[str, Any] = field(repr=False)
    look: Callable[[], Awaitable[Preview]]
    without_human: bool
    plan_id: str | None

    @property
    def title(self) -> str:
        """The change as a sentence names it."""
        targets = ", ".join(target.text for target in self.change.targets[:5])
        more = f" and {len(self.change.targets) - 5} more" if len(self.change.targets) > 5 else ""
        return f"{self.change.tool} on {targets or 'a target that is not known'}{more}"

    def refusal(self, reason: str, plan: Plan | None = None) -> NotConfirmed:
        """The error for an answer that is no yes.

        Args:
            reason: Why it is none, in one word.
            plan: What was asked about, while a person may still confirm it at a terminal. None: they may not.
        """
        plan_id = None if plan is None else plan.id
        error = NotConfirmed(
            reason,
            f"{self.change.tool} was not run and {nothing_changed(NOT_RUN)}: {_REFUSALS[reason]}",
            after_a_no(self.change.principal.client, self.change.tool, reason, plan_id),
        )
        error.plan_id = plan_id
        return error

    def draft(self, preview: Preview, *, rounds: int = 1, awaits_answer: bool = False) -> Draft:
        """What becomes a stored plan.

        Args:
            preview: What would change.
            rounds: How often it was shown in a row.
            awaits_answer: Whether the client is asked to answer for it.
        """
        return draft_of(self.change, self.arguments, preview, rounds=rounds, awaits_answer=awaits_answer)


def draft_of(
    change: Change, arguments: Mapping[str, Any], preview: Preview, *, rounds: int = 1, awaits_answer: bool = False
) -> Draft:
    """What becomes a stored plan.

    Args:
        change: The change.
        arguments: The call's arguments, without `dry_run`.
        preview: What would change.
        rounds: How often it was shown in a row.
        awaits_answer: Whether the client is asked to answer for it.
    """
    return Draft(
        requested_by=change.principal.key,
        requester=change.principal.text,
        tool=change.tool,
        effect=change.effect,
        arguments=arguments,
        targets=tuple(target.text for target in change.targets),
        preview=preview,
        rounds=rounds,
        awaits_answer=awaits_answer,
    )


def can_ask(context: Context) -> bool:
    """Whether the client said that it can show a form to a person, and can be reached."""
    said = context.session.client_capabilities
    asking = said.elicitation if said else None
    if asking is None or (asking.form is None and asking.url is not None):
        return False
    modern = context.session.protocol_version in MODERN_PROTOCOL_VERSIONS
    return modern or context.session.can_send_request


def action_of(answer: Any) -> str:
    """What a client answered: only an accepted form whose field is true is a yes."""
    if not isinstance(answer, mt.ElicitResult):
        return "cancel"
    if answer.action == "accept":
        return "accept" if (answer.content or {}).get(FIELD) is True else "no"
    return answer.action


def message(request: Request, preview: Preview, plan: Plan) -> str:
    """What the person reads.

    Args:
        request: The change.
        preview: What would change.
        plan: The same as it is stored.
    """
    change = request.change
    again = "Something else would change now than what you confirmed before. " if plan.rounds > 1 else ""
    lines = [
        f"{again}klepaas asks you to confirm a change (변경 확인).",
        f"Tool: {change.tool} ({change.effect})",
        *(f"Target: {target.text}" for target in change.targets[:10]),
        *([f"... and {len(change.targets) - 10} more targets"] if len(change.targets) > 10 else []),
        f"Asked by: {change.principal.text}",
        *([] if preview.short is None else [_where_the_whole_is(plan)]),
        "What would change:",
        indented(preview.text),
        "It is made only if you confirm it.",
    ]
    return "\n".join(lines)


def _where_the_whole_is(plan: Plan) -> str:
    return (
        f"The change is long: `klepaas plans show {plan.id}` in a terminal prints it whole "
        f"(digest {plan.content_digest[:16]}). What follows are its facts."
    )
