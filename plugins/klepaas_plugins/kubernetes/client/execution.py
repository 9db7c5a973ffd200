"""Running a command in a container: over a WebSocket, since the API has no plain request for it.

No standard input and no terminal: a command is started, what it prints is collected within limits, and it is told how
it ended. The limits hold against a command that prints or runs without end; it may go on in the container when they do.

Source: Kubernetes, "WebSockets replace SPDY" (KEP-4006), subprotocols v5.channel.k8s.io and v4.channel.k8s.io.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import anyio

from klepaas.errors import KlepaasError, TimedOut, Unavailable
from klepaas.foreign_json import parse_json
from klepaas.outbound import USER_AGENT, certificate_problem
from klepaas_plugins.kubernetes.errors import Act, NotTheApi, error_for
from klepaas_plugins.kubernetes.masking.messages import message_line

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from klepaas_plugins.kubernetes.client.credentials import Connection

__all__ = ["Execution", "run"]

OPEN_TIMEOUT_S = 10.0
FRAME_MAX_BYTES = 1024 * 1024
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDOUT, _STDERR, _STATUS = 1, 2, 3
_REDIRECTS = range(300, 400)


@dataclass
class Execution:
    """How a command went.

    Attributes:
        stdout: What it printed, as far as the limit goes.
        stderr: What it complained about, likewise.
        exit_code: How it ended. None: it did not end in time, or nobody told.
        cut: Whether it printed more than that.
        timed_out: Whether it ran longer than it may.
        reason: Why it could not be started. Empty: it was.
    """

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = None
    cut: bool = False
    timed_out: bool = False
    reason: str = ""


async def run(
    connection: "Connection",
    act: Act,
    path: str,
    container: str | None,
    command: Sequence[str],
    limits: tuple[int, float],
) -> Execution:
    """Run a command and collect what it prints.

    Args:
        connection: The credentials.
        act: The request in words.
        path: The path of the pod's exec subresource.
        container: Which container. None: the only one.
        command: The program and its arguments; no shell reads them.
        limits: Most bytes of output, and longest time in seconds.

    Raises:
        KlepaasError: The API server or the kubelet refuses.
    """
    result = Execution()
    max_bytes, limit_s = limits
    try:
        socket = await _opened(connection, act, path, container, command)
        try:
            with anyio.move_on_after(limit_s) as limit:
                await _collect(socket, result, max_bytes)
            result.timed_out = limit.cancelled_caught
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await socket.close()
            # One that still sends does not close politely.
            socket.transport.abort()
    except KlepaasError:
        raise
    except TimeoutError:
        raise TimedOut(
            act.cannot(f"no connection within {OPEN_TIMEOUT_S:g} s"), next_step="Check the cluster"
        ) from None
    except OSError as exc:
        if (problem := certificate_problem(exc)) is not None:
            raise Unavailable(
                act.cannot(f"the server's certificate {problem.reason}"), next_step=problem.next_step
            ) from exc
        raise Unavailable(act.cannot("the connection is refused or broke off"), next_step="Check the cluster") from exc
    return result


async def _opened(
    connection: "Connection", act: Act, path: str, container: str | None, command: Sequence[str]
) -> "ClientConnection":
    # Imported here: most servers never run a command, and all of them start.
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus
    from websockets.typing import Subprotocol

    query = [("stdout", "true"), ("stderr", "true"), *([("container", container)] if container else [])]
    query += [("command", word) for word in command]
    server = connection.server
    address = f"ws{server.removeprefix('http')}{path}?{urlencode(query)}"
    tls: dict[str, Any] = {"ssl": connection.tls} if server.startswith("https") else {}
    try:
        with anyio.fail_after(OPEN_TIMEOUT_S):
            opening = connect(
                address,
                subprotocols=[Subprotocol(name) for name in _PROTOCOLS],
                additional_headers=list(connection.headers),
                proxy=connection.proxy.url if connection.proxy else None,
                user_agent_header=USER_AGENT,
                max_size=FRAME_MAX_BYTES,
                max_queue=4,
                compression=None,
                open_timeout=None,
                **tls,
            )
            # The library would follow, with our certificate and the headers that say for whom we act.
            opening.process_redirect = _refuse_redirect  # type: ignore[method-assign]
            return await opening
    except InvalidStatus as exc:
        if exc.response.status_code in _REDIRECTS:
            raise NotTheApi(
                act.cannot("the server sends us elsewhere"), next_step="Correct the server's address"
            ) from None
        raise error_for(act, exc.response.status_code, bytes(exc.response.body or b"")) from None
    except InvalidHandshake as exc:
        raise Unavailable(
            act.cannot("the API server does not speak WebSocket here"), next_step="It needs Kubernetes 1.30 or later"
        ) from exc


def _refuse_redirect(exc: Exception) -> Exception:
    """What the library asks for the next address: there is none, whatever the answer says."""
    return exc


async def _collect(socket: "ClientConnection", result: Execution, max_bytes: int) -> None:
    from websockets.exceptions import ConnectionClosed

    try:
        async for frame in socket:
            data = frame if isinstance(frame, bytes) else frame.encode()
            channel, payload = (data[0], data[1:]) if data else (-1, b"")
            if channel == _STATUS:
                _read_status(payload, result)
                return
            room = max_bytes - len(result.stdout) - len(result.stderr)
            if channel == _STDOUT:
                result.stdout += payload[:room]
            elif channel == _STDERR:
                result.stderr += payload[:room]
            if len(payload) > room:
                result.cut = True
                return
    except ConnectionClosed:
        return


def _read_status(payload: bytes, result: Execution) -> None:
    try:
        status = parse_json(payload)
    except ValueError:
        return
    if not isinstance(status, dict):
        return
    if status.get("status") == "Success":
        result.exit_code = 0
        return
    causes = (status.get("details") or {}).get("causes") or ()
    codes = [message_line(cause.get("message")) for cause in causes if cause.get("reason") == "ExitCode"]
    if codes and codes[0].isdecimal():
        result.exit_code = int(codes[0])
    else:
        result.reason = message_line(status.get("message")) or "the command could not be started"
