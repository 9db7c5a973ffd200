"""The way of a change through the gate: arguments, targets, policy, confirmation, record, effect, record.

    arguments fit the schema -> what it would change -> policy -> confirmed -> intent on record -> run -> outcome

A tool with a plan is judged by its content: what the plan holds may raise the effect that the tool declares, and what
was confirmed is what the tool gets to send. A dry run of such a tool ends with its plan. Reads, and dry runs of tools
without a plan, do not come here. It decides nothing by itself: the rules are `klepaas.policy`'s, the asking is
`klepaas.gate.confirmation`'s, the records are `klepaas.audit`'s. Loaded with the first change that is asked for.
"""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import mcp_types as mt
from fastmcp import Context
from fastmcp.exceptions import FastMCPError
from fastmcp.tools import ToolResult

from klepaas.arguments import digest, shown, shown_whole
from klepaas.audit import Audit, Change
from klepaas.catalogue import Entry, PlanResult
from klepaas.changes import ChangeSet, executing, raised_risks
from klepaas.context_aliases import ContextAliases
from klepaas.errors import BadRequest, Conflict, KlepaasError, RateLimited, TimedOut, Unavailable
from klepaas.failures import translate
from klepaas.gate.confirmation import Confirmation, Confirmations, How
from klepaas.gate.questions import NotConfirmed, Request, draft_of
from klepaas.observability import one_line, safe_text
from klepaas.offload import offload
from klepaas.output import Answer
from klepaas.output.audience import patience_s
from klepaas.output.verdict import NOT_RUN, nothing_changed
from klepaas.permits import Permit, permitting
from klepaas.plans.describe import describe_risk, record
from klepaas.plans.model import Plan
from klepaas.plans.plan_store import PlanStore
from klepaas.plans.rendering import Preview, answer_dry_run, is_typeable, preview_of, preview_of_text
from klepaas.policy import Decision, Policy
from klepaas.principals import current_principal
from klepaas.resilience.clock import Clock, SystemClock
from klepaas.settings import Settings
from klepaas.store.errors import StoreUnavailable
from klepaas.store.keys import KeysUnavailable
from klepaas.tools import DRY_RUN, Effect, Target, Tool
from klepaas.way_out import BASIS, meta_of

__all__ = ["Call", "Changes", "NotConfirmed"]

# Finding out what a call would change, and showing it, must not take as long as the change may.
_LOOK_LIMIT_S = 30.0


@dataclass(frozen=True)
class Call:
    """One call of a tool that changes something.

    Attributes:
        entry: The tool.
        arguments: Its arguments, each text checked.
        plan_id: The plan that the caller confirms. None: none.
        context: FastMCP's.
        run: Runs the tool with such arguments, within its time limit.
    """

    entry: Entry
    arguments: dict[str, Any]
    plan_id: str | None
    context: Context
    run: Callable[[dict[str, Any]], Awaitable[ToolResult]]

    @property
    def tool(self) -> Tool:
        """What the tool declares."""
        return self.entry.tool

    @property
    def own_arguments(self) -> dict[str, Any]:
        """The arguments that say what is to be done: without `dry_run`."""
        return {name: value for name, value in self.arguments.items() if name != DRY_RUN}


class Changes:
    """Makes changes, for one server.

    Args:
        settings: How long a person gets, and how many calls there are.
        policy: What has to be confirmed.
        audit: Where they are put on record.
        clock: The time that confirmations go by. None: the machine's.
        aliases: Knows the contexts that lead to the same cluster. None: nobody knows.
        plans: The plans of the server's store.
    """

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        audit: Audit,
        clock: Clock | None = None,
        aliases: ContextAliases | None = None,
        *,
        plans: PlanStore,
    ) -> None:
        self._aliases = aliases or ContextAliases()
        self._plans = plans
        self._policy = policy
        self._audit = audit
        # Who waits for a person keeps its slot: others must still get one.
        most_waiting = max(1, settings.max_concurrent_calls // 2)
        self._confirmations = Confirmations(settings.confirm_timeout_s, most_waiting, clock or SystemClock(), plans)

    async def execute(self, call: Call) -> ToolResult:
        """Make a change, or answer with what has to happen first.

        Args:
            call: The call.

        Raises:
            KlepaasError: It was refused or failed.
        """
        await _run_limited(call.tool.name, lambda: call.entry.trial.run(call.arguments))
        targets = await self._targets(call)
        look = _Look(call, await self._plan_on_record(call, targets))
        change = _change(call, targets, look.changes)
        try:
            found = await self._let_through(call, change, targets, look)
        except NotConfirmed as exc:
            await self._audit.refused(change, exc.reason, exc.note)
            raise
        except (StoreUnavailable, KeysUnavailable) as exc:
            await self._audit.refused(change, "no_plan")
            raise _without_store(call, exc) from exc
        return found if isinstance(found, ToolResult) else await self._make(call, change, found, look.changes)

    async def preview(self, call: Call) -> ToolResult:
        """Answer a dry run of a tool that has a plan.

        Args:
            call: The call.

        Raises:
            KlepaasError: The change would be refused.
        """
        changes = await _plan(call)
        if changes is None:
            raise TypeError(f"{call.tool.name} has no plan")
        if changes.is_empty:
            return ToolResult(content=answer_dry_run(changes, ""))
        targets = await self._targets(call)
        change = _change(call, targets, changes)
        decision = self._policy.decide(call.tool.name, Effect(change.effect), targets).decision
        try:
            plan = await self._plans.make(draft_of(change, call.own_arguments, preview_of(changes)))
        except (BadRequest, RateLimited, StoreUnavailable, KeysUnavailable) as exc:
            return ToolResult(content=answer_dry_run(changes, f"No plan of it was stored: {exc.line}"))
        answer = Answer(answer_dry_run(changes, _where_it_is(plan, decision)), plan_id=plan.id)
        return ToolResult(content=answer.text, meta=meta_of(answer))

    async def _targets(self, call: Call) -> tuple[Target, ...]:
        """What the call changes, with the other names of its clusters that rules are about."""
        targets = await _targets(call)

        async def find() -> tuple[Target, ...]:
            guards = self._policy.guards
            return tuple([await self._aliases.with_aliases(target, guards) for target in targets])

        return tuple(await _run_limited(call.tool.name, find))

    async def _plan_on_record(self, call: Call, targets: tuple[Target, ...]) -> ChangeSet | None:
        """What the call would change; that it was asked for is on record also where it cannot be planned."""
        try:
            return await _plan(call)
        except KlepaasError as exc:
            await self._audit.refused(_change(call, targets, None), "not_planned", f"its plan failed: {exc.code}")
            raise

    async def _let_through(
        self, call: Call, change: Change, targets: tuple[Target, ...], look: "_Look"
    ) -> Confirmation | ToolResult:
        ruling = self._policy.decide(call.tool.name, Effect(change.effect), targets)
        if ruling.decision is Decision.AUTO:
            return Confirmation(How.AUTO)
        request = Request(
            context=call.context,
            change=change,
            arguments=call.own_arguments,
            look=lambda: look.preview(change),
            without_human=ruling.without_human,
            plan_id=call.plan_id,
        )
        return await self._confirmations.confirm(request)

    async def _make(
        self, call: Call, change: Change, confirmation: Confirmation, changes: ChangeSet | None
    ) -> ToolResult:
        outcome, code, note = "cancelled", None, None
        await self._audit.announce(change, confirmation.how, confirmation.note)
        try:
            with (
                permitting(_permit(change, confirmation)),
                executing(changes) if changes is not None else nullcontext(),
            ):
                result = await call.run(call.arguments)
            outcome = "error" if result.is_error else "ok"
        except KlepaasError as exc:
            outcome, code, note = "error", exc.code, _raised(exc)
            raise
        except Exception:
            outcome, code = "error", "internal"
            raise
        finally:
            await self._audit.conclude(change, outcome, code, note)
        return result


def _permit(change: Change, confirmation: Confirmation) -> Permit:
    """How the call was let through, for the operation that it begins."""
    return Permit(
        tool=change.tool,
        effect=change.effect,
        targets=tuple(change.targets),
        confirmed=confirmation.how.value,
        change_id=change.id,
    )


def _raised(error: KlepaasError) -> str | None:
    """What an upstream made of the change besides, for the record."""
    risks = "; ".join(describe_risk(risk) for risk in raised_risks(error))
    return f"it did more than was planned: {risks}" if risks else None


def _where_it_is(plan: Plan, decision: Decision) -> str:
    """The sentence about a dry run's plan."""
    if decision is Decision.AUTO:
        return f"Plan {plan.id}: for 10 minutes, `klepaas plans show {plan.id}` prints it whole."
    return (
        f"Plan {plan.id}: this change needs a person's confirmation, and a person may give it now: "
        f"`klepaas confirm {plan.id}` in a terminal, within 10 minutes. Then call {plan.tool} with the same arguments."
    )


def _without_store(call: Call, exc: Unavailable) -> Unavailable:
    what = f"{call.tool.name} was not run and {nothing_changed(NOT_RUN)}: its plan cannot be stored or looked up"
    return Unavailable(f"{what}. {exc.what}", next_step=exc.next_step)


def _change(call: Call, targets: tuple[Target, ...], changes: ChangeSet | None) -> Change:
    declared = call.entry.effect
    return Change(
        principal=current_principal(),
        tool=call.tool.name,
        effect=(declared if changes is None else changes.effect(declared)).value,
        targets=tuple(_cleaned(target) for target in targets),
        arguments=shown(call.tool, call.arguments),
        arguments_digest=digest([call.tool.name, call.arguments]),
        content=None if changes is None else record(changes),
    )


def _cleaned(target: Target) -> Target:
    context, namespace, kind, name = (_clean(part) for part in _parts(target))
    return Target(context, namespace, kind, name, tuple(one_line(other, 253) for other in target.also))


def _parts(target: Target) -> tuple[str | None, ...]:
    return target.context, target.namespace, target.kind, target.name


def _clean(part: str | None) -> str | None:
    return None if part is None else one_line(part, 253)


async def _targets(call: Call) -> tuple[Target, ...]:
    tell = call.tool.targets
    if tell is None:
        return ()
    targets = tuple(await _run_limited(call.tool.name, lambda: tell(call.arguments)))
    if not all(isinstance(target, Target) for target in targets):
        raise TypeError(f"the targets of {call.tool.name} are not of klepaas.tools.Target")
    return targets


@dataclass
class _Look:
    """What a call would change, looked at again each time before somebody is asked.

    Attributes:
        call: The call.
        changes: What was seen last; that is what is made. None: the tool has no plan.
        seen: Whether `changes` was shown already.
    """

    call: Call
    changes: ChangeSet | None
    seen: bool = False

    async def preview(self, change: Change) -> Preview:
        """What a person is shown."""
        if self.changes is None:
            return await _preview(self.call, change)
        if self.seen:
            self.changes = await _plan(self.call) or self.changes
        self.seen = True
        return preview_of(self.changes)


async def _plan(call: Call) -> ChangeSet | None:
    """What the call would change. None: the tool has no plan."""
    plan = call.entry.plan
    if plan is None:
        return None
    own = {name: value for name, value in call.arguments.items() if name in plan.parameters["properties"]}
    result = await _run_limited(call.tool.name, lambda: plan.run(own))
    if not isinstance(result, PlanResult):
        raise TypeError(f"the plan of {call.tool.name} gave no change set")
    return result.changes


async def _preview(call: Call, change: Change) -> Preview:
    """What the call would change, as the tool itself shows it, cleaned and without secrets."""
    tool, preview = call.tool, call.entry.preview
    if preview is not None:
        own = {name: value for name, value in call.arguments.items() if name in preview.parameters["properties"]}
        result = await _run_limited(tool.name, lambda: preview.run(own))
    elif DRY_RUN in tool.parameters:
        result = await _run_limited(tool.name, lambda: call.run({**call.arguments, DRY_RUN: True}))
    else:
        return _text_preview(call, change, "\n".join(_arguments(call, change)), None)
    text = "\n".join(block.text for block in result.content if isinstance(block, mt.TextContent))
    if result.is_error:
        raise Conflict(f"What {tool.name} would change cannot be shown, so it was not run", details=safe_text(text))
    shown = await offload(partial(safe_text, text), size_chars=len(text))
    lines = [str(shown)]
    if call.entry.is_unplanned:  # what it shows may be less than what it does
        lines += ["It is called with", *(f"  {line}" for line in _arguments(call, change))]
    return _text_preview(call, change, "\n".join(lines), [text, (result.meta or {}).get(BASIS)])


def _arguments(call: Call, change: Change) -> list[str]:
    """The call's arguments, masked; whole where they are all that is known of it."""
    known = shown_whole(call.tool, call.own_arguments) if call.entry.is_unplanned else change.arguments
    return [f"{name}: {value}" for name, value in known.items()] or ["no arguments"]


def _text_preview(call: Call, change: Change, text: str, content: Any) -> Preview:
    title = f"{one_line(call.tool.title, 80)} ({call.tool.name})"
    names = [target.name for target in change.targets if target.name and is_typeable(target.name)]
    return preview_of_text(text, title=title, name=names[0] if names else call.tool.name, content=content)


async def _run_limited(tool_name: str, run: Callable[[], Awaitable[Any]]) -> Any:
    """Run a tool's own code that changes nothing; its failures are the call's."""
    try:
        with anyio.fail_after(patience_s(_LOOK_LIMIT_S)):
            return await run()
    except FastMCPError as exc:
        translate(exc, tool_name)
    except TimeoutError as exc:
        raise TimedOut(
            f"What {tool_name} would change could not be found out in time; {nothing_changed(NOT_RUN)}",
            next_step="Try again, or look at what it would work on",
        ) from exc
