"""The breaker: when it opens, who may try, and what counts for nothing."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas.resilience.breaker import Breaker, State
from klepaas.testing.clock import FakeClock


def breaker_of(clock: FakeClock, changes: list[tuple[State, State]] | None = None) -> Breaker:
    heard: list[tuple[State, State]] = [] if changes is None else changes
    return Breaker(fail_max=3, open_s=30.0, clock=clock, on_change=lambda old, new: heard.append((old, new)))


def state_of(breaker: Breaker) -> str:
    return breaker.state.value


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        ticket = breaker.admit()
        assert ticket is not None
        ticket.failure()


def open_one(clock: FakeClock, changes: list[tuple[State, State]] | None = None) -> Breaker:
    breaker = breaker_of(clock, changes)
    fail(breaker, 3)
    assert state_of(breaker) == "open"
    return breaker


def test_failures_in_a_row_open_it(clock: FakeClock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 2)
    assert (breaker.state, breaker.failures) == (State.CLOSED, 2)
    fail(breaker)
    assert (breaker.state, breaker.failures) == (State.OPEN, 3)
    assert breaker.admit() is None
    assert breaker.retry_in_s == 30.0


def test_a_success_starts_the_count_anew(clock: FakeClock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 2)
    ticket = breaker.admit()
    assert ticket is not None
    ticket.success()
    fail(breaker, 2)
    assert (breaker.state, breaker.failures) == (State.CLOSED, 2)


def test_it_goes_by_its_own_clock_and_not_by_the_wall_clock(clock: FakeClock) -> None:
    breaker = open_one(clock)
    clock.shift_wall(-86_400)
    clock.advance(29.9)
    assert breaker.admit() is None
    clock.shift_wall(2 * 86_400)
    assert breaker.admit() is None
    clock.advance(0.1)
    assert breaker.admit() is not None


def test_one_of_twenty_callers_may_try_when_its_time_has_passed(clock: FakeClock) -> None:
    breaker = open_one(clock)
    clock.advance(30)
    tickets = [breaker.admit() for _ in range(20)]
    assert sum(ticket is not None for ticket in tickets) == 1
    assert state_of(breaker) == "half-open"
    assert breaker.retry_in_s is not None


def test_a_try_that_succeeds_closes_it(clock: FakeClock) -> None:
    changes: list[tuple[State, State]] = []
    breaker = open_one(clock, changes)
    clock.advance(30)
    ticket = breaker.admit()
    assert ticket is not None
    ticket.success()
    assert (breaker.state, breaker.failures, breaker.retry_in_s) == (State.CLOSED, 0, None)
    assert changes == [
        (State.CLOSED, State.OPEN),
        (State.OPEN, State.HALF_OPEN),
        (State.HALF_OPEN, State.CLOSED),
    ]


def test_a_try_that_fails_opens_it_for_the_whole_time_again(clock: FakeClock) -> None:
    breaker = open_one(clock)
    clock.advance(30)
    fail(breaker)
    assert state_of(breaker) == "open"
    assert breaker.retry_in_s == 30.0


def test_a_cancelled_try_leaves_the_place_to_the_next(clock: FakeClock) -> None:
    breaker = open_one(clock)
    clock.advance(30)
    first = breaker.admit()
    assert first is not None
    first.release()
    assert state_of(breaker) == "half-open"
    second = breaker.admit()
    assert second is not None
    assert breaker.admit() is None
    second.success()
    assert state_of(breaker) == "closed"


def test_cancelled_calls_count_for_nothing(clock: FakeClock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 2)
    for _ in range(10):
        ticket = breaker.admit()
        assert ticket is not None
        ticket.release()
    assert (breaker.state, breaker.failures) == (State.CLOSED, 2)


def test_a_straggler_neither_closes_nor_opens_it(clock: FakeClock) -> None:
    breaker = breaker_of(clock)
    good, bad, late_bad = breaker.admit(), breaker.admit(), breaker.admit()
    assert good is not None
    assert bad is not None
    assert late_bad is not None
    fail(breaker, 3)
    good.success()
    assert state_of(breaker) == "open"
    clock.advance(30)
    probe = breaker.admit()
    assert probe is not None
    bad.failure()
    assert state_of(breaker) == "half-open"
    assert breaker.admit() is None
    probe.success()
    late_bad.failure()
    assert (breaker.state, breaker.failures) == (State.CLOSED, 0)


def test_a_ticket_counts_once(clock: FakeClock) -> None:
    breaker = breaker_of(clock)
    ticket = breaker.admit()
    assert ticket is not None
    for _ in range(5):
        ticket.failure()
    ticket.success()
    ticket.release()
    assert breaker.failures == 1


@given(st.floats(0, 1e6))
def test_no_rounding_keeps_it_open_longer(odd_s: float) -> None:
    clock = FakeClock()
    clock.advance(odd_s)
    breaker = open_one(clock)
    clock.advance(30)
    assert breaker.admit() is not None


def test_a_breaker_that_failures_at_once_opened_lets_the_next_call_try_at_once_and_one_that_waited_does_not() -> None:
    clock = FakeClock()
    breaker = Breaker(fail_max=1, open_s=30.0, clock=clock, open_ratio=3.0)
    for took_s, open_s in ((0.5, 1.5), (60.0, 30.0)):
        ticket = breaker.admit()
        assert ticket is not None
        ticket.failure(took_s)
        assert breaker.retry_in_s == open_s
        assert breaker.admit() is None
        clock.advance(open_s)


@pytest.mark.anyio
async def test_who_waits_for_the_call_that_tries_goes_on_as_soon_as_it_has_found_out() -> None:
    clock = FakeClock()
    breaker = Breaker(fail_max=1, open_s=30.0, clock=clock, open_ratio=3.0)
    await breaker.wait_for_probe()
    first = breaker.admit()
    assert first is not None
    first.failure(0.0)
    probe = breaker.admit()
    assert probe is not None
    assert breaker.admit() is None
    async with anyio.create_task_group() as group:
        group.start_soon(breaker.wait_for_probe)
        probe.success()
    assert breaker.admit() is not None
