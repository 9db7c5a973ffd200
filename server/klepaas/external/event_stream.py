"""Server-sent events with messages that the protocol's library can read.

The library refuses an event whose message holds half a surrogate pair, bytes that are no UTF-8, or too many levels, and
its request fails though its answer has come. So each event is taken apart, its message mended as one over stdio or in a
JSON body is (`klepaas.external.messages`), and put together again. Events whose messages need nothing stay as they are.

Source: html.spec.whatwg.org, "Server-sent events", sections 9.2.5 and 9.2.6.
"""

import re

from klepaas.external.messages import mended

__all__ = ["EventStream", "EventTooLong"]

_LINE_END = re.compile(rb"\r\n|\n|\r")
_MARK = b"\xef\xbb\xbf"


class EventTooLong(Exception):
    """An event is longer than is kept."""


class EventStream:
    """Collects what comes in, and gives back the events that are whole.

    Args:
        max_bytes: The longest event, in bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._lines: list[bytes] = []
        self._size_bytes = 0
        self._after_return = False
        self._is_first = True

    def feed(self, chunk: bytes) -> bytes:
        """The events that are whole now, with line feeds as line ends; empty where there is none.

        Args:
            chunk: What came in.

        Raises:
            EventTooLong: The event that has begun is too long.
        """
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_return = chunk.endswith(b"\r") or (self._after_return and not chunk)
        *ended, rest = _LINE_END.split(chunk)
        whole = [event for part in ended if (event := self._end_line(part)) is not None]
        self._add(rest)
        return b"".join(whole)

    def _add(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._size_bytes += len(part)
        if self._size_bytes > self._max_bytes:
            raise EventTooLong

    def _end_line(self, part: bytes) -> bytes | None:
        """End the line that has begun; the event, where that was its last one."""
        self._add(part)
        line = b"".join(self._parts)
        self._parts.clear()
        if self._is_first:
            line, self._is_first = line.removeprefix(_MARK), False
        if line:
            self._lines.append(line)
            return None
        event = _written(self._lines)
        self._lines, self._size_bytes = [], 0
        return event


def _written(lines: list[bytes]) -> bytes:
    """An event of these lines, its message mended."""
    message = b"\n".join(_value(line) for line in lines if _is_data(line))
    new = mended(message)
    if new != message:
        others = [line for line in lines if not _is_data(line)]
        lines = [*others, *(b"data: " + line for line in new.split(b"\n"))]
    return b"".join(line + b"\n" for line in (*lines, b""))


def _is_data(line: bytes) -> bool:
    return line == b"data" or line.startswith(b"data:")


def _value(line: bytes) -> bytes:
    return line.removeprefix(b"data").removeprefix(b":").removeprefix(b" ")
