"""What server-side apply asks of a configuration before it merges it, in the words of its own type checker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .schemas import Node

_GO_TYPES = {bool: "bool", str: "string", dict: "map[string]interface {}", list: "[]interface {}"}


def faults(value: Any, node: Node, at: str = "") -> Iterator[str]:
    """What does not fit the schema, each with its path; nothing for a null, which is no value."""
    if value is None:
        return
    if node.type == "object" or (node.raw.get("properties") and not node.type):
        yield from _mapping(value, node, at)
    elif node.type == "array":
        yield from _list(value, node, at)
    elif node.struct == "Quantity":
        if isinstance(value, dict | list):
            yield f"{at}: expected any scalar, got &{{{go_text(value)}}}"
    elif node.type in ("integer", "number"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{at}: expected numeric (int or float), got {_GO_TYPES.get(type(value), 'number')}"
    elif node.type == "boolean" and not isinstance(value, bool):
        yield f"{at}: expected boolean, got &{{{go_text(value)}}}"
    elif node.type == "string" and not isinstance(value, str):
        yield f"{at}: expected string, got &value.valueUnstructured{{Value:{go_text(value, typed=True)}}}"


def _mapping(value: Any, node: Node, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: expected map, got &{{{go_text(value)}}}"
        return
    if node.open:
        return
    for name, item in value.items():
        child = node.child(name)
        if child is None:
            yield f"{at}.{name}: field not declared in schema"
            return
        yield from faults(item, child, f"{at}.{name}")


def _list(value: Any, node: Node, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{at}: expected list, got &{{{go_text(value)}}}"
        return
    keys = node.keys
    seen: set[str] = set()
    for index, item in enumerate(value):
        where = f"[{index}]"
        if keys:
            if not isinstance(item, dict):
                yield f"{at}: element {index}: associative list with keys may not have non-map elements"
                continue
            where = _key_text(item, node)
            if where == "[]":
                names = " ".join(json.dumps(key) for key in keys)
                yield (
                    f"{at}: element {index}: associative list with keys has an element that omits all key fields "
                    f"[{names}] (and doesn't have default values for any key fields)"
                )
                continue
        elif keys is not None:
            where = f"[={json.dumps(item)}]"
        if keys is not None and where in seen:
            yield f"{at}: duplicate entries for key {where}"
        seen.add(where)
        yield from faults(item, node.items, f"{at}{where}")


def _key_text(item: dict[str, Any], node: Node) -> str:
    shown = []
    for key in node.keys or ():
        child = node.items.child(key)
        value = item.get(key, child.raw.get("default") if child else None)
        if value is not None:
            shown.append(f"{key}={json.dumps(value)}")
    return f"[{','.join(shown)}]"


def go_text(value: Any, *, typed: bool = False) -> str:
    """A value as Go prints it."""
    if isinstance(value, dict):
        inner = " ".join(f"{name}:{go_text(value[name])}" for name in sorted(value))
        return f"map[{inner}]"
    if isinstance(value, list):
        items = [go_text(item) for item in value]
        return f"[]interface {{}}{{{', '.join(items)}}}" if typed else f"[{' '.join(items)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "<nil>" if value is None else str(value)
