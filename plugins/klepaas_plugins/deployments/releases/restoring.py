"""Bringing an application back to a release, whole: every object exactly as it was, what was added since removed.

    plan (compare with what runs) -> dry run of every change -> one idempotent step an object

A change is a server-side apply of what is klepaas' to restore, held to what was seen, so that a foreign change in
between is never run over: it ends the restoring with a conflict. What is to be done is `planning`'s affair.

Source: Kubernetes, "Server-Side Apply"; API conventions, "Concurrency Control and Consistency".
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from klepaas.errors import BadRequest, Conflict, NotFound
from klepaas_plugins.deployments.objects import Object, at
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planning.restore import Restoration, plan_restoration, plan_restored_object
from klepaas_plugins.deployments.releases.capturing import read_object
from klepaas_plugins.deployments.releases.model import Key, Snapshot, title_of
from klepaas_plugins.deployments.releases.normal import digest, normal
from klepaas_plugins.deployments.releases.planning import Plan
from klepaas_plugins.deployments.releases.replicas import left_to_autoscaler
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import DeleteRequest, plan_delete, write
from klepaas_plugins.kubernetes.write.autoscaling import AUTOSCALER, AutoscalerChanges

__all__ = ["Restored", "Step", "carry_out", "try_out"]

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


async def plan_ways(place: Place, plan: Plan, live: Snapshot) -> dict[Key, Restoration]:
    """How each object is brought back, as the server says.

    Args:
        place: The application.
        plan: What is to be done.
        live: What is there now.

    Raises:
        KlepaasError: One of them is refused; it names the object.
    """
    removed = frozenset(name for kind, name in plan.removed if kind == AUTOSCALER)
    applied = tuple(item for (kind, _), item in plan.wanted.items() if kind == AUTOSCALER)
    autoscalers = AutoscalerChanges(applied, removed)

    async def one(key: Key) -> Restoration:
        try:
            return await plan_restoration(place, live.live.get(key), plan.wanted[key], autoscalers)
        except BadRequest as exc:
            what = f"{title_of(key)} cannot be put back as it was: {exc.what}"
            raise BadRequest(what, next_step=exc.next_step) from exc

    ways = await together(*(partial(one, key) for key in plan.wanted))
    return dict(zip(plan.wanted, ways, strict=True))


async def try_out(place: Place, plan: Plan) -> None:
    """Have the server check every removal, so that a refusal leaves nothing half done.

    Raises:
        KlepaasError: One of them is refused; it names the object.
    """
    work = _Work(place, plan)
    await together(*(partial(work.remove, key, dry_run=True) for key in plan.removed))


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
    work = _Work(place, plan)
    # An autoscaler that goes must not change what is restored before.
    first = [key for key in plan.removed if key[0] == AUTOSCALER]
    for key in first:
        await _stepped(step, f"remove {title_of(key)}", partial(work.remove, key), partial(work.gone, key))
    for key in plan.wanted:
        await _stepped(step, f"restore {title_of(key)}", partial(work.put, key), partial(work.found, key))
    for key in (key for key in plan.removed if key not in first):
        await _stepped(step, f"remove {title_of(key)}", partial(work.remove, key), partial(work.gone, key))
    changed = tuple(key for key in plan.wanted if key in plan.seen)
    return Restored(changed, tuple(plan.made), plan.removed, plan.notes, list(plan.workloads))


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


@dataclass(frozen=True)
class _Work:
    """The effects of a plan; each may be had again, and looks before it writes."""

    place: Place
    plan: Plan

    async def found(self, key: Key) -> dict[str, Any] | None:
        """Whether an object is as it is wanted."""
        _, there = await self._now(key)
        return {"object": title_of(key)} if there is not None and self._is_wanted(key, there) else None

    async def gone(self, key: Key) -> dict[str, Any] | None:
        """Whether an object is gone, or going."""
        item, _ = await self._now(key)
        return {"object": title_of(key)} if item is None or at(item, "metadata", "deletionTimestamp") else None

    async def put(self, key: Key) -> dict[str, Any]:
        """Make an object what it was."""
        for attempt in range(_ATTEMPTS):
            _, there = await self._now(key)
            if there is not None and self._is_wanted(key, there):
                break
            if there is not None and not self._is_seen(key, there):
                raise _changed_meanwhile(key)
            try:
                await self._write(key)
                break
            except (Conflict, NotFound):
                # Its status moved on, or it went: look again, and see that nothing that counts has changed.
                if attempt + 1 == _ATTEMPTS:
                    raise
            except BadRequest as exc:
                what = f"{title_of(key)} cannot be put back as it was: {exc.what}"
                raise BadRequest(what, next_step=exc.next_step) from exc
        return {"object": title_of(key)}

    async def remove(self, key: Key, *, dry_run: bool = False) -> dict[str, Any]:
        """Delete an object that was added since, if it still is what was seen."""
        for attempt in range(_ATTEMPTS):
            item, there = await self._now(key)
            if item is None or there is None or at(item, "metadata", "deletionTimestamp"):
                break
            if not self._is_seen(key, there):
                raise _changed_meanwhile(key)
            try:
                await self._delete(key, item, dry_run=dry_run)
                break
            except NotFound:
                break
            except Conflict:
                if attempt + 1 == _ATTEMPTS:
                    raise
        return {"object": title_of(key)}

    async def _now(self, key: Key) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """An object as it is now: whole, and normalised."""
        item = await read_object(self.place, key)
        return item, None if item is None else normal(item, item["kind"], item["apiVersion"])

    def _wanted(self, key: Key, there: Object) -> dict[str, Any]:
        """What it is to become; an autoscaler may have changed the number of pods meanwhile."""
        wanted = self.plan.wanted[key]
        return left_to_autoscaler(wanted, there) if key in self.plan.autoscaled else wanted

    def _is_wanted(self, key: Key, there: Object) -> bool:
        return digest(there) == digest(self._wanted(key, there))

    def _is_seen(self, key: Key, there: Object) -> bool:
        seen = self.plan.seen.get(key)
        if seen is None:
            return False
        return digest(there) == digest(left_to_autoscaler(seen, there) if key in self.plan.floating else seen)

    async def _write(self, key: Key) -> None:
        """Apply the body that was composed, on what is there now."""
        change = await plan_restored_object(self.place, self.plan.ways[key].body)
        await write(self.place.cluster, change)

    async def _delete(self, key: Key, item: Object, *, dry_run: bool) -> None:
        cluster, metadata = self.place.cluster, item["metadata"]
        request = DeleteRequest(
            cluster=cluster,
            resource=await cluster.resource(f"{item['apiVersion']}/{key[0]}"),
            name=key[1],
            namespace=self.place.namespace,
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )
        change = await plan_delete(request)
        if not dry_run:
            await write(cluster, change)


def _changed_meanwhile(key: Key) -> Conflict:
    return Conflict(
        f"{title_of(key)} was changed by somebody else meanwhile, so restoring stopped before it",
        next_step="Look at the difference with diff_releases, then roll back again",
    )
