"""Tokens that services issue, found in any text by the formats of `token_table`.

Why our own expressions: of the packages that ship such rules, detect-secrets (and its fork bc-detect-secrets) know 27
formats and read line by line; kingfisher-secret-scanner knows 488 rules in linear time and is typed, but it is 36 MB of
native code for a few platforms, takes 3.6 s to compile its rules, and carries code that sends what it finds to the
issuers. What this server needs of them is the facts, and these are data.

A text is searched in two steps: for runs of characters that are long enough to be a token, and in these for all
prefixes at once. Only behind a prefix an expression is tried. Expressions are compiled when their prefix is first met.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from klepaas.output.masking.token_table import DISTINCT, PLAIN, TokenFormat

__all__ = ["contains_token", "find_tokens"]

_ALPHABETS = {
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "letter": "A-Za-z",
    "hex": "0-9a-f",
    "HEX": "0-9A-F",
    "anyhex": "0-9A-Fa-f",
    "alnum": "0-9A-Za-z",
    "lowernum": "0-9a-z",
    "uppernum": "0-9A-Z",
    "word": "0-9A-Za-z_",
    "url": r"0-9A-Za-z_=\-",
    "mixed": r"0-9A-Za-z_=\-",
    "cookie": r"0-9A-Za-z%+/=_\-",
    "b64": r"0-9A-Za-z+/=_\-",
    "tilde": r"0-9A-Za-z_~.=\-",
    "bech32": "0-9A-Z",
}
_PART = re.compile(r"([A-Za-z0-9]{1,12})\{(\d{1,4})(,?)(\d{0,4})\}")
_SHORTEST_CHARS = 16
# What a token and the text around it without blanks and quotes is made of.
_RUN = re.compile(rf"[A-Za-z0-9_.~+/=$!:|@%-]{{{_SHORTEST_CHARS},}}+")
# A letter before a token may be the end of an escape: \n in JSON, %3D in a URL, the colour of a terminal.
_ESCAPE = re.compile(
    r"(?:\\(?:[0abfnrtv]|x[0-9A-Fa-f]{2}|[0-7]{3}|u[0-9A-Fa-f]{4}|U(?:[0-9A-Fa-f]{4}|[0-9A-Fa-f]{8}))|%[0-9A-Fa-f]{2}"
    r"|\x1b\[[0-9;]{0,80}m)\Z"
)
_LONGEST_ESCAPE_CHARS = 84
_END = r"(?![0-9A-Za-z_-])"
# A JSON web token: two or more parts, the first of which begins with {" in base64.
_JWT = re.compile(r"eyJ[A-Za-z0-9_+/=-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_+/=-]*+){0,15}+")
# Kubernetes' bootstrap tokens have no prefix: six characters, a dot, sixteen characters.
_BOOTSTRAP = re.compile(
    r"(?<![0-9A-Za-z_.-])[a-z0-9]{6}\.(?=[a-z0-9]{0,14}[0-9][a-z]{0,14}[0-9])(?=[a-z0-9]{0,14}[a-z])[a-z0-9]{16}"
    r"(?![0-9A-Za-z_.-])"
)
_BOOTSTRAP_CHARS = 23
# The form of most new tokens, whoever issues them: words in small letters, then a long row of mixed letters and digits.
_UNKNOWN = re.compile(
    r"(?<![0-9A-Za-z_+/=.-])(?!sha\d)(?:[a-z][a-z0-9]{1,14}[_-]){1,4}+(?P<random>[A-Za-z0-9]{1,14}[A-Za-z0-9_-]{14,}+)"
)
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
# A value made by chance changes between small letters, capitals and digits every two characters or so; words do not.
_MEAN_PIECE_CHARS = 2.6
# Behind a known prefix less is asked: camel case has pieces of five characters.
_MEAN_PIECE_CHARS_KNOWN = 3.4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """How a format is tried: from so many characters before the prefix on."""

    expression: re.Pattern[str]
    before_chars: int
    random: bool


def find_tokens(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each token begins and ends, from left to right and without overlaps."""
    for run in _RUN.finditer(text):
        begin = end = run.start()
        for start, stop in sorted(_tokens_in(text, run.start(), run.end())):
            if start < end:
                end = max(end, stop)
                continue
            if end > begin:
                yield begin, end
            begin, end = start, stop
        if end > begin:
            yield begin, end


def contains_token(text: str) -> bool:
    """Whether a text holds a token of a known format."""
    return next(find_tokens(text), None) is not None


def _tokens_in(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    if end - start <= _BOOTSTRAP_CHARS + 24:
        for found in _BOOTSTRAP.finditer(text, start, end):
            yield found.span()
    for unknown in _UNKNOWN.finditer(text, start, end):
        if _changes_often(unknown["random"]):
            yield unknown.span()
    position = start
    while (hit := _prefixes().search(text, position, end)) is not None:
        span = _token_at(text, hit.group(), hit.start())
        position = hit.start() + 1
        if span is not None:
            yield span
            position = max(span[1], position)


def _token_at(text: str, prefix: str, position: int) -> tuple[int, int] | None:
    if prefix.startswith("eyJ"):
        alone = text[position - 1 : position] in ("-", "_") or _begins(text, position)
        found = _JWT.match(text, position) if alone else None
        if found is not None:
            return found.span()
    for token in _formats(prefix):
        search = _search(token)
        if position < search.before_chars:
            continue
        found = search.expression.match(text, position - search.before_chars)
        if found is None or (search.random and not _begins(text, found.start())):
            continue
        if not search.random or _is_random(token, found.group()):
            return found.start(), found.start() + len(found.group().rstrip(".:"))
    return None


def _begins(text: str, position: int) -> bool:
    """Whether a word begins here: at the start, behind what is no part of a word, or behind an escape."""
    before = text[position - 1 : position]
    if not before.isascii() or not (before.isalnum() or before in ("_", "-")):
        return True
    return _ESCAPE.search(text[max(0, position - _LONGEST_ESCAPE_CHARS) : position]) is not None


def _changes_often(text: str, mean_chars: float = _MEAN_PIECE_CHARS) -> bool:
    """Whether a text has small letters, capitals and digits and changes between them as no name does."""
    kinds = all(any(map(kind, text)) for kind in (str.islower, str.isupper, str.isdigit))
    letters = sum(map(str.isalnum, text))
    return kinds and letters <= mean_chars * len(_PIECE.findall(text))


def _is_random(token: TokenFormat, text: str) -> bool:
    """Whether a text mixes letters and digits, where the format has digits."""
    if "letter{" in token.body:
        return text.removeprefix(token.prefix).isalpha()
    if "mixed{" in token.body:
        return _changes_often(text.removeprefix(token.prefix), _MEAN_PIECE_CHARS_KNOWN)
    return any(map(str.isalpha, text)) and any(map(str.isdigit, text.removeprefix(token.prefix)))


@functools.cache
def _formats(prefix: str) -> tuple[TokenFormat, ...]:
    """The formats that a prefix may begin, the longest prefix first."""
    formats = [token for token in (*DISTINCT, *PLAIN) if prefix.startswith(token.prefix)]
    return tuple(sorted(formats, key=lambda token: -len(token.prefix)))


@functools.cache
def _prefixes() -> re.Pattern[str]:
    return re.compile(_trie(sorted({token.prefix for token in (*DISTINCT, *PLAIN)} | {"eyJ"})))


def _trie(words: Iterable[str]) -> str:
    """One expression for many words, that looks at each first letter once; of two words the longer is tried first."""
    heads: dict[str, list[str]] = {}
    for word in words:
        heads.setdefault(word[:1], []).append(word[1:])
    branches = [
        re.escape(head) + (_trie(tails) if tails != [""] else "") for head, tails in heads.items() if head != ""
    ]
    inner = branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
    return f"(?:{inner})?" if "" in heads else inner


@functools.cache
def _search(token: TokenFormat) -> _Search:
    before, parts = _split(token.body)
    before_chars = sum(part[1] if isinstance(part, tuple) else len(part) for part in before)
    distinct = token in DISTINCT
    lead = "".join(map(_exact, before)) + re.escape(token.prefix)
    if distinct:
        return _Search(expression=re.compile(lead + _loose(parts)), before_chars=before_chars, random=False)
    body = "".join(map(_exact, parts))
    return _Search(expression=re.compile(lead + body + _END), before_chars=before_chars, random=True)


_Part = str | tuple[str, int, int | None]


def _split(body: str) -> tuple[list[_Part], list[_Part]]:
    """The parts before and after the prefix."""
    parts = [_part(word) for word in body.split()]
    if "{TOKEN}" not in parts:
        return [], parts
    middle = parts.index("{TOKEN}")
    return parts[:middle], parts[middle + 1 :]


def _part(word: str) -> _Part:
    found = _PART.fullmatch(word)
    if found is None:
        return word
    name, least, comma, most = found.groups()
    return name, int(least), int(most) if most else None if comma else int(least)


def _exact(part: _Part) -> str:
    if isinstance(part, str):
        return re.escape(part)
    name, least, most = part
    return f"[{_ALPHABETS[name]}]{{{least},{'' if most is None else most}}}"


def _loose(parts: list[_Part]) -> str:
    """A third of a body and whatever goes on like it: a text may be cut, and formats grow."""
    if not parts:
        return ""
    alphabet = "".join(_ALPHABETS[part[0]] if isinstance(part, tuple) else re.escape(part) for part in parts)
    least = sum(part[1] if isinstance(part, tuple) else len(part) for part in parts) // 3
    return f"[{alphabet}]{{{min(max(least, 8), 20)},}}+"
