"""The way of a change through the gate: arguments, targets, policy, confirmation, record, effect, record.

    arguments fit the schema -> what it would change -> policy -> confirmed -> intent on record -> run -> outcome

Reads and dry runs do not come here. It decides nothing by itself: the rules are `klepaas.policy`'s, the asking is
`klepaas.confirmation`'s, the records are `klepaas.audit`'s. Loaded with the first change that is asked for.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import mcp_types as mt
from fastmcp import Context
from fastmcp.exceptions import FastMCPError
from fastmcp.tools import ToolResult

from klepaas.arguments import digest, shown
from klepaas.audit import Audit, Change
from klepaas.catalogue import Entry
from klepaas.confirmation import Confirmations, How
from klepaas.context_aliases import ContextAliases
from klepaas.errors import Conflict, KlepaasError, TimedOut
from klepaas.failures import translate
from klepaas.observability import one_line, safe_text
from klepaas.offload import offload
from klepaas.output.verdict import NOT_RUN, nothing_changed
from klepaas.policy import Decision, Policy
from klepaas.principals import current_principal
from klepaas.questions import NotConfirmed, Preview, Request
from klepaas.resilience.clock import Clock, SystemClock
from klepaas.settings import Settings
from klepaas.tools import DRY_RUN, Effect, Target, Tool
from klepaas.way_out import BASIS

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


class Changes:
    """Makes changes, for one server.

    Args:
        settings: How long a person gets, and how many calls there are.
        policy: What has to be confirmed.
        audit: Where they are put on record.
        clock: The time that confirmations go by. None: the machine's.
        aliases: Knows the contexts that lead to the same cluster. None: nobody knows.
    """

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        audit: Audit,
        clock: Clock | None = None,
        aliases: ContextAliases | None = None,
    ) -> None:
        self._aliases = aliases or ContextAliases()
        self._policy = policy
        self._audit = audit
        # Who waits for a person keeps its slot: others must still get one.
        most_waiting = max(1, settings.max_concurrent_calls // 2)
        self._confirmations = Confirmations(settings.confirm_timeout_s, most_waiting, clock or SystemClock())

    async def carry_out(self, call: Call) -> ToolResult:
        """Make a change, or answer with what has to happen first.

        Args:
            call: The call.

        Raises:
            KlepaasError: It was refused or failed.
        """
        await _run_limited(call.tool.name, lambda: call.entry.trial.run(call.arguments))
        targets = await self._targets(call)
        change = _change(call, targets)
        try:
            how = await self._let_through(call, change, targets)
        except NotConfirmed as exc:
            await self._audit.refused(change, exc.reason, exc.note)
            raise
        return how if isinstance(how, ToolResult) else await self._make(call, change, how)

    async def _targets(self, call: Call) -> tuple[Target, ...]:
        """What the call changes, with the other names of its clusters that rules are about."""
        targets = await _targets(call)

        async def find() -> tuple[Target, ...]:
            guards = self._policy.guards
            return tuple([await self._aliases.with_aliases(target, guards) for target in targets])

        return tuple(await _run_limited(call.tool.name, find))

    async def _let_through(self, call: Call, change: Change, targets: tuple[Target, ...]) -> How | ToolResult:
        ruling = self._policy.decide(call.tool.name, call.tool.effect, targets)
        if ruling.decision is Decision.AUTO:
            return How.AUTO
        request = Request(call.context, change, lambda: _look(call, change), ruling.without_human, call.plan_id)
        return await self._confirmations.confirm(request)

    async def _make(self, call: Call, change: Change, how: How) -> ToolResult:
        outcome, code = "cancelled", None
        await self._audit.announce(change, how)
        try:
            result = await call.run(call.arguments)
            outcome = "error" if result.is_error else "ok"
        except KlepaasError as exc:
            outcome, code = "error", exc.code
            raise
        except Exception:
            outcome, code = "error", "internal"
            raise
        finally:
            await self._audit.conclude(change, outcome, code)
        return result


def _change(call: Call, targets: tuple[Target, ...]) -> Change:
    return Change(
        principal=current_principal(),
        tool=call.tool.name,
        effect=(call.tool.effect or Effect.DESTRUCTIVE).value,
        targets=tuple(_cleaned(target) for target in targets),
        arguments=shown(call.tool, call.arguments),
        arguments_digest=digest([call.tool.name, call.arguments]),
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


async def _look(call: Call, change: Change) -> Preview:
    """What the call would change, as the tool itself shows it, cleaned and without secrets."""
    tool, preview = call.tool, call.entry.preview
    if preview is not None:
        own = {name: value for name, value in call.arguments.items() if name in preview.parameters["properties"]}
        result = await _run_limited(tool.name, lambda: preview.run(own))
    elif DRY_RUN in tool.parameters:
        result = await _run_limited(tool.name, lambda: call.run({**call.arguments, DRY_RUN: True}))
    else:
        lines = [f"{name}: {value}" for name, value in change.arguments.items()] or ["no arguments"]
        return Preview("\n".join([f"{tool.title} ({tool.name}) with", *lines]), change.arguments_digest)
    text = "\n".join(block.text for block in result.content if isinstance(block, mt.TextContent))
    if result.is_error:
        raise Conflict(f"What {tool.name} would change cannot be shown, so it was not run", details=safe_text(text))
    shown = await offload(partial(safe_text, text), size_chars=len(text))
    return Preview(shown, digest([text, (result.meta or {}).get(BASIS)]))


async def _run_limited(tool_name: str, run: Callable[[], Awaitable[Any]]) -> Any:
    """Run a tool's own code that changes nothing; its failures are the call's."""
    try:
        with anyio.fail_after(_LOOK_LIMIT_S):
            return await run()
    except FastMCPError as exc:
        translate(exc, tool_name)
    except TimeoutError as exc:
        raise TimedOut(
            f"What {tool_name} would change could not be found out in time; {nothing_changed(NOT_RUN)}",
            next_step="Try again, or look at what it would work on",
        ) from exc
