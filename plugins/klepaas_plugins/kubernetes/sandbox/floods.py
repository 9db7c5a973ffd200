"""Large answers without large memory: lists and logs that are made while they are sent.

A flooded kind's objects are all like one sample, but for their names and uids. They are listed (whole, as a table, in
pages, by selectors) and read one by one; they are in no watch, no controller looks at them, and they cannot be changed.
"""

from __future__ import annotations

import bisect
import heapq
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import anyio.lowlevel

from .model import Json, timestamp
from .paging import page_key, start_of, token_of
from .resources import Resource
from .selectors import Match
from .status import integer

_NAME, _UID = "flood-@NAME@", "@UID@-0000-4000-8000-000000000000"
_DIGITS = 7
_CHUNK_BYTES = 65536
_BLOCK_LINES = 1000
_LINE_BYTES = 100
_ID = b"@@@@@@@@@"

Show = Callable[[Json], Json]


@dataclass(frozen=True)
class Flood:
    """The objects of a kind that are there without being stored."""

    namespace: str
    count: int
    sample: Json

    @classmethod
    def of(cls, resource: Resource, namespace: str, count: int, like: Json) -> Flood:
        """A flood of objects that are all like one."""
        meta = {**like.get("metadata", {}), "name": _NAME, "uid": _UID, "resourceVersion": "1"}
        meta.setdefault("creationTimestamp", timestamp(time.time()))
        if resource.namespaced:
            meta["namespace"] = namespace
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        return cls(namespace if resource.namespaced else "", count, {**like, **head, "metadata": meta})

    def named(self, index: int) -> Json:
        """One of the objects."""
        made: Json = json.loads(_filled(json.dumps(self.sample), index))
        return made

    def get(self, namespace: str, name: str) -> Json | None:
        """An object by its name."""
        digits = name.removeprefix("flood-")
        known = digits.isdigit() and len(digits) == _DIGITS and int(digits) < self.count
        return self.named(int(digits)) if known and namespace == self.namespace else None

    def key(self, index: int) -> str:
        """What an object is sorted by in a list."""
        return f"{self.namespace}/flood-{index:0{_DIGITS}d}"

    def entries(self, start: str, match: Match | None) -> Iterator[tuple[str, int]]:
        """Sort keys and indexes of the objects from a sort key on."""
        meta = self.sample["metadata"]
        for index in range(bisect.bisect_left(range(self.count), start, key=self.key), self.count):
            key = self.key(index)
            if match is None or match({**self.sample, "metadata": {**meta, "name": key.partition("/")[2]}}):
                yield key, index


def _filled(text: str, index: int) -> str:
    return text.replace("@NAME@", f"{index:0{_DIGITS}d}").replace("@UID@", f"{index:08x}")


@dataclass(frozen=True)
class ListQuery:
    """What of a list is asked for.

    Args:
        head: the list without its items, under `items_name`.
        show: how an object is shown there.
    """

    match: Match | None
    limit: int
    token: str
    head: Json
    items_name: str
    show: Show


def listed(flood: Flood, stored: list[Json], asked: ListQuery) -> AsyncIterator[bytes]:
    """A list of the stored objects and the flooded ones."""
    start = start_of(asked.token)
    kept = ((page_key(obj), obj) for obj in stored if page_key(obj) >= start)
    merged: Iterator[tuple[str, Json | int]] = heapq.merge(kept, flood.entries(start, asked.match), key=lambda e: e[0])
    meta = dict(asked.head["metadata"])
    if asked.limit:
        entries = list(islice(merged, asked.limit))
        if next(merged, None):
            meta["continue"] = token_of(entries[-1][0], meta["resourceVersion"])
            if asked.match is None:
                meta["remainingItemCount"] = 1 + sum(1 for _ in merged)
        merged = iter(entries)
    return _stream({**asked.head, "metadata": meta}, asked, flood, merged)


async def _stream(
    head: Json, asked: ListQuery, flood: Flood, entries: Iterator[tuple[str, Json | int]]
) -> AsyncIterator[bytes]:
    sample = json.dumps(asked.show(flood.sample), separators=(",", ":"))
    text = json.dumps(head, separators=(",", ":"))
    yield f'{text[:-1]},"{asked.items_name}":['.encode()
    parts: list[str] = []
    size, comma = 0, ""
    for _, entry in entries:
        shown = _filled(sample, entry) if isinstance(entry, int) else json.dumps(asked.show(entry))
        parts.append(comma + shown)
        comma = ","
        size += len(shown)
        if size > _CHUNK_BYTES:
            yield "".join(parts).encode()
            parts, size = [], 0
            await anyio.lowlevel.checkpoint()
    yield ("".join(parts) + "]}").encode()


async def log(size_bytes: int, query: Mapping[str, str]) -> AsyncIterator[bytes]:
    """A log of a size, as a log request's query asks for it: lines of 100 bytes, a millisecond apart, the last now."""
    total = size_bytes // _LINE_BYTES
    first = 0
    if "tailLines" in query:
        first = max(total - integer(query["tailLines"]), 0)
    if "sinceSeconds" in query:
        first = max(first, total - integer(query["sinceSeconds"]) * 1000)
    left = integer(query["limitBytes"]) if "limitBytes" in query else None
    began_s = time.time() - total / 1000
    stamped = query.get("timestamps") in ("true", "1")
    index = first
    while index < total and left != 0:
        block = _block(index // _BLOCK_LINES, began_s, stamped=stamped)
        width = len(block) // _BLOCK_LINES
        begin = index % _BLOCK_LINES
        count = min(_BLOCK_LINES - begin, total - index)
        chunk = block[begin * width : (begin + count) * width][:left]
        left = None if left is None else left - len(chunk)
        index += count
        yield chunk
        await anyio.lowlevel.checkpoint()


def _block(number: int, began_s: float, *, stamped: bool) -> bytes:
    """A thousand lines of the log, all of the same second."""
    stamp = timestamp(began_s + number * _BLOCK_LINES / 1000)
    prefix = stamp.replace("Z", ".000000000Z ") if stamped else ""
    high = f"{number:09d}".encode()
    return _template(f"{prefix}{stamp} INFO request id=").replace(_ID, high)


def _template(begin: str) -> bytes:
    lines = [begin.encode() + _ID + f"{at:03d} path=/healthz status=200".encode() for at in range(_BLOCK_LINES)]
    width = _LINE_BYTES - 1 + (len(begin) - len("2026-01-01T00:00:00Z INFO request id="))
    return b"".join(line.ljust(width, b".") + b"\n" for line in lines)
