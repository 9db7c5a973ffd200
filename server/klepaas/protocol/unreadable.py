"""Answers requests over stdio that the SDK cannot read, so that their client does not wait for ever.

The SDK drops a line that it cannot read: one that is nested too deeply, that holds half a surrogate pair, or whose
parts are none of a request's. Over HTTP the same request gets status 400. A line that does not say which request it is
stays without an answer: clients over stdio do not expect one without an id.

Source: JSON-RPC 2.0, section 5.1.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import mcp_types as mt
from pydantic import ValidationError

__all__ = ["answer_unreadable", "request_id_in"]

# A string without an end reaches to the end of the text, so that nothing is looked at twice.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?+|[\[{]|[\]}]|[^"\[\]{}]++', re.DOTALL)
_NUMBER = re.compile(r"\s*:\s*(\d{1,15})\s*(?:,|\Z)")
_ID_MAX_CHARS = 256


def answer_unreadable(error: Exception) -> mt.JSONRPCError | None:
    """The answer to a request that cannot be read. None: it was no request, or does not say which one.

    Args:
        error: What the SDK says of the line.
    """
    if not isinstance(error, ValidationError):
        return None
    found = error.errors(include_url=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        request_id, code = request_id_in(str(found[0]["input"])), mt.PARSE_ERROR
        text = "The message cannot be read: it is no JSON, nested too deeply, or not whole characters"
    else:
        ids = [_id_of(one["input"]) for one in found]
        request_id, code = next((one for one in ids if one is not None), None), mt.INVALID_REQUEST
        text = "The message is not a request of this protocol"
    if request_id is None:
        return None
    return mt.JSONRPCError(jsonrpc="2.0", id=request_id, error=mt.ErrorData(code=code, message=text))


def request_id_in(text: str) -> int | str | None:
    """The id of the request that a text would be, in time linear in its length; None where it has none.

    Args:
        text: JSON, perhaps nested too deeply to be read, or not valid.
    """
    depth, key, is_request = 0, "", False
    found: int | str | None = None
    for match in _TOKEN.finditer(text):
        part = match.group()
        if part in "[{":
            depth += 1
        elif part in "]}":
            depth -= 1
        elif depth == 1 and part[0] == '"':
            found = _text(part) if key == '"id":' else found
            key = part
        elif depth == 1:
            number = _NUMBER.match(part) if key == '"id"' else None
            found = int(number[1]) if number else found
            key = (key + part.strip())[:_ID_MAX_CHARS]
            is_request = is_request or key == '"method":'
    return found if is_request else None


def _text(literal: str) -> str | None:
    try:
        text = str(json.loads(literal))
        text.encode()
    except ValueError:
        return None
    return text if len(text) <= _ID_MAX_CHARS else None


def _id_of(said: Any) -> int | str | None:
    """The id in what should have been a request."""
    found = said.get("id") if isinstance(said, Mapping) and "method" in said else None
    return found if isinstance(found, int | str) and not isinstance(found, bool) else None
