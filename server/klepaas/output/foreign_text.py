"""Text that somebody outside wrote: logs, annotations, event messages, commit messages.

It is data. What has an effect beyond being read is taken out: terminal sequences, control characters, characters that
change the direction of text or cannot be seen. It does not judge what the text says: a sentence in a log that asks the
model for a deletion has no power because a change passes the gate, not because the sentence was found.

Source: Unicode 16, general categories Cc and Cf; ECMA-48 for terminal sequences.
"""

import re
import unicodedata

__all__ = ["clean"]

# CSI, OSC (to BEL, ST or the line's end) and the two-character escapes, in their 7-bit and 8-bit forms.
_TERMINAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Format characters (bidi controls, zero width, tags, soft hyphen) except the two joiners inside a word, which Persian,
# Indic scripts and emoji need; plus variation selectors and fillers that carry hidden data.
_SUSPECT = re.compile("[^\t\n\r -~가-힣]")
_JOINERS = "‌‍"
_HIDDEN = re.compile("[︀-️᠋-᠏ᅟᅠㅤﾠ\U000e0000-\U000e0fff]")


def clean(text: str) -> str:
    """The text without anything that acts or hides.

    Every line end becomes a line feed, also a lone carriage return, which would let a line overwrite another.
    """
    if _SUSPECT.search(text) is None and "\r" not in text:
        return text
    text = _TERMINAL.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    text = _HIDDEN.sub("", text)
    return _SUSPECT.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    category = unicodedata.category(character)
    if category in ("Cc", "Cs", "Co", "Cn") or (category == "Cf" and not _joins(match)):
        return ""
    return " " if category in ("Zl", "Zp") else character


def _joins(match: re.Match[str]) -> bool:
    """Whether a joiner stands between two letters or symbols of a script that uses it, where it is visible."""
    text, at = match.string, match.start()
    if match.group() not in _JOINERS or at == 0 or at + 1 >= len(text):
        return False
    return ord(text[at - 1]) > 0x5FF and ord(text[at + 1]) > 0x5FF
