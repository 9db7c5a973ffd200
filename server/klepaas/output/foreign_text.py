"""Text that somebody outside wrote: logs, annotations, event messages, commit messages.

It is data. What has an effect beyond being read is taken out: terminal sequences, control characters, characters that
change the direction of text or cannot be seen. It does not judge what the text says: a sentence in a log that asks the
model for a deletion has no power because a change passes the gate, not because the sentence was found.

Source: Unicode, general categories Cc, Cf, Co, Cs and Zl, Zp; ECMA-48 for terminal sequences.
"""

import re
import unicodedata

__all__ = ["HIDDEN", "clean"]

# CSI, OSC (to BEL, ST or the line's end) and the two-character escapes, in their 7-bit and 8-bit forms.
_TERMINAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*(?:\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_SUSPECT = re.compile("[^\t\n\r -~가-힣]")
# Letters, marks and symbols that show nothing, and so can carry hidden data: fillers, variation selectors, and code
# points that are nothing yet but are displayed as nothing.
HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0e\uffa0\ufff0-\ufff8"
    "\ufdd0-\ufdef\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_EMOJI_STYLE = "\ufe0f"
_JOINERS = "\u200c\u200d"
# Signs that are counted among the format characters and yet are seen: Arabic, Syriac and Kaithi number and verse marks.
_SEEN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")


def clean(text: str) -> str:
    """The text without anything that acts or hides.

    Every line end becomes a line feed, also a lone carriage return, which would let a line overwrite another.
    """
    if _SUSPECT.search(text) is None and "\r" not in text:
        return text
    text = _TERMINAL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    text = HIDDEN.sub("", text)
    return _SUSPECT.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    category = unicodedata.category(character)
    if character == _EMOJI_STYLE:
        return character if _styles(match.string, match.start()) else ""
    if category == "Cf":
        return character if character in _SEEN or _joins(match.string, match.start()) else ""
    # A code point that this Python does not know may be a newer emoji; it is nothing that acts.
    if category in ("Cc", "Cs", "Co") or ord(character) & 0xFFFE == 0xFFFE:
        return ""
    return " " if category in ("Zl", "Zp") else character


def _styles(text: str, at: int) -> bool:
    """Whether a variation selector turns the symbol before it into an emoji."""
    return at > 0 and (unicodedata.category(text[at - 1]) == "So" or text[at + 1 : at + 2] == "\u20e3")


def _joins(text: str, at: int) -> bool:
    """Whether a joiner stands between two visible characters of scripts that need it, or between two emoji."""
    if text[at] not in _JOINERS or at == 0 or at + 1 >= len(text):
        return False
    before = text[at - 2] if text[at - 1] == _EMOJI_STYLE and at > 1 else text[at - 1]
    return _takes_joiners(before) and _takes_joiners(text[at + 1])


def _takes_joiners(character: str) -> bool:
    """Letters and marks from Arabic to Mongolian, and symbols; never another joiner, which would make a hidden code."""
    category = unicodedata.category(character)
    if category[0] in "LM":
        return 0x600 <= ord(character) <= 0x18AF or (
            ord(character) >= 0xA800 and not 0xAC00 <= ord(character) <= 0xD7A3
        )
    return category in ("So", "Sk", "Cn")
