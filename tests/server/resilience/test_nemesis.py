"""Hundreds of changes over a network that breaks at random: what the caller is told is what happened."""

import random

import anyio
import httpx
import pytest

from klepaas.errors import KlepaasError
from klepaas.resilience import OutcomeUnknown, Policy, Upstream
from klepaas.testing import scale_timeout
from klepaas.testing.clock import FakeClock
from klepaas.testing.fault_proxy import (
    Answer,
    Cut,
    DelayedSuccess,
    Fault,
    FaultProxy,
    HalfOpen,
    Origin,
    Reset,
    WrongLength,
)

pytestmark = pytest.mark.anyio

CALLS = 400
SEEDS = (1, 2, 3)
FAULTS: tuple[Fault | None, ...] = (
    None,
    None,
    None,
    Cut(),
    Cut(95),
    Reset(),
    Reset(95),
    WrongLength(),
    HalfOpen(),
    DelayedSuccess(),
    Answer(429),
    Answer(429, {"Retry-After": "1"}),
    Answer(429, {"Retry-After": "90"}),
    Answer(502),
    Answer(503),
    Answer(404),
)


class RandomFaults:
    """Another fault for each request."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.met = 0

    def __get__(self, proxy: FaultProxy | None, _: object = None) -> Fault | None:
        self.met += 1
        return self._chance.choice(FAULTS)

    def __set__(self, proxy: FaultProxy, fault: Fault | None) -> None:
        pass


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_change_is_made_twice_and_no_answer_lies(origin: Origin, seed: int) -> None:
    chance = random.Random(seed)
    clock = FakeClock(hurries=True)
    broken = type("BrokenProxy", (FaultProxy,), {"fault": RandomFaults(chance)})
    told: dict[str, str] = {}

    async def time_runs_out(proxy: FaultProxy) -> None:
        while True:
            await proxy.caught.wait()
            proxy.caught.clear()
            clock.advance(10)

    async with broken(origin.port) as proxy, httpx.AsyncClient(base_url=proxy.url, trust_env=False) as client:
        upstream = Upstream("sandbox", Policy(fail_max=8), clock=clock)
        async with anyio.create_task_group() as group:
            group.start_soon(time_runs_out, proxy)
            for number in range(CALLS):
                told[f"/{number}"] = await _change(client, upstream, proxy, f"/{number}", chance)
                clock.advance(chance.choice((0, 0, 0, 5, 40)))
            group.cancel_scope.cancel()

    made = [path for _, path in origin.requests]
    assert len(made) == len(set(made))
    may_be = {"ok": {1}, "unknown": {0, 1}, "not made": {0}}
    lies = {path: word for path, word in told.items() if made.count(path) not in may_be[word]}
    assert not lies
    assert {"ok", "unknown", "not made"} == set(told.values())


async def _change(
    client: httpx.AsyncClient, upstream: Upstream, proxy: FaultProxy, path: str, chance: random.Random
) -> str:
    """Make a change; what the caller is told about it."""
    down = chance.random() < 0.05
    if down:
        await proxy.stop()
    try:
        with anyio.fail_after(scale_timeout(10)):
            response = await upstream.call(lambda: client.post(path), safe=False, what="change it")
        return "ok" if response.is_success else "not made"
    except OutcomeUnknown:
        return "unknown"
    except KlepaasError:
        return "not made"
    finally:
        if down:
            await proxy.start()
