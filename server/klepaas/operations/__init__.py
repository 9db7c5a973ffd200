"""Operations: changes that outlive the call that asked for them, the process that began them, and its crash.

    submit -> journal (SQL) -> runner -> kind.run(run) -> run.step(...) ... -> outcome

A step's intent is committed before its effect is sent; after a crash the effect is looked up before it is sent again;
one operation runs on a target at a time; a process that lost its lease sends nothing more. What an operation does is
its kind's affair, which a plugin offers (`klepaas_operation_kinds`). What a start does not need is imported when it is
first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from klepaas.operations.kinds import (
    PLANNED,
    DeadlinePassed,
    Fenced,
    GaveUp,
    Interrupted,
    JournalBroken,
    Kind,
    Location,
    OperationCancelled,
    Outcome,
    State,
    StepUnknown,
    Stopping,
)
from klepaas.operations.service import Operations

if TYPE_CHECKING:
    from klepaas.operations.model import Operation, StepRecord, StepState
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
    "Operation",
    "OperationCancelled",
    "Operations",
    "Outcome",
    "Run",
    "State",
    "StepRecord",
    "StepState",
    "StepUnknown",
    "Stopping",
]

_LATER = {"Operation": "model", "StepRecord": "model", "StepState": "model", "Run": "run"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
