"""The pipeline over real sockets that break: what is sent, how often, and what the caller is told."""

import time

import anyio
import httpx
import pytest

from klepaas.errors import CircuitOpen, KlepaasError, RateLimited, Unavailable
from klepaas.resilience import NotSent, OutcomeUnknown, Policy, State, Upstream, gather
from klepaas.testing import scale_timeout, time_budget
from klepaas.testing.clock import FakeClock
from klepaas.testing.fault_proxy import (
    Answer,
    Cut,
    DelayedSuccess,
    Fault,
    FaultProxy,
    HalfOpen,
    Latency,
    Origin,
    Reset,
    WrongLength,
)

pytestmark = pytest.mark.anyio

# Less than the head, in the middle of the body.
IN_THE_HEAD, IN_THE_BODY = 10, 95
LIMITED = Answer(429, {"Retry-After": "2"})
LIMITED_UNTIL = Answer(429, {"Retry-After": "Fri, 15 Jan 2027 08:00:02 GMT"})
LIMITED_SOMEHOW = Answer(429)
BUSY = Answer(503)

BROKEN: dict[str, Fault] = {
    "cut before the answer": Cut(),
    "cut in the head": Cut(IN_THE_HEAD),
    "cut in the body": Cut(IN_THE_BODY),
    "reset before the answer": Reset(),
    "reset in the head": Reset(IN_THE_HEAD),
    "reset in the body": Reset(IN_THE_BODY),
    "too long a length": WrongLength(100),
    "503": BUSY,
    "502": Answer(502),
}
HANGING: dict[str, Fault] = {
    "half-open socket": HalfOpen(),
    "delayed success": DelayedSuccess(),
    "latency": Latency(3600),
}
LIMITING: dict[str, Fault] = {"seconds": LIMITED, "date": LIMITED_UNTIL, "nothing": LIMITED_SOMEHOW}


@pytest.fixture
def clock() -> FakeClock:
    """Waits take no time; the sockets are real."""
    return FakeClock(hurries=True)


class Asking:
    """A client of the proxy behind an upstream's pipeline."""

    def __init__(self, client: httpx.AsyncClient, upstream: Upstream) -> None:
        self._client = client
        self.upstream = upstream

    async def read(self) -> httpx.Response:
        return await self.upstream.call(lambda: self._client.get("/pods"), safe=True, what="list pods")

    async def write(self) -> httpx.Response:
        return await self.upstream.call(
            lambda: self._client.post("/pods", json={}), safe=False, what="make a pod", verify="Read the pod"
        )

    async def failing(self, *, write: bool = False) -> KlepaasError:
        with pytest.raises(KlepaasError) as caught:
            await (self.write() if write else self.read())
        return caught.value


@pytest.fixture
def asking(client: httpx.AsyncClient, clock: FakeClock) -> Asking:
    return Asking(client, Upstream("sandbox", Policy(), clock=clock))


async def turn_when_caught(proxy: FaultProxy, clock: FakeClock, seconds: float, times: int) -> None:
    """Let so many hanging attempts run into their time limit."""
    for _ in range(times):
        with anyio.fail_after(scale_timeout(10)):
            await proxy.caught.wait()
        proxy.caught.clear()
        clock.advance(seconds)


async def test_without_a_fault_everything_passes(asking: Asking, origin: Origin) -> None:
    assert (await asking.read()).json() == {"done": "1"}
    assert (await asking.write()).status_code == 200
    assert origin.requests == [("GET", "/pods"), ("POST", "/pods")]


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
async def test_a_broken_read_is_tried_three_times(asking: Asking, proxy: FaultProxy, fault: Fault) -> None:
    proxy.fault = fault
    assert isinstance(await asking.failing(), Unavailable)
    assert proxy.connections == 3
    proxy.fault = None
    assert (await asking.read()).is_success
    assert asking.upstream.snapshot().failures == 0


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
async def test_a_broken_write_is_not_repeated(asking: Asking, proxy: FaultProxy, origin: Origin, fault: Fault) -> None:
    proxy.fault = fault
    error = await asking.failing(write=True)
    assert isinstance(error, OutcomeUnknown)
    assert error.line.endswith("Read the pod.")
    assert proxy.connections == 1
    assert origin.count("POST") <= 1
    assert asking.upstream.snapshot().failures == 1


@pytest.mark.parametrize("fault", HANGING.values(), ids=HANGING)
async def test_a_hanging_write_is_cut_and_not_repeated(
    asking: Asking, proxy: FaultProxy, origin: Origin, clock: FakeClock, fault: Fault
) -> None:
    proxy.fault = fault
    async with anyio.create_task_group() as group:
        group.start_soon(turn_when_caught, proxy, clock, 10, 1)
        assert isinstance(await asking.failing(write=True), OutcomeUnknown)
    assert proxy.connections == 1
    assert origin.count("POST") == (1 if isinstance(fault, DelayedSuccess) else 0)


@pytest.mark.parametrize("fault", HANGING.values(), ids=HANGING)
async def test_a_hanging_read_ends_at_the_deadline_and_every_attempt_counts(
    asking: Asking, proxy: FaultProxy, clock: FakeClock, fault: Fault
) -> None:
    proxy.fault = fault
    started_at = clock.monotonic()
    async with anyio.create_task_group() as group:
        group.start_soon(turn_when_caught, proxy, clock, 10, 3)
        error = await asking.failing()
    assert error.code == "timeout"
    # The turns go on in whole attempts; the deadline itself came within the third.
    assert clock.monotonic() - started_at < 31
    assert (proxy.connections, asking.upstream.snapshot().failures) == (3, 3)


@pytest.mark.parametrize("fault", LIMITING.values(), ids=LIMITING)
async def test_a_limited_write_is_made_once_when_the_limit_is_over(
    asking: Asking, proxy: FaultProxy, origin: Origin, clock: FakeClock, fault: Fault
) -> None:
    proxy.fault = fault

    async def lift() -> None:
        while not clock.slept_s:
            await anyio.lowlevel.checkpoint()
        proxy.fault = None

    async with anyio.create_task_group() as group:
        group.start_soon(lift)
        assert (await asking.write()).is_success
    assert clock.slept_s[0] == pytest.approx(1 if fault is LIMITED_SOMEHOW else 2)
    assert (origin.count("POST"), asking.upstream.snapshot().failures) == (1, 0)


async def test_a_limit_that_outlasts_the_call_is_told_at_once(asking: Asking, proxy: FaultProxy) -> None:
    proxy.fault = Answer(429, {"Retry-After": "600"})
    for _ in range(10):
        error = await asking.failing(write=True)
        assert (type(error), error.retry_after_s) == (RateLimited, 600)
    assert proxy.connections == 1
    assert asking.upstream.snapshot().state is State.CLOSED


async def test_a_write_to_a_server_that_is_down_was_not_sent_and_is_tried_again(
    asking: Asking, proxy: FaultProxy, origin: Origin, clock: FakeClock
) -> None:
    await proxy.stop()
    assert isinstance(await asking.failing(write=True), NotSent)
    assert len(clock.slept_s) == 2
    await proxy.start()
    assert (await asking.write()).is_success
    assert origin.count("POST") == 1


async def test_an_outage_from_its_beginning_to_its_end(
    asking: Asking, proxy: FaultProxy, origin: Origin, clock: FakeClock
) -> None:
    proxy.fault = Reset()
    await asking.failing()
    await asking.failing()
    assert (asking.upstream.snapshot().state, proxy.connections) == (State.OPEN, 5)
    for _ in range(50):
        assert isinstance(await asking.failing(write=True), CircuitOpen)
    assert proxy.connections == 5
    proxy.fault = None
    clock.advance(30)
    before = len(origin.requests)
    answers = await gather(*[asking.read] * 20)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(origin.requests) - before == 20


async def test_cancelled_calls_over_a_dead_socket_never_count(asking: Asking, proxy: FaultProxy) -> None:
    proxy.fault = HalfOpen()
    before = asking.upstream.snapshot()

    async def cancel_when_caught(scope: anyio.CancelScope) -> None:
        await proxy.caught.wait()
        scope.cancel()

    for _ in range(12):
        proxy.caught.clear()
        with anyio.fail_after(scale_timeout(10)):
            async with anyio.create_task_group() as group:
                group.start_soon(cancel_when_caught, group.cancel_scope)
                await asking.write()
    assert proxy.connections == 12
    assert asking.upstream.snapshot().failures == 0
    assert asking.upstream.snapshot().state is before.state
    proxy.fault = None
    assert (await asking.write()).is_success


async def test_in_real_time_it_cuts_opens_and_recovers_within_the_reset_and_a_second(
    client: httpx.AsyncClient, proxy: FaultProxy
) -> None:
    limits = Policy(attempt_timeout_s=0.05, total_timeout_s=1, attempts=1, fail_max=2, open_s=0.2)
    asking = Asking(client, Upstream("sandbox", limits))
    proxy.fault = HalfOpen()
    for _ in range(2):
        started = time.monotonic()
        assert (await asking.failing()).code == "timeout"
        assert time.monotonic() - started < time_budget(1, "a limit of 0.05 s would not cut it")
    opened = time.monotonic()
    assert isinstance(await asking.failing(), CircuitOpen)
    proxy.fault = None
    with anyio.fail_after(scale_timeout(5)):
        while asking.upstream.snapshot().state is not State.CLOSED:
            with anyio.move_on_after(0.02):
                await asking.read() if asking.upstream.snapshot().retry_in_s is None else await anyio.sleep(0.01)
    assert 0.2 <= time.monotonic() - opened < 0.2 + time_budget(1, "it would stay open")
