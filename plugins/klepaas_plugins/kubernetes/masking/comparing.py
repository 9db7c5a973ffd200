"""Comparisons that answer no guesses: hidden values of a manifest or a selector are not compared with those there are.

Whoever may send a manifest in a dry run, or a selector, could otherwise try values until one fits: the dry run of an
equal value changes nothing, meets no conflict with its owner and breaks no rule about immutable fields. So a dry run
sends the value that is there in place of each hidden one, and owners are read from managedFields, not from conflicts.

Source: Kubernetes, "Server-Side Apply", section "Conflicts"; structured-merge-diff, FieldsV1.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from klepaas.output.redaction import MARK
from klepaas_plugins.kubernetes.field_keys import fields_of_key, is_value_key
from klepaas_plugins.kubernetes.masking.objects import mask

__all__ = [
    "holds_hidden",
    "is_hidden",
    "item_name",
    "owners_of_hidden",
    "selects_hidden",
    "with_encoded_data",
    "with_live_secrets",
]

_NAMES_OF_ITEMS = ("name", "containerPort", "port", "mountPath", "key", "ip", "type")
_ABSENT: Any = object()


def is_hidden(shown: Any) -> bool:
    """Whether a value as it may be shown lacks something of it."""
    return shown is _ABSENT or (isinstance(shown, str) and MARK in shown)


def item_name(item: Any, position: int) -> str:
    """What names an item of a list, so that an insertion does not look like a change of all that follow."""
    if isinstance(item, Mapping):
        for field in _NAMES_OF_ITEMS:
            if isinstance(item.get(field), str | int):
                return str(item[field])
    return str(position)


def with_encoded_data(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Secret with its `stringData` in `data`, as the server stores it; anything else as it is.

    Args:
        body: The manifest.
    """
    texts, data = body.get("stringData"), body.get("data")
    if body.get("kind") != "Secret" or not isinstance(texts, Mapping) or not isinstance(data, Mapping | None):
        return dict(body)
    if not all(isinstance(text, str | None) for text in texts.values()):
        return dict(body)  # the server says what is wrong with it
    # A null removes the key of `data` that holds the text.
    encoded = {key: text and base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    rest = {key: value for key, value in body.items() if key != "stringData"}
    return {**rest, "data": {**(data or {}), **encoded}}


def with_live_secrets(body: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with each hidden value replaced by the one that is there, for a dry run.

    Args:
        body: The manifest.
        live: The object as it is.
    """
    found = _concealed(body, live, mask(body), mask(live))
    return dict(found)


def _concealed(body: Any, live: Any, shown: Any, live_shown: Any) -> Any:
    if isinstance(body, Mapping) and isinstance(live, Mapping):
        return {
            key: _concealed(value, live[key], _part(shown, key), _part(live_shown, key)) if key in live else value
            for key, value in body.items()
        }
    if isinstance(body, list) and isinstance(live, list):
        return [_concealed(*parts) for parts in _matched(body, live, shown, live_shown)]
    return live if is_hidden(shown) or is_hidden(live_shown) else body


def _part(shown: Any, key: Any) -> Any:
    return shown.get(key, _ABSENT) if isinstance(shown, Mapping) else shown


def _matched(body: list[Any], live: list[Any], shown: Any, live_shown: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Each item of a list with the live one of its name, and how both may be shown; one without is its own."""
    places = {item_name(item, at): at for at, item in enumerate(live)}
    for at, item in enumerate(body):
        shown_item = shown[at] if isinstance(shown, list) and at < len(shown) else shown
        there = places.get(item_name(item, at))
        if there is None:
            yield item, item, shown_item, shown_item
        else:
            is_list = isinstance(live_shown, list) and there < len(live_shown)
            yield item, live[there], shown_item, live_shown[there] if is_list else live_shown


def owners_of_hidden(body: Mapping[str, Any], live: Mapping[str, Any], manager: str) -> list[tuple[str, str]]:
    """Other managers that own hidden values of a manifest, as pairs of the manager and the field.

    Args:
        body: The manifest.
        live: The object as it is, with its managedFields.
        manager: Who applies it; what it has applied itself is its own.
    """
    paths = [path for path, _ in _hidden_paths(body, mask(body), live, mask(live), ())]
    found: dict[tuple[str, str], None] = {}
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        is_own = entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
        for path in () if is_own else paths:
            if _owns(entry.get("fieldsV1") or {}, path):
                found[str(entry.get("manager")), _written(path)] = None
    return list(found)


def holds_hidden(body: Mapping[str, Any]) -> bool:
    """Whether a manifest holds values that may not be shown.

    Args:
        body: The manifest.
    """
    return any(True for _ in _hidden_paths(body, mask(body), {}, {}, ()))


def _hidden_paths(
    body: Any, shown: Any, live: Any, live_shown: Any, path: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(body, Mapping) and body:
        for key, value in body.items():
            there = live.get(key, _ABSENT) if isinstance(live, Mapping) else _ABSENT
            there_shown = None if there is _ABSENT else _part(live_shown, key)
            yield from _hidden_paths(value, _part(shown, key), there, there_shown, (*path, key))
    elif isinstance(body, list) and body:
        live_list = live if isinstance(live, list) else []
        for at, (item, there, shown_item, there_shown) in enumerate(_matched(body, live_list, shown, live_shown)):
            yield from _hidden_paths(item, shown_item, there, there_shown, (*path, _Item(at, item)))
    elif is_hidden(shown) or is_hidden(live_shown):
        yield path, body


class _Item:
    """A step into a list.

    Args:
        at: The item's place.
        item: The item.
    """

    def __init__(self, at: int, item: Any) -> None:
        self.at = at
        self.item = item

    def is_named_by(self, key: str) -> bool:
        """Whether a key of FieldsV1 names the item; what the item leaves out may be a default."""
        named = fields_of_key(key)
        if named is not None and isinstance(self.item, Mapping):
            return all(self.item.get(field, value) == value for field, value in named.items())
        return is_value_key(key, self.item) or key == f"i:{self.at}"


def _owns(fields: Mapping[str, Any], path: tuple[Any, ...]) -> bool:
    """Whether a FieldsV1 set holds a path; a set that ends above it holds the whole value."""
    if not path or not any(key != "." for key in fields):
        return bool(path) or "." not in fields
    step, rest = path[0], path[1:]
    names = [key for key in fields if (step.is_named_by(key) if isinstance(step, _Item) else key == f"f:{step}")]
    return any(not rest or _owns(fields[key] or {}, rest) for key in names)


def _written(path: tuple[Any, ...]) -> str:
    """A path as the server writes it in a conflict: .spec.containers[name="web"].env[name="A"].value."""
    parts = []
    for step in path:
        if not isinstance(step, _Item):
            parts.append(f".{step}")
        elif isinstance(step.item, Mapping) and "name" in step.item:
            parts.append(f'[name="{step.item["name"]}"]')
        else:
            parts.append(f"[{step.at}]")
    return "".join(parts)


def selects_hidden(api_version: str, kind: str, path: str, value: str) -> bool:
    """Whether a selector compares a field with a value that would not be shown of it, so that it tries a guess.

    Args:
        api_version: Of the kind.
        kind: The kind.
        path: The field, for example `spec.password`.
        value: The value.
    """
    for typed in _readings(value):
        obj: Any = typed
        for name in reversed(path.split(".")):
            obj = {name: obj}
        shown: Any = mask({"apiVersion": api_version, "kind": kind, **obj})
        for name in path.split("."):
            shown = _part(shown, name)
        if shown is _ABSENT or shown != typed:
            return True
    return False


def _readings(value: str) -> Iterator[Any]:
    """What a selector's value can be in the object."""
    yield value
    if value.lstrip("-").isdecimal() and len(value) < 20:
        yield int(value)
