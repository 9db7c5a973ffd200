"""Secrets that span lines: key blocks, block scalars and quoted values, also where a selection shows a part of them.

`redaction` judges a value beside its name, within one line. Here lines are judged by the lines around them: a line of a
key block holds no name, and the last lines of a log may hold the end of a block without its beginning. Every line stays
a line, so that whoever selects lines may select among the masked ones. Each line is looked at a few times at most.
"""

import re
from collections.abc import Callable, Sequence

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
_KEY = re.compile(
    r"(?P<indent>[ \t]*+)(?:-[ \t]++)?+[\"']?+(?P<name>[A-Za-z0-9_.\-/]{1,100}+)[\"']?+[ \t]*+[:=][ \t]*+(?P<rest>.*+)"
)
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
    done = -1
    for at, line in enumerate(lines):
        if at <= done or not ("BEGIN " in line or "END " in line or "Private-Lines:" in line):
            continue
        begin, end = _BEGIN.search(line), _END.search(line)
        if begin is not None:
            done = _mask_from_begin(lines, found, at, begin, public)
        elif end is not None and _SECRET_BLOCK.search(end["what"]):
            _mask_before_end(lines, found, at, end)
        elif "Private-Lines:" in line:
            done = _mask_body(lines, found, at + 1)
    return public


def _mask_from_begin(lines: Sequence[str], found: list[str], at: int, begin: re.Match[str], public: set[int]) -> int:
    """Mask the block that begins in a line; the number of its last line."""
    ends = (number for number in range(at, min(len(lines), at + _BLOCK_MAX_LINES)) if _END.search(lines[number]))
    last = next(ends, None)
    if not _SECRET_BLOCK.search(begin["what"]):
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
        if key is None or not is_secret_name(key["name"].rpartition("/")[2]):
            continue
        done = _mask_below(lines, found, at, key)


def _mask_below(lines: Sequence[str], found: list[str], at: int, key: re.Match[str]) -> int:
    """Mask what belongs to a secret's name below its line; the number of the last line that does."""
    rest, indent = key["rest"].rstrip(), len(key["indent"])
    heredoc = _HEREDOC.match(rest)
    last = at
    if heredoc is not None:
        last = _find(lines, at, lambda line: line.strip() == heredoc["end"], _BLOCK_MAX_LINES) - 1
    elif _BLOCK_SCALAR.fullmatch(rest):
        last = _find(lines, at, lambda line: bool(line.strip()) and _indent(line) <= indent, len(lines)) - 1
    elif rest == "[":
        last = _find(lines, at, lambda line: _SCALAR.fullmatch(line) is None, _BLOCK_MAX_LINES) - 1
    elif not rest:
        last = _last_scalar(lines, at, indent)
    elif rest[0] in "\"'" and rest.count(rest[0]) == 1:
        last = _closing_line(lines, at, rest[0])
    for number in range(at + 1, last + 1):
        found[number] = _masked(lines[number])
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
