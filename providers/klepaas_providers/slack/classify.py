"""What an answer of a Slack MCP server means: Slack's own codes, wherever the server put them.

Slack refuses with status 200 and `{"ok": false, "error": "channel_not_found"}`. The server of npm passes that on as a
good result, and an outage of Slack too: so only `"ok": true` is a success there. The Go server makes a text of it with
`isError`; what the hosted server does is not known, and read in all these ways.

Source: docs.slack.dev/apis/web-api ("Evaluating responses", "Rate limits"); @modelcontextprotocol/server-slack
2025.4.25 and slack-mcp-server 1.3.0, both seen.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import mcp_types as mt

from klepaas.errors import Forbidden, KlepaasError, NotFound
from klepaas.external.classify import classify_mcp, said_in
from klepaas.foreign_json import parse_json
from klepaas.resilience import Kind, Observation, Verdict, classify_status
from klepaas_providers.words import duration_s, network_verdict

__all__ = ["classify", "classify_strictly", "verdict_of"]

_AUTH = frozenset(
    [
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "invalid_token_type",
        "not_allowed_token_type",
        "org_login_required",
        "two_factor_setup_required",
        "invalid_refresh_token",
        "invalid_client_id",
        "bad_client_secret",
    ]
)
_LIMITED = frozenset(["ratelimited", "rate_limited", "message_limit_exceeded"])
# After these Slack itself says that a part may have been done.
_TROUBLE = frozenset(["internal_error", "fatal_error", "service_unavailable", "request_timeout", "timeout"])
_FORBIDDEN = re.compile(
    r"missing_scope|not_in_channel|is_archived|no_permission|access_denied|restricted_action\w*|cannot_\w+"
    r"|ekm_access_denied|accesslimited|channel_is_limited_access|not_allowed"
)
_CODE = re.compile(r"[a-z]+(?:_[a-z]+)*")
_QUOTED = re.compile(r"\"error\"\s*:\s*\"([a-z_]{3,60})\"")
_STATUS = re.compile(r"slack server error: (\d{3})\b")
_WAIT = re.compile(r"rate limit exceeded, retry after ([0-9hms.]{1,24})")
_DONE = re.compile(r"\s*\{\s*\"ok\"\s*:\s*true\b")
# A failure is short; a longer text is an answer.
FAILURE_MAX_CHARS = 64 * 1024


def classify(seen: Observation) -> Verdict:
    """Judge one attempt through any of the servers.

    Args:
        seen: What it brought.
    """
    return _judge(seen, _refusal_in)


def classify_strictly(seen: Observation) -> Verdict:
    """Judge one attempt through a server that hands on Slack's own answers: without `"ok": true` it is no success.

    Args:
        seen: What it brought.
    """
    return _judge(seen, _anything_but_ok)


def verdict_of(code: str) -> Verdict:
    """What one of Slack's codes means.

    Args:
        code: The code, such as "channel_not_found".
    """
    reason = f"refuses ({code})"
    if code in _LIMITED:
        return Verdict(Kind.RATE_LIMITED, reason="limits our rate")
    if code in _AUTH:
        return Verdict(Kind.AUTH, reason=f"does not accept the credentials ({code})")
    if code in _TROUBLE:
        return Verdict(Kind.UNAVAILABLE, reason=f"cannot serve ({code})")
    error: type[KlepaasError] | None = None
    if code.endswith("_not_found"):
        error = NotFound
    elif _FORBIDDEN.fullmatch(code):
        error = Forbidden
    return Verdict(Kind.CALLER_MISTAKE, reason=reason, error=error)


def _judge(seen: Observation, refusal: Callable[[Mapping[str, Any] | None], Mapping[str, Any] | None]) -> Verdict:
    if isinstance(seen.result, mt.CallToolResult) and not seen.result.is_error:
        text = "\n".join(block.text for block in seen.result.content if isinstance(block, mt.TextContent))
        if _DONE.match(text):
            return Verdict(Kind.OK)
        refused = refusal(_object_in(text))
        return Verdict(Kind.OK) if refused is None else _of_refusal(refused)
    said = said_in(seen).strip()
    return (_of_words(said, seen.wall_s) if said else None) or classify_mcp(seen)


def _object_in(text: str) -> Mapping[str, Any] | None:
    if not text.lstrip().startswith("{") or len(text) > FAILURE_MAX_CHARS:
        return None
    try:
        found = parse_json(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _refusal_in(answer: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The answer where it is a refusal, or says nothing but an error."""
    if answer is None or answer.get("ok") is True:
        return None
    empty = answer.keys() <= {"error", "message"} and not any(isinstance(one, dict | list) for one in answer.values())
    return answer if "ok" in answer or empty else None


def _anything_but_ok(answer: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if answer is None:
        return {}
    return None if answer.get("ok") is True else answer


def _of_refusal(answer: Mapping[str, Any]) -> Verdict:
    said = answer.get("error")
    if not isinstance(said, str):
        return Verdict(Kind.UNAVAILABLE, reason="did not say that it was done")
    if said.startswith("Missing required argument"):
        return Verdict(Kind.CALLER_MISTAKE, reason="misses an argument")
    if "ok" in answer and _CODE.fullmatch(said):
        return verdict_of(said)
    return network_verdict(said) or Verdict(Kind.UNAVAILABLE, reason="failed")


def _of_words(said: str, wall_s: float) -> Verdict | None:
    match = _WAIT.search(said)
    if match:
        return Verdict(Kind.RATE_LIMITED, duration_s(match[1]), "limits our rate")
    match = _STATUS.search(said)
    if match:
        return classify_status(int(match[1]), {}, wall_s)
    # One word alone may be anybody's: "unknown".
    if _CODE.fullmatch(said) and ("_" in said or said in _LIMITED):
        return verdict_of(said)
    match = _QUOTED.search(said)
    return verdict_of(match[1]) if match else network_verdict(said)
