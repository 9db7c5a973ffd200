"""JSON-RPC messages out of a stream of bytes, one a line, none longer or nested deeper than is good for us.

A longer line is passed over without being kept: its request is answered with an error of ours, where its beginning or
its end says which request it was. So is one that is nested too deeply.

Source: MCP 2025-11-25 and 2026-07-28, basic/transports, "stdio"; JSON-RPC 2.0 section 5.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from klepaas.foreign_json import LEVELS_MAX, TooDeep, parse_json
from klepaas.output.jsonable import valid_json

__all__ = ["MESSAGE_MAX_BYTES", "TOO_DEEP", "TOO_LONG", "Lines", "error_answer", "mended"]

MESSAGE_MAX_BYTES = 4 * 1024 * 1024
# In an error that we put in a server's place; the codes are some that JSON-RPC leaves to implementations.
TOO_LONG = -32099
TOO_DEEP = -32097
_EDGE_BYTES = 2048
_ID = re.compile(rb'"id"\s*:\s*(\d{1,15})\s*[,}]')
# Half a pair, or a whole one, as an escape; what this does not find, every reader reads.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_PAYLOAD = re.compile(rb'"(?:result|error)"\s*:')


def mended(message: bytes) -> bytes:
    """A message as the protocol's library can read it: it refuses half surrogate pairs, and bytes that are no UTF-8.

    Its request would wait for an answer that has come. What is no JSON either stays as it is. In place of one that is
    nested deeper than is read there is an error that answers its request.

    Args:
        message: What a server sent.
    """
    try:
        message.decode()
    except UnicodeDecodeError:
        message = message.decode("utf-8", "replace").encode()
    has_surrogate = _SURROGATE.search(message) is not None
    if not has_surrogate and message.count(b"{") + message.count(b"[") <= LEVELS_MAX:
        return message
    try:
        value = parse_json(message)
    except TooDeep as exc:
        request_id = _id_in(message[:_EDGE_BYTES], message[-_EDGE_BYTES:])
        return message if request_id is None else error_answer(request_id, TOO_DEEP, f"an answer cannot be read: {exc}")
    except ValueError:
        return message
    return json.dumps(valid_json(value), ensure_ascii=False).encode() if has_surrogate else message


class Lines:
    """Collects what comes in, and gives it back line by line.

    Args:
        max_bytes: The longest line that is kept, in bytes.
    """

    def __init__(self, max_bytes: int = MESSAGE_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._head = b""
        self._tail = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that are whole now; in place of one that is too long, an error that answers its request.

        Args:
            chunk: What came in.
        """
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            self._add(part)
            line = self._taken()
            if line.strip():
                yield line
        self._add(rest)

    def _add(self, part: bytes) -> None:
        if not part:
            return
        self._size_bytes += len(part)
        if self._size_bytes <= self._max_bytes:
            self._parts.append(part)
            return
        if self._parts:
            self._head = b"".join(self._parts)[:_EDGE_BYTES]
            self._parts = []
        elif not self._head:
            self._head = part[:_EDGE_BYTES]
        self._tail = (self._tail + part)[-_EDGE_BYTES:]

    def _taken(self) -> bytes:
        parts, head, tail, size = self._parts, self._head, self._tail, self._size_bytes
        self._parts, self._head, self._tail, self._size_bytes = [], b"", b"", 0
        if size <= self._max_bytes:
            return b"".join(parts)
        request_id = _id_in(head, tail)
        return b"" if request_id is None else error_answer(request_id, TOO_LONG, f"an answer of {size} bytes")


def error_answer(request_id: int | str, code: int, message: str, data: Any = None) -> bytes:
    """An error of ours in place of a server's answer.

    Args:
        request_id: The request's.
        code: The error's.
        message: What happened.
        data: What else there is to say. None: nothing.
    """
    error: dict[str, Any] = {"code": code, "message": message, **({"data": data} if data is not None else {})}
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}).encode()


def _id_in(head: bytes, tail: bytes) -> int | None:
    """The id of a message of which only the two ends are known: it stands before the payload, or after it."""
    payload = _PAYLOAD.search(head)
    before = _ID.search(head, 0, payload.start() if payload else len(head))
    if before:
        return int(before[1])
    behind = list(_ID.finditer(tail))
    return int(behind[-1][1]) if behind else None
