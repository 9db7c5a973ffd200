"""What a person sees of an upstream."""

from collections.abc import Awaitable, Callable

import pytest

from klepaas.errors import KlepaasError, Unavailable
from klepaas.resilience import Policy, State, Upstream
from klepaas.testing.clock import FakeClock

pytestmark = pytest.mark.anyio


def failing(text: str) -> Callable[[], Awaitable[None]]:
    async def operation() -> None:
        raise Unavailable(text)

    return operation


async def works() -> str:
    return "pods"


async def fail(upstream: Upstream, text: str, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(KlepaasError):
            await upstream.call(failing(text), safe=False, what="do it")


async def test_the_last_error_is_one_redacted_line(clock: FakeClock) -> None:
    upstream = Upstream("kubernetes/prod", clock=clock)
    await fail(upstream, "Cannot list pods:\n\x1b[31mpassword=hunter2hunter2 is wrong " + "x" * 100_000)
    last_error = upstream.snapshot().last_error
    assert last_error is not None
    assert len(last_error) <= 200
    assert "hunter2" not in last_error
    assert "\n" not in last_error
    assert "\x1b" not in last_error


async def test_a_good_attempt_forgets_the_last_error(clock: FakeClock) -> None:
    upstream = Upstream("kubernetes/prod", clock=clock)
    await fail(upstream, "no")
    await upstream.call(works, safe=True, what="list pods")
    assert (upstream.snapshot().last_error, upstream.snapshot().failures) == (None, 0)


async def test_it_says_since_when_and_until_when(clock: FakeClock) -> None:
    upstream = Upstream("kubernetes/prod", Policy(), clock=clock)
    clock.advance(100)
    await fail(upstream, "no", 5)
    opened_at = clock.wall()
    clock.advance(12)
    shot = upstream.snapshot()
    assert (shot.state, shot.failures, shot.retry_in_s, shot.since_s) == (State.OPEN, 5, 18.0, opened_at)
