"""Asks for a confirmation of a change, in both protocols, and says how it was given.

    before 2026-07-28     the person is asked while the call waits (elicitation)
    2026-07-28            the call answers with the question; the client calls again with the answer and a sealed state
    a client that cannot  refused; or, where the policy says so, the plan and its id, which the client itself confirms

What is confirmed is what was shown, for the one who was asked, once, within a time limit: after the answer klepaas
looks again, and asks anew where something else would change. A person reads klepaas' own look at the change, never the
words of a model. Everything that is not a clear yes changes nothing.

Source: MCP 2026-07-28, "Multi Round-Trip Requests", "Elicitation"; 2025-11-25, "Elicitation".
"""

import contextlib
from enum import StrEnum

import anyio
import mcp_types as mt
from fastmcp import Context
from fastmcp.tools import ToolResult
from fastmcp.tools.base import InputRequiredToolResult
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from klepaas.asking_clients import where_to_confirm
from klepaas.errors import Conflict
from klepaas.gate.handles import Handles, Shown
from klepaas.gate.questions import FIELD, SCHEMA, NotConfirmed, Request, action_of, can_ask, message
from klepaas.limits import slot_set_aside
from klepaas.output import Answer
from klepaas.output.verdict import NOT_RUN, nothing_changed
from klepaas.plans.rendering import Preview, indented
from klepaas.resilience.clock import Clock
from klepaas.way_out import meta_of

__all__ = ["PLAN_TTL_S", "Confirmations", "How"]

PLAN_TTL_S = 600.0
# How often something else may turn out to change before klepaas gives up asking.
_ROUNDS = 3


class How(StrEnum):
    """How a change was let through."""

    AUTO = "auto"
    PERSON = "person"
    WITHOUT_HUMAN = "without_human"


class Confirmations:
    """Asks, for one server.

    Args:
        timeout_s: How long a person gets, in seconds.
        most_waiting: How many calls may wait for a person at the same time.
        clock: The time it goes by.
    """

    def __init__(self, timeout_s: float, most_waiting: int, clock: Clock) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._questions = Handles(timeout_s, clock)
        self._plans = Handles(PLAN_TTL_S, clock)
        self._waiting = anyio.Semaphore(most_waiting)

    async def confirm(self, request: Request) -> How | ToolResult:
        """Have a change confirmed.

        Args:
            request: The change.

        Returns:
            How it was confirmed, or what to answer instead of making it: a question to the person, or a plan.

        Raises:
            NotConfirmed: It was not, and will not be by this call.
            Conflict: What would change changes all the time.
        """
        if not can_ask(request.context):
            return await self._without_a_person(request)
        if request.plan_id is not None:
            raise NotConfirmed(
                "plan", f"{request.change.tool} was not run: this client can ask a person, so no plan_id counts",
                "Call it again without plan_id",
            )  # fmt: skip
        if request.context.session.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return await self._over_two_calls(request)
        return await self._in_one_call(request)

    async def _in_one_call(self, request: Request) -> How:
        confirmed: str | None = None
        for _ in range(_ROUNDS + 1):
            preview = await request.look()
            if preview.digest == confirmed:
                return How.PERSON
            action = await self._ask(request, message(request, preview, anew=confirmed is not None))
            if action != "accept":
                raise request.refusal(action)
            confirmed = preview.digest
        raise _restless(request)

    async def _ask(self, request: Request, message: str) -> str:
        """Ask and wait, telling the client that we wait."""
        try:
            self._waiting.acquire_nowait()
        except anyio.WouldBlock:
            raise Conflict("Too many other calls wait for a person", next_step="Answer those first") from None
        try:
            await self._report(request.context)
            return await self._answer(request.context, message)
        finally:
            self._waiting.release()

    async def _answer(self, context: Context, message: str) -> str:
        with self._clock.move_on_after(self._timeout_s):
            try:
                async with slot_set_aside():
                    answer = await context.session.elicit_form(message, SCHEMA, related_request_id=context.request_id)
            except MCPError:  # the client's refusal, or no way back to it
                return "failed"
            return action_of(answer)
        return "timed_out"

    async def _report(self, context: Context) -> None:
        """Say what the call waits for; `klepaas.progress` says it again while it does."""
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            await context.report_progress(0, self._timeout_s, "Waiting for a person to confirm the change")

    async def _over_two_calls(self, request: Request) -> How | ToolResult:
        context, change = request.context, request.change
        if context.request_state is None:
            return self._question(request, await request.look(), rounds=1)
        shown = self._questions.take(change.principal.key, context.request_state)
        if shown is None or shown.arguments_digest != change.arguments_digest:
            raise request.refusal("used")
        action = action_of((context.input_responses or {}).get(FIELD))
        if action != "accept":
            raise request.refusal(action)
        preview = await request.look()
        if preview.digest == shown.preview_digest:
            return How.PERSON
        if shown.rounds >= _ROUNDS:
            raise _restless(request)
        return self._question(request, preview, shown.rounds + 1)

    def _question(self, request: Request, preview: Preview, rounds: int) -> ToolResult:
        shown = Shown(request.change.arguments_digest, preview.digest, rounds)
        params = mt.ElicitRequestFormParams(message=message(request, preview, anew=rounds > 1), requested_schema=SCHEMA)
        state = self._questions.issue(request.change.principal.key, shown)
        asked: mt.InputRequests = {FIELD: mt.ElicitRequest(params=params)}
        return InputRequiredToolResult(mt.InputRequiredResult(input_requests=asked, request_state=state))

    async def _without_a_person(self, request: Request) -> How | ToolResult:
        if not request.without_human:
            preview = await request.look()
            raise NotConfirmed(
                "cannot_ask",
                f"{request.title} needs a person's confirmation, and this client cannot ask for one; "
                f"{nothing_changed(NOT_RUN)}",
                where_to_confirm(request.change.principal.client, request.change.tool),
                f"What would change:\n{indented(preview.text)}",
            )
        if request.plan_id is None:
            return self._plan(request, await request.look(), anew=False)
        shown = self._plans.take(request.change.principal.key, request.plan_id)
        if shown is None or shown.arguments_digest != request.change.arguments_digest:
            raise NotConfirmed(
                "plan",
                f"{request.change.tool} was not run and {nothing_changed(NOT_RUN)}: there is no such plan of yours for "
                "these arguments; it may have been used, or be older than 10 minutes",
                "Call it again without plan_id for a new plan",
            )
        preview = await request.look()
        if preview.digest != shown.preview_digest:
            return self._plan(request, preview, anew=True)
        return How.WITHOUT_HUMAN

    def _plan(self, request: Request, preview: Preview, *, anew: bool) -> ToolResult:
        shown = Shown(request.change.arguments_digest, preview.digest)
        plan_id = self._plans.issue(request.change.principal.key, shown)
        lines = [
            f"{nothing_changed(NOT_RUN, yet=True).capitalize()}: {request.title} is only a plan"
            f"{', a new one, since something else would change now' if anew else ''}.",
            "What would change:",
            indented(preview.text),
            f'To make this change, call {request.change.tool} again with the same arguments and plan_id="{plan_id}", '
            "once, within 10 minutes. No person has confirmed it.",
        ]
        return ToolResult(content="\n".join(lines), meta=meta_of(Answer("", plan_id=plan_id)))


def _restless(request: Request) -> Conflict:
    return Conflict(
        f"{request.change.tool} was not run and {nothing_changed(NOT_RUN)}: what it would change was different after "
        "each confirmation",
        next_step="Find out who else changes it, and try again later",
    )
