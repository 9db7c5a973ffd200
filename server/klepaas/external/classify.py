"""What the answer of an MCP server means where nobody knows the server: its session's errors, and `isError`.

A server of its own kind needs a classifier of its own: many hide an outage in a good result, or a rate limit in a text.
It judges what it knows and leaves the rest to `classify_mcp`. JSON-RPC errors arrive as `MCPError`, whatever the
transport; what failed on the way there as an error of klepaas (`klepaas.external.failures`).

Source: JSON-RPC 2.0 section 5.1; MCP 2025-11-25 and 2026-07-28, server/tools, "Error Handling".
"""

import re
from collections.abc import Mapping

import mcp_types as mt
from mcp.shared.exceptions import MCPError

from klepaas.errors import BadRequest, KlepaasError, NotFound
from klepaas.output.safe import SafeText, shorten
from klepaas.resilience.classify import Kind, Observation, Verdict, classify

__all__ = ["classify_mcp", "said_in"]

# A classifier looks for a few words; it must not search a megabyte for them.
SAID_MAX_CHARS = 4000
_CODES: Mapping[int, tuple[Kind, type[KlepaasError] | None]] = {
    mt.INVALID_PARAMS: (Kind.CALLER_MISTAKE, BadRequest),
    mt.INVALID_REQUEST: (Kind.CALLER_MISTAKE, BadRequest),
    mt.METHOD_NOT_FOUND: (Kind.CALLER_MISTAKE, NotFound),
    mt.PARSE_ERROR: (Kind.PROTOCOL, None),
    mt.REQUEST_TIMEOUT: (Kind.TIMEOUT, None),
    mt.CONNECTION_CLOSED: (Kind.UNAVAILABLE, None),
}


def classify_mcp(seen: Observation) -> Verdict:
    """The classifier of servers that nobody knows.

    Args:
        seen: What an attempt brought.
    """
    if isinstance(seen.error, MCPError):
        code = seen.error.error.code
        kind, error = _CODES.get(code, (Kind.UNAVAILABLE, None))
        return Verdict(kind, reason=f"answered with the error {code}", error=error)
    if isinstance(seen.result, mt.CallToolResult):
        return Verdict(Kind.CALLER_MISTAKE, reason="refuses") if seen.result.is_error else Verdict(Kind.OK)
    return classify(seen)


def said_in(seen: Observation) -> str:
    """The text of an answer or of a JSON-RPC error, as the upstream wrote it, at most some 4000 characters.

    Args:
        seen: What an attempt brought.
    """
    if isinstance(seen.error, MCPError):
        return shorten(str(seen.error.error.message), SAID_MAX_CHARS, "")
    if not isinstance(seen.result, mt.CallToolResult):
        return ""
    texts = (block.text for block in seen.result.content if isinstance(block, mt.TextContent))
    said = shorten("\n".join(texts), 2 * SAID_MAX_CHARS, "")
    return shorten(SafeText(re.sub(r"[ \t]+", " ", said)), SAID_MAX_CHARS, "")
