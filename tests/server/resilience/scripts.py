"""Operations that do what a test says, and an upstream that is called with them."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from klepaas.errors import (
    KlepaasError,
)
from klepaas.resilience import (
    Policy,
    State,
    Upstream,
)
from klepaas.testing.clock import FakeClock

__all__ = ["BROKEN", "REFUSED", "Script", "failing", "hang", "ignore_trouble", "open_it", "upstream_of"]

BROKEN = httpx.ReadError("broken")
REFUSED = httpx.ConnectError("refused")


class Script:
    """An operation that does what the next line says, the last line for ever: raise it, or return it."""

    def __init__(self, *lines: object) -> None:
        self.lines = list(lines)
        self.runs = 0

    async def __call__(self) -> object:
        self.runs += 1
        line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        if isinstance(line, Exception):
            raise line
        return line


def upstream_of(clock: FakeClock, **limits: float) -> Upstream:
    return Upstream("kubernetes/prod", Policy(**limits), clock=clock)  # type: ignore[arg-type]


async def failing(upstream: Upstream, operation: Callable[[], Awaitable[object]], safe: bool = True) -> KlepaasError:
    with pytest.raises(KlepaasError) as caught:
        await upstream.call(operation, safe=safe, what="do it", verify="Read it")
    return caught.value


async def open_it(upstream: Upstream) -> None:
    for _ in range(upstream.policy.fail_max):
        await failing(upstream, Script(BROKEN), safe=False)
    assert upstream.snapshot().state is State.OPEN


async def ignore_trouble(upstream: Upstream, operation: Callable[[], Awaitable[object]], safe: bool) -> None:
    await failing(upstream, operation, safe)


def hang(clock: FakeClock) -> Callable[[], Awaitable[None]]:
    async def hangs() -> None:
        await clock.sleep(3600)

    return hangs
