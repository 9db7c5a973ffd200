"""Texts that fit a regular expression, drawn at random from its parse tree: what a scanner's rule would find."""

import random
import re
import string
import warnings
from collections.abc import Iterable
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_PRINTABLE = string.ascii_letters + string.digits + "_-./+=~!:@ "
_CATEGORIES = {
    codes.CATEGORY_DIGIT: string.digits,
    codes.CATEGORY_WORD: string.ascii_letters + string.digits + "_",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_NOT_SPACE: string.ascii_letters + string.digits,
    codes.CATEGORY_NOT_DIGIT: string.ascii_letters,
    codes.CATEGORY_NOT_WORD: " -.",
}
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_FEW = 3


def compile_rule(pattern: str) -> re.Pattern[str] | None:
    """A rule of Go's or Rust's syntax as Python's, or none where it has no counterpart."""
    text = pattern.replace(r"\z", r"\Z").replace("[[:alnum:]]", "[A-Za-z0-9]").replace("[:alnum:]", "A-Za-z0-9")
    text = re.sub(r"\\x\{([0-9a-fA-F]{2})\}", r"\\x\1", text)
    flag = text.rfind("(?i)")
    if flag > 0:
        text = "(?i)" + text.replace("(?i)", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(text)
        except (re.error, OverflowError):
            return None


def sample_of(rule: re.Pattern[str], rng: random.Random) -> str | None:
    """A text in which the rule finds something, or none where twenty attempts gave none."""
    tree = parser.parse(rule.pattern)
    for _ in range(20):
        text = "".join(_draw(tree, rng))
        if rule.search(text) is not None:
            return text
    return None


def _draw(tree: Iterable[Any], rng: random.Random) -> Iterable[str]:
    for code, argument in tree:
        if code is codes.LITERAL:
            yield chr(argument)
        elif code is codes.ANY:
            yield "."  # mostly a dot that the rule does not escape; it is any character
        elif code is codes.NOT_LITERAL:
            yield rng.choice([char for char in string.ascii_letters if ord(char) != argument])
        elif code is codes.IN:
            yield _draw_one(argument, rng)
        elif code in _REPEATS:
            least, most, inner = argument
            most = min(int(most), least + _FEW)
            for _ in range(rng.randint(least, most)):
                yield from _draw(inner, rng)
        elif code in (codes.SUBPATTERN, codes.ATOMIC_GROUP):
            yield from _draw(argument[-1] if code is codes.SUBPATTERN else argument, rng)
        elif code is codes.BRANCH:
            yield from _draw(rng.choice(argument[1]), rng)


def _draw_one(parts: Iterable[Any], rng: random.Random) -> str:
    chars: list[str] = []
    negated = False
    for code, argument in parts:
        if code is codes.NEGATE:
            negated = True
        elif code is codes.LITERAL:
            chars.append(chr(argument))
        elif code is codes.RANGE:
            chars += map(chr, range(argument[0], argument[1] + 1))
        elif code is codes.CATEGORY:
            chars += _CATEGORIES.get(argument, "a")
    if negated:
        chars = [char for char in _PRINTABLE if char not in chars] or ["a"]
    return rng.choice([char for char in chars if char.isprintable()] or chars)
