"""A session with a server: how its era is found out, what goes along with it, and why it ended.

Source: MCP 2026-07-28, server/discover, and the handshake of the versions before it.
"""

import contextlib
from collections.abc import Iterator

import anyio
import mcp_types as mt
from mcp import ClientSession
from mcp.shared.exceptions import MCPError
from opentelemetry import context as telemetry
from pydantic import ValidationError

from klepaas.errors import KlepaasError
from klepaas.external.openings import Opening
from klepaas.outbound.certificates import certificate_problem
from klepaas.output.safe import one_line

__all__ = ["Lost", "Renew", "Session", "innermost", "negotiate", "nobodys_trace", "reason_of", "status_of"]

_UNSUPPORTED_VERSION = -32022


class Lost(Exception):
    """The session is of no more use; says why."""


class Renew(Exception):
    """The credentials end; it is no failure."""


class Session(ClientSession):
    """A session that leaves it to whoever reads an answer whether it fits the server's own schema."""

    async def validate_tool_result(self, name: str, result: mt.CallToolResult) -> None:
        """Accept it: the library would list all tools for it, and keep from us what was answered."""


async def negotiate(session: ClientSession, opening: Opening, discover_limit_s: float) -> None:
    """Find out what the server speaks: 2026-07-28 where it says so, otherwise the handshake before it.

    Args:
        session: The session, just begun.
        opening: The way to the server, which knows what an error really was.
        discover_limit_s: What the server gets to say that it speaks 2026-07-28, in seconds.

    Raises:
        Exception: It speaks neither, or could not be asked.
    """
    try:
        for _ in range(2):
            if await _discovered(session, opening, discover_limit_s):
                return
            try:
                await session.initialize()
                return
            except MCPError as exc:
                # A slow server has taken our first question after all, and speaks the newer protocol from then on.
                if exc.error.code != _UNSUPPORTED_VERSION:
                    raise
        raise Lost("speaks no version of the protocol that klepaas speaks")
    except MCPError as exc:
        failure = opening.failure(exc)
        raise failure from failure.__cause__  # which says more than the library's error


async def _discovered(session: ClientSession, opening: Opening, limit_s: float) -> bool:
    try:
        with anyio.fail_after(limit_s):
            await session.discover()
        return True
    except MCPError as exc:
        failure = opening.failure(exc)
        if failure is not exc and not _is_refusal(failure):
            raise failure from failure.__cause__  # it was not the server that said no
        return False
    except (RuntimeError, ValidationError, TimeoutError):
        return False


def _is_refusal(failure: Exception) -> bool:
    """Whether an HTTP failure is how an older server refuses a message that it does not know."""
    return status_of(failure) in (400, 404, 405, 406, 415, 422, 501)


def status_of(failure: BaseException) -> int | None:
    """The HTTP status behind a failure. None: it is none of HTTP's.

    Args:
        failure: The failure.
    """
    status = getattr(getattr(failure, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


@contextlib.contextmanager
def nobodys_trace() -> Iterator[None]:
    """Send no trace context along: a caller's is the caller's own, and no business of another server."""
    token = telemetry.attach(telemetry.Context())
    try:
        yield
    finally:
        telemetry.detach(token)


def innermost(exc: BaseException) -> BaseException:
    """What is inside a task group's group."""
    while isinstance(exc, BaseExceptionGroup) and exc.exceptions:
        exc = exc.exceptions[0]
    return exc


def reason_of(exc: BaseException, opening: Opening | None) -> str | None:
    """Why a session ended, to go after the server's name; None: it was to be renewed."""
    if isinstance(exc, Renew):
        return None
    if isinstance(exc, Lost | KlepaasError):
        return str(exc)
    if (problem := certificate_problem(exc)) is not None:
        return f"shows a certificate that {problem.reason} ({problem.next_step})"
    if status_of(exc) is not None:
        return f"answered {status_of(exc)}"
    said_no = isinstance(exc, MCPError) and exc.error.code != mt.CONNECTION_CLOSED
    if opening is not None and opening.ended and not said_no:
        return opening.why_ended
    if isinstance(exc, MCPError):
        return f"answered with the error {exc.error.code}: {one_line(exc.error.message, 120)}"
    return f"failed: {type(exc).__name__}"
