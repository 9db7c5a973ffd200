"""Asks for a confirmation of a change, in both protocols, and says how it was given.

    before 2026-07-28     the person is asked while the call waits (elicitation)
    2026-07-28            the call answers with the question; the client calls again with the answer and a sealed state
    a client that cannot  refused with the plan and its id, which a person confirms at a terminal (`klepaas confirm`);
                          then the same call is let through, once. Where the policy says so, the client itself may
                          confirm it by its id

What was shown is a plan in the store. What is confirmed is what was shown, for the one who was asked, once, within a
time limit: after the answer klepaas looks again, and asks anew where something else would change. A person reads
klepaas' own look at the change, never the words of a model. Everything that is not a clear yes changes nothing.

Source: MCP 2026-07-28, "Multi Round-Trip Requests", "Elicitation"; 2025-11-25, "Elicitation".
"""

import contextlib
from dataclasses import dataclass
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
from klepaas.gate.questions import FIELD, SCHEMA, NotConfirmed, Request, action_of, can_ask, message
from klepaas.limits import slot_set_aside
from klepaas.output import Answer
from klepaas.output.verdict import NOT_RUN, nothing_changed
from klepaas.plans.model import Plan, PlanState
from klepaas.plans.plan_store import PLAN_TTL_S, PlanStore
from klepaas.plans.rendering import Preview, indented
from klepaas.resilience.clock import Clock
from klepaas.way_out import meta_of

__all__ = ["Confirmation", "Confirmations", "How"]

# How often something else may turn out to change before klepaas gives up asking.
_ROUNDS = 3


class How(StrEnum):
    """How a change was let through."""

    AUTO = "auto"
    PERSON = "person"
    TERMINAL = "terminal"
    WITHOUT_HUMAN = "without_human"


@dataclass(frozen=True)
class Confirmation:
    """That a change may be made.

    Attributes:
        how: How it was let through.
        note: By whom, where klepaas knows it; one sentence. None: the word says all.
    """

    how: How
    note: str | None = None


class Confirmations:
    """Asks, for one server.

    Args:
        timeout_s: How long a person gets, in seconds.
        most_waiting: How many calls may wait for a person at the same time.
        clock: The time that questions go by.
        plans: The plans of the server's store.
    """

    def __init__(self, timeout_s: float, most_waiting: int, clock: Clock, plans: PlanStore) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._plans = plans
        self._waiting = anyio.Semaphore(most_waiting)

    async def confirm(self, request: Request) -> Confirmation | ToolResult:
        """Have a change confirmed.

        Args:
            request: The change.

        Returns:
            How it was confirmed, or what to answer instead of making it: a question to the person, or a plan.

        Raises:
            NotConfirmed: It was not, and will not be by this call.
            Conflict: What would change changes all the time.
        """
        confirmed = await self._at_the_terminal(request)
        if isinstance(confirmed, Confirmation):
            return confirmed
        if not can_ask(request.context):
            return await self._without_a_person(request, confirmed)
        if request.plan_id is not None:
            raise NotConfirmed(
                "plan", f"{request.change.tool} was not run: this client can ask a person, so no plan_id counts",
                "Call it again without plan_id",
            )  # fmt: skip
        if request.context.session.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return await self._over_two_calls(request)
        return await self._in_one_call(request)

    async def _at_the_terminal(self, request: Request) -> Confirmation | str | None:
        """The confirmation of a plan for exactly this call that a person gave at a terminal, which it uses up.

        Returns:
            The confirmation; why one that was given does not count, as part of a sentence; None: none was given.
        """
        change, reason = request.change, None
        found = await self._plans.find_confirmed(change.principal.key, change.tool, request.arguments)
        preview = await request.look() if found else None
        for plan in found:
            reason = plan.trouble or await self._plans.compare(plan, preview or await request.look())
            if reason is None and await self._plans.end(plan, PlanState.USED):
                return Confirmation(How.TERMINAL, f"confirmed at a terminal by {plan.confirmed_by}, plan {plan.id}")
            if reason is not None and plan.trouble is None:
                await self._plans.end(plan, PlanState.REFUSED)
        return reason

    async def _in_one_call(self, request: Request) -> Confirmation:
        confirmed: str | None = None
        for round_number in range(1, _ROUNDS + 2):
            preview = await request.look()
            if preview.digest == confirmed:
                return Confirmation(How.PERSON)
            plan = await self._plans.make(request.draft(preview, rounds=round_number))
            action = await self._ask(request, message(request, preview, plan))
            if action != "accept":
                raise await self._refusal(request, action, plan)
            if not await self._plans.end(plan, PlanState.USED):
                raise request.refusal("used")
            confirmed = preview.digest
        raise _restless(request)

    async def _refusal(self, request: Request, action: str, plan: Plan) -> NotConfirmed:
        """The error for an answer that is no yes; what may be the client's own word leaves the plan to a person."""
        if action != "no":
            return request.refusal(action, plan)
        await self._plans.end(plan, PlanState.REFUSED)
        return request.refusal(action)

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

    async def _over_two_calls(self, request: Request) -> Confirmation | ToolResult:
        context, change = request.context, request.change
        if context.request_state is None:
            return await self._question(request, await request.look(), rounds=1)
        plan = await self._plans.take_answer(
            context.request_state, change.principal.key, change.tool, request.arguments
        )
        if plan is None or PLAN_TTL_S - plan.expires_in_s > self._timeout_s:
            raise request.refusal("used")
        action = action_of((context.input_responses or {}).get(FIELD))
        if action != "accept":
            raise await self._refusal(request, action, plan)
        preview = await request.look()
        if not await self._plans.end(plan, PlanState.USED):
            raise request.refusal("used")
        if await self._plans.compare(plan, preview) is None:
            return Confirmation(How.PERSON)
        if plan.rounds >= _ROUNDS:
            raise _restless(request)
        return await self._question(request, preview, plan.rounds + 1)

    async def _question(self, request: Request, preview: Preview, rounds: int) -> ToolResult:
        draft = request.draft(preview, rounds=rounds, awaits_answer=True)
        plan = await self._plans.make(draft)
        params = mt.ElicitRequestFormParams(message=message(request, preview, plan), requested_schema=SCHEMA)
        asked: mt.InputRequests = {FIELD: mt.ElicitRequest(params=params)}
        return InputRequiredToolResult(mt.InputRequiredResult(input_requests=asked, request_state=plan.id))

    async def _without_a_person(self, request: Request, stale: str | None) -> Confirmation | ToolResult:
        """What a client that cannot ask gets: the plan.

        Args:
            request: The change.
            stale: Why a plan that a person confirmed at a terminal does not count. None: there was none.
        """
        if not request.without_human:
            raise await self._left_to_the_terminal(request, stale)
        if request.plan_id is None:
            return await self._plan(request, await request.look(), anew=stale is not None)
        change = request.change
        plan = await self._plans.take_open(request.plan_id, change.principal.key, change.tool, request.arguments)
        if plan is None:
            raise NotConfirmed(
                "plan",
                f"{request.change.tool} was not run and {nothing_changed(NOT_RUN)}: there is no such plan of yours for "
                "these arguments; it may have been used, or be older than 10 minutes",
                "Call it again without plan_id for a new plan",
            )
        preview = await request.look()
        if await self._plans.compare(plan, preview) is not None:
            return await self._plan(request, preview, anew=True)
        return Confirmation(How.WITHOUT_HUMAN)

    async def _left_to_the_terminal(self, request: Request, stale: str | None) -> NotConfirmed:
        preview = await request.look()
        plan = await self._plans.make(request.draft(preview))
        again = f"; the plan that was confirmed at a terminal does not count any more: {stale}" if stale else ""
        error = NotConfirmed(
            "stale_plan" if stale else "cannot_ask",
            f"{request.title} needs a person's confirmation, and this client cannot ask for one{again}; "
            f"{nothing_changed(NOT_RUN)}",
            where_to_confirm(request.change.principal.client, request.change.tool, plan.id),
            "\n".join([f"What would change (plan {plan.id}, which counts for 10 minutes):", indented(preview.text)]),
        )
        error.plan_id = plan.id
        return error

    async def _plan(self, request: Request, preview: Preview, *, anew: bool) -> ToolResult:
        plan = await self._plans.make(request.draft(preview))
        lines = [
            f"{nothing_changed(NOT_RUN, yet=True).capitalize()}: {request.title} is only a plan"
            f"{', a new one, since something else would change now' if anew else ''}.",
            "What would change:",
            indented(preview.text),
            f'To make this change, call {request.change.tool} again with the same arguments and plan_id="{plan.id}", '
            "once, within 10 minutes. No person has confirmed it.",
        ]
        return ToolResult(content="\n".join(lines), meta=meta_of(Answer("", plan_id=plan.id)))


def _restless(request: Request) -> Conflict:
    return Conflict(
        f"{request.change.tool} was not run and {nothing_changed(NOT_RUN)}: what it would change was different after "
        "each confirmation",
        next_step="Find out who else changes it, and try again later",
    )
