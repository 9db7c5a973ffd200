"""The few shapes the client hands out. Kubernetes objects themselves stay plain dictionaries, as the API sends them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Column", "ContextInfo", "LogRange", "Resource", "Row", "Table", "WatchEvent"]


@dataclass(frozen=True)
class ContextInfo:
    """A context that can be asked for.

    Attributes:
        name: The context.
        cluster: The cluster's name in the kubeconfig.
        namespace: The namespace that is meant when none is named.
        is_default: Whether this context is meant when none is named.
    """

    name: str
    cluster: str
    namespace: str
    is_default: bool


@dataclass(frozen=True)
class Resource:
    """A kind of object that a cluster serves, as discovery describes it."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    namespaced: bool
    verbs: frozenset[str]

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """The plural with its group, which names it without ambiguity (`deployments.apps`)."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def title(self) -> str:
        """What a person calls one of them (`deployment`)."""
        return self.singular or self.kind.lower()


@dataclass(frozen=True)
class Column:
    """A column of a server-side table.

    Attributes:
        name: Its heading.
        priority: 0 is always shown, more only in a wide table.
        description: What the server says of it.
    """

    name: str
    priority: int
    description: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a server-side table: one object.

    Attributes:
        cells: The values, in the columns' order.
        name: The object's name. None: the table does not tell.
        namespace: The object's namespace. None: it has none, or the table does not tell.
        object: As much of the object as was asked for. None: nothing.
    """

    cells: list[Any]
    name: str | None = None
    namespace: str | None = None
    object: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Table:
    """A page of objects as the server itself lays them out.

    Attributes:
        columns: The columns.
        rows: The rows.
        cursor: What to pass to get the next page. None: this is the last.
        remaining: How many objects come after this page. None: none, or the server does not tell.
        resource_version: The version of the collection.
    """

    columns: list[Column]
    rows: list[Row]
    cursor: str | None = None
    remaining: int | None = None
    resource_version: str = ""


@dataclass(frozen=True)
class WatchEvent:
    """A change that a watch saw.

    Attributes:
        type: ADDED, MODIFIED or DELETED.
        object: The object after the change (for DELETED: its last state).
    """

    type: str
    object: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class LogRange:
    """Which part of a container's log.

    Attributes:
        container: Which container. None: the only one.
        tail_lines: Only the last lines. None: all.
        previous: Those of the run before the last restart.
        since_s: Only those of the last seconds. None: all.
        since_time: Only those from this time on. None: all.
        limit_bytes: At most so many bytes, counted from the first line.
        timestamps: Whether each line begins with its time.
    """

    container: str | None = None
    tail_lines: int | None = None
    previous: bool = False
    since_s: int | None = None
    since_time: str | None = None
    limit_bytes: int = 8 * 1024 * 1024
    timestamps: bool = False

    def query(self) -> dict[str, str | int]:
        """The same as the API's parameters."""
        given: dict[str, str | int | None] = {
            "container": self.container,
            "tailLines": self.tail_lines,
            "sinceSeconds": self.since_s,
            "sinceTime": self.since_time,
            "limitBytes": self.limit_bytes,
            "previous": "true" if self.previous else None,
            "timestamps": "true" if self.timestamps else None,
        }
        return {key: value for key, value in given.items() if value is not None}
