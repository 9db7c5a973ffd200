"""Where the names of secrets stand in a text."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from klepaas.output.masking.name_words import DIGESTS, KOREAN, KOREAN_ABOUT
from klepaas.output.masking.names import STEMS, Secrecy, secrecy

__all__ = ["Name", "secret_names"]

_STEM = re.compile(STEMS)
_NAME_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_REST = re.compile(r"[A-Za-z0-9_.가-힣-]{0,100}+")
_LONGEST_CHARS = 100
_KOREAN = re.compile(
    rf".{{0,60}}?(?:{'|'.join(sorted(KOREAN, key=len, reverse=True))})값?(?:는|은|가|이|를|을)?", re.IGNORECASE
)
_PARTICLES = "는은가이를을"
# "API key: x": the word before a bare "key" belongs to the name.
_WORD_BEFORE = re.compile(r"[A-Za-z]{2,20} \Z")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
# checksum/secret: the annotation of a digest.
_DIGEST_OF = tuple(f"{word}/" for word in DIGESTS)


class Name(NamedTuple):
    """A secret's name in a text."""

    text: str
    start: int
    end: int
    secrecy: Secrecy


def secret_names(text: str) -> Iterator[Name]:
    """Yield the names in a text that hold secrets, surely or perhaps, from left to right."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters have a longer small form
        lowered = "".join(char.lower() if char.isascii() else char for char in text)
    position = 0
    while (hit := _STEM.search(lowered, position)) is not None:
        window = text[max(position, hit.start() - _LONGEST_CHARS) : hit.start()]
        start = hit.start() - (len(window) - len(window.rstrip(_NAME_CHARS)))
        rest = _REST.match(text, hit.end())
        end = hit.end() if rest is None else rest.end()
        found = _name(text, start, end)
        if found is not None:
            yield found
        position = max(end, hit.end())


def _name(text: str, start: int, end: int) -> Name | None:
    if start and _ESCAPED.match(text, start - 1) is not None:
        start += 2  # what is left of %22token
    name = text[start:end]
    if not name.isascii():
        korean = _KOREAN.match(name)
        if korean is None:
            return None
        whole, name = name, korean.group().rstrip(_PARTICLES)
        if whole[len(name) :].lstrip("_.-").startswith(KOREAN_ABOUT):
            return None
    name = name.rstrip(".-")
    if text[max(0, start - 9) : start].endswith(_DIGEST_OF):
        return None
    judged = secrecy(name.strip("-."))
    if judged is Secrecy.PLAIN and name.lower() in ("key", "keys", "string"):
        before = _WORD_BEFORE.search(text[max(0, start - 22) : start])
        judged = Secrecy.PLAIN if before is None else secrecy(f"{before.group().strip()}_{name}")
    return None if judged is Secrecy.PLAIN else Name(name, start, start + len(name), judged)
