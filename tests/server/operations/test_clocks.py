"""Clocks that are set back or forward by ten hours: nothing is held for hours, nothing is taken from who is alive."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import pytest
from sqlalchemy.orm import Session
from tests.server.operations.warehouse import Warehouse
from tests.server.operations.work import ANNA, at_work, submitted

from klepaas.operations import Kind, Operation, Outcome, Run, State, StepRecord, StepState, journal, leases
from klepaas.operations.bodies import Bodies
from klepaas.operations.journal import Submission
from klepaas.operations.timing import Timing
from klepaas.store import Store
from klepaas.store.keys import Keys
from klepaas.store.moments import ClockWatch, is_ahead
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio
TEN_HOURS_S = 36_000.0
MOVES = (TEN_HOURS_S, -TEN_HOURS_S)
LEASE_S = 3.0


class StoreClock:
    """The clock of the store, which is set by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self, _: Session) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def clock() -> Iterator[StoreClock]:
    found = StoreClock()
    with mock.patch.object(journal, "now_of", found.now), mock.patch.object(leases, "now_of", found.now):
        yield found


@pytest.fixture
def journal_store(folder: Path) -> Store:
    return Store(folder)


async def held(store: Store, folder: Path) -> str:
    bodies, wanted = Bodies(Keys(folder, None)), Submission("scale", "web", "The scale", {}, ANNA, None, 60.0)
    operation, _ = await store.write(
        lambda session: journal.submit(session, wanted, "another/host", LEASE_S, bodies=bodies)
    )
    return operation.id


async def free(store: Store, watch: ClockWatch | None) -> list[str]:
    found, _ = await store.read(lambda session: leases.candidates(session, "me", watch))
    return [operation.id for operation, _ in found]


@pytest.mark.parametrize("move_s", MOVES)
async def test_a_lease_of_somebody_who_died_is_free_also_where_the_clock_was_set(
    journal_store: Store, folder: Path, clock: StoreClock, move_s: float
) -> None:
    operation_id = await held(journal_store, folder)
    assert await free(journal_store, None) == []
    clock.ahead_s = move_s
    assert await free(journal_store, None) == [operation_id]
    found = await journal_store.read(lambda session: journal.get(session, operation_id, None))
    assert found is not None
    assert found.unattended_since is not None
    assert found.unattended_since <= time.time() + move_s + 1 or move_s < 0
    assert await journal_store.write(lambda session: leases.claim(session, operation_id, 1, "me", LEASE_S))
    await journal_store.aclose()


@pytest.mark.parametrize("move_s", MOVES)
async def test_a_server_that_sees_the_clock_jump_takes_nothing_until_the_living_have_said_so(
    journal_store: Store, folder: Path, clock: StoreClock, move_s: float
) -> None:
    operation_id, watch = await held(journal_store, folder), ClockWatch(settle_s=60.0)
    assert await free(journal_store, watch) == []
    clock.ahead_s = move_s
    assert await free(journal_store, watch) == []
    renewed = {operation_id: leases.Held(1)}
    found = await journal_store.write(lambda session: leases.renew(session, renewed, "another/host", LEASE_S))
    assert found[operation_id].kept
    assert await free(journal_store, None) == []
    await journal_store.aclose()


@pytest.mark.parametrize("move_s", MOVES)
async def test_an_operation_that_waits_to_be_tried_again_is_tried_within_a_minute_also_where_the_clock_was_set(
    journal_store: Store, folder: Path, clock: StoreClock, move_s: float
) -> None:
    operation_id = await held(journal_store, folder)
    await journal_store.write(lambda session: leases.release(session, operation_id, 1, 30.0, reason="the cluster"))
    assert await free(journal_store, None) == []
    clock.ahead_s = move_s
    assert await free(journal_store, None) == [operation_id]
    await journal_store.aclose()


@pytest.mark.parametrize("move_s", MOVES)
async def test_a_clock_that_is_set_while_an_operation_is_carried_out_changes_nothing_in_it(
    warehouse: Warehouse, folder: Path, clock: StoreClock, move_s: float
) -> None:
    reached, goes_on, left = anyio.Event(), anyio.Event(), []

    async def run(run: Run) -> Outcome:
        async def do() -> dict[str, Any]:
            return {}

        await run.step("first", do)
        reached.set()
        await goes_on.wait()
        left.append(run.seconds_left)
        await run.step("second", do)
        return Outcome(State.SUCCEEDED, "both are made")

    timing = Timing(lease_s=scale_timeout(3), heartbeat_s=0.15, look_s=0.1, first_look_s=0.01, stop_grace_s=1.0)
    async with (
        at_work(folder, warehouse.url, timing=timing) as operations,
        at_work(folder, warehouse.url, timing=timing) as others,
    ):
        for server in (operations, others):
            server.kinds["two"] = Kind("two", run, 60)
        asked = await submitted(operations, "two")
        with anyio.fail_after(scale_timeout(10)):
            await reached.wait()
        await others._look()  # else it cannot see that the clock is set
        clock.ahead_s = move_s
        # Both servers look and beat several times.
        await anyio.sleep(0.6)
        goes_on.set()
        end = await operations.wait(asked.id, scale_timeout(20))
    assert (end.state, end.attempt) == (State.SUCCEEDED, 1)
    assert all(40 < seconds <= 60 for seconds in left)


@pytest.mark.parametrize("move_s", MOVES)
async def test_the_time_that_an_operation_has_left_goes_by_attended_seconds_and_not_by_the_wall_clock(
    journal_store: Store, folder: Path, clock: StoreClock, move_s: float
) -> None:
    operation_id = await held(journal_store, folder)
    used = {operation_id: leases.Held(1, attended_s=25.0)}
    await journal_store.write(lambda session: leases.renew(session, used, "another/host", LEASE_S))
    clock.ahead_s = move_s
    assert await journal_store.write(lambda session: leases.claim(session, operation_id, 1, "me", LEASE_S))
    found = await journal_store.read(lambda session: journal.get(session, operation_id, None))
    assert found is not None
    assert found.seconds_left == pytest.approx(35.0)
    await journal_store.aclose()


class Pages:
    """A journal that says how old an intent looks by a clock that was set."""

    def __init__(self, age_s: float) -> None:
        self.age_s = age_s

    async def intend(self, name: str, *, again: bool) -> journal.Intent:
        return journal.Intent(StepRecord(name, StepState.INTENT, 0.0), again, self.age_s, False)

    async def settle(self, name: str, state: StepState, result: Any = None) -> None:
        pass

    def holds(self) -> bool:
        return True


@pytest.mark.parametrize("move_s", MOVES)
async def test_a_step_that_may_have_been_sent_is_never_older_than_this_process_knows_it(move_s: float) -> None:
    """Else a clock that was set forward makes an effect that does not show yet count as absent: it is sent twice."""
    operation = Operation("op-1", "scale", "web", "The scale", {}, ANNA, State.RUNNING, 2, 0.0, 0.0, 60.0)
    run, looks, sent = Run(operation, Pages(move_s), 60.0), [], []  # type: ignore[arg-type]
    began_at = time.monotonic()

    async def find() -> dict[str, Any] | None:
        looks.append(time.monotonic() - began_at)
        return {} if looks[-1] >= 0.3 else None

    async def do() -> dict[str, Any]:
        sent.append(1)
        return {}

    with anyio.fail_after(scale_timeout(10)):
        await run.step("scale", do, find=find, visible_after_s=0.4)
    assert sent == []
    assert len(looks) == 2


def test_a_moment_further_ahead_than_it_can_be_is_over() -> None:
    assert is_ahead(103.0, 100.0, at_most_s=3.0)
    assert not is_ahead(100.0, 100.0, at_most_s=3.0)
    assert not is_ahead(100.0 + TEN_HOURS_S, 100.0, at_most_s=3.0)
    assert not is_ahead(None, 100.0, at_most_s=3.0)


def test_a_clock_is_steady_again_a_while_after_it_was_set() -> None:
    watch = ClockWatch(settle_s=6.0)
    assert watch.observe(1000.0, 10.0)
    assert watch.observe(1001.2, 11.0), "a clock that is corrected a little is steady"
    assert not watch.observe(1001.2 + TEN_HOURS_S, 11.1)
    assert not watch.observe(1005.2 + TEN_HOURS_S, 15.1)
    assert watch.observe(1008.0 + TEN_HOURS_S, 17.9)
