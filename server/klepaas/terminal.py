"""Asks the person at the terminal, for `klepaas call`: a command line is a client that can ask, where somebody sits."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread

from klepaas.output.foreign_text import clean

__all__ = ["asker"]


def asker() -> Callable[..., Awaitable[dict[str, bool]]] | None:
    """What asks. None: nobody sits at a terminal."""
    return _ask if sys.stdin.isatty() and sys.stderr.isatty() else None


async def _ask(message: str, *_: Any) -> dict[str, bool]:
    sys.stderr.write(f"{clean(message)}\nType yes to make this change: ")
    sys.stderr.flush()
    answer = await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    return {"confirm": answer.strip().lower() == "yes"}
