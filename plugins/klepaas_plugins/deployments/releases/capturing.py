"""Reading everything that an application owns, as it is now. It changes nothing, and reads no Secret's values.

What may not be read is named in the snapshot (`unseen`), so that nobody takes it for absent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from klepaas.errors import Forbidden, NotFound
from klepaas_plugins.deployments.applications import KINDS as WORKLOADS
from klepaas_plugins.deployments.lookup import list_all
from klepaas_plugins.deployments.objects import Object, at, items, name_of, uid
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planning.resolve import find_workloads
from klepaas_plugins.deployments.releases.kinds import KINDS, HeldKind, order_of
from klepaas_plugins.deployments.releases.membership import (
    Scope,
    is_controlled,
    made_by_a_stateful_set,
    only_these,
    selects_pods,
    services_of,
)
from klepaas_plugins.deployments.releases.model import Key, SecretReference, Shared, Snapshot, key_of
from klepaas_plugins.deployments.releases.normal import digest, normal
from klepaas_plugins.deployments.releases.references import config_maps, ingress_secrets, secrets
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import own_fields

__all__ = ["capture", "completed", "read_object"]

_WHOLE = ("Service", "Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget")
_BY_KIND = {kind.kind: kind for kind in KINDS}


async def capture(place: Place, known: Snapshot | None = None, *, kinds: frozenset[str] | None = None) -> Snapshot:
    """Everything the application owns now, normalised; without objects where there is no such application.

    Args:
        place: The application.
        known: What it owned at another moment: what still is there of that counts too, and so does what belongs to its
            workloads, should they be gone. None: nothing is known.
        kinds: The kinds that are looked at besides the workloads of its name; the others are unseen. None: all.

    Raises:
        Forbidden: Its workloads may not be read.
        KlepaasError: The cluster does not answer.
    """
    roots = await _roots(place)
    there = {key_of(item) for item in roots}
    gone = [item for item in known.workloads if key_of(item) not in there] if known is not None else []
    reading = _Reading(place, Scope.of(place.app_name, [*roots, *gone]), roots, gone)
    await reading.look(kinds)
    own = reading.own()
    wanted = _secrets_wanted(own)
    references = await together(*(partial(_secret, place, name, optional) for name, optional in wanted.items()))
    found = [normal(item, item["kind"], item["apiVersion"]) for item in own]
    seen = Snapshot(
        place.app_name,
        place.namespace,
        tuple(sorted(found, key=lambda item: (order_of(item["kind"]), name_of(item)))),
        tuple(sorted(references, key=lambda item: item.name)),
        tuple(sorted(reading.shared.values(), key=lambda item: (item.kind, item.name))),
        tuple(sorted(reading.unseen)),
        _own(own),
        {key_of(item): item for item in own},
    )
    return seen if known is None else await completed(place, seen, known)


async def completed(place: Place, live: Snapshot, other: Snapshot) -> Snapshot:
    """What is there now, with what another moment held and the application no longer refers to, where it still exists.

    Args:
        place: The application.
        live: What it owns now.
        other: The other moment.

    Raises:
        Forbidden: An object of the other moment may not be read.
    """
    missing = [key for key in other.by_key if key not in live.by_key]
    read = await together(*(partial(read_object, place, key) for key in missing))
    there = {key_of(item): item for item in read if item is not None}
    more = [normal(item, item["kind"], item["apiVersion"]) for item in there.values()]
    objects = sorted((*live.objects, *more), key=lambda item: (order_of(item["kind"]), name_of(item)))
    own = {**live.own, **_own(there.values())}
    return replace(live, objects=tuple(objects), own=own, live={**live.live, **there})


def _own(objects: Iterable[Object]) -> dict[Key, dict[str, Any]]:
    """What klepaas owns of each object of which it owns something."""
    found = {key_of(item): own_fields(item) for item in objects}
    return {key: fields for key, fields in found.items() if fields}


async def read_object(place: Place, key: Key) -> dict[str, Any] | None:
    """One object as the API has it now, with its kind. None: there is none."""
    held = _BY_KIND[key[0]]
    try:
        resource = await place.cluster.resource(held.name)
        item = await place.cluster.get(resource, key[1], place.namespace)
    except NotFound:
        return None
    return _as_held(key[0], item)


async def _roots(place: Place) -> list[dict[str, Any]]:
    """The workloads that the application's name means."""
    return [_as_held(item.kind, item.item) for item in await find_workloads(place)]


def _as_held(kind: str, item: Object) -> dict[str, Any]:
    """An object with its kind, which items of lists do not say."""
    held = _BY_KIND[kind]
    return {**item, "kind": held.kind, "apiVersion": held.api_version}


async def _list(place: Place, held: HeldKind, selector: str | None) -> list[dict[str, Any]]:
    """All objects of a kind in the namespace that a selector finds."""
    found = await list_all(place.cluster, held.name, place.namespace, selector)
    return [_as_held(held.kind, item) for item in found]


def _secrets_wanted(own: Iterable[Object]) -> dict[str, bool]:
    wanted: dict[str, bool] = {}
    for item in own:
        found = ingress_secrets(item) if item["kind"] == "Ingress" else secrets(item)
        for name, optional in found.items():
            wanted[name] = wanted.get(name, True) and optional
    return wanted


async def _secret(place: Place, name: str, optional: bool) -> SecretReference:
    """A Secret's metadata; the request asks for no more."""
    try:
        resource = await place.cluster.resource("v1/Secret")
        page = await place.cluster.metadata(resource, place.namespace, field_selector=f"metadata.name={name}")
    except Forbidden:
        return SecretReference(name, optional=optional, readable=False)
    for item in items(page):
        return SecretReference(name, uid(item), str(at(item, "metadata", "resourceVersion") or ""), optional)
    return SecretReference(name, optional=optional)


@dataclass
class _Reading:
    """One look at a namespace on behalf of an application."""

    place: Place
    scope: Scope
    roots: list[dict[str, Any]]
    gone: list[dict[str, Any]]
    shared: dict[Key, Shared] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    found: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    everyone: list[dict[str, Any]] | None = None

    async def look(self, kinds: frozenset[str] | None) -> None:
        """Read what may be the application's.

        Args:
            kinds: Of these kinds. None: of all.
        """
        selector = self.scope.selector if self.roots or self.gone else f"app.kubernetes.io/instance={self.scope.mark}"
        wanted = [held for held in KINDS if kinds is None or held.kind in kinds]
        self.unseen |= {held.kind for held in KINDS} - {held.kind for held in wanted}
        asked = [held for held in wanted if held.kind in _WHOLE or selector is not None]
        lists = await together(
            *(partial(self._seen, held, None if held.kind in _WHOLE else selector) for held in asked)
        )
        self.found = {held.kind: found for held, found in zip(asked, lists, strict=True)}
        await self._read_named_config_maps()
        if self._in_doubt():
            self.everyone = await self._all_workloads()

    async def _seen(self, held: HeldKind, selector: str | None) -> list[dict[str, Any]]:
        try:
            return await _list(self.place, held, selector)
        except (Forbidden, NotFound):
            self.unseen.add(held.kind)
            return []

    async def _read_named_config_maps(self) -> None:
        known = {name_of(item) for item in self.found.get("ConfigMap", ())}
        named = {name for item in self.workloads() for name in config_maps(item)} - known
        read = await together(*(partial(self._read_config_map, name) for name in sorted(named)))
        self.found.setdefault("ConfigMap", []).extend(item for item in read if item is not None)

    async def _read_config_map(self, name: str) -> dict[str, Any] | None:
        try:
            return await read_object(self.place, ("ConfigMap", name))
        except Forbidden:
            self.unseen.add("ConfigMap")
            return None

    async def _all_workloads(self) -> list[dict[str, Any]] | None:
        try:
            there = await together(*(partial(_list, self.place, _BY_KIND[kind], None) for kind in WORKLOADS))
        except Forbidden:
            return None
        return [item for some in there for item in some]

    def workloads(self) -> list[dict[str, Any]]:
        """The application's workloads: those of its name, and those with its labels."""
        more = [item for kind in WORKLOADS for item in self.found.get(kind, ()) if self.scope.owns(item)]
        roots = {uid(item) for item in self.roots}
        return [*self.roots, *(item for item in more if uid(item) not in roots and not is_controlled(item))]

    def _served(self) -> list[dict[str, Any]]:
        """Its workloads, and those that are gone."""
        return [*self.workloads(), *self.gone]

    def _in_doubt(self) -> bool:
        """Whether there is something without anybody's labels that may serve others too."""
        pairs = (
            (item, own)
            for kind in ("ConfigMap", *_WHOLE)
            for item in self.found.get(kind, ())
            for own in self._served()
        )
        return any(self._unlabelled(item) and _touches(item, own) for item, own in pairs)

    def _unlabelled(self, item: Object) -> bool:
        return not self.scope.owns(item) and self.scope.other_owner(item) is None

    def own(self) -> list[dict[str, Any]]:
        """The objects that are the application's own; the others that it uses are noted."""
        own, workloads = self.workloads(), self._served()
        for held in KINDS:
            if held.kind in WORKLOADS or held.kind == "Ingress":
                continue
            own += [item for item in self.found.get(held.kind, ()) if self._is_own(item, workloads)]
        services = {name_of(item) for item in own if item["kind"] == "Service"}
        own += [item for item in self.found.get("Ingress", ()) if self._is_own_ingress(item, services)]
        return own

    def _is_own(self, item: dict[str, Any], workloads: list[dict[str, Any]]) -> bool:
        if is_controlled(item):
            return False
        if item["kind"] == "HorizontalPodAutoscaler":
            return any(_touches(item, own) for own in workloads)
        if item["kind"] == "PersistentVolumeClaim" and made_by_a_stateful_set(item, workloads):
            return False
        if self.scope.owns(item):
            return True
        if not any(_touches(item, own) for own in workloads):
            return False
        why = self._why_shared(item, workloads)
        if why is not None:
            self._note(item, why)
        return why is None

    def _why_shared(self, item: dict[str, Any], workloads: list[dict[str, Any]]) -> str | None:
        other = self.scope.other_owner(item)
        if other is not None:
            return f"it is labelled as {other}'s"
        if self.everyone is None:
            return "whether others use it cannot be seen"
        return None if only_these(item, workloads, self.everyone) else "other workloads use it too"

    def _is_own_ingress(self, item: dict[str, Any], services: set[str]) -> bool:
        if is_controlled(item) or not (services_of(item) & services or self.scope.owns(item)):
            return False
        if self.scope.owns(item):
            return True
        other = self.scope.other_owner(item)
        if other is None and services_of(item) <= services:
            return True
        self._note(item, f"it is labelled as {other}'s" if other else "it serves other applications too")
        return False

    def _note(self, item: dict[str, Any], why: str) -> None:
        stripped: Mapping[str, Any] = normal(item, item["kind"], item["apiVersion"])
        self.shared[key_of(item)] = Shared(item["kind"], name_of(item), digest(stripped)[:16], why)


def _touches(item: Object, workload: Object) -> bool:
    """Whether an object without labels has to do with a workload."""
    kind = item.get("kind")
    if kind == "ConfigMap":
        return name_of(item) in config_maps(workload)
    if kind == "HorizontalPodAutoscaler":
        aim = at(item, "spec", "scaleTargetRef") or {}
        return (aim.get("kind"), aim.get("name")) == (workload.get("kind"), name_of(workload))
    return kind in ("Service", "PodDisruptionBudget") and selects_pods(item, workload)
