"""The pipeline, seen by a caller: what is retried, what is never repeated, and which error comes back."""

import time
from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest
from tests.server.resilience.scripts import BROKEN, REFUSED, Script, failing, hang, ignore_trouble, open_it, upstream_of

from klepaas.errors import (
    CircuitOpen,
    Conflict,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from klepaas.resilience import (
    Kind,
    NotSent,
    Observation,
    OutcomeUnknown,
    Overloaded,
    Policy,
    State,
    Upstream,
    Verdict,
    classify,
)
from klepaas.testing import time_budget
from klepaas.testing.clock import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def hurried() -> FakeClock:
    return FakeClock(hurries=True)


async def test_a_good_answer_comes_back_at_once(hurried: FakeClock) -> None:
    operation = Script("pods")
    assert await upstream_of(hurried).call(operation, safe=True, what="list pods") == "pods"
    assert (operation.runs, hurried.slept_s) == (1, [])


@pytest.mark.parametrize("trouble", [BROKEN, REFUSED, httpx.ReadTimeout("x"), TimedOut("x"), httpx.Response(503)])
async def test_a_read_is_tried_three_times(hurried: FakeClock, trouble: object) -> None:
    operation = Script(trouble, trouble, "pods")
    assert await upstream_of(hurried).call(operation, safe=True, what="list pods") == "pods"
    assert operation.runs == 3
    assert 0.1 <= hurried.slept_s[0] <= 0.2
    assert 0.1 <= hurried.slept_s[1] <= 0.4


async def test_after_the_third_attempt_the_error_is_ours_and_names_the_cause(hurried: FakeClock) -> None:
    operation = Script(BROKEN)
    error = await failing(upstream_of(hurried), operation)
    assert type(error) is Unavailable
    assert error.line == "Cannot do it: kubernetes/prod broke off the connection."
    assert error.__cause__ is BROKEN
    assert operation.runs == 3


@pytest.mark.parametrize(
    "trouble",
    [
        BROKEN,
        httpx.ReadTimeout("x"),
        httpx.RemoteProtocolError("x"),
        Unavailable("x"),
        TimedOut("x"),
        TypeError("ours"),
        httpx.Response(500),
        httpx.Response(502),
        httpx.Response(503, headers={"Retry-After": "1"}),
        httpx.Response(504),
    ],
)
async def test_a_write_in_doubt_is_never_repeated(hurried: FakeClock, trouble: object) -> None:
    operation = Script(trouble)
    error = await failing(upstream_of(hurried), operation, safe=False)
    assert isinstance(error, OutcomeUnknown)
    assert not error.structured()["retryable"]
    assert error.line.endswith("Read it.")
    assert "not known" in error.line
    assert operation.runs == 1


async def test_a_write_that_hangs_is_never_repeated(hurried: FakeClock) -> None:
    runs = 0

    async def hangs() -> None:
        nonlocal runs
        runs += 1
        await hurried.sleep(3600)

    error = await failing(upstream_of(hurried), hangs, safe=False)
    assert isinstance(error, OutcomeUnknown)
    assert "gave no answer within 10 s" in error.line
    assert runs == 1


@pytest.mark.parametrize(
    "trouble",
    [REFUSED, httpx.ConnectTimeout("x"), NotSent("x"), ConnectionRefusedError(), RateLimited("x"), httpx.Response(429)],
)
async def test_a_write_that_was_certainly_not_made_is_repeated(hurried: FakeClock, trouble: object) -> None:
    operation = Script(trouble, "done")
    assert await upstream_of(hurried).call(operation, safe=False, what="apply") == "done"
    assert operation.runs == 2


async def test_a_write_is_in_doubt_even_when_only_the_second_attempt_was_sent(hurried: FakeClock) -> None:
    operation = Script(REFUSED, BROKEN, "done")
    assert isinstance(await failing(upstream_of(hurried), operation, safe=False), OutcomeUnknown)
    assert operation.runs == 2


async def test_an_operations_own_word_on_a_change_in_doubt_is_kept(hurried: FakeClock) -> None:
    own = OutcomeUnknown("It is not known whether web was scaled")
    assert await failing(upstream_of(hurried), Script(own), safe=False) is own


@pytest.mark.parametrize("safe", [True, False])
async def test_a_callers_mistake_passes_untouched_and_never_opens_the_breaker(hurried: FakeClock, safe: bool) -> None:
    upstream = upstream_of(hurried)
    response, error = httpx.Response(404), Conflict("somebody else owns it")
    for _ in range(20):
        assert await upstream.call(Script(response), safe=safe, what="x") is response
        assert await failing(upstream, Script(error), safe=safe) is error
    assert (upstream.snapshot().state, upstream.snapshot().failures) == (State.CLOSED, 0)


async def test_a_callers_mistake_that_a_library_raises_becomes_our_error(hurried: FakeClock) -> None:
    request = httpx.Request("GET", "http://127.0.0.1/?token=hunter2hunter2")
    raised = httpx.HTTPStatusError("no", request=request, response=httpx.Response(404, request=request))
    error = await failing(upstream_of(hurried), Script(raised))
    assert isinstance(error, NotFound)
    assert error.line == "Cannot do it: kubernetes/prod answered 404."


async def test_refused_credentials_are_an_error_and_not_an_outage(hurried: FakeClock) -> None:
    upstream, operation = upstream_of(hurried), Script(httpx.Response(401))
    for _ in range(20):
        assert isinstance(await failing(upstream, operation), Unauthorized)
    assert operation.runs == 20
    assert upstream.snapshot().state is State.CLOSED


async def test_a_defect_of_ours_is_not_hidden_and_not_retried(hurried: FakeClock) -> None:
    operation = Script(KeyError("metadata"))
    with pytest.raises(KeyError):
        await upstream_of(hurried).call(operation, safe=True, what="list pods")
    assert operation.runs == 1


async def test_the_only_error_of_a_task_group_is_taken_out(hurried: FakeClock) -> None:
    error = NotFound("there is no pod web")
    group = ExceptionGroup("x", [ExceptionGroup("y", [error])])
    assert await failing(upstream_of(hurried), Script(group)) is error


async def test_an_open_breaker_answers_under_five_milliseconds_and_makes_no_call(clock: FakeClock) -> None:
    upstream, operation = upstream_of(clock), Script("pods")
    await open_it(upstream)
    took_s = []
    for _ in range(200):
        started = time.perf_counter()
        error = await failing(upstream, operation)
        took_s.append(time.perf_counter() - started)
        assert isinstance(error, CircuitOpen)
    assert operation.runs == 0
    assert sorted(took_s)[int(0.95 * len(took_s))] < time_budget(0.005, "an open breaker would do what it keeps away")
    assert error.retry_after_s == 30
    assert "nothing was sent" in error.line


async def test_an_open_breaker_refuses_at_once_while_every_turn_is_taken(clock: FakeClock) -> None:
    upstream = upstream_of(clock, max_concurrent=2)
    async with anyio.create_task_group() as group:
        group.start_soon(ignore_trouble, upstream, hang(clock), False)
        await clock.settle()
        await open_it(upstream)
        upstream._slots.acquire_nowait()
        started_at = clock.monotonic()
        assert isinstance(await failing(upstream, Script("pods")), CircuitOpen)
        assert clock.monotonic() == started_at
        await clock.run(10)


async def test_it_recovers_within_a_second_of_the_reset(clock: FakeClock) -> None:
    upstream = upstream_of(clock)
    await open_it(upstream)
    clock.advance(29.9)
    assert isinstance(await failing(upstream, Script("pods")), CircuitOpen)
    clock.advance(0.1)
    assert await upstream.call(Script("pods"), safe=True, what="list pods") == "pods"
    assert await upstream.call(Script("pods"), safe=True, what="list pods") == "pods"


async def test_a_callers_cancellation_counts_for_nothing(clock: FakeClock) -> None:
    upstream = upstream_of(clock)
    before = upstream.snapshot()
    for _ in range(50):
        await _cancelled(upstream, clock)
    assert upstream.snapshot() == before


async def test_a_cancelled_try_leaves_the_place_to_the_next(clock: FakeClock) -> None:
    upstream = upstream_of(clock)
    await open_it(upstream)
    clock.advance(30)
    for _ in range(3):
        await _cancelled(upstream, clock)
        assert upstream.snapshot().state is State.HALF_OPEN
    assert await upstream.call(Script("pods"), safe=True, what="list pods") == "pods"
    assert upstream.snapshot().state is State.CLOSED


async def test_a_cancellation_passes_through_while_a_retry_waits(clock: FakeClock) -> None:
    upstream, operation = upstream_of(clock, wait_min_s=1), Script(BROKEN)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(_call, upstream, operation)
            await clock.settle()
            scope.cancel()
    assert scope.cancelled_caught
    assert operation.runs == 1


async def test_an_attempt_that_our_deadline_cuts_counts_as_a_timeout(clock: FakeClock) -> None:
    upstream = upstream_of(clock, total_timeout_s=25, attempt_timeout_s=10)
    async with anyio.create_task_group() as group:
        group.start_soon(ignore_trouble, upstream, hang(clock), True)
        await clock.run(25)
    assert upstream.snapshot().failures == 3
    assert clock.monotonic() == 1025


async def test_an_operation_that_makes_an_error_of_our_cancellation_timed_out(clock: FakeClock) -> None:
    async def bad_loser() -> None:
        try:
            await clock.sleep(3600)
        except BaseException as exc:
            raise NotFound("closed while waiting") from exc

    upstream = upstream_of(clock, attempts=1)
    async with anyio.create_task_group() as group:
        group.start_soon(ignore_trouble, upstream, bad_loser, True)
        await clock.run(10)
    assert upstream.snapshot().failures == 1


async def test_a_retry_ends_when_the_breaker_opens_and_tells_the_real_trouble(hurried: FakeClock) -> None:
    upstream, operation = upstream_of(hurried, fail_max=2), Script(REFUSED)
    error = await failing(upstream, operation)
    assert (type(error), operation.runs) == (NotSent, 2)
    assert isinstance(await failing(upstream, operation), CircuitOpen)


async def test_two_bad_reads_open_it_by_default(hurried: FakeClock) -> None:
    upstream, operation = upstream_of(hurried), Script(BROKEN)
    await failing(upstream, operation)
    await failing(upstream, operation)
    assert (upstream.snapshot().state, operation.runs) == (State.OPEN, 5)


@pytest.mark.parametrize("verdict", [None, "crash"])
@pytest.mark.parametrize("outcome", ["fine", BROKEN])
async def test_a_classifier_that_fails_lets_nothing_through(
    hurried: FakeClock, outcome: object, verdict: str | None
) -> None:
    def broken(_: Observation) -> Verdict:
        if verdict == "crash":
            raise KeyError("isError")
        return verdict  # type: ignore[return-value]

    upstream = Upstream("slack", Policy(fail_max=2), broken, hurried)
    assert isinstance(await failing(upstream, Script(outcome)), Unavailable)
    assert isinstance(await failing(upstream, Script(outcome), safe=False), OutcomeUnknown)
    assert upstream.snapshot().state is State.OPEN


async def test_a_failure_inside_a_good_result_is_found_by_the_upstreams_own_classifier(hurried: FakeClock) -> None:
    def reads_ok(seen: Observation) -> Verdict:
        if isinstance(seen.result, dict) and not seen.result["ok"]:
            limited = seen.result["error"] == "ratelimited"
            return Verdict(Kind.RATE_LIMITED if limited else Kind.UNAVAILABLE)
        return classify(seen)

    upstream = Upstream("slack", Policy(), reads_ok, hurried)
    limited, broken = {"ok": False, "error": "ratelimited"}, {"ok": False, "error": "internal_error"}
    assert await upstream.call(Script(limited, {"ok": True}), safe=False, what="notify") == {"ok": True}
    assert isinstance(await failing(upstream, Script(broken), safe=False), OutcomeUnknown)


async def test_a_rate_limit_is_shared_and_no_failure(clock: FakeClock) -> None:
    upstream = upstream_of(clock)
    limited, other = Script(RateLimited("x", retry_after_s=4), "first"), Script("second")
    async with anyio.create_task_group() as group:
        group.start_soon(_call, upstream, limited)
        await clock.settle()
        group.start_soon(_call, upstream, other)
        await clock.run(3.9)
        assert (limited.runs, other.runs) == (1, 0)
        assert upstream.snapshot().rate_limited_for_s == pytest.approx(0.1)
        await clock.run(0.2)
    assert (limited.runs, other.runs) == (2, 1)
    assert upstream.snapshot().failures == 0


@pytest.mark.parametrize("safe", [True, False])
async def test_a_wait_that_does_not_fit_is_not_begun(hurried: FakeClock, safe: bool) -> None:
    upstream, operation = upstream_of(hurried), Script(httpx.Response(429, headers={"Retry-After": "60"}))
    error = await failing(upstream, operation, safe)
    assert (type(error), error.retry_after_s, operation.runs, hurried.slept_s) == (RateLimited, 60, 1, [])
    hurried.advance(20)
    error = await failing(upstream, operation, safe)
    assert (type(error), error.retry_after_s, operation.runs) == (RateLimited, 40, 1)
    assert "nothing was sent" in error.line


async def test_a_limit_that_others_met_meanwhile_ends_a_retry_at_once(clock: FakeClock) -> None:
    upstream, operation = upstream_of(clock, wait_min_s=2, wait_max_s=2), Script(REFUSED, "pods")
    async with anyio.create_task_group() as group:
        group.start_soon(_rate_limited, upstream, operation)
        await clock.settle()
        group.start_soon(_rate_limited, upstream, Script(RateLimited("x", retry_after_s=60)))
        await clock.run(2)
    assert operation.runs == 1


async def test_a_date_to_retry_after_is_read_by_the_wall_clock(hurried: FakeClock) -> None:
    date = httpx.Response(429, headers={"Retry-After": "Fri, 15 Jan 2027 08:00:07 GMT"})
    assert await upstream_of(hurried).call(Script(date, "pods"), safe=True, what="list pods") == "pods"
    assert hurried.slept_s == [7]


async def test_an_unavailable_server_is_not_asked_before_it_wants_to_be(hurried: FakeClock) -> None:
    busy = httpx.Response(503, headers={"Retry-After": "5"})
    assert await upstream_of(hurried).call(Script(busy, "pods"), safe=True, what="list pods") == "pods"
    assert hurried.slept_s == [5]


async def test_an_outage_does_not_multiply_the_load(hurried: FakeClock) -> None:
    upstream, operation = upstream_of(hurried, fail_max=10_000), Script(BROKEN)
    for _ in range(500):
        await failing(upstream, operation)
    assert 500 + 100 <= operation.runs <= 500 + 100 + 10


async def test_no_more_calls_run_than_allowed_and_the_rest_wait_their_turn(clock: FakeClock) -> None:
    upstream, running, most = upstream_of(clock, max_concurrent=4), 0, 0

    async def works() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await clock.sleep(1)
        running -= 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(_call, upstream, works)
        await clock.run(5)
    assert (most, running) == (4, 0)


async def test_who_finds_no_turn_is_told_so(clock: FakeClock) -> None:
    upstream = upstream_of(clock, max_concurrent=1, max_waiting=1, queue_timeout_s=2)
    async with anyio.create_task_group() as group:
        group.start_soon(ignore_trouble, upstream, hang(clock), False)
        await clock.settle()
        late = Script("pods")
        group.start_soon(_overloaded, upstream, late)
        await clock.settle()
        error = await failing(upstream, late)
        assert isinstance(error, Overloaded)
        await clock.run(10)
    assert late.runs == 0
    assert upstream.snapshot().failures == 1


async def test_a_limit_of_our_own_says_nothing_about_the_upstream(hurried: FakeClock) -> None:
    upstream, operation = upstream_of(hurried), Script(httpx.PoolTimeout("x"))
    for _ in range(10):
        assert isinstance(await failing(upstream, operation, safe=False), Overloaded)
    assert (operation.runs, upstream.snapshot().failures) == (10, 0)


async def _call(upstream: Upstream, operation: Callable[[], Awaitable[object]]) -> None:
    await upstream.call(operation, safe=True, what="list pods")


async def _overloaded(upstream: Upstream, operation: Callable[[], Awaitable[object]]) -> None:
    assert isinstance(await failing(upstream, operation), Overloaded)


async def _rate_limited(upstream: Upstream, operation: Callable[[], Awaitable[object]]) -> None:
    assert isinstance(await failing(upstream, operation), RateLimited)


async def _cancelled(upstream: Upstream, clock: FakeClock) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(_call, upstream, hang(clock))
            await clock.settle()
            scope.cancel()
    assert scope.cancelled_caught
