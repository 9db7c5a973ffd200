"""What callers are advised to do about an operation that has not ended."""

from klepaas.progress import DEFAULT_WAIT_S

__all__ = ["how_to_go_on"]


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
