"""The fields of an object by name, wherever they stand: in a pod template, in a custom resource, in a text of YAML.

A kind that nobody knows may hold pod templates and whole objects. So nothing here goes by kinds: every mapping is
visited, fields are found by their names, and an object inside an object is handed out as an object of its own.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from klepaas.errors import KlepaasError
from klepaas.foreign_json import parse_json

__all__ = ["Field", "Index", "index_of"]

# A larger object is not read to its end; `Index.is_whole` says so.
VALUES_MAX = 100_000
TEXT_MAX_CHARS = 300_000
_DEPTH_MAX = 60
# What the server keeps, and copies of manifests that nothing carries out.
_NOT_WANTED = frozenset({"status", "managedFields"})
_COPY = "kubectl.kubernetes.io/last-applied-configuration"
_CONTENT = frozenset({"metadata", "spec", "data", "rules", "subjects", "webhooks", "template"})
# What makes a text that cannot be read worth a word: prose and templates without it are common.
_POWER = re.compile(
    r"privileged[\"']?\s*[:=]\s*[\"']?true|hostPath|host(?:Network|PID|IPC)[\"']?\s*[:=]\s*[\"']?true"
    r"|kind[\"']?\s*:\s*[\"']?(?:Cluster)?Role(?:Binding)?\b|WebhookConfiguration|SYS_ADMIN"
)
# Kinds that describe fields by a schema, which is no object that has them.
_SCHEMA = "openAPIV3Schema"
_WITH_SCHEMA = frozenset({"CustomResourceDefinition", "CompositeResourceDefinition", "ConstraintTemplate"})
_NAMES = ("name", "key", "mountPath", "type", "ip", "kind")


@dataclass(frozen=True)
class Field:
    """A field.

    Attributes:
        path: Where it stands, items of lists by their names.
        name: Its name.
        value: Its value.
        parent: The mapping that holds it.
    """

    path: str
    name: str
    value: Any
    parent: Mapping[str, Any]


@dataclass
class Index:
    """The fields of one object.

    Attributes:
        fields: By name, in order.
        embedded: The objects inside it, each with its path.
        is_whole: Whether all of it was read.
        unread: Texts by their paths that seem to hold objects of power and cannot be read.
    """

    fields: dict[str, list[Field]] = field(default_factory=lambda: defaultdict(list))
    embedded: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    is_whole: bool = True
    unread: dict[str, str] = field(default_factory=dict)

    def named(self, *names: str) -> list[Field]:
        """The fields with one of the names.

        Args:
            names: The names.
        """
        return [one for name in names for one in self.fields.get(name, ())]


def index_of(obj: Mapping[str, Any]) -> Index:
    """Read an object.

    Args:
        obj: The object.
    """
    return _Reader().read(obj)


class _Reader:
    def __init__(self) -> None:
        self._index = Index()
        self._left = VALUES_MAX
        self._left_chars = TEXT_MAX_CHARS
        self._not_wanted = _NOT_WANTED

    def read(self, obj: Mapping[str, Any]) -> Index:
        if obj.get("kind") in _WITH_SCHEMA:
            self._not_wanted = _NOT_WANTED | {_SCHEMA}
        for key, value in obj.items():
            if key not in self._not_wanted:
                self._add(str(key), str(key), value, obj, 1)
        return self._index

    def _add(self, path: str, name: str, value: Any, parent: Mapping[str, Any], depth: int) -> None:
        self._left -= 1
        self._index.fields[name].append(Field(path, name, value, parent))
        self._visit(path, value, depth)

    def _visit(self, path: str, value: Any, depth: int) -> None:
        if self._left < 0 or depth > _DEPTH_MAX:
            self._index.is_whole = False
        elif isinstance(value, Mapping):
            if depth > 1 and _is_object(value):
                self._index.embedded.append((path, value))
                return
            for key, inner in value.items():
                if key not in (_COPY, "managedFields") and (key != _SCHEMA or _SCHEMA not in self._not_wanted):
                    self._add(f"{path}.{key}", str(key), inner, value, depth + 1)
        elif isinstance(value, list):
            for position, item in _labelled(value):
                self._left -= 1
                self._visit(f"{path}[{position}]", item, depth + 1)
        elif isinstance(value, str) and "kind" in value and "apiVersion" in value:
            self._read_text(path, value)

    def _read_text(self, path: str, text: str) -> None:
        self._left_chars -= len(text)
        if self._left_chars < 0:
            self._index.is_whole = False
            return
        found = _objects_in(text)
        if found is not None:
            self._index.embedded += [(path, one) for one in found]
        elif _POWER.search(text):
            self._index.unread[path] = text


def _objects_in(text: str) -> list[Mapping[str, Any]] | None:
    """The objects in a text of YAML or JSON. None: it is neither."""
    from klepaas_plugins.kubernetes import yaml_text

    try:
        found = [parse_json(text)] if text.lstrip().startswith(("{", "[")) else yaml_text.documents(text)
    except (KlepaasError, ValueError, RecursionError):
        return None
    lists = [one.get("items") if isinstance(one, Mapping) and one.get("kind") == "List" else [one] for one in found]
    return [item for items in lists for item in items or () if isinstance(item, Mapping) and _is_object(item)]


def _is_object(value: Mapping[str, Any]) -> bool:
    """Whether it is an object; a reference to one has no content."""
    named = isinstance(value.get("apiVersion"), str) and isinstance(value.get("kind"), str)
    return named and bool(_CONTENT & value.keys())


def _labelled(items: list[Any]) -> Iterator[tuple[str, Any]]:
    """Items of a list, each by its name where it has one, so that their order does not matter."""
    seen: Counter[str] = Counter()
    for item in items:
        name = next((str(item[key]) for key in _NAMES if key in item), "") if isinstance(item, Mapping) else ""
        seen[name] += 1
        yield (f"{name}#{seen[name]}" if name and seen[name] > 1 else name or "*"), item
