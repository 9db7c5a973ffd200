"""Reads a JSON answer row by row, so that one of 100 MB costs the memory of one row, and can be left in the middle.

The rows are the elements of the one list that an answer of the HTTP API is about: `data.result` of a query, `data` of
label values, `data.groups`, `data.alerts`, `data.activeTargets`; or the pairs of `data` where that is an object of
anything else (metadata). It does not know what a row means.

Source: prometheus.io/docs/prometheus/latest/querying/api ("Format overview").
"""

import codecs
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from klepaas.foreign_json import LEVELS_MAX, TooDeep, check_levels

__all__ = ["Document", "Malformed", "Take", "read_document", "read_list"]

ROW_MAX_CHARS = 16 * 1024 * 1024
_PIECE_CHARS = 64 * 1024
_ROWS = frozenset(["result", "groups", "alerts", "activeTargets"])
# What may stand beside the rows; it is small or it is not ours.
_BESIDE = frozenset(["resultType", "droppedTargets", "stats", "analysis", "explanation", "groupNextToken"])
_SPACE = " \t\r\n"
Take = Callable[[Any], bool]


class Malformed(Exception):
    """The answer is not what it should be.

    Args:
        broke_off: Whether it ended too early.
        too_deep: Whether it is nested deeper than is read.
    """

    def __init__(self, broke_off: bool = False, *, too_deep: bool = False) -> None:
        nested = f"the answer is nested deeper than {LEVELS_MAX} levels"
        foreign = nested if too_deep else "the answer is not this API's"
        super().__init__("the answer broke off in the middle" if broke_off else foreign)
        self.broke_off = broke_off


class _TooLong(Exception):
    """The answer is longer than is read."""


@dataclass
class Document:
    """What an answer says beside its rows.

    Attributes:
        values: The small values of its top: `status`, `errorType`, `error`, `warnings`, `infos`, `isPartial`.
        rows: How many rows were taken.
        size_bytes: How much was read.
        cut: Whether it was longer than is read: then there are more rows.
        left: Whether whoever took the rows had enough before the end.
    """

    values: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    size_bytes: int = 0
    cut: bool = False
    left: bool = False


class _Enough(Exception):
    """Whoever takes the rows wants no more."""


class _Reader:
    """A cursor over text that arrives in pieces."""

    def __init__(self, pieces: AsyncIterator[bytes], max_bytes: int) -> None:
        self._pieces = pieces
        self._max_bytes = max_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._json = json.JSONDecoder()
        self._text, self._at = "", 0
        self._ended = False
        self.size_bytes = 0

    async def peek(self) -> str:
        """The next character that is no space."""
        while True:
            text, at, end = self._text, self._at, len(self._text)
            while at < end and text[at] in _SPACE:
                at += 1
            self._at = at
            if at < end:
                return text[at]
            await self._more(1)

    async def take(self, *expected: str) -> str:
        """The next character, one of these."""
        found = await self.peek()
        if found not in expected:
            raise Malformed
        self._at += 1
        return found

    async def value(self) -> Any:
        """The next value, whole."""
        await self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
                check_levels(value)
            except (RecursionError, TooDeep):
                raise Malformed(too_deep=True) from None
            except ValueError:
                await self._more(len(self._text) - self._at)
                continue
            if end == len(self._text) and isinstance(value, int | float):
                # A number at the end of what has come may go on; a document never ends with one.
                await self._more(1)
                continue
            self._at = end
            return value

    async def _more(self, wanted_chars: int) -> None:
        """Twice as much as there is, so that a long row is not looked at for each piece of it."""
        kept = self._text[self._at :]
        if self._ended:
            raise Malformed(broke_off=True)
        if len(kept) > ROW_MAX_CHARS:
            raise Malformed
        parts, missing = [kept], max(_PIECE_CHARS, wanted_chars)
        while missing > 0 and not self._ended:
            piece = await anext(self._pieces, None)
            if piece is None:
                self._ended = True
            else:
                self.size_bytes += len(piece)
                if self.size_bytes > self._max_bytes:
                    raise _TooLong
            text = self._decoder.decode(piece or b"", final=piece is None)
            parts.append(text)
            missing -= len(text)
        self._text, self._at = "".join(parts), 0


async def read_document(pieces: AsyncIterator[bytes], take: Take, max_bytes: int) -> Document:
    """Read an answer of Prometheus' API.

    Args:
        pieces: Its bytes.
        take: Called with each row; a pair is a row, too. False: it has enough.
        max_bytes: How much is read at most; what has come until then counts.

    Raises:
        Malformed: It is no such answer, or ended too early.
    """
    return await _read(pieces, take, max_bytes, _top)


async def read_list(pieces: AsyncIterator[bytes], take: Take, max_bytes: int) -> Document:
    """Read an answer that is a list, as Alertmanager gives.

    Args:
        pieces: Its bytes.
        take: Called with each element. False: it has enough.
        max_bytes: How much is read at most.

    Raises:
        Malformed: It is no such answer, or ended too early.
    """
    return await _read(pieces, take, max_bytes, _rows)


async def _read(pieces: AsyncIterator[bytes], take: Take, max_bytes: int, whole: Any) -> Document:
    document = Document()
    reader = _Reader(pieces, max_bytes)
    try:
        await whole(reader, document, take)
    except _TooLong:
        document.cut = True
    except _Enough:
        document.left = True
    document.size_bytes = reader.size_bytes
    return document


async def _top(reader: _Reader, document: Document, take: Take) -> None:
    async for key in _keys(reader):
        if key == "data" and await reader.peek() == "[":
            await _rows(reader, document, take)
        elif key == "data" and await reader.peek() == "{":
            await _data(reader, document, take)
        else:
            document.values[key] = await reader.value()


async def _data(reader: _Reader, document: Document, take: Take) -> None:
    async for key in _keys(reader):
        if key in _ROWS and await reader.peek() == "[":
            await _rows(reader, document, take)
        elif key in _BESIDE or key in _ROWS:
            await reader.value()
        else:
            _give(document, take, (key, await reader.value()))


async def _rows(reader: _Reader, document: Document, take: Take) -> None:
    await reader.take("[")
    if await reader.peek() == "]":
        await reader.take("]")
        return
    while True:
        _give(document, take, await reader.value())
        if await reader.take(",", "]") == "]":
            return


async def _keys(reader: _Reader) -> AsyncIterator[str]:
    """The keys of an object; whoever iterates reads the value after each."""
    await reader.take("{")
    if await reader.peek() == "}":
        await reader.take("}")
        return
    while True:
        if await reader.peek() != '"':
            raise Malformed
        key: str = await reader.value()
        await reader.take(":")
        yield key
        if await reader.take(",", "}") == "}":
            return


def _give(document: Document, take: Take, row: Any) -> None:
    document.rows += 1
    if not take(row):
        raise _Enough
