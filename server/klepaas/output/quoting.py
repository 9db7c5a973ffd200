"""A text of somebody else's inside a sentence of klepaas': in quotes, short, and the same to read as it was sent.

Letters of every script stay as they are, so that a person finds their own word again. What has an effect or cannot be
seen is spelled out: control characters, line ends, characters that change the direction of text, tags and fillers.
"""

import json
import re
from typing import Any

from klepaas.output.foreign_text import HIDDEN
from klepaas.output.jsonable import valid_json
from klepaas.output.safe import limit_length

__all__ = ["json_text", "quote"]

QUOTED_MAX_CHARS = 64


def quote(text: str, max_chars: int = QUOTED_MAX_CHARS) -> str:
    """The text in quotes, as an error or a line of the log may hold it.

    Args:
        text: The text.
        max_chars: Longest part that is quoted, in characters; of more the beginning is, and dots.
    """
    shown = text if len(text) <= max_chars else f"{limit_length(text, max_chars)}..."
    # repr() spells out all that Python does not count as printable: controls, format characters, unassigned ones.
    return HIDDEN.sub(_spelled, repr(shown))


def json_text(value: Any, *, indent: int | None = None, ascii_only: bool = False, wide: bool = False) -> str:
    """A value as JSON that a terminal can show: letters as they are, what acts or hides as JSON's own escape.

    JSON leaves everything above the control characters as it is, the characters that change the direction of text
    among them. A program that reads the text gets the very same value.

    Args:
        value: The value; what JSON cannot carry, such as NaN, is written as its text.
        indent: Blanks a level. None: all in one line.
        ascii_only: Whether letters are escaped as well, for an output that cannot hold them.
        wide: Whether what lies beyond the first 65,536 characters is escaped as one, as TOML wants it.
    """
    text = json.dumps(valid_json(value), ensure_ascii=ascii_only, indent=indent)
    if not HIDDEN.search(text) and text.replace("\n", "").isprintable():
        return text
    return "".join(one if one == "\n" or _is_seen(one) else _escaped(one, wide=wide) for one in text)


def _is_seen(character: str) -> bool:
    return character.isprintable() and HIDDEN.match(character) is None


def _escaped(character: str, *, wide: bool) -> str:
    number = ord(character)
    if number < 0x10000:
        return f"\\u{number:04x}"
    return f"\\U{number:08x}" if wide else json.dumps(character)[1:-1]


def _spelled(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()
