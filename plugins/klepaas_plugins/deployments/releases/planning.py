"""What it takes to bring an application back to a release: which objects change, come back and go. Pure.

Never removed are claims, Secrets, and what klepaas did not make. What somebody else changed since is not run over when
the caller says what should be there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from klepaas.changes import Action, ObjectChange
from klepaas.errors import Conflict
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object, at, counted
from klepaas_plugins.deployments.planning.restore import Restoration, is_changed_since
from klepaas_plugins.deployments.releases.kinds import NEVER_REMOVED, order_of
from klepaas_plugins.deployments.releases.model import Key, Snapshot, key_of, title_of
from klepaas_plugins.deployments.releases.normal import digest, normal
from klepaas_plugins.deployments.releases.replicas import settle_replicas, without_replicas
from klepaas_plugins.kubernetes.client import AUTOSCALER, is_ours, is_target

__all__ = ["Plan", "plan_restore", "refuse_foreign_changes", "with_ways"]


@dataclass(frozen=True)
class Plan:
    """What restoring would do.

    Attributes:
        wanted: What each object becomes, in the order of restoring; made anew where it is gone.
        seen: What each object was when the plan was made, normalised; absent where it was gone.
        removed: The objects that go.
        notes: What is not restored, and why.
        workloads: What runs pods in the release, by kind and name.
        freed: The workloads whose number of pods is set by an autoscaler that goes.
        ways: How each object is brought back, as the server was asked; empty before it was.
        objects: Every change in the order in which they are made, judged; empty before the server was asked.
        left: The notes that name fields which differ from the release and stay so.
        lost: The notes that name secret values which the release does not hold and which differ from it.
    """

    wanted: Mapping[Key, dict[str, Any]]
    seen: Mapping[Key, dict[str, Any]]
    removed: tuple[Key, ...]
    notes: tuple[str, ...] = ()
    workloads: tuple[Key, ...] = ()
    freed: frozenset[Key] = frozenset()
    ways: Mapping[Key, Restoration] = field(default_factory=dict)
    objects: tuple[ObjectChange, ...] = ()
    left: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def made(self) -> list[Key]:
        """The objects that are gone and made anew."""
        return [key for key in self.wanted if key not in self.seen]

    @property
    def exception(self) -> str:
        """What a sentence about the release adds where not all of it comes back; else empty."""
        parts = [f"{counted(len(self.left), 'field')} left to others"] if self.left else []
        parts += [f"{counted(len(self.lost), 'secret value')} that a release does not hold"] if self.lost else []
        return f", except {' and '.join(parts)}" if parts else ""

    @property
    def count(self) -> int:
        """How many objects it touches."""
        return len(self.wanted) + len(self.removed)


def plan_restore(
    target: Snapshot,
    live: Snapshot,
    *,
    expected: Snapshot | None = None,
    keep_scale: bool = False,
    scaled_to: int | None = None,
) -> Plan:
    """What it takes to go from what is to what was.

    Args:
        target: What was.
        live: What is, just captured.
        expected: What should be there if nobody else had changed anything since. None: whatever is there goes.
        keep_scale: Whether a number of pods that was set since by scaling stays.
        scaled_to: The number that klepaas has scaled it to since. None: it has not.
    """
    wanted, notes = {}, []
    for item in target.objects:
        key, there = key_of(item), live.by_key.get(key_of(item))
        if key[0] in NEVER_REMOVED and there is not None:
            continue
        item, note = settle_replicas(item, target, live, expected, keep_scale=keep_scale, scaled_to=scaled_to)
        notes += [note] if note else []
        if there is None or digest(item) != digest(there):
            wanted[key] = item
            notes += _of_a_claim(key, there)
    removed, kept = _going(target, live)
    seen = {key: live.by_key[key] for key in (*wanted, *removed) if key in live.by_key}
    workloads = tuple(key_of(item) for item in target.workloads)
    going = [live.by_key[key] for key in removed if key[0] == AUTOSCALER]
    freed = {
        key
        for key, item in wanted.items()
        if key not in target.autoscaled
        and at(item, "spec", "replicas") is not None
        and any(is_target(one, item) for one in going)
    }
    told = (*notes, *kept, *_beyond(target, live))
    return Plan(wanted, seen, removed, told, workloads, frozenset(freed))


def _of_a_claim(key: Key, there: Object | None) -> list[str]:
    if key[0] in NEVER_REMOVED and there is None:
        return [f"{title_of(key)} was gone and is made anew, empty: its data are not in a release."]
    return []


def _going(target: Snapshot, live: Snapshot) -> tuple[tuple[Key, ...], list[str]]:
    """What was added since and goes, the last to serve first; and what stays, with the reason."""
    going, notes = [], []
    for key in live.by_key:
        if key in target.by_key:
            continue
        reason = _why_it_stays(key, target, live)
        if reason is None:
            going.append(key)
        else:
            notes.append(f"{title_of(key)} was added since and stays: {reason}.")
    return tuple(sorted(going, key=lambda key: (-order_of(key[0]), key[1]))), notes


def _why_it_stays(key: Key, target: Snapshot, live: Snapshot) -> str | None:
    if key[0] in NEVER_REMOVED:
        return "it holds data"
    if key[0] in target.unseen:
        return "the release does not say whether it was there"
    return None if is_ours(live.live.get(key) or {}) else "klepaas did not make it"


def with_ways(plan: Plan, ways: Mapping[Key, Restoration]) -> Plan:
    """The plan with how each object is brought back; what would not change is left out, what stays others' is named.

    Args:
        plan: What is to be done, before the server was asked.
        ways: How each object is brought back.
    """
    # A number that an autoscaler sets while it is there is known only when it is gone.
    needed = {key: way for key, way in ways.items() if key in plan.freed or way.change.action is not Action.NONE}
    wanted = {key: _after(item, needed[key], plan.seen.get(key)) for key, item in plan.wanted.items() if key in needed}
    dropped = set(plan.wanted) - set(wanted)
    left = tuple(f"{title_of(key)}: {line}." for key, way in ways.items() for line in way.left)
    facts = [f"{title_of(key)}: {name}: {text}." for key, way in ways.items() for name, text in way.change.facts]
    return replace(
        plan,
        wanted=wanted,
        seen={key: item for key, item in plan.seen.items() if key not in dropped},
        notes=(*plan.notes, *left, *facts),
        left=left,
        ways=needed,
    )


def _after(item: dict[str, Any], way: Restoration, seen: Object | None) -> dict[str, Any]:
    """The object as the server would have it; one that is made anew as it was."""
    after = way.change.after
    return item if seen is None or after is None else normal(after, item["kind"], item["apiVersion"])


def refuse_foreign_changes(plan: Plan, target: Snapshot, live: Snapshot, expected: Snapshot) -> None:
    """Refuse to run over what somebody else has changed since.

    Args:
        plan: What is to be done.
        target: What was.
        live: What is.
        expected: What should be there if nobody else had changed anything since.

    Raises:
        Conflict: Somebody else has changed an object since.
    """
    was, now, aim = expected.by_key, live.by_key, target.by_key
    foreign = [
        key
        for key, way in plan.ways.items()
        if key[0] not in expected.unseen and is_changed_since(way, was.get(key), now.get(key), aim[key])
    ]
    foreign += [
        key for key in plan.removed if key[0] not in expected.unseen and _told(now.get(key)) != _told(was.get(key))
    ]
    if foreign:
        raise Conflict(
            f"{', '.join(title_of(key) for key in foreign)} was changed by somebody else meanwhile, "
            f"so {live.app_name} is not restored",
            next_step="Look at the difference with diff_releases, then roll back or deploy by hand",
        )


def _told(item: Object | None) -> str | None:
    """What an object says, but for why it is so, and for its number of pods: see `replicas`."""
    if item is None:
        return None
    item = without_replicas(item)
    metadata = dict(item["metadata"])
    notes = {key: text for key, text in (metadata.pop("annotations", None) or {}).items() if key != CHANGE_CAUSE}
    return digest({**item, "metadata": {**metadata, **({"annotations": notes} if notes else {})}})


def _beyond(target: Snapshot, live: Snapshot) -> list[str]:
    """What a rollback cannot restore and that has changed since."""
    now = {item.name: item for item in live.secrets}
    there = {(item.kind, item.name): item for item in live.shared}
    notes = []
    for secret in target.secrets:
        found = now.get(secret.name)
        if (
            secret.uid
            and found is not None
            and found.readable
            and (found.uid, found.version) != (secret.uid, secret.version)
        ):
            what = "changed" if found.uid else "was deleted"
            notes.append(f"Secret {secret.name} {what} since; its values are never recorded, so it stays as it is.")
    for item in target.shared:
        other = there.get((item.kind, item.name))
        if other is not None and other.digest != item.digest:
            notes.append(f"{item.kind} {item.name} changed since and stays as it is: {item.why}.")
    return notes
