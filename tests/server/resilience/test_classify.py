"""Every row of the table from outcomes to verdicts."""

import errno
import socket

import anyio
import httpx
import httpx2
import pytest

from klepaas.errors import (
    BadRequest,
    CircuitOpen,
    Conflict,
    Forbidden,
    InternalError,
    KlepaasError,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from klepaas.resilience import Kind, NotSent, Observation, OutcomeUnknown, Overloaded, Verdict, classify
from klepaas.resilience.classify import CONTACT, DOUBTFUL

WALL_S = 1_800_000_000.0


def judged(error: Exception) -> Verdict:
    return classify(Observation(error=error, wall_s=WALL_S))


def answered(status: int, headers: dict[str, str] | None = None) -> Verdict:
    return classify(Observation(httpx.Response(status, headers=headers or {}), wall_s=WALL_S))


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ConnectError", Kind.NOT_SENT),
        ("ConnectTimeout", Kind.NOT_SENT),
        ("ProxyError", Kind.NOT_SENT),
        ("PoolTimeout", Kind.NOT_ASKED),
        ("ReadTimeout", Kind.TIMEOUT),
        ("WriteTimeout", Kind.TIMEOUT),
        ("ReadError", Kind.UNAVAILABLE),
        ("WriteError", Kind.UNAVAILABLE),
        ("CloseError", Kind.UNAVAILABLE),
        ("RemoteProtocolError", Kind.UNAVAILABLE),
        ("DecodingError", Kind.PROTOCOL),
        ("TooManyRedirects", Kind.PROTOCOL),
        ("LocalProtocolError", Kind.CALLER_MISTAKE),
        ("UnsupportedProtocol", Kind.CALLER_MISTAKE),
        ("InvalidURL", Kind.CALLER_MISTAKE),
    ],
)
def test_an_exception_of_httpx_has_its_row(library: object, name: str, kind: Kind) -> None:
    verdict = judged(getattr(library, name)("the text does not matter"))
    assert verdict.kind is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Kind.OK),
        (204, Kind.OK),
        (304, Kind.OK),
        (400, Kind.CALLER_MISTAKE),
        (401, Kind.AUTH),
        (403, Kind.CALLER_MISTAKE),
        (404, Kind.CALLER_MISTAKE),
        (405, Kind.CALLER_MISTAKE),
        (407, Kind.AUTH),
        (408, Kind.TIMEOUT),
        (409, Kind.CALLER_MISTAKE),
        (410, Kind.CALLER_MISTAKE),
        (412, Kind.CALLER_MISTAKE),
        (422, Kind.CALLER_MISTAKE),
        (425, Kind.UNAVAILABLE),
        (429, Kind.RATE_LIMITED),
        (500, Kind.UNAVAILABLE),
        (501, Kind.CALLER_MISTAKE),
        (502, Kind.UNAVAILABLE),
        (503, Kind.UNAVAILABLE),
        (504, Kind.TIMEOUT),
        (505, Kind.CALLER_MISTAKE),
        (529, Kind.UNAVAILABLE),
    ],
)
def test_a_status_has_its_row_returned_or_raised(status: int, kind: Kind) -> None:
    assert answered(status).kind is kind
    if status >= 400:
        request = httpx.Request("GET", "http://127.0.0.1/")
        raised = httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, request=request))
        assert judged(raised).kind is kind


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, Forbidden), (404, NotFound), (409, Conflict), (410, NotFound), (412, Conflict), (422, None)],
)
def test_a_callers_mistake_names_its_error(status: int, error: type[KlepaasError] | None) -> None:
    assert answered(status).error is error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotSent("x"), Kind.NOT_SENT),
        (CircuitOpen("x"), Kind.NOT_ASKED),
        (Overloaded("x"), Kind.NOT_ASKED),
        (OutcomeUnknown("x"), Kind.TIMEOUT),
        (RateLimited("x", retry_after_s=7), Kind.RATE_LIMITED),
        (TimedOut("x"), Kind.TIMEOUT),
        (Unavailable("x"), Kind.UNAVAILABLE),
        (Unauthorized("x"), Kind.AUTH),
        (BadRequest("x"), Kind.CALLER_MISTAKE),
        (Forbidden("x"), Kind.CALLER_MISTAKE),
        (NotFound("x"), Kind.CALLER_MISTAKE),
        (Conflict("x"), Kind.CALLER_MISTAKE),
        (InternalError("x"), Kind.UNEXPECTED),
        (KlepaasError("x"), Kind.UNEXPECTED),
    ],
)
def test_an_error_of_klepaas_has_its_row(error: KlepaasError, kind: Kind) -> None:
    assert judged(error).kind is kind
    assert judged(error).retry_after_s == error.retry_after_s


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Kind.NOT_SENT),
        (ConnectionResetError(), Kind.UNAVAILABLE),
        (BrokenPipeError(), Kind.UNAVAILABLE),
        (socket.gaierror("no such name"), Kind.UNAVAILABLE),
        (FileNotFoundError("a file, who knows which"), Kind.UNAVAILABLE),
        (TimeoutError(), Kind.TIMEOUT),
        (EOFError(), Kind.UNAVAILABLE),
        (anyio.EndOfStream(), Kind.UNAVAILABLE),
        (anyio.ClosedResourceError(), Kind.UNAVAILABLE),
        (anyio.BrokenResourceError(), Kind.UNAVAILABLE),
        (TypeError("ours"), Kind.UNEXPECTED),
        (KeyError("ours"), Kind.UNEXPECTED),
    ],
)
def test_an_error_of_the_system_or_of_ours_has_its_row(error: Exception, kind: Kind) -> None:
    assert judged(error).kind is kind


@pytest.mark.parametrize("cause", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), ConnectionRefusedError()])
@pytest.mark.parametrize("kind", [Unavailable, TimedOut])
def test_an_error_whose_cause_proves_it_was_not_sent(kind: type[KlepaasError], cause: Exception) -> None:
    error = kind("Cannot list pods: the connection is refused")
    error.__cause__ = cause
    assert judged(error).kind is Kind.NOT_SENT


@pytest.mark.parametrize("cause", [httpx.ReadError("x"), httpx.ReadTimeout("x"), ValueError(), None])
def test_an_error_whose_cause_proves_nothing_is_taken_as_sent(cause: Exception | None) -> None:
    error = Unavailable("Cannot apply: the connection broke off")
    error.__cause__ = cause
    assert judged(error).kind is Kind.UNAVAILABLE
    unknown = OutcomeUnknown("It is not known")
    unknown.__cause__ = httpx.ConnectError("a second connection, after the first was sent")
    assert judged(unknown).kind is Kind.TIMEOUT


def test_of_a_group_the_worst_counts() -> None:
    group = ExceptionGroup("x", [NotFound("x"), ExceptionGroup("y", [httpx.ReadError("x"), httpx.ConnectError("x")])])
    assert judged(group).kind is Kind.UNAVAILABLE


def test_a_group_with_only_refused_connections_was_not_sent() -> None:
    assert judged(ExceptionGroup("x", [httpx.ConnectError("x"), ConnectionRefusedError()])).kind is Kind.NOT_SENT


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_read_in_seconds_and_as_a_date(status: int) -> None:
    assert answered(status, {"Retry-After": "7"}).retry_after_s == 7
    assert answered(status, {"Retry-After": "Fri, 15 Jan 2027 08:00:09 GMT"}).retry_after_s == 9
    assert answered(status).retry_after_s is None


def test_a_403_that_is_a_rate_limit_is_one() -> None:
    primary = answered(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(WALL_S) + 40)})
    assert (primary.kind, primary.retry_after_s) == (Kind.RATE_LIMITED, 40)
    secondary = answered(403, {"Retry-After": "60"})
    assert (secondary.kind, secondary.retry_after_s) == (Kind.RATE_LIMITED, 60)
    assert answered(403, {"X-RateLimit-Remaining": "12"}).kind is Kind.CALLER_MISTAKE


def test_any_other_result_is_good() -> None:
    assert classify(Observation({"status_code": 503})).kind is Kind.OK
    assert classify(Observation(None)).kind is Kind.OK


def test_every_kind_has_one_meaning_for_the_breaker_and_for_a_change() -> None:
    assert not CONTACT & DOUBTFUL
    assert set(Kind) - CONTACT - DOUBTFUL == {Kind.RATE_LIMITED, Kind.NOT_ASKED, Kind.NOT_SENT}
