"""The HTTP application of one klepaas: FastMCP's `/mcp`, what watches the process, and the limits around both.

It is plain ASGI and opens no socket (`klepaas.http.server` does), so that tests can ask it directly.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from klepaas.app import App
from klepaas.calls import ANSWER_LIMIT_S
from klepaas.http.front import BodyLimit, Front
from klepaas.http.origins import ALLOWED_HOSTS
from klepaas.http.readiness import Readiness
from klepaas.http.receiving import routes_of
from klepaas.output.jsonable import valid_json

__all__ = ["HttpApp"]

_UNCACHED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class HttpApp:
    """An ASGI application.

    Args:
        app: The klepaas to serve.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self.readiness = Readiness(app)
        self._asgi = app.server.http_app(
            path="/mcp",
            middleware=[Middleware(BodyLimit, max_bytes=app.settings.http_body_max_bytes)],
            # Said, so that no variable of FastMCP's changes it: without streams nobody could be asked to confirm.
            json_response=False,
            stateless_http=False,
            # The front has read both headers already, strictly; this is the second lock.
            host_origin_protection=True,
            allowed_hosts=list(ALLOWED_HOSTS),
            allowed_origins=[],
        )
        self._asgi.debug = False  # it would answer with tracebacks
        for path, answer in (("/healthz", self._healthz), ("/readyz", self._readyz), ("/metrics", self._metrics)):
            self._asgi.router.routes.append(Route(path, answer, methods=["GET"]))
        received = routes_of(app.plugins, app.host)
        self._asgi.router.routes.extend(received)
        self._front = Front(self._asgi, app.calls, app.metrics.http, [route.path for route in received])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._front(scope, receive, send)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while inside.

        Raises:
            PluginError: A plugin failed at its start and plugins are strict.
        """
        self._app.metrics.prepare()
        async with self._asgi.lifespan(self._asgi):
            self._sessions.max_sessions = self._app.settings.http_max_sessions
            self.readiness.started = True
            try:
                yield
            finally:
                self.readiness.started = False

    async def end_streams(self) -> None:
        """End what would otherwise never end, the streams on which clients wait for news; let answers out first."""
        self._app.announcements.end_streams()
        await self._front.all_answered(ANSWER_LIMIT_S)
        for session in list(self._sessions._server_instances.values()):
            await session.terminate()

    @property
    def _sessions(self) -> Any:
        """The manager of `/mcp`, which FastMCP makes anew when it starts."""
        route = next(route for route in self._asgi.router.routes if isinstance(route, Route) and route.path == "/mcp")
        endpoint: Any = route.endpoint
        return endpoint.session_manager

    async def _healthz(self, _request: Request) -> Response:
        if self.readiness.alive():
            return JSONResponse({"status": "ok"}, headers=_UNCACHED)
        return JSONResponse({"status": "broken"}, 503, headers=_UNCACHED)

    async def _readyz(self, _request: Request) -> Response:
        verdict = await self.readiness.verdict()
        body: dict[str, Any] = {"status": verdict.status, "reasons": verdict.reasons}
        body["components"] = verdict.components
        return JSONResponse(valid_json(body), 200 if verdict.ready else 503, headers=_UNCACHED)

    async def _metrics(self, _request: Request) -> Response:
        text, media_type = self._app.metrics.exposition()
        return Response(text, headers={**_UNCACHED, "Content-Type": media_type})
