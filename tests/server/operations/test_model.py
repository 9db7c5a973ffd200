"""The journal against a small model of it: whatever processes do in whatever order, both say the same."""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydantic import SecretStr
from sqlalchemy.orm import Session
from tests.server.operations.work import ANNA, BERT

from klepaas.errors import BadRequest, Conflict
from klepaas.operations import Fenced, Operation, Outcome, State, StepState, journal, leases
from klepaas.operations.bodies import Bodies
from klepaas.operations.journal import Submission
from klepaas.operations.records import LEFT_AFTER_S
from klepaas.store import Store
from klepaas.store.keys import Keys
from klepaas.testing import scale_timeout

T = TypeVar("T")
BODIES = Bodies(Keys(Path("unused"), SecretStr("A" * 43 + "=")))
LEASE_S = 10.0
TARGETS, PROCESSES, STEPS = ("web", "db"), ("p1", "p2", "p3"), ("a", "b")
OWNERS = {"anna": ANNA, "bert": BERT}


@dataclass
class Modelled:
    """An operation as the model knows it."""

    id: str
    target: str
    owner: str
    request: int
    key: str | None
    holder: str | None
    lease_until: float
    epoch: int = 1
    attempt: int = 1
    state: State = State.RUNNING
    not_before: float = 0.0
    retried: bool = False
    cancelled: bool = False
    touched_at: float = 0.0
    steps: dict[str, StepState] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return not self.state.ended


def claim(operation_id: str, epoch: int, process: str, session: Session) -> bool:
    return leases.claim(session, operation_id, epoch, process, LEASE_S)


def get(operation_id: str, session: Session) -> Operation | None:
    return journal.get(session, operation_id, None)


class Journal(RuleBasedStateMachine):
    """Three processes on one store, of which each believes what it last knew."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="klepaas-model-"))
        self.store = Store(self.folder)
        self.now = 1_000_000.0
        self.clocks = [mock.patch.object(module, "now_of", self.time) for module in (journal, leases)]
        for clock in self.clocks:
            clock.start()
        self.model: dict[str, Modelled] = {}
        # The epoch under which a process believes to hold an operation.
        self.believed: dict[tuple[str, str], int] = {}

    def teardown(self) -> None:
        for clock in self.clocks:
            clock.stop()
        self.store._close()
        shutil.rmtree(self.folder)

    def time(self, _: Session) -> float:
        return self.now

    def write(self, work: Callable[[Session], T]) -> T:
        return self.store._in_transaction(work, True)

    def held(self, data: Any) -> tuple[str, Modelled, int] | None:
        """Something that some process believes to hold."""
        if not self.believed:
            return None
        process, operation_id = data.draw(st.sampled_from(list(self.believed)))
        return process, self.model[operation_id], self.believed[process, operation_id]

    def may_write(self, operation: Modelled, epoch: int) -> bool:
        return operation.is_open and operation.epoch == epoch and operation.holder is not None

    @rule(
        process=st.sampled_from(PROCESSES), on=st.sampled_from(TARGETS), owner=st.sampled_from(sorted(OWNERS)),
        request=st.integers(0, 1), key=st.sampled_from([None, None, "k1", "k2"]),
    )  # fmt: skip
    def submit(self, process: str, on: str, owner: str, request: int, key: str | None) -> None:
        wanted = Submission("kind", on, "Title", {"n": request}, OWNERS[owner], key, 1e6)
        same = (on, request)
        keyed = next((one for one in self.model.values() if key and (one.owner, one.key) == (owner, key)), None)
        running = next((one for one in self.model.values() if one.is_open and one.target == on), None)
        there = keyed or running
        is_other = there is not None and ((there.target, there.request), there.owner) != (same, owner)
        if is_other and keyed is None and running is not None and self.is_left(running):
            running.state = State.UNKNOWN if StepState.INTENT in running.steps.values() else State.CANCELLED
            running.holder, there = None, None
        if there is not None and ((there.target, there.request), there.owner) != (same, owner):
            with pytest.raises(BadRequest if keyed else Conflict):
                self.write(lambda session: journal.submit(session, wanted, process, LEASE_S, bodies=BODIES))
            return
        found, is_new = self.write(lambda session: journal.submit(session, wanted, process, LEASE_S, bodies=BODIES))
        assert is_new == (there is None)
        if there is not None:
            assert found.id == there.id
            return
        self.model[found.id] = Modelled(found.id, on, owner, request, key, process, self.now + LEASE_S)
        self.believed[process, found.id] = 1

    def is_left(self, one: Modelled) -> bool:
        """Whether nobody has carried it out for so long that a newer change supersedes it."""
        if one.holder is None:
            return one.not_before <= self.now and self.now - one.touched_at > LEFT_AFTER_S
        return self.now - one.lease_until > LEFT_AFTER_S

    @rule(by_s=st.sampled_from([0.5, 4.0, 11.0, 70.0]))
    def time_passes(self, by_s: float) -> None:
        self.now += by_s

    @rule(process=st.sampled_from(PROCESSES), late=st.booleans())
    def take(self, process: str, late: bool) -> None:
        free = [
            one for one in self.model.values()
            if one.is_open and (one.holder is None or one.lease_until <= self.now) and one.not_before <= self.now
        ]  # fmt: skip
        found, _ = self.write(lambda session: leases.candidates(session, process))
        assert sorted(operation.id for operation, _ in found) == sorted(one.id for one in free)
        for operation, epoch in found[:1]:
            mine = self.model[operation.id]
            seen = epoch - 1 if late else epoch
            got = self.write(partial(claim, operation.id, seen, process))
            assert got is not late
            if got:
                mine.attempt += mine.holder is not None or mine.retried
                mine.holder, mine.epoch, mine.state, mine.retried = process, epoch + 1, State.RUNNING, False
                mine.lease_until, mine.not_before = self.now + LEASE_S, 0.0
                self.believed[process, mine.id] = mine.epoch

    @rule(data=st.data())
    def beat(self, data: Any) -> None:
        held = self.held(data)
        if held is None:
            return
        process, one, epoch = held
        found = self.write(lambda session: leases.renew(session, {one.id: leases.Held(epoch)}, process, LEASE_S))
        keeps = self.may_write(one, epoch) and one.holder == process
        assert (found[one.id].kept, found[one.id].cancel_requested) == (keeps, keeps and one.cancelled)
        if keeps:
            one.lease_until = self.now + LEASE_S

    @rule(data=st.data(), step=st.sampled_from(STEPS), tidying=st.booleans(), again=st.booleans())
    def intend(self, data: Any, step: str, tidying: bool, again: bool) -> None:
        held = self.held(data)
        if held is None:
            return
        _, one, epoch = held

        def work(session: Session) -> journal.Intent:
            return journal.intend(session, one.id, epoch, step, LEASE_S, tidying=tidying, again=again)

        if not self.may_write(one, epoch):
            with pytest.raises(Fenced):
                self.write(work)
            return
        found = self.write(work)
        before = one.steps.get(step)
        again = again and before is not None
        assert found.is_new == (before in (None, StepState.FAILED) or again)
        assert found.cancel_requested == one.cancelled
        if found.is_new and (tidying or not one.cancelled):
            one.steps[step] = StepState.INTENT
        one.lease_until = self.now + LEASE_S

    @rule(data=st.data(), step=st.sampled_from(STEPS), state=st.sampled_from(["done", "failed", "unknown"]))
    def settle(self, data: Any, step: str, state: str) -> None:
        held = self.held(data)
        if held is None:
            return
        _, one, epoch = held

        def work(session: Session) -> None:
            journal.settle(session, one.id, epoch, step, StepState(state), {})

        if not self.may_write(one, epoch):
            with pytest.raises(Fenced):
                self.write(work)
            return
        self.write(work)
        if step in one.steps:
            one.steps[step] = StepState(state)

    @rule(data=st.data(), retry_in_s=st.sampled_from([None, 5.0]))
    def release(self, data: Any, retry_in_s: float | None) -> None:
        held = self.held(data)
        if held is None:
            return
        process, one, epoch = held
        self.write(lambda session: leases.release(session, one.id, epoch, retry_in_s))
        if one.is_open and one.epoch == epoch:
            one.holder, one.state, one.lease_until, one.touched_at = None, State.PENDING, 0.0, self.now
            one.not_before, one.retried = (0.0, False) if retry_in_s is None else (self.now + retry_in_s, True)
        del self.believed[process, one.id]

    @rule(data=st.data(), state=st.sampled_from([State.SUCCEEDED, State.FAILED, State.CANCELLED]))
    def conclude(self, data: Any, state: State) -> None:
        held = self.held(data)
        if held is None:
            return
        process, one, epoch = held

        def work(session: Session) -> Outcome:
            return journal.conclude(session, one.id, epoch, Outcome(state, "text"))

        del self.believed[process, one.id]
        if not self.may_write(one, epoch):
            with pytest.raises(Fenced):
                self.write(work)
            return
        open_step = StepState.INTENT in one.steps.values()
        one.state = State.UNKNOWN if open_step and state is not State.SUCCEEDED else state
        assert self.write(work).state is one.state
        one.holder = None

    @rule(data=st.data(), owner=st.sampled_from(sorted(OWNERS)))
    def cancel(self, data: Any, owner: str) -> None:
        if not self.model:
            return
        one = self.model[data.draw(st.sampled_from(list(self.model)))]
        found = self.write(lambda session: journal.cancel(session, one.id, OWNERS[owner].owner))
        assert (found is not None) == (owner == one.owner)
        if found is not None and one.is_open:
            if not one.cancelled:
                one.not_before, one.retried, one.touched_at = 0.0, False, self.now
            one.cancelled = True

    @invariant()
    def both_say_the_same(self) -> None:
        for one in self.model.values():
            found = self.store._in_transaction(partial(get, one.id), False)
            assert found is not None
            assert (found.state, found.attempt, found.cancel_requested) == (one.state, one.attempt, one.cancelled)
            assert {step.name: step.state for step in found.steps} == one.steps
        for target in TARGETS:
            assert sum(one.is_open for one in self.model.values() if one.target == target) <= 1


IS_SOAK = os.environ.get("KLEPAAS_TEST_SOAK") == "1"
TestJournal = pytest.mark.timeout(scale_timeout(300))(Journal.TestCase)
TestJournal.settings = settings(
    max_examples=500 if IS_SOAK else 25,
    stateful_step_count=50 if IS_SOAK else 30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
