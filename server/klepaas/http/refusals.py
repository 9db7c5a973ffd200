"""What a client is told that HTTP turns away: what to do, in the form that clients of `/mcp` can read."""

import json
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Scope

__all__ = ["explanation_of", "foreign_request", "rejection", "unchecked_credentials"]

_INVALID_REQUEST, _INTERNAL_ERROR = -32600, -32603
# What the libraries below answer with two words or none.
_WHAT_TO_DO: Mapping[int, str] = {
    403: "klepaas answers no web page: the Origin header names one. Call it from a program, without that header",
    421: "klepaas answers only to the names of its own machine: localhost, 127.0.0.1 and [::1]. Use one of them in the "
    "address; a proxy must send it as the Host header (nginx: proxy_set_header Host 127.0.0.1)",
    429: "There are too many requests. Wait as long as Retry-After says, or a minute, and ask for more in one request",
}


def rejection(status: int, message: str, retry_after_s: int | None = None) -> Response:
    """An answer to a request that is not let in.

    The connection stays: closed with half a body unread it would take the answer with it (`klepaas.http.connections`
    says for how long).

    Args:
        status: Its HTTP status.
        message: Why, one sentence.
        retry_after_s: When to come back, in seconds. None: never with the same request.
    """
    code = _INTERNAL_ERROR if status >= 500 else _INVALID_REQUEST
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}})
    headers = {"Cache-Control": "no-store"}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return Response(body, status, headers, "application/json")


def foreign_request(header: str) -> Response:
    """The refusal of a request that does not belong to this machine.

    Args:
        header: By what it does not: "Host" or "Origin".
    """
    status = 421 if header == "Host" else 403
    return rejection(status, _WHAT_TO_DO[status])


def unchecked_credentials(scope: Scope) -> Response | None:
    """The refusal of credentials that nobody checks: whoever sends them believes that they protect something.

    Args:
        scope: A request to `/mcp`.
    """
    if "authorization" not in Headers(scope=scope):
        return None
    return rejection(
        400,
        "This klepaas checks no tokens: whoever reaches its address may use it. Remove the Authorization header; "
        "it protects nothing here",
    )


def explanation_of(start: Message) -> Response | None:
    """What is sent in place of a bare refusal. None: the answer is none, or says itself what to do.

    Args:
        start: The beginning of an answer.
    """
    status: int = start["status"]
    if status not in _WHAT_TO_DO:
        return None
    after = Headers(raw=list(start.get("headers", ()))).get("retry-after", "")
    return rejection(status, _WHAT_TO_DO[status], int(after) if after.isdecimal() and len(after) < 6 else None)
