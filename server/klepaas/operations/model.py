"""An operation and its steps as the journal knows them at one moment: plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from klepaas.operations.kinds import Location, Outcome, State
from klepaas.operations.origin import Origin
from klepaas.principals import Principal

__all__ = ["Operation", "StepRecord", "StepState", "Superseded", "Waiting"]


class StepState(StrEnum):
    """How a step is: meant, done, known not to have happened, or sent without anybody knowing what became of it."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class StepRecord:
    """What the journal knows of one step.

    Attributes:
        name: The step.
        state: How it is.
        intended_at: When it was last meant, in seconds since 1970.
        ended_at: When it was done, failed or given up. None: not yet.
        result: What it gave; forgotten when the operation has ended.
    """

    name: str
    state: StepState
    intended_at: float
    ended_at: float | None = None
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Waiting:
    """What an operation waits for; it writes nothing meanwhile, so a newer change of its target takes its place.

    Attributes:
        reason: What it waits for, in one line.
        since: Since when, in seconds since 1970.
        until: When it looks again at the latest, in seconds since 1970. None: that is not known.
    """

    reason: str
    since: float
    until: float | None = None


@dataclass(frozen=True, kw_only=True)
class Superseded:
    """The operation whose place another one took.

    Attributes:
        id: Its handle.
        title: What it did, in a few words.
        waited_for: What it waited for.
        notes: What it had noted: what it would have gone back to is what its successor goes back to.
        has_begun: Whether it had changed anything, or may have.
    """

    id: str
    title: str
    waited_for: str
    notes: Mapping[str, Any] = field(default_factory=dict)
    has_begun: bool = False


@dataclass(frozen=True)
class Operation:
    """An operation as the journal knows it at one moment. Times are seconds since 1970.

    Attributes:
        id: Its handle.
        kind: The name of its kind.
        target: What it works on: one operation at a time does.
        title: What it does, in a few words for people.
        request: What was asked for, as JSON data: whole for who carries it out, masked for everybody else.
        principal: On whose behalf.
        state: How it is.
        attempt: How often it was taken up, from 1 on; 0: not yet.
        created_at: When it was submitted.
        updated_at: When the journal last changed it.
        deadline_at: When it must have ended, if it is attended all the time and never waits.
        ended_at: When it ended. None: not yet.
        cancel_requested: Whether somebody asked to cancel it.
        done: How far it is,
        total: of how much; 0: not known.
        line: What it is doing, in one line.
        notes: What the kind noted on the way.
        steps: Its steps, in order; empty where they were not asked for.
        outcome: How it ended. None: not yet.
        unattended_since: When the process that carried it out went away and no other took over. None: it is attended.
        location: Where it works, by the names that people use.
        origin: With what right it was begun. None: an earlier klepaas did not note it.
        hindrance: Why this server does not go on with it, as part of a sentence. None: nothing is known against it.
        next_attempt_at: Before then it is not taken up again. None: at once.
        waiting: What it waits for. None: it is at work, or has ended.
        supersedes: What it took the place of. None: nothing.
        attended_s: How much of its time is used, in seconds; being unattended and waiting do not count.
        kept_request: What was asked for, as the store keeps it; `klepaas.operations.bodies` opens it.
        request_digest: The digest of what was asked for.
    """

    id: str
    kind: str
    target: str
    title: str
    request: Mapping[str, Any]
    principal: Principal
    state: State
    attempt: int
    created_at: float
    updated_at: float
    deadline_at: float
    ended_at: float | None = None
    cancel_requested: bool = False
    done: float = 0.0
    total: float = 0.0
    line: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    outcome: Outcome | None = None
    unattended_since: float | None = None
    next_attempt_at: float | None = None
    location: Location = field(default_factory=Location)
    waiting: Waiting | None = None
    supersedes: Superseded | None = None
    attended_s: float = 0.0
    origin: Origin | None = None
    hindrance: str | None = None
    kept_request: Mapping[str, Any] = field(default_factory=dict, repr=False)
    request_digest: str = field(default="", repr=False)

    @property
    def seconds_left(self) -> float:
        """How much of its time is left, in seconds; never below 0."""
        return max(0.0, self.deadline_at - self.created_at - self.attended_s)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state.ended
