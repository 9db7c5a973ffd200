"""The breaker against a model of twenty lines, under every order of calls, outcomes and time."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, rule

from klepaas.resilience.breaker import Breaker, State, Ticket
from klepaas.testing.clock import FakeClock

FAIL_MAX = 3
OPEN_S = 30
# The state's number, the row of failures, and the failures when a call was let through.
Admission = tuple[int, int, int]


@dataclass
class Model:
    """What the breaker is supposed to be; whole seconds, so that nothing rounds."""

    state: str = "closed"
    failures: int = 0
    age_s: int = 0
    era: int = 0
    probing: bool = False
    row: int = 0
    history: list[str] = field(default_factory=list)

    def go(self, state: str) -> None:
        self.state, self.age_s, self.probing, self.era = state, 0, False, self.era + 1
        self.history.append(state)
        self.failures = 0 if state == "closed" else self.failures

    def admit(self) -> Admission | None:
        if self.state == "open" and self.age_s >= OPEN_S:
            self.go("half-open")
        if self.state == "open" or (self.state == "half-open" and self.probing):
            return None
        self.probing = self.state == "half-open"
        return self.era, self.row, self.failures

    def settle(self, admission: Admission, outcome: str) -> None:
        era, row, failures_before = admission
        if era != self.era:
            return
        self.probing = False
        # Another call that was under way at the same time has reported this failure already.
        known = (row == self.row and failures_before < self.failures) or (row != self.row and self.failures > 0)
        if outcome == "success":
            self.failures = 0
            self.row += 1
            if self.state == "half-open":
                self.go("closed")
        elif outcome == "failure" and (self.state == "half-open" or not known):
            self.failures += 1
            if self.state == "half-open" or self.failures >= FAIL_MAX:
                self.go("open")


class BreakerMachine(RuleBasedStateMachine):
    """Drives both with the same steps."""

    tickets: Bundle[tuple[Ticket, Admission]] = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.model = Model()
        self.seen: list[str] = []
        self.breaker = Breaker(FAIL_MAX, OPEN_S, self.clock, lambda _, new: self.seen.append(new.value))

    @rule(target=tickets)
    def a_call_comes(self) -> MultipleResults[tuple[Ticket, Admission]] | tuple[Ticket, Admission]:
        ticket, admission = self.breaker.admit(), self.model.admit()
        assert (ticket is None) == (admission is None)
        return multiple() if ticket is None or admission is None else (ticket, admission)

    @rule(ticket=consumes(tickets), outcome=st.sampled_from(["success", "failure", "failure", "cancelled"]))
    def a_call_ends(self, ticket: tuple[Ticket, Admission], outcome: str) -> None:
        given, admission = ticket
        {"success": given.success, "failure": given.failure, "cancelled": given.release}[outcome]()
        self.model.settle(admission, outcome)

    @rule(seconds=st.sampled_from([1, OPEN_S - 1, OPEN_S]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.model.age_s += seconds

    @rule(seconds=st.integers(-100_000, 100_000))
    def somebody_sets_the_wall_clock(self, seconds: int) -> None:
        self.clock.shift_wall(seconds)

    @invariant()
    def both_agree(self) -> None:
        assert (self.breaker.state.value, self.breaker.failures) == (self.model.state, self.model.failures)
        assert self.seen == self.model.history

    @rule(outcomes=st.lists(st.sampled_from(["failure", "cancelled"]), max_size=3))
    def an_upstream_that_is_back_gets_a_call_through_within_the_open_time(self, outcomes: list[str]) -> None:
        """Whatever happened before; only a call that tries may be under way, and it comes to its end."""
        self.time_passes(OPEN_S)
        for outcome in outcomes:
            for ticket in self.a_call_that_is_let_through():
                self.a_call_ends(ticket, outcome)
            self.time_passes(OPEN_S)
        if self.model.probing:
            return
        ticket = self.a_call_that_is_let_through()[0]
        self.a_call_ends(ticket, "success")
        assert self.breaker.state is State.CLOSED

    def a_call_that_is_let_through(self) -> list[tuple[Ticket, Admission]]:
        ticket, admission = self.breaker.admit(), self.model.admit()
        assert (ticket is None) == (admission is None)
        return [] if ticket is None or admission is None else [(ticket, admission)]

    @invariant()
    def a_closed_one_refuses_nobody_and_an_open_one_says_when(self) -> None:
        retry_in_s = self.breaker.retry_in_s
        if self.breaker.state is State.CLOSED:
            assert retry_in_s is None
        if self.model.state == "open":
            assert (retry_in_s or 0) == max(0, OPEN_S - self.model.age_s)


BreakerMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestBreakerMachine = BreakerMachine.TestCase
