"""GitHub's server has only words; each of them means one thing. The texts are those that the real servers gave."""

import mcp_types as mt
import pytest
from mcp.shared.exceptions import MCPError

from klepaas.errors import BadRequest, Forbidden, KlepaasError, NotFound
from klepaas.resilience import Kind, NotSent, Observation, Verdict
from klepaas_providers.github.classify import LIMIT_PAUSE_S, ROUNDING_S, classify

ISSUES = "POST http://ghes.test/api/v3/repos/acme/shop/issues"


def error(text: str, code: int = mt.INTERNAL_ERROR) -> Verdict:
    """How version 0.12 says most of it."""
    return classify(Observation(error=MCPError(code, text)))


def result(text: str, *, is_error: bool = True) -> Verdict:
    """How version 1 says it, and version 0.12 some of it."""
    return classify(Observation(mt.CallToolResult(content=[mt.TextContent(text=text)], is_error=is_error)))


@pytest.mark.parametrize("say", [error, result])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"failed to create issue: {ISSUES}: 502 bad gateway []", Kind.UNAVAILABLE),
        (f"failed to create issue: {ISSUES}: 503 Service Unavailable []", Kind.UNAVAILABLE),
        (f"failed to create issue: {ISSUES}: 504 Gateway Time-out []", Kind.TIMEOUT),
        (f"failed to create issue: {ISSUES}: 401 Bad credentials []", Kind.AUTH),
        (
            f"failed to create issue: {ISSUES}: 422 Validation Failed [{{Resource:Issue Field:title}}]",
            Kind.CALLER_MISTAKE,
        ),
        (f"failed to create issue: {ISSUES}: 429 slow down []", Kind.RATE_LIMITED),
        ('non-200 OK status code: 502  body: "{}"', Kind.UNAVAILABLE),
        ('non-200 OK status code: 401  body: "Bad credentials"', Kind.AUTH),
        ("failed to create issue: unexpected EOF", Kind.UNAVAILABLE),
        (f'failed: Post "{ISSUES}": net/http: HTTP/1.x transport connection broken: unexpected EOF', Kind.UNAVAILABLE),
        (
            f'failed: Post "{ISSUES}": read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer',
            Kind.UNAVAILABLE,
        ),
        (f'failed: Post "{ISSUES}": context deadline exceeded', Kind.TIMEOUT),
        (f'failed: Post "{ISSUES}": net/http: TLS handshake timeout', Kind.NOT_SENT),
        (
            f'failed: Post "{ISSUES}": proxyconnect tcp: dial tcp 127.0.0.1:9: connect: connection refused',
            Kind.NOT_SENT,
        ),
        (f'failed: Post "{ISSUES}": dial tcp: lookup ghes.test: no such host', Kind.NOT_SENT),
        (f'failed: Post "{ISSUES}": tls: failed to verify certificate: x509: unknown authority', Kind.NOT_SENT),
        ("failed to create issue: invalid character '<' looking for beginning of value", Kind.PROTOCOL),
    ],
)
def test_a_failure_is_read_out_of_the_words(say: object, text: str, kind: Kind) -> None:
    assert callable(say)
    assert say(text).kind is kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("failed to get issue: GET http://ghes.test/api/v3/repos/acme/shop/issues/8: 404 Not Found []", NotFound),
        (f"failed to create issue: {ISSUES}: 403 Resource not accessible by personal access token []", Forbidden),
        ("Could not resolve to a Repository with the name 'acme/none'.", NotFound),
        ("missing required parameter: owner", BadRequest),
    ],
)
def test_what_the_caller_did_wrong_opens_no_breaker(text: str, kind: type[KlepaasError]) -> None:
    for verdict in (error(text), result(text)):
        assert (verdict.kind, verdict.error) == (Kind.CALLER_MISTAKE, kind)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("failed to get user: GET http://x/user: 403 API rate limit exceeded [rate reset in 3s]", 3.0 + ROUNDING_S),
        (
            "failed: GET http://x/user: 403 API rate limit of 60 still exceeded until 2026-11-21 13:11:21 +0000 UTC, "
            "not making remote request. [rate reset in 59m58s]",
            3598.0 + ROUNDING_S,
        ),
        ("failed to get user: GitHub API rate limit exceeded. Retry after 2s.", 2.0 + ROUNDING_S),
        ("failed to get user: GitHub secondary rate limit exceeded. Retry after 1m30s.", 90.0 + ROUNDING_S),
        ("failed to get user: GitHub API rate limit exceeded. Wait before retrying.", LIMIT_PAUSE_S),
        (f"failed: {ISSUES}: 403 You have exceeded a secondary rate limit []", LIMIT_PAUSE_S),
        (f"failed: {ISSUES}: 429 slow []", LIMIT_PAUSE_S),
        ('non-200 OK status code: 429  body: "{}"', LIMIT_PAUSE_S),
        ("API rate limit exceeded for user ID 1.", LIMIT_PAUSE_S),
    ],
)
def test_a_rate_limit_says_for_how_long(text: str, wait_s: float) -> None:
    for verdict in (error(text), result(text)):
        assert (verdict.kind, verdict.retry_after_s) == (Kind.RATE_LIMITED, wait_s)


def test_words_of_a_caller_do_not_make_a_rate_limit() -> None:
    verdict = result("failed to create issue: Validation Failed\nIssue.title (invalid): our rate limit page is down")
    assert verdict.kind is Kind.CALLER_MISTAKE


def test_an_answer_that_talks_of_failures_is_an_answer() -> None:
    text = '{"title": "POST http://x: 502", "body": "rate limit exceeded, connection refused"}'
    assert result(text, is_error=False).kind is Kind.OK


def test_what_the_protocol_says_stays() -> None:
    assert error("tool 'x' not found: tool not found", mt.INVALID_PARAMS).kind is Kind.CALLER_MISTAKE
    assert error("Request timed out", mt.REQUEST_TIMEOUT).kind is Kind.TIMEOUT
    assert error("Connection closed", mt.CONNECTION_CLOSED).kind is Kind.UNAVAILABLE
    assert error("failed to create issue: something nobody foresaw").kind is Kind.UNAVAILABLE
    assert classify(Observation(error=NotSent("no process"))).kind is Kind.NOT_SENT
