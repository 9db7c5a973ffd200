"""Secrets that span lines: key blocks, block scalars and quoted values, also where a selection shows a part of them.

`redaction` judges a value beside its name, within one line. Here lines are judged by the lines around them: a line of a
key block holds no name, and the last lines of a log may hold the end of a block without its beginning. Every line stays
a line, so that whoever selects lines may select among the masked ones. Each line is looked at a few times at most.
"""

import bisect
import re
from collections.abc import Callable, Sequence
from typing import Any

from klepaas.output.redaction import MARK, is_secret_name

__all__ = ["CONTEXT_LINES", "mask_blocks"]

# Lines above a selection that say what its first lines belong to: a key of 8,192 bits has 100.
CONTEXT_LINES = 150
_BLOCK_MAX_LINES = 200
_QUOTED_MAX_LINES = 50
_BEGIN = re.compile(r"-{4,5} ?BEGIN (?P<what>[A-Z0-9 ]{1,60}+)-{4,5}")
_END = re.compile(r"-{4,5} ?END (?P<what>[A-Z0-9 ]{1,60}+)-{4,5}")
_SECRET_BLOCK = re.compile(r"PRIVATE KEY|STATIC KEY")
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_BASE64_CHARS = "".join(sorted(_BASE64))
# What stands around a line of a key in a JSON, YAML or program text.
_AROUND = " \t\"'`,;+\\()[]|>"
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,40}: ")
# PEM and PGP write 64 characters a line, MIME 76, OpenSSH 70.
_KEY_LINE_CHARS = range(60, 77)
_LONG_WORD_CHARS = 40
# A name that leads its line, also behind a time and in an opened JSON object; `rest` is what stands behind it.
_KEY = re.compile(
    r"(?P<before>(?:\d{4}-\d\d-\d\d[T ][\d:.,+Z-]{8,30}+[ \t](?:[A-Z]{4,5}[ \t])?)?)(?P<indent>[ \t]*+)[{(\[]*+"
    r"(?:-[ \t]++)?+(?:(?:export|set|env|arg)[ \t]++)?+"
    r"[\"']?+(?P<name>[\w.\-/]{1,100}+)[\"']?+[ \t]*+[:=][ \t]*+(?P<rest>.*+)",
    re.IGNORECASE,
)
# A name anywhere in a line, before a quoted value that does not end in the line.
_OPEN = re.compile(r"(?<![\w.-])(?P<name>[\w.-]{1,100}+)[\"']?[ \t]{0,16}+[:=][ \t]{0,16}+(?P<quote>[\"'])[^\"'\n]*+$")
# Below a secret's name these say nothing of their own.
_VALUE = re.compile(
    r"(?P<before>[ \t{,]*+(?:-[ \t]++)?+[\"']?"
    r"(?:value|val|v|data|default|string|stringvalue|text|raw|plain|content)[\"']?"
    r"[ \t]*+[:=][ \t]*+)(?P<value>[^\s{\[].*+)",
    re.IGNORECASE,
)
_SCHEMES = ("bearer", "basic", "token")
_OPENINGS = ("[", "{")
_TRIPLE = ('"""', "'''")
_BLOCK_SCALAR = re.compile(r"[|>][-+0-9]{0,2}[ \t]*+(?:#.*+)?+")
_HEREDOC = re.compile(r"<<[-~]?[\"']?(?P<end>[A-Za-z_][A-Za-z0-9_]{0,60})")
_SCALAR = re.compile(r"[ \t]*+(?:-[ \t]++)?+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"':]++),?+[ \t]*+")


def mask_blocks(lines: Sequence[str], *, is_part: bool = False) -> list[str]:
    """The lines, with those masked that are part of a secret which spans lines; as many as before.

    Args:
        lines: Lines that followed one another, without their ends. More lines above than are wanted tell what the first
            wanted ones belong to: see `CONTEXT_LINES`.
        is_part: Whether lines above the first were left out, so that it may go on with something.
    """
    found = list(lines)
    public = _mask_key_blocks(lines, found)
    _mask_loose_key_lines(lines, found, public)
    _mask_values(lines, found)
    if is_part:
        _mask_edge(lines, found)
    return found


def _mask_edge(lines: Sequence[str], found: list[str]) -> None:
    """Mask the values that the first lines consist of, whose name may stand above them."""
    for at, line in enumerate(lines):
        if not line.strip() or _SCALAR.fullmatch(line) is None or not (line[0].isspace() or line[0] in "\"'-"):
            return
        found[at] = _masked(line)


def _mask_key_blocks(lines: Sequence[str], found: list[str]) -> set[int]:
    """Mask what belongs to private keys; the numbers of the lines of public blocks, which are not secret."""
    public: set[int] = set()
    ends = [at for at, line in enumerate(lines) if "END " in line and _END.search(line)]
    done = -1
    for at, line in enumerate(lines):
        if at <= done or not ("BEGIN " in line or "END " in line or "Private-Lines:" in line):
            continue
        begin, end = _BEGIN.search(line), _END.search(line)
        if begin is not None:
            following = bisect.bisect_left(ends, at)
            last = ends[following] if following < len(ends) else at + _BLOCK_MAX_LINES
            done = _mask_from_begin(lines, found, at, last if last < at + _BLOCK_MAX_LINES else None, public)
        elif end is not None and _SECRET_BLOCK.search(end["what"]):
            _mask_before_end(lines, found, at, end)
        elif "Private-Lines:" in line:
            done = _mask_body(lines, found, at + 1)
    return public


def _mask_from_begin(lines: Sequence[str], found: list[str], at: int, last: int | None, public: set[int]) -> int:
    """Mask the block that begins in a line, and ends in `last` if anywhere; the number of its last line."""
    begin = _BEGIN.search(lines[at])
    if begin is None or not _SECRET_BLOCK.search(begin["what"]):
        last = at if last is None else last
        public.update(range(at, last + 1))
        return last
    if last == at:
        return at  # in one line: `redaction` sees it whole
    found[at] = lines[at][: begin.start()] + MARK
    if last is None:
        return _mask_body(lines, found, at + 1)
    for number in range(at + 1, last):
        found[number] = _masked(lines[number])
    found[last] = MARK + lines[last][_end_of(_END, lines[last]) :]
    return last


def _end_of(form: re.Pattern[str], line: str) -> int:
    match = form.search(line)
    return 0 if match is None else match.end()


def _mask_body(lines: Sequence[str], found: list[str], start: int) -> int:
    """Mask lines from one on as long as they can be those of a key; the number of the last."""
    at = start
    while at < min(len(lines), start + _BLOCK_MAX_LINES) and _is_body(lines[at]):
        found[at] = _masked(lines[at])
        at += 1
    return at - 1


def _mask_before_end(lines: Sequence[str], found: list[str], at: int, end: re.Match[str]) -> None:
    """Mask a block whose beginning is not there."""
    before = lines[at][: end.start()]
    found[at] = before.rstrip(_BASE64_CHARS + "\\ \t") + MARK + lines[at][end.end() :]
    number = at - 1
    while number >= max(0, at - _BLOCK_MAX_LINES) and (number == at - 1 or _is_body(lines[number])):
        found[number] = _masked(lines[number])
        number -= 1


def _is_body(line: str) -> bool:
    """Whether a line can be one of a key: one word of base64, also behind what a program writes before each line."""
    words = line.strip(_AROUND).split()
    if not words:
        return True
    last = words[-1].strip(_AROUND)
    if _BASE64.issuperset(last):
        return len(words) == 1 or len(last) >= _LONG_WORD_CHARS
    return _HEADER.match(line.lstrip()) is not None and len(words) <= 4


def _mask_loose_key_lines(lines: Sequence[str], found: list[str], public: set[int]) -> None:
    """Mask lines in the form of a key's that stand alone, as in the middle of a block, and the rest below them."""
    inside = False
    for at, line in enumerate(lines):
        bare = line.strip(_AROUND)
        if at in public or not bare or not _BASE64.issuperset(bare):
            inside = False
            continue
        inside = inside or (len(bare) in _KEY_LINE_CHARS and _is_mixed(bare))
        if inside:
            found[at] = _masked(line)


def _is_mixed(word: str) -> bool:
    return any(map(str.isupper, word)) and any(map(str.islower, word)) and any(map(str.isdigit, word))


def _mask_values(lines: Sequence[str], found: list[str]) -> None:
    """Mask the values of secret names that go on, or begin, in the lines below the name."""
    done = -1
    for at, line in enumerate(lines):
        if at <= done or not (":" in line or "=" in line):
            continue
        key = _KEY.match(line)
        if key is not None and is_secret_name(key["name"].rpartition("/")[2]):
            done = _mask_below(lines, found, at, key)
        elif (opened := _OPEN.search(line)) is not None and is_secret_name(opened["name"]):
            done = at + _mask_quoted(lines, found, _Below(lines, at, ""), opened["quote"])


def _mask_below(lines: Sequence[str], found: list[str], at: int, key: re.Match[str]) -> int:
    """Mask what belongs to a secret's name below its line; the number of the last line that does."""
    rest, indent = key["rest"].rstrip(), len(key["indent"])
    below = _Below(lines, at, key["before"])
    quote = _open_quote(rest)
    if quote:
        return at + _mask_quoted(lines, found, below, quote)
    last = 0 if rest in _OPENINGS else _last_below(rest, below, indent)
    if last == 0:
        return at + (_mask_fields(found, below, indent) if not rest or rest in _OPENINGS else 0)
    _mask_lines(lines, found, range(at + 1, at + last + 1), key["before"])
    return at + last


def _last_below(rest: str, below: "_Below", indent: int) -> int:
    """How many lines below a name its value takes. 0: none."""
    heredoc = _HEREDOC.match(rest)
    if heredoc is not None:
        return _find(below, 0, lambda line: line.strip() == heredoc["end"], _BLOCK_MAX_LINES) - 1
    if _BLOCK_SCALAR.fullmatch(rest):
        return _find(below, 0, lambda line: _ends_block(line, indent), _BLOCK_MAX_LINES) - 1
    if not rest or rest.lower() in _SCHEMES:
        return _last_scalar(below, 0, indent)
    if rest.endswith("\\"):
        return min(_find(below, 0, lambda line: not line.rstrip().endswith("\\"), _BLOCK_MAX_LINES), len(below) - 1)
    return 0


def _open_quote(rest: str) -> str:
    """The quotes that begin a value and do not end in its line; empty where there are none."""
    quote = rest[:3] if rest[:3] in _TRIPLE else rest[:1]
    return quote if quote in ('"', "'", *_TRIPLE) and rest.count(quote) == 1 else ""


def _mask_quoted(lines: Sequence[str], found: list[str], below: "_Below", quote: str) -> int:
    """Mask a value up to the quotes that end it; how many lines below the name it takes."""
    last = _closing_line(below, 0, quote)
    _mask_lines(lines, found, range(below.at + 1, below.at + last + 1), "")
    end = below[last].find(quote)
    if last and end >= 0:
        found[below.at + last] = f"{below.before(last)}{MARK}{below[last][end:]}"
    return last


def _ends_block(line: str, indent: int) -> bool:
    return bool(line.strip()) and _indent(line) <= indent


class _Below(Sequence[str]):
    """A name's line and those below it, as far as they may belong to it, each behind its time.

    Args:
        lines: All lines.
        at: The name's.
        before: What stands before the name: a time, or nothing.
    """

    def __init__(self, lines: Sequence[str], at: int, before: str) -> None:
        self._lines = lines
        self.at = at
        self._before = before

    def __len__(self) -> int:
        return min(len(self._lines) - self.at, _BLOCK_MAX_LINES)

    def __getitem__(self, number: Any) -> Any:
        return _behind(self._lines[self.at + number], self._before)

    def before(self, number: int) -> str:
        """What stands before a line."""
        line = self._lines[self.at + number]
        return line[: len(line) - len(self[number])]


def _behind(line: str, before: str) -> str:
    """A line behind the time that stands before each of them."""
    return line[len(before) :] if before and line[: len(before)].strip()[:4].isdigit() else line


def _mask_lines(lines: Sequence[str], found: list[str], numbers: range, before: str) -> None:
    for number in numbers:
        bare = _behind(lines[number], before)
        found[number] = lines[number][: len(lines[number]) - len(bare)] + _masked(bare)


def _mask_fields(found: list[str], below: _Below, indent: int) -> int:
    """Mask the items of a list and the nameless fields of a mapping below a secret's name; how many lines that are."""
    last = max(0, _find(below, 0, lambda line: _ends_block(line, indent), _BLOCK_MAX_LINES) - 1)
    for number in range(1, last + 1):
        line, place = below[number], below.at + number
        value = _VALUE.match(line)
        if value is not None:
            end = "," if value["value"].rstrip("}] ").endswith(",") else ""
            found[place] = f"{below.before(number)}{value['before']}{MARK}{end}"
        elif _SCALAR.fullmatch(line) and line.strip(" \t]}),"):
            found[place] = below.before(number) + _masked(line)
    return last


def _find(lines: Sequence[str], at: int, ends: Callable[[str], bool], most: int) -> int:
    """The number of the first line below one that ends a value."""
    number = at + 1
    while number < min(len(lines), at + most) and not ends(lines[number]):
        number += 1
    return number


def _last_scalar(lines: Sequence[str], at: int, indent: int) -> int:
    """The last of the lines that hold the value of a name which stands alone in its line."""
    number = at + 1
    while number < len(lines) and _SCALAR.fullmatch(lines[number]) and _is_below(lines[number], indent):
        number += 1
    return number - 1


def _is_below(line: str, indent: int) -> bool:
    return _indent(line) > indent or line.lstrip()[:1] in ('"', "'", "-")


def _closing_line(lines: Sequence[str], at: int, quote: str) -> int:
    """The line in which a quoted value ends; where it does not end, the last one if that is near."""
    number = _find(lines, at, lambda line: quote in line, _QUOTED_MAX_LINES)
    if number < len(lines) and quote in lines[number]:
        return number
    return number - 1 if number == len(lines) else at


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _masked(line: str) -> str:
    """The mark at the place of a whole line; an empty line tells nothing."""
    return line[: _indent(line)] + MARK if line.strip() else line
