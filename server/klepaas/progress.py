"""Signs of life: who calls with a progress token hears of the call at least every 3 s, with a value that rises.

Clients end a call that is silent for too long, and the protocol asks for values that only rise. So every progress
message of a request leaves through here, whoever reports it (a tool, a confirmation, another MCP server): its value
becomes the seconds since the call began, and its text is cleaned. Between two messages the last one is sent again.

Source: MCP 2025-11-25 and 2026-07-28, "Progress".
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import anyio
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext

from klepaas.observability import one_line
from klepaas.resilience.clock import Clock, SystemClock

__all__ = ["BEAT_S", "DEFAULT_WAIT_S", "Progress", "default_wait_s"]

# Below the 3 s that are promised, so that the promise holds on a busy machine.
BEAT_S = 2.0
# Claude Desktop and opencode end a call after about 60 s.
DEFAULT_WAIT_S = 45.0
# Some clients that send no token end a call after 5 s; the answer must be there after 4.
_SILENT_S = 3.4
_SHORTEST_S = 0.3
_STEP = 0.01
_MESSAGE_MAX_CHARS = 500


# As `mcp.server.session.ServerSession.send_progress_notification`.
_Send = Callable[[str | int, float, float | None, str | None, str | None], Awaitable[None]]


class _Call:
    """One request, and what its client has heard of it.

    Args:
        clock: The time it goes by.
        send: Sends a progress notification. None: the client sent no token, so it hears nothing.
        token: The client's token.
        request_id: The request's id.
    """

    def __init__(self, clock: Clock, send: _Send | None = None, token: str | int = "", request_id: Any = None) -> None:
        self._clock, self._send, self._token, self._request_id = clock, send, token, request_id
        self._began_at = clock.monotonic()
        self._sent_at = self._began_at
        self._value = 0.0
        self._line = ""
        self._lock = anyio.Lock()

    @property
    def has_token(self) -> bool:
        """Whether the client hears of progress."""
        return self._send is not None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the call began."""
        return self._clock.monotonic() - self._began_at

    async def report(
        self,
        progress_token: str | int,
        progress: float,
        total: float | None = None,
        message: str | None = None,
        related_request_id: Any = None,
    ) -> None:
        """What `ServerSession.send_progress_notification` does, with a value that rises."""
        if message:
            self._line = one_line(message, _MESSAGE_MAX_CHARS)
        elif total:
            self._line = f"{progress:g} of {total:g}"
        await self._tell()

    async def beat(self, every_s: float) -> None:
        """Send the last message again whenever nothing was sent for so long.

        Args:
            every_s: In seconds.
        """
        while True:
            rest_s = self._sent_at + every_s - self._clock.monotonic()
            if rest_s > 0:
                await self._clock.sleep(rest_s)
            else:
                await self._tell()

    async def _tell(self) -> None:
        if self._send is None:
            return
        async with self._lock:
            elapsed_s = self.elapsed_s
            self._sent_at = self._clock.monotonic()
            self._value = max(round(elapsed_s, 2), round(self._value + _STEP, 2))
            line = self._line or f"running for {elapsed_s:.0f} s"
            try:
                await self._send(self._token, self._value, None, line, self._request_id)
            except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                return  # a client that no longer listens must not end the call


_current: ContextVar[_Call | None] = ContextVar("klepaas_progress", default=None)


def default_wait_s(longest_s: float = DEFAULT_WAIT_S) -> float:
    """How long a call may wait for an operation where its caller did not say.

    Args:
        longest_s: For a client that hears of progress meanwhile, in seconds.

    Returns:
        Seconds from now; a client that hears nothing has its answer within 4 s of its call.
    """
    call = _current.get()
    if call is None or call.has_token:
        return longest_s
    return min(longest_s, max(_SHORTEST_S, _SILENT_S - call.elapsed_s))


class Progress(Middleware):
    """Gives the signs of life of every request; the outermost middleware, so that nothing can wait outside it.

    Args:
        every_s: Longest silence, in seconds.
        clock: The time it goes by. None: the machine's.
    """

    def __init__(self, every_s: float = BEAT_S, clock: Clock | None = None) -> None:
        self.every_s = every_s
        self._clock = clock or SystemClock()

    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        """Take a request through."""
        call = self._call(context)
        token = _current.set(call)
        try:
            if call.has_token:
                return await self._with_beats(call, context, call_next)
            return await call_next(context)
        finally:
            _current.reset(token)

    def _call(self, context: MiddlewareContext[Any]) -> _Call:
        asking = context.fastmcp_context
        request = asking.request_context if asking else None
        token = (request.meta or {}).get("progressToken") if request else None
        if asking is None or token is None:
            return _Call(self._clock)
        session = asking.session
        call = _Call(self._clock, session.send_progress_notification, token, asking.request_id)
        # The SDK makes a session for each request; whoever reports progress does so through it.
        session.send_progress_notification = call.report  # type: ignore[method-assign]
        return call

    async def _with_beats(self, call: _Call, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        result, failure = None, None
        async with anyio.create_task_group() as group:
            group.start_soon(call.beat, self.every_s)
            try:
                result = await call_next(context)
            except Exception as exc:  # noqa: BLE001 -- kept out of the group, which would wrap it
                failure = exc
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return result
