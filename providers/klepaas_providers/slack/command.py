"""`klepaas slack login`: a person opens an address, agrees, and the browser brings the code back here.

Where the app's redirect address is of this machine, a page waits there for the browser; otherwise the person pastes the
address that the browser ended at.
"""

import argparse
import asyncio
import sys
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from klepaas.errors import KlepaasError, TimedOut
from klepaas.host import Host
from klepaas.settings import Settings
from klepaas_providers.slack.login import Attempt, Login
from klepaas_providers.slack.settings import SlackSettings

__all__ = ["run"]

LOGIN_LIMIT_S = 600.0
_HEAD_LIMIT_S = 10.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PAGE = "Thank you. You can close this page and go back to the terminal.\n"


def run(_arguments: argparse.Namespace) -> int:
    """Log in; the exit code."""
    settings = SlackSettings()
    if settings.client_id is None or settings.client_secret is None:
        print("Set KLEPAAS_SLACK_CLIENT_ID and KLEPAAS_SLACK_CLIENT_SECRET first.", file=sys.stderr)  # noqa: T201
        return 2
    try:
        anyio.run(_log_in, settings, settings.client_id)
    except KlepaasError as exc:
        print(exc.line, file=sys.stderr)  # noqa: T201
        return 1
    print("Logged in; a server that runs takes the token with its next call.")  # noqa: T201
    return 0


async def _log_in(settings: SlackSettings, client_id: str) -> None:
    host = Host(Settings())
    attempt = Attempt()
    print(f"Open this address in a browser:\n\n  {attempt.address(client_id, settings.redirect_uri)}\n")  # noqa: T201
    try:
        with anyio.fail_after(LOGIN_LIMIT_S):
            address = await _answered(settings.redirect_uri)
    except TimeoutError as exc:
        raise TimedOut(f"Nobody logged in within {LOGIN_LIMIT_S / 60:g} minutes") from exc
    try:
        await Login.of(host, settings).finish(attempt, address)
    finally:
        await host.aclose()


async def _answered(redirect_uri: str) -> str:
    """The address that Slack sent the browser to."""
    parts = urlsplit(redirect_uri)
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return await _visited(parts.port or 80, parts.path or "/")
    print("Then paste the address that the browser ends at, and press Enter:")  # noqa: T201
    return await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)


async def _visited(port: int, path: str) -> str:
    visited: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with anyio.fail_after(_HEAD_LIMIT_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            target = head.split(" ", 2)[1] if head.startswith("GET ") else ""
            is_ours = urlsplit(target).path == path
            writer.write(_page(200, _PAGE) if is_ours else _page(404, "There is nothing here.\n"))
            await writer.drain()
            if is_ours and not visited.done():
                visited.set_result(target)
        except (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError):
            return
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
    except OSError as exc:
        raise TimedOut(f"Port {port}, where the browser would come back, is taken") from exc
    async with server:
        return await visited


def _page(status: int, text: str) -> bytes:
    head = f"HTTP/1.1 {status} \r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    return (head + text).encode()
