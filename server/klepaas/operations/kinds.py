"""What a plugin needs to offer a kind of operation: kinds, outcomes, states, and how work is interrupted.

Plain data, imported at every start, so it imports little; `klepaas.operations.model` has what the journal gives.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from klepaas.operations.model import Operation
    from klepaas.operations.origin import ActingUser
    from klepaas.operations.run import Run

__all__ = [
    "PLANNED",
    "DeadlinePassed",
    "Fenced",
    "GaveUp",
    "Interrupted",
    "JournalBroken",
    "Kind",
    "Location",
    "OperationCancelled",
    "Outcome",
    "State",
    "StepUnknown",
    "Stopping",
]


# Under this name a request keeps what was planned and confirmed; it is no part of what is asked for.
PLANNED = "planned"


class State(StrEnum):
    """How an operation is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (State.PENDING, State.RUNNING)


class Interrupted(Exception):
    """Carrying an operation out must stop here.

    It is no `KlepaasError`: a kind that takes an upstream's errors for the work's failure must let it pass.
    """


class OperationCancelled(Interrupted):
    """Somebody asked for the operation to be cancelled."""


class DeadlinePassed(Interrupted):
    """The operation's deadline is over."""


class GaveUp(Interrupted):
    """It was tried as often as it may be; the cause is chained."""


class StepUnknown(Interrupted):
    """A step was sent, and nobody can tell whether it happened.

    Args:
        step: The step's name.
        why: What is known, one sentence.
    """

    def __init__(self, step: str, why: str) -> None:
        super().__init__(f"{step}: {why}")
        self.step = step
        self.why = why


class Fenced(Interrupted):
    """Another process carries the operation out now; nothing more may be done here."""


class Stopping(Interrupted):
    """This server stops; the next one goes on from the last step that is done."""


class JournalBroken(Interrupted):
    """The journal cannot be written, so nothing more may be sent."""


@dataclass(frozen=True)
class Location:
    """Where an operation works, by the names that people use; its target is what identifies the place.

    Attributes:
        context: The cluster's context, or the upstream's name. None: it has none, or it is not known.
        namespace: The namespace in it. None: it has none, or it is not known.
    """

    context: str | None = None
    namespace: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How an operation ended: what `get_operation` and a tool that waited for it answer.

    Texts are redacted when they are stored.

    Attributes:
        state: The state it ended in.
        text: For people and models; may span lines.
        facts: The few values that a program would want, as JSON data.
        error: Of a `KlepaasError`: its `code`, `message`, `next_step` and `details`. None: it did not fail.
    """

    state: State
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of operation, offered with the hook `klepaas_operation_kinds`.

    Attributes:
        name: One among all plugins: "deploy".
        run: Does the work. It is called once, and from the start again after a crash, a restart of the server or a
            temporary failure; so every effect goes through `Run.step`, and between the effects it only reads.
        deadline_s: Longest time an operation may take, in seconds; what passes while no server carries it out, or while
            it waits (`Run.wait`), does not count.
        takes: Whether this process can reach the very same target (the same API server and CA); an error means that
            this is not known, and it is asked again soon. None: always.
        identify: Whom the upstream of a request takes this process for, by its credentials; only the same user may go
            on with what was begun. A result of None: the upstream never tells; an error: not now. None: nobody can
            tell, and only a process of the same user of the same machine goes on.
        tidy: Leaves things in order where the work was cancelled, is too late or was given up; gets the reason, one of
            `OperationCancelled`, `DeadlinePassed`, `GaveUp`. It may make steps. None: what is done stays.
        tidy_s: What that gets, in seconds.
        end_unread: Ends an operation that has begun and whose request cannot be read any more: its key is lost. Gets
            the run and why, as part of a sentence. Readable are target, title, location, notes, the names and states
            of steps, and the masked form of the request; of what an earlier step gave, nothing. It looks what is
            there, and may make steps within `tidy_s`. None, or an outcome of None: it ends as unknown.
        retries: How often it is tried again after a crash or a temporary failure.
        describe: What an operation that another one supersedes has changed and what stays, a line each, from its record
            alone. None: its steps say it.
    """

    name: str
    run: "Callable[[Run], Awaitable[Outcome]]"
    deadline_s: float = 900.0
    takes: Callable[[Mapping[str, Any]], Awaitable[bool]] | None = None
    identify: "Callable[[Mapping[str, Any]], Awaitable[ActingUser | None]] | None" = None
    tidy: "Callable[[Run, Interrupted], Awaitable[Outcome]] | None" = None
    tidy_s: float = 300.0
    end_unread: "Callable[[Run, str], Awaitable[Outcome | None]] | None" = None
    retries: int = 8
    describe: "Callable[[Operation], Sequence[str]] | None" = None
