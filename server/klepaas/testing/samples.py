"""Sensible and hostile arguments for any tool, made from its declaration, so that a new tool cannot be forgotten."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.catalogue import Entry
from klepaas.errors import BadRequest
from klepaas.names import Check
from klepaas.parameters import Places
from klepaas.testing.expecting import expect

__all__ = ["CONTROL", "HOSTILE", "Samples", "TextPlace", "sensible", "text_places"]

# By parameter name: what a tool's parameters mean, where their checks alone cannot tell.
Samples = Mapping[str, Any]

# The first that a check accepts is used.
_TEXTS = ("web", "default", "1", "100m", "/healthz", "a=b", "registry.example/web:1.0", "2026-01-01", "web@example.org")
# What no text may hold, whatever it is.
CONTROL = ("nul\x00", "esc\x1b[0m", "\x9b0m", "half\ud800", "x" * 100_000)
HOSTILE = (
    *("", " ", ".", "..", "../x", "../../admin", "..%2f..%2fadmin", "%2e%2e", "%2e", "a/b", "a/../b", "/", "//"),
    *("x?force=true", "x#y", "x&dryRun=All", "x\ny", "x\r\nHost: evil", "-n", "--all", "--config=/etc/passwd"),
    *("a" * 254, "a" * 5000, "*", "web;id", "$(id)", "`id`", "web|id", "file:///etc/passwd", "http://169.254.169.254/"),
    *("\u202eweb", "we\u200bb", "ｗｅｂ", "{}", "[]", "'; drop table x; --", "${jndi:ldap://x}"),
    *CONTROL,
)


@dataclass(frozen=True)
class TextPlace:
    """A place of one parameter where text may stand.

    Attributes:
        parameter: The parameter.
        check: The check of that place.
        value_with: Makes a value of the parameter with a text in this place.
    """

    parameter: str
    check: Check
    value_with: Callable[[str], Any]


def sensible(entry: Entry, samples: Samples) -> dict[str, Any]:
    """Arguments that the tool takes: those that it requires, and those that there are samples for.

    Args:
        entry: The tool.
        samples: What the test says that parameters mean.

    Raises:
        AssertionError: Nothing fits a check, and there is no sample.
    """
    signature = inspect.signature(entry.tool.function).parameters
    required = [name for name in entry.tool.parameters if signature[name].default is inspect.Parameter.empty]
    chosen = {name: samples[name] for name in entry.tool.parameters if name in samples}
    for name in required:
        if name not in chosen:
            schema = entry.mcp.parameters["properties"][name]
            chosen[name] = _value(schema, entry.tool.parameters[name], f"{name!r} of {entry.tool.name}")
    return chosen


def text_places(entry: Entry) -> Iterator[TextPlace]:
    """Every place of a tool's arguments where text may stand.

    Args:
        entry: The tool.
    """
    for name, places in entry.tool.parameters.items():
        for check, value_with in _texts(places):
            yield TextPlace(name, check, value_with)


def _texts(places: Places | None) -> Iterator[tuple[Check, Callable[[str], Any]]]:
    if places is None:
        return
    if places.text:
        yield places.text, lambda text: text
    if places.key:
        value = _text(places.value.text) if places.value and places.value.text else None
        yield places.key, lambda text: {text: value}
    for check, wrap in _texts(places.item):
        yield check, partial(_in_a_list, wrap)
    for name, field in (places.fields or {}).items():
        for check, wrap in _texts(field):
            yield check, partial(_in_a_mapping, name, wrap)
    key = _text(places.key) if places.key else "a"
    for check, wrap in _texts(places.value):
        yield check, partial(_in_a_mapping, key, wrap)


def _in_a_list(wrap: Callable[[str], Any], text: str) -> list[Any]:
    return [wrap(text)]


def _in_a_mapping(key: str | None, wrap: Callable[[str], Any], text: str) -> dict[Any, Any]:
    return {key: wrap(text)}


def _nothing_fits(where: str) -> str:
    return f"nothing is known that fits {where}; give a sample for it"


def _text(check: Check) -> str | None:
    return next((text for text in _TEXTS if _accepts(check, text)), None)


def _accepts(check: Check, text: str) -> bool:
    try:
        check.check(text, "value")
    except BadRequest:
        return False
    return True


def _value(schema: Mapping[str, Any], places: Places, where: str) -> Any:
    """A value that fits a schema and the checks."""
    if "default" in schema:
        return schema["default"]
    if "enum" in schema or "const" in schema:
        return schema.get("const", next(iter(schema.get("enum", [None]))))
    for option in schema.get("anyOf", ()):
        return _value(option, places, where)
    kind = schema.get("type")
    if kind == "string" and places.text is not None:
        text = _text(places.text)
        expect(text is not None, _nothing_fits(where))
        return text
    if kind == "array":
        return [_value(schema.get("items", {}), places.item or Places(), where)] if schema.get("minItems") else []
    if kind == "object":
        return {}
    numbers: dict[Any, Any] = {
        "integer": schema.get("minimum", 1),
        "number": schema.get("minimum", 1),
        "boolean": False,
    }
    expect(kind in numbers, _nothing_fits(where))
    return numbers[kind]
