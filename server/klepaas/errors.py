"""The one tree of errors, and the one shape in which a client sees them.

    KlepaasError
    |-- the caller's mistake:  BadRequest  Unauthorized  Forbidden  NotFound  Conflict
    |-- temporary:             RateLimited  TimedOut  Unavailable  CircuitOpen
    `-- ours:                  InternalError

A message is one line for a model to read: what happened, to what, and what to do next. It never quotes a secret or an
upstream's whole answer. No client library's exception crosses its plugin: it is caught where the library is called and
chained (`raise NotFound(...) from exc`).
"""

import math
from collections.abc import Iterator
from typing import Any, ClassVar

from klepaas.output.safe import one_line

__all__ = [
    "BadRequest",
    "CircuitOpen",
    "Conflict",
    "Forbidden",
    "InternalError",
    "KlepaasError",
    "NotFound",
    "RateLimited",
    "TimedOut",
    "Unauthorized",
    "Unavailable",
    "chain_of",
]

# A model reads the line whole, every time; evidence belongs into the details.
MAX_SENTENCE_CHARS = 1000


class KlepaasError(Exception):
    """Any failure that klepaas can explain.

    Args:
        what: What happened and to what, one sentence without the final full stop.
        next_step: What to do next, one sentence without the final full stop. None: there is nothing useful to say.
        retry_after_s: Seconds after which a retry makes sense. None: unknown.
        details: Evidence below the one line, for example the last lines of a log; may span lines. None: there is none.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    # The operation that failed; it stands in the text too.
    operation_id: str | None = None
    # The plan that a person may confirm; it stands in the text too.
    plan_id: str | None = None

    def __init__(
        self,
        what: str,
        *,
        next_step: str | None = None,
        retry_after_s: float | None = None,
        details: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.retry_after_s = retry_after_s
        self.details = details

    @property
    def line(self) -> str:
        """The one line a model reads."""
        sentences = [_sentence(text) for text in (self.what, self.next_step, self._when()) if text and text.strip()]
        return " ".join(sentences) or f"{self.code}."

    def _when(self) -> str | None:
        """When to try again, where the sentences do not say it."""
        if self.retry_after_s is None:
            return None
        wait = f"{math.ceil(self.retry_after_s)} s"
        return None if wait in f"{self.what} {self.next_step}" else f"Retry after {wait}"

    @property
    def text(self) -> str:
        """The line, and the evidence below it where there is some."""
        return f"{self.line}\n{self.details}" if self.details else self.line

    def structured(self) -> dict[str, Any]:
        """The same for a program: code, retryable, and retry_after_s where it is known."""
        facts: dict[str, Any] = {"code": self.code, "message": self.line, "retryable": self.retryable}
        if self.retry_after_s is not None:
            facts["retry_after_s"] = self.retry_after_s
        return facts


def _sentence(text: str) -> str:
    """The text as one sentence of one line, cut where somebody quoted a whole document."""
    text = one_line(text, MAX_SENTENCE_CHARS)
    return text if text.endswith(("?", "...")) else text.rstrip(". ") + "."


class BadRequest(KlepaasError):
    """The call itself is wrong: a parameter, a name, a document."""

    code = "bad_request"


class Unauthorized(KlepaasError):
    """The upstream does not accept the credentials."""

    code = "unauthorized"


class Forbidden(KlepaasError):
    """The credentials are accepted but do not allow this, or klepaas' own gate refuses it."""

    code = "forbidden"


class NotFound(KlepaasError):
    """There is no such thing."""

    code = "not_found"


class Conflict(KlepaasError):
    """The thing is in a state, or has an owner, that this change would run over."""

    code = "conflict"


class RateLimited(KlepaasError):
    """The upstream asks to come back later."""

    code = "rate_limited"
    retryable = True


class TimedOut(KlepaasError):
    """No answer within the time limit."""

    code = "timeout"
    retryable = True


class Unavailable(KlepaasError):
    """The upstream cannot be reached or says that it cannot serve."""

    code = "unavailable"
    retryable = True


class CircuitOpen(KlepaasError):
    """klepaas does not ask an upstream that has just failed repeatedly."""

    code = "circuit_open"
    retryable = True


class InternalError(KlepaasError):
    """A defect of klepaas or of a plugin; the details are in the log, never in the answer."""

    code = "internal"


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those behind it, each once: a chain may lead back to where it began.

    Args:
        error: The error. None: there is none.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
