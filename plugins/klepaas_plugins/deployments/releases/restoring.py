"""Bringing an application back to a release, whole: every object exactly as it was, what was added since removed.

    plan (compare with what runs) -> dry run of every change -> one idempotent step an object

A change is a patch against the object as it was seen, held to that version, so that a foreign change in between is
never run over: it ends the restoring with a conflict. Never removed: claims, Secrets, and what klepaas did not make.

Source: RFC 7396; Kubernetes API conventions, "Concurrency Control and Consistency".
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from klepaas.errors import BadRequest, Conflict, KlepaasError, NotFound
from klepaas_plugins.deployments.changes import Change
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object, at
from klepaas_plugins.deployments.ownership import is_ours
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.releases.capturing import read_object
from klepaas_plugins.deployments.releases.differing import field_changes
from klepaas_plugins.deployments.releases.kinds import NEVER_REMOVED, order_of
from klepaas_plugins.deployments.releases.model import Key, Snapshot, key_of, title_of
from klepaas_plugins.deployments.releases.normal import digest, normal
from klepaas_plugins.deployments.releases.replicas import settle_replicas
from klepaas_plugins.deployments.revisions import merge_patch
from klepaas_plugins.deployments.together import together

__all__ = ["Plan", "Restored", "Step", "carry_out", "plan_restore", "try_out"]

_ATTEMPTS = 5


class Step(Protocol):
    """Has one effect once, as `klepaas.operations.Run.step` does."""

    async def __call__(
        self,
        name: str,
        do: Callable[[], Awaitable[Mapping[str, Any] | None]],
        *,
        find: Callable[[], Awaitable[Mapping[str, Any] | None]] | None = None,
    ) -> dict[str, Any]:
        """Have the effect, or find that it was had."""
        ...


@dataclass(frozen=True)
class Plan:
    """What restoring would do.

    Attributes:
        wanted: What each object becomes, in the order of restoring; made anew where it is gone.
        seen: What each object was when the plan was made, normalised; absent where it was gone.
        removed: The objects that go.
        changes: The fields that change, by object.
        notes: What is not restored, and why.
        workloads: What runs pods in the release, by kind and name.
    """

    wanted: Mapping[Key, dict[str, Any]]
    seen: Mapping[Key, dict[str, Any]]
    removed: tuple[Key, ...]
    changes: Mapping[Key, list[Change]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    workloads: tuple[Key, ...] = ()

    @property
    def made(self) -> list[Key]:
        """The objects that are gone and made anew."""
        return [key for key in self.wanted if key not in self.seen]

    @property
    def count(self) -> int:
        """How many objects it touches."""
        return len(self.wanted) + len(self.removed)

    def lines(self) -> list[str]:
        """What it would do, a line each."""
        lines = [f"create {title_of(key)}" for key in self.made]
        lines += [f"change {title_of(key)}: {change.line}" for key, found in self.changes.items() for change in found]
        return [*lines, *(f"remove {title_of(key)}" for key in self.removed)]


@dataclass(frozen=True)
class Restored:
    """What restoring did.

    Attributes:
        changed: The objects that were put back.
        made: The objects that were made anew.
        removed: The objects that are gone.
        notes: What was not restored, and why.
        workloads: What runs pods in the release, by kind and name: what to watch now.
    """

    changed: tuple[Key, ...]
    made: tuple[Key, ...]
    removed: tuple[Key, ...]
    notes: tuple[str, ...]
    workloads: list[Key] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """It in lines for people."""
        return [f"Rollback: {self.text}", *self.notes]

    @property
    def text(self) -> str:
        """It in one line."""
        parts = [
            f"{word} {', '.join(title_of(key) for key in keys)}"
            for word, keys in (("restored", self.changed), ("made anew", self.made), ("removed", self.removed))
            if keys
        ]
        return "; ".join(parts) or "everything was as it should be"


def plan_restore(
    target: Snapshot,
    live: Snapshot,
    *,
    expected: Snapshot | None = None,
    keep_scale: bool = False,
    change_cause: str | None = None,
) -> Plan:
    """What it takes to go from what is to what was.

    Args:
        target: What was.
        live: What is, just captured.
        expected: What should be there if nobody else had changed anything since. None: whatever is there goes.
        keep_scale: Whether a number of pods that was set since by scaling stays.
        change_cause: What the workloads say of why they are as they are. None: what they said then.

    Raises:
        Conflict: Somebody else has changed an object since, which this would run over.
    """
    wanted, notes = {}, []
    for item in target.objects:
        key, there = key_of(item), live.by_key.get(key_of(item))
        if key[0] in NEVER_REMOVED and there is not None:
            continue
        item, note = settle_replicas(item, target, live, keep_scale=keep_scale)
        notes += [note] if note else []
        if there is None or digest(item) != digest(there):
            wanted[key] = _caused(item, change_cause)
            notes += _of_a_claim(key, there)
    removed, kept = _going(target, live)
    if expected is not None:
        _refuse_foreign_changes([*wanted, *removed], target, live, expected)
    seen = {key: live.by_key[key] for key in (*wanted, *removed) if key in live.by_key}
    found = {key: field_changes(seen[key], item) for key, item in wanted.items() if key in seen}
    workloads = tuple(key_of(item) for item in target.workloads)
    return Plan(wanted, seen, removed, found, (*notes, *kept, *_beyond(target, live)), workloads)


def _caused(item: dict[str, Any], change_cause: str | None) -> dict[str, Any]:
    if change_cause is None or at(item, "spec", "template") is None:
        return item
    metadata = dict(item["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), CHANGE_CAUSE: change_cause}
    return {**item, "metadata": metadata}


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
    # Autoscalers go before everything else (they would change what is restored): see `carry_out`.
    return tuple(sorted(going, key=lambda key: (-order_of(key[0]), key[1]))), notes


def _why_it_stays(key: Key, target: Snapshot, live: Snapshot) -> str | None:
    if key[0] in NEVER_REMOVED:
        return "it holds data"
    if key[0] in target.unseen:
        return "the release does not say whether it was there"
    return None if is_ours(live.live.get(key) or {}) else "klepaas did not make it"


def _refuse_foreign_changes(keys: list[Key], target: Snapshot, live: Snapshot, expected: Snapshot) -> None:
    was, now, aim = expected.by_key, live.by_key, target.by_key
    foreign = [
        key
        for key in keys
        if _told(now.get(key)) not in (_told(was.get(key)), _told(aim.get(key))) and key[0] not in expected.unseen
    ]
    if foreign:
        raise Conflict(
            f"{', '.join(title_of(key) for key in foreign)} was changed by somebody else meanwhile, "
            f"so {live.app_name} is not restored",
            next_step="Look at the difference with diff_releases, then roll back or deploy by hand",
        )


def _told(item: Object | None) -> str | None:
    """What an object says, but for why it is so."""
    if item is None:
        return None
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


async def try_out(place: Place, plan: Plan) -> None:
    """Have the server check every change, so that a refusal leaves nothing half done.

    Raises:
        KlepaasError: One of them is refused; it names the object.
    """
    calls = [partial(_put, place, key, item, plan.seen.get(key), dry_run=True) for key, item in plan.wanted.items()]
    calls += [partial(_remove, place, key, plan.seen[key], dry_run=True) for key in plan.removed]
    await together(*calls)


async def carry_out(place: Place, plan: Plan, step: Step | None) -> Restored:
    """Do what is planned, one object after another.

    Args:
        place: The application.
        plan: What is to be done.
        step: Has each effect once. None: each is had directly.

    Raises:
        Conflict: An object was changed by somebody else meanwhile.
        KlepaasError: The cluster refuses a change, or does not answer.
    """
    made, first = plan.made, [key for key in plan.removed if key[0] == "HorizontalPodAutoscaler"]
    for key in first:
        await _stepped(
            step, f"remove {title_of(key)}", partial(_remove, place, key, plan.seen[key]), partial(_gone, place, key)
        )
    for key, item in plan.wanted.items():
        find = partial(_found, place, key, item)
        await _stepped(step, f"restore {title_of(key)}", partial(_put, place, key, item, plan.seen.get(key)), find)
    for key in (key for key in plan.removed if key not in first):
        await _stepped(
            step, f"remove {title_of(key)}", partial(_remove, place, key, plan.seen[key]), partial(_gone, place, key)
        )
    changed = tuple(key for key in plan.wanted if key not in made)
    return Restored(changed, tuple(made), plan.removed, plan.notes, list(plan.workloads))


async def _stepped(
    step: Step | None,
    name: str,
    do: Callable[[], Awaitable[Mapping[str, Any]]],
    find: Callable[[], Awaitable[Mapping[str, Any] | None]],
) -> None:
    if step is None:
        await do()
    else:
        await step(name, do, find=find)


async def _now(place: Place, key: Key) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """An object as it is now: whole, and normalised."""
    item = await read_object(place, key)
    return item, None if item is None else normal(item, item["kind"], item["apiVersion"])


async def _found(place: Place, key: Key, wanted: Object) -> dict[str, Any] | None:
    """Whether an object is as it is wanted."""
    _, there = await _now(place, key)
    return {"object": title_of(key)} if there is not None and digest(there) == digest(wanted) else None


async def _gone(place: Place, key: Key) -> dict[str, Any] | None:
    """Whether an object is gone, or going."""
    item, _ = await _now(place, key)
    return {"object": title_of(key)} if item is None or at(item, "metadata", "deletionTimestamp") else None


async def _put(
    place: Place, key: Key, wanted: dict[str, Any], seen: Object | None, *, dry_run: bool = False
) -> dict[str, Any]:
    """Make an object what it was."""
    for attempt in range(_ATTEMPTS):
        item, there = await _now(place, key)
        if there is not None and digest(there) == digest(wanted):
            break
        if there is not None and (seen is None or digest(there) != digest(seen)):
            raise _changed_meanwhile(key)
        try:
            await _write(place, key, wanted, item, there, dry_run=dry_run)
            break
        except (Conflict, NotFound):
            # Its status moved on, or it went: look again, and see that nothing that counts has changed.
            if attempt + 1 == _ATTEMPTS:
                raise
        except BadRequest as exc:
            raise _immutable(key, exc) from exc
    return {"object": title_of(key)}


async def _write(
    place: Place, key: Key, wanted: dict[str, Any], item: Object | None, there: Object | None, *, dry_run: bool
) -> None:
    resource = await place.cluster.resource(f"{wanted['apiVersion']}/{key[0]}")
    if item is None or there is None:
        await place.cluster.create(resource, wanted, place.namespace, dry_run=dry_run)
        return
    patch = merge_patch(there, wanted)
    patch["metadata"] = {**(patch.get("metadata") or {}), "resourceVersion": at(item, "metadata", "resourceVersion")}
    await place.cluster.merge_patch(resource, key[1], place.namespace, patch, dry_run=dry_run)


def _changed_meanwhile(key: Key) -> Conflict:
    return Conflict(
        f"{title_of(key)} was changed by somebody else meanwhile, so restoring stopped before it",
        next_step="Look at the difference with diff_releases, then roll back again",
    )


def _immutable(key: Key, exc: KlepaasError) -> BadRequest:
    return BadRequest(f"{title_of(key)} cannot be put back as it was: {exc.what}", next_step=exc.next_step)


async def _remove(place: Place, key: Key, seen: Object, *, dry_run: bool = False) -> dict[str, Any]:
    """Delete an object that was added since, if it still is what was seen."""
    for attempt in range(_ATTEMPTS):
        item, there = await _now(place, key)
        if item is None or there is None or at(item, "metadata", "deletionTimestamp"):
            break
        if digest(there) != digest(seen):
            raise _changed_meanwhile(key)
        metadata = item["metadata"]
        try:
            await place.cluster.delete(
                await place.cluster.resource(f"{item['apiVersion']}/{key[0]}"),
                key[1],
                place.namespace,
                uid=metadata["uid"],
                resource_version=metadata["resourceVersion"],
                dry_run=dry_run,
            )
            break
        except NotFound:
            break
        except Conflict:
            if attempt + 1 == _ATTEMPTS:
                raise
    return {"object": title_of(key)}
