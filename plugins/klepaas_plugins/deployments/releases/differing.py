"""What differs between two moments of an application, object by object and field by field, without secrets.

Values are compared as they are and shown as they may be shown; of environment variables only that they differ. Pure.
"""

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from klepaas.output.line_diff import changed_lines
from klepaas_plugins.deployments.changes import Change, changes
from klepaas_plugins.deployments.objects import Object, at, one_line
from klepaas_plugins.deployments.releases.kinds import order_of
from klepaas_plugins.deployments.releases.model import Key, SecretReference, Shared, Snapshot, title_of

__all__ = ["Difference", "difference", "field_changes"]

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LINE_CHARS = 100


@dataclass(frozen=True)
class Difference:
    """What differs between an earlier and a later moment.

    Attributes:
        added: Objects that only the later one has.
        removed: Objects that only the earlier one has.
        changed: The fields that differ, by object.
        notes: What differs and no rollback restores: Secrets, shared objects.
        unseen: Kinds that could not be looked at, so that nothing is known of them.
    """

    added: tuple[Key, ...]
    removed: tuple[Key, ...]
    changed: Mapping[Key, Sequence[Change]]
    notes: tuple[str, ...]
    unseen: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many fields and whole objects differ."""
        return len(self.added) + len(self.removed) + sum(len(found) for found in self.changed.values())

    def lines(self) -> list[str]:
        """One line a difference: "ConfigMap web: data.mode: fast -> slow"."""
        changed = [f"{title_of(key)}: {change.line}" for key, found in self.changed.items() for change in found]
        gone = [f"{title_of(key)}: removed" for key in self.removed]
        return [*changed, *(f"{title_of(key)}: added" for key in self.added), *gone, *self.notes]

    @property
    def summary(self) -> str:
        """The difference on one short line; empty where there is none."""
        parts = [f"{title_of(key)} ({', '.join(_fields(found))})" for key, found in self.changed.items()]
        parts += [f"{title_of(key)} added" for key in self.added]
        parts += [f"{title_of(key)} removed" for key in self.removed]
        more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
        return ", ".join(parts[:3]) + more


def _fields(found: Sequence[Change]) -> list[str]:
    names = [change.field for change in found[:2]]
    return [*names, f"{len(found) - 2} more fields"] if len(found) > 2 else names


def difference(before: Snapshot, after: Snapshot) -> Difference:
    """What differs.

    Args:
        before: The earlier moment.
        after: The later one.
    """
    old, new = before.by_key, after.by_key
    autoscaled = before.autoscaled | after.autoscaled
    pairs = ((key, field_changes(item, new[key], autoscaled)) for key, item in old.items() if key in new)
    # What one of them could not look at is neither added nor removed.
    return Difference(
        tuple(key for key in _sorted(new) if key not in old and key[0] not in before.unseen),
        tuple(key for key in _sorted(old) if key not in new and key[0] not in after.unseen),
        {key: found for key, found in pairs if found},
        (
            *_secret_notes(before.secrets, after.secrets),
            *_shared_notes(before.shared, after.shared),
        ),
        tuple(sorted({*before.unseen, *after.unseen})),
    )


def _sorted(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (order_of(key[0]), key[1]))


def field_changes(before: Object, after: Object, autoscaled: Collection[Key] = ()) -> list[Change]:
    """The fields of one object that differ, as they may be shown.

    Args:
        before: The object as it was.
        after: The object as it is.
        autoscaled: Workloads whose number of pods is an autoscaler's affair.
    """
    old, new = _told(before, autoscaled), _told(after, autoscaled)
    if old == new:
        return []
    from klepaas_plugins.kubernetes.client.masking import mask

    old_shown, new_shown = mask(old), mask(new)
    shown = {change.field: change for change in changes(old_shown, new_shown)}
    found = [shown.get(change.field) or _hidden(change) for change in changes(old, new) if not _is_own_name(change)]
    return [_with_lines(change, old_shown, new_shown) for change in found]


def _is_own_name(change: Change) -> bool:
    """Whether it only repeats the name by which an item of a list is called: env[A].name: A."""
    name = change.before or change.after
    return None in (change.before, change.after) and change.field.endswith(f"[{name}].name")


def _told(item: Object, autoscaled: Collection[Key]) -> dict[str, Any]:
    plain = copy.deepcopy(dict(item))
    (at(plain, "metadata", "annotations") or {}).pop(_APPLIED, None)
    key = (str(plain.get("kind")), str(at(plain, "metadata", "name")))
    if key in autoscaled and isinstance(plain.get("spec"), dict):
        plain["spec"].pop("replicas", None)
    return plain


def _hidden(change: Change) -> Change:
    """A change of a secret: that it is one, and no more."""
    return replace(
        change,
        before=None if change.before is None else "a value",
        after=None if change.after is None else "another value" if change.before is not None else "a value",
    )


def _with_lines(change: Change, before: Object, after: Object) -> Change:
    """A ConfigMap's text of several lines: the first that differ, and how many more do."""
    key = change.field.removeprefix("data.")
    old, new = at(before, "data", key), at(after, "data", key)
    if not (isinstance(old, str) and isinstance(new, str) and "\n" in old + new):
        return change
    found = changed_lines(old, new)[1:]
    gone, come = ([line[1:] for line in found if line.startswith(sign)] for sign in ("-", "+"))
    if not gone and not come:
        return _hidden(change)
    return replace(change, before=_first(gone), after=_first(come))


def _first(lines: Sequence[str]) -> str:
    if not lines:
        return "(no such line)"
    more = f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else ""
    return f"{one_line(lines[0], _LINE_CHARS)}{more}"


def _secret_notes(before: Sequence[SecretReference], after: Sequence[SecretReference]) -> list[str]:
    old, new = ({item.name: item for item in found} for found in (before, after))
    notes = []
    for name in sorted({*old, *new}):
        one, other = old.get(name), new.get(name)
        if one is None or other is None:
            notes.append(f"Secret {name}: {'no longer used' if other is None else 'newly used'}")
        elif one.readable and other.readable and (one.uid, one.version) != (other.uid, other.version):
            notes.append(f"Secret {name}: {_fate(one, other)}; its values are never recorded and cannot be restored")
    return notes


def _fate(one: SecretReference, other: SecretReference) -> str:
    if other.uid is None:
        return "deleted"
    if one.uid is None:
        return "created"
    return "changed" if one.uid == other.uid else "replaced"


def _shared_notes(before: Sequence[Shared], after: Sequence[Shared]) -> list[str]:
    old, new = ({(item.kind, item.name): item for item in found} for found in (before, after))
    return [
        f"{title_of(key)}: changed; it is not this application's alone and is not restored ({new[key].why})"
        for key in sorted({*old} & {*new})
        if old[key].digest != new[key].digest
    ]
