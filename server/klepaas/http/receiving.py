"""Answers what other programs post to the routes of plugins: token, rate, size, JSON, time limit, in this order.

The token is compared in constant time, before anything of the message is read as JSON. What is refused for now gets a
503, also where the rate is used up: senders of webhooks try again after a 5xx and give up after a 429.
"""

import hmac
import logging
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from klepaas.errors import BadRequest, KlepaasError, RateLimited, TimedOut
from klepaas.foreign_json import TooDeep, parse_json
from klepaas.host import Host
from klepaas.http.routes import HttpRoute
from klepaas.limits import Rate
from klepaas.observability import one_line
from klepaas.plugins import Plugins

__all__ = ["routes_of"]

log = logging.getLogger(__name__)

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_STATUS = {"bad_request": 400, "unauthorized": 401, "forbidden": 403, "not_found": 404, "conflict": 409}
_NEXT_S = 5


def routes_of(plugins: Plugins, host: Host) -> list[Route]:
    """The routes of every plugin; one that claims a path that is taken is left out with its plugin.

    Args:
        plugins: The plugins to ask.
        host: What they get.
    """
    found: dict[str, Route] = {}
    for contribution in plugins.contributions("klepaas_http_routes", HttpRoute, host=host):
        path = contribution.item.path
        if path in found:
            plugins.fail(contribution.plugin, f"the HTTP path {path} is already taken")
        else:
            found[path] = Route(path, _Receiver(contribution.item), methods=["POST"])
    return list(found.values())


class _Receiver:
    """The ASGI application of one route."""

    def __init__(self, route: HttpRoute) -> None:
        self._route = route
        self._wanted = f"Bearer {route.token.get_secret_value()}".encode()
        self._rate = Rate(route.per_minute)
        self._slots = anyio.Semaphore(8)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one message."""
        answer = await self._answer(Request(scope, receive))
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        shown = request.headers.get("authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(shown, self._wanted):
            log.warning("a message to %s came without its token and was refused", self._route.path)
            headers = {**_HEADERS, "WWW-Authenticate": "Bearer"}
            return JSONResponse({"error": "The token is missing or wrong"}, 401, headers)
        try:
            self._rate.take(self._route.path)
            said = await self._received(await request.body())
        except KlepaasError as exc:
            return self._refusal(exc)
        except Exception as exc:  # guarded boundary: a plugin's code
            log.error("what receives %s failed: %s", self._route.path, type(exc).__name__, exc_info=exc)
            return JSONResponse({"error": "It could not be taken; the log says why"}, 500, _HEADERS)
        return JSONResponse(said, 200, _HEADERS)

    async def _received(self, body: bytes) -> dict[str, Any]:
        if len(body) > self._route.max_bytes:
            raise BadRequest(f"The message is longer than {self._route.max_bytes} bytes")
        message = _object_in(body)
        with anyio.move_on_after(self._route.timeout_s):
            async with self._slots:
                return dict(await self._route.receive(message))
        raise TimedOut(f"The message was not taken within {self._route.timeout_s:g} s")

    def _refusal(self, exc: KlepaasError) -> Response:
        headers = dict(_HEADERS)
        status = _STATUS.get(exc.code, 503 if exc.retryable else 500)
        if isinstance(exc, RateLimited):
            log.warning("more than %d messages a minute came to %s", self._route.per_minute, self._route.path)
            exc = RateLimited(f"More than {self._route.per_minute} messages a minute are not taken")
        if status == 503:
            headers["Retry-After"] = str(round(exc.retry_after_s or _NEXT_S))
        else:
            log.warning("a message to %s was refused: %s", self._route.path, one_line(exc.line))
        return JSONResponse({"error": one_line(exc.line)}, status, headers)


def _object_in(body: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        BadRequest: There is none.
    """
    try:
        found = parse_json(body, parse_constant=_no_constant)
    except TooDeep as exc:
        raise BadRequest(f"The message cannot be read: {exc}") from None
    except ValueError:
        raise BadRequest("The message is not JSON") from None
    if not isinstance(found, dict):
        raise BadRequest("The message is not a JSON object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
