"""Request bodies: JSON or YAML, within the API server's bounds, with the names that were given twice.

What cannot be read is refused in the API server's words. Nesting is bounded at 200 levels, where the API server takes
10,000, so that nothing here runs out of stack.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml

from .model import Json
from .status import ApiError, bad_request

LIMIT_BYTES = 3 * 1024 * 1024
_DEPTH = 200
_ALIASED_NODES = 100_000
_SHOWN_CHARS = 30
_JSON_TYPES = {bool: "bool", str: "string", dict: "object", list: "array"}


@dataclass
class Body:
    """A request's body as it was read.

    Args:
        duplicates: by id of a mapping of `value`, the fields that were given more than once.
    """

    value: Any
    duplicates: dict[int, list[str]] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """YAML as JSON knows it: times are strings, names are strings."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        pairs = super().construct_mapping(node, deep)
        return {name if isinstance(name, str) else json.dumps(name, default=str): item for name, item in pairs.items()}


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def json_type(value: Any) -> str:
    """What Go's JSON decoder calls a value's type."""
    return _JSON_TYPES.get(type(value), "number")


def read_json(body: bytes) -> Body:
    """A JSON text.

    Raises:
        ValueError: it is none, in the words of Go's decoder.
    """
    duplicates: dict[int, list[str]] = {}
    kept: list[Json] = []

    def mapping(pairs: list[tuple[str, Any]]) -> Json:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            duplicates[id(made)] = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
            kept.append(made)
        return made

    text = body.decode(errors="replace")
    try:
        value = json.loads(text, object_pairs_hook=mapping, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    except json.JSONDecodeError as error:
        at = error.pos
        if at >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            raise ValueError("unexpected end of JSON input") from error
        raise ValueError(f"invalid character {_go_char(text[at])} looking for beginning of value") from error
    if "\\u" in text:
        value, duplicates = _without_surrogates(value), duplicates
    _bound_depth(value)
    return Body(value, duplicates)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"invalid character {_go_char(name[0])} looking for beginning of value")


def _go_char(letter: str) -> str:
    return f"'{letter}'" if letter.isprintable() and letter != "'" else f"'\\x{ord(letter):02x}'"


def _without_surrogates(value: Any) -> Any:
    """A value whose halves of surrogate pairs are replaced, as Go does; itself when there are none."""
    text = json.dumps(value, ensure_ascii=False)
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value if whole == text else json.loads(whole)


def _bound_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _DEPTH:
            raise ValueError("exceeded max depth")
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                deeper += [one for one in item.values() if isinstance(one, dict | list)]
            elif isinstance(item, list):
                deeper += [one for one in item if isinstance(one, dict | list)]
        level = deeper


def read_yaml(body: bytes) -> Body:
    """A YAML text, of which JSON is one.

    Raises:
        ValueError: it is none, holds what JSON cannot, or refers to its own parts too often.
    """
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            return read_json(body)
        except ValueError:
            pass
    try:
        value = yaml.load(body, _Loader)  # noqa: S506 - a SafeLoader
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"error converting YAML to JSON: yaml: {str(error).splitlines()[0]}") from error
    if _expanded(value, {}) > _ALIASED_NODES:
        raise ValueError("error converting YAML to JSON: yaml: document contains excessive aliasing")
    _bound_depth(value)
    return Body(value)


def _expanded(value: Any, known: dict[int, float]) -> float:
    """How many nodes a value has when every alias is written out; infinite for one that holds itself."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("error converting YAML to JSON: json: unsupported value")
    if not isinstance(value, dict | list):
        if not isinstance(value, str | int | float | None):
            raise ValueError(f"error converting YAML to JSON: unsupported type {type(value).__name__}")
        return 1
    if id(value) in known:
        return known[id(value)]
    known[id(value)] = math.inf
    parts = value.values() if isinstance(value, dict) else value
    known[id(value)] = 1 + sum(_expanded(part, known) for part in parts)
    return known[id(value)]


def check_size(body: bytes) -> None:
    """Refuse what is larger than the API server takes.

    Raises:
        ApiError: 413.
    """
    if len(body) > LIMIT_BYTES:
        message = f"Request entity too large: limit is {LIMIT_BYTES}"
        raise ApiError(413, message, "RequestEntityTooLarge")


def read_object(body: bytes, media_type: str, kind: str) -> Body:
    """A body that is to be one object of a kind.

    Raises:
        ApiError: 400 when it is none.
    """
    what = f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error"
    try:
        read = read_yaml(body) if media_type.endswith("yaml") else read_json(body)
    except ValueError as error:
        raise bad_request(f"{what}: {error} ({_shown(body)})") from error
    if not isinstance(read.value, dict):
        into = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        said = f"json: cannot unmarshal {json_type(read.value)} into Go value of type {into}"
        raise bad_request(f"{what}: {said} ({_shown(body)})")
    for name in ("apiVersion", "kind"):
        if not isinstance(read.value.get(name, ""), str | None):
            found = json_type(read.value[name])
            said = f"json: cannot unmarshal {found} into Go struct field .{name} of type string"
            raise bad_request(f"{what}: {said} ({_shown(body)})")
    return read


def _shown(body: bytes) -> str:
    """The beginning of a body as the API server quotes it."""
    if not body:
        return "<empty>"
    if body[:1] != b"{":
        return body[:_SHOWN_CHARS].hex() + (" ..." if len(body) > _SHOWN_CHARS else "")
    text = body.decode(errors="replace")
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]} ..."


def read_patch(body: bytes, media_type: str) -> Any:
    """A patch, or an applied configuration.

    Raises:
        ApiError: 400.
    """
    applied = media_type.endswith("yaml")
    prefix = "error decoding YAML: " if applied else "error decoding patch: "
    wanted, go = (list, "[]handlers.jsonPatchOp") if "json-patch" in media_type else (dict, "map[string]interface {}")
    if media_type.startswith("application/strategic"):
        prefix = ""
    try:
        value = (read_yaml(body) if applied else read_json(body)).value
    except ValueError as error:
        raise bad_request(f"{prefix}{error}") from error
    if not isinstance(value, wanted):
        inner = "error unmarshaling JSON: while decoding JSON: " if applied else ""
        raise bad_request(f"{prefix}{inner}json: cannot unmarshal {json_type(value)} into Go value of type {go}")
    return value
