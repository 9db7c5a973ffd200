"""Several calls at once: the one place of the product that starts tasks which ask upstreams.

An error of one arrives as itself, never inside an exception group, and no task outlives the call. A call that was
refused before anything was sent says nothing about the others: it cancels none of them. Otherwise the refusal of a
sibling would cancel the one call that tries an upstream again, and its breaker would never close.
"""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import anyio

from klepaas.errors import CircuitOpen, KlepaasError
from klepaas.resilience.errors import Overloaded

__all__ = ["gather"]

_REFUSALS = (CircuitOpen, Overloaded)


async def gather(*calls: Callable[[], Awaitable[Any]], at_once: int | None = None) -> list[Any]:
    """The results of all calls, in their order.

    Args:
        calls: What to run, each without arguments.
        at_once: How many run at the same time. None: all of them.

    Raises:
        KlepaasError: The first call's that failed; the others are cancelled. Where calls were only refused (an open
            breaker, no free turn), the first refusal, once the others have ended.
    """
    results: list[Any] = [None] * len(calls)
    failures: list[KlepaasError] = []
    refusals: list[KlepaasError] = []
    slots = nullcontext() if at_once is None else anyio.Semaphore(at_once)

    async def run(position: int, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            async with slots:
                results[position] = await call()
        except _REFUSALS as exc:
            refusals.append(exc)
        except KlepaasError as exc:
            failures.append(exc)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for position, call in enumerate(calls):
            group.start_soon(run, position, call)
    for error in (*failures, *refusals):
        raise error
    return results
