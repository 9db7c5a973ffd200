"""The two ways to a server, each opened anew for each session: a process of ours, or HTTP."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

import anyio
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from klepaas.errors import KlepaasError
from klepaas.external.carrier import Carrier, http_client
from klepaas.external.child import Child
from klepaas.external.declaration import Credentials, ExternalProvider, HttpServer, StdioServer, Supplier
from klepaas.external.failures import AnswerTooLong, NotUp
from klepaas.external.messages import MESSAGE_MAX_BYTES, TOO_DEEP, TOO_LONG
from klepaas.foreign_json import LEVELS_MAX
from klepaas.output.redaction import vault

__all__ = ["Opening", "opening_of"]

CREDENTIALS_LIMIT_S = 10.0
# New ones are fetched so long before the old ones end.
RENEW_EARLY_S = 60.0
# What a server may be silent for within an answer; a call's own limit is shorter.
_SILENCE_LIMIT_S = 300.0


class Opening(Protocol):
    """A way to a server, for one session."""

    end: anyio.Event

    @property
    def ended(self) -> bool:
        """Whether it leads nowhere any more."""
        ...

    @property
    def why_ended(self) -> str:
        """Why, to go after the server's name."""
        ...

    @property
    def renew_in_s(self) -> float:
        """Seconds until it has to be opened anew."""
        ...

    @property
    def pid(self) -> int | None:
        """The process behind it. None: it is none of ours."""
        ...

    def streams(self) -> contextlib.AbstractAsyncContextManager[tuple[Any, Any]]:
        """The messages that come in, and where to put ours."""
        ...

    def failure(self, error: MCPError) -> Exception:
        """What really failed, where the library was told of an error in its place; the error itself otherwise."""
        ...


def opening_of(provider: ExternalProvider) -> Opening:
    """A new way to a server.

    Args:
        provider: The server.
    """
    if isinstance(provider.transport, StdioServer):
        return _Process(provider.name, provider.transport)
    return _Http(provider.transport)


class _Process:
    def __init__(self, name: str, server: StdioServer) -> None:
        self._name = name
        self._server = server
        self._child = Child(name, server)
        self._renew_at = float("inf")
        self.end = self._child.ended

    @property
    def ended(self) -> bool:
        return self.end.is_set()

    @property
    def why_ended(self) -> str:
        words = self._child.last_words
        return f"its process {self._child.exit_text}" + (f"; it said last: {words}" if words else "")

    @property
    def renew_in_s(self) -> float:
        return self._renew_at - time.monotonic()

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @contextlib.asynccontextmanager
    async def streams(self) -> AsyncIterator[tuple[Any, Any]]:
        credentials = await _credentials(self._server.credentials)
        for name, value in credentials.values.items():
            vault.keep(value, renewal_of=f"{name} of {self._name}")
        if credentials.valid_for_s is not None:
            self._renew_at = time.monotonic() + max(1.0, credentials.valid_for_s - RENEW_EARLY_S)
        async with self._child.running(credentials.values) as streams:
            yield streams

    def failure(self, error: MCPError) -> Exception:
        return _unread(error) or error


class _Http:
    renew_in_s = float("inf")
    pid = None

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._carrier = Carrier(server)
        self.end = anyio.Event()

    @property
    def ended(self) -> bool:
        return self.end.is_set()

    @property
    def why_ended(self) -> str:
        return "has forgotten our session" if self._carrier.session_lost else "ended the connection"

    @contextlib.asynccontextmanager
    async def streams(self) -> AsyncIterator[tuple[Any, Any]]:
        try:
            async with (
                http_client(self._carrier, self._server, _SILENCE_LIMIT_S) as client,
                streamable_http_client(self._server.url, http_client=client) as streams,
            ):
                yield streams
        finally:
            self.end.set()

    def failure(self, error: MCPError) -> Exception:
        unread = _unread(error)
        if unread is not None:
            return unread
        failure = self._carrier.failure(error.error.data)
        if self._carrier.session_lost:
            self.end.set()
        return failure or error


async def _credentials(supplier: Supplier | None) -> Credentials:
    if supplier is None:
        return Credentials({})
    try:
        with anyio.fail_after(CREDENTIALS_LIMIT_S):
            return await supplier()
    except KlepaasError as exc:
        raise NotUp(f"cannot be started without credentials: {exc.what}") from exc
    except TimeoutError as exc:
        raise NotUp(f"cannot be started: no credentials came within {CREDENTIALS_LIMIT_S:g} s") from exc


def _unread(error: MCPError) -> AnswerTooLong | None:
    """What an error means that stands in place of an answer which is not read. None: it is another error."""
    limits = {
        TOO_LONG: f"longer than {MESSAGE_MAX_BYTES // (1024 * 1024)} MiB",
        TOO_DEEP: f"nested deeper than {LEVELS_MAX} levels",
    }
    limit = limits.get(error.error.code)
    if limit is None:
        return None
    return AnswerTooLong(f"The answer is {limit} and was not read", next_step="Ask for less, or narrower")
