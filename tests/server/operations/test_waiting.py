"""Waiting blocks nobody: what an operation waits for is on its record, and a newer change takes its place."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import update
from tests.server.operations.test_processes import changed
from tests.server.operations.warehouse import Warehouse
from tests.server.operations.work import ANNA, BERT, at_work, submitted

from klepaas.errors import Conflict, Unavailable
from klepaas.operations import Kind, Operation, Operations, Outcome, Run, State
from klepaas.operations.failpoints import Failpoint, armed
from klepaas.store.tables import OperationRow
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio
PAUSED = "somebody to resume the rollout"


class Waiter:
    """A kind that makes one thing, then waits, then makes another."""

    def __init__(self, operations: Operations) -> None:
        self.goes_on = anyio.Event()
        self.before_step: Any = None
        self.run_of: Run | None = None
        operations.kinds["waiter"] = Kind("waiter", self._run, 60)

    async def _run(self, run: Run) -> Outcome:
        self.run_of = run

        async def do() -> dict[str, Any]:
            return {}

        await run.step("first thing", do)
        await run.note(back=7)
        await run.wait(PAUSED, time.monotonic() + 600)
        await self.goes_on.wait()
        await run.step("second thing", do)
        return Outcome(State.SUCCEEDED, "both are made")


async def seen(operations: Operations, operation: Operation, accepts: Callable[[Operation], bool]) -> Operation:
    await changed(operations, operation, accepts)
    return await operations.get(operation.id, None)


async def waits(operations: Operations, operation: Operation) -> Operation:
    return await seen(operations, operation, lambda one: one.waiting is not None)


async def superseding(operations: Operations, target: str, kind: str = "scale") -> Operation:
    return await operations.submit(kind, target=target, title="The newer one", request={}, principal=BERT)


async def test_what_an_operation_waits_for_since_when_and_until_when_is_on_its_record(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address) as operations:
        waiter = Waiter(operations)
        asked = await submitted(operations, "waiter", "web")
        assert asked.waiting is None
        found = await waits(operations, asked)
        assert found.waiting is not None
        assert found.waiting.reason == PAUSED
        assert found.created_at <= found.waiting.since <= time.time() + 1
        assert found.waiting.until is not None
        assert 590 < found.waiting.until - found.waiting.since <= 601
        waiter.goes_on.set()
        ended = await operations.wait(asked.id, scale_timeout(20))
    assert (ended.state, ended.waiting) == (State.SUCCEEDED, None)


async def test_a_newer_change_of_the_same_target_takes_the_place_of_one_that_waits_and_inherits_what_it_noted(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address) as operations:
        waiter = Waiter(operations)
        older = await submitted(operations, "waiter", "web")
        await waits(operations, older)
        newer = await superseding(operations, "web")
        assert newer.supersedes is not None
        assert (newer.supersedes.id, newer.supersedes.notes["back"]) == (older.id, 7)
        assert (newer.supersedes.waited_for, newer.supersedes.has_begun) == (PAUSED, True)
        end = await operations.wait(older.id, scale_timeout(5))
        assert (end.state, end.ended) == (State.CANCELLED, True)
        assert end.outcome is not None
        assert f"superseded by operation {newer.id} (The newer one), while it waited for: {PAUSED}" in end.outcome.text
        assert "Done before, and it stays: first thing" in end.outcome.text
        assert end.outcome.facts["superseded_by"] == newer.id
        waiter.goes_on.set()
        assert (await operations.wait(newer.id, scale_timeout(20))).state is State.SUCCEEDED
        assert [step.name for step in (await operations.get(older.id, None)).steps] == ["first thing"]


async def test_one_that_is_at_work_again_is_not_superseded(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address) as operations:
        waiter, reached, goes_on = Waiter(operations), anyio.Event(), anyio.Event()

        async def hold() -> None:
            reached.set()
            await goes_on.wait()

        older = await submitted(operations, "waiter", "web")
        await waits(operations, older)
        with armed(Failpoint("before_effect", hold, "second thing")):
            waiter.goes_on.set()
            with anyio.fail_after(scale_timeout(10)):
                await reached.wait()
            with pytest.raises(Conflict, match=f"is under way \\(operation {older.id}\\)"):
                await superseding(operations, "web")
            goes_on.set()
            assert (await operations.wait(older.id, scale_timeout(20))).state is State.SUCCEEDED


async def test_a_superseded_operation_of_another_server_writes_nothing_more(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address) as one, at_work(folder, warehouse.url, address) as other:
        waiter = Waiter(one)
        older = await submitted(one, "waiter", "web")
        await waits(one, older)
        newer = await superseding(other, "web")
        waiter.goes_on.set()
        with anyio.fail_after(scale_timeout(10)):
            while older.id in [found.id for found in one.under_way]:  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.02)
        assert (await other.wait(newer.id, scale_timeout(20))).state is State.SUCCEEDED
        found = await other.get(older.id, None)
        assert ([step.name for step in found.steps], found.state) == (["first thing"], State.CANCELLED)


async def test_an_operation_that_waits_to_be_tried_again_says_why_and_is_superseded_too(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address) as operations:

        async def fail(_run: Run) -> Outcome:
            raise Unavailable("The cluster does not answer")

        operations.kinds["fails"] = Kind("fails", fail, 60, retries=100)
        older = await submitted(operations, "fails", "web")
        found = await waits(operations, older)
        assert found.waiting is not None
        assert "The cluster does not answer" in found.waiting.reason
        again = await seen(operations, older, lambda one: one.attempt > 2)
        assert again.waiting is not None
        assert again.waiting.since == found.waiting.since, "it waits for the same thing since the first attempt"
        newer = await superseding(operations, "web")
        end = await operations.wait(older.id, scale_timeout(5))
        assert end.outcome is not None
        assert f"superseded by operation {newer.id}" in end.outcome.text
        assert "Nothing was changed (no step of it was carried out)" in end.outcome.text


async def test_an_operation_that_nobody_carries_out_is_superseded_after_a_minute_and_not_before(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address) as operations:
        with armed(Failpoint("after_claim", "raise")):
            older = await submitted(operations, "wait", "web")
            await changed(operations, older, lambda one: not operations.under_way)
    async with at_work(folder, warehouse.url, address) as operations:
        operations.kinds.pop("wait")
        with pytest.raises(Conflict, match="is under way"):
            await superseding(operations, "web")

        def age(session: Any) -> None:
            values = {"lease_until": time.time() - 70, "updated_at": time.time() - 70}
            session.execute(update(OperationRow).where(OperationRow.id == older.id).values(values))

        await operations._store.write(age)
        newer = await superseding(operations, "web")
        assert newer.supersedes is not None
        assert newer.supersedes.waited_for == "a server that carries it out"


async def test_of_a_step_that_nobody_knows_the_end_of_the_superseded_operation_says_so(
    warehouse: Warehouse, folder: Path
) -> None:
    async with at_work(folder, warehouse.url) as operations:
        warehouse.faults["scale"] = ["fail_after"]
        older = await submitted(operations, "scale", "web")
        warehouse.blind[f"{older.id}/scale"] = 10_000
        run = operations._runner.held[older.id].run if operations._runner else None
        assert run is not None
        await changed(operations, older, lambda one: bool(one.steps))
        await run.wait("the warehouse", None)
        newer = await superseding(operations, "web", "deploy")
        end = await operations.wait(older.id, scale_timeout(10))
        assert end.outcome is not None
        assert end.state is State.UNKNOWN
        assert f"superseded by operation {newer.id}" in end.outcome.text
        assert "Whether the step scale happened is not known" in end.outcome.text
        assert "changed nothing" not in end.outcome.text


async def test_waiting_does_not_use_up_the_time_of_an_operation(warehouse: Warehouse, folder: Path) -> None:
    left: list[float] = []

    async def run(run: Run) -> Outcome:
        await run.wait("the cluster")
        left.append(run.seconds_left)
        await anyio.sleep(0.3)
        left.append(run.seconds_left)
        await run.resume()
        left.append(run.seconds_left)
        await run.wait("a person", stops_clock=False)
        await anyio.sleep(0.3)
        left.append(run.seconds_left)
        return Outcome(State.SUCCEEDED, "waited")

    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["slow"] = Kind("slow", run, 60)
        end = await operations.wait((await submitted(operations, "slow")).id, scale_timeout(20))
    assert end.state is State.SUCCEEDED
    assert left[0] == left[1]
    assert left[1] - left[2] < 0.2
    assert left[2] - left[3] >= 0.29


async def test_telling_the_same_again_writes_nothing(warehouse: Warehouse, folder: Path) -> None:
    written: list[str] = []

    async def run(run: Run) -> Outcome:
        pages = run._pages
        wait = pages.wait

        async def count(reason: str, for_s: float | None) -> None:
            written.append(reason)
            await wait(reason, for_s)

        pages.wait = count  # type: ignore[method-assign]
        until_s = time.monotonic() + 100
        for later_s in (0.0, 0.4, 0.9, 5.0):
            await run.wait("the cluster", until_s + later_s)
        await run.wait("rights", until_s)
        return Outcome(State.SUCCEEDED, "waited")

    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["slow"] = Kind("slow", run, 60)
        end = await operations.wait((await submitted(operations, "slow")).id, scale_timeout(20))
    assert end.state is State.SUCCEEDED
    assert written == ["the cluster", "the cluster", "rights"]


async def test_the_same_request_while_it_waits_is_the_same_operation(warehouse: Warehouse, folder: Path) -> None:
    async with at_work(folder, warehouse.url) as operations:
        waiter = Waiter(operations)
        asked = await submitted(operations, "waiter", "web")
        await waits(operations, asked)
        assert (await submitted(operations, "waiter", "web")).id == asked.id
        waiter.goes_on.set()
        assert (await operations.wait(asked.id, scale_timeout(20))).state is State.SUCCEEDED


async def test_an_operation_in_a_namespace_that_was_deleted_is_not_in_the_way_of_one_in_the_new_namespace(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address) as operations:

        async def ask(uid: str, number: int) -> Operation:
            return await operations.submit(
                "wait", target="prod/shop/web", title=f"Number {number}", request={"number": number},
                principal=ANNA, namespace_uid=uid,
            )  # fmt: skip

        await ask("uid-1", 1)
        for uid in ("uid-1", ""):
            with pytest.raises(Conflict, match="Number 1 is under way"):
                await ask(uid, 2)
        assert not (await ask("uid-2", 3)).ended
