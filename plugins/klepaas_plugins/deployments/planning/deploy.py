"""Deploying an image: which objects that makes, what would change, and in which steps.

A deployment is a server-side apply of a Deployment and, with a port, of a Service. Every object is dry-run before the
first is stored, so that a refusal leaves nothing half done. What klepaas set earlier and nobody names stays.
Nothing is stored here: that is `carrying`'s affair.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from klepaas.changes import ChangeSet, ObjectChange
from klepaas.errors import BadRequest, Conflict, Forbidden, NotFound
from klepaas_plugins.deployments.errors import OwnedByAnother
from klepaas_plugins.deployments.lookup import find, look_at_all
from klepaas_plugins.deployments.manifests import (
    Wanted,
    deployment,
    removed_variables,
    selects,
    service,
    unnamed_settings,
)
from klepaas_plugins.deployments.naming import can_name_a_service, service_name_error
from klepaas_plugins.deployments.objects import REVISION, Object, annotation, at, name_of
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Planned
from klepaas_plugins.deployments.planning.apply import (
    change_set,
    effect_of,
    is_needed,
    lines_of,
    notes_of,
    plan_object,
)
from klepaas_plugins.deployments.planning.image import choose_container, running_image
from klepaas_plugins.deployments.planning.resolve import find_workloads, refuse_elsewhere, the_one
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import is_ours, namespace_error

__all__ = ["Deploy"]

_CONTAINERS = ("f:spec", "f:template", "f:spec", "f:containers")


@dataclass(frozen=True)
class _Seen:
    """What a deployment is about.

    Attributes:
        wanted: What is wanted, with the name of the workload and the image that it is to run.
        live: The Deployment as it is. None: there is none.
        container: The container that is meant. None: that of a new application.
    """

    wanted: Wanted
    live: dict[str, Any] | None
    container: str | None


@dataclass(frozen=True)
class Deploy:
    """One deployment of an image.

    Attributes:
        place: Where to deploy.
        wanted: What to deploy.
        take_ownership: Whether fields may be taken from other managers.
    """

    place: Place
    wanted: Wanted
    take_ownership: bool

    async def planned(self) -> Planned:
        """The change, dry-run.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        seen, objects, notes = await self._plan()
        name, what = seen.wanted.app_name, f"Deploying {seen.wanted.image} as {self.place.text}"
        notes = [*notes, *self._unnamed(seen, objects[0])]
        changes = await change_set(self.place, what, objects, notes=notes)
        effects = tuple(
            effect_of(self.place, one, partial(self._replan, at), among=changes.objects)
            for at, one in enumerate(changes.objects)
        )
        before = {f"Deployment/{name}": seen.live} if seen.live else {}
        words = self._in_words(seen, changes)
        return Planned(words, (("Deployment", name),), before, effects, changes=changes)

    async def _replan(self, position: int) -> ObjectChange:
        return (await self._plan())[1][position]

    async def look(self) -> "_Seen":
        """What is there, and what is wanted of it.

        Raises:
            Conflict: Another kind of workload has the name, or another namespace has the application.
            BadRequest: Nothing says which workload or container is meant, or what it is to run.
            NotFound: There is no such namespace.
        """
        place, wanted = self.place, self.wanted
        found = await find_workloads(place)
        if not found:
            await refuse_elsewhere(place)
            await self._refuse_a_missing_namespace()
            if wanted.image is None:
                raise BadRequest(
                    f"There is no application {place.text}, so nothing says what it runs",
                    next_step="Give an image, or manifests",
                )
            return _Seen(wanted, None, None)
        one = the_one(place, found)
        if one.kind != "Deployment":
            raise Conflict(
                f"{place.text} is a {one.kind.lower()}; deploy_application makes Deployments",
                next_step="Choose another app_name",
            )
        container = choose_container(place.app_name, wanted.image, one.item)
        image = wanted.image or running_image(one.item, container)
        return _Seen(replace(wanted, app_name=one.name, image=image), dict(one.item), container)

    async def _plan(self) -> tuple["_Seen", list[ObjectChange], list[str]]:
        place, seen = self.place, await self.look()
        wanted, live = seen.wanted, seen.live
        if live is not None:
            await look_at_all(place.cluster, "v1/Service", place.namespace)
        front = await find(place.cluster, "services", wanted.app_name, place.namespace)
        notes = [] if self.wanted.image is not None else [f"The image stays {wanted.image}."]
        bodies = [(deployment(wanted, live, seen.container), _removed(seen))]
        if wanted.port is not None:
            pod_labels = at(live or bodies[0][0], "spec", "template", "metadata", "labels") or {}
            note = self._without_service(wanted, live) or self._service_of_others(front, pod_labels)
            if note is None:
                bodies.append((service(wanted, live), []))
            else:
                notes.append(note)
        plans: list[ObjectChange] = await together(
            *(
                partial(plan_object, place, body, take_ownership=self.take_ownership, removed=removed)
                for body, removed in bodies
            )
        )
        return seen, plans, notes

    async def _refuse_a_missing_namespace(self) -> None:
        cluster = self.place.cluster
        try:
            await cluster.get(await cluster.resource("namespaces"), self.place.namespace, None)
        except Forbidden:
            return
        except NotFound as exc:
            error = await namespace_error(cluster, self.place.namespace)
            if error is not None:
                raise NotFound(error.what, next_step=f"{error.next_step} Deploying does not create one") from exc

    def _without_service(self, wanted: Wanted, live: Object | None) -> str | None:
        """What to say where no Service can bear the name. None: one can.

        Raises:
            BadRequest: The application is new, so that no other Service can be in front of it.
        """
        if can_name_a_service(wanted.app_name):
            return None
        error = service_name_error(wanted.app_name)
        if live is None:
            raise error
        return f"{error.what}; a Service of another name stays as it is."

    def _service_of_others(self, front: Object | None, pod_labels: Mapping[str, str]) -> str | None:
        """What to say of a Service that somebody else made. None: there is none, or it may be changed.

        Raises:
            OwnedByAnother: It sends its traffic to other pods.
        """
        if front is None or is_ours(front) or self.take_ownership:
            return None
        if selects(front, pod_labels):
            return f"Service {name_of(front)} was made by somebody else and stays as it is."
        raise OwnedByAnother(
            f"Service {name_of(front)} in {self.place.namespace} belongs to somebody else and selects other pods",
            next_step="Choose another app_name, or call again with take_ownership=true to point it here",
        )

    def _unnamed(self, seen: "_Seen", change: ObjectChange) -> list[str]:
        """What an earlier deployment set and this call did not name."""
        if seen.live is None:
            return []
        named = [*self.wanted.env_vars, *(["port"] if self.wanted.port else [])]
        named += ["resources"] if self.wanted.resources else []
        found = unnamed_settings(change.body or {}, named)
        return [f"Kept from before: {'; '.join(found)}"] if found else []

    def _in_words(self, seen: "_Seen", changes: ChangeSet) -> Change:
        notes = [*changes.notes, *notes_of(changes)]
        if seen.wanted.port is not None and can_name_a_service(seen.wanted.app_name):
            address = f"{seen.wanted.app_name}.{seen.wanted.namespace}.svc:{seen.wanted.port}"
            notes = [f"Reachable in the cluster at {address}", *notes]
        before = annotation(seen.live, REVISION) if seen.live else None
        needed = any(is_needed(change) for change in changes.objects)
        return Change(
            noun="Deployment",
            done="is deployed" if needed else "already runs exactly this",
            lines=lines_of(changes),
            notes=notes,
            facts={"previous_revision": int(before)} if before and needed else {},
            stored=needed,
        )


def _removed(seen: _Seen) -> list[tuple[str, ...]]:
    """The paths of the variables that are to go, whoever set them."""
    names = set(removed_variables(seen.wanted))
    return [
        (*_CONTAINERS, _key(seen.container), "f:env", _key(variable["name"]))
        for item in at(seen.live, "spec", "template", "spec", "containers") or ()
        if item["name"] == seen.container
        for variable in item.get("env") or ()
        if variable["name"] in names
    ]


def _key(name: str | None) -> str:
    """What an item of a list is known by in FieldsV1."""
    return f"k:{json.dumps({'name': name}, separators=(',', ':'))}"
