"""The schemas of the kinds: each one a tree of nodes that knows how the API server owns, decodes and describes it.

A custom kind's schema is the one in its definition; a built-in kind's is in `data/`, which is read once, when the first
object of a built-in kind is written.
"""

from __future__ import annotations

import functools
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klepaas_plugins.kubernetes.sandbox.model import Json

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.sandbox.resources import Resource

_DATA = Path(__file__).parent / "data"
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_HEAD: Json = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
GVK = "x-kubernetes-group-version-kind"


def _read(name: str) -> Json:
    content: Json = json.loads(gzip.decompress((_DATA / name).read_bytes()))
    return content


@functools.cache
def schemas() -> Json:
    """Every built-in schema by its name, without descriptions."""
    return _read("schemas.json.gz")


@functools.cache
def descriptions() -> Json:
    """A pair by schema name: its description, and those of its properties."""
    return _read("descriptions.json.gz")


@functools.cache
def _names() -> dict[tuple[str, str, str], str]:
    return {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, schema in schemas().items()
        for kind in schema.get(GVK, ())
    }


def name_of(group: str, version: str, kind: str) -> str | None:
    """The name of a built-in kind's schema."""
    return _names().get((group, version, kind))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rsplit("/", 1)[1]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def needed_by(schemas: Json, roots: list[str]) -> list[str]:
    """The names of these schemas and of all that they refer to."""
    waiting = list(roots)
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(schemas[name])
    return sorted(found)


class Node:
    """A schema at one place of an object.

    Args:
        raw: the schema; an empty one knows nothing and allows everything.
        reference: the name of the schema it was resolved from; empty when it stands for itself.
        there: whether an object has it even when nobody has written it, so that writing into it owns nothing.
        place: `root`, `metadata` or empty.
    """

    __slots__ = ("_children", "_items", "custom", "place", "raw", "reference", "there")

    def __init__(
        self, raw: Json, *, custom: bool = False, reference: str = "", there: bool = False, place: str = ""
    ) -> None:
        self.raw = raw
        self.custom = custom
        self.reference = reference
        self.there = there
        self.place = place
        self._children: dict[str, Node | None] = {}
        self._items: Node | None = None

    @property
    def type(self) -> str:
        """The JSON type, or empty for any."""
        return str(self.raw.get("type", ""))

    @property
    def struct(self) -> str:
        """The name of the Go type, as decoding errors write it; empty for what has none."""
        return self.reference.rsplit(".", 1)[-1]

    @property
    def keys(self) -> tuple[str, ...] | None:
        """What tells a list's items apart: field names, nothing for a set, None for a list taken whole."""
        kind = self.raw.get("x-kubernetes-list-type")
        if kind == "map":
            return tuple(sorted(self.raw["x-kubernetes-list-map-keys"]))
        return () if kind == "set" else None

    @property
    def atomic(self) -> bool:
        """Whether a mapping is owned as a whole."""
        return self.raw.get("x-kubernetes-map-type") == "atomic"

    @property
    def open(self) -> bool:
        """Whether any field may be below, and of any type."""
        raw = self.raw
        if raw.get("x-kubernetes-preserve-unknown-fields"):
            return True
        return "properties" not in raw and "additionalProperties" not in raw and self.type in ("", "object")

    def child(self, name: str) -> Node | None:
        """The node of a field; None when the schema does not know it."""
        if name not in self._children:
            self._children[name] = self._child(name)
        return self._children[name]

    def _child(self, name: str) -> Node | None:
        raw = self.raw.get("properties", {}).get(name)
        if raw is None:
            values = self.raw.get("additionalProperties")
            if values is not None:
                return self._made(values if isinstance(values, dict) else {}, there=False)
            return Node({}, custom=self.custom) if self.open else None
        place = "metadata" if self.place == "root" and name == "metadata" else ""
        needed = name in self.raw.get("required", ()) and raw.get("x-kubernetes-list-type") != "set"
        there = self.there and (raw.get("default") == {} or needed)
        return self._made(raw, there=place == "metadata" or (there and not self.custom), place=place)

    def _made(self, raw: Json, *, there: bool = False, place: str = "") -> Node:
        resolved, reference = resolve(raw)
        return Node(resolved, custom=self.custom, reference=reference, there=there, place=place)

    @property
    def items(self) -> Node:
        """The node of a list's items."""
        if self._items is None:
            self._items = self._made(self.raw.get("items") or {})
        return self._items


def resolve(raw: Json) -> tuple[Json, str]:
    """A schema with its reference followed, and the name it led to."""
    parts: list[Any] = raw.get("allOf") or []
    link = raw.get("$ref") or (parts[0].get("$ref") if len(parts) == 1 and isinstance(parts[0], dict) else None)
    if not isinstance(link, str):
        return raw, ""
    name = link.rsplit("/", 1)[1]
    found: Any = schemas().get(name)
    return (found, name) if found is not None else ({}, name)


def _custom(resource: Resource) -> Node:
    raw = resource.schema or {}
    meta = {"allOf": [{"$ref": f"#/components/schemas/{META}"}]}
    properties = {**raw.get("properties", {}), **_HEAD, "metadata": meta}
    if not resource.schema:
        raw = {"x-kubernetes-preserve-unknown-fields": True}
    return Node({"type": "object", **raw, "properties": properties}, custom=True, there=True, place="root")


@functools.lru_cache(maxsize=512)
def node_of(resource: Resource) -> Node:
    """The schema of a kind's objects."""
    return _custom(resource) if resource.custom else node_named(resource.group, resource.version, resource.kind)


@functools.cache
def node_named(group: str, version: str, kind: str) -> Node:
    """The schema of a built-in kind's objects; one that allows everything where there is none."""
    name = name_of(group, version, kind)
    raw = schemas()[name] if name else {}
    return Node(raw, reference=name or "", there=True, place="root")
