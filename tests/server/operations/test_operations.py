"""What somebody who submits operations can rely on, on both databases."""

import itertools
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.server.operations.warehouse import Warehouse
from tests.server.operations.work import ANNA, BERT, at_work, submitted

from klepaas.errors import BadRequest, Conflict, NotFound, Unavailable
from klepaas.operations import Kind, Operation, Operations, Outcome, Run, State, StepState
from klepaas.output.redaction import MARK
from klepaas.testing import scale_timeout, time_budget

pytestmark = pytest.mark.anyio


async def ended(operations: Operations, operation: Operation, limit_s: float = scale_timeout(20)) -> Operation:
    found = await operations.wait(operation.id, limit_s)
    assert found.ended, (found.state, found.steps)
    return found


async def test_an_operation_is_carried_out_step_by_step(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    told: list[tuple[float, float, str]] = []

    async def report(done: float, total: float, line: str) -> None:
        told.append((done, total, line))

    async with at_work(folder, warehouse.url, address) as operations:
        asked = await submitted(operations, "deploy")
        assert (asked.state, asked.ended, asked.attempt) == (State.RUNNING, False, 1)
        await operations.wait(asked.id, 20, report)
        found = await operations.get(asked.id, ANNA)
    assert found.outcome == Outcome(State.SUCCEEDED, "3 things are made", {"steps": 3})
    assert [(step.name, step.state) for step in found.steps] == [
        ("config", StepState.DONE), ("workload", StepState.DONE), ("release", StepState.DONE),
    ]  # fmt: skip
    assert set(warehouse.made.values()) == {1}
    assert (3, 3, "release is made") in told


async def test_an_operation_answers_before_it_has_ended(warehouse: Warehouse, folder: Path) -> None:
    async with at_work(folder, warehouse.url) as operations:
        await submitted(operations, "scale", "warm")
        began_at = time.monotonic()
        asked = await submitted(operations, "wait", for_s=30)
        assert time.monotonic() - began_at < time_budget(1, "the answer would wait for the end")
        waited = await operations.wait(asked.id, 0.3)
        assert (waited.state, waited.ended) == (State.RUNNING, False)


async def test_200_equal_requests_at_once_are_one_operation(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    found: list[Operation] = []
    async with at_work(folder, warehouse.url, address) as operations, at_work(folder, warehouse.url, address) as others:

        async def ask(server: Operations) -> None:
            found.append(await submitted(server, "wait", for_s=1.5))

        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(ask, (operations, others)[number % 2])
        (only,) = {operation.id for operation in found}
        assert (await ended(operations, found[0])).state is State.SUCCEEDED
    assert warehouse.made == {f"{only}/before": 1, f"{only}/after": 1}


async def test_200_requests_with_one_key_are_one_operation_also_after_it_has_ended(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    found: set[str] = set()
    async with at_work(folder, warehouse.url, address) as operations:

        async def ask() -> None:
            operation = await operations.submit(
                "scale", target="web", title="Scaling web", request={"n": 3}, principal=ANNA, idempotency_key="k-1"
            )
            found.add(operation.id)

        async with anyio.create_task_group() as group:
            for _ in range(199):
                group.start_soon(ask)
        (only,) = found
        await operations.wait(only, scale_timeout(20))
        await ask()
        with pytest.raises(BadRequest, match="was used for another request"):
            await operations.submit(
                "scale", target="web", title="Scaling web", request={"n": 4}, principal=ANNA, idempotency_key="k-1"
            )
        theirs = await operations.submit(
            "scale", target="db", title="Scaling db", request={"n": 3}, principal=BERT, idempotency_key="k-1"
        )
    assert found == {only}
    assert theirs.id != only


async def test_another_operation_on_the_same_target_is_refused_and_the_running_one_named(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address) as operations:
        first = await submitted(operations, "wait", "web")
        with pytest.raises(Conflict, match=f"The wait is under way \\(operation {first.id}\\), so The scale was not"):
            await submitted(operations, "scale", "web")
        running = await operations.running_on("web")
        assert (running and running.id, await operations.running_on("db")) == (first.id, None)
        elsewhere = await submitted(operations, "scale", "db")
        assert (await ended(operations, elsewhere)).state is State.SUCCEEDED


async def test_64_different_operations_on_one_target_never_overlap(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    refused, accepted = 0, []
    async with at_work(folder, warehouse.url, address) as operations:

        async def ask(number: int) -> None:
            nonlocal refused
            try:
                accepted.append(await submitted(operations, "scale", "web", number=number))
            except Conflict:
                refused += 1

        async with anyio.create_task_group() as group:
            for number in range(64):
                group.start_soon(ask, number)
        histories = [await ended(operations, operation) for operation in accepted]
    spans = sorted((found.created_at, found.ended_at or 0.0) for found in histories)
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))
    assert (len(accepted) + refused, len(accepted) >= 1) == (64, True)


async def test_the_operations_of_others_are_not_found(warehouse: Warehouse, folder: Path, address: str | None) -> None:
    async with at_work(folder, warehouse.url, address) as operations:
        asked = await submitted(operations, "wait")
        for attempt in (operations.get, operations.cancel):
            with pytest.raises(NotFound, match="There is no operation"):
                await attempt(asked.id, BERT)
        assert await operations.find(BERT) == []
        assert [found.id for found in await operations.find(ANNA)] == [asked.id]


async def test_operations_are_listed_running_ones_first(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    async with at_work(folder, warehouse.url, address) as operations:
        running = await submitted(operations, "wait", "a")
        old = await ended(operations, await submitted(operations, "scale", "b"))
        new = await ended(operations, await submitted(operations, "deploy", "c"))
        assert [found.id for found in await operations.find(ANNA)] == [running.id, new.id, old.id]
        assert [found.id for found in await operations.find(ANNA, state=State.SUCCEEDED, limit=1)] == [new.id]
        assert [found.id for found in await operations.find(ANNA, kind="scale")] == [old.id]


async def test_a_server_that_carries_nothing_out_takes_nothing_on(warehouse: Warehouse, folder: Path) -> None:
    async with at_work(folder, warehouse.url, runs=False) as operations:
        with pytest.raises(Unavailable, match="was not begun: this server does not carry operations out"):
            await submitted(operations, "scale")
        assert await operations.find(ANNA) == []
    assert not await anyio.Path(folder).exists()


async def test_what_is_kept_of_an_operation_that_has_ended_holds_no_secret(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    secret = "hunter2-hunter2-hunter2"

    async def run(run: Run) -> Outcome:
        async def do() -> dict[str, Any]:
            return {"given": run.operation.request["env_vars"]["DB_PASSWORD"]}

        await run.step("use", do)
        return Outcome(
            State.FAILED, f"it said password={secret}", {"password": secret}, {"message": f"password={secret}"}
        )

    async with at_work(folder, warehouse.url, address) as operations:
        operations.kinds["leak"] = Kind("leak", run)
        found = await ended(operations, await submitted(operations, "leak", env_vars={"DB_PASSWORD": secret, "A": "b"}))
        assert found.request == {"env_vars": {"DB_PASSWORD": MARK, "A": MARK}}
        assert secret not in repr(found)
    if address is None:
        assert secret.encode() not in await anyio.Path(folder / "klepaas.db").read_bytes()


async def test_a_defect_of_a_kind_ends_the_operation_without_its_details(warehouse: Warehouse, folder: Path) -> None:
    async def run(run: Run) -> Outcome:
        raise LookupError("the secret inside")

    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["broken"] = Kind("broken", run)
        found = await ended(operations, await submitted(operations, "broken"))
    assert found.state is State.FAILED
    assert found.outcome is not None
    assert "defect of klepaas or a plugin" in found.outcome.text
    assert "inside" not in repr(found.outcome)


async def test_progress_and_notes_are_seen_from_another_server(
    warehouse: Warehouse, folder: Path, address: str | None
) -> None:
    told: list[str] = []

    async def report(done: float, total: float, line: str) -> None:
        told.append(line)

    async def run(run: Run) -> Outcome:
        await run.note(revision=7)
        await run.report(1, 2, "half")
        await anyio.sleep(0.6)
        return Outcome(State.SUCCEEDED, "done", dict(run.notes))

    async with at_work(folder, warehouse.url, address) as operations:
        operations.kinds["slow"] = Kind("slow", run)
        asked = await submitted(operations, "slow")
        async with at_work(folder, warehouse.url, address, runs=False) as onlooker:
            found = await onlooker.wait(asked.id, 20, report)
    assert (found.outcome, found.notes) == (Outcome(State.SUCCEEDED, "done", {"revision": 7}), {"revision": 7})
    assert "half" in told


async def test_an_error_inside_the_tasks_of_a_kind_is_told_as_itself(warehouse: Warehouse, folder: Path) -> None:
    async def run(run: Run) -> Outcome:
        async def fail() -> None:
            raise Conflict("the shelf is full")

        async with anyio.create_task_group() as group:
            group.start_soon(fail)
        raise AssertionError("unreachable")

    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["grouped"] = Kind("grouped", run)
        end = await ended(operations, await submitted(operations, "grouped"))
    assert end.outcome is not None
    assert end.outcome.error is not None
    assert (end.state, end.outcome.error["code"]) == (State.FAILED, "conflict")
