"""The tools of the operations toolset: their parameters as a model sees them, and nothing else."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio
from fastmcp import Context
from pydantic import Field

from klepaas import names
from klepaas.changes import ChangeSet
from klepaas.errors import BadRequest
from klepaas.host import Host
from klepaas.operations import Operations, State
from klepaas.output import Answer, Output
from klepaas.principals import current_principal
from klepaas.progress import default_wait_s
from klepaas.store import StoreUnavailable
from klepaas.tools import Effect, Target, Tool

if TYPE_CHECKING:
    from klepaas.operations import Operation
    from klepaas.operations.service import Report

__all__ = ["operation_tools"]

TOOLSET = "operations"
WAIT_MAX_S = 600
_MOST = 20
_ID = re.compile(r"op-[0-9a-z]{12}")
OperationId = Annotated[
    str,
    names.Check("operation", lambda text: _ID.fullmatch(text) is not None, "an ID that get_operation shows", 15),
]
StateName = Literal["pending", "running", "succeeded", "failed", "rolled_back", "cancelled", "unknown"]
_CANCEL_WAIT_S = 30
WaitS = Annotated[int, Field(ge=0, le=WAIT_MAX_S, description="Seconds to wait for its end")]
CancelWaitS = Annotated[
    int | None, Field(ge=0, le=WAIT_MAX_S, description=f"Seconds to wait for its end; default {_CANCEL_WAIT_S}")
]
_WITH_AN_ID = "operation_id and state exclude each other: a state filters the list, an operation_id asks for one"


def operation_tools(host: Host) -> Iterable[Tool]:
    """The tools, for one host."""
    operations = Operations.of(host)

    async def get_operation(
        ctx: Context,
        operation_id: OperationId | None = None,
        wait_s: WaitS = 0,
        state: StateName | None = None,
        output: Output = "text",
    ) -> Answer:
        """Progress of an operation (deployment, rollback, ...), or how it ended; without operation_id, list yours."""
        if operation_id is not None:
            if state is not None:
                raise BadRequest(_WITH_AN_ID, next_step="Leave out state")
            return _answer(await _await_operation(operations, operation_id, wait_s, ctx), output)
        from klepaas_plugins.operations import facts, telling

        wanted = State(state) if state else None
        found = await operations.find(current_principal(), state=wanted, limit=_MOST)
        return facts.list_answer(found) if output == "json" else telling.listed(found)

    async def cancel_operation(operation_id: OperationId, ctx: Context, wait_s: CancelWaitS = None) -> Answer:
        """Stop an operation after the step under way; it puts back what it can, and the answer says what stays."""
        await operations.cancel(operation_id, current_principal())
        limit_s = default_wait_s(_CANCEL_WAIT_S) if wait_s is None else wait_s
        return _answer(await _await_operation(operations, operation_id, limit_s, ctx))

    async def plan_cancel(operation_id: OperationId) -> ChangeSet:
        found = await operations.get(operation_id, current_principal())
        facts = (("operation", found.title), ("cancelled", "after the step under way"))
        return ChangeSet.of_action(f"Cancelling {found.title}", kind="operation", name=operation_id, facts=facts)

    yield Tool(
        get_operation, Effect.READ, "Look at operations", TOOLSET,
        foreign_text=True, idempotent=True, timeout_s=WAIT_MAX_S + 60.0, words=("진행 상황",),
        search_hint="progress wait running finished",
    )  # fmt: skip
    yield Tool(
        cancel_operation, Effect.WRITE, "Cancel an operation", TOOLSET,
        foreign_text=True, idempotent=True, timeout_s=WAIT_MAX_S + 60.0, targets=_targets, plan=plan_cancel,
        words=("취소",),
        search_hint="stop abort running deployment",
        worst=Effect.DESTRUCTIVE,  # putting an earlier release back takes away what came since
    )  # fmt: skip


async def _targets(arguments: Mapping[str, Any]) -> Sequence[Target]:
    return (Target(kind="operation", name=arguments["operation_id"]),)


def _answer(found: "Operation", output: Output = "text") -> Answer:
    from klepaas_plugins.operations import facts, telling

    return facts.operation_answer(found) if output == "json" else telling.told(found)


async def _await_operation(operations: Operations, operation_id: str, wait_s: float, ctx: Context) -> "Operation":
    found = await operations.get(operation_id, current_principal())
    if wait_s and not found.ended:
        try:
            found = await operations.wait(operation_id, wait_s, _reporter(ctx))
        except StoreUnavailable as exc:
            raise _wait_error(found, exc) from exc
    return found


def _wait_error(operation: "Operation", trouble: StoreUnavailable) -> StoreUnavailable:
    """What a call that lost the store says of the operation that it waited for."""
    exc = StoreUnavailable(
        f"{operation.id}: {operation.title} goes on without this call, and its record cannot be read now: "
        f"{trouble.what}",
        next_step=f"Ask again with get_operation {operation.id}",
    )
    exc.operation_id = operation.id
    return exc


def _reporter(ctx: Context) -> "Report":
    async def report(done: float, total: float, line: str) -> None:
        # A client that no longer listens must not end the wait: others may read the answer.
        try:
            await ctx.report_progress(done, total or None, line)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return

    return report
