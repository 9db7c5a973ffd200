"""An answer under way: ended early without breaking the protocol, or cut off because that was asked for."""

from __future__ import annotations

from collections.abc import Callable

import anyio.lowlevel
from starlette.types import Message, Send

from .faults import Effect


class CutOffError(Exception):
    """The connection was ended on purpose; there is nobody to send to."""


class Answer:
    """What is sent for one request.

    Args:
        send: where the messages go.
        effect: what is to become of them.
        close: ends the connection.
    """

    def __init__(self, send: Send, effect: Effect, close: Callable[[], None]) -> None:
        self._send = send
        self._effect = effect
        self._close = close
        self._events_left = effect.cut_events
        self._bytes_left = effect.cut_bytes
        self._begun = self._ended = False

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on.

        Raises:
            CutOffError: this part was the last that was to get through.
        """
        self._begun = True
        if message["type"] == "http.response.body":
            await self._body(message)
            return
        await self._send(message)

    async def _body(self, message: Message) -> None:
        body: bytes = message.get("body", b"")
        kept = self._kept(body)
        if kept is not None:
            await self._send({"type": "http.response.body", "body": kept, "more_body": True})
            self._ended = True
            self._close()
            await anyio.lowlevel.checkpoint()
            raise CutOffError
        self._ended = not message.get("more_body", False)
        await self._send(message)

    def _kept(self, body: bytes) -> bytes | None:
        """What gets through of a part before the connection ends; None when all of it does and more may come."""
        if self._effect.half:
            return body[: len(body) // 2]
        if self._bytes_left is not None:
            if len(body) >= self._bytes_left:
                return body[: self._bytes_left]
            self._bytes_left -= len(body)
        if self._events_left is not None:
            lines = body.splitlines(keepends=True)
            if len(lines) >= self._events_left:
                return b"".join(lines[: self._events_left])
            self._events_left -= len(lines)
        return None

    async def finish(self) -> None:
        """End what was cut short; a request without any answer gets 503."""
        if self._ended:
            return
        if not self._begun:
            await self._send({"type": "http.response.start", "status": 503, "headers": [(b"connection", b"close")]})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
