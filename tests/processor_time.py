"""The time of the processor that a function takes, of which ratios can be asserted on a busy machine."""

import gc
import time
from collections.abc import Callable


def least_processor_s(run: Callable[[], object], *, runs: int = 3) -> float:
    """The least time of this thread's processor that a few runs take, in seconds.

    Another thread's work is not counted, and no run pays for the collection of what other tests left behind.

    Args:
        run: What is measured.
        runs: How often it is run; a neighbour on the machine slows one run down, seldom all.
    """
    return min(_processor_s(run) for _ in range(runs))


def _processor_s(run: Callable[[], object]) -> float:
    collects = gc.isenabled()
    gc.disable()
    begun_s = time.thread_time()
    try:
        run()
        return time.thread_time() - begun_s
    finally:
        if collects:
            gc.enable()
