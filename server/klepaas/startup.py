"""How the interpreter is set while a process starts."""

import gc

__all__ = ["collect_garbage_as_usual", "collect_garbage_rarely"]

# The interpreter's own thresholds look for garbage after every 700 new objects. A start creates some 500,000 that all
# stay, and looking through them cost 130 ms.
_AS_USUAL = gc.get_threshold()
_RARELY = (50_000, 20, 20)


def collect_garbage_rarely() -> None:
    """For the start: what it creates stays."""
    gc.set_threshold(*_RARELY)


def collect_garbage_as_usual() -> None:
    """For the time after the start, without looking through what the start created ever again."""
    gc.freeze()
    gc.set_threshold(*_AS_USUAL)
