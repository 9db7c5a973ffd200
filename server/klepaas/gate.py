"""The gate: the one way of every call, on every transport, mounted and proxied tools included.

    find the tool -> its effect against the mode -> check each text -> run with a time limit -> clean, redact, cut

It is a FastMCP middleware. Filtering the list is a courtesy to the model; what protects is the refusal in the call's
own path. Every failure leaves here as a result with `isError`, one line and a code: the model must be able to read it.
This is the guarded boundary of tool calls: what no code below expected is logged with a reference and masked.
"""

import difflib
import logging
import uuid
from collections.abc import Sequence
from typing import Any, NoReturn

import anyio
import mcp_types as mt
from fastmcp.exceptions import FastMCPError, NotFoundError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool as McpTool
from fastmcp.tools import ToolResult
from fastmcp.tools.base import InputRequiredToolResult
from pydantic import ValidationError

from klepaas.catalogue import Catalogue, Entry
from klepaas.errors import BadRequest, Forbidden, InternalError, KlepaasError, NotFound, TimedOut
from klepaas.observability import safe_text
from klepaas.output.budget import fit
from klepaas.settings import Mode, Settings
from klepaas.tools import Effect

__all__ = ["Gate"]

log = logging.getLogger(__name__)


class Gate(Middleware):
    """Lets a call through, or says why not.

    Args:
        catalogue: The tools there are; one that is not in it cannot be called.
        settings: The mode, and the hard limit of an answer.
    """

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        self._catalogue = catalogue
        self._settings = settings

    async def on_list_tools(
        self,
        context: MiddlewareContext[mt.ListToolsRequest],
        call_next: CallNext[mt.ListToolsRequest, Sequence[McpTool]],
    ) -> Sequence[McpTool]:
        """List what the mode would let through, by name, so that the order never changes."""
        listed = [tool for tool in await call_next(context) if self._listed(tool.name)]
        return sorted(listed, key=lambda tool: tool.name)

    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run a call, or answer with the reason why not."""
        name = context.message.name
        try:
            entry = self._admit(name, context.message.arguments or {})
            return self._leave(await self._run(entry, context, call_next))
        except KlepaasError as exc:
            log.info("call of %s refused or failed: %s", name, exc.code)
            return self._refusal(exc)
        except Exception:
            reference = uuid.uuid4().hex[:12]
            log.exception("call of %s failed unexpectedly, reference %s", name, reference)
            return self._refusal(_unexpected(name, reference))

    def _listed(self, name: str) -> bool:
        entry = self._catalogue.get(name)
        return entry is not None and self._objection(entry) is None

    def _objection(self, entry: Entry) -> KlepaasError | None:
        """Why this tool cannot be called at all at the moment, whatever its arguments."""
        tool = entry.tool
        if not entry.active:
            return Forbidden(
                f"{tool.name} belongs to the plugin {entry.plugin.name}, which failed: {entry.plugin.reason}",
                next_step="Run `klepaas doctor` on the server for a repair",
            )
        if not isinstance(tool.effect, Effect):
            return Forbidden(
                f"{tool.name} does not declare its effect, so it cannot be called",
                next_step=f"Its plugin {entry.plugin.name} must declare read, write or destructive",
            )
        if tool.effect is not Effect.READ and self._settings.mode is not Mode.WRITES:
            return Forbidden(
                f"{tool.name} changes things and this server is read-only; nothing was changed",
                next_step="Ask the person who runs klepaas to start it with `klepaas serve --writes`",
            )
        return None

    def _admit(self, name: str, arguments: dict[str, Any]) -> Entry:
        entry = self._catalogue.get(name)
        if entry is None:
            raise self._unknown(name)
        objection = self._objection(entry)
        if objection is not None:
            raise objection
        entry.tool.verify(arguments)
        return entry

    def _unknown(self, name: str) -> KlepaasError:
        near = difflib.get_close_matches(
            name, [entry.tool.name for entry in self._catalogue if self._listed(entry.tool.name)]
        )
        shown = ascii(name[:60])
        return NotFound(f"There is no tool {shown}", next_step=f"Did you mean {', '.join(near)}?" if near else None)

    async def _run(
        self,
        entry: Entry,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        tool = entry.tool
        try:
            with anyio.move_on_after(tool.timeout_s) as limit:
                return await call_next(context)
        except (FastMCPError, NotFoundError) as exc:
            _translate(exc, tool.name)
        if limit.cancelled_caught:
            raise TimedOut(
                f"{tool.name} gave no answer within {tool.timeout_s:g} s", next_step="Ask for less, or look again"
            )
        raise AssertionError("unreachable")

    def _leave(self, result: ToolResult) -> ToolResult:
        """The result as it may leave: every text in it cleaned, without secrets, within the limit."""
        if isinstance(result, InputRequiredToolResult):
            return result
        limit_bytes = self._settings.answer_max_bytes
        content = [
            block.model_copy(update={"text": fit(safe_text(block.text), limit_bytes)})
            if isinstance(block, mt.TextContent)
            else block
            for block in result.content
        ]
        structured = _safe_tree(result.structured_content)
        if structured is not None and len(str(structured).encode()) > limit_bytes:
            structured = None
        return ToolResult(content=content, structured_content=structured, meta=result.meta, is_error=result.is_error)

    def _refusal(self, error: KlepaasError) -> ToolResult:
        result = ToolResult(content=error.text, structured_content={"error": error.structured()}, is_error=True)
        return self._leave(result)


def _translate(exc: Exception, tool_name: str) -> NoReturn:
    """Raise what FastMCP wrapped, as an error of ours."""
    cause = exc.__cause__
    if isinstance(cause, KlepaasError):
        raise cause
    if isinstance(cause, ValidationError):
        raise _bad_arguments(cause, tool_name) from exc
    raise exc


def _bad_arguments(exc: ValidationError, tool_name: str) -> BadRequest:
    """What is wrong with the arguments, without quoting their values."""
    problems = [
        f"{'.'.join(str(part) for part in error['loc']) or 'arguments'}: {error['msg']}"
        for error in exc.errors(include_input=False, include_url=False, include_context=False)[:5]
    ]
    return BadRequest(f"{tool_name} was called with wrong arguments: {'; '.join(problems)}")


def _unexpected(tool_name: str, reference: str) -> InternalError:
    return InternalError(
        f"{tool_name} failed because of a defect in klepaas or its plugin",
        next_step=f"The server's log has the details under reference {reference}",
    )


def _safe_tree(value: Any) -> Any:
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, dict):
        return {safe_text(str(key)): _safe_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_safe_tree(item) for item in value]
    return value
