"""When a call is tried again, and after what wait: tenacity with our clock and our reasons to stop.

tenacity sees outcomes, never exceptions: whatever is raised, a cancellation above all, passes through at once.
It is imported with the first call, so that a start does not pay for it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from klepaas.resilience.classify import Kind, Verdict
from klepaas.resilience.clock import Clock
from klepaas.resilience.policy import Policy

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Budget", "Outcome", "Turnstile", "retried"]

_ALWAYS = frozenset({Kind.NOT_SENT, Kind.RATE_LIMITED})
_WHEN_SAFE = _ALWAYS | {Kind.UNAVAILABLE, Kind.TIMEOUT}


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        verdict: What the classifier made of it.
        result: What the operation returned.
        error: What it raised instead. None: it returned, or was cut by the time limit.
    """

    verdict: Verdict
    result: Any = None
    error: Exception | None = None


class Turnstile(Protocol):
    """What else has a say before the upstream is asked again."""

    @property
    def wait_s(self) -> float:
        """Seconds until it may be asked."""
        ...

    @property
    def shut(self) -> bool:
        """Whether it is not asked at all for now."""
        ...


class Budget:
    """The retries that an upstream's calls have earned, so that an outage does not multiply the load.

    Args:
        ratio: Retries that each call earns.
        burst: Retries that may be saved up, and that there are at the start.
    """

    def __init__(self, ratio: float, burst: float) -> None:
        self._ratio = ratio
        self._burst = burst
        self._tokens = burst

    def earn(self) -> None:
        """A call was made."""
        self._tokens = min(self._burst, self._tokens + self._ratio)

    def spend(self) -> bool:
        """Whether one more retry is earned; if so, it is used up."""
        # Fifths do not add up to one exactly in binary.
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens = max(0.0, self._tokens - 1.0)
        return True

    def refund(self) -> None:
        """A retry that was paid for was not made."""
        self._tokens = min(self._burst, self._tokens + 1.0)


@dataclass(frozen=True)
class _Rules:
    policy: Policy
    clock: Clock
    budget: Budget
    turnstile: Turnstile
    deadline: float
    safe: bool

    def again(self, outcome: Outcome) -> bool:
        """Whether repeating cannot do harm and may help."""
        return outcome.verdict.kind in (_WHEN_SAFE if self.safe else _ALWAYS)

    def wait_s(self, state: "RetryCallState") -> float:
        """Never earlier than the upstream wants; else a random moment in a window that doubles."""
        from tenacity import wait_random_exponential

        policy = self.policy
        window = wait_random_exponential(2 * policy.wait_min_s, policy.wait_max_s, min=policy.wait_min_s)
        asked_s = _outcome(state).verdict.retry_after_s or 0.0
        return max(window(state), self.turnstile.wait_s, asked_s)

    def stop(self, state: "RetryCallState") -> bool:
        """Whether there is no point, no time or no budget for another attempt; the budget is asked last."""
        return (
            state.attempt_number >= self.policy.attempts
            or self.turnstile.shut
            or self.clock.monotonic() + state.upcoming_sleep >= self.deadline
            or not self.budget.spend()
        )


async def retried(
    attempt: Callable[[], Awaitable[Outcome]],
    *,
    policy: Policy,
    clock: Clock,
    budget: Budget,
    turnstile: Turnstile,
    deadline: float,
    safe: bool,
) -> Outcome:
    """Try, and try again where that is allowed.

    Args:
        attempt: Makes one attempt.
        policy: The limits.
        clock: The time it goes by.
        budget: The retries that are left.
        turnstile: What else may stop or delay a retry.
        deadline: The clock's time at which the call must be over.
        safe: Whether repeating changes nothing.

    Returns:
        The last outcome, good or bad.
    """
    from tenacity import AsyncRetrying, retry_if_result

    async def once() -> Outcome:
        # tenacity takes a callable that it does not see to be a coroutine function for a plain one.
        return await attempt()

    rules = _Rules(policy, clock, budget, turnstile, deadline, safe)
    retrying = AsyncRetrying(
        sleep=clock.sleep,
        stop=rules.stop,
        wait=rules.wait_s,
        retry=retry_if_result(rules.again),
        retry_error_callback=_outcome,
    )
    outcome: Outcome = await retrying(once)
    return outcome


def _outcome(state: "RetryCallState") -> Outcome:
    if state.outcome is None:
        raise RuntimeError("tenacity asks about an attempt that was not made")
    outcome: Outcome = state.outcome.result()
    return outcome
