"""The errors that a monitoring server's answers become, and how its pipeline judges them. It asks nobody."""

from typing import Any

from klepaas.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    KlepaasError,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from klepaas.foreign_json import parse_json
from klepaas.output.safe import one_line
from klepaas.resilience import Kind, Observation, Verdict, classify

__all__ = ["NotTheApi", "QueryTooHeavy", "Untrusted", "error_for", "judge"]

MESSAGE_MAX_CHARS = 400
_REFUSED = (400, 405, 413, 414, 422)


class NotTheApi(Unavailable):
    """Somebody answered, but not with this API."""


class QueryTooHeavy(TimedOut):
    """The server is well, and this query took it too long."""


class Untrusted(Unavailable):
    """The server's certificate, or ours, is not accepted."""


def judge(seen: Observation) -> Verdict:
    """The classifier of a monitoring server: the errors of this plugin, and the rest by default."""
    if isinstance(seen.error, QueryTooHeavy | Untrusted):
        return Verdict(Kind.CALLER_MISTAKE)
    if isinstance(seen.error, NotTheApi):
        return Verdict(Kind.PROTOCOL)
    return classify(seen)


def error_for(what: str, server: str, status: int, body: bytes, retry_after_s: float | None) -> KlepaasError:
    """The error that an answer means.

    Args:
        what: What was asked, to go after "Cannot".
        server: Who answered.
        status: Its status code.
        body: The beginning of its body.
        retry_after_s: When it wants to be asked again, in seconds. None: it did not say.
    """
    kind, message = _said(body)
    if kind in ("timeout", "canceled"):
        return QueryTooHeavy(
            f"Cannot {what}: {server} stopped the query ({message or kind})",
            next_step="Ask for a shorter range, a longer step or fewer series",
        )
    if status in _REFUSED:
        return BadRequest(
            f"Cannot {what}: {server} says: {message or f'status {status}'}", next_step="Correct that and call again"
        )
    reason = f"{server} answered {status}{f': {message}' if message else ''}"
    if 300 <= status < 400:
        return NotTheApi(f"Cannot {what}: {server} sends us elsewhere", next_step="Correct the server's address")
    if status == 401:
        return Unauthorized(
            f"Cannot {what}: {server} does not accept the credentials", next_step="Correct its settings"
        )
    if status == 403:
        return Forbidden(f"Cannot {what}: {reason}", next_step="Give the credentials that right")
    if status == 429:
        step = "Wait, then retry" if retry_after_s is None else f"Retry in {retry_after_s:g} s"
        return RateLimited(f"Cannot {what}: {server} limits our rate", next_step=step, retry_after_s=retry_after_s)
    if status == 409:
        return Conflict(f"Cannot {what}: {reason}")
    if status == 404:
        return NotFound(f"Cannot {what}: {reason}", next_step="Check the server's address, and that it has this API")
    return Unavailable(f"Cannot {what}: {reason}", next_step="Retry in a moment", retry_after_s=retry_after_s)


def _said(body: bytes) -> tuple[str, str]:
    """The kind and the message in an error's body, on one line; nothing of a web page."""
    try:
        found: Any = parse_json(body)
    except ValueError:
        text = body.decode(errors="replace")
        return "", "" if "<" in text[:200] else _line(text)
    if isinstance(found, dict):
        return str(found.get("errorType") or ""), _line(str(found.get("error") or found.get("message") or ""))
    return "", _line(found) if isinstance(found, str) else ""


def _line(text: str) -> str:
    return one_line(text, MESSAGE_MAX_CHARS)
