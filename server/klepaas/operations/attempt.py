"""One attempt at an operation, and how it ends: with an outcome, or to be tried again.

The work may be cut short at any moment at which no step is under way. It knows no lease and no journal.
"""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

import anyio

from klepaas.errors import KlepaasError
from klepaas.observability import one_line
from klepaas.operations import failpoints
from klepaas.operations.holding import Holding
from klepaas.operations.kinds import (
    DeadlinePassed,
    GaveUp,
    Interrupted,
    Kind,
    OperationCancelled,
    Outcome,
    State,
    StepUnknown,
)
from klepaas.operations.model import Operation, StepState
from klepaas.operations.records import RETRY_MAX_S
from klepaas.output.verdict import nothing_changed

__all__ = ["Again", "attempt", "begun_steps", "end_unread"]

T = TypeVar("T")

log = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.5
# What ends its process even while it is left in order is left as it is.
_MOST_TIDYINGS = 3
# How it is known that an operation which cannot be read has changed nothing.
_NO_STEP = "no step of it is on record"


@dataclass(frozen=True)
class Again:
    """It is to be tried again.

    Attributes:
        in_s: Not before so many seconds.
        reason: What it waits for until then, in one line.
    """

    in_s: float
    reason: str


async def attempt(kind: Kind, holding: Holding) -> Outcome | Again:
    """Carry an operation out, or go on with it.

    Args:
        kind: What it is.
        holding: The operation.

    Raises:
        Fenced: Another process carries it out now.
        Stopping: This server stops.
        JournalBroken: The journal cannot be written.
    """
    operation = holding.operation
    try:
        if operation.attempt > kind.retries + 1:
            raise GaveUp(f"whoever carried it out went away {operation.attempt - 1} times")
        if operation.cancel_requested:
            holding.run.stop_for(OperationCancelled("somebody asked to cancel it"))
        return await _uncut(holding, lambda: kind.run(holding.run))
    except (OperationCancelled, DeadlinePassed, GaveUp) as exc:
        return await _tidied(kind, holding, exc)
    except StepUnknown as exc:
        return _unknown(operation, exc)
    except KlepaasError as exc:
        if not exc.retryable:
            return _failed(operation, exc, holding.run.begun)
        if operation.attempt <= kind.retries:
            log.info("operation %s is tried again: %s", operation.id, exc.line)
            return Again(_retry_in_s(operation.attempt), exc.line)
        reason = GaveUp(f"it was tried {operation.attempt} times; {exc.line}")
        reason.__cause__ = exc
        return await _tidied(kind, holding, reason)
    except Interrupted:
        raise
    except Exception as exc:  # noqa: BLE001 -- guarded boundary: a plugin's kind
        return _broke(operation, exc)


async def end_unread(kind: Kind | None, holding: Holding, why: str) -> Outcome | Again:
    """The end of an operation of which nobody can read any more what was asked for.

    Args:
        kind: What it is; it may know how to look what became of it. None: no plugin here has that kind.
        holding: The operation.
        why: Why it cannot be read, as part of a sentence.

    Raises:
        Fenced: Another process carries it out now.
        Stopping: This server stops.
        JournalBroken: The journal cannot be written.
    """
    operation = holding.operation
    if not begun_steps(operation) or kind is None or kind.end_unread is None:
        return _unread(operation, why)
    end, run = kind.end_unread, holding.run
    if operation.attempt > kind.retries + 1 + _MOST_TIDYINGS:
        return _unread(operation, why, f"looking was tried {operation.attempt - 1} times")
    run.begin_to_tidy(kind.tidy_s)
    try:
        found = await _uncut(holding, lambda: end(run, why))
        return found or _unread(operation, why)
    except StepUnknown as exc:
        return _unread(operation, why, str(exc))
    except DeadlinePassed:
        return _unread(operation, why, f"it took more than {kind.tidy_s:g} s")
    except KlepaasError as exc:
        if exc.retryable and operation.attempt <= kind.retries + _MOST_TIDYINGS:
            return Again(_retry_in_s(operation.attempt), exc.line)
        return _unread(operation, why, exc.line)
    except Interrupted:
        raise
    except Exception as exc:  # noqa: BLE001 -- guarded boundary: a plugin's kind
        return _unread(operation, why, _broke(operation, exc).text)


def begun_steps(operation: Operation) -> list[str]:
    """The steps of an operation that were made, or may have been.

    Args:
        operation: The operation, with its steps.
    """
    return [step.name for step in operation.steps if step.state is not StepState.FAILED]


def _unread(operation: Operation, why: str, trouble: str | None = None) -> Outcome:
    """The end of what cannot be read: nothing was changed, or that is not known; and why looking did not tell."""
    begun = begun_steps(operation)
    text = f"{operation.title}: what was asked for cannot be read any more, since {why}"
    if not begun:
        text = f"{text}. It had not begun: {nothing_changed(_NO_STEP)}. Ask for it again."
        return Outcome(State.FAILED, text, error={"code": "internal", "message": text, "retryable": False})
    place = ", ".join(part for part in (operation.location.namespace, operation.location.context) if part)
    advice = (
        f"It had begun ({', '.join(begun)}), and whether the rest happened is not known"
        f"{f': {trouble}' if trouble else ''}. "
        f"Look at {operation.target}{f' ({place})' if place else ''} before you change that again."
    )
    error = {"code": "internal", "message": f"{text}. {advice}", "retryable": False}
    return Outcome(State.UNKNOWN, f"{text}.\n{advice}", error=error)


async def _uncut(holding: Holding, work: Callable[[], Awaitable[T]]) -> T:
    """What the work gives, unless it is cut short: then why it was."""
    with anyio.CancelScope() as scope:
        holding.scope = scope
        holding.run.check()
        try:
            return await work()
        except ExceptionGroup as group:
            raise _first_of(group) from group
    raise holding.run.stops_for or AssertionError("nobody but `Holding.interrupt` cancels this")


def _first_of(group: BaseException) -> BaseException:
    """What an exception group of a kind's own tasks is about: why it was interrupted, else the first error."""
    if not isinstance(group, BaseExceptionGroup):
        return group
    found = [_first_of(one) for one in group.exceptions]
    return next((one for one in found if isinstance(one, Interrupted)), found[0])


async def _tidied(kind: Kind, holding: Holding, reason: Interrupted) -> Outcome | Again:
    """Leave things in order, as the kind knows how to."""
    operation, tidy = holding.operation, kind.tidy
    if tidy is None or operation.attempt > kind.retries + 1 + _MOST_TIDYINGS:
        return _ended_by(operation, reason)
    holding.run.begin_to_tidy(kind.tidy_s)
    await failpoints.reach("before_tidy")
    try:
        return await _uncut(holding, lambda: tidy(holding.run, reason))
    except StepUnknown as exc:
        return _unknown(operation, exc)
    except DeadlinePassed:
        return _left_as_it_is(holding, reason, f"it took more than {kind.tidy_s:g} s")
    except KlepaasError as exc:
        if exc.retryable and operation.attempt <= kind.retries + _MOST_TIDYINGS:
            return Again(_retry_in_s(operation.attempt), exc.line)
        return _left_as_it_is(holding, reason, exc.line)
    except Interrupted:
        raise
    except Exception as exc:  # noqa: BLE001 -- guarded boundary: a plugin's kind
        return _broke(operation, exc)


def _retry_in_s(attempt_number: int) -> float:
    return float(min(_FIRST_RETRY_S * 2 ** (attempt_number - 1), RETRY_MAX_S))


def _ended_by(operation: Operation, reason: Interrupted) -> Outcome:
    """The outcome of what was cut short and has no way to tidy up."""
    if isinstance(reason, OperationCancelled):
        text = f"{operation.title} was cancelled. What it had changed by then stays; see the steps."
        return Outcome(State.CANCELLED, text)
    if isinstance(reason, GaveUp) and isinstance(reason.__cause__, KlepaasError):
        return _failed(operation, reason.__cause__)
    code, why = ("timeout", "did not end in time") if isinstance(reason, DeadlinePassed) else ("internal", str(reason))
    return _failure(f"{operation.title} {why}. What it had changed by then stays; see the steps.", code)


def _left_as_it_is(holding: Holding, reason: Interrupted, why: str) -> Outcome:
    title, waited_for = holding.operation.title, holding.run.waits_for
    text = f"{title} was stopped ({reason}), and what it had changed could not be put in order: {why}"
    text += f", last waiting for: {waited_for}" if waited_for else ""
    return _failure(f"{text}. It needs a person. {_stays(holding.run.begun)}", "internal")


def _unknown(operation: Operation, exc: StepUnknown) -> Outcome:
    text = f"{operation.title}: whether the step {exc.step} happened is not known: {exc.why}."
    advice = "Look at what it worked on before you change that again."
    error = {"code": "timeout", "message": f"{text} {advice}", "retryable": False}
    return Outcome(State.UNKNOWN, f"{text}\n{advice}", error=error)


def _failed(operation: Operation, exc: KlepaasError, begun: Collection[str] = ()) -> Outcome:
    error = {**exc.structured(), "next_step": exc.next_step, "details": exc.details}
    stays = [_stays(begun)] if begun else []
    return Outcome(State.FAILED, "\n".join([f"{operation.title} failed: {exc.text}", *stays]), error=error)


def _stays(begun: Collection[str]) -> str:
    """What was done by an operation that ends otherwise than it should."""
    return f"Done before, and it stays: {', '.join(sorted(begun))}"


def _broke(operation: Operation, exc: Exception) -> Outcome:
    """A defect of the kind; like that of a tool, its details are in the log alone."""
    log.error("the kind of operation %s broke: %s", operation.kind, one_line(str(exc)), exc_info=exc)
    where = f"the server's log has the details ({operation.id})"
    return _failure(f"{operation.title} ended by a defect of klepaas or a plugin; {where}.", "internal")


def _failure(text: str, code: str) -> Outcome:
    return Outcome(State.FAILED, text, error={"code": code, "message": text, "retryable": False})
