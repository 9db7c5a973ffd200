"""Several reads at once.

The one place that starts tasks for reads, so that an error of one arrives as itself, never inside an exception group,
and none outlives the call.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from klepaas.errors import Forbidden, KlepaasError, NotFound

__all__ = ["if_allowed", "together"]

T = TypeVar("T")


async def together(*calls: Callable[[], Awaitable[Any]]) -> list[Any]:
    """The results of all calls, in their order.

    Raises:
        KlepaasError: The first call's that failed; the others are cancelled.
    """
    results: list[Any] = [None] * len(calls)
    failures: list[KlepaasError] = []

    async def run(position: int, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            results[position] = await call()
        except KlepaasError as exc:
            failures.append(exc)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for position, call in enumerate(calls):
            group.start_soon(run, position, call)
    if failures:
        raise failures[0]
    return results


async def if_allowed(call: Callable[[], Awaitable[T]], otherwise: T) -> T:
    """The call's result, or something else where the credentials or the cluster do not have it."""
    try:
        return await call()
    except (Forbidden, NotFound):
        return otherwise
