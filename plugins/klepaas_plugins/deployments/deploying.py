"""Deploying an image: which objects that makes, what would change, and in which steps.

A deployment is a server-side apply of a Deployment and, with a port, of a Service. Every object is dry-run before the
first is stored, so that a refusal leaves nothing half done. Later settings are kept: see `manifests` and `ownership`.
Nothing is stored here: that is `carrying`'s affair.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from klepaas.errors import BadRequest, Conflict, Forbidden, NotFound
from klepaas.output import Answer
from klepaas_plugins.deployments.applying import Plan, apply, effect_of, find, plan
from klepaas_plugins.deployments.changes import kept, listed
from klepaas_plugins.deployments.errors import OwnedByAnother
from klepaas_plugins.deployments.manifests import (
    Wanted,
    deployment,
    removed_variables,
    selects,
    service,
)
from klepaas_plugins.deployments.naming import can_name_a_service, service_name_error
from klepaas_plugins.deployments.objects import REVISION, Object, annotation, at, name_of
from klepaas_plugins.deployments.ownership import intent, is_ours
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Effect, Planned
from klepaas_plugins.deployments.planning.image import choose_container, running_image
from klepaas_plugins.deployments.planning.resolve import find_workloads, refuse_elsewhere, the_one
from klepaas_plugins.deployments.revisions import merge_patch
from klepaas_plugins.deployments.together import together
from klepaas_plugins.kubernetes.client import namespace_error

__all__ = ["Deploy", "shown"]


def shown(plans: list[Plan], what: str, notes: list[str]) -> Answer:
    """The answer of a dry run.

    Args:
        plans: What each object would become.
        what: What is deployed as what: "example/app:2 as web in default".
        notes: What else to say, one line each.
    """
    touched = [planned for planned in plans if planned.before is None or planned.visible_changes]
    lines = [f"Dry run: deploying {what} would change nothing."]
    if touched:
        lines = [f"Dry run, nothing was stored. Deploying {what} would:"]
    for planned in touched:
        lines += [
            f"{'create' if planned.before is None else 'change'} {planned.title}",
            *listed(planned.visible_changes),
        ]
    return Answer("\n".join([*lines, *notes]))


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

    async def preview(self) -> Answer:
        """Say what deploying would change, and store nothing.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        seen, plans, notes = await self._plan()
        return shown(plans, f"{seen.wanted.image} as {self.place.text}", [*notes, *self._kept(seen, plans[0])])

    async def planned(self) -> Planned:
        """The change, dry-run.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        seen, plans, notes = await self._plan()
        effects = [self._effect(plans[0]), *(effect_of(self.place.cluster, other) for other in plans[1:])]
        name = seen.wanted.app_name
        before = {f"Deployment/{name}": seen.live} if seen.live else {}
        return Planned(self._in_words(seen, plans, notes), (("Deployment", name),), before, tuple(effects))

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

    async def _plan(self) -> tuple["_Seen", list[Plan], list[str]]:
        place, seen = self.place, await self.look()
        wanted, live = seen.wanted, seen.live
        front = await find(place.cluster, "services", wanted.app_name, place.namespace)
        notes = [] if self.wanted.image is not None else [f"The image stays {wanted.image}."]
        bodies: list[tuple[Mapping[str, Any], Object | None]] = [(deployment(wanted, live, seen.container), live)]
        if wanted.port is not None:
            pod_labels = at(live or bodies[0][0], "spec", "template", "metadata", "labels") or {}
            note = self._without_service(wanted, live) or self._service_of_others(front, pod_labels)
            if note is None:
                bodies.append((service(wanted, live), front))
            else:
                notes.append(note)
        plans: list[Plan] = await together(
            *(partial(plan, place.cluster, *item, take_ownership=self.take_ownership) for item in bodies)
        )
        plans[0] = self._without_removed(plans[0], seen.container)
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

    def _without_removed(self, planned: Plan, container_name: str | None) -> Plan:
        """The plan with the variables gone that the caller wants gone.

        Applying drops only what nobody else owns too, and a rollback's patch makes such a second owner.

        Raises:
            OwnedByAnother: A variable is another manager's.
        """
        after = copy.deepcopy(dict(planned.after))
        gone = removed_variables(self.wanted)
        left: list[str] = []
        for container in at(after, "spec", "template", "spec", "containers") or ():
            if container.get("name") == container_name:
                left = [item["name"] for item in container.get("env") or () if item["name"] in gone]
                container["env"] = [item for item in container.get("env") or () if item["name"] not in gone]
        if not left:
            return planned
        ours = {
            item["name"]
            for container in at(intent(planned.before or {}), "spec", "template", "spec", "containers") or ()
            for item in container.get("env") or ()
        }
        theirs = [variable for variable in left if variable not in ours]
        if theirs and not self.take_ownership:
            raise OwnedByAnother(
                f"Variables {', '.join(theirs)} of {self.place.text} were set by somebody else",
                next_step="Leave them, or call again with take_ownership=true",
            )
        return Plan(planned.body, planned.before, after, planned.force)

    def _effect(self, planned: Plan) -> Effect:
        """Applying; where that alone cannot reach the planned template, a patch first, so that one rollout does it."""
        plain = effect_of(self.place.cluster, planned)
        if planned.before is None or not removed_variables(self.wanted):
            return plain
        before, after = (at(item, "spec", "template") for item in (planned.before, planned.after))
        template = merge_patch(before, after)

        async def do() -> None:
            resource = await self.place.cluster.resource("deployments.apps")
            patch, name = {"spec": {"template": template}}, name_of(planned.after)
            await self.place.cluster.merge_patch(resource, name, self.place.namespace, patch)
            await apply(self.place.cluster, planned)

        async def done() -> Mapping[str, Any] | None:
            _, plans, _ = await self._plan()
            return None if plans[0].needed else {}

        return Effect(plain.name, do, done, plain.needed)

    def _kept(self, seen: "_Seen", planned: Plan) -> list[str]:
        if seen.live is None:
            return []
        named = [*self.wanted.env_vars, *(["port"] if self.wanted.port else [])]
        named += ["resources"] if self.wanted.resources else []
        found = kept(planned.body, named)
        return [f"Kept from before: {'; '.join(found)}"] if found else []

    def _in_words(self, seen: "_Seen", plans: list[Plan], notes: list[str]) -> Change:
        lines = [line.strip() for planned in plans if planned.before is not None for line in listed(planned.changes)]
        lines = [f"Changed: {'; '.join(lines)}"] if lines else []
        made = [planned.title for planned in plans if planned.before is None]
        lines += [f"Created: {', '.join(made)}"] if made else []
        if seen.wanted.port is not None and can_name_a_service(seen.wanted.app_name):
            address = f"{seen.wanted.app_name}.{seen.wanted.namespace}.svc:{seen.wanted.port}"
            notes = [*notes, f"Reachable in the cluster at {address}"]
        before = annotation(seen.live, REVISION) if seen.live else None
        needed = any(planned.needed for planned in plans)
        return Change(
            noun="Deployment",
            done="is deployed" if needed else "already runs exactly this",
            lines=lines,
            notes=[*notes, *self._kept(seen, plans[0])],
            facts={"previous_revision": int(before)} if before and needed else {},
            stored=needed,
        )
