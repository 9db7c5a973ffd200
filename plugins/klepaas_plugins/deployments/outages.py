"""What a change waits for: a cluster that does not answer, credentials, rights, and webhooks that cannot be called.

None of these says anything about the change, so none of them ends it or undoes it. It waits, for hours where it has to,
and its record says why; the time does not count into its deadline.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio

from klepaas.errors import KlepaasError, Unauthorized
from klepaas.operations import DeadlinePassed
from klepaas_plugins.kubernetes.client import Refusal, find_refusal

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["Patience", "is_outage", "wait_out"]

T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0


def is_outage(error: KlepaasError) -> bool:
    """Whether an error of a cluster passes without the change being another one: it is waited for, for hours.

    Args:
        error: The error.
    """
    refusal = find_refusal(error.what)
    if refusal is not None:
        return refusal in (Refusal.RIGHTS, Refusal.WEBHOOK_UNREACHABLE)
    return error.retryable or isinstance(error, Unauthorized)


class Patience:
    """Waits for the end of outages, each time a little longer, and says so on the operation's record.

    Args:
        run: The operation's attempt.
    """

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._pause_s = _FIRST_PAUSE_S

    async def wait(self, error: KlepaasError) -> None:
        """Wait before the next try.

        A webhook that cannot be called uses the time of the change up, since it may stay so; nothing else does.

        Args:
            error: What is in the way.

        Raises:
            DeadlinePassed: The time is used up.
            Interrupted: It must stop here.
        """
        pause_s = max(self._pause_s, min(error.retry_after_s or 0.0, _LONGEST_PAUSE_S))
        uses_time = find_refusal(error.what) is Refusal.WEBHOOK_UNREACHABLE
        if uses_time and self._run.seconds_left <= pause_s:
            raise DeadlinePassed(f"its deadline is over, and still: {error.line}")
        await self._run.wait(error.line, anyio.current_time() + pause_s, stops_clock=not uses_time)
        await anyio.sleep(pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    async def go_on(self) -> None:
        """The outage is over."""
        if self._run.waits_for is not None:
            await self._run.resume()
        self._pause_s = _FIRST_PAUSE_S


async def wait_out(run: "Run", work: Callable[[], Awaitable[T]]) -> T:
    """What the work gives, however often it has to be begun again for an outage.

    Args:
        run: The operation's attempt.
        work: The work, from its start; what is done is on record.

    Raises:
        KlepaasError: It is refused.
        Interrupted: It must stop here.
    """
    patience = Patience(run)
    while True:
        try:
            return await work()
        except KlepaasError as exc:
            if not is_outage(exc):
                raise
            await patience.wait(exc)
