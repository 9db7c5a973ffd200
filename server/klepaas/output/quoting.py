"""A text of somebody else's inside a sentence of klepaas': in quotes, short, and the same to read as it was sent.

Letters of every script stay as they are, so that a person finds their own word again. What has an effect or cannot be
seen is spelled out: control characters, line ends, characters that change the direction of text, tags and fillers.
"""

import re

from klepaas.output.foreign_text import HIDDEN

__all__ = ["quote"]

QUOTED_MAX_CHARS = 64


def quote(text: str, max_chars: int = QUOTED_MAX_CHARS) -> str:
    """The text in quotes, as an error or a line of the log may hold it.

    Args:
        text: The text.
        max_chars: Longest part that is quoted, in characters; of more the beginning is, and dots.
    """
    shown = text if len(text) <= max_chars else f"{text[:max_chars]}..."
    # repr() spells out all that Python does not count as printable: controls, format characters, unassigned ones.
    return HIDDEN.sub(_spelled, repr(shown))


def _spelled(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()
