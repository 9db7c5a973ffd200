"""Several processes and real deaths: what one leaves another goes on with, soon and without doing it twice."""

import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream
from tests.server.operations.warehouse import Warehouse
from tests.server.operations.work import ANNA, LEASE_VARIABLE, STEPS, at_work, submitted

from klepaas.operations import Operation, Operations, State
from klepaas.operations.failpoints import POINTS, VARIABLE
from klepaas.operations.timing import Timing
from klepaas.testing import scale_timeout, time_budget

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
RESUMED_WITHIN_S = time_budget(5, "the lease of a process that was killed would be waited for twice")


@asynccontextmanager
async def child(
    folder: Path, url: str, *kinds: str, address: str | None = None, failpoints: str = "", lease_s: float = 3.0
) -> AsyncIterator[Process]:
    """A process that submits operations and carries them out."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), LEASE_VARIABLE: str(lease_s)} | (
        {VARIABLE: failpoints} if failpoints else {}
    )
    words = [sys.executable, "-m", "tests.server.operations.work", str(folder), url, address or "", *kinds]
    process = await anyio.open_process(words, env=environment, stdin=-3, stderr=None, cwd=ROOT)
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


async def said(process: Process, *, lines: int) -> list[str]:
    """What the process says first; less where it dies before."""
    assert process.stdout is not None
    text = ""
    with anyio.fail_after(scale_timeout(30)):
        async for part in TextReceiveStream(process.stdout):
            text += part
            if text.count("\n") >= lines:
                break
    return text.splitlines()


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened in another process."""
    with anyio.fail_after(scale_timeout(20)):
        while not happened():  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.02)


async def changed(operations: Operations, operation: Operation, accepts: Callable[[Operation], bool]) -> None:
    """Wait until an operation has changed, by whichever process."""
    with anyio.fail_after(scale_timeout(20)):
        while not accepts(await operations.get(operation.id, ANNA)):  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.02)


async def all_ended(operations: Operations, limit_s: float) -> list[Operation]:
    """Every operation there is, ended."""
    with anyio.fail_after(limit_s):
        while True:
            found = list(await operations.find(ANNA, limit=100))
            if found and all(one.ended for one in found):
                return found
            await anyio.sleep(0.02)


async def check_after_death(folder: Path, warehouse: Warehouse, address: str | None, died_at: float) -> float:
    """Go on with what a death has left; how long that took from the death to the first sign of going on."""
    async with at_work(folder, warehouse.url, address, Timing()) as operations:
        (there,) = await operations.find(ANNA)
        await changed(operations, there, lambda one: one.ended or one.attempt > 1)
        took_s = time.monotonic() - died_at
        (end,) = await all_ended(operations, 30)
    assert end.state is State.SUCCEEDED, end
    made = {thing.split("/")[1]: count for thing, count in warehouse.made.items() if thing.startswith(end.id)}
    assert made == dict.fromkeys(STEPS[end.kind], 1)
    return took_s


def deaths(count: int) -> list[tuple[str, str]]:
    """Where processes die: points of kinds, each at some step; the same ones in every run."""
    chosen, found = random.Random(7), []
    points = [point for point in POINTS if point not in ("during_recovery", "before_tidy", "after_outcome")]
    for number in range(count):
        kind = ("deploy", "rollback", "scale")[number % 3]
        point = points[number % len(points)]
        step = chosen.choice(STEPS[kind]) if point not in ("after_claim", "before_outcome", "after_submit") else ""
        found.append((kind, f"{point}@{step}" if step else point))
    return found


@pytest.mark.timeout(scale_timeout(450))
async def test_after_kill_9_at_any_point_another_process_goes_on_within_5_seconds(
    warehouse: Warehouse, tmp_path: Path, is_soak: bool
) -> None:
    took_s: list[float] = []
    count, at_once = (200, 4) if is_soak else (20, 5)
    limiter = anyio.CapacityLimiter(at_once)

    async def one(number: int, kind: str, where: str) -> None:
        async with limiter:
            folder = tmp_path / str(number)
            async with child(folder, warehouse.url, kind, failpoints=f"{where}=kill") as process:
                with anyio.fail_after(scale_timeout(40)):
                    assert await process.wait() == -signal.SIGKILL, where
                died_at = time.monotonic()
                took_s.append(await check_after_death(folder, warehouse, None, died_at))

    async with anyio.create_task_group() as group:
        for number, (kind, where) in enumerate(deaths(count)):
            group.start_soon(one, number, kind, where)
    assert len(took_s) == count
    assert warehouse.duplicates == {}
    assert max(took_s) < RESUMED_WITHIN_S, sorted(took_s)[-5:]


async def test_the_same_holds_on_postgresql(warehouse: Warehouse, folder: Path, address: str | None) -> None:
    if address is None:
        pytest.skip("the test above is about SQLite")
    async with child(
        folder, warehouse.url, "deploy", address=address, failpoints="after_effect@workload=kill"
    ) as process:
        with anyio.fail_after(scale_timeout(40)):
            assert await process.wait() == -signal.SIGKILL
    assert await check_after_death(folder, warehouse, address, time.monotonic()) < RESUMED_WITHIN_S


async def test_another_server_on_the_same_store_goes_on_without_a_restart(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address, Timing()) as operations:
        async with child(folder, warehouse.url, "wait", address=address) as process:
            assert (await said(process, lines=2))[1] == "ready"
            (there,) = await operations.find(ANNA)
            await until(lambda: warehouse.made[f"{there.id}/before"] > 0)
            process.kill()
            died_at = time.monotonic()
            await changed(operations, there, lambda one: one.attempt > 1)
        assert time.monotonic() - died_at < RESUMED_WITHIN_S
        await operations.cancel(there.id, ANNA)
        assert (await operations.wait(there.id, scale_timeout(20))).state is State.CANCELLED
    assert warehouse.made == {f"{there.id}/before": 1}


async def test_a_process_that_was_stopped_and_overtaken_does_nothing_more(warehouse: Warehouse, folder: Path) -> None:
    async with child(folder, warehouse.url, "wait") as process:
        await said(process, lines=2)
        async with at_work(folder, warehouse.url, None, Timing()) as operations:
            (there,) = await operations.find(ANNA)
            await until(lambda: warehouse.made[f"{there.id}/before"] > 0)
            process.send_signal(signal.SIGSTOP)
            await changed(operations, there, lambda one: one.attempt > 1)
            process.send_signal(signal.SIGCONT)
            await operations.cancel(there.id, ANNA)
            end = await operations.wait(there.id, scale_timeout(20))
            (found,) = await operations.find(ANNA)
    assert (end.state, found.state) == (State.CANCELLED, State.CANCELLED)
    assert warehouse.made == {f"{there.id}/before": 1}


async def test_sigterm_lets_go_between_steps_and_the_next_process_goes_on_at_once(
    warehouse: Warehouse, folder: Path
) -> None:
    async with at_work(folder, warehouse.url, None, Timing()) as operations:
        asked = await submitted(operations, "wait", for_s=1)
        await until(lambda: warehouse.made[f"{asked.id}/before"] > 0)
    began_at = time.monotonic()
    async with at_work(folder, warehouse.url, None, Timing()) as operations:
        (there,) = await operations.find(ANNA)
        assert (there.state, there.attempt) == (State.PENDING, 1)
        await changed(operations, asked, lambda one: one.state is State.RUNNING)
        assert time.monotonic() - began_at < time_budget(2, "what was handed over would wait for a lease to end")
        end = await operations.wait(asked.id, scale_timeout(20))
    assert (end.state, end.attempt) == (State.SUCCEEDED, 1)
    assert set(warehouse.made.values()) == {1}


async def test_a_step_under_way_ends_before_the_server_does(warehouse: Warehouse, folder: Path) -> None:
    warehouse.faults["scale"] = ["late"]
    async with at_work(folder, warehouse.url, None, Timing()) as operations:
        asked = await submitted(operations, "scale")
        await until(lambda: not warehouse.faults["scale"])
    async with at_work(folder, warehouse.url, None, Timing()) as operations:
        assert (await operations.wait(asked.id, scale_timeout(20))).state is State.SUCCEEDED
    assert set(warehouse.made.values()) == {1}


async def test_an_operation_of_the_first_schema_in_flight_is_gone_on_with(warehouse: Warehouse, folder: Path) -> None:
    import sqlite3

    await anyio.Path(folder).mkdir(parents=True)
    script = await anyio.Path(ROOT / "tests" / "server" / "store" / "first-schema.sql").read_text()
    with sqlite3.connect(folder / "klepaas.db") as made:
        made.executescript(script)
    made.close()
    warehouse.made.update({"op-0123456789ab/config": 1, "op-0123456789ab/workload": 1})
    async with at_work(folder, warehouse.url) as operations:
        end = await operations.wait("op-0123456789ab", scale_timeout(20))
    assert (end.state, end.attempt) == (State.SUCCEEDED, 2)
    assert warehouse.made == {f"op-0123456789ab/{step}": 1 for step in STEPS["deploy"]}


async def test_a_caller_that_leaves_changes_nothing(warehouse: Warehouse, folder: Path) -> None:
    async with at_work(folder, warehouse.url) as operations:
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(submitted, operations, "deploy", f"target {number}")
            await anyio.sleep(0.05)
            group.cancel_scope.cancel()
        found = await operations.find(ANNA, limit=100)
        ends = [await operations.wait(one.id, scale_timeout(20)) for one in found]
    assert {end.state for end in ends} <= {State.SUCCEEDED}
    assert sorted(warehouse.made) == sorted(f"{end.id}/{step}" for end in ends for step in STEPS["deploy"])
    assert warehouse.duplicates == {}


async def test_what_a_dead_process_of_this_machine_held_goes_on_before_its_lease_ends(
    warehouse: Warehouse, folder: Path
) -> None:
    long = Timing(lease_s=600.0)
    async with child(
        folder, warehouse.url, "deploy", failpoints="after_effect@workload=kill", lease_s=600.0
    ) as process:
        with anyio.fail_after(scale_timeout(40)):
            assert await process.wait() == -signal.SIGKILL
    async with at_work(folder, warehouse.url, None, long) as operations:
        (end,) = await all_ended(operations, 30)
    assert (end.state, end.attempt) == (State.SUCCEEDED, 2)
    assert warehouse.duplicates == {}


async def test_what_a_living_process_holds_is_left_to_it(warehouse: Warehouse, folder: Path) -> None:
    async with child(folder, warehouse.url, "wait") as process:
        assert (await said(process, lines=2))[1] == "ready"
        async with at_work(folder, warehouse.url, None, Timing()) as operations:
            (there,) = await operations.find(ANNA)
            await operations.finish()
            again = await operations.get(there.id, ANNA)
            assert again.attempt == 1
