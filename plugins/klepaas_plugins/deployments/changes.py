"""What differs between an object as it is and as it would be, in lines that a person reads.

Values of environment variables and of Secrets are never shown: that they differ is.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas.output.redaction import MARK, is_secret_field
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object, at, one_line

__all__ = ["Change", "changes", "listed"]

# What the server itself keeps up to date; a change there is nobody's wish.
_KEPT_BY_SERVER = ("status", "metadata.managedFields", "metadata.resourceVersion", "metadata.generation",
                   "metadata.uid", "metadata.creationTimestamp", "metadata.selfLink", "apiVersion", "kind")  # fmt: skip
# Names, labels and selectors of a new object, the protocol, the probe's default rhythm.
_GOES_WITHOUT_SAYING = re.compile(
    r"\.name$|\.protocol$|^name$|^metadata\.(name|namespace)$|app\.kubernetes\.io/|(period|timeout)Seconds$"
)
_CAUSE = f"metadata.annotations.{CHANGE_CAUSE}"


@dataclass(frozen=True)
class Change:
    """One field that differs.

    Attributes:
        field: Where it is, in short.
        before: What it is. None: it is not set.
        after: What it would be. None: it would be gone.
        is_compared: Whether the two were compared, or are hidden.
    """

    field: str
    before: str | None
    after: str | None
    is_compared: bool = True

    @property
    def line(self) -> str:
        """The change on one line."""
        if not self.is_compared:
            return f"{self.field}: hidden, not compared"
        if self.before is None:
            return f"{self.field}: {self.after} (new)"
        if self.after is None:
            return f"{self.field}: {self.before} (removed)"
        return f"{self.field}: {self.before} -> {self.after}"


def changes(before: Object, after: Object) -> list[Change]:
    """The fields that differ, as they may be shown; what the server keeps and the change cause are left out."""
    from klepaas_plugins.kubernetes.client.masking import mask

    old, new = dict(_leaves(before)), dict(_leaves(after))
    old_shown, new_shown = dict(_leaves(mask(before))), dict(_leaves(mask(after)))
    paths = [path for path in (*old, *(path for path in new if path not in old)) if old.get(path) != new.get(path)]
    return [
        Change(
            _short(path, after),
            _shown(path, old.get(path), old_shown.get(path)),
            _shown(path, new.get(path), new_shown.get(path), changed=path in old, other=old_shown.get(path)),
        )
        for path in paths
        if path != _CAUSE and not path.startswith(_KEPT_BY_SERVER)
    ]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for position, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{_key(inner, position)}]")
    elif value not in ({}, []):
        yield path, value


def _key(item: Any, position: int) -> str:
    """What names an item of a list, so that an insertion does not look like a change of all that follow."""
    if isinstance(item, dict):
        for name in ("name", "containerPort", "port", "mountPath", "key", "ip"):
            if name in item:
                return str(item[name])
    return str(position)


def _short(path: str, whole: Object) -> str:
    containers = at(whole, "spec", "template", "spec", "containers") or ()
    for item in containers:
        prefix = f"spec.template.spec.containers[{item['name']}]."
        if path.startswith(prefix):
            inner = path.removeprefix(prefix)
            return inner if len(containers) == 1 else f"{item['name']}: {inner}"
    return path.removeprefix("spec.template.spec.").removeprefix("spec.")


def _shown(path: str, value: Any, shown: Any, *, changed: bool = False, other: Any = None) -> str | None:
    """A value in a line.

    Args:
        path: Where it is.
        value: What it is. None: it is not there.
        shown: What of it may be shown.
        changed: Whether another value was there before.
        other: What of that one may be shown.
    """
    if value is None:
        return None
    if (".env[" in path and path.endswith("].value")) or shown is None or (changed and shown == other):
        return "another value" if changed else "a value"
    if shown == MARK or is_secret_field(path.rsplit(".", 1)[-1], str(shown)):
        return "(hidden)"
    return one_line(str(shown), 120)


def listed(found: Sequence[Change], most: int = 30) -> list[str]:
    """The changes as lines without what goes without saying, a long list cut with a count."""
    lines = [f"  {change.line}" for change in found if not _GOES_WITHOUT_SAYING.search(change.field)]
    return lines if len(lines) <= most else [*lines[:most], f"  and {len(lines) - most} more fields"]
