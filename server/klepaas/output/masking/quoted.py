"""Texts inside of quoted texts: a log line, a manifest or another JSON document as a string of JSON.

Escapes hide what the rules look for: the ends of lines, quotes, Korean letters. So a quoted text with escapes is read,
redacted as the text that it is, and quoted again where something was masked.
"""

import json
import re
from collections.abc import Callable

from klepaas.output.vault import MARK

__all__ = ["redact_quoted"]

# A quote ends where the next one without a backslash stands, so only the last may have no end.
_LITERAL = re.compile(r"(?<!\\)\"(?:[^\"\\\n]|\\.)*+\"")
_ESCAPED_MARK = json.dumps(MARK)[1:-1]


def redact_quoted(text: str, redact: Callable[[str], str]) -> str:
    """The text with each of its quoted texts redacted that have escapes.

    Args:
        text: The text.
        redact: Redacts a text that was quoted.
    """
    return _LITERAL.sub(lambda match: _requote(match.group(), redact), text) if "\\" in text else text


def _requote(literal: str, redact: Callable[[str], str]) -> str:
    if "\\" not in literal:
        return literal
    try:
        inner = json.loads(literal, strict=False)
    except ValueError:
        return literal
    clean = redact(inner)
    return literal if clean == inner else json.dumps(clean).replace(_ESCAPED_MARK, MARK)
