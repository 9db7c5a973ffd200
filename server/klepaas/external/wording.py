"""Descriptions and schemas of somebody else's server as our clients read them: data, short, and marked as the server's.

Every client reads every listed word in every conversation, so a server that writes there speaks to the model. What acts
or hides is taken out, also markup that poses as a system's own, and the rest is cut and named as the server's saying.
None of this makes a text trustworthy: what a call may do is decided by klepaas' own rules, whatever a text says.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from klepaas.output.safe import redactable, safe_text

__all__ = ["said_by", "schema_of"]

DESCRIPTION_MAX_CHARS = 280
LONG_DESCRIPTION_MAX_CHARS = 2000
PARAMETER_MAX_CHARS = 90
LONG_PARAMETER_MAX_CHARS = 400
_VALUE_MAX_CHARS = 100
_MOST_PROPERTIES = 64
_MOST_CHOICES = 64
_DEPTH_MAX = 6
# <IMPORTANT>, </system>, [INST], and whatever else is written to look like a frame around instructions.
_FRAME = re.compile(
    r"</?\s*(?:[A-Z][A-Z_ -]{2,40}|(?i:system|important|instructions?|assistant|user|human|secret|prompt|tool|admin"
    r"|context|reminder|rules?|override)[\w -]{0,30})\s*/?>|\[/?INST\]|<\|[^|>]{0,40}\|>"
)
_BRACKETS = str.maketrans("<>", "‹›")
_PROPERTY = re.compile(r"[A-Za-z_$@][A-Za-z0-9_.$@-]{0,63}")
_KEPT_AS_IT_IS = (
    *("type", "required", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "format"),
)
_NESTED = ("items", "additionalProperties")
_CHOICES = ("anyOf", "oneOf", "allOf")


def said_by(provider: str, text: str, max_chars: int = DESCRIPTION_MAX_CHARS) -> str:
    """A description as the list shows it.

    Args:
        provider: Whose it is.
        text: What the provider says.
        max_chars: The most that is shown of it, in characters.
    """
    return f"{provider} says: {_plain(text, max_chars) or 'nothing.'}"


def schema_of(
    schema: Mapping[str, Any],
    *,
    hidden: Collection[str] = (),
    shown: Collection[str] | None = None,
    parameter_max_chars: int = PARAMETER_MAX_CHARS,
) -> dict[str, Any]:
    """A tool's schema as clients see it: types, choices and cleaned descriptions, without references and titles.

    Args:
        schema: The server's own.
        hidden: Parameters that callers do not give.
        shown: Parameters to show besides the required ones; a mapping has our words for them. None: all.
        parameter_max_chars: The most that is shown of each description, in characters.
    """
    definitions = {
        f"#/{place}/{name}": inner
        for place in ("$defs", "definitions")
        if isinstance(schema.get(place), Mapping)
        for name, inner in schema[place].items()
    }
    whole = _cleaned({**schema, "type": "object"}, definitions, parameter_max_chars, 0)
    required = [name for name in whole.get("required", []) if name not in hidden and name in whole["properties"]]
    kept = {
        name: inner
        for name, inner in whole.get("properties", {}).items()
        if name not in hidden and (shown is None or name in shown or name in required)
    }
    if isinstance(shown, Mapping):
        kept = {name: _in_our_words(inner, shown.get(name, "")) for name, inner in kept.items()}
    return {"type": "object", "properties": kept, **({"required": required} if required else {})}


def _in_our_words(parameter: Mapping[str, Any], words: str) -> dict[str, Any]:
    """A parameter without what the server says of it; an empty text says nothing."""
    theirs = {name: value for name, value in parameter.items() if name not in ("description", "default")}
    return {**theirs, **({"description": words} if words else {})}


def _cleaned(schema: Any, definitions: Mapping[str, Any], max_chars: int, depth: int) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or depth > _DEPTH_MAX:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _cleaned(definitions.get(reference), definitions, max_chars, depth + 1)
    found = _plain_parts(schema, max_chars)

    def inner(value: Any) -> dict[str, Any]:
        return _cleaned(value, definitions, max_chars, depth + 1)

    if found.get("type") == "object" or isinstance(schema.get("properties"), Mapping):
        found["properties"] = _properties(schema.get("properties"), inner)
    found |= {name: inner(schema[name]) for name in _NESTED if isinstance(schema.get(name), Mapping)}
    found |= {name: [inner(option) for option in _list(schema.get(name))[:8]] for name in _CHOICES if schema.get(name)}
    return _merged(found)


def _plain_parts(schema: Mapping[str, Any], max_chars: int) -> dict[str, Any]:
    """What holds no further schema."""
    found = {name: value for name in _KEPT_AS_IT_IS if (value := _harmless(schema.get(name))) is not None}
    if isinstance(schema.get("description"), str) and (text := _plain(schema["description"], max_chars)):
        found["description"] = text
    choices = [value for value in map(_harmless, _list(schema.get("enum"))[:_MOST_CHOICES]) if value is not None]
    if choices:
        found["enum"] = choices
    for name in ("default", "const"):
        if (value := _harmless(schema.get(name))) is not None and not isinstance(value, list):
            found[name] = value
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _properties(said: Any, inner: Any) -> dict[str, Any]:
    named = list(said.items())[:_MOST_PROPERTIES] if isinstance(said, Mapping) else []
    return {name: inner(value) for name, value in named if isinstance(name, str) and _PROPERTY.fullmatch(name)}


def _merged(schema: dict[str, Any]) -> dict[str, Any]:
    """A part that may be left out is said so by leaving it out: `anyOf` of one thing and null is that thing."""
    for name in _CHOICES:
        options = [option for option in schema.get(name, []) if option != {"type": "null"}]
        if len(options) == 1:
            rest = {key: value for key, value in schema.items() if key != name}
            return {**options[0], **rest}
    return schema


def _harmless(value: Any) -> Any:
    """A value of a schema where it is short and plain; None otherwise."""
    if isinstance(value, str):
        return _plain(value, _VALUE_MAX_CHARS)
    if isinstance(value, list | tuple):
        return [item for item in map(_harmless, value[:_MOST_PROPERTIES]) if item is not None]
    return value if isinstance(value, bool | int | float) else None


def _plain(text: str, max_chars: int) -> str:
    """The text in one line without what acts, hides, or poses as a frame; cut at a word."""
    line = " ".join(_FRAME.sub(" ", safe_text(redactable(text, 8 * max_chars))).translate(_BRACKETS).split())
    if len(line) <= max_chars:
        return line
    head = line[: max_chars - 1]
    space = head.rfind(" ", max_chars // 2)
    return head[: space if space > 0 else None].rstrip(" ,;:") + "…"
