"""Secrets in calls and tuples: getenv("DB_PASSWORD", "x"), setPassword("x"), {password, "x"}, DB_PASSWORD || "x"."""

import re

from klepaas.output.masking.finding import Name
from klepaas.output.masking.lexing import VALUE
from klepaas.output.masking.names import Secrecy, secrecy
from klepaas.output.masking.values import is_harmless_value, is_said_elsewhere

__all__ = ["call_value", "is_argument_of_call", "wrapped_value"]

# Behind the name, its quote and bracket: a default by name, by operator, by method or by block.
_DEFAULT = re.compile(
    r"[\"']?(?:"
    r"(?:,[ \t]{0,8}\w{1,20}[ \t]?=[ \t]?[\w.]{1,40}){0,4}"
    r",[ \t]{0,8}(?:default|fallback|default_value|defaultValue|def|else)[ \t]{0,4}[=:][ \t]{0,4}"
    r"|\]?\)?[ \t]{0,8}(?:\|\||\?\?|\?:|or\b)[ \t]{0,8}"
    r"|\]?\)?[ \t]{0,4}\.(?:unwrap_or|unwrap_or_else|getOrElse|getOrDefault|orElse|orElseGet|or)\([|()=> \t]{0,8}"
    r"|\)[ \t]{0,4}\{[ \t]{0,4}"
    r")(?=[\"'`])"
)
_TUPLE = re.compile(r"[ \t]{0,8},[ \t\n]{0,16}(?:<<)?(?=[\"'])")
_ARGUMENT = re.compile(r"\([ \t]{0,4}(?=[\"'`])")
_SETTER = re.compile(r"(?:set|with|use)_?[A-Z]?\w*\Z")
_WRAPPER = re.compile(
    r"(?:[\w.&:]{0,40}(?:Secret(?:Str|Bytes|String)?|Field|String(?:::from)?|Some|Just|Ptr|To|of)|\[\]byte|bytes|Buffer\.from)"
    r"\([bruf]?(?=[\"'])"
)
_WINDOW_CHARS = 200

_Span = tuple[int, int]


def call_value(text: str, name: Name) -> list[_Span] | None:
    """Where the value stands that a call or a tuple has beside a secret's name, with its quotes.

    Returns:
        The value; nothing where it is no secret; None where no call has a value there.
    """
    default = _DEFAULT.match(text, name.end)
    if default is not None:
        return _listed(_value(text, default.end()))
    if text[name.start - 1 : name.start] == "{" and (pair := _TUPLE.match(text, name.end)) is not None:
        return _listed(_value(text, pair.end()))
    argument = _ARGUMENT.match(text, name.end)
    if argument is None:
        return None
    owner, dot, method = name.text.rpartition(".")
    found = _value(text, argument.end())
    if found is None or " " in text[slice(*found)]:
        return None  # a prompt, a message
    if _SETTER.match(method) is not None:
        return [found]
    bare = text[slice(*found)].strip("\"'`")
    return [found] if dot and not owner and not is_harmless_value(bare) else None


def wrapped_value(text: str, start: int) -> list[_Span] | None:
    """Where a value stands that a call only converts: SecretStr("x"), []byte("x"), Some("x").

    Args:
        text: The whole text.
        start: Where the value after a name begins.

    Returns:
        The value; nothing where it is no secret; None where no such call stands there.
    """
    wrapper = _WRAPPER.match(text, start)
    if wrapper is None:
        return None
    found = _value(text, wrapper.end())
    # flag.String("password", ...): the name of the flag.
    is_name = found is not None and secrecy(text[slice(*found)].strip("\"'")) is not Secrecy.PLAIN
    return [] if is_name else _listed(found)


def is_argument_of_call(text: str, name: Name) -> bool:
    """Whether a quoted name is an argument of a call whose next argument looks like its secret."""
    if text[max(0, name.start - 2) : name.start - 1] == "(":
        return True
    window = text[max(0, name.start - _WINDOW_CHARS) : name.start]
    opening = window.rfind("(")
    if opening < 1 or not window[opening - 1].isalnum() or ")" in window[opening:] or "\n" in window[opening:]:
        return False
    comma = text.find(",", name.end, name.end + 4)
    found = None if comma < 0 else VALUE.match(text, comma + 1 + (text[comma + 1 : comma + 2] == " "))
    return found is not None and found.group()[0] in "\"'`" and not is_harmless_value(found.group().strip("\"'`"))


def _listed(found: _Span | None) -> list[_Span]:
    return [] if found is None else [found]


def _value(text: str, start: int) -> _Span | None:
    found = VALUE.match(text, start)
    if found is None or is_said_elsewhere(found.group().strip("\"'`")):
        return None
    return found.span()
