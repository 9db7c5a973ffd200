"""Who owns which field of an object: sets of FieldsV1 paths, read from and written to metadata.managedFields.

A path is a tuple of steps as FieldsV1 writes them: `f:name` for a field, `k:{"name":"main"}` for an item of a list with
keys, `v:"text"` for an item of a set, `i:0` for a position. klepaas' own set is its entry of operation Apply on the
object itself. Entries that older versions left, by patches and by the scale subresource, count too, so that they can be
folded into it.

Sources: Kubernetes, "Server-Side Apply", section "Field management"; structured-merge-diff, package fieldpath.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from klepaas_plugins.kubernetes.write.items import Finder, Steps, key_of

__all__ = [
    "MANAGER",
    "Entry",
    "Path",
    "Paths",
    "entries_of",
    "extract",
    "extract_own",
    "find",
    "is_ours",
    "others_paths",
    "own_fields",
    "own_paths",
    "owners_of",
    "path_text",
    "paths_of",
    "to_fields",
]

MANAGER = "klepaas"
Path = tuple[str, ...]
Paths = frozenset[Path]
_REPLICAS: Path = ("f:spec", "f:replicas")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of managedFields.

    Attributes:
        manager: The field manager.
        operation: "Apply" or "Update".
        subresource: The part of the object that it wrote; "" for the object itself.
        api_version: In which version the paths are meant.
        paths: What it owns.
        raw: The entry as the server sent it.
    """

    manager: str
    operation: str
    subresource: str
    api_version: str
    paths: Paths
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def is_main(self) -> bool:
        """Whether this is klepaas' own entry: what it applied to the object itself."""
        return self.is_ours and self.operation == "Apply" and not self.subresource

    @property
    def is_ours(self) -> bool:
        """Whether klepaas wrote it, in whatever way; its notes in a status are none of its wishes."""
        return self.manager == MANAGER and self.subresource != "status"


def entries_of(obj: Mapping[str, Any] | None) -> list[Entry]:
    """The entries of an object's managedFields.

    Args:
        obj: The object. None: there is none.
    """
    found = ((obj or {}).get("metadata") or {}).get("managedFields") or ()
    return [
        Entry(
            manager=str(one.get("manager") or ""),
            operation=str(one.get("operation") or ""),
            subresource=str(one.get("subresource") or ""),
            api_version=str(one.get("apiVersion") or ""),
            paths=paths_of(one.get("fieldsV1") or {}),
            raw=one,
        )
        for one in found
        if isinstance(one, Mapping)
    ]


def paths_of(fields: Mapping[str, Any]) -> Paths:
    """The paths that a FieldsV1 mapping names.

    Args:
        fields: The mapping; what is below another path counts on its own.
    """
    return frozenset(_paths(fields, ()))


def _paths(fields: Mapping[str, Any], path: Path) -> Iterator[Path]:
    below = [step for step in fields if step != "."]
    if path and (not below or "." in fields):
        yield path
    for step in below:
        yield from _paths(fields[step] or {}, (*path, step))


def to_fields(paths: Iterable[Path]) -> dict[str, Any]:
    """Paths as FieldsV1 writes them.

    Args:
        paths: The paths.
    """
    root: dict[str, Any] = {}
    members = sorted(paths)
    for path in members:
        _node(root, path)
    for path in members:
        node = _node(root, path)
        if node:
            node["."] = {}
    return root


def _node(root: dict[str, Any], path: Path) -> dict[str, Any]:
    node = root
    for step in path:
        node = node.setdefault(step, {})
    return node


def is_ours(obj: Mapping[str, Any]) -> bool:
    """Whether klepaas has set a field of this object.

    Args:
        obj: The object, with its managedFields.
    """
    return bool(own_paths(obj))


def own_paths(obj: Mapping[str, Any]) -> Paths:
    """What klepaas owns of an object, in whatever way it was written.

    Of an entry that an older version left by a patch, what is only the documented default does not count: an object
    that was created by POST owned all of them. A number of replicas that was set by the scale subresource counts.

    Args:
        obj: The object, with its managedFields.
    """
    entries = [entry for entry in entries_of(obj) if entry.is_ours]
    applied = frozenset().union(*(one.paths for one in entries if one.is_main))
    patched = frozenset().union(*(one.paths for one in entries if not one.is_main)) - applied
    return _encoded(applied | (_without_defaults(patched, obj) if patched else patched), obj)


def own_fields(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What klepaas owns of an object, as FieldsV1, to be remembered with the object's values.

    A mapping that klepaas set empty and that others filled is left out: its content is theirs.

    Args:
        obj: The object, with its managedFields.
    """
    own, others = own_paths(obj), others_paths(obj)
    above, ours = ({path[:size] for path in paths for size in range(1, len(path))} for paths in (others, own))
    return to_fields(path for path in own if path not in above or path in ours or path[-1].startswith("k:"))


def _without_defaults(paths: Paths, obj: Mapping[str, Any]) -> Paths:
    from klepaas_plugins.kubernetes.server_defaults import without_defaults

    wished = without_defaults(obj)
    finder = Finder(wished)
    return frozenset(path for path in paths if path == _REPLICAS or finder.find(path)[0])


def _encoded(paths: Paths, obj: Mapping[str, Any]) -> Paths:
    """Keys of a Secret that were sent as text are owned under a name that the object does not have."""
    if obj.get("kind") != "Secret":
        return paths
    return frozenset(("f:data", *path[1:]) if path[0] == "f:stringData" and len(path) > 1 else path for path in paths)


def extract_own(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What klepaas wanted of an object, with the values that it has now; without apiVersion, kind and name.

    Args:
        obj: The object, with its managedFields.
    """
    own = own_paths(obj)
    found = extract(obj, to_fields(own), to_fields(others_paths(obj))) if own else {}
    return found if isinstance(found, dict) else {}


def others_paths(obj: Mapping[str, Any]) -> Paths:
    """What others own of an object.

    Args:
        obj: The object, with its managedFields.
    """
    return frozenset().union(*(one.paths for one in entries_of(obj) if not one.is_ours))


def extract(value: Any, fields: Mapping[str, Any], others: Mapping[str, Any] | None = None) -> Any:
    """The part of a value that a FieldsV1 set names.

    Args:
        value: An object, a list or a leaf of the live document.
        fields: The set; an empty one names the whole value.
        others: What other managers own of it: what they have added to a mapping or a list that was set empty is not
            ours. None: not known.
    """
    others = others or {}
    if not fields and isinstance(value, dict | list) and any(step != "." for step in others):
        return type(value)()
    if isinstance(value, dict):
        if not fields:
            return value
        names = [step[2:] for step in fields if step.startswith("f:")]
        return {
            name: extract(value[name], fields[f"f:{name}"] or {}, others.get(f"f:{name}"))
            for name in names
            if name in value
        }
    if isinstance(value, list) and fields:
        steps = Steps(fields)
        found = ((item, step) for at, item in enumerate(value) for step in steps.of(item, at))
        return [_extract_item(item, step, fields[step] or {}, others.get(step)) for item, step in found]
    return value


def _extract_item(item: Any, step: str, fields: Mapping[str, Any], others: Mapping[str, Any] | None) -> Any:
    """The part of a list's item that a set names; its key is always part of it."""
    part = extract(item, fields, others)
    if not isinstance(part, dict) or not step.startswith("k:"):
        return part
    named = key_of(step)
    return part if any(name in part for name in named) else {**named, **part}


def find(value: Any, path: Path) -> tuple[bool, Any]:
    """What lies at a path: whether it is there, and its value. For many paths of one object there is `items.Finder`.

    Args:
        value: The object.
        path: The path.
    """
    return Finder(value).find(path)


def owners_of(obj: Mapping[str, Any], path: Path) -> list[Entry]:
    """The entries that own exactly a path.

    Args:
        obj: The object, with its managedFields.
        path: The path.
    """
    return [entry for entry in entries_of(obj) if path in entry.paths]


def path_text(path: Path) -> str:
    """A path as a person reads it: `spec.template.spec.containers[main].image`.

    Args:
        path: The path.
    """
    text = ""
    for step in path:
        if step.startswith("k:"):
            text += f"[{','.join(str(value) for value in key_of(step).values())}]"
        elif step.startswith("v:"):
            text += f"[{key_of(step)}]"
        elif step.startswith("i:"):
            text += f"[{step[2:]}]"
        else:
            text += f".{step[2:]}" if text else step[2:]
    return text
