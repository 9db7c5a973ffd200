"""The loop over a world of its own, with a clock of its own: what it waits out, what it keeps, and how it goes on."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from klepaas.operations import Outcome, State
from klepaas.operations.failpoints import Failpoint, InjectedFailure, armed
from klepaas_plugins.deployments.executor.case import PAUSE_MAX_S
from klepaas_plugins.deployments.executor.decisions import Ended, Restore, Verify, Wait
from klepaas_plugins.deployments.executor.intent import Intent, ObjectKey, Phase
from klepaas_plugins.deployments.executor.loop import carry_out
from klepaas_plugins.deployments.executor.observed import Moment, Observed, Trouble
from klepaas_plugins.deployments.executor.recording import record_cancel

from .simulation import KEYS, WEB, Process, Thing, World

pytestmark = pytest.mark.anyio
LOOKS_MAX = 2000
OUTAGE_S = 10 * 3600.0
BEGAN_S = World({}).cluster_s


@dataclass
class SimulatedHands:
    """The loop's hands in a simulated cluster."""

    process: Process
    outage_s: float = 0.0
    looks: int = 0
    writes: int = 0
    waited_s: float = 0.0
    _seen: Observed | None = None

    def now(self) -> Moment:
        return self.process.world.now

    async def observe(self, _intent: Intent, before: Observed | None) -> Observed:
        self.looks += 1
        assert self.looks < LOOKS_MAX, "it does not end"
        self.process.before = before
        seen = self.process.look()
        objects = tuple(replace(one, error=one.error and replace(one.error, since_s=BEGAN_S)) for one in seen.objects)
        self._seen = replace(seen, objects=objects)
        return self._seen

    async def keep(self, intent: Intent) -> None:
        self.process.keep(intent)

    async def write(self, _intent: Intent, key: ObjectKey) -> tuple[Intent, bool]:
        assert self._seen is not None
        self.writes += 1
        self.process._write(key, self._seen)
        return self.process.intent, True

    async def wait(self, decision: Wait, _intent: Intent, _seen: Observed) -> None:
        world = self.process.world
        passed_s = max(0.1, decision.until_s - world.monotonic_s)
        world.pass_time(passed_s)
        self.waited_s += passed_s
        if self.waited_s >= self.outage_s:
            world.errors.clear()

    async def end(self, decision: Verify | Restore | Ended, intent: Intent, _seen: Observed) -> Outcome | None:
        if isinstance(decision, Restore):
            return Outcome(State.ROLLED_BACK, decision.failure.text)
        if isinstance(decision, Verify):
            assert self.process.world.is_proven(intent), "verified what is not so"
            return Outcome(State.SUCCEEDED, "verified")
        return Outcome(State.FAILED, decision.text)


def begin(**world: Any) -> SimulatedHands:
    there = World({KEYS[0]: Thing("old"), WEB: Thing("old"), KEYS[2]: None}, **world)
    return SimulatedHands(Process.begin(there, has_target=True, web_is_a_persons=False))


async def run(hands: SimulatedHands) -> Outcome:
    return await carry_out(hands.process.intent, hands)


async def test_a_change_is_written_once_and_verified_after_it_has_stayed_complete() -> None:
    hands = begin()
    assert (await run(hands)).state is State.SUCCEEDED
    assert hands.writes == len(KEYS)
    assert hands.process.intent.phase is Phase.APPLY


@pytest.mark.parametrize("trouble", [Trouble.UNREACHABLE, Trouble.CREDENTIALS, Trouble.RIGHTS, Trouble.RATE_LIMITED])
async def test_an_outage_of_ten_hours_is_waited_out_and_counts_into_no_deadline(trouble: Trouble) -> None:
    hands = begin()
    hands.outage_s = OUTAGE_S
    hands.process.world.errors = dict.fromkeys(KEYS, trouble)
    assert (await run(hands)).state is State.SUCCEEDED
    assert hands.waited_s >= OUTAGE_S
    assert hands.process.intent.attended_s <= 2 * PAUSE_MAX_S
    assert hands.looks < OUTAGE_S / PAUSE_MAX_S * 1.5, "it asks less often the longer it lasts"


async def test_a_failure_of_the_rollout_is_decided_once_with_its_cause() -> None:
    hands = begin(health={"old": "good", "new": "bad"})
    outcome = await run(hands)
    assert (outcome.state, outcome.text) == (State.ROLLED_BACK, "it crashes")


async def test_an_attended_deadline_is_kept_across_processes() -> None:
    hands = begin(health={"old": "good", "new": "unready"}, has_progress_deadline=False)
    outcome = await run(hands)
    assert outcome.state is State.ROLLED_BACK
    assert "deadline is over" in outcome.text
    assert hands.process.intent.attended_s >= hands.process.intent.deadline_s - 5.0, "it is on record"


@pytest.mark.parametrize("nth", range(1, 6))
async def test_a_process_that_dies_after_any_look_is_gone_on_with_and_nothing_is_written_twice(nth: int) -> None:
    hands = begin()

    async def die() -> None:
        raise InjectedFailure("observed")

    with armed(Failpoint("observed", die, nth=nth)):
        try:
            outcome = await run(hands)
        except InjectedFailure:
            hands.process.crash()
            outcome = await run(hands)
    assert outcome.state is State.SUCCEEDED
    assert hands.writes == len(KEYS)


async def test_what_another_writer_set_after_the_write_is_left_and_never_written_again() -> None:
    hands = begin()

    async def meet() -> None:
        thing = hands.process.world.things[WEB]
        assert thing is not None
        thing.set("theirs", "argocd-controller", hands.process.world.cluster_s)

    with armed(Failpoint("observed", meet, nth=2)):
        outcome = await run(hands)
    assert outcome.state is State.FAILED
    assert "superseded by argocd-controller" in outcome.text
    assert hands.writes == len(KEYS)


async def test_a_cancel_that_is_on_record_goes_back_with_the_next_look() -> None:
    hands = begin()

    async def die() -> None:
        raise InjectedFailure("observed")

    with armed(Failpoint("observed", die, nth=2)), pytest.raises(InjectedFailure):
        await run(hands)
    hands.process.keep(record_cancel(hands.process.intent))
    outcome = await run(hands)
    assert (outcome.state, outcome.text) == (State.ROLLED_BACK, "it was cancelled")
