"""Texts inside of quoted texts: a log line, a manifest or another JSON document as a string of JSON.

Escapes hide what the rules look for: the ends of lines, quotes, Korean letters. So a quoted text with escapes is read,
redacted as the text that it is, and quoted again where something was masked.
"""

import json
import re
from collections.abc import Callable

from klepaas.output.vault import MARK

__all__ = ["redact_escaped", "redact_quoted"]

# A quote ends where the next one without a backslash stands, so only the last may have no end.
_LITERAL = re.compile(r"(?<!\\)\"(?:[^\"\\\n]|\\.)*+\"")
# Korean, as many libraries write it in JSON: \uc554\ud638.
_KOREAN_ESCAPE = re.compile(r"(?<!\\)\\u(?P<code>(?:a[c-f]|[bc][0-9a-f]|d[0-7])[0-9a-f]{2})", re.IGNORECASE)
_KOREAN = re.compile("[가-힣]")
_ESCAPED_MARK = json.dumps(MARK)[1:-1]


def redact_quoted(text: str, redact: Callable[[str], str]) -> str:
    """The text with each of its quoted texts redacted that have escapes.

    Args:
        text: The text.
        redact: Redacts a text that was quoted.
    """
    return _LITERAL.sub(lambda match: _requote(match.group(), redact), text) if "\\" in text else text


def redact_escaped(text: str, redact: Callable[[str], str]) -> str:
    """The text redacted as if its Korean letters were not written as escapes, which they stay.

    Args:
        text: The text.
        redact: Redacts a text.
    """
    plain = _KOREAN_ESCAPE.sub(lambda match: chr(int(match["code"], 16)), text) if "\\u" in text else text
    clean = redact(plain)
    if clean == plain:
        return text
    return clean if plain == text else _KOREAN.sub(lambda match: f"\\u{ord(match.group()):04x}", clean)


def _requote(literal: str, redact: Callable[[str], str]) -> str:
    if "\\" not in literal:
        return literal
    try:
        inner = json.loads(literal, strict=False)
    except ValueError:
        return literal
    clean = redact(inner)
    return literal if clean == inner else json.dumps(clean).replace(_ESCAPED_MARK, MARK)
