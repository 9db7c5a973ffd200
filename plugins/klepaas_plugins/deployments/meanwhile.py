"""What others have changed of a workload between klepaas' write and the end of the rollout. Pure.

It is left as it is, and said: the pods that were watched are then not those of the release.
"""

from collections.abc import Iterable, Sequence

from klepaas.changes import FieldChange, ObjectChange
from klepaas.plans.describe import escape
from klepaas_plugins.deployments.objects import Object, name_of
from klepaas_plugins.kubernetes.client import compare

__all__ = ["are_other_pods", "changed_by_others", "exception_of_others", "lines_of_others"]

# It numbers revisions and sets the pods of an autoscaler.
_CLUSTER = "kube-controller-manager"
_MOST, _MOST_NAMED = 8, 3


def changed_by_others(written: Iterable[ObjectChange], live: Object) -> list[FieldChange]:
    """The fields that others own and that differ from what klepaas' write made of the workload.

    Args:
        written: The change, as the server computed it.
        live: The workload as it was seen last, with its managedFields.
    """
    mine = [one for one in written if one.after is not None and one.not_checked is None]
    after = next((one.after for one in mine if one.identity.name == name_of(live) and _is_same(one, live)), None)
    if after is None:
        return []
    seen = {**live, "kind": after["kind"], "apiVersion": after["apiVersion"]}
    return [one for one in compare(seen, after) if set(one.owners) - {_CLUSTER}]


def _is_same(change: ObjectChange, live: Object) -> bool:
    """Whether both are one object; one that was new then has no uid in the plan."""
    return change.identity.uid in (None, live["metadata"].get("uid")) and "template" in (live.get("spec") or {})


def are_other_pods(fields: Iterable[FieldChange]) -> bool:
    """Whether the pods are made of another template than klepaas wrote.

    Args:
        fields: What `changed_by_others` found.
    """
    return any(one.path.startswith("spec.template.") for one in fields)


def exception_of_others(fields: Sequence[FieldChange]) -> str:
    """What the headline adds where the pods are not those that klepaas wrote; else empty.

    Args:
        fields: What `changed_by_others` found.
    """
    theirs = [one for one in fields if are_other_pods([one])]
    if not theirs:
        return ""
    owners = sorted({owner for one in theirs for owner in one.owners} - {_CLUSTER})
    paths = [one.path.removeprefix("spec.template.").removeprefix("spec.") for one in theirs]
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    named = f"{', '.join(map(escape, paths[:_MOST_NAMED]))}{more}"
    return f", but {', '.join(map(escape, owners))} changed its pods meanwhile ({named})"


def lines_of_others(fields: Sequence[FieldChange]) -> list[str]:
    """It in lines of an answer.

    Args:
        fields: What `changed_by_others` found.
    """
    shown = [
        f"{escape(one.path)} is {escape(str(one.before))}, set by {', '.join(map(escape, one.owners))}"
        for one in fields[:_MOST]
    ]
    shown += [f"and {len(fields) - _MOST} more"] if len(fields) > _MOST else []
    lines = [f"Changed by others since it was written, and left so: {'; '.join(shown)}"] if shown else []
    return [*lines, "This release stays pending: the pods are not its own."] if are_other_pods(fields) else lines
