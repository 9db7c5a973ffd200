"""What stays open: only its opening is guarded."""

import anyio
import httpx
import pytest

from klepaas.errors import Unavailable
from klepaas.resilience import Policy, State, Upstream
from klepaas.testing.clock import FakeClock

pytestmark = pytest.mark.anyio


class Watch:
    """Something open."""

    def __init__(self) -> None:
        self.closed = 0

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed += 1


async def test_a_watch_outlives_every_limit_and_holds_no_turn(clock: FakeClock) -> None:
    upstream, watch = Upstream("kubernetes/prod", Policy(max_concurrent=1), clock=clock), Watch()

    async def opening() -> Watch:
        return watch

    async def list_pods() -> str:
        return "pods"

    async with upstream.open_stream(opening, what="watch pods") as opened:
        await clock.run(3600)
        assert await upstream.call(list_pods, safe=True, what="list pods") == "pods"
        assert (opened, watch.closed) == (watch, 0)
    assert watch.closed == 1
    assert upstream.snapshot().failures == 0


async def test_trouble_after_the_opening_is_the_callers_and_counts_for_nothing(clock: FakeClock) -> None:
    upstream, watch = Upstream("kubernetes/prod", Policy(fail_max=1), clock=clock), Watch()

    async def opening() -> Watch:
        return watch

    with pytest.raises(httpx.ReadError):
        async with upstream.open_stream(opening, what="watch pods"):
            raise httpx.ReadError("cut")
    assert watch.closed == 1
    assert upstream.snapshot().state is State.CLOSED


async def test_an_opening_is_tried_again_and_counts() -> None:
    clock = FakeClock(hurries=True)
    upstream, runs = Upstream("kubernetes/prod", Policy(), clock=clock), 0

    async def opening() -> Watch:
        nonlocal runs
        runs += 1
        raise httpx.ConnectError("refused")

    with pytest.raises(Unavailable):
        async with upstream.open_stream(opening, what="watch pods"):
            pytest.fail("there is nothing to watch")
    assert (runs, upstream.snapshot().failures) == (3, 3)


async def test_an_opening_that_hangs_is_cut(clock: FakeClock) -> None:
    upstream = Upstream("kubernetes/prod", Policy(attempts=1), clock=clock)

    async def opening() -> Watch:
        await clock.sleep(3600)
        return Watch()

    async def watching() -> None:
        with pytest.raises(Exception, match="gave no answer within 10 s"):
            async with upstream.open_stream(opening, what="watch pods"):
                pytest.fail("there is nothing to watch")

    async with anyio.create_task_group() as group:
        group.start_soon(watching)
        await clock.run(10)
    assert upstream.snapshot().failures == 1


async def test_what_was_opened_and_rejected_is_closed_before_the_next_attempt() -> None:
    clock = FakeClock(hurries=True)
    upstream = Upstream("kubernetes/prod", Policy(), clock=clock)
    opened: list[httpx.Response] = []

    async def opening() -> httpx.Response:
        response = httpx.Response(503 if len(opened) < 2 else 200, stream=httpx.ByteStream(b"busy"))
        assert all(one.is_closed for one in opened)
        opened.append(response)
        return response

    async with upstream.open_stream(opening, what="watch pods") as response:
        assert (response.status_code, response.is_closed) == (200, False)
    assert [one.is_closed for one in opened] == [True, True, True]


async def test_a_cancelled_watch_is_closed_and_counts_for_nothing(clock: FakeClock) -> None:
    upstream, watch = Upstream("kubernetes/prod", Policy(), clock=clock), Watch()

    async def opening() -> Watch:
        return watch

    with anyio.CancelScope() as scope:
        async with upstream.open_stream(opening, what="watch pods"):
            scope.cancel()
            await anyio.sleep_forever()
    assert watch.closed == 1
    assert upstream.snapshot().failures == 0
