"""A process that was overtaken writes nothing and sends nothing; a store that cannot be written stops every change."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from pydantic import SecretStr
from sqlalchemy.orm import Session
from tests.server.operations.test_processes import changed
from tests.server.operations.warehouse import Warehouse
from tests.server.operations.work import ANNA, at_work, submitted

from klepaas.errors import Unavailable
from klepaas.metrics import Metrics
from klepaas.operations import Fenced, JournalBroken, Outcome, State, StepState, journal, leases
from klepaas.operations.bodies import Bodies
from klepaas.operations.failpoints import Failpoint, armed
from klepaas.operations.holding import Holding
from klepaas.operations.journal import Submission
from klepaas.store import Store, StoreUnavailable
from klepaas.store.keys import Keys
from klepaas.testing import scale_timeout

BODIES = Bodies(Keys(Path("unused"), SecretStr("A" * 43 + "=")))
pytestmark = pytest.mark.anyio

WANTED = Submission("scale", "web", "The scale", {}, ANNA, None, 60.0)
WRITES: dict[str, Callable[[Session, str], Any]] = {
    "intend": lambda session, id_: journal.intend(session, id_, 1, "more", 60, tidying=False),
    "intend again": lambda session, id_: journal.intend(session, id_, 1, "step", 60, tidying=False, again=True),
    "settle": lambda session, id_: journal.settle(session, id_, 1, "step", StepState.DONE, {"by": "the old one"}),
    "note": lambda session, id_: journal.note(session, id_, 1, {"by": "the old one"}),
    "conclude": lambda session, id_: journal.conclude(session, id_, 1, Outcome(State.SUCCEEDED, "by the old one")),
}


@pytest.fixture
def store(folder: Path, address: str | None) -> Store:
    return Store(folder, SecretStr(address) if address else None)


async def overtaken(store: Store) -> str:
    """An operation that p1 began and p2 took over."""
    operation, _ = await store.write(lambda session: journal.submit(session, WANTED, "p1", -1.0, bodies=BODIES))
    await store.write(lambda session: journal.intend(session, operation.id, 1, "step", -1.0, tidying=False))
    assert await store.write(lambda session: leases.claim(session, operation.id, 1, "p2", 60.0))
    return operation.id


async def test_no_write_of_a_process_that_was_overtaken_counts(store: Store) -> None:
    operation_id = await overtaken(store)
    before = await store.read(lambda session: journal.get(session, operation_id, None))
    for name, write in WRITES.items():
        with pytest.raises(Fenced):
            await store.write(lambda session, write=write: write(session, operation_id))  # type: ignore[misc]
        assert await store.read(lambda session: journal.get(session, operation_id, None)) == before, name
    found = await store.write(lambda session: leases.renew(session, {operation_id: leases.Held(1)}, "p1", 60.0))
    assert found[operation_id].kept is False
    await store.write(lambda session: leases.release(session, operation_id, 1))
    assert await store.read(lambda session: journal.get(session, operation_id, None)) == before
    await store.aclose()


async def test_what_is_held_is_taken_by_nobody_and_what_is_free_by_one(store: Store) -> None:
    operation, _ = await store.write(lambda session: journal.submit(session, WANTED, "p1", 60.0, bodies=BODIES))
    assert not await store.write(lambda session: leases.claim(session, operation.id, 1, "p2", 60.0))
    await store.write(lambda session: leases.release(session, operation.id, 1))
    taken: list[bool] = []

    async def take(holder: str) -> None:
        taken.append(await store.write(lambda session: leases.claim(session, operation.id, 1, holder, 60.0)))

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(take, f"p{number}")
    assert sorted(taken) == [False] * 7 + [True]
    await store.aclose()


async def test_a_lease_that_ran_out_is_renewed_before_anything_is_sent(store: Store) -> None:
    operation_id = await overtaken(store)
    operation = await store.read(lambda session: journal.get(session, operation_id, None))
    assert operation is not None
    holding = Holding(store, operation, 1, "p1", 60.0, bodies=BODIES)
    assert not holding.holds()
    with pytest.raises(Fenced):
        await holding.renew()
    await store.aclose()


async def test_a_store_that_cannot_be_written_refuses_a_change_before_anything_is_sent(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("a file where the folder should be")
    async with at_work(blocked, warehouse.url) as operations:
        with pytest.raises(StoreUnavailable, match="The store of klepaas cannot be written"):
            await submitted(operations, "scale")
    assert not warehouse.made


async def test_a_journal_that_breaks_on_the_way_stops_the_work_until_it_is_well_again(
    warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = anyio.Event()
    intend = Holding.intend

    async def fail(self: Holding, name: str, *, again: bool) -> Any:
        if name == "workload" and not broken.is_set():
            broken.set()
            raise JournalBroken("the disk is full")
        return await intend(self, name, again=again)

    monkeypatch.setattr(Holding, "intend", fail)
    async with at_work(folder, warehouse.url) as operations:
        asked = await submitted(operations, "deploy")
        await broken.wait()
        assert [thing.split("/")[1] for thing in warehouse.made] == ["config"]
        assert (await operations.wait(asked.id, scale_timeout(20))).state is State.SUCCEEDED
    assert set(warehouse.made.values()) == {1}


async def test_an_outcome_is_tried_to_be_stored_until_the_store_works(
    warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([True, True, False])
    conclude = Holding.conclude

    async def fail(self: Holding, outcome: Outcome) -> str:
        if next(failures, False):
            raise JournalBroken("the disk is full")
        return await conclude(self, outcome)

    monkeypatch.setattr(Holding, "conclude", fail)
    async with at_work(folder, warehouse.url) as operations:
        end = await operations.wait((await submitted(operations, "scale")).id, scale_timeout(20))
    assert (end.state, end.attempt) == (State.SUCCEEDED, 1)


async def test_what_this_process_cannot_reach_is_left_to_others(warehouse: Warehouse, folder: Path) -> None:
    async def not_here(request: Any) -> bool:
        return bool(request.get("here"))

    async with at_work(folder, warehouse.url) as operations:
        with armed(Failpoint("after_claim", "raise")):
            elsewhere = await submitted(operations, "scale", "a")
            await changed(operations, elsewhere, lambda one: one.attempt > 0)
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["scale"] = replace(operations.kinds["scale"], takes=not_here)
        await changed(operations, elsewhere, lambda one: one.unattended_since is not None)
        found = await operations.wait(elsewhere.id, 0.5)
        assert (found.ended, found.unattended_since is not None) == (False, True)
    assert not warehouse.made
    async with at_work(folder, warehouse.url) as operations:
        assert (await operations.wait(elsewhere.id, scale_timeout(20))).state is State.SUCCEEDED


async def test_what_could_not_be_asked_for_a_moment_is_not_given_up_as_out_of_reach(
    warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Iterator[Exception | bool] = iter(
        [Unavailable("the cluster's configuration is being written"), TimeoutError(), True]
    )

    async def after_some_trouble(_request: Any) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("klepaas.operations.runner._NOT_KNOWN_S", 0.05)
    async with at_work(folder, warehouse.url) as operations:
        with armed(Failpoint("after_claim", "raise")):
            left = await submitted(operations, "scale", "a")
            await changed(operations, left, lambda one: one.attempt > 0)
    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["scale"] = replace(operations.kinds["scale"], takes=after_some_trouble)
        assert (await operations.wait(left.id, scale_timeout(20))).state is State.SUCCEEDED


async def test_operations_are_counted(warehouse: Warehouse, folder: Path) -> None:
    async with at_work(folder, warehouse.url) as operations:
        registry = Metrics.of(operations._host).registry
        asked = await submitted(operations, "wait", "a")
        await operations.wait((await submitted(operations, "scale", "b")).id, scale_timeout(20))
        with anyio.fail_after(scale_timeout(20)):
            while registry.get_sample_value("klepaas_operations_running") != 1:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.02)
        assert registry.get_sample_value("klepaas_operations_total", {"kind": "scale", "state": "succeeded"}) == 1
        assert (registry.get_sample_value("klepaas_operations_oldest_running_seconds") or 0) > 0
        assert registry.get_sample_value("klepaas_operations_stuck") == 0
        await operations.cancel(asked.id, ANNA)
        await operations.wait(asked.id, scale_timeout(20))
        with anyio.fail_after(scale_timeout(20)):
            while registry.get_sample_value("klepaas_operations_running") != 0:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.02)


async def test_a_server_with_nothing_to_do_imports_no_database_library(folder: Path, warehouse: Warehouse) -> None:
    async with at_work(folder, warehouse.url) as operations:
        await operations.wait((await submitted(operations, "scale")).id, scale_timeout(20))
    code = (
        "import anyio, sys, pathlib; from klepaas.host import Host; from klepaas.settings import Settings\n"
        "from klepaas.operations import Operations\n"
        "async def main():\n"
        f"    async with Operations.of(Host(Settings(state_dir=pathlib.Path({str(folder)!r})))).running():\n"
        "        await anyio.sleep(1.5)\n"
        "anyio.run(main); sys.exit('sqlalchemy' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KLEPAAS_")}
    import sys

    done = await anyio.run_process([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 0, done.stderr
