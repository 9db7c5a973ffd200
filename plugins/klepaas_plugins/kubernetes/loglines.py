"""Lines of a log: which ones are looked for, how bad what they say is, and which ones say the same again.

Patterns are plain text with `|` and `.*`: each line is searched in linear time, whatever a caller writes. Levels are
read from the shapes in which programs commonly write them: JSON, key=value, klog, brackets, a word at the beginning.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from klepaas.names import Check
from klepaas.output.redaction import MARK
from klepaas.output.safe import SafeText

__all__ = ["GREP", "AtLeast", "Grep", "Level", "folded", "level_of"]

Level = Literal["warn", "error"]
GREP_MAX_CHARS = 200
# No pattern holds it.
_MARK_MATCHES_NOTHING = "\0"
_PRINTABLE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f-\x9f]+")
GREP = Check(
    "text to find", lambda text: _PRINTABLE.fullmatch(text) is not None, "text, any case: timeout|refused, a.*b",
    GREP_MAX_CHARS,
)  # fmt: skip

_WARN, _ERROR = 2, 3
_RANKS = {
    **dict.fromkeys(("trace", "debug", "verbose", "fine", "dbg"), 0),
    **dict.fromkeys(("info", "information", "notice", "log", "inf", "informational"), 1),
    **dict.fromkeys(("warn", "warning", "wrn"), _WARN),
    **dict.fromkeys(("error", "err", "severe", "eror"), _ERROR),
    **dict.fromkeys(("fatal", "critical", "crit", "panic", "alert", "emerg", "emergency", "dpanic"), _ERROR),
}
_LEAST: dict[Level, int] = {"warn": _WARN, "error": _ERROR}
_HEAD_CHARS = 400
_NAMED = re.compile(
    r"[\"']?(?:level|lvl|severity|log\.level|loglevel|levelname|severity_text)[\"']?\s*[:=]\s*[\"']?(\d{1,2}|[a-z]+)",
    re.I,
)
_KLOG = re.compile(r"\s*([IWEF])\d{4} \d\d:\d\d:\d\d")
_WORD = re.compile(
    r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|SEVERE|FATAL|CRITICAL|PANIC)\b"
    r"|[\[<(|](trace|debug|info|notice|warn(?:ing)?|error|err|fatal|crit(?:ical)?|emerg|alert)[\]>)|]"
    r"|^[^\w\n]*+(?:\d[\d:.,TZ/+ -]*+[^\w\n]*+)?(error|warn(?:ing)?|fatal|panic|info|debug)\b\s*[:\]|-]",
    re.M,
)
# Every way in which a line can be a warning or worse begins with one of these.
_MAY_BE_BAD = re.compile(
    r"warn|wrn|err|sever|fatal|crit|panic|alert|emerg|level|lvl|traceback|exception|unhandled|uncaught|[WEF]\d{4} \d",
    re.I,
)
_TROUBLE = re.compile(
    r"Traceback \(most recent call last\)|^panic:|^fatal error:|^Exception in thread|Unhandled|Uncaught"
)
_BELOW = re.compile(r"\s+\S|Caused by:|\.\.\. \d+ more|[A-Za-z_.]+(?:Error|Exception)\b|goroutine \d+|\}")
# What varies between two lines that say the same.
_VARYING = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b0x[0-9a-f]+\b"
    r"|\b[0-9a-f]{12,}\b|\d+(?:\.\d+)*"
)


class Grep:
    """What is looked for: alternatives between `|`, each of texts that follow one another between `.*`.

    Args:
        text: The pattern; upper and lower case are the same.
    """

    def __init__(self, text: str) -> None:
        alternatives = [part for part in text.lower().split("|") if part]
        self._alternatives = [
            [re.sub(r"\\(.)", r"\1", piece) for piece in part.split(".*") if piece] for part in alternatives
        ] or [[text.lower()]]

    def matches(self, line: SafeText) -> bool:
        """Whether a line holds it, outside of what stands for a secret: else a letter would tell a mark's place."""
        return self.may_match(line.replace(MARK, _MARK_MATCHES_NOTHING))

    def may_match(self, line: str) -> bool:
        """Whether a line that is not redacted can match once it is.

        It decides only whether redacting the line is worth the time; what `matches` says counts.
        """
        lowered = line.lower()
        return any(_in_turn(pieces, lowered) for pieces in self._alternatives)


def _in_turn(pieces: Sequence[str], line: str) -> bool:
    at = 0
    for piece in pieces:
        found = line.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def level_of(line: str) -> int | None:
    """How bad a line is: 0 debug, 1 info, 2 warn, 3 error and worse. None: it does not tell."""
    head = line[:_HEAD_CHARS]
    named = _NAMED.search(head)
    if named is not None:
        value = named[1].lower()
        # Numbers as bunyan and pino write them: 30 info, 40 warn, 50 error.
        rank = min(3, max(0, int(value) // 10 - 2)) if value.isdigit() else _RANKS.get(value)
        if rank is not None:
            return rank
    klog = _KLOG.match(head)
    if klog is not None:
        return {"I": 1, "W": _WARN}.get(klog[1], _ERROR)
    if _TROUBLE.search(head):
        return _ERROR
    word = _WORD.search(head)
    return _RANKS.get(next(part for part in word.groups() if part).lower()) if word else None


def may_be_bad(line: str) -> bool:
    """Whether a line, redacted or not, can have a level above information: a quick look for the words."""
    return _MAY_BE_BAD.search(line) is not None


class AtLeast:
    """Lets lines of a level through, and those that belong to them (the rest of a stack trace).

    Args:
        level: The least level.
    """

    def __init__(self, level: Level) -> None:
        self._least = _LEAST[level]
        self._inside = False

    @property
    def is_inside(self) -> bool:
        """Whether the next line may go on from one that was bad enough."""
        return self._inside

    def matches(self, line: SafeText) -> bool:
        """Whether a line is at least that bad, or goes on from one that was."""
        level = level_of(line)
        if level is not None:
            self._inside = level >= self._least
        elif not _BELOW.match(line):
            self._inside = False
        return self._inside


def folded(lines: Iterable[str], *, labelled: bool = False) -> list[str]:
    """The lines, with repeats that follow one another as one line and a count.

    Lines that differ only in numbers, times and ids are alike: of four or more the first and the last stay.

    Args:
        lines: The lines.
        labelled: Whether each begins with where it comes from and "| "; that makes no difference either.
    """
    result: list[str] = []
    run: list[str] = []
    shape = None
    for line in lines:
        now = _VARYING.sub("#", line.partition("| ")[2] if labelled else line)
        if run and now != shape:
            result += _run(run)
            run = []
        shape = now
        run.append(line)
    return result + _run(run)


def _run(run: list[str]) -> list[str]:
    if len(run) < 2:
        return run
    if len(set(run)) == 1:
        return [f"{run[0]}  [x {len(run)}]"]
    return run if len(run) < 4 else [run[0], f"[... {len(run) - 2} more like it]", run[-1]]
