"""What a rule of the table sees and says: an object before and after, what is known around it, and what it found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from klepaas.changes import foreign
from klepaas.effects import Effect
from klepaas.output.safe import cut_with_count
from klepaas_plugins.kubernetes.risks.index import Index, index_of

__all__ = [
    "ABSENT",
    "UNKNOWN",
    "Found",
    "Known",
    "Object",
    "Pair",
    "Ref",
    "Rule",
    "child",
    "children",
    "cut_value",
    "group_of",
    "texts",
]

Object = Mapping[str, Any]
_VALUE_MAX_CHARS = 300


class _Mark:
    """Stands where there is no object."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


# There is no such object; it could not be looked up.
ABSENT: Any = _Mark("ABSENT")
UNKNOWN: Any = _Mark("UNKNOWN")


@dataclass(frozen=True, kw_only=True)
class Ref:
    """What has to be looked up: one object, or all objects of a kind.

    Attributes:
        api_version: The group and version.
        kind: The kind.
        namespace: The namespace. None: the kind has none, or all of them.
        name: The name. None: all objects of the kind.
    """

    api_version: str
    kind: str
    namespace: str | None = None
    name: str | None = None


@dataclass
class Known:
    """What is known around a change: the other objects of the change, and what was looked up in the cluster.

    Attributes:
        objects: By what was looked up: an object, a list of them, `ABSENT` or `UNKNOWN`.
        overlay: The objects of the change itself, as they would be; `ABSENT` for a deleted one.
        created: Group, kind, namespace and name of the objects that the change creates.
        asked: What a rule asked for that nobody has looked up; it was answered with `UNKNOWN`.
    """

    objects: dict[Ref, Any] = field(default_factory=dict)
    overlay: dict[tuple[str, str, str | None, str], Any] = field(default_factory=dict)
    created: frozenset[tuple[str, str, str | None, str]] = frozenset()
    asked: set[Ref] = field(default_factory=set)

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Any:
        """An object, `ABSENT`, or `UNKNOWN` where it could not be looked up.

        Args:
            api_version: Its group and version.
            kind: Its kind.
            namespace: Its namespace. None: the kind has none.
            name: Its name.
        """
        own = self.overlay.get((group_of(api_version), kind, namespace, name))
        if own is not None:
            return own
        return self._look(Ref(api_version=api_version, kind=kind, namespace=namespace, name=name))

    def list(self, api_version: str, kind: str, namespace: str | None) -> Any:
        """The live objects of a kind with those of the change in their place, or `UNKNOWN`.

        Args:
            api_version: The group and version.
            kind: The kind.
            namespace: Their namespace. None: all, or the kind has none.
        """
        live = self._look(Ref(api_version=api_version, kind=kind, namespace=namespace))
        if live is UNKNOWN:
            return UNKNOWN
        group = group_of(api_version)
        own = {
            key[2:]: obj
            for key, obj in self.overlay.items()
            if key[:2] == (group, kind) and namespace in (None, key[2])
        }
        others = [obj for obj in live if _place(obj) not in own]
        return [*others, *(obj for obj in own.values() if obj is not ABSENT)]

    def _look(self, ref: Ref) -> Any:
        if ref not in self.objects:
            self.asked.add(ref)
            return UNKNOWN
        return self.objects[ref]


@dataclass(frozen=True)
class Pair:
    """An object before and after a change.

    Attributes:
        before: As it is. None: there is none.
        after: As it would be. None: it is gone.
        known: What is known around it.
        namespace: The namespace of the change, for an object that names none.
    """

    before: Object | None
    after: Object | None
    known: Known
    namespace: str | None = None

    @property
    def present(self) -> Object:
        """The object as it would be, or as it was where it is gone."""
        return self.after if self.after is not None else self.before or {}

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.present.get("kind") or "")

    @property
    def group(self) -> str:
        """Its API group; "" for the core group."""
        return group_of(str(self.present.get("apiVersion") or ""))

    @property
    def name(self) -> str:
        """Its name, or the beginning of a generated one."""
        metadata = child(self.present, "metadata")
        return str(metadata.get("name") or metadata.get("generateName") or "")

    @property
    def place(self) -> str | None:
        """Its namespace. None: it has none, or it is not known."""
        return str(child(self.present, "metadata").get("namespace") or self.namespace or "") or None

    @property
    def is_new(self) -> bool:
        """Whether the object is created."""
        return self.before is None and self.after is not None

    @property
    def is_deleted(self) -> bool:
        """Whether the object is gone afterwards."""
        return self.after is None

    @cached_property
    def old(self) -> Index:
        """The fields before."""
        return index_of(self.before or {})

    @cached_property
    def new(self) -> Index:
        """The fields after."""
        return index_of(self.after or {})


@dataclass(frozen=True)
class Found:
    """What a rule found.

    Attributes:
        text: What happens, in one line that names it.
        severity: Its effect. None: the rule's.
    """

    text: str
    severity: Effect | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of the table.

    Attributes:
        code: The risk's code.
        name: What tells the row from others of its code.
        content: What content it recognizes, for the documentation.
        find: Finds it.
        severity: The least effect of a change of an existing object with this content.
        created: The least effect of a new object with this content. None: the same.
        deleted: Whether the rule is asked about deleted objects too.
    """

    code: str
    name: str
    content: str
    find: Callable[[Pair], Iterable[Found | str]]
    severity: Effect = Effect.DESTRUCTIVE
    created: Effect | None = None
    deleted: bool = False


def child(obj: Any, *keys: str) -> Object:
    """A mapping inside an object; an empty one where there is none, whatever stands there instead.

    Args:
        obj: The object.
        keys: The way to it.
    """
    for key in keys:
        obj = obj.get(key) if isinstance(obj, Mapping) else None
    return obj if isinstance(obj, Mapping) else {}


def children(obj: Any, *keys: str) -> list[Object]:
    """The mappings of a list inside an object.

    Args:
        obj: The object.
        keys: The way to the list.
    """
    items = child(obj, *keys[:-1]).get(keys[-1])
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def texts(value: Any) -> tuple[str, ...]:
    """The items of a list as texts; nothing where it is none.

    Args:
        value: The list.
    """
    return tuple(str(item) for item in value) if isinstance(value, Sequence) and not isinstance(value, str) else ()


def cut_value(value: str) -> str:
    """A value as a risk quotes it; the whole of it stands among the fields of the change.

    Args:
        value: The value.
    """
    return foreign(cut_with_count(value, _VALUE_MAX_CHARS))


def group_of(api_version: str) -> str:
    """The group of an `apiVersion`; "" for the core group.

    Args:
        api_version: For example "apps/v1".
    """
    return api_version.rpartition("/")[0]


def _place(obj: Object) -> tuple[str | None, str]:
    metadata = child(obj, "metadata")
    return metadata.get("namespace"), str(metadata.get("name"))
