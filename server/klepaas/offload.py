"""Work on large texts in a thread, so that every other call of the server goes on while it is done.

Redacting a megabyte takes a second of the processor. In the event loop nothing else would happen in that second: no
other call, no ping, no cancellation. A small text stays in the loop, where it is done before a thread would have begun.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

__all__ = ["LARGE_CHARS", "offload", "size_of"]

T = TypeVar("T")

# What is shorter takes a few milliseconds.
LARGE_CHARS: Final = 64 * 1024
# Such threads share the interpreter with the event loop: each further one makes the loop wait longer for its turn.
_THREADS = 2
_PLAIN = (int, bool, float, type(None), list, tuple)
_limiter: RunVar[anyio.CapacityLimiter] = RunVar("klepaas.offload")


async def offload(work: Callable[[], T], *, size_chars: int) -> T:
    """Do the work: in a thread where there is much of it, else at once.

    At most two such threads run; further work waits for its turn, and can be cancelled while it waits. What has begun
    is not abandoned: its cost is bounded by its size.

    Args:
        work: What to do. It must not use the event loop.
        size_chars: How much text it reads, in characters or bytes; see `size_of`.
    """
    if size_chars < LARGE_CHARS:
        return work()
    return await anyio.to_thread.run_sync(work, limiter=_shared_limiter())


def size_of(value: Any, at_most: int = LARGE_CHARS) -> int:
    """How much text is in data as JSON has it; the count stops where it is enough, so that it costs little.

    Args:
        value: A text, or mappings and lists of such.
        at_most: Where counting stops. Each value counts some characters, too.
    """
    size = 0
    waiting: list[Iterable[Any]] = [(value,)]
    while waiting and size < at_most:
        for part in waiting.pop():
            size += 8
            # What JSON is made of goes by its type: an abstract class takes ten times as long to ask.
            if type(part) is str or isinstance(part, str | bytes):
                size += len(part)
            elif type(part) is dict or (type(part) not in _PLAIN and isinstance(part, Mapping)):
                waiting += [part.keys(), part.values()]
            elif isinstance(part, list | tuple):
                waiting.append(part)
            if size >= at_most:
                break
    return size


def _shared_limiter() -> anyio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_THREADS)
        _limiter.set(limiter)
        return limiter
