"""Custom resources held to the schema of their definition: pruning, defaults, validation.

Done: types, formats date-time, int32 and int64, enum, bounds, lengths, patterns (as Python reads them), required
fields, list types, nullable, int-or-string, allOf, anyOf, oneOf, not, and rules in CEL as
far as `cel` goes. Not done: other formats; embedded resources; rules that compare with the old object.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from .cel import EvaluationError, UnsupportedError, compile_cel
from .model import Json
from .status import Cause

_RULES = "x-kubernetes-validations"
_HEAD = ("apiVersion", "kind", "metadata")
_INT_OR_STRING = "x-kubernetes-int-or-string"
_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_BITS = {"int32": 31, "int64": 63}
_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "number": (int, float), "integer": int,
}  # fmt: skip
Causes = Iterator[Cause]


def pruned(value: Any, schema: Json, path: str = "") -> tuple[Any, list[str]]:
    """A value without the fields its schema does not know, and their paths."""
    if isinstance(value, list):
        pairs = [pruned(item, schema.get("items") or {}, f"{path}[{index}]") for index, item in enumerate(value)]
        return [item for item, _ in pairs], [name for _, names in pairs for name in names]
    if not isinstance(value, dict):
        return value, []
    kept, unknown = {}, []
    properties, values = schema.get("properties") or {}, schema.get("additionalProperties")
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        below = properties.get(name)
        if below is None and isinstance(values, dict):
            below = values
        if below is None:
            if schema.get(_PRESERVE) or values is True or (not path and name in _HEAD):
                kept[name] = item
            else:
                unknown.append(where)
            continue
        if not path and name in _HEAD:
            kept[name] = item
            continue
        kept[name], more = pruned(item, below, where)
        unknown += more
    return kept, unknown


def defaulted(value: Any, schema: Json) -> Any:
    """A value with the defaults of its schema; nulls that may not be are replaced or dropped."""
    if isinstance(value, list):
        return [defaulted(item, schema.get("items") or {}) for item in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties") or {}
    made = dict(value)
    for name, below in properties.items():
        if made.get(name) is None and (name not in made or not below.get("nullable")):
            if "default" in below:
                made[name] = copy.deepcopy(below["default"])
            else:
                made.pop(name, None)
    values = schema.get("additionalProperties")
    for name, item in made.items():
        below = properties.get(name, values)
        if isinstance(below, dict):
            made[name] = defaulted(item, below)
    return made


def _invalid(path: str, value: Any, says: str, reason: str = "FieldValueInvalid") -> Cause:
    shown = json.dumps(value, separators=(",", ":"))
    return Cause(reason, f"Invalid value: {shown}: {says}", path or "<nil>")


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {str: "string", dict: "object", list: "array", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _PYTHON_TYPES.get(kind, object))


def faults(value: Any, schema: Json) -> list[Cause]:
    """What of an object is against its definition's schema, and then against its rules in CEL."""
    found = list(validate(value, schema))
    if not _has_rules(schema):
        return found
    blocking = ("FieldValueTypeInvalid", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany",
                "FieldValueNotSupported")  # fmt: skip
    if any(cause.reason in blocking for cause in found):
        says = (
            "Invalid value: null: some validation rules were not checked because the object was invalid; correct the "
            "existing errors to complete validation"
        )
        return [*found, Cause("FieldValueInvalid", says, "<nil>")]
    return [*found, *_broken_rules(value, schema, "")]


def _has_rules(schema: Json) -> bool:
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return bool(schema.get(_RULES)) or any(_has_rules(one) for one in below if isinstance(one, dict))


def _broken_rules(value: Any, schema: Json, path: str) -> Causes:
    """Rules that do not hold; those that are not done here, or that compare with the old object, are passed over."""
    for rule in schema.get(_RULES) or ():
        text = rule.get("rule") or ""
        try:
            holds = "oldSelf" in text or compile_cel(text)({"self": value}) is True
        except UnsupportedError:
            continue
        except EvaluationError as error:
            yield _invalid(path, _type_name(value), f"rule evaluation error: {error}")
            continue
        if not holds:
            said = rule.get("message") or f"failed rule: {text.strip()}"
            yield Cause(rule.get("reason") or "FieldValueInvalid", f"Invalid value: {said}", path or "<nil>")
    if isinstance(value, dict):
        properties, values = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, item in value.items():
            below = properties.get(name, values)
            if isinstance(below, dict):
                yield from _broken_rules(item, below, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _broken_rules(item, schema.get("items") or {}, f"{path}[{index}]")


def validate(value: Any, schema: Json, path: str = "") -> Causes:
    """What of a value is against its schema."""
    if value is None and schema.get("nullable"):
        return
    fault = _type_fault(value, schema, path)
    if fault:
        yield fault
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(json.dumps(one) for one in schema["enum"])
        says = f"Unsupported value: {json.dumps(value)}: supported values: {supported}"
        yield Cause("FieldValueNotSupported", says, path)
    if fault:
        return
    for kind, check in _CHECKS:
        if isinstance(value, kind) and not isinstance(value, bool):
            yield from check(value, schema, path)
    yield from _combined(value, schema, path)


def _type_fault(value: Any, schema: Json, path: str) -> Cause | None:
    kind, found = schema.get("type", ""), _type_name(value)
    said = f"{path} in body must be of type"
    if schema.get(_INT_OR_STRING):
        if found in ("integer", "string"):
            return None
        return _invalid(path, found, f'{said} integer,string: "{found}"', "FieldValueTypeInvalid")
    if kind and not _fits(value, kind):
        return _invalid(path, found, f'{said} {kind}: "{found}"', "FieldValueTypeInvalid")
    bits = _BITS.get(schema.get("format", ""), 63)
    if kind == "integer" and not -(2**bits) <= value < 2**bits:
        wanted = schema.get("format", "int64")
        return _invalid(path, "float64", f'{said} {wanted}: "float64"', "FieldValueTypeInvalid")
    if kind == "string" and schema.get("format") == "date-time" and not _is_time(value):
        return _invalid(path, value, f'{said} date-time: "{value}"', "FieldValueTypeInvalid")
    return None


def _is_time(text: str) -> bool:
    try:
        return "T" in text.upper() and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _number(value: float, schema: Json, path: str) -> Causes:
    said = f"{path} in body should be"
    least, most, factor = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if most is not None and schema.get("exclusiveMaximum") and value >= most:
        yield _invalid(path, value, f"{said} less than {most}")
    elif most is not None and value > most:
        yield _invalid(path, value, f"{said} less than or equal to {most}")
    if least is not None and schema.get("exclusiveMinimum") and value <= least:
        yield _invalid(path, value, f"{said} greater than {least}")
    elif least is not None and value < least:
        yield _invalid(path, value, f"{said} greater than or equal to {least}")
    if factor and not math.isclose(value / factor, round(value / factor), abs_tol=1e-9):
        yield _invalid(path, value, f"{said} a multiple of {factor}")


def _string(value: str, schema: Json, path: str) -> Causes:
    least, most, pattern = schema.get("minLength", 0), schema.get("maxLength"), schema.get("pattern")
    if len(value) < least:
        yield _invalid(path, value, f"{path} in body should be at least {least} chars long")
    elif most is not None and len(value) > most:
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {most} bytes", path)
    elif pattern and not _matches(pattern, value):
        yield _invalid(path, value, f"{path} in body should match '{pattern}'")


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True


def _array(value: list[Any], schema: Json, path: str) -> Causes:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if len(value) < least:
        yield _invalid(path, len(value), f"{path} in body should have at least {least} items")
    if most is not None and len(value) > most:
        yield Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {most} items", path)
    for index, item in enumerate(value):
        yield from validate(item, schema.get("items") or {}, f"{path}[{index}]")
    yield from _duplicates(value, schema, path)


def _duplicates(value: list[Any], schema: Json, path: str) -> Causes:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    seen: set[str] = set()
    for index, item in enumerate(value if kind in ("map", "set") else ()):
        held = item
        if kind == "map":
            if not isinstance(item, dict):
                yield _invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map")
                continue
            held = {key: item[key] for key in keys if key in item}
        shown = json.dumps(held, separators=(",", ":"), sort_keys=True)
        if shown in seen:
            yield Cause("FieldValueDuplicate", f"Duplicate value: {shown}", f"{path}[{index}]")
        seen.add(shown)


def _object(value: Json, schema: Json, path: str) -> Causes:
    least, most = schema.get("minProperties", 0), schema.get("maxProperties")
    if most is not None and len(value) > most:
        yield Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {most} items", path)
    if len(value) < least:
        yield _invalid(path, len(value), f"{path} in body should have at least {least} properties")
    for name in schema.get("required") or ():
        if name not in value:
            yield Cause("FieldValueRequired", "Required value", f"{path}.{name}" if path else name)
    properties, values = schema.get("properties") or {}, schema.get("additionalProperties")
    for name, item in value.items():
        below = properties.get(name, values)
        if isinstance(below, dict) and (path or name not in _HEAD):
            yield from validate(item, below, f"{path}.{name}" if path else name)


def _combined(value: Any, schema: Json, path: str) -> Causes:
    if schema.get(_INT_OR_STRING):
        return
    for part in schema.get("allOf") or ():
        yield from validate(value, part, path)

    def fitting(word: str) -> int:
        return sum(not list(validate(value, part, path)) for part in schema[word])

    if schema.get("anyOf") and not fitting("anyOf"):
        yield _invalid("", "", f'"{path}" must validate at least one schema (anyOf)')
    if schema.get("oneOf") and (count := fitting("oneOf")) != 1:
        found = f"Found {count} valid alternatives" if count else "Found none valid"
        yield _invalid("", "", f'"{path}" must validate one and only one schema (oneOf). {found}')
    if schema.get("not") and not list(validate(value, schema["not"], path)):
        yield _invalid("", "", f'"{path}" must not validate the schema (not)')


_CHECKS: tuple[tuple[type | tuple[type, ...], Callable[[Any, Json, str], Causes]], ...] = (
    ((int, float), _number),
    (str, _string),
    (list, _array),
    (dict, _object),
)
