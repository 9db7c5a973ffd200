"""Who reads an answer: a model, for whom every text is short, or a person at a terminal, who asked for all of it.

A command of a terminal sets it for its whole process, before it starts the server that it calls. No call over a
protocol can.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["at_terminal", "is_at_terminal", "patience_s", "room_bytes"]

_TERMINAL_BYTES = 512 * 1024
_TERMINAL_PATIENCE = 20
_at_terminal: ContextVar[bool] = ContextVar("at_terminal", default=False)


@contextmanager
def at_terminal() -> Iterator[None]:
    """Let what runs meanwhile be read by a person at a terminal."""
    token = _at_terminal.set(True)
    try:
        yield
    finally:
        _at_terminal.reset(token)


def is_at_terminal() -> bool:
    """Whether a person at a terminal reads the answer."""
    return _at_terminal.get()


def room_bytes(usual_bytes: int) -> int:
    """How long an answer may be, in bytes.

    Args:
        usual_bytes: For a model.
    """
    return max(usual_bytes, _TERMINAL_BYTES) if is_at_terminal() else usual_bytes


def patience_s(usual_s: float) -> float:
    """How long an answer may take, in seconds: a large set of manifests is hundreds of requests.

    Args:
        usual_s: For a model's call.
    """
    return usual_s * _TERMINAL_PATIENCE if is_at_terminal() else usual_s
