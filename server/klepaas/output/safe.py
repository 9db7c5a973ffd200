"""Redact first, then select, match and cut: text that may be shown, and the only helpers that cut text of others.

A cut may halve a secret, and half a secret is found by no form and no name; a comparison with text that was not
redacted answers guesses. So `SafeText` is made by redaction alone, and what cuts, matches or selects takes it or makes
it. A test walks over the code and finds cuts that are made elsewhere.
"""

from collections.abc import Sequence

from klepaas.output.foreign_text import clean
from klepaas.output.multiline import mask_blocks
from klepaas.output.redaction import MARK, redact_text, vault

__all__ = [
    "ROOM_CHARS",
    "SafeText",
    "cut_with_count",
    "has_words",
    "limit_length",
    "one_line",
    "redact_lines",
    "redactable",
    "safe_label",
    "safe_text",
    "shorten",
    "without_blocks",
]

# Between these stands what may be a secret; one that is longer than this is recognized by its beginning.
_BETWEEN_WORDS = ' \t\n",'
_LONGEST_WORD_CHARS = 512
# Of a text that will be cut to a length this much more is looked at, so that its end is no half of a secret.
ROOM_CHARS = 2 * _LONGEST_WORD_CHARS
# Redacting shortens: of a text for one line more is read than fits.
_READ_CHARS = 8_000


class SafeText(str):
    """Text without secrets, and without what acts or hides. Only this module makes it.

    A part of it, or what is joined from it, is an ordinary text again.
    """

    __slots__ = ()


def safe_text(text: str) -> SafeText:
    """The text as it may be shown on a terminal, in a log or in an answer.

    Args:
        text: Anything, also somebody else's.
    """
    if isinstance(text, SafeText):
        return text
    text = vault.redact(clean(text))
    if "\n" in text or "-----END" in text:
        text = "\n".join(mask_blocks(text.split("\n")))
    return SafeText(redact_text(text))


def safe_label(name: str, value: str) -> SafeText:
    """The value of a label as it may be shown, compared and sorted: judged by the label's name too.

    Args:
        name: The label.
        value: Its value.
    """
    pair = f"{clean(name)}="
    text = safe_text(pair + value)
    return SafeText(text.removeprefix(pair) if text.startswith(pair) else MARK)


def has_words(text: SafeText, words: Sequence[str]) -> bool:
    """Whether all words stand in a text, in any case; what is hidden in it holds no word.

    Args:
        text: The text as it is shown.
        words: In lower case.
    """
    seen = text.replace(MARK, "\0").lower()
    return all(word in seen for word in words)


def redact_lines(lines: Sequence[str], last: int | None = None) -> list[SafeText]:
    """Lines as they may be shown.

    Args:
        lines: Lines that followed one another, without their ends; more above than are wanted, where there are.
        last: How many of the last ones are wanted. None: all.
    """
    masked = without_blocks(lines)
    return [safe_text(line) for line in (masked if last is None else masked[-last:])]


def without_blocks(lines: Sequence[str], *, is_part: bool = False) -> list[str]:
    """Lines without the secrets that span lines, as many as before: to be selected from, then redacted one by one.

    Args:
        lines: Lines that followed one another, without their ends.
        is_part: Whether lines above the first were left out, so that it may go on with something.
    """
    return mask_blocks([" ".join(clean(line).split("\n")) for line in lines], is_part=is_part)


def redactable(text: str, max_chars: int) -> str:
    """The beginning of a text that is too long to be redacted whole, cut so that redaction finds what is in it.

    The cut is between words, so that it leaves no half of a secret, which could not be recognized.

    Args:
        text: Any text.
        max_chars: Longest result, in characters.
    """
    if len(text) <= max_chars:
        return text
    head = text[:max_chars]
    tail = len(head) - _LONGEST_WORD_CHARS
    return head[: max(max(head.rfind(mark, max(0, tail)) for mark in _BETWEEN_WORDS) + 1, tail, 0)]


def shorten(text: str, max_chars: int, mark: str = "...") -> SafeText:
    """The beginning of the redacted text.

    Args:
        text: Any text.
        max_chars: Longest result, in characters, the mark included.
        mark: What says that there was more.
    """
    safe = safe_text(redactable(text, 4 * max_chars + _READ_CHARS))
    if len(safe) <= max_chars:
        return safe
    return SafeText(_without_half_mark(safe[: max(0, max_chars - len(mark))]).rstrip() + mark)


def cut_with_count(text: str, max_chars: int) -> SafeText:
    """The beginning of the redacted text, and how many characters follow.

    Args:
        text: Any text.
        max_chars: The most that is left of it, in characters, without the count.
    """
    safe = safe_text(text)
    if len(safe) <= max_chars:
        return safe
    return SafeText(f"{_without_half_mark(safe[:max_chars])}[+{len(safe) - max_chars} characters]")


def limit_length(text: str, max_chars: int) -> str:
    """The text as it is, for code that compares it; one that is too long is redacted, then cut.

    Args:
        text: Any text.
        max_chars: Longest result, in characters.
    """
    return text if len(text) <= max_chars else shorten(text, max_chars, "")


def one_line(text: str, max_chars: int = 400) -> SafeText:
    """The text as it may be shown inside a line.

    Args:
        text: Anything, also somebody else's.
        max_chars: Longest result, in characters.
    """
    # Lines are joined after redaction, which goes by them.
    safe = safe_text(redactable(text, 4 * max_chars + _READ_CHARS))
    return shorten(SafeText(" ".join(safe.split())), max_chars)


def _without_half_mark(text: str) -> str:
    start = text.rfind(MARK[0])
    return text[:start] if start >= 0 and MARK[-1] not in text[start:] else text
