"""The signals that ask a server to end, as a stream of events."""

import asyncio
import math
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import anyio

__all__ = ["END_SIGNALS", "exit_at_end_signals", "receive"]

# Ctrl-C, the polite request, the terminal that is closed, and Ctrl-Break of Windows.
END_SIGNALS = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if name in signal.Signals.__members__
)

_Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def receive(*numbers: signal.Signals) -> Iterator[AsyncIterator[signal.Signals]]:
    """Get these signals as they come, instead of what they would do. In the main thread, inside the event loop.

    Args:
        numbers: The signals. SIGHUP stays ignored where it is, which is what `nohup` is for.

    Yields:
        The signals as they come.
    """
    wanted = [number for number in numbers if number.name != "SIGHUP" or not _is_ignored(number)]
    loop = asyncio.get_running_loop()
    send, received = anyio.create_memory_object_stream[signal.Signals](math.inf)
    undo: list[Callable[[], object]] = []
    try:
        for number in wanted:
            undo.append(_listen(loop, number, send.send_nowait))
        yield received
    finally:
        for step in undo:
            step()
        send.close()
        received.close()


def exit_at_end_signals() -> None:
    """Have what asks the process to end raise SystemExit, so that what is open is closed; Ctrl-C does so by itself."""
    for number in END_SIGNALS:
        if number is not signal.SIGINT and not _is_ignored(number):
            signal.signal(number, _exit)


def _exit(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def _listen(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, handle: Callable[[signal.Signals], None]
) -> Callable[[], object]:
    before: _Handler = signal.getsignal(number) or signal.SIG_DFL
    try:
        loop.add_signal_handler(number, handle, number)
    except NotImplementedError:  # Windows; there asyncio only wakes up for them
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(handle, number))
        return lambda: signal.signal(number, before)

    def forget() -> None:
        loop.remove_signal_handler(number)
        signal.signal(number, before)

    return forget
