"""Every failpoint, with every fault of the provider, in every kind: nothing is lost, nothing done twice, nothing stuck.

A process that dies at a point is played by dropping the operation there, without a word to the journal: what is left is
what a real death leaves. `test_kills.py` kills real processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.server.operations.warehouse import FAULTS, Warehouse
from tests.server.operations.work import ANNA, STEPS, at_work, submitted

from klepaas.correlation import current
from klepaas.operations import Kind, Operation, Operations, Outcome, Run, State, StepState
from klepaas.operations.failpoints import POINTS, Failpoint, InjectedFailure, armed
from klepaas.resilience.errors import OutcomeUnknown
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio

# What a death at these points leaves is no step's affair, or nothing at all.
_WITHOUT_STEP = ("after_claim", "before_outcome", "after_outcome")
_OTHERS = ("after_submit", "before_tidy", "during_recovery")
# The thing is made and nobody is told: the step is found done, not seen being done.
_ANSWER_LOST = ("fail_after", "hang", "late", "die", "invisible")
_REPEATS = 3
_IN_A_STEP = tuple(point for point in POINTS if point not in (*_WITHOUT_STEP, *_OTHERS))


@dataclass
class Case:
    """One operation, where its process dies, and what befalls its requests."""

    kind: str
    point: str | None
    step: str | None
    fault: str | None
    again: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind}, dies {self.point} {self.step}, provider: {self.fault}{', dies again' * self.again}"


def cases(kinds: tuple[str, ...]) -> Iterator[Case]:
    for kind in kinds:
        for fault in (None, *FAULTS):
            for step in STEPS[kind]:
                for point in (None, *_IN_A_STEP):
                    if not (point == "after_effect" and fault in _ANSWER_LOST):
                        yield Case(kind, point, step, fault)
                if fault in (None, *_ANSWER_LOST):
                    yield Case(kind, "before_done", step, fault, again=True)
        for point in _WITHOUT_STEP:
            yield Case(kind, point, None, None)


async def carry_out(found: list[Case], operations: Operations, warehouse: Warehouse) -> list[Operation]:
    """Carry all out at the same time, and wait for their ends."""
    ends: list[Operation] = []

    async def run(number: int, case: Case) -> None:
        kind = f"{case.kind} {number}"
        base = operations.kinds[case.kind]
        operations.kinds[kind] = Kind(kind, base.run, 60, tidy=base.tidy, retries=20)
        steps = [f"{step} {number}" for step in STEPS[case.kind]]
        if case.fault and case.step:
            warehouse.faults[f"{case.step} {number}".replace(" ", "%20")].append(case.fault)
        operation = await operations.submit(
            kind, target=kind, title=case.name, request={"steps": steps}, principal=ANNA
        )
        ends.append(await operations.wait(operation.id, scale_timeout(40)))

    async with anyio.create_task_group() as group:
        for number, case in enumerate(found):
            group.start_soon(run, number, case)
    return ends


def _missed(found: list[Case], points: list[Failpoint]) -> list[Case]:
    """The cases that did not come to their point: a slow machine also loses answers that no fault was to lose."""
    steps = {point.step for point in points if not point.reached}
    assert None not in steps
    return [case for number, case in enumerate(found) if f"{case.step} {number}" in steps]


def failpoints_of(found: list[Case]) -> list[Failpoint]:
    def is_it(kind: str) -> bool:
        at_hand = current()
        return at_hand is not None and at_hand.tool == kind

    points = []
    for number, case in enumerate(found):
        if case.point:
            step = f"{case.step} {number}" if case.step else None
            kind = f"{case.kind} {number}"
            names = [case.point, *(["during_recovery"] if case.again else [])]
            points += [Failpoint(name, "raise", step, only=partial(is_it, kind)) for name in names]
    return points


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.timeout(scale_timeout(75))
async def test_whatever_happens_each_thing_is_made_once_and_each_operation_ends(
    kind: str, warehouse: Warehouse, folder: Path, address: str | None, is_soak: bool
) -> None:
    # All with one step; of those with more, whose steps differ in nothing, a part that holds every point and fault.
    every = list(cases((kind,)))[:: 1 if is_soak or kind == "scale" else 5]
    missed: list[Case] = []
    for first, repeat in product(range(0, len(every), 60), range(_REPEATS)):
        batch = every[first : first + 60] if repeat == 0 else missed
        if not batch:
            continue
        points = failpoints_of(batch)
        with armed(*points):
            async with at_work(folder / f"{first}-{repeat}", warehouse.url, address) as operations:
                ends = await carry_out(batch, operations, warehouse)
        assert {end.title: end.state for end in ends if end.state is not State.SUCCEEDED} == {}
        assert {thing: count for thing, count in warehouse.made.items() if count != 1} == {}
        assert len(warehouse.made) == len(batch) * len(STEPS[kind])
        warehouse.made.clear()
        missed = _missed(batch, points)
        assert not missed or repeat + 1 < _REPEATS, [case.name for case in missed]


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.timeout(scale_timeout(75))
async def test_a_cancel_at_any_point_ends_with_all_taken_back_or_all_made(
    kind: str, warehouse: Warehouse, folder: Path
) -> None:
    every = [case for case in cases((kind,)) if case.point and case.fault is None and not case.again]
    # Nothing is to be lost here, so an answer may take as long as a loaded machine needs.
    async with at_work(folder, warehouse.url, limit_s=scale_timeout(5)) as operations:

        async def cancel_and_die() -> None:
            at_hand = current()
            assert at_hand is not None
            await operations.cancel(at_hand.id, ANNA)
            raise InjectedFailure("cancelled")

        points = failpoints_of(every)
        for point in points:
            point.action = cancel_and_die
        with armed(*points, Failpoint("before_tidy", "raise", nth=3)):
            ends = await carry_out(every, operations, warehouse)
    assert [point.point for point in points if not point.reached] == []
    assert len(ends) == len(every)
    for end in ends:
        there = {thing for thing in warehouse.made if thing.startswith(end.id) and warehouse.has(thing)}
        whole = len(STEPS[kind])
        assert (end.state, len(there)) in ((State.CANCELLED, 0), (State.SUCCEEDED, whole)), end.title
    assert warehouse.duplicates == {}
    assert {end.state for end in ends} >= {State.CANCELLED}


async def test_what_was_submitted_and_nothing_more_is_carried_out(warehouse: Warehouse, folder: Path) -> None:
    async with at_work(folder, warehouse.url) as operations:
        with armed(Failpoint("after_submit", "raise")), pytest.raises(InjectedFailure):
            await submitted(operations, "deploy")
        (there,) = await operations.find(ANNA)
        assert (await operations.wait(there.id, scale_timeout(20))).state is State.SUCCEEDED
    assert set(warehouse.made.values()) == {1}


async def test_a_refusal_ends_the_operation_and_nothing_after_it_is_sent(warehouse: Warehouse, folder: Path) -> None:
    warehouse.refuses.add("workload")
    async with at_work(folder, warehouse.url) as operations:
        end = await operations.wait(
            (await submitted(operations, "leave", steps=["config", "workload", "x"])).id, scale_timeout(20)
        )
    assert end.state is State.FAILED
    assert end.outcome is not None
    assert end.outcome.error is not None
    assert (end.outcome.error["code"], end.outcome.error["message"]) == ("forbidden", "the warehouse refuses.")
    assert [thing.split("/")[1] for thing in warehouse.made] == ["config"]


async def test_a_provider_that_stays_down_is_asked_so_often_and_no_more(warehouse: Warehouse, folder: Path) -> None:
    warehouse.faults["scale"] = ["busy"] * 100
    async with at_work(folder, warehouse.url) as operations:
        base = operations.kinds["leave"]
        operations.kinds["few"] = Kind("few", base.run, 60, retries=2)
        end = await operations.wait((await submitted(operations, "few", steps=["scale"])).id, scale_timeout(30))
    assert (end.state, end.attempt, 100 - len(warehouse.faults["scale"])) == (State.FAILED, 3, 3)
    assert warehouse.made == {}


async def test_what_cannot_be_looked_up_is_unknown_and_never_sent_again(warehouse: Warehouse, folder: Path) -> None:
    async def run(run: Run) -> Outcome:
        async def do() -> dict[str, Any]:
            raise OutcomeUnknown("no answer")

        await run.step("blind", do)
        raise AssertionError("unreachable")

    async with at_work(folder, warehouse.url) as operations:
        operations.kinds["blind"] = Kind("blind", run, 60)
        end = await operations.wait((await submitted(operations, "blind")).id, scale_timeout(20))
        assert end.state is State.UNKNOWN
        assert end.outcome is not None
        assert "whether the step blind happened is not known" in end.outcome.text
        assert [step.state for step in end.steps] == [StepState.UNKNOWN]
        again = await submitted(operations, "blind")
        assert again.id != end.id


async def test_a_step_is_looked_up_until_the_provider_answers_again(warehouse: Warehouse, folder: Path) -> None:
    warehouse.faults["scale"] = ["fail_after"]
    async with at_work(folder, warehouse.url) as operations:
        asked = await submitted(operations, "scale")
        warehouse.blind[f"{asked.id}/scale"] = 4
        assert (await operations.wait(asked.id, scale_timeout(30))).state is State.SUCCEEDED
    assert (warehouse.made[f"{asked.id}/scale"], warehouse.asked[f"{asked.id}/scale"]) == (1, 5)


async def test_at_its_deadline_an_operation_takes_back_what_it_made(warehouse: Warehouse, folder: Path) -> None:
    async with at_work(folder, warehouse.url) as operations:
        base = operations.kinds["deploy"]

        async def slow(run: Run) -> Outcome:
            await operations.kinds["scale"].run(run)
            await anyio.sleep(30)
            raise AssertionError("unreachable")

        operations.kinds["slow"] = Kind("slow", slow, 0.8, tidy=base.tidy)
        end = await operations.wait((await submitted(operations, "slow", steps=["a", "b"])).id, scale_timeout(20))
    assert (end.state, end.outcome and end.outcome.text) == (State.FAILED, "all is taken back")
    assert [warehouse.has(thing) for thing in warehouse.made] == [False, False]
