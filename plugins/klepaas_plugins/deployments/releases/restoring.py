"""Bringing an application back to a release, whole: every object exactly as it was, what was added since removed.

    plan (compare with what runs) -> change of every object, tried out by the server -> one idempotent step an object

Each object goes the way of every write: it is planned, judged, and sent by the one writer, held to what it was planned
on, so that a foreign change in between is never run over. What is to be done is `planning`'s affair.

Source: Kubernetes, "Server-Side Apply"; API conventions, "Concurrency Control and Consistency".
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from klepaas.changes import Action, ObjectChange
from klepaas.errors import BadRequest, Forbidden
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Effect
from klepaas_plugins.deployments.planning.apply import effect_of, removal_of
from klepaas_plugins.deployments.planning.restore import Former, Restoration, plan_body, plan_restoration
from klepaas_plugins.deployments.releases.model import Key, Snapshot, title_of
from klepaas_plugins.deployments.releases.planning import Plan, refuse_foreign_changes, with_ways
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import (
    AUTOSCALER,
    AutoscalerChanges,
    DeleteRequest,
    find_risks,
    forget_looks,
    leaving_first,
    plan_delete,
)

__all__ = ["Moments", "Restored", "Step", "plan_changes", "restore"]


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
        exception: What a sentence about the release adds where not all of it came back; else empty.
    """

    changed: tuple[Key, ...]
    made: tuple[Key, ...]
    removed: tuple[Key, ...]
    notes: tuple[str, ...]
    workloads: list[Key] = field(default_factory=list)
    exception: str = ""

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


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What an application was and is.

    Attributes:
        target: What it was.
        live: What it is.
        expected: What it should be if nobody else had changed anything. None: whatever is there goes.
    """

    target: Snapshot
    live: Snapshot
    expected: Snapshot | None = None


async def plan_changes(place: Place, plan: Plan, moments: Moments, *, take_ownership: bool | None) -> Plan:
    """The plan with the change of each object, as the server says, and judged by its content.

    Args:
        place: The application.
        plan: What is to be done.
        moments: What it was and is.
        take_ownership: Whether controllers' fields are taken over. None: they are left as they are, and named.

    Raises:
        Conflict: Somebody else has changed an object since.
        KlepaasError: One of them is refused; it names the object.
    """
    live = moments.live.live
    former = partial(_former, place, plan, moments, take_ownership=take_ownership)
    formers = {key: former(key) for key in plan.wanted}
    found = await together(*(partial(_plan_one, key, former) for key, former in formers.items()))
    plan = with_ways(plan, dict(zip(formers, found, strict=True)))
    if moments.expected is not None:
        refuse_foreign_changes(plan, moments.target, moments.live, moments.expected)
    removals = await together(*(partial(_plan_removal, place, key, live[key]) for key in plan.removed))
    # An autoscaler that goes must not change what is restored before.
    changes = leaving_first([*(way.change for way in plan.ways.values()), *removals])
    return replace(plan, objects=await find_risks(place.cluster, changes))


def _former(place: Place, plan: Plan, moments: Moments, key: Key, *, take_ownership: bool | None) -> Former:
    applied = tuple(item for (kind, _), item in plan.wanted.items() if kind == AUTOSCALER)
    removed = frozenset(name for kind, name in plan.removed if kind == AUTOSCALER)
    return Former(
        place=place,
        live=moments.live.live.get(key),
        target=plan.wanted[key],
        own=moments.target.own.get(key),
        expected=None if moments.expected is None else moments.expected.by_key.get(key),
        take_ownership=take_ownership,
        autoscalers=AutoscalerChanges(applied, removed),
    )


async def _plan_one(key: Key, former: Former) -> Restoration:
    with _naming(key, "be put back as it was"):
        return await plan_restoration(former)


async def _plan_removal(place: Place, key: Key, item: Mapping[str, Any]) -> ObjectChange:
    request = DeleteRequest(
        cluster=place.cluster,
        resource=await place.cluster.resource(f"{item['apiVersion']}/{key[0]}"),
        name=key[1],
        namespace=place.namespace,
        uid=item["metadata"]["uid"],
    )
    with _naming(key, "be removed"):
        return await plan_delete(request)


@contextmanager
def _naming(key: Key, what: str) -> Iterator[None]:
    """Say of which object a refusal is.

    Raises:
        KlepaasError: The refusal.
    """
    try:
        yield
    except (BadRequest, Forbidden) as exc:
        kind = Forbidden if isinstance(exc, Forbidden) else BadRequest
        raise kind(f"{title_of(key)} cannot {what}: {exc.what}", next_step=exc.next_step) from exc


async def restore(place: Place, plan: Plan, step: Step | None) -> Restored:
    """Do what is planned, one object after another.

    Args:
        place: The application.
        plan: What is to be done, with the change of each object.
        step: Has each effect once. None: each is had directly.

    Raises:
        Conflict: An object was changed by somebody else meanwhile.
        RaisedEffect: A webhook made more of an object than was planned; it is as it was before.
        KlepaasError: The cluster refuses a change, or does not answer.
    """
    for change in plan.objects:
        key = (change.identity.kind, change.identity.name)
        effect = removal_of(place, change) if key in plan.removed else _effect(place, plan, key, change)
        do = partial(_do, key, effect)
        await (do() if step is None else step(effect.name, do, find=effect.find))
    changed = tuple(key for key in plan.wanted if key in plan.seen)
    return Restored(changed, tuple(plan.made), plan.removed, plan.notes, list(plan.workloads), plan.exception)


async def _do(key: Key, effect: Effect) -> Mapping[str, Any] | None:
    with _naming(key, "be removed" if effect.name.startswith("remove ") else "be put back as it was"):
        return await effect.do()


def _effect(place: Place, plan: Plan, key: Key, change: ObjectChange) -> Effect:
    way, name = plan.ways[key], f"restore {title_of(key)}"

    async def replan() -> ObjectChange:
        now = await plan_body(way.former, way.body)
        # What a controller took only after the plan was not to be left to it: the object is not as it should be.
        return now if set(now.facts) <= set(change.facts) else replace(now, action=Action.UPDATE)

    effect = effect_of(place, change, replan, name, among=plan.objects)
    if key not in plan.freed:
        return effect

    async def do() -> Mapping[str, Any] | None:
        # Its autoscaler has set the number of pods until just now.
        forget_looks(place.cluster)
        now = await find_risks(place.cluster, [await replan()])
        return await effect_of(place, now[0], replan, name, among=now).do()

    return replace(effect, do=do)
