"""Serves the HTTP application on a socket, and ends in order when the process is asked to.

At the first SIGTERM or Ctrl-C `/readyz` says no and new calls are refused; those that run get their grace, then they
are cancelled and say so; then streams end, connections close, and plugins and services let go. A second signal ends
the process at once.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator

import anyio
import anyio.abc
import uvicorn

from klepaas.app import App
from klepaas.http.application import HttpApp
from klepaas.http.connections import CONNECTIONS_MAX, BoundedProtocol
from klepaas.plugins import PluginError
from klepaas.portability import signals

__all__ = ["serve_http"]

# What connections get to close after their calls have ended.
CLOSE_LIMIT_S = 2
KEEP_ALIVE_S = 15


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: it would close connections first and raise the signal again at its end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_http(app: App, listener: socket.socket) -> int:
    """Serve streamable HTTP under `/mcp` until the process is asked to stop.

    Args:
        app: What to serve.
        listener: A bound socket on a loopback address.

    Returns:
        The number of the signal that ended it.

    Raises:
        PluginError: A plugin failed at its start and plugins are strict.
    """
    web = HttpApp(app)
    server = _Server(_config(web))
    failure: PluginError | None = None
    asked: list[int] = []
    async with anyio.create_task_group() as group:
        await group.start(_leave_on_signal, app, web, server, asked)
        try:
            async with web.running():
                await server.serve(sockets=[listener])
        except PluginError as exc:  # kept out of the group, which would wrap it
            failure = exc
        group.cancel_scope.cancel()
    if failure:
        raise failure
    return asked[0] if asked else 0


def _config(web: HttpApp) -> uvicorn.Config:
    return uvicorn.Config(
        web,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",  # entered by serve_http, where a failure stays what it is
        log_config=None,
        access_log=False,
        server_header=False,
        # It would believe any caller on this machine about its address.
        proxy_headers=False,
        h11_max_incomplete_event_size=32 * 1024,
        limit_concurrency=CONNECTIONS_MAX // 2,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CLOSE_LIMIT_S,
    )


async def _leave_on_signal(
    app: App,
    web: HttpApp,
    server: uvicorn.Server,
    asked: list[int],
    *,
    task_status: anyio.abc.TaskStatus[None],
) -> None:
    with signals.receive(*signals.END_SIGNALS) as received:
        task_status.started()
        async with anyio.create_task_group() as group:
            async for number in received:
                if asked:
                    sys.stderr.flush()
                    os._exit(128 + number)
                asked.append(number)
                group.start_soon(_wind_down, app, web, server)


async def _wind_down(app: App, web: HttpApp, server: uvicorn.Server) -> None:
    await app.calls.stop(app.settings.shutdown_grace_s)
    await web.end_streams()
    server.should_exit = True
