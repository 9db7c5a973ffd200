"""What belongs to an object: what it owns, directly or through others, or what lives in it.

The API cannot be asked for owned objects, so the metadata of the kinds that can be owned is listed and followed by uid.
What could not be looked at is told, never passed over.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from klepaas.errors import KlepaasError
from klepaas.resilience import gather
from klepaas_plugins.kubernetes.client import Cluster, Resource

__all__ = ["Dependent", "Found", "contents_of", "dependents_in", "kept_kinds", "owned_by"]

AT_ONCE = 8
PAGE = 500
PAGES_MAX = 4
KINDS_MAX = 60
# What the built-in controllers make, by the kind of the object that owns it.
_MADE_BY = {
    "Deployment": ("replicasets.apps", "pods"),
    "ReplicaSet": ("pods",),
    "StatefulSet": ("pods", "controllerrevisions.apps", "persistentvolumeclaims"),
    "DaemonSet": ("pods", "controllerrevisions.apps"),
    "ReplicationController": ("pods",),
    "CronJob": ("jobs.batch", "pods"),
    "Job": ("pods",),
    "Service": ("endpointslices.discovery.k8s.io",),
}
# What owns nothing, and is too common to be looked through for.
_OWNS_NOTHING = frozenset({"Pod", "Event", "EndpointSlice", "Endpoints", "ControllerRevision", "Lease"})
# Copies of other objects, and objects that nobody keeps.
_NOT_KEPT = frozenset({"Event", "PodMetrics", "NodeMetrics"})


@dataclass(frozen=True)
class Dependent:
    """An object that belongs to another one.

    Attributes:
        resource: Its kind.
        name: Its name.
        namespace: Its namespace. None: none.
        uid: Its uid.
    """

    resource: Resource
    name: str
    namespace: str | None
    uid: str


@dataclass
class Found:
    """What belongs to an object.

    Attributes:
        objects: The objects.
        blind: Kinds that could not be looked at, each with the reason.
        cut: Kinds of which only the first objects were looked at.
    """

    objects: list[Dependent] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    @property
    def counted(self) -> str:
        """The objects counted by kind, in words; empty where there are none."""
        counts = Counter(one.resource for one in self.objects)
        return ", ".join(self._number(count, resource) for resource, count in counts.items())

    def _number(self, count: int, resource: Resource) -> str:
        return f"{count}{'+' if resource.plural in self.cut else ''} {resource.plural if count > 1 else resource.title}"

    @property
    def notes(self) -> list[str]:
        """What the counts leave open."""
        return [f"not looked at: {', '.join(self.blind)}"] if self.blind else []


async def owned_by(cluster: Cluster, resource: Resource, obj: Mapping[str, Any]) -> Found:
    """What goes when the object goes.

    Args:
        cluster: The cluster.
        resource: The object's kind.
        obj: The object.
    """
    metadata = obj.get("metadata") or {}
    if resource.kind in _OWNS_NOTHING:
        return Found()
    kinds = await _kinds_owned_by(cluster, resource)
    listed, found = await _listed(cluster, kinds, metadata.get("namespace"))
    belongs = {str(metadata.get("uid"))}
    while True:
        new = [one for one, owners in listed if one.uid not in belongs and owners & belongs]
        if not new:
            return found
        found.objects += new
        belongs |= {one.uid for one in new}


async def contents_of(cluster: Cluster, kinds: Sequence[Resource], namespace: str | None) -> Found:
    """All objects of some kinds.

    Args:
        cluster: The cluster.
        kinds: The kinds.
        namespace: Where. None: everywhere.
    """
    listed, found = await _listed(cluster, kinds[:KINDS_MAX], namespace)
    found.objects = [one for one, _ in listed]
    return found


async def kept_kinds(cluster: Cluster, *, namespaced: bool | None = True) -> list[Resource]:
    """The kinds whose objects somebody keeps, each once.

    Args:
        cluster: The cluster.
        namespaced: Only those with, or without, namespaces. None: both.
    """
    chosen: dict[tuple[str, str], Resource] = {}
    for one in await cluster.resources():
        if one.kind in _NOT_KEPT or not {"list", "delete"} <= one.verbs or namespaced not in (None, one.namespaced):
            continue
        chosen.setdefault((one.group, one.kind), one)
    return list(chosen.values())


async def _kinds_owned_by(cluster: Cluster, resource: Resource) -> list[Resource]:
    made = _MADE_BY.get(resource.kind)
    if made is None:
        return (await kept_kinds(cluster, namespaced=True if resource.namespaced else None))[:KINDS_MAX]
    served = {one.full_name: one for one in reversed(await cluster.resources())}
    return [served[name] for name in made if name in served]


async def _listed(
    cluster: Cluster, kinds: Sequence[Resource], namespace: str | None
) -> tuple[list[tuple[Dependent, frozenset[str]]], Found]:
    """The objects of the kinds, each with the uids of its owners."""
    found = Found()
    by_kind: dict[str, list[tuple[Dependent, frozenset[str]]]] = {}

    async def look(resource: Resource) -> None:
        try:
            items, whole = await _metadata(cluster, resource, namespace)
        except KlepaasError as exc:
            found.blind.append(f"{resource.plural} ({exc.code})")
            return
        by_kind[resource.full_name] = list(_dependents(resource, items))
        if not whole:
            found.cut.append(resource.plural)

    await gather(*[partial(look, resource) for resource in kinds], at_once=AT_ONCE)
    return [one for resource in kinds for one in by_kind.get(resource.full_name, [])], found


async def _metadata(cluster: Cluster, resource: Resource, namespace: str | None) -> tuple[list[dict[str, Any]], bool]:
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await cluster.metadata(resource, namespace, limit=PAGE, cursor=cursor)
        items += page.get("items") or []
        cursor = (page.get("metadata") or {}).get("continue") or None
        if cursor is None:
            return items, True
    return items, False


def dependents_in(resource: Resource, items: Sequence[Mapping[str, Any]], owners: set[str]) -> list[Dependent]:
    """The objects of a list that others own.

    Args:
        resource: Their kind.
        items: The list.
        owners: The uids of these others.
    """
    return [one for one, found in _dependents(resource, items) if found & owners]


def _dependents(resource: Resource, items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Dependent, frozenset[str]]]:
    for item in items:
        metadata = item.get("metadata") or {}
        owners = frozenset(str(owner.get("uid")) for owner in metadata.get("ownerReferences") or ())
        name, uid = str(metadata.get("name")), str(metadata.get("uid"))
        yield Dependent(resource, name, metadata.get("namespace"), uid), owners
