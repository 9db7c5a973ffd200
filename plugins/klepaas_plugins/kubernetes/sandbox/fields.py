"""Who owns which field: metadata.managedFields, as sets of paths.

A path is a tuple of FieldsV1 elements: `f:name`, `k:{"key":"value"}` for an item of a keyed list, `v:"value"` for one
of a set. Which lists are keyed is known by name for built-in kinds; a custom kind's lists are taken whole.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .model import Json

Path = tuple[str, ...]
Paths = set[Path]

_KEYS = {
    "containers": ("name",), "initContainers": ("name",), "ephemeralContainers": ("name",), "env": ("name",),
    "volumes": ("name",), "volumeMounts": ("mountPath",), "volumeDevices": ("devicePath",), "podIPs": ("ip",),
    "imagePullSecrets": ("name",), "hostAliases": ("ip",), "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}  # fmt: skip
_ATOMIC_MAPS = {
    "selector", "nodeSelector", "involvedObject", "regarding", "secretKeyRef", "configMapKeyRef", "fieldRef",
    "resourceFieldRef", "configMapRef", "secretRef", "labelSelector",
}  # fmt: skip
# Parts of an object that are there even when empty, so that writing into them does not make anyone their owner.
_ALWAYS_THERE = {
    "metadata", "spec", "status", "template", "strategy", "updateStrategy", "jobTemplate", "source", "names",
    "scaleTargetRef", "resources", "containers",
}  # fmt: skip
_UNOWNED = {
    "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink",
    "deletionTimestamp", "deletionGracePeriodSeconds",
}  # fmt: skip
_KEY_DEFAULTS = {"protocol": "TCP"}


def list_keys(path: Path, custom: bool) -> tuple[str, ...] | None:
    """What tells a list's items apart: field names, nothing for a set of plain values, None for a list taken whole."""
    name = path[-1][2:]
    if path[0] == "f:metadata":
        return {"finalizers": (), "ownerReferences": ("uid",)}.get(name)
    if custom:
        return None
    if name == "ports":
        return (
            ("containerPort", "protocol")
            if len(path) > 1 and path[-2][:2] == "k:"
            else ("port", "protocol")
            if len(path) == 2
            else None
        )
    if name == "conditions":
        return ("type",) if path[0] == "f:status" else None
    return _KEYS.get(name)


def is_atomic(path: Path, custom: bool) -> bool:
    """Whether a mapping is owned as a whole."""
    return not custom and path[-1][2:] in _ATOMIC_MAPS


def element(item: Any, keys: tuple[str, ...]) -> str | None:
    """A list item's path element; None when it lacks its keys, so that the list can only be taken whole."""
    if not keys:
        return None if isinstance(item, dict | list) else "v:" + json.dumps(item)
    if not isinstance(item, dict):
        return None
    values = {key: item.get(key, _KEY_DEFAULTS.get(key)) for key in keys}
    return None if None in values.values() else "k:" + json.dumps(values, separators=(",", ":"), sort_keys=True)


def items_of(value: list[Any], path: Path, custom: bool) -> dict[str, Any] | None:
    """A keyed list's items by path element; None for a list taken whole."""
    keys = list_keys(path, custom)
    if keys is None:
        return None
    items = {element(item, keys): item for item in value}
    return None if None in items or len(items) != len(value) else {str(key): item for key, item in items.items()}


def children(value: Any, path: Path, custom: bool) -> dict[str, Any] | None:
    """What lies below a value, by path element; None for a leaf."""
    if isinstance(value, dict):
        if path and is_atomic(path, custom):
            return None
        return {f"f:{name}": child for name, child in value.items() if _owned(path, name)}
    return items_of(value, path, custom) if isinstance(value, list) else None


def _owned(path: Path, name: str) -> bool:
    return name not in ("apiVersion", "kind") if not path else path != ("f:metadata",) or name not in _UNOWNED


def written(value: Any, custom: bool, path: Path = ()) -> Paths:
    """Every path of a value that was not there before, as a create or update owns it."""
    if value is None:
        return set()
    below = children(value, path, custom)
    paths: Paths = set() if not path or (below and _is_there(path, custom)) else {path}
    for name, child in (below or {}).items():
        paths |= written(child, custom, (*path, name))
    return paths


def _is_there(path: Path, custom: bool) -> bool:
    if custom:
        return path == ("f:metadata",)
    return path[-1][2:] in _ALWAYS_THERE and not any(step[:2] == "k:" for step in path)


def applied(value: Any, custom: bool, path: Path = ()) -> Paths:
    """The paths an applied configuration claims: its leaves, and the items of keyed lists."""
    below = children(value, path, custom)
    leaf = not below and path != ("f:metadata",)
    paths: Paths = {path} if path and (leaf or path[-1][:2] == "k:") else set()
    for name, child in (below or {}).items():
        paths |= applied(child, custom, (*path, name))
    return paths


def difference(old: Any, new: Any, custom: bool, path: Path = ()) -> tuple[Paths, Paths]:
    """The paths changed or added between two values, and those removed."""
    if old is new or old == new:
        return set(), set()
    before, after = children(old, path, custom), children(new, path, custom)
    if before is None or after is None:
        return {path}, set()
    changed: Paths = set()
    removed: Paths = set()
    for name in {**before, **after}:
        step = (*path, name)
        if name not in before:
            changed |= written(after[name], custom, step)
        elif name not in after:
            removed |= written(before[name], custom, step) | {step}
        else:
            more, fewer = difference(before[name], after[name], custom, step)
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
