"""Slack's codes come in three disguises, one of them a good result. The texts are those that the real servers gave."""

import json
from typing import Any

import mcp_types as mt
import pytest
from mcp.shared.exceptions import MCPError

from klepaas.errors import Forbidden, KlepaasError, NotFound
from klepaas.resilience import Kind, Observation, Verdict
from klepaas_providers.slack.classify import classify, classify_strictly


def npm(answer: Any) -> Verdict:
    """The server of npm: whatever Slack said, as a good result."""
    said = mt.TextContent(text=answer if isinstance(answer, str) else json.dumps(answer))
    return classify_strictly(Observation(mt.CallToolResult(content=[said])))


def go(text: str, *, is_error: bool = True) -> Verdict:
    """The Go server: an error in words."""
    return classify(Observation(mt.CallToolResult(content=[mt.TextContent(text=text)], is_error=is_error)))


def hosted(text: str, code: int = -32000) -> Verdict:
    """The hosted server, as far as it is known: an error of the protocol."""
    return classify(Observation(error=MCPError(code, text)))


@pytest.mark.parametrize(
    ("code", "kind", "error"),
    [
        ("channel_not_found", Kind.CALLER_MISTAKE, NotFound),
        ("user_not_found", Kind.CALLER_MISTAKE, NotFound),
        ("not_in_channel", Kind.CALLER_MISTAKE, Forbidden),
        ("missing_scope", Kind.CALLER_MISTAKE, Forbidden),
        ("is_archived", Kind.CALLER_MISTAKE, Forbidden),
        ("msg_too_long", Kind.CALLER_MISTAKE, None),
        ("invalid_auth", Kind.AUTH, None),
        ("token_revoked", Kind.AUTH, None),
        ("invalid_token_type", Kind.AUTH, None),
        ("ratelimited", Kind.RATE_LIMITED, None),
        ("internal_error", Kind.UNAVAILABLE, None),
        ("fatal_error", Kind.UNAVAILABLE, None),
    ],
)
def test_a_code_means_the_same_wherever_it_stands(code: str, kind: Kind, error: type[KlepaasError] | None) -> None:
    for verdict in (npm({"ok": False, "error": code}), go(code), go(f'{{"ok":false,"error":"{code}"}}'), hosted(code)):
        assert (verdict.kind, verdict.error) == (kind, error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({}, Kind.UNAVAILABLE),
        ({"message": "broken"}, Kind.UNAVAILABLE),
        ({"status": 503, "detail": "out of order"}, Kind.UNAVAILABLE),
        ({"error": "fetch failed"}, Kind.UNAVAILABLE),
        ({"error": "Unexpected token '<', \"<html><bod\"... is not valid JSON"}, Kind.PROTOCOL),
        ({"error": "Missing required arguments: channel_id and text"}, Kind.CALLER_MISTAKE),
        ("Thank you!", Kind.UNAVAILABLE),
        ({"ok": "true"}, Kind.UNAVAILABLE),
        ({"ok": True, "channel": "C1", "ts": "1.2"}, Kind.OK),
        ('{"ok":true,"channels":[' + ",".join(['{"id":"C1"}'] * 20_000) + "]}", Kind.OK),
    ],
)
def test_only_ok_is_a_success_of_the_server_that_hands_everything_on(answer: Any, kind: Kind) -> None:
    assert npm(answer).kind is kind


@pytest.mark.parametrize(
    ("text", "kind", "wait_s"),
    [
        ("slack rate limit exceeded, retry after 2s", Kind.RATE_LIMITED, 2.0),
        ("slack rate limit exceeded, retry after 1m0s", Kind.RATE_LIMITED, 60.0),
        ("slack server error: 429 ", Kind.RATE_LIMITED, None),
        ("slack server error: 503 ", Kind.UNAVAILABLE, None),
        ('Post "https://acme.slack.com/api/chat.postMessage": unexpected EOF', Kind.UNAVAILABLE, None),
        (
            'Post "https://acme.slack.com/api/chat.postMessage": proxyconnect tcp: dial tcp 127.0.0.1:9: connect: '
            "connection refused",
            Kind.NOT_SENT,
            None,
        ),
        ("invalid character '<' looking for beginning of value", Kind.PROTOCOL, None),
        ('channel "#nosuch" not found', Kind.CALLER_MISTAKE, None),
        ("channel_id must be a string", Kind.CALLER_MISTAKE, None),
    ],
)
def test_the_words_of_the_go_server_are_read(text: str, kind: Kind, wait_s: float | None) -> None:
    verdict = go(text)
    assert (verdict.kind, verdict.retry_after_s) == (kind, wait_s)


@pytest.mark.parametrize(
    "text",
    [
        "Successfully posted message to channel C0DEPLOY01 (ts=1795000000.000000)",
        "MsgID,UserID,Text\n1.2,U1,ratelimited invalid_auth\n",
        '{"messages": [{"text": "internal_error"}]}',
        '{"message": {"text": "hello"}}',
    ],
)
def test_a_good_answer_of_another_server_is_one_without_saying_ok(text: str) -> None:
    assert go(text, is_error=False).kind is Kind.OK


@pytest.mark.parametrize("text", ['{"ok":false,"error":"ratelimited"}', '{"error":"fetch failed"}', "{}"])
def test_a_lying_success_is_seen_through_any_server(text: str) -> None:
    assert go(text, is_error=False).kind is not Kind.OK
