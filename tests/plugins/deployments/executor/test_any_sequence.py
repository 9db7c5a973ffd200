"""Whatever happens, in whatever order: it never restores over a healthy wanted state, never ends while own changes are
half done unless it says so, and always ends when the cluster is reachable and quiet.

`KLEPAAS_TEST_SOAK=1` plays many more sequences, others each time.
"""

import os
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.plugins.deployments.executor.simulation import KEYS, OUTCOMES, SERVICE, SETTINGS, WEB, Process, Thing, World

from klepaas.testing import scale_timeout
from klepaas_plugins.deployments.executor.decisions import End, Ended, Restore, Verify
from klepaas_plugins.deployments.executor.intent import ObjectKey, Phase
from klepaas_plugins.deployments.executor.observed import NamespaceState, PrincipalState, Trouble
from klepaas_plugins.deployments.executor.recording import record_cancel

IS_SOAK = os.environ.get("KLEPAAS_TEST_SOAK") == "1"
SETTINGS_OF_RUN = settings(
    max_examples=2000 if IS_SOAK else 500,
    stateful_step_count=60 if IS_SOAK else 30,
    deadline=None,
    derandomize=not IS_SOAK,
    database=None,
)
ends: Counter[str] = Counter()
is_running = precondition(lambda self: self.process is not None and self.process.ended is None)
key = st.sampled_from(KEYS)
# Whether there is a release to go back to, whether the workload was a person's, whether it has a progress deadline.
FLAGS = st.tuples(st.booleans(), st.booleans(), st.booleans())
HEALTH = st.sampled_from(["good", "bad", "slow"])


def small_world() -> World:
    return World({SETTINGS: Thing("old"), WEB: Thing("old"), SERVICE: None})


class Sequences(RuleBasedStateMachine):
    """A change, and everything that others do to it."""

    process: Process | None = None

    @initialize(flags=FLAGS, new=HEALTH, looks=st.integers(0, 3))
    def begin(self, flags: tuple[bool, bool, bool], new: str, looks: int) -> None:
        world = small_world()
        world.health["new"] = new
        has_target, web_is_a_persons, world.has_progress_deadline = flags
        self.process = Process.begin(world, has_target=has_target, web_is_a_persons=web_is_a_persons)
        self._look(looks, 1.0)

    def _look(self, looks: int, seconds: float) -> None:
        for _ in range(looks):
            if self.running.ended is None:
                self.running.step()
                self.world.pass_time(seconds)

    @precondition(lambda self: self.process is not None and self.process.ended is not None)
    @rule(flags=FLAGS, new=HEALTH, looks=st.integers(0, 3))
    def another_change_begins(self, flags: tuple[bool, bool, bool], new: str, looks: int) -> None:
        self._count()
        self.begin(flags, new, looks)

    @property
    def running(self) -> Process:
        assert self.process is not None
        return self.process

    @property
    def world(self) -> World:
        return self.running.world

    @is_running
    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0, 11.0]), looks=st.integers(1, 5))
    def the_process_goes_on(self, seconds: float, looks: int) -> None:
        self._look(looks, seconds)

    @is_running
    @rule(seconds=st.sampled_from([0.5, 1.0, 11.0]), outcome=st.sampled_from(OUTCOMES), times=st.integers(1, 4))
    def the_process_goes_on_and_requests_are_disturbed(self, seconds: float, outcome: str, times: int) -> None:
        self.running.outcome, self.running.times = outcome, times
        self._look(times, seconds)

    @is_running
    @rule(seconds=st.sampled_from([1.0, 61.0]), cancels=st.booleans())
    def it_comes_to_life_while_nobody_looks(self, seconds: float, cancels: bool) -> None:
        self.world.set_health("new", "good")
        self.world.pass_time(seconds)
        if cancels:
            self.running.keep(record_cancel(self.running.intent))

    @is_running
    @rule(seconds=st.sampled_from([1.0, 61.0, 700.0, 36_000.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @is_running
    @rule(seconds=st.sampled_from([-36_000.0, -5.0, 0.0, 5.0, 36_000.0]))
    def somebody_sets_the_wall_clock(self, seconds: float) -> None:
        self.world.wall_ahead_s = seconds

    @is_running
    @rule()
    def the_process_is_killed(self) -> None:
        self.running.crash()

    @is_running
    @rule(key=key, trouble=st.sampled_from([*Trouble, None, None, None]))
    def requests_fail_or_do_so_no_more(self, key: ObjectKey, trouble: Trouble | None) -> None:
        self.world.errors.clear()
        if trouble is not None:
            self.world.errors[key] = trouble

    @is_running
    @rule(trouble=st.sampled_from([Trouble.UNREACHABLE, Trouble.CREDENTIALS]))
    def the_whole_cluster_is_away(self, trouble: Trouble) -> None:
        self.world.errors.update(dict.fromkeys(KEYS, trouble))

    @is_running
    @rule(key=key, value=st.sampled_from(["another", "new"]), manager=st.sampled_from(["argocd", "kubectl-edit"]))
    def somebody_else_writes(self, key: ObjectKey, value: str, manager: str) -> None:
        thing = self.world.things[key]
        if thing is not None:
            thing.set(value, manager, self.world.cluster_s)

    @is_running
    @rule(key=key, how=st.sampled_from(["at once", "slowly", "and makes it again"]))
    def somebody_deletes(self, key: ObjectKey, how: str) -> None:
        thing = self.world.things[key]
        if thing is None:
            return
        if thing.is_found:
            self.world.deleted.add(key)
        thing.is_ending = how == "slowly"
        if how != "slowly":
            again = Thing("another", "argocd", changed_s=self.world.cluster_s)
            self.world.things[key] = again if how == "and makes it again" else None

    @is_running
    @rule(value=st.sampled_from(["old", "new"]), health=st.sampled_from(["good", "good", "bad", "slow"]))
    def pods_get_well_or_ill(self, value: str, health: str) -> None:
        self.world.set_health(value, health)

    @is_running
    @rule(is_paused=st.booleans())
    def a_person_pauses_or_resumes(self, is_paused: bool) -> None:
        if self.world.is_paused != is_paused:
            self.world.is_paused, self.world.healthy_since_s = is_paused, self.world.cluster_s

    @is_running
    @rule(chance=st.integers(0, 3))
    def somebody_cancels(self, chance: int) -> None:
        if chance == 0:
            self.running.keep(record_cancel(self.running.intent))

    @is_running
    @rule(state=st.sampled_from(PrincipalState), is_fenced=st.booleans())
    def another_process_holds_it_or_another_user_is_here(self, state: PrincipalState, is_fenced: bool) -> None:
        self.world.principal, self.world.is_fenced = state, is_fenced

    @is_running
    @rule(chance=st.integers(0, 9))
    def a_newer_change_comes_or_the_namespace_ends(self, chance: int) -> None:
        if chance == 0:
            self.world.newer_operation = "op-2"
        if chance == 1:
            self.world.namespace = NamespaceState.ENDING

    def teardown(self) -> None:
        if self.process is None:
            return
        self.process.run_to_the_end()
        self._count()

    def _count(self) -> None:
        ended = self.running.ended
        ends[str(ended.end) if isinstance(ended, Ended) else type(ended).__name__] += 1


@pytest.mark.timeout(scale_timeout(900 if IS_SOAK else 60))
def test_whatever_happens_no_healthy_state_is_undone_nothing_is_left_unsaid_and_it_ends() -> None:
    ends.clear()
    run_state_machine_as_test(Sequences, settings=SETTINGS_OF_RUN)
    print(dict(ends.most_common()))
    # A run that never came to these would show little.
    assert {"Verify", End.SUPERSEDED, End.DELETED} <= set(ends)


# Single stories, each of which the sequences above hold somewhere.


def play(*, new: str = "good", has_target: bool = True) -> Process:
    world = small_world()
    world.health["new"] = new
    return Process.begin(world, has_target=has_target, web_is_a_persons=False)


def test_a_good_change_is_verified_and_a_bad_one_goes_back() -> None:
    good, bad = play(), play(new="bad")
    good.run_to_the_end()
    bad.run_to_the_end()
    assert isinstance(good.ended, Verify)
    assert isinstance(bad.ended, Ended)
    assert bad.ended.end is End.ROLLED_BACK
    things = bad.world.things
    web, service = things[WEB], things[SERVICE]
    assert (web.value if web else None, service) == ("old", None)


@pytest.mark.parametrize("new", ["good", "bad"])
def test_a_process_that_is_killed_every_ten_seconds_still_decides(new: str) -> None:
    process = play(new=new)
    for _ in range(12):
        for _ in range(5):
            if process.ended is None:
                process.step()
                process.world.pass_time(2.0)
        process.crash()
    assert isinstance(process.ended, Verify if new == "good" else Ended)


def test_a_laptop_that_is_closed_after_the_deployment_and_opened_next_morning_undoes_nothing() -> None:
    process = play(new="slow")
    for _ in range(3):
        process.step()
        process.world.pass_time(5.0)
    process.world.set_health("new", "good")
    process.world.pass_time(36_000.0)
    process.run_to_the_end()
    assert isinstance(process.ended, Verify)
    assert not any(isinstance(one, Restore) for one in process.decisions)


def test_an_outage_of_ten_hours_in_the_middle_of_going_back_is_waited_for_and_it_goes_back() -> None:
    process = play(new="bad")
    while process.intent.phase is not Phase.RESTORE:
        process.step()
        process.world.pass_time(2.0)
    process.world.errors.update(dict.fromkeys(KEYS, Trouble.UNREACHABLE))
    for _ in range(600):
        process.step()
        process.world.pass_time(60.0)
    process.run_to_the_end()
    assert isinstance(process.ended, Ended)
    assert process.ended.end is End.ROLLED_BACK
