"""A call's arguments in one form, whatever form a client sends them in.

Strict clients send every parameter: null or "" for each that the model left out. Others send lists, maps, numbers and
truth values as JSON text. All that follows (checks, policy, confirmation, audit, the tool) sees the one form made here,
so that the same wish is the same call.

Only what a schema names is touched, the parameters and the named fields of an object, never what stands inside a value:
a variable's value "" or a null in a manifest means something.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from klepaas.errors import BadRequest
from klepaas.foreign_json import parse_json
from klepaas.names import ENVIRONMENT_VARIABLE
from klepaas.parameters import Places

__all__ = ["normalize", "read_json"]

_ABSENT = object()
_NUMBERS: Mapping[str, type | tuple[type, ...]] = {"integer": int, "number": (int, float)}
_TYPES: Mapping[str, type | tuple[type, ...]] = {**_NUMBERS, "array": list, "object": dict, "boolean": bool}
# As Python writes them, which models do too.
_SPELLINGS = {"True": "true", "False": "false", "None": "null"}


def normalize(
    schema: Mapping[str, Any], places: Mapping[str, Places], arguments: Mapping[str, Any], *, keep_null: bool = False
) -> dict[str, Any]:
    """The arguments without those that are not given, and with JSON text read where the schema takes no text.

    Args:
        schema: The JSON schema of an object: the tool's parameters.
        places: Where text may stand in each, and the check of each place.
        arguments: What the caller sent.
        keep_null: Whether a null that the schema names is a value, as it may be to a server that is not ours.

    Raises:
        BadRequest: A map is given for a list of NAME=value, and a name or a value in it is none.
    """
    known, required = schema.get("properties", {}), schema.get("required", ())
    found = {}
    for name, value in arguments.items():
        parameter = known.get(name)
        read = value
        if isinstance(parameter, Mapping):
            nullable = keep_null and "null" in _types(parameter)
            read = _read(value, parameter, places.get(name) or Places(), name)
            read = _ABSENT if read is None and not nullable else read
        if read is _ABSENT and name in required:
            read = value  # what is wrong with it is said by its check
        if read is not _ABSENT:
            found[name] = read
    return found


def read_json(text: str) -> Any:
    """The JSON value that a text spells. None: it spells none, or null.

    Args:
        text: What a caller sent.
    """
    text = text.strip()
    try:
        return parse_json(_SPELLINGS.get(text, text), parse_constant=_refuse_constant)
    except ValueError:
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _read(value: Any, schema: Mapping[str, Any], places: Places, name: str) -> Any:
    types = _types(schema)
    if isinstance(value, str):
        if "string" in types or not types:
            return _ABSENT if value == "" and types and not _takes_empty(schema, places) else value
        if value.strip() in ("", "null", "None"):
            return _ABSENT
        spelled = read_json(value)
        value = spelled if _is_one_of(spelled, types, places) else value
    if isinstance(value, dict) and places.item and places.item.text and places.item.text.is_assignment:
        return _assignments(value, name)
    if isinstance(value, dict) and places.fields is not None:
        return normalize(_object(schema), places.fields, value)
    return value


def _types(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types that a schema takes. Empty: it does not say."""
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        found = [_types(option) for option in options if isinstance(option, Mapping)]
        return set().union(*found) if all(found) else set()
    if "enum" in schema and "type" not in schema:
        return {"string"} if all(isinstance(choice, str) for choice in schema["enum"]) else set()
    named = schema.get("type", ())
    return {named} if isinstance(named, str) else {item for item in named if isinstance(item, str)}


def _takes_empty(schema: Mapping[str, Any], places: Places) -> bool:
    """Whether "" can be a value of a parameter that takes text."""
    options: Iterable[Any] = schema.get("anyOf") or schema.get("oneOf") or (schema,)
    if all("enum" in option or "const" in option or "string" not in _types(option) for option in options):
        return any("" in option.get("enum", (option.get("const"),)) for option in options)
    return places.text is None or places.text.accepts("")


def _is_one_of(value: Any, types: set[str], places: Places) -> bool:
    if isinstance(value, bool):
        return "boolean" in types
    takes_map = places.item is not None and places.item.text is not None and places.item.text.is_assignment
    wanted = types | {"object"} if takes_map else types
    return any(isinstance(value, _TYPES[name]) for name in wanted if name in _TYPES and name != "boolean")


def _object(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the object with named fields among a schema's options."""
    options = [option for option in schema.get("anyOf", (schema,)) if "properties" in option]
    return options[0] if options else {}


def _assignments(variables: Mapping[str, Any], parameter: str) -> list[str]:
    """A map as the list of NAME=value that the schema names; null removes, as a bare NAME does."""
    return [_assignment(name, value, parameter) for name, value in variables.items()]


def _assignment(name: str, value: Any, parameter: str) -> str:
    ENVIRONMENT_VARIABLE.check(name, f"a key of {parameter}")
    if value is None:
        return name
    if not isinstance(value, str | bool | int | float):
        raise BadRequest(f"{parameter}[{name}] is not a text", next_step="Use NAME=value for each variable")
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"
