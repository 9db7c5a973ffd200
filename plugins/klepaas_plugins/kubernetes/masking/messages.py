"""Messages of the cluster as they may be shown: of API errors, events, conditions, container states and webhooks.

A message names fields, which helps, and quotes values, which may be anything: a 422 prints the whole object that it
refuses, in JSON or in Go's syntax, and the difference to the live one. Objects and differences are dropped whole; a
single value stays where its field cannot hold a secret; of a command only the program stays. The rest is text of
somebody else's. Every message passes here, which a test holds by walking over the code.

Source: apimachinery, field.Error (`path: Invalid value: VALUE: detail`); go-cmp and k8s.io/apimachinery/pkg/util/diff.
"""

import re
from collections.abc import Iterator
from typing import Any

from klepaas.output import safe
from klepaas.output.masking.names import Secrecy, secrecy
from klepaas.output.masking.values import is_harmless_value
from klepaas.output.redaction import MARK
from klepaas.output.safe import SafeText

__all__ = ["message_line", "message_text"]

# More than a message that helps; what is longer quotes something.
_READ_MAX_CHARS = 64_000
_DIFFERENCE = re.compile(r"@@ -\d|(?:^|\n)[-+][ \t\xa0]")
_CONTEXT = "...|"
_CONTEXT_END = "|..."
# What may stand in braces without being an object: {web}, {node.kubernetes.io/disk-pressure: }.
_PLAIN_BRACES = re.compile(r"[A-Za-z0-9_./-]{0,100}(?:: ?[A-Za-z0-9_.-]{0,63})?")
_PATH = r"[A-Za-z0-9_.\-\[\]/()]"
_VALUE = re.compile(
    rf"(?P<path>(?<!{_PATH}){_PATH}{{1,300}}+)?(?P<says>(?:: )?(?:Invalid|Unsupported|Duplicate) value: )"
    r"(?P<value>\"(?:[^\"\\]|\\.)*+\"?|[^\s:,;{\[&]++)?"
)
_INDEX = re.compile(r"\[[^\]]{0,100}\]?")
# Fields whose values may be anything, whatever their names say.
_FREE_FIELDS = frozenset(
    {"value", "args", "command", "env", "data", "stringData", "binaryData", "annotations", "stdin", "httpHeaders"}
)
# Types that a schema names in place of a value.
_TYPES = frozenset({'"object"', '"array"', '"string"', '"integer"', '"number"', '"boolean"', '"null"', "null", '""'})
_COMMAND = re.compile(r"(?P<lead>\b(?:exec:?|[Cc]ommand:?) )(?P<quote>[\"'])")
_HOOK = re.compile(r"\b(?:exec|hook|command):? \(?\[", re.IGNORECASE)


def message_text(text: Any) -> SafeText:
    """A message without the objects, values and commands that it quotes.

    Args:
        text: The message; None is none.
    """
    if text is None or text == "":
        return safe.safe_text("")
    found = safe.redactable(str(text), _READ_MAX_CHARS)
    found = _without_difference(_without_context(found))
    found = _without_values("".join(_without_objects(found)))
    return safe.safe_text(_without_commands(found))


def message_line(text: Any, max_chars: int = 600) -> SafeText:
    """A message on one line of bounded length.

    Args:
        text: The message; None is none.
        max_chars: Longest result, in characters.
    """
    return safe.one_line(message_text(text), max_chars)


def _without_difference(text: str) -> str:
    """The text before a difference of two objects, which goes on to the end."""
    found = _DIFFERENCE.search(text)
    return text if found is None else f"{text[: found.start()]}{MARK}"


def _without_context(text: str) -> str:
    """The text without the part of the body that a decoder quotes: `error found in #10 byte of ...|x":"y|...`."""
    start, end = text.find(_CONTEXT), text.rfind(_CONTEXT_END)
    if start < 0:
        return text
    rest = text[end + len(_CONTEXT_END) :] if end > start else ""
    return f"{text[:start]}{MARK}{rest}"


def _without_objects(text: str) -> Iterator[str]:
    """The pieces of the text, a mark in place of what stands in braces or in a list of values."""
    done = 0
    while (start := _next_opening(text, done)) >= 0:
        end = _closing(text, start)
        inside = text[start + 1 : end]
        yield text[done : start + 1]
        yield inside if _is_plain(text[max(0, start - 1) : start + 1], inside) else MARK
        if end < len(text):
            yield text[end]
        done = end + 1
    yield text[done:]


def _next_opening(text: str, at: int) -> int:
    """Where the next object begins: a brace, or a bracket right behind `value: `."""
    brace, bracket = text.find("{", at), text.find("value: [", at)
    bracket = bracket + len("value: ") if bracket >= 0 else bracket
    places = [place for place in (brace, bracket) if place >= at]
    # `[]core.EnvVar{` is a type: its brace begins the values.
    if places and min(places) == bracket and text.startswith("[]", bracket):
        return brace
    return min(places, default=-1)


def _closing(text: str, start: int) -> int:
    """Where the object that begins here ends; the end of the text where it was cut."""
    depth, at, quote = 0, start, ""
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\" and quote == '"':
                at += 1
            elif character == quote:
                quote = ""
        elif character in '"`':
            quote = character
        elif character in "{[(":
            depth += 1
        elif character in "}])":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    return len(text)


def _is_plain(opening: str, inside: str) -> bool:
    """Whether braces hold a name, or a taint's name and value; behind a type they hold an object."""
    return (
        opening.lstrip() == "{"
        and _PLAIN_BRACES.fullmatch(inside) is not None
        and secrecy(inside.partition(":")[0]) is Secrecy.PLAIN
    )


def _without_values(text: str) -> str:
    """The text with the quoted value of each field masked that may hold a secret."""
    return _VALUE.sub(_value, text)


def _value(found: re.Match[str]) -> str:
    path, value = found["path"] or "", found["value"] or ""
    if not value or value in _TYPES or MARK in value or not _may_be_secret(path, value.strip('"')):
        return found.group()
    quote = '"' if value.startswith('"') else ""
    return f"{path}{found['says']}{quote}{MARK}{quote}"


def _may_be_secret(path: str, value: str) -> bool:
    """Whether the value of a field may be a secret; of a field without a name it may."""
    names = [name for name in _INDEX.sub("", path).split(".") if name]
    if not names or _FREE_FIELDS.intersection(names[-1:]):
        return True
    keys = [key.strip("[]\"'") for key in _INDEX.findall(path)]
    in_data = any(name in ("data", "stringData", "binaryData", "annotations") for name in names)
    judged = max((secrecy(name) for name in (*names, *keys) if name), default=Secrecy.PLAIN)
    return in_data or judged >= Secrecy.SOFT or (judged is Secrecy.UNCERTAIN and not is_harmless_value(value))


def _without_commands(text: str) -> str:
    """The text with only the program of each command that it quotes."""
    pieces: list[str] = []
    done = 0
    while (found := _COMMAND.search(text, done)) is not None:
        end = text.find(found["quote"], found.end())
        end = len(text) if end < 0 else end
        pieces += [text[done : found.end()], _program(text[found.end() : end])]
        done = end
    text = "".join(pieces) + text[done:]
    hook = _HOOK.search(text)
    if hook is None:
        return text
    end = text.rfind("]")
    inside = text[hook.end() : end if end > hook.end() else len(text)]
    return text[: hook.end()] + _program(inside) + (text[end:] if end > hook.end() else "")


def _program(command: str) -> str:
    program, blank, _ = command.partition(" ")
    return f"{program} {MARK}" if blank else program
