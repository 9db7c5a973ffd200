"""Reading a log as it comes: filtered, within limits of bytes, lines and time, never whole in memory.

The limits are sent to the cluster too, and kept here against one that does not heed them.
"""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import anyio

from klepaas_plugins.kubernetes.client import Cluster, LogRange
from klepaas_plugins.kubernetes.loglines import AtLeast, Grep, Level

__all__ = ["Filter", "Line", "Read", "read_log"]

LINE_MAX_BYTES = 8 * 1024
SEARCHED_LINES = 20_000
_STAMP_CHARS = 40


@dataclass(frozen=True)
class Filter:
    """Which lines are wanted.

    Attributes:
        last: How many, at most; the last ones.
        grep: Only lines that hold this. None: all.
        level: Only lines at least this bad. None: all.
        context_lines: How many lines around each one found.
    """

    last: int
    grep: Grep | None = None
    level: Level | None = None
    context_lines: int = 0

    @property
    def selects(self) -> bool:
        """Whether lines are left out other than by their number."""
        return self.grep is not None or self.level is not None


@dataclass(frozen=True)
class Line:
    """A line that is wanted.

    Attributes:
        number: Its place in what was read.
        stamp: When it was written, as the cluster says. Empty: not asked for.
        text: What it says.
    """

    number: int
    stamp: str
    text: str


@dataclass
class Read:
    """What was read.

    Attributes:
        lines: The wanted lines, oldest first.
        count: How many lines were read.
        found: How many were found, not counting those around them.
        size_bytes: How many bytes were read.
        cut: Why the end is missing. Empty: it is not.
    """

    lines: deque[Line] = field(default_factory=deque)
    count: int = 0
    found: int = 0
    size_bytes: int = 0
    cut: str = ""


async def read_log(cluster: Cluster, pod: str, namespace: str, wanted: LogRange, lines: Filter, limit_s: float) -> Read:
    """Read a container's log.

    Where there are more bytes than the limit the end would be missing, which matters most: then it is read again with
    fewer lines.

    Args:
        cluster: The cluster.
        pod: The pod.
        namespace: Its namespace.
        wanted: Which part of the log; its limit in bytes holds here too.
        lines: Which lines of it.
        limit_s: Longest time, in seconds; what came until then is answered.

    Raises:
        KlepaasError: It cannot be read at all.
    """
    tail = SEARCHED_LINES if lines.selects else lines.last
    wanted = replace(wanted, tail_lines=tail)
    deadline_s = anyio.current_time() + limit_s
    found = await _read_once(cluster, pod, namespace, wanted, lines, limit_s / 2)
    fewer = int(found.count * 0.8)
    if found.cut == "bytes" and 0 < fewer < tail:
        rest_s = deadline_s - anyio.current_time()
        again = await _read_once(cluster, pod, namespace, replace(wanted, tail_lines=fewer), lines, rest_s)
        return again if not again.cut else found
    return found


async def _read_once(
    cluster: Cluster, pod: str, namespace: str, wanted: LogRange, lines: Filter, limit_s: float
) -> Read:
    reader = _Reader(lines, stamped=wanted.timestamps)
    result = reader.result
    with anyio.move_on_after(limit_s) as limit:
        async with cluster.log_stream(pod, namespace, wanted) as chunks:
            async for line in _split(chunks, result, wanted.limit_bytes):
                reader.take(line)
    if limit.cancelled_caught:
        result.cut = "time"
    return result


async def _split(chunks: AsyncIterator[bytes], result: Read, limit_bytes: int) -> AsyncIterator[bytes]:
    """The lines in the chunks; of a line that is too long the beginning."""
    rest, dropped = b"", 0
    async for chunk in chunks:
        result.size_bytes += len(chunk)
        *whole, tail = chunk.split(b"\n")
        for part in whole:
            yield _cut(rest + part, dropped)
            rest, dropped = b"", 0
        room = max(0, LINE_MAX_BYTES - len(rest))
        rest, dropped = rest + tail[:room], dropped + max(0, len(tail) - room)
        if result.size_bytes >= limit_bytes:
            result.cut = "bytes"
            break
        # A fast server must not keep every other call waiting.
        await anyio.lowlevel.checkpoint()
    if rest:
        yield _cut(rest, dropped)


def _cut(line: bytes, dropped: int) -> bytes:
    dropped += max(0, len(line) - LINE_MAX_BYTES)
    return line[:LINE_MAX_BYTES] + f"[+{dropped} bytes]".encode() if dropped else line


class _Reader:
    """Keeps the lines that are wanted, and forgets the others."""

    def __init__(self, wanted: Filter, *, stamped: bool) -> None:
        self.result = Read()
        self._wanted = wanted
        self._stamped = stamped
        self._level = AtLeast(wanted.level) if wanted.level else None
        self._before: deque[Line] = deque(maxlen=wanted.context_lines)
        self._after = 0
        around = 2 * wanted.context_lines + 1 if wanted.selects else 1
        self.result.lines = deque(maxlen=wanted.last * around)

    def take(self, data: bytes) -> None:
        result = self.result
        text = data.decode("utf-8", "replace").rstrip("\r")
        stamp = ""
        if self._stamped:
            stamp, _, text = text.partition(" ") if " " in text[:_STAMP_CHARS] else (text, "", "")
        line = Line(result.count, stamp, text)
        result.count += 1
        if self._matches(text):
            result.found += 1
            result.lines.extend(self._before)
            self._before.clear()
            result.lines.append(line)
            self._after = self._wanted.context_lines
        elif self._after:
            self._after -= 1
            result.lines.append(line)
        else:
            self._before.append(line)

    def _matches(self, text: str) -> bool:
        # The level goes first: it must see every line to know where a stack trace ends.
        bad_enough = self._level is None or self._level.matches(text)
        return bad_enough and (self._wanted.grep is None or self._wanted.grep.matches(text))
