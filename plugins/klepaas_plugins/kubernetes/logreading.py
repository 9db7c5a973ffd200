"""Reading a log as it comes, within limits of bytes, lines and time; redacted first, then selected from.

The limits are sent to the cluster too, and kept here against one that does not heed them. Some lines above the wanted
ones are read as well: they say what the first of these belong to, as the last lines of a key do not say themselves.
Which lines match is judged by what may be shown of them, so that no pattern can try guesses on what may not.
"""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import anyio

from klepaas.offload import offload
from klepaas.output.multiline import CONTEXT_LINES
from klepaas.output.safe import SafeText, redactable, safe_text, without_blocks
from klepaas_plugins.kubernetes.client import Cluster, LogRange
from klepaas_plugins.kubernetes.loglines import AtLeast, Grep, Level, may_be_bad

__all__ = ["Filter", "Line", "Read", "read_log", "select_lines"]

LINE_MAX_BYTES = 8 * 1024
SEARCHED_LINES = 20_000
# Of lines that seem to match no more than this is redacted, from the newest on: a second's work.
JUDGED_MAX_CHARS = 2_000_000
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
        text: What it says, without secrets.
    """

    number: int
    stamp: str
    text: SafeText


@dataclass
class Read:
    """What was read.

    Attributes:
        lines: The wanted lines, oldest first.
        count: How many lines were searched.
        found: How many were found, not counting those around them.
        size_bytes: How many bytes were read.
        cut: Why the end is missing. Empty: it is not.
    """

    lines: Sequence[Line] = ()
    count: int = 0
    found: int = 0
    size_bytes: int = 0
    cut: str = ""


@dataclass
class _Raw:
    """Lines as the cluster sent them, the newest of them."""

    lines: deque[bytes]
    count: int = 0
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
    wanted = replace(wanted, tail_lines=tail + CONTEXT_LINES)
    deadline_s = anyio.current_time() + limit_s
    found = await _read_once(cluster, pod, namespace, wanted, limit_s / 2)
    fewer = int(found.count * 0.8)
    if found.cut == "bytes" and 0 < fewer < tail + CONTEXT_LINES:
        rest_s = deadline_s - anyio.current_time()
        again = await _read_once(cluster, pod, namespace, replace(wanted, tail_lines=fewer), rest_s)
        found = again if not again.cut else found
    is_part = wanted.since_s is not None or wanted.since_time is not None
    chosen = partial(select_lines, list(found.lines), lines, tail, stamped=wanted.timestamps, is_part=is_part)
    # Redacting takes a second for two megabytes, in which nobody else would be answered.
    result = await offload(chosen, size_chars=found.size_bytes)
    return replace(result, size_bytes=found.size_bytes, cut=found.cut)


async def _read_once(cluster: Cluster, pod: str, namespace: str, wanted: LogRange, limit_s: float) -> _Raw:
    result = _Raw(deque(maxlen=wanted.tail_lines))
    with anyio.move_on_after(limit_s) as limit:
        async with cluster.log_stream(pod, namespace, wanted) as chunks:
            async for line in _split(chunks, result, wanted.limit_bytes):
                result.lines.append(line)
                result.count += 1
    if limit.cancelled_caught:
        result.cut = "time"
    return result


async def _split(chunks: AsyncIterator[bytes], result: _Raw, limit_bytes: int) -> AsyncIterator[bytes]:
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
    """A line of bounded length, cut between words: half a secret would not be recognized."""
    dropped += max(0, len(line) - LINE_MAX_BYTES)
    if not dropped:
        return line
    head = line[:LINE_MAX_BYTES].decode("utf-8", "ignore")
    kept = redactable(head, len(head) - 1).encode()
    return kept + f"[+{dropped + min(len(line), LINE_MAX_BYTES) - len(kept)} bytes]".encode()


def select_lines(raw: Sequence[bytes], wanted: Filter, tail: int, *, stamped: bool, is_part: bool) -> Read:
    """The wanted lines, redacted first and selected then.

    Args:
        raw: Lines that followed one another; those above the last `tail` tell what these belong to.
        wanted: Which lines are wanted.
        tail: Among how many of the last lines.
        stamped: Whether each begins with the time that the cluster gave it.
        is_part: Whether lines above the first were left out, so that it may go on with something.
    """
    stamps, texts = _without_stamps(raw) if stamped else ([""] * len(raw), [_text(line) for line in raw])
    masked = without_blocks(texts, is_part=is_part)
    first = max(0, len(masked) - tail)
    selection = _Selection(wanted, stamps, masked)
    return selection.take(range(selection.earliest(first), len(masked)))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def _without_stamps(raw: Sequence[bytes]) -> tuple[list[str], list[str]]:
    """The times that the cluster wrote before the lines, and the lines."""
    stamps, texts = [], []
    for line in raw:
        stamp, blank, text = _text(line).partition(" ")
        is_stamp = len(stamp) <= _STAMP_CHARS
        stamps.append(stamp if is_stamp else "")
        texts.append(text if is_stamp else stamp + blank + text)
    return stamps, texts


class _Selection:
    """Goes through the lines, and redacts those of which that may change the answer.

    Args:
        wanted: Which lines are wanted.
        stamps: When each was written.
        texts: The lines, without the secrets that span lines.
    """

    def __init__(self, wanted: Filter, stamps: Sequence[str], texts: Sequence[str]) -> None:
        self._wanted = wanted
        self._stamps = stamps
        self._texts = texts
        self._level = AtLeast(wanted.level) if wanted.level else None
        self._safe: dict[int, SafeText] = {}

    def earliest(self, first: int) -> int:
        """From which line on there is time to judge all that may match."""
        left_chars = JUDGED_MAX_CHARS if self._wanted.selects else float("inf")
        for number in range(len(self._texts) - 1, first - 1, -1):
            left_chars -= len(self._texts[number]) if self._may_match(number) else 0
            if left_chars < 0:
                return number + 1
        return first

    def take(self, numbers: range) -> Read:
        """The wanted ones of these lines."""
        around = self._wanted.context_lines if self._wanted.selects else 0
        kept: deque[int] = deque(maxlen=self._wanted.last * (2 * around + 1))
        found, after, free = 0, 0, numbers.start
        for number in numbers:
            if self._matches(number):
                found, after = found + 1, around
                kept.extend(range(max(free, number - around), number + 1))
            elif after:
                after -= 1
                kept.append(number)
            else:
                continue
            free = number + 1
        lines = [Line(number, self._stamps[number], self._shown(number)) for number in kept]
        return Read(lines, len(numbers), found)

    def _shown(self, number: int) -> SafeText:
        if number not in self._safe:
            self._safe[number] = safe_text(self._texts[number])
        return self._safe[number]

    def _may_match(self, number: int) -> bool:
        """Whether a line can match once it is redacted: redaction only takes away, and marks match nothing."""
        grep, text = self._wanted.grep, self._texts[number]
        return grep.may_match(text) if grep is not None else may_be_bad(text)

    def _matches(self, number: int) -> bool:
        grep = self._wanted.grep
        # The level goes first: it must see every line to know where a stack trace ends.
        if self._level is not None and not self._is_bad_enough(self._level, number):
            return False
        return grep is None or (grep.may_match(self._texts[number]) and grep.matches(self._shown(number)))

    def _is_bad_enough(self, level: AtLeast, number: int) -> bool:
        return (level.is_inside or may_be_bad(self._texts[number])) and level.matches(self._shown(number))
