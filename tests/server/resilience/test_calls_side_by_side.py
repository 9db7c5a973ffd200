"""Calls that are made at the same time: they count once, and one alone tries an upstream again."""

from collections.abc import AsyncIterator

import anyio
import pytest
from tests.server.resilience.scripts import BROKEN, REFUSED, Script, failing, ignore_trouble, open_it, upstream_of

from klepaas.errors import (
    CircuitOpen,
    KlepaasError,
)
from klepaas.resilience import (
    Kind,
    NotSent,
    Policy,
    State,
    Upstream,
)
from klepaas.resilience.observer import Unobserved
from klepaas.testing.clock import FakeClock

pytestmark = pytest.mark.anyio


class Counts(Unobserved):
    """Keeps what it is told of attempts."""

    def __init__(self) -> None:
        self.attempts: list[Kind] = []

    def attempted(self, upstream: str, kind: Kind, latency_s: float) -> None:
        self.attempts.append(kind)


class Probing:
    """Twenty calls at an upstream that is to be tried again; the first of them asks, and ends when a test says so."""

    def __init__(self, clock: FakeClock, upstream: Upstream) -> None:
        self.clock, self.upstream = clock, upstream
        self.runs, self.most, self.running = 0, 0, 0
        self.outcomes: list[object] = []
        self.end = anyio.Event()
        self.trouble: Exception | None = None
        self.scopes = [anyio.CancelScope() for _ in range(20)]

    async def ask(self) -> str:
        self.runs += 1
        self.running += 1
        half_open = self.upstream.snapshot().state is State.HALF_OPEN
        self.most = max(self.most, self.running if half_open else 0)
        try:
            await self.end.wait()
        finally:
            self.running -= 1
        if self.trouble is not None:
            raise self.trouble
        return "alive"

    async def call(self, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                self.outcomes.append(await self.upstream.call(self.ask, safe=False, what="list pods"))
            except KlepaasError as exc:
                self.outcomes.append(exc.code)


@pytest.fixture
async def probing(clock: FakeClock) -> AsyncIterator[Probing]:
    upstream = upstream_of(clock, max_concurrent=32)
    await open_it(upstream)
    clock.advance(30)
    probing = Probing(clock, upstream)
    async with anyio.create_task_group() as group:
        for scope in probing.scopes:
            group.start_soon(probing.call, scope)
        await clock.settle()
        assert (probing.runs, probing.outcomes) == (1, [])
        yield probing
    assert probing.most == 1


async def test_the_siblings_of_a_probe_wait_for_it_and_get_through(probing: Probing) -> None:
    probing.end.set()
    await probing.clock.settle()
    assert probing.outcomes == ["alive"] * 20
    assert probing.upstream.snapshot().state is State.CLOSED


async def test_the_siblings_of_a_probe_that_fails_are_refused_and_nothing_more_is_sent(probing: Probing) -> None:
    probing.trouble = BROKEN
    probing.end.set()
    await probing.clock.settle()
    assert sorted(map(str, probing.outcomes)) == ["circuit_open"] * 19 + ["timeout"]
    assert probing.runs == 1
    assert probing.upstream.snapshot().state is State.OPEN


async def test_one_sibling_takes_the_place_of_a_probe_that_was_cancelled(probing: Probing) -> None:
    for number in range(3):
        probing.scopes[number].cancel()
        await probing.clock.settle()
        assert (probing.runs, probing.running) == (number + 2, 1)
    probing.end.set()
    await probing.clock.settle()
    assert probing.outcomes == ["alive"] * 17


async def test_the_siblings_of_a_probe_that_hangs_wait_no_longer_than_their_limit(probing: Probing) -> None:
    limit_s = probing.upstream.policy.probe_wait_s
    await probing.clock.run(limit_s - 0.1)
    assert probing.outcomes == []
    probing.clock.advance(0.1)
    await probing.clock.settle()
    assert probing.outcomes.count("circuit_open") == 19
    assert probing.runs == 1
    probing.end.set()


async def test_failures_of_calls_at_the_same_time_count_once(clock: FakeClock) -> None:
    upstream, release = upstream_of(clock), anyio.Event()

    async def fails() -> None:
        await release.wait()
        raise BROKEN

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(ignore_trouble, upstream, fails, False)
        await clock.settle()
        release.set()
    assert (upstream.snapshot().failures, upstream.snapshot().state) == (1, State.CLOSED)


async def test_retries_of_calls_at_the_same_time_count_as_those_of_one_call(clock: FakeClock) -> None:
    upstream = upstream_of(clock, retry_burst=100, max_concurrent=8)

    async def fails() -> None:
        await clock.sleep(0.01)
        raise BROKEN

    async with anyio.create_task_group() as group:
        for _ in range(12):
            group.start_soon(ignore_trouble, upstream, fails, True)
        await clock.run(30)
    assert (upstream.snapshot().failures, upstream.snapshot().state) == (3, State.CLOSED)


async def test_a_call_that_the_breaker_refuses_is_no_attempt(clock: FakeClock) -> None:
    counts = Counts()
    upstream = Upstream("kubernetes/prod", Policy(), clock=clock, observer=counts)
    await open_it(upstream)
    before, budget_before = list(counts.attempts), upstream._budget._tokens
    for _ in range(20):
        assert isinstance(await failing(upstream, Script("pods")), CircuitOpen)
    assert counts.attempts == before
    assert upstream._budget._tokens == budget_before
    assert upstream.snapshot().failures == 5


async def test_a_retry_that_the_breaker_refuses_leaves_the_answer_and_the_budget_as_they_were(clock: FakeClock) -> None:
    upstream = upstream_of(clock, wait_min_s=1, retry_ratio=0)
    answers: list[KlepaasError] = []

    async def retries() -> None:
        answers.append(await failing(upstream, Script(REFUSED)))

    async with anyio.create_task_group() as group:
        group.start_soon(retries)
        await clock.settle()
        await open_it(upstream)
        budget = upstream._budget._tokens
        await clock.run(5)
    assert [type(answer) for answer in answers] == [NotSent]
    assert upstream._budget._tokens == budget + 1
