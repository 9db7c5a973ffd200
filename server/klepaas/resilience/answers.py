"""What a caller gets: an outcome as a result, or as the one error that it means.

A library's exception does not get past here; a defect of ours does, so that the gate logs it with its traceback. The
exception is a change: whatever went wrong after it was sent, the caller learns that it may have been made.
"""

import logging
import math
from dataclasses import dataclass
from typing import Any

from klepaas.errors import (
    BadRequest,
    CircuitOpen,
    KlepaasError,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from klepaas.output import safe
from klepaas.resilience.classify import DOUBTFUL, RETURNED, Kind
from klepaas.resilience.errors import NotSent, OutcomeUnknown, Overloaded
from klepaas.resilience.retry import Outcome

__all__ = ["Asked", "error_kind", "one_line"]

log = logging.getLogger(__name__)

LINE_MAX_CHARS = 200
_ERRORS: dict[Kind, type[KlepaasError]] = {
    Kind.CALLER_MISTAKE: BadRequest,
    Kind.AUTH: Unauthorized,
    Kind.RATE_LIMITED: RateLimited,
    Kind.NOT_ASKED: Overloaded,
    Kind.NOT_SENT: NotSent,
    Kind.UNAVAILABLE: Unavailable,
    Kind.TIMEOUT: TimedOut,
    Kind.PROTOCOL: Unavailable,
}
_REASONS = {
    Kind.AUTH: "does not accept the credentials",
    Kind.RATE_LIMITED: "limits our rate",
    Kind.NOT_ASKED: "was not asked",
    Kind.NOT_SENT: "cannot be reached",
    Kind.UNAVAILABLE: "cannot serve",
    Kind.TIMEOUT: "gave no answer in time",
    Kind.PROTOCOL: "gave an answer that cannot be understood",
    Kind.UNEXPECTED: "made us fail unexpectedly",
}


@dataclass(frozen=True)
class Asked:
    """One call in words.

    Attributes:
        upstream: Who is asked.
        what: What is asked, to go after "Cannot": "list pods in namespace prod".
        safe: Whether repeating changes nothing.
        verify: How to find out whether a change was made. None: look at the object.
    """

    upstream: str
    what: str
    safe: bool
    verify: str | None = None

    def answer(self, outcome: Outcome) -> Any:
        """The operation's result.

        Raises:
            KlepaasError: It failed.
        """
        kind, error = outcome.verdict.kind, outcome.error
        if error is None and kind in RETURNED:
            return outcome.result
        if kind in DOUBTFUL and not self.safe:
            if kind is Kind.UNEXPECTED:
                log.error("a change through %s failed unexpectedly", self.upstream, exc_info=error)
            raise self._unknown(outcome) from error
        if error is not None and (isinstance(error, KlepaasError) or kind is Kind.UNEXPECTED):
            raise error
        raise self._failed(outcome) from error

    def circuit_open(self, failures: int, retry_in_s: float, last_error: str | None) -> CircuitOpen:
        """The error of a call that is not made because the upstream has just failed repeatedly."""
        because = f" ({last_error})" if last_error else ""
        return CircuitOpen(
            f"Cannot {self.what}: {self.upstream} failed {failures} times in a row{because} and is left alone for now; "
            "nothing was sent",
            next_step=f"Retry in {_seconds(retry_in_s):g} s",
            retry_after_s=_seconds(retry_in_s),
        )

    def probe_running(self, retry_in_s: float) -> CircuitOpen:
        """The error of a call that waited in vain for the end of the one call that tries the upstream."""
        return CircuitOpen(
            f"Cannot {self.what}: {self.upstream} failed repeatedly, and the one call that tries it again "
            "has no answer yet; nothing was sent",
            next_step=f"Retry in {_seconds(retry_in_s):g} s",
            retry_after_s=_seconds(retry_in_s),
        )

    def rate_limited(self, wait_s: float) -> RateLimited:
        """The error of a call that cannot wait until the upstream may be asked again."""
        return RateLimited(
            f"Cannot {self.what}: {self.upstream} limits our rate; nothing was sent",
            next_step=f"Retry in {_seconds(wait_s):g} s",
            retry_after_s=_seconds(wait_s),
        )

    def overloaded(self, running: int, waiting: int) -> Overloaded:
        """The error of a call that finds no turn."""
        return Overloaded(
            f"Cannot {self.what}: {running} calls of {self.upstream} are running and {waiting} more wait; "
            "nothing was sent",
            next_step="Retry when they are done, and ask for less at the same time",
            retry_after_s=1.0,
        )

    def _failed(self, outcome: Outcome) -> KlepaasError:
        verdict = outcome.verdict
        kind = verdict.error or _ERRORS.get(verdict.kind, Unavailable)
        retry_after_s = verdict.retry_after_s
        return kind(
            f"Cannot {self.what}: {self.upstream} {_reason(outcome)}",
            next_step=f"Retry in {_seconds(retry_after_s):g} s" if retry_after_s is not None else verdict.next_step,
            retry_after_s=None if retry_after_s is None else _seconds(retry_after_s),
        )

    def _unknown(self, outcome: Outcome) -> KlepaasError:
        if isinstance(outcome.error, OutcomeUnknown):
            return outcome.error
        return OutcomeUnknown(
            f"It is not known whether this was done: {self.what}. {self.upstream} {_reason(outcome)} after it was sent",
            next_step=self.verify or "Look at what there is now before doing it again",
        )


def error_kind(error: BaseException) -> str:
    """The kind of an error, one of a fixed few words."""
    if isinstance(error, OutcomeUnknown):
        return "outcome_unknown"
    if isinstance(error, Overloaded):
        return "overloaded"
    return error.code if isinstance(error, KlepaasError) else "internal"


def one_line(outcome: Outcome) -> str:
    """Why an attempt failed, in one short line without secrets."""
    text = _reason(outcome)
    if isinstance(outcome.error, KlepaasError):
        text = outcome.error.what
    return safe.one_line(text, LINE_MAX_CHARS)


def _reason(outcome: Outcome) -> str:
    return outcome.verdict.reason or _REASONS.get(outcome.verdict.kind, "refuses")


def _seconds(wait_s: float) -> float:
    """In tenths and never too early: what a person and a model can read."""
    return max(1, math.ceil(wait_s * 10 - 1e-6)) / 10
