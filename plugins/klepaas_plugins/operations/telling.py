"""Operations in words: a line in a list, and the whole story of one. Times are told as ages; it asks nobody."""

import time
from collections.abc import Sequence

from klepaas.operations import Operation, State, StepState
from klepaas.operations.advice import describe_superseded, describe_wait, how_to_go_on
from klepaas.output import Answer, table
from klepaas_plugins.operations.facts import record_of, records

__all__ = ["listed", "told"]

_SIGNS = {StepState.DONE: "done", StepState.FAILED: "did not happen", StepState.INTENT: "under way"}


def listed(operations: Sequence[Operation]) -> Answer:
    """A list of operations.

    Args:
        operations: Those under way first.
    """
    if not operations:
        return Answer("No operations.")
    now = time.time()
    rows = [
        [
            operation.id,
            _state(operation, now),
            operation.title,
            operation.location.namespace or "-",
            operation.location.context or "-",
            _age(now - operation.created_at),
            "" if operation.ended else _doing(operation),
        ]
        for operation in operations
    ]
    head = ["ID", "STATE", "WHAT", "NAMESPACE", "CONTEXT", "AGE", "AT"]
    return Answer(f"{table(head, rows)}\n{records().basis()}")


def told(operation: Operation) -> Answer:
    """One operation: how it ended, or how far it is.

    Args:
        operation: With its steps.
    """
    now, name = time.time(), f"{operation.id}: {operation.title}{_where(operation)}"
    if operation.outcome is not None:
        lines = [f"{name}: {operation.state.value} ({_took(operation)})", operation.outcome.text]
    else:
        lines = [f"{name}: {_state(operation, now)}, for {_age(now - operation.created_at)}"]
        lines += [line for line in (operation.line, describe_wait(operation), describe_superseded(operation)) if line]
        lines += [*_steps(operation), _how_to_go_on(operation)]
    if operation.state is State.UNKNOWN:
        lines += _steps(operation)
    lines.append(record_of(operation).basis())
    return Answer("\n".join(lines), operation_id=operation.id)


def _doing(operation: Operation) -> str:
    """What it is doing: what it waits for, else how far it is."""
    return f"waits for: {operation.waiting.reason}" if operation.waiting is not None else operation.line


def _where(operation: Operation) -> str:
    """The namespace and the context, as far as it has any."""
    location = operation.location
    parts = [f"namespace {location.namespace}"] if location.namespace else []
    parts += [f"context {location.context}"] if location.context else []
    return f" in {' of '.join(parts)}" if parts else ""


def _how_to_go_on(operation: Operation) -> str:
    if operation.hindrance is not None:
        return (
            f"It is not carried on here: {operation.hindrance}. It waits for a klepaas that may, as the user who began "
            "it; cancel_operation ends it where this server may change things."
        )
    if operation.unattended_since is not None:
        return "It waits for a klepaas that may change things (`klepaas serve --writes`) and reaches the same target."
    return how_to_go_on(operation.id)


def _state(operation: Operation, now: float) -> str:
    words = [operation.state.value]
    if operation.unattended_since is not None:
        goes_on = "the next server goes on" if operation.hindrance is None else "not carried on here"
        words.append(f"unattended for {_age(now - operation.unattended_since)}, {goes_on}")
    elif operation.state is State.PENDING:
        words.append("waits to be tried again")
    if operation.cancel_requested and not operation.ended:
        words.append("cancel requested")
    if operation.attempt > 1 and not operation.ended:
        words.append(f"attempt {operation.attempt}")
    return ", ".join(words)


def _steps(operation: Operation) -> list[str]:
    return [f"- {step.name}: {_SIGNS.get(step.state, 'not known whether it happened')}" for step in operation.steps]


def _took(operation: Operation) -> str:
    ended_at = operation.ended_at or operation.updated_at
    return f"after {_age(ended_at - operation.created_at)}, {_age(time.time() - ended_at)} ago"


def _age(seconds: float) -> str:
    seconds = max(0.0, seconds)
    for unit, size_s in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f}{unit}"
    return f"{seconds:.0f}s"
