"""Between a tool and its operation: putting it on record, waiting for it, and answering as it ended.

A caller that leaves changes nothing: the operation is the server's. What it answers is what `get_operation` would.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
from fastmcp import Context

from klepaas.errors import Conflict
from klepaas.operations import Location, Operations, Outcome
from klepaas.operations.advice import STOPPING, describe_superseded, describe_wait, how_to_go_on
from klepaas.output import Answer
from klepaas.principals import current_principal
from klepaas.progress import default_wait_s
from klepaas.store import StoreUnavailable

if TYPE_CHECKING:
    from klepaas.operations import Operation

__all__ = ["Asking", "OperationFailed"]

# What is refused is mostly refused by then, and is better said in the answer than with the next question.
_SHORTEST_WAIT_S = 0.8


class OperationFailed(Conflict):
    """An operation ended badly.

    Args:
        error: What the operation kept of the failure.
        operation_id: The operation.
    """

    _code: ClassVar[str] = Conflict.code

    def __init__(self, error: Mapping[str, Any], operation_id: str) -> None:
        what, next_step = error.get("what"), error.get("next_step")
        super().__init__(
            str(what or error.get("message") or "It failed"),
            next_step=str(next_step) if what and next_step else None,
            retry_after_s=error.get("retry_after_s"),
            details="\n".join([*([str(error["details"])] if error.get("details") else []), _line(operation_id)]),
        )
        self.code = str(error.get("code") or Conflict.code)  # type: ignore[misc]
        self.retryable = bool(error.get("retryable"))  # type: ignore[misc]
        self.operation_id = operation_id


@dataclass(frozen=True)
class Asking:
    """One call of a tool that makes an operation.

    Attributes:
        operations: Carries operations out.
        context: FastMCP's, for progress.
        wait_s: Longest wait for the end, in seconds. None: as long as this client may be kept waiting.
        idempotency_key: The caller's. None: it has none.
    """

    operations: Operations
    context: Context
    wait_s: float | None
    idempotency_key: str | None = None

    async def carried_out(
        self, kind: str, target: str, title: str, request: Mapping[str, Any], location: Location
    ) -> Answer:
        """Have it done, and answer how it went or how far it is.

        Args:
            kind: The operation's kind.
            target: What it works on.
            title: What it does, in a few words.
            request: What is asked for.
            location: Where it works, by the names that people use.

        Raises:
            KlepaasError: It was refused, or failed.
        """
        begun = await self.operations.submit(
            kind,
            target=target,
            title=title,
            request=request,
            principal=current_principal(),
            idempotency_key=self.idempotency_key,
            location=location,
        )
        heard: list[str] = []

        async def report(done: float, total: float, line: str) -> None:
            heard.append(line)
            await self._report(done, total, line)

        wait_s = default_wait_s() if self.wait_s is None else max(self.wait_s, _SHORTEST_WAIT_S)
        try:
            operation = await self.operations.wait(begun.id, wait_s, report)
        except StoreUnavailable as exc:
            return unfinished(begun, heard[-1] if heard else "", trouble=f"Its record cannot be read now: {exc.line}")
        if operation.outcome is not None:
            return _answer(operation.id, operation.outcome)
        trouble = STOPPING if self.operations.is_stopping else None
        return unfinished(operation, heard[-1] if heard else operation.line, trouble=trouble)

    async def _report(self, done: float, total: float, line: str) -> None:
        # A client that no longer listens must not end the wait.
        try:
            await self.context.report_progress(done, total or None, line)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return


def unfinished(operation: "Operation", line: str, *, trouble: str | None = None) -> Answer:
    """The answer of a call that did not wait for the end: the operation's id first, and how to go on.

    Args:
        operation: What is under way.
        line: How far it is; "" where that is not known.
        trouble: Why the call waits no longer, one sentence. None: it has waited as long as it was to.
    """
    lines = [f"{operation.id}: {operation.title} is under way{f': {line}' if line else ''}."]
    lines += [describe_wait(operation)] if operation.waiting is not None else []
    lines += [describe_superseded(operation)] if operation.supersedes is not None else []
    lines += [trouble] if trouble else []
    return Answer("\n".join([*lines, how_to_go_on(operation.id)]), operation_id=operation.id)


def _answer(operation_id: str, outcome: Outcome) -> Answer:
    if outcome.error is not None:
        raise OperationFailed(outcome.error, operation_id)
    return Answer(f"{outcome.text}\n{_line(operation_id)}", operation_id=operation_id)


def _line(operation_id: str) -> str:
    return f"Operation: {operation_id}"
