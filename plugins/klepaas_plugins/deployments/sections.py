"""An answer of several lists within one budget: where it is too long, the longest list gives way first, by a line."""

from collections.abc import Sequence
from dataclasses import dataclass

from klepaas_plugins.deployments.objects import one_line

__all__ = ["Section", "within"]

_LINE_CHARS = 200
# However long the answer is, so many lines of each list stay.
_KEPT = 2


@dataclass(frozen=True)
class Section:
    """One list.

    Attributes:
        title: Its heading.
        lines: Its lines, the most important first.
        more: How to see all of them.
        total: How many there are. None: as many as lines.
    """

    title: str
    lines: Sequence[str]
    more: str = ""
    total: int | None = None


def within(head: Sequence[str], sections: Sequence[Section], max_bytes: int) -> str:
    """The text, at most so long as far as that leaves something of each list.

    Args:
        head: What comes first and stays whole.
        sections: The lists; an empty one is left out.
        max_bytes: Longest text, in bytes of UTF-8.
    """
    shown = [Section(one.title, [*map(_short, one.lines)], one.more, one.total or len(one.lines)) for one in sections]
    shown = [one for one in shown if one.lines]
    text = _text(head, shown)
    while len(text.encode()) > max_bytes:
        longest = max(range(len(shown)), key=lambda number: (len(shown[number].lines), number), default=None)
        if longest is None or len(shown[longest].lines) <= _KEPT:
            break
        one = shown[longest]
        shown[longest] = Section(one.title, one.lines[:-1], one.more, one.total)
        text = _text(head, shown)
    return text


def _short(line: str) -> str:
    return f"  {one_line(line, _LINE_CHARS)}"


def _text(head: Sequence[str], sections: Sequence[Section]) -> str:
    lines = [*head]
    for one in sections:
        left = (one.total or 0) - len(one.lines)
        hint = f": {one.more}" if one.more else ""
        lines += [f"{one.title}:", *one.lines, *([f"  and {left} more{hint}"] if left > 0 else [])]
    return "\n".join(lines)
