"""Operations as data, for `output="json"`: the schemas of docs/json-output.md. It asks nobody."""

from collections.abc import Sequence
from typing import Any

from klepaas.operations import Operation, State
from klepaas.output import Answer, json_answer, timestamp
from klepaas.output.verdict import Verdict

__all__ = ["list_answer", "operation_answer", "record_of", "records"]

_ERROR = ("code", "message", "retryable", "retry_after_s", "details")


def list_answer(operations: Sequence[Operation]) -> Answer:
    """A list of operations.

    Args:
        operations: Those under way first.
    """
    found = {"operations": [_summary(one) for one in operations]}
    return json_answer("klepaas.operations/v1", {**found, **records().facts()})


def operation_answer(operation: Operation) -> Answer:
    """One operation: how it ended, or how far it is.

    Args:
        operation: With its steps.
    """
    outcome = operation.outcome
    error = outcome.error if outcome is not None else None
    # Of what ended the outcome tells; the steps matter where nobody knows it.
    open_end = outcome is None or operation.state is State.UNKNOWN
    found = {
        **_summary(operation),
        "steps": [{"name": step.name, "state": step.state.value} for step in operation.steps] if open_end else [],
        "text": outcome.text if outcome is not None else None,
        "result": dict(outcome.facts) if outcome is not None else None,
        "error": {name: error.get(name) for name in _ERROR} if error is not None else None,
        **record_of(operation).facts(),
    }
    return json_answer("klepaas.operation/v1", found, operation_id=operation.id)


def record_of(operation: Operation) -> Verdict:
    """What an answer about an operation rests on; what was looked at then stands in the operation's outcome."""
    return Verdict(observed=(f"the record of operation {operation.id}",), not_checked=("the cluster",))


def records() -> Verdict:
    """What a list of operations rests on."""
    return Verdict(observed=("the records of operations",), not_checked=("the cluster",))


def _summary(operation: Operation) -> dict[str, Any]:
    waiting = operation.waiting
    return {
        "id": operation.id,
        "title": operation.title,
        "target": operation.target,
        "namespace": operation.location.namespace or None,
        "context": operation.location.context or None,
        "state": operation.state.value,
        "ended": operation.ended,
        "line": None if operation.ended else operation.line or None,
        "attempt": operation.attempt,
        "cancel_requested": operation.cancel_requested,
        "created_at": timestamp(operation.created_at),
        "ended_at": timestamp(operation.ended_at),
        "unattended_since": timestamp(operation.unattended_since),
        "not_resumed_because": operation.hindrance,
        "waiting_for": waiting.reason if waiting is not None else None,
        "waiting_since": timestamp(waiting.since) if waiting is not None else None,
        "waiting_until": timestamp(waiting.until) if waiting is not None else None,
        "supersedes": operation.supersedes.id if operation.supersedes is not None else None,
    }
