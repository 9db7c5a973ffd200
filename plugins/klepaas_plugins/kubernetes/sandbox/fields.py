"""Who owns which field: metadata.managedFields, as sets of paths.

A path is a tuple of FieldsV1 elements: `f:name`, `k:{"key":"value"}` for an item of a keyed list, `v:"value"` for one
of a set. Which lists are keyed, and what is owned as a whole, the schema says.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .model import Json
from .openapi.schemas import Node

Path = tuple[str, ...]
Paths = set[Path]

_UNOWNED = {
    "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink",
    "deletionTimestamp", "deletionGracePeriodSeconds",
}  # fmt: skip
_NOTHING = Node({})


def element(item: Any, node: Node) -> str | None:
    """A list item's path element; None when it lacks its keys, so that the list can only be taken whole."""
    keys = node.keys
    if not keys:
        return None if isinstance(item, dict | list) else "v:" + json.dumps(item)
    if not isinstance(item, dict):
        return None
    values = {key: item.get(key, _key_default(node, key)) for key in keys}
    if all(value is None for value in values.values()):
        return None
    held = {key: value for key, value in values.items() if value is not None}
    return "k:" + json.dumps(held, separators=(",", ":"), sort_keys=True)


def _key_default(node: Node, key: str) -> Any:
    child = node.items.child(key)
    return child.raw.get("default") if child else None


def items_of(value: list[Any], node: Node) -> dict[str, Any] | None:
    """A keyed list's items by path element; None for a list taken whole."""
    if node.keys is None:
        return None
    items = {element(item, node): item for item in value}
    return None if None in items or len(items) != len(value) else {str(key): item for key, item in items.items()}


def children(value: Any, node: Node) -> dict[str, Any] | None:
    """What lies below a value, by path element; None for a leaf."""
    if isinstance(value, dict):
        if node.atomic:
            return None
        return {f"f:{name}": child for name, child in value.items() if _owned(node, name)}
    return items_of(value, node) if isinstance(value, list) else None


def below(node: Node, step: str) -> Node:
    """The schema one path element further."""
    return (node.child(step[2:]) or _NOTHING) if step[:2] == "f:" else node.items


def _owned(node: Node, name: str) -> bool:
    if node.place == "root":
        return name not in ("apiVersion", "kind")
    return node.place != "metadata" or name not in _UNOWNED


def written(value: Any, node: Node, path: Path = ()) -> Paths:
    """Every path of a value that was not there before, as a create or update owns it."""
    if value is None:
        return set()
    found = children(value, node)
    paths: Paths = set() if not path or (found and node.there) else {path}
    for name, child in (found or {}).items():
        paths |= written(child, below(node, name), (*path, name))
    return paths


def applied(value: Any, node: Node, path: Path = ()) -> Paths:
    """The paths an applied configuration claims: its leaves, and the items of keyed lists."""
    found = children(value, node)
    leaf = not found and node.place != "metadata"
    paths: Paths = {path} if path and (leaf or path[-1][:2] == "k:") else set()
    for name, child in (found or {}).items():
        paths |= applied(child, below(node, name), (*path, name))
    return paths


def difference(old: Any, new: Any, node: Node, path: Path = ()) -> tuple[Paths, Paths]:
    """The paths changed or added between two values, and those removed."""
    if old is new or old == new:
        return set(), set()
    before, after = children(old, node), children(new, node)
    if before is None or after is None:
        return {path}, set()
    changed: Paths = set()
    removed: Paths = set()
    for name in {**before, **after}:
        step, further = (*path, name), below(node, name)
        if name not in before:
            changed |= written(after[name], further, step)
        elif name not in after:
            removed |= written(before[name], further, step) | {step}
        else:
            more, fewer = difference(before[name], after[name], further, step)
            changed |= more
            removed |= fewer
    return changed, removed


def to_fields_v1(paths: Iterable[Path]) -> Json:
    """A set of paths as FieldsV1 writes it."""
    root: Json = {}
    members = sorted(paths)
    for path in members:
        node = root
        for step in path:
            node = node.setdefault(step, {})
    for path in members:
        node = root
        for step in path:
            node = node[step]
        if node:
            node["."] = {}
    return _sorted(root)


def _sorted(node: Json) -> Json:
    return {name: _sorted(node[name]) for name in sorted(node)}


def from_fields_v1(node: Json, path: Path = ()) -> Paths:
    """The set of paths a FieldsV1 mapping says."""
    below = [name for name in node if name != "."]
    paths: Paths = {path} if path and (not below or "." in node) else set()
    for name in below:
        paths |= from_fields_v1(node[name], (*path, name))
    return paths


def path_text(path: Path) -> str:
    """A path as conflict messages write it: `.spec.template.spec.containers[name="main"].image`."""
    text = ""
    for step in path:
        if step[:2] == "k:":
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(step[2:]).items()) + "]"
        else:
            text += f"[={step[2:]}]" if step[:2] == "v:" else f".{step[2:]}"
    return text
