"""What an answer of GitHub's MCP server means: it has no codes, only texts.

Version 0.12 passes most failures on as JSON-RPC error -32603, version 1 as a result with `isError`; both quote the HTTP
client's words, in which the status stands. `Retry-After` is lost on the way, the moment of a reset is not. After a
failure the server itself may refuse further calls for a while and says so in the same words.

Source: github/github-mcp-server v0.12.1 and v1.10.1 (pkg/errors), google/go-github (ErrorResponse, RateLimitError);
docs.github.com/rest, "Rate limits for the REST API" and "Troubleshooting"; seen with 0.12.1.
"""

import re
from collections.abc import Mapping

from klepaas.errors import BadRequest, Forbidden, KlepaasError, NotFound
from klepaas.external.classify import classify_mcp, said_in
from klepaas.resilience import Kind, Observation, Verdict, classify_status
from klepaas_providers.words import duration_s, network_verdict

__all__ = ["LIMIT_PAUSE_S", "ROUNDING_S", "classify"]

# What GitHub asks for where it names no moment: "wait for at least one minute".
LIMIT_PAUSE_S = 60.0
ROUNDING_S = 1.0
# "failed to get issue: GET https://api.github.com/repos/o/r/issues/1: 404 Not Found []"
_REST = re.compile(r"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE) \S{1,2000}: (\d{3})\b")
_GRAPHQL = re.compile(r"non-200 OK status code: (\d{3})\b|\bunexpected status(?: code)?:? (\d{3})\b")
_LIMITED = re.compile(
    r"(?:API|secondary) rate limit|abuse detection mechanism|was submitted too quickly|\[rate (?:reset|limit was reset)"
)
_WAIT = re.compile(r"(?:rate reset in|[Rr]etry after) ([0-9hms.]{1,24}?)(?:[\].\s]|$)")
# What GraphQL and the server itself say where no status stands.
_WORDS: Mapping[str, type[KlepaasError]] = {
    "Could not resolve to a": NotFound,
    "Resource not accessible": Forbidden,
    "does not have permission": Forbidden,
    "missing required parameter": BadRequest,
}


def classify(seen: Observation) -> Verdict:
    """Judge one attempt.

    Args:
        seen: What it brought.
    """
    known = classify_mcp(seen)
    said = said_in(seen)
    if known.kind is Kind.OK or not said:
        return known
    found = _by_status(said, seen.wall_s) or network_verdict(said) or _by_words(said)
    return found or known


def _by_status(said: str, wall_s: float) -> Verdict | None:
    match = _REST.search(said) or _GRAPHQL.search(said)
    if match is None:
        return None
    status = int(next(filter(None, match.groups())))
    if status == 429 or (status == 403 and _LIMITED.search(said)):
        return _limited(said)
    return classify_status(status, {}, wall_s)


def _by_words(said: str) -> Verdict | None:
    if _LIMITED.search(said):
        return _limited(said)
    error = next((error for words, error in _WORDS.items() if words in said), None)
    return Verdict(Kind.CALLER_MISTAKE, reason="refuses", error=error) if error else None


def _limited(said: str) -> Verdict:
    match = _WAIT.search(said)
    wait_s = duration_s(match[1]) if match else None
    # The server rounds, and refuses by itself until the very moment.
    return Verdict(Kind.RATE_LIMITED, LIMIT_PAUSE_S if wait_s is None else wait_s + ROUNDING_S, "limits our rate")
