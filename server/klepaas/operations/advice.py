"""What callers are advised to do about an operation that has not ended."""

import time
from typing import TYPE_CHECKING

from klepaas.progress import DEFAULT_WAIT_S

if TYPE_CHECKING:
    from klepaas.operations.model import Operation

__all__ = ["STOPPING", "describe_superseded", "describe_wait", "how_to_go_on"]

STOPPING = "This server stops; the next one that may change things and reaches the same target goes on with it."


def how_to_go_on(operation_id: str) -> str:
    """What a call that did not wait for an operation's end tells its caller to do next, on one line.

    Args:
        operation_id: The operation's handle.
    """
    wait_s = f"{DEFAULT_WAIT_S:g}"
    return (
        f'It goes on without this call; get_operation(operation_id="{operation_id}", wait_s={wait_s}) waits for its '
        "end, cancel_operation stops it."
    )


def describe_wait(operation: "Operation") -> str:
    """What an operation waits for, since when and until when, one sentence; "" where it does not wait.

    Args:
        operation: The operation.
    """
    waiting = operation.waiting
    if waiting is None:
        return ""
    until = f", looks again at {_clock(waiting.until)} at the latest" if waiting.until is not None else ""
    return (
        f"It waits since {_clock(waiting.since)} for: {waiting.reason}{until}. "
        "A newer change of the same target takes its place."
    )


def describe_superseded(operation: "Operation") -> str:
    """What an operation took the place of, one sentence; "" where of nothing.

    Args:
        operation: The operation.
    """
    earlier = operation.supersedes
    if earlier is None:
        return ""
    return f"It superseded operation {earlier.id} ({earlier.title}), which waited for: {earlier.waited_for}."


def _clock(moment_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment_s))
