"""The terminal that a person sits at: the one that controls this process, whatever its streams lead to."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["ControllingTerminal", "NoTerminal", "open_terminal"]

_POSIX_PATH = "/dev/tty"


class NoTerminal(Exception):
    """Nobody sits at a terminal of this process; the text says why not."""


class ControllingTerminal:
    """A terminal, open.

    Args:
        read: To read lines from.
        write: To write to.
    """

    def __init__(self, read: TextIO, write: TextIO) -> None:
        self._read = read
        self._write = write

    def say(self, text: str) -> None:
        """Write to the terminal.

        Args:
            text: What to write, as it is.
        """
        self._write.write(text)
        self._write.flush()

    def ask(self, question: str) -> str:
        """Ask, and read one line; what was typed before the question does not count.

        Args:
            question: What to write before.
        """
        _forget_what_was_typed(self._read)
        self.say(question)
        return self._read.readline().strip()


@contextmanager
def open_terminal() -> Iterator[ControllingTerminal]:
    """Open the controlling terminal of this process, where its input and output lead to a terminal too.

    Raises:
        NoTerminal: There is none, a stream leads elsewhere, or the process runs in the background.
    """
    for name, stream in (("input", sys.stdin), ("output", sys.stdout)):
        if stream is None or stream.closed or not stream.isatty():
            raise NoTerminal(f"its standard {name} is not a terminal")
    paths = ("CONIN$", "CONOUT$") if sys.platform == "win32" else (_POSIX_PATH, _POSIX_PATH)
    try:
        with open(paths[0], encoding="utf-8", errors="replace") as read:
            _check_foreground(read)
            with open(paths[1], "w", encoding="utf-8", errors="backslashreplace") as write:
                yield ControllingTerminal(read, write)
    except OSError as exc:
        raise NoTerminal(f"it has no controlling terminal ({exc.strerror})") from exc


def _check_foreground(terminal: TextIO) -> None:
    """A job in the background, and one that another session started, is nobody's who sits there."""
    if sys.platform != "win32" and os.tcgetpgrp(terminal.fileno()) != os.getpgrp():
        raise NoTerminal("it runs in the background")


def _forget_what_was_typed(terminal: TextIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        termios.tcflush(terminal.fileno(), termios.TCIFLUSH)
