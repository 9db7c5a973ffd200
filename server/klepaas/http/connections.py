"""Limits of a connection, which uvicorn has none of: how many there are, and how long the head of a request may take.

Without them a client that sends one byte a minute, or nothing, holds a connection for ever; enough of these use up the
process' file descriptors. The body has its limit in `klepaas.http.front`.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["CONNECTIONS_MAX", "BoundedProtocol"]

HEAD_TIMEOUT_S = 10.0
# A process has 1,024 file descriptors by default. Requests beyond half of this get 503 from uvicorn.
CONNECTIONS_MAX = 600


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, one object a connection, with a deadline for each request's head."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin, or turn away where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
            return
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        """Take what came; a complete head ends the wait for it."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on with what was sent meanwhile; what is half sent has its deadline too."""
        super().on_response_complete()
        if self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._drop_deadline()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if not self._is_owed():
            self._drop_deadline()
        elif self._deadline is None:
            self._set_deadline()

    def _is_owed(self) -> bool:
        """Whether the client has to send something: a head, or the rest of a body that was answered already."""
        theirs, ours = self.conn.their_state, self.conn.our_state
        return theirs is h11.IDLE or (
            theirs is h11.SEND_BODY and ours is not h11.SEND_RESPONSE and ours is not h11.IDLE
        )

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing() and self._is_owed():
            self.transport.abort()
