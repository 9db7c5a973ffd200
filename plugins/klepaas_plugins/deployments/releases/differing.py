"""What differs between two moments of an application, object by object and field by field, without secrets.

A difference is a `ChangeSet` of what was there: it is compared and described as every change is. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from klepaas.changes import Action, ChangeSet, ObjectChange, ObjectIdentity
from klepaas.plans.describe import count_differences, list_differences, summarize
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object, at
from klepaas_plugins.deployments.releases.kinds import order_of
from klepaas_plugins.deployments.releases.model import Key, SecretReference, Shared, Snapshot, key_of, title_of
from klepaas_plugins.deployments.releases.normal import LAST_APPLIED
from klepaas_plugins.kubernetes.client import compare

__all__ = ["Difference", "difference"]

# Notes of how an object came to be: none of them is a difference in what runs.
_NOTES = frozenset({f"metadata.annotations.{name}" for name in (CHANGE_CAUSE, LAST_APPLIED)})


@dataclass(frozen=True)
class Difference:
    """What differs between an earlier and a later moment.

    Attributes:
        changes: It, object by object; its notes say what differs and no rollback restores: Secrets, shared objects.
        unseen: Kinds that could not be looked at, so that nothing is known of them.
    """

    changes: ChangeSet
    unseen: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many fields and whole objects differ."""
        return count_differences(self.changes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What differs and no rollback restores."""
        return self.changes.notes

    def with_note(self, note: str) -> "Difference":
        """The same, with something more that differs or is not known.

        Args:
            note: It, as a sentence.
        """
        return replace(self, changes=replace(self.changes, notes=(*self.changes.notes, note)))

    @property
    def lines(self) -> list[str]:
        """One line a difference: "ConfigMap web: data.mode: fast -> slow"."""
        return [*list_differences(self.changes), *self.notes]

    @property
    def summary(self) -> str:
        """The difference on one short line; empty where there is none."""
        return summarize(self.changes)


def difference(before: Snapshot, after: Snapshot) -> Difference:
    """What differs.

    Args:
        before: The earlier moment.
        after: The later one.
    """
    old, new = before.by_key, after.by_key
    autoscaled = before.autoscaled | after.autoscaled
    changed = [_updated(item, new[key], key in autoscaled) for key, item in old.items() if key in new]
    # What one of them could not look at is neither added nor removed.
    added = [new[key] for key in _sorted(new) if key not in old and key[0] not in before.unseen]
    removed = [old[key] for key in _sorted(old) if key not in new and key[0] not in after.unseen]
    objects = (
        *(change for change in changed if change is not None),
        *(ObjectChange(identity=_identity(item), action=Action.CREATE, after=item) for item in added),
        *(ObjectChange(identity=_identity(item), action=Action.DELETE, before=item) for item in removed),
    )
    notes = (*_secret_notes(before.secrets, after.secrets), *_shared_notes(before.shared, after.shared))
    changes = ChangeSet(title=f"Releases of {after.app_name}", objects=objects, notes=notes)
    return Difference(changes, tuple(sorted({*before.unseen, *after.unseen})))


def _sorted(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (order_of(key[0]), key[1]))


def _updated(before: Object, after: Object, is_autoscaled: bool) -> ObjectChange | None:
    """What differs of an object; the number of pods is an autoscaler's affair where there is one. None: nothing."""
    if before == after:
        return None
    left_out = {*_NOTES, "spec.replicas"} if is_autoscaled else _NOTES
    found = tuple(one for one in compare(before, after, is_history=True) if one.path not in left_out)
    if not found:
        return None
    return ObjectChange(identity=_identity(after), action=Action.UPDATE, fields=found, before=before, after=after)


def _identity(item: Object) -> ObjectIdentity:
    kind, name = key_of(item)
    return ObjectIdentity(
        kind=kind,
        name=name,
        namespace=at(item, "metadata", "namespace"),
        api_version=str(item.get("apiVersion") or ""),
    )


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
