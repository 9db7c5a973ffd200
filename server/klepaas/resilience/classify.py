"""What came of one attempt: the one table from results and exceptions to verdicts.

Retry, breaker, rate limit and write safety all go by the verdict and by nothing else. The default knows responses and
exceptions of httpx (both major versions, without importing either), the operating system's errors and `KlepaasError`.
A provider whose server hides failures in good results, or an HTTP status in a text, brings a classifier of its own and
leaves the rest to `classify`.

Only what is known to have failed before anything was sent is `NOT_SENT`: everything in doubt is taken as sent.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import anyio

from klepaas.errors import (
    BadRequest,
    CircuitOpen,
    Conflict,
    Forbidden,
    KlepaasError,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from klepaas.outbound.certificates import certificate_problem
from klepaas.resilience.errors import NotSent, OutcomeUnknown, Overloaded
from klepaas.resilience.rate_limit import parse_reset, parse_retry_after

__all__ = [
    "CONTACT",
    "DOUBTFUL",
    "RETURNED",
    "Classifier",
    "Kind",
    "Observation",
    "Verdict",
    "classify",
    "classify_status",
]


class Kind(StrEnum):
    """The kinds of outcome of an attempt."""

    OK = "ok"
    CALLER_MISTAKE = "caller_mistake"
    """The upstream is well; the request was wrong, or asks for what is not there or not allowed."""
    AUTH = "auth"
    """The upstream is well; it does not accept the credentials."""
    RATE_LIMITED = "rate_limited"
    NOT_ASKED = "not_asked"
    """A limit of our own refused it before anything was sent: it says nothing about the upstream."""
    NOT_SENT = "not_sent"
    """Failed, and certainly before anything was sent."""
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    """It answered something that cannot be understood."""
    UNEXPECTED = "unexpected"
    """An exception that nobody foresaw; most likely a defect of ours."""


CONTACT = frozenset({Kind.OK, Kind.CALLER_MISTAKE, Kind.AUTH})
"""The upstream answered: it is well."""
RETURNED = frozenset({Kind.OK, Kind.CALLER_MISTAKE})
"""A result of these kinds is the caller's to read."""
DOUBTFUL = frozenset({Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.PROTOCOL, Kind.UNEXPECTED})
"""After these nobody knows whether a change was made."""
_SEVERITY = list(Kind)


@dataclass(frozen=True)
class Observation:
    """What an attempt brought.

    Attributes:
        result: What the operation returned.
        error: What it raised instead. None: it returned.
        wall_s: When, in seconds since 1970; dates in answers are read against it.
    """

    result: object = None
    error: Exception | None = None
    wall_s: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What that means.

    Attributes:
        kind: The kind of outcome.
        retry_after_s: When the upstream wants to be asked again, in seconds from now. None: it did not say.
        reason: What it did, to go after its name: "answered 503". Never quotes the answer. None: the kind says it all.
        error: The error that a caller's mistake becomes. None: `BadRequest`.
        next_step: What to do about it. None: the caller's own advice.
    """

    kind: Kind
    retry_after_s: float | None = None
    reason: str | None = None
    error: type[KlepaasError] | None = None
    next_step: str | None = None


Classifier = Callable[[Observation], Verdict]

_NETWORK = {
    "ConnectError": Verdict(Kind.NOT_SENT, reason="cannot be reached"),
    "ConnectTimeout": Verdict(Kind.NOT_SENT, reason="accepts no connection in time"),
    "PoolTimeout": Verdict(Kind.NOT_ASKED, reason="has too many connections of ours open"),
    "ProxyError": Verdict(Kind.NOT_SENT, reason="cannot be reached through the proxy"),
    "TimeoutException": Verdict(Kind.TIMEOUT),
    "TransportError": Verdict(Kind.UNAVAILABLE, reason="broke off the connection"),
    "DecodingError": Verdict(Kind.PROTOCOL, reason="sent an answer that cannot be decoded"),
    "TooManyRedirects": Verdict(Kind.PROTOCOL, reason="sends us in circles"),
    "LocalProtocolError": Verdict(Kind.CALLER_MISTAKE, reason="cannot be asked this: the request is malformed"),
    "UnsupportedProtocol": Verdict(Kind.CALLER_MISTAKE, reason="has an address that is not valid"),
    "InvalidURL": Verdict(Kind.CALLER_MISTAKE, reason="has an address that is not valid"),
}
_KLEPAAS: tuple[tuple[type[KlepaasError], Kind], ...] = (
    (NotSent, Kind.NOT_SENT),
    (CircuitOpen, Kind.NOT_ASKED),
    (Overloaded, Kind.NOT_ASKED),
    (OutcomeUnknown, Kind.TIMEOUT),
    (RateLimited, Kind.RATE_LIMITED),
    (TimedOut, Kind.TIMEOUT),
    (Unavailable, Kind.UNAVAILABLE),
    (Unauthorized, Kind.AUTH),
    (BadRequest, Kind.CALLER_MISTAKE),
    (Forbidden, Kind.CALLER_MISTAKE),
    (NotFound, Kind.CALLER_MISTAKE),
    (Conflict, Kind.CALLER_MISTAKE),
)
_MISTAKES: Mapping[int, type[KlepaasError]] = {
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    412: Conflict,
}
_STATUSES = {
    401: Kind.AUTH,
    407: Kind.AUTH,
    408: Kind.TIMEOUT,
    425: Kind.UNAVAILABLE,
    429: Kind.RATE_LIMITED,
    501: Kind.CALLER_MISTAKE,
    504: Kind.TIMEOUT,
    505: Kind.CALLER_MISTAKE,
}


def classify(seen: Observation) -> Verdict:
    """The default classifier."""
    if seen.error is not None:
        return _classify_error(seen.error, seen.wall_s)
    if _httpx_name(seen.result, {"Response"}):
        return _classify_response(seen.result, seen.wall_s)
    return Verdict(Kind.OK)


def classify_status(status: int, headers: Mapping[str, str], wall_s: float) -> Verdict:
    """What an HTTP status means.

    Args:
        status: The status code.
        headers: The answer's headers; names are looked up in lower case, as httpx allows.
        wall_s: When it came, in seconds since 1970.
    """
    if status < 400:
        return Verdict(Kind.OK)
    retry_after_s = parse_retry_after(headers.get("retry-after"), wall_s)
    reason = f"answered {status}"
    if status == 403 and (retry_after_s is not None or headers.get("x-ratelimit-remaining") == "0"):
        status = 429
    kind = _STATUSES.get(status, Kind.CALLER_MISTAKE if status < 500 else Kind.UNAVAILABLE)
    if kind is Kind.RATE_LIMITED and retry_after_s is None and headers.get("x-ratelimit-remaining") == "0":
        retry_after_s = parse_reset(headers.get("x-ratelimit-reset"), wall_s)
    return Verdict(kind, retry_after_s, reason, _MISTAKES.get(status))


def _classify_error(error: BaseException, wall_s: float) -> Verdict:
    if isinstance(error, KlepaasError):
        return _classify_klepaas(error)
    if isinstance(error, BaseExceptionGroup):
        return max((_classify_error(one, wall_s) for one in error.exceptions), key=_severity)
    if _httpx_name(error, {"HTTPStatusError"}):
        return _classify_response(getattr(error, "response", None), wall_s)
    name = _httpx_name(error, _NETWORK.keys())
    problem = certificate_problem(error) if name == "ConnectError" or isinstance(error, OSError) else None
    if problem is not None:
        # The upstream is well, and asking again does not change its certificate.
        reason = f"shows a certificate that {problem.reason}"
        return Verdict(Kind.CALLER_MISTAKE, reason=reason, error=Unavailable, next_step=problem.next_step)
    return _NETWORK[name] if name else _classify_system(error)


def _classify_klepaas(error: KlepaasError) -> Verdict:
    kind = next((kind for known, kind in _KLEPAAS if isinstance(error, known)), Kind.UNEXPECTED)
    if type(error) in (Unavailable, TimedOut) and _was_not_sent(error.__cause__):
        kind = Kind.NOT_SENT
    return Verdict(kind, error.retry_after_s)


def _was_not_sent(cause: BaseException | None) -> bool:
    """Whether the library's exception behind an error proves it."""
    name = None if cause is None else _httpx_name(cause, _NETWORK.keys())
    return isinstance(cause, ConnectionRefusedError) or (name is not None and _NETWORK[name].kind is Kind.NOT_SENT)


def _classify_system(error: BaseException) -> Verdict:
    if isinstance(error, ConnectionRefusedError):
        return _NETWORK["ConnectError"]
    if isinstance(error, TimeoutError):
        return _NETWORK["TimeoutException"]
    if isinstance(
        error, OSError | EOFError | anyio.BrokenResourceError | anyio.ClosedResourceError | anyio.EndOfStream
    ):
        return _NETWORK["TransportError"]
    return Verdict(Kind.UNEXPECTED)


def _classify_response(response: object, wall_s: float) -> Verdict:
    status, headers = getattr(response, "status_code", None), getattr(response, "headers", None)
    if not isinstance(status, int) or not isinstance(headers, Mapping):
        return Verdict(Kind.PROTOCOL)
    return classify_status(status, headers, wall_s)


def _httpx_name(thing: object, names: Collection[str]) -> str | None:
    """The most special of these class names of httpx that the thing goes by. None: none."""
    for cls in type(thing).__mro__:
        if cls.__module__.partition(".")[0] in ("httpx", "httpx2") and cls.__name__ in names:
            return cls.__name__
    return None


def _severity(verdict: Verdict) -> int:
    return _SEVERITY.index(verdict.kind)
