"""Several reads at once, and reads whose absence is no error."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from klepaas.errors import Forbidden, NotFound
from klepaas.resilience import gather as together

__all__ = ["if_allowed", "together"]

T = TypeVar("T")


async def if_allowed(call: Callable[[], Awaitable[T]], otherwise: T) -> T:
    """The call's result, or something else where the credentials or the cluster do not have it."""
    try:
        return await call()
    except (Forbidden, NotFound):
        return otherwise
