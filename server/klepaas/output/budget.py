"""How long an answer may be. A cut answer says that it was cut, by how much, and how to go on."""

from collections.abc import Sequence

from klepaas.output.safe import ROOM_CHARS, redactable, safe_text

__all__ = ["LIST_BYTES", "fit", "within_bytes"]

# A list longer than this is rarely read to its end, and every conversation pays for it.
LIST_BYTES = 10_000
_NARROWER = "Ask for less, or narrower"
# The note's own words and two numbers, without the hint.
_NOTE_BYTES = 80


def fit(text: str, max_bytes: int, more: str = _NARROWER, *, after: str = "") -> str:
    """The text, cut at the end of a line where it is too long; only a first line that is too long is cut inside.

    What is cut is redacted before, since half a secret would not be recognized.

    Args:
        text: The whole text, or its beginning.
        max_bytes: Longest result, in bytes of UTF-8, the note about the cut included.
        more: How to see the rest, without the final full stop.
        after: What followed on the text but was left out before; the note counts it.
    """
    if len(text) <= max_bytes and len(text.encode(errors="replace")) <= max_bytes and not after:
        return text
    head = redactable(text, max(0, max_bytes) + ROOM_CHARS)
    text, after = safe_text(head), text[len(head) :] + after
    encoded = text.encode(errors="replace")
    if len(encoded) <= max_bytes and not after:
        return text
    room_bytes = max(0, max_bytes - len(more.encode()) - _NOTE_BYTES)
    kept = encoded[:room_bytes].decode(errors="ignore")
    at_line_end = "\n" in kept
    if at_line_end:
        kept = kept[: kept.rindex("\n")]
    note = f"\n[cut: {_rest(text[len(kept) :] + after, at_line_end)}. {more}.]"
    whole = kept + note
    return whole if len(whole.encode()) <= max_bytes else "[cut]"[: max(0, max_bytes)]


def within_bytes(lines: Sequence[str], max_bytes: int) -> list[str]:
    """As many of the first lines as fit, for an answer that is data and cannot be cut as text is.

    Args:
        lines: The lines.
        max_bytes: The most that they may take together, in bytes of UTF-8.
    """
    found: list[str] = []
    for line in lines:
        max_bytes -= len(line.encode(errors="replace"))
        if max_bytes < 0:
            break
        found.append(line)
    return found


def _rest(text: str, whole_lines: bool) -> str:
    lines = text.strip("\n").count("\n") + (1 if whole_lines else 0)
    counted = f"{lines} more line{'' if lines == 1 else 's'}" if lines else "the rest of the line"
    return f"{counted}, {len(text.encode(errors='replace'))} bytes"
