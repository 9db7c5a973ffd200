"""What every call passes on its way to the gate, on every transport: it is named, counted, limited, and can be ended.

    modules loaded -> correlation id -> is the server stopping? -> the caller's rate -> a slot -> the gate
        -> counted by its outcome

It stands outside the gate, so that what the gate refuses is counted too; it decides nothing about a tool.
"""

import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import anyio
import mcp_types as mt
from fastmcp import Context
from fastmcp.exceptions import NotFoundError
from fastmcp.prompts import PromptResult
from fastmcp.resources import ResourceResult
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool, ToolResult
from fastmcp.tools.base import InputRequiredToolResult
from mcp import MCPError
from opentelemetry import trace

from klepaas.catalogue import Catalogue, Entry
from klepaas.correlation import Correlation, correlated
from klepaas.errors import KlepaasError, RateLimited, Unavailable
from klepaas.limits import Rate, Slots
from klepaas.metrics import NO_TOOL, Metrics
from klepaas.output.quoting import quote
from klepaas.preloading import CHANGES, EVERY_CALL, Preloading
from klepaas.settings import Settings
from klepaas.tools import Effect
from klepaas.way_out import refuse, to_protocol_error

__all__ = ["CORRELATION", "Calls"]

log = logging.getLogger(__name__)
R = TypeVar("R")

# Where the HTTP side puts a request's `Correlation` in its scope.
CORRELATION = "klepaas.correlation"
# After its grace a call is cancelled; this is what it gets to answer so.
ANSWER_LIMIT_S = 2.0


class Calls(Middleware):
    """The calls of one server.

    Args:
        catalogue: The tools there are: no other name becomes a label.
        settings: The limits.
        metrics: Where to count.
        preloading: Loads what calls need.
    """

    def __init__(self, catalogue: Catalogue, settings: Settings, metrics: Metrics, *, preloading: Preloading) -> None:
        self._preloading = preloading
        self._catalogue = catalogue
        self._settings = settings
        self._numbers = metrics.calls
        self._reads = metrics.reads
        self._rate = Rate(settings.rate_limit_per_minute)
        self._slots = Slots(settings.max_concurrent_calls)
        # What runs, and whether it may change something.
        self._running: dict[anyio.CancelScope, bool] = {}
        self._idle: anyio.Event | None = None
        self.stopping = False
        # Told before calls that run get their grace, so that those which only wait for something answer at once.
        self.when_stopping: Callable[[], None] | None = None

    async def on_list_tools(
        self,
        context: MiddlewareContext[mt.ListToolsRequest],
        call_next: CallNext[mt.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        """Load what calls need when the list is made: it is the last that the start of a client needs."""
        listed = await call_next(context)
        self._preloading.begin()
        return listed

    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Take a call through, and count how it ended."""
        entry = self._catalogue.get(context.message.name)
        await self._load(entry)
        tool, effect = (entry.tool.name, entry.tool.effect) if entry else (NO_TOOL, None)
        started_at, outcome = time.monotonic(), "cancelled"
        self._numbers.began()
        with correlated(_correlation(context.fastmcp_context, entry.tool.name if entry else None)):
            try:
                result = await self._limited(context, call_next)
                outcome = _outcome(result)
                return result
            finally:
                self._numbers.called(tool, effect or "none", outcome, time.monotonic() - started_at)

    async def on_read_resource(
        self,
        context: MiddlewareContext[mt.ReadResourceRequestParams],
        call_next: CallNext[mt.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Take a reading through, and count how it ended."""
        return await self._read("resource", partial(call_next, context), context.fastmcp_context)

    async def on_get_prompt(
        self,
        context: MiddlewareContext[mt.GetPromptRequestParams],
        call_next: CallNext[mt.GetPromptRequestParams, PromptResult],
    ) -> PromptResult:
        """Take a prompt through, and count how it ended."""
        return await self._read("prompt", partial(call_next, context), context.fastmcp_context)

    async def suggestion(self, suggest: Callable[[], Awaitable[R]], context: Context) -> R | None:
        """Take the wish for suggestions through, and count how it ended; None where a limit is in the way.

        Args:
            suggest: What finds them.
            context: FastMCP's.
        """
        try:
            return await self._read("completion", suggest, context)
        except MCPError:
            return None

    async def _read(self, kind: str, run: Callable[[], Awaitable[R]], context: Context | None) -> R:
        outcome = "cancelled"
        await self._preloading.load()
        with correlated(_correlation(context, None)):
            try:
                result = await self._limited_reading(run)
                outcome = "ok"
                return result
            except KlepaasError as exc:
                outcome = exc.code
                raise to_protocol_error(exc, self._settings.answer_max_bytes, {}) from exc
            except NotFoundError:
                outcome = "not_found"
                raise
            except MCPError as exc:
                outcome = str(exc.data["error"]["code"]) if isinstance(exc.data, dict) else "internal"
                raise
            finally:
                self._reads.read(kind, outcome)

    async def _load(self, entry: Entry | None) -> None:
        groups = [EVERY_CALL]
        if entry is not None:
            groups += [entry.plugin.name, *([CHANGES] if entry.tool.effect is not Effect.READ else [])]
        await self._preloading.load(*groups)

    async def _limited_reading(self, run: Callable[[], Awaitable[R]]) -> R:
        self._admit()
        scope = anyio.CancelScope()
        self._running[scope] = False
        try:
            with scope:
                async with self._slots.one():
                    return await run()
        finally:
            self._discard(scope)
        raise Unavailable("The server was stopped before it answered", next_step="Try again when it is back")

    async def stop(self, grace_s: float) -> bool:
        """Refuse further calls, and end those that run; their answers are then on their way, not yet with the client.

        Args:
            grace_s: What they get to end by themselves, in seconds; then they are cancelled and answer so.

        Returns:
            Whether any ran.
        """
        self.stopping = True
        if self.when_stopping is not None:
            self.when_stopping()
        if not self._running:
            return False
        if await self._all_ended(grace_s):
            return True
        log.warning("cancelling %d calls that still run after %g s", len(self._running), grace_s)
        for scope in list(self._running):
            scope.cancel()
        await self._all_ended(ANSWER_LIMIT_S)
        return True

    async def finish_changes(self) -> None:
        """Refuse further calls, end those that only read, and wait for the others: nobody reads their answers."""
        self.stopping = True
        for scope, may_change in list(self._running.items()):
            if not may_change:
                scope.cancel()
        await self._all_ended(math.inf)

    def _may_change(self, message: mt.CallToolRequestParams) -> bool:
        entry = self._catalogue.get(message.name)
        return entry is not None and entry.tool.changes(message.arguments or {})

    async def _all_ended(self, within_s: float) -> bool:
        self._idle = anyio.Event()
        if self._running:
            with anyio.move_on_after(within_s):
                await self._idle.wait()
        return not self._running

    async def _limited(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        try:
            self._admit()
        except KlepaasError as exc:
            return self._refusal("rate_limited" if isinstance(exc, RateLimited) else "stopping", exc)
        scope = anyio.CancelScope()
        self._running[scope] = self._may_change(context.message)
        try:
            with scope:
                return await self._in_a_slot(context, call_next)
        finally:
            self._discard(scope)
        text = f"The server was stopped before {quote(context.message.name)} answered; what it began may be done"
        return self._answer(Unavailable(text, next_step="Look at the state of things before you call it again"))

    def _discard(self, scope: anyio.CancelScope) -> None:
        self._running.pop(scope, None)
        if self._idle and not self._running:
            self._idle.set()

    def _admit(self) -> None:
        if self.stopping:
            raise Unavailable("This server is stopping", next_step="Try again when it is back", retry_after_s=5.0)
        caller = _caller()
        if caller is not None:
            self._rate.take(caller)

    async def _in_a_slot(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        slot = self._slots.one()
        try:
            await slot.__aenter__()
        except Unavailable as exc:
            return self._refusal("busy", exc)
        try:
            return await call_next(context)
        finally:
            await slot.__aexit__(None, None, None)

    def _refusal(self, reason: str, error: KlepaasError) -> ToolResult:
        self._numbers.refused(reason)
        log.info("a call was refused: %s", reason)
        return self._answer(error)

    def _answer(self, error: KlepaasError) -> ToolResult:
        return refuse(error, self._settings.answer_max_bytes)


def _outcome(result: ToolResult) -> str:
    if isinstance(result, InputRequiredToolResult):
        return "input_required"
    if not result.is_error:
        return "ok"
    return str((result.meta or {}).get("code", "internal"))


def _caller() -> str | None:
    """Whose rate a call counts against: without identity its address; None where there is but one caller."""
    try:
        client = get_http_request().client
    except RuntimeError:  # not over HTTP
        return None
    return client.host if client else "unknown"


def _correlation(context: Context | None, tool: str | None) -> Correlation:
    """By the caller's trace where it has one, by the HTTP request otherwise."""
    asked = context.request_context if context else None
    named = Correlation.of((asked.meta or {}).get("traceparent") if asked else None, tool)
    if named.trace_id is None:
        span = trace.get_current_span().get_span_context()
        trace_id = f"{span.trace_id:032x}" if span.is_valid else None
        named = Correlation(trace_id or _request_id() or named.id, trace_id, tool)
    return named


def _request_id() -> str | None:
    try:
        found = get_http_request().scope.get(CORRELATION)
    except RuntimeError:  # not over HTTP
        return None
    return found.id if isinstance(found, Correlation) else None
