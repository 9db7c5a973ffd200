"""How one upstream is asked: every limit of the pipeline in one place, with its default.

The defaults suit a control surface that a person waits for: few calls, each worth an answer within half a minute.
It only states limits; `klepaas.resilience.pipeline` keeps them.
"""

import math
from dataclasses import dataclass

__all__ = ["Policy"]


@dataclass(frozen=True)
class Policy:
    """The limits of an upstream.

    Attributes:
        max_concurrent: Calls that run at the same time.
        max_waiting: Calls that wait for their turn; one more is refused at once.
        queue_timeout_s: Longest wait for a turn, in seconds; it does not count towards `total_timeout_s`.
        total_timeout_s: Longest time of a call once it has its turn, waits and retries included, in seconds.
        attempt_timeout_s: Longest time of one attempt, in seconds.
        attempts: Attempts of a call in all.
        wait_min_s: Shortest wait before a retry, in seconds.
        wait_max_s: Longest wait before a retry that the upstream did not ask for, in seconds.
        retry_ratio: Retries that each call earns: 0.2 lets an outage add a fifth to the load.
        retry_burst: Retries that may be saved up, and that there are at the start.
        fail_max: Failed attempts in a row that open the breaker; those of calls at the same time count once.
        open_s: How long it stays open at most before one call may try, in seconds.
        open_ratio: How many times as long as the last failure took it stays open at most; infinite: always `open_s`.
        probe_wait_s: Longest wait for the end of the one call that tries an upstream again, in seconds.
        rate_limit_pause_s: How long to leave an upstream alone that limits our rate without saying for how long.
        rate_limit_max_s: The most that a `Retry-After` is believed, in seconds: a wrong date must not shut an upstream
            out for a year.
    """

    max_concurrent: int = 16
    max_waiting: int = 64
    queue_timeout_s: float = 5.0
    total_timeout_s: float = 30.0
    attempt_timeout_s: float = 10.0
    attempts: int = 3
    wait_min_s: float = 0.1
    wait_max_s: float = 2.0
    retry_ratio: float = 0.2
    retry_burst: float = 10.0
    fail_max: int = 5
    open_s: float = 30.0
    open_ratio: float = math.inf
    probe_wait_s: float = 10.0
    rate_limit_pause_s: float = 1.0
    rate_limit_max_s: float = 3600.0

    def __post_init__(self) -> None:
        for name in ("max_concurrent", "attempts", "fail_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("total_timeout_s", "attempt_timeout_s", "queue_timeout_s", "open_s", "probe_wait_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number of seconds above 0")
        for name in ("wait_min_s", "max_waiting", "retry_ratio", "retry_burst", "rate_limit_pause_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.wait_max_s < self.wait_min_s:
            raise ValueError("wait_max_s must not be below wait_min_s")
        if self.rate_limit_max_s < self.rate_limit_pause_s:
            raise ValueError("rate_limit_max_s must not be below rate_limit_pause_s")
