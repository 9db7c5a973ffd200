"""The gate: the one way of every call, on every transport, mounted and proxied tools included.

    find the tool -> its effect against the mode -> check each text -> a change: policy, confirmation, audit
        -> run with a time limit -> clean, redact, cut

It is a FastMCP middleware. Filtering the list is a courtesy to the model; what protects is the refusal in the call's
own path. Every failure leaves here as a result with `isError`, one line and a code: the model must be able to read it.
This is the guarded boundary of tool calls: what no code below expected is logged with a reference and masked.
"""

import difflib
import logging
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as mt
from fastmcp.exceptions import FastMCPError, NotFoundError
from fastmcp.prompts import Prompt as McpPrompt
from fastmcp.prompts import PromptResult
from fastmcp.resources import Resource as McpResource
from fastmcp.resources import ResourceResult, ResourceTemplate
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool as McpTool
from fastmcp.tools import ToolResult

from klepaas.audit import Audit
from klepaas.catalogue import Catalogue, Entry
from klepaas.context_aliases import ContextAliases
from klepaas.errors import BadRequest, Forbidden, KlepaasError, NotFound, TimedOut
from klepaas.failures import trail, translate, unexpected
from klepaas.foreign_json import TooDeep, check_levels
from klepaas.offload import offload
from klepaas.output.audience import patience_s
from klepaas.output.quoting import quote
from klepaas.output.verdict import NOT_RUN, nothing_changed
from klepaas.plans.parameter import Plans
from klepaas.policy import Policy
from klepaas.principals import acting, current_principal, principal_of
from klepaas.reading import Reading
from klepaas.settings import Mode, Settings
from klepaas.tools import Effect
from klepaas.way_out import let_out, refuse, size_of_result

if TYPE_CHECKING:
    from klepaas.gate.change_calls import Changes
    from klepaas.gate.resumption import Resumption
    from klepaas.plans.plan_store import PlanStore

__all__ = ["Gate"]

log = logging.getLogger(__name__)


class Gate(Middleware):
    """Lets a call through, or says why not.

    Args:
        catalogue: The tools there are; one that is not in it cannot be called.
        settings: The mode, the policy, and the hard limit of an answer.
        audit: Where changes are put on record.
        refused: Told why, in one word of a fixed set, each time the gate itself refuses a call. None: nobody counts.
        reading: What can be read besides.
        aliases: Knows the contexts that lead to the same cluster. None: nobody knows.
        plans: Gives the plans of the server's store; called with the first change.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        settings: Settings,
        audit: Audit,
        refused: Callable[[str], None] | None = None,
        *,
        reading: Reading,
        plans: "Callable[[], PlanStore]",
        aliases: ContextAliases | None = None,
    ) -> None:
        self._aliases = aliases
        self._store_of_plans = plans
        self._reading = reading
        self._catalogue = catalogue
        self._settings = settings
        self._audit = audit
        self._policy = Policy(settings.policy)
        self._plans = Plans(self._policy)
        self._changes: Changes | None = None
        self._refused = refused or (lambda _reason: None)

    def resumption(self) -> "Resumption":
        """What lets operations through again that another process began."""
        from klepaas.gate.resumption import Resumption

        aliases = self._aliases or ContextAliases()
        return Resumption(self._catalogue, self._policy, self._audit, aliases=aliases, find_objection=self._objection)

    async def on_list_tools(
        self,
        context: MiddlewareContext[mt.ListToolsRequest],
        call_next: CallNext[mt.ListToolsRequest, Sequence[McpTool]],
    ) -> Sequence[McpTool]:
        """List what the mode would let through, by name, so that the order never changes.

        The catalogue is the list. FastMCP's own way to it asks a store of session state first, whose import took 90 ms
        of every start.
        """
        listed = [
            self._plans.listed(entry.mcp, entry.tool)
            for entry in self._catalogue
            if entry.listed and self._objection(entry) is None
        ]
        return sorted(listed, key=lambda tool: tool.name)

    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run a call, or answer with the reason why not."""
        name = context.message.name
        try:
            asking = context.fastmcp_context
            with acting(principal_of(asking) if asking else current_principal()):
                result = await self._answer(context, call_next)
            work = partial(let_out, result, self._settings.answer_max_bytes)
            return await offload(work, size_chars=size_of_result(result))
        except KlepaasError as exc:
            log.info("call of %s refused or failed: %s", quote(name), exc.code)
            return self._refusal(exc)
        except (Exception, SystemExit) as exc:  # guarded boundary: tools are strangers' code
            reference = uuid.uuid4().hex[:12]
            log.error("call of %s failed unexpectedly, reference %s: %s", quote(name), reference, trail(exc))
            # What an exception says may quote anything, so it needs a person who asks for it.
            log.debug("reference %s in full", reference, exc_info=exc)
            return self._refusal(unexpected(name, reference))

    # What is read has one way, which ends here: nothing of FastMCP's own registries is listed or read.

    async def on_list_resources(
        self,
        context: MiddlewareContext[mt.ListResourcesRequest],
        call_next: CallNext[mt.ListResourcesRequest, Sequence[McpResource]],
    ) -> Sequence[McpResource]:
        """List the resources that are declared."""
        from klepaas.listed_offers import listed_resources

        return listed_resources(self._reading.offers)

    async def on_list_resource_templates(
        self,
        context: MiddlewareContext[mt.ListResourceTemplatesRequest],
        call_next: CallNext[mt.ListResourceTemplatesRequest, Sequence[ResourceTemplate]],
    ) -> Sequence[ResourceTemplate]:
        """List the templates of resources that are declared."""
        from klepaas.listed_offers import listed_templates

        return listed_templates(self._reading.offers)

    async def on_list_prompts(
        self,
        context: MiddlewareContext[mt.ListPromptsRequest],
        call_next: CallNext[mt.ListPromptsRequest, Sequence[McpPrompt]],
    ) -> Sequence[McpPrompt]:
        """List the prompts that are declared."""
        from klepaas.listed_offers import listed_prompts

        return listed_prompts(self._reading.offers)

    async def on_read_resource(
        self,
        context: MiddlewareContext[mt.ReadResourceRequestParams],
        call_next: CallNext[mt.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read a resource that is declared; anything else, whoever mounted it, is not there."""
        return await self._reading.resource(str(context.message.uri), context.fastmcp_context)

    async def on_get_prompt(
        self,
        context: MiddlewareContext[mt.GetPromptRequestParams],
        call_next: CallNext[mt.GetPromptRequestParams, PromptResult],
    ) -> PromptResult:
        """Write a prompt that is declared; anything else, whoever mounted it, is not there."""
        return await self._reading.prompt(
            context.message.name, context.message.arguments or {}, context.fastmcp_context
        )

    def _listed(self, name: str) -> bool:
        entry = self._catalogue.get(name)
        return entry is not None and self._objection(entry) is None

    def _objection(self, entry: Entry) -> tuple[str, KlepaasError] | None:
        """Why this tool cannot be called at all at the moment, whatever its arguments: in one word, and as an error."""
        tool = entry.tool
        if not entry.active:
            return "plugin_failed", Forbidden(
                f"{tool.name} belongs to the plugin {entry.plugin.name}, which failed: {entry.plugin.reason}",
                next_step="Run `klepaas doctor` on the server for a repair",
            )
        if entry.closed is not None:
            return entry.closed
        if not isinstance(tool.effect, Effect):
            return "no_effect", Forbidden(
                f"{tool.name} does not declare its effect, so it cannot be called",
                next_step=f"Its plugin {entry.plugin.name} must declare read, write or destructive",
            )
        if tool.effect is not Effect.READ and self._settings.mode is not Mode.WRITES:
            return "read_only", Forbidden(
                f"{tool.name} changes things and this server is read-only; {nothing_changed(NOT_RUN)}",
                next_step="Ask the person who runs klepaas to start it with `klepaas serve --writes`",
            )
        return None

    async def _answer(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        entry = self._admit(context.message.name)
        arguments, plan_id = self._check(entry, context.message.arguments or {})
        is_dry_run = entry.tool.plan is not None and entry.tool.is_dry_run(arguments)
        if not entry.tool.changes(arguments) and not is_dry_run:
            return await self._run(entry, arguments, context, call_next)
        asking = context.fastmcp_context
        if asking is None:
            raise RuntimeError("FastMCP gave the call no context, so nobody can be asked")

        from klepaas.gate.change_calls import Call, Changes, NotConfirmed  # a server that only reads never needs them

        async def run(chosen: dict[str, Any]) -> ToolResult:
            return await self._run(entry, chosen, context, call_next)

        if self._changes is None:
            plans = self._store_of_plans()
            self._changes = Changes(self._settings, self._policy, self._audit, aliases=self._aliases, plans=plans)
        call = Call(entry, arguments, plan_id, asking, run)
        if is_dry_run:
            return await self._changes.preview(call)
        try:
            return await self._changes.execute(call)
        except NotConfirmed:
            self._refused("not_confirmed")
            raise

    def _admit(self, name: str) -> Entry:
        entry = self._catalogue.get(name)
        if entry is None:
            self._refused("unknown_tool")
            raise self._unknown(name)
        objection = self._objection(entry)
        if objection is not None:
            reason, error = objection
            self._refused(reason)
            raise error
        return entry

    def _check(self, entry: Entry, arguments: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        """The tool's own arguments in one form, each text checked, and the id of the plan that is confirmed, if any."""
        try:
            check_levels(arguments)
            own, plan_id = self._plans.taken_off(entry.tool, arguments)
            own = entry.normalize(own)
            entry.tool.verify(own)
        except TooDeep as exc:
            self._refused("bad_arguments")
            raise BadRequest(f"{entry.tool.name} was called with wrong arguments: {exc}") from exc
        except BadRequest:
            self._refused("bad_arguments")
            raise
        return own, plan_id

    def _unknown(self, name: str) -> KlepaasError:
        absent = self._catalogue.absent(name)
        if absent is not None:
            return absent
        listed = [entry.tool.name for entry in self._catalogue if self._listed(entry.tool.name)]
        near = difflib.get_close_matches(name[:64], listed)
        return NotFound(
            f"There is no tool {quote(name)}", next_step=f"Did you mean {', '.join(near)}?" if near else None
        )

    async def _run(
        self,
        entry: Entry,
        arguments: dict[str, Any],
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        tool = entry.tool
        try:
            with anyio.move_on_after(patience_s(tool.timeout_s)) as limit:
                return await call_next(
                    context.copy(message=context.message.model_copy(update={"arguments": arguments}))
                )
        except (FastMCPError, NotFoundError) as exc:
            translate(exc, tool.name)
        if limit.cancelled_caught:
            raise TimedOut(
                f"{tool.name} gave no answer within {tool.timeout_s:g} s", next_step="Ask for less, or look again"
            )
        raise AssertionError("unreachable")

    def _refusal(self, error: KlepaasError) -> ToolResult:
        return refuse(error, self._settings.answer_max_bytes)
