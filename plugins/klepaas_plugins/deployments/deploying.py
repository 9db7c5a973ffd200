"""Deploying an image: look, plan, apply, wait.

A deployment is a server-side apply of a Deployment and, with a port, of a Service. Every object is dry-run before the
first is stored, so that a refusal leaves nothing half done. Later settings are kept: see `manifests` and `ownership`.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.errors import Conflict, Forbidden, KlepaasError, NotFound
from klepaas.output import Answer
from klepaas_plugins.deployments.applying import Plan, apply, plan
from klepaas_plugins.deployments.changes import kept, listed
from klepaas_plugins.deployments.errors import OwnedByAnother
from klepaas_plugins.deployments.manifests import (
    Wanted,
    container_name,
    deployment,
    removed_variables,
    selects,
    service,
)
from klepaas_plugins.deployments.objects import REVISION, Object, annotation, at, items, name_of
from klepaas_plugins.deployments.outcome import Change, settle
from klepaas_plugins.deployments.ownership import intent, is_ours
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.revisions import merge_patch
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.together import together
from klepaas_plugins.deployments.watching import Report

__all__ = ["Deploy", "find"]


async def find(place: Place, kind: str, name: str) -> dict[str, Any] | None:
    """The object of this kind and name in the place's namespace. None: there is none."""
    try:
        return await place.cluster.get(await place.cluster.resource(kind), name, place.namespace)
    except NotFound:
        return None


@dataclass(frozen=True)
class Deploy:
    """One call of deploy_application.

    Attributes:
        place: Where to deploy.
        wanted: What to deploy.
        take_ownership: Whether fields may be taken from other managers.
        settings: How a rollout is judged.
    """

    place: Place
    wanted: Wanted
    take_ownership: bool
    settings: RolloutSettings

    async def preview(self) -> Answer:
        """Say what deploying would change, and store nothing.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        live, plans, notes = await self._plan()
        touched = [planned for planned in plans if planned.before is None or planned.changes]
        lines = [f"Dry run: deploying {self.wanted.image} as {self.place.text} would change nothing."]
        if touched:
            lines = [f"Dry run, nothing was stored. Deploying {self.wanted.image} as {self.place.text} would:"]
        for planned in touched:
            lines += [f"{'create' if planned.before is None else 'change'} {planned.title}", *listed(planned.changes)]
        facts = {"dry_run": True, "changes": sum(len(listed(planned.changes)) for planned in touched)}
        return Answer("\n".join([*lines, *notes, *self._kept(live, plans[0])]), facts)

    async def run(self, wait_s: float, report: Report) -> Answer:
        """Deploy and wait.

        Raises:
            RolloutFailed: It was applied and does not come to life.
            KlepaasError: It was refused; nothing was stored, or the error says what was.
        """
        live, plans, notes = await self._plan()
        touched = [planned for planned in plans if planned.before is None or planned.changes]
        stored = await self._store(touched) if touched else {}
        workload = stored.get("Deployment") or live or plans[0].after
        return await settle(
            self.place, "Deployment", workload, self._in_words(live, plans, notes), self.settings, wait_s, report
        )

    async def _plan(self) -> tuple[dict[str, Any] | None, list[Plan], list[str]]:
        place, wanted = self.place, self.wanted
        live, front = await together(
            partial(find, place, "deployments.apps", wanted.app_name), partial(find, place, "services", wanted.app_name)
        )
        if live is None:
            await self._refuse_a_wrong_place()
        notes: list[str] = []
        bodies: list[tuple[Mapping[str, Any], Object | None]] = [(deployment(wanted, live), live)]
        if wanted.port is not None:
            pod_labels = at(live or bodies[0][0], "spec", "template", "metadata", "labels") or {}
            note = self._service_of_others(front, pod_labels)
            if note is None:
                bodies.append((service(wanted, live), front))
            else:
                notes.append(note)
        plans: list[Plan] = await together(
            *(partial(plan, place.cluster, *item, take_ownership=self.take_ownership) for item in bodies)
        )
        plans[0] = self._without_removed(plans[0])
        return live, plans, notes

    async def _refuse_a_wrong_place(self) -> None:
        """Before a first deployment: the namespace exists, and no other kind of workload has the name.

        Raises:
            NotFound: There is no such namespace.
            Conflict: The name is another workload's.
        """
        place, kinds = self.place, ("statefulsets.apps", "daemonsets.apps")
        *others, _ = await together(
            *(partial(find, place, kind, place.app_name) for kind in kinds), self._refuse_a_missing_namespace
        )
        for kind, other in zip(kinds, others, strict=True):
            if other is not None:
                raise Conflict(
                    f"{place.text} is a {kind.partition('s.')[0]}; deploy_application makes Deployments",
                    next_step="Choose another app_name",
                )

    async def _refuse_a_missing_namespace(self) -> None:
        place = self.place
        namespaces = await place.cluster.resource("namespaces")
        try:
            await place.cluster.get(namespaces, place.namespace, None)
        except Forbidden:
            return
        except NotFound as exc:
            there = [name_of(item) for item in items(await place.cluster.list(namespaces, None, limit=20))]
            raise NotFound(
                f"There is no namespace {place.namespace}, and deploying does not create one",
                next_step=f"Have it created first, or use one of: {', '.join(there)}",
            ) from exc

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

    def _without_removed(self, planned: Plan) -> Plan:
        """The plan with the variables gone that the caller wants gone.

        Applying drops only what nobody else owns too, and a rollback's patch makes such a second owner.

        Raises:
            OwnedByAnother: A variable is another manager's.
        """
        after = copy.deepcopy(dict(planned.after))
        name, gone = container_name(self.wanted.app_name, planned.before), removed_variables(self.wanted)
        left: list[str] = []
        for container in at(after, "spec", "template", "spec", "containers") or ():
            if container.get("name") == name:
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

    async def _store(self, plans: list[Plan]) -> dict[str, dict[str, Any]]:
        stored: dict[str, dict[str, Any]] = {}
        for planned in plans:
            try:
                stored[str(planned.body["kind"])] = await self._store_one(planned)
            except KlepaasError as exc:
                if stored:
                    exc.details = f"Applied before that: {', '.join(stored)}"
                raise
        return stored

    async def _store_one(self, planned: Plan) -> dict[str, Any]:
        """Apply; where applying alone cannot reach the planned template, patch first, so that one rollout does it."""
        if planned.body["kind"] == "Deployment" and planned.before is not None and removed_variables(self.wanted):
            before, after = (at(item, "spec", "template") for item in (planned.before, planned.after))
            spec = {"template": merge_patch(before, after)}
            resource = await self.place.cluster.resource("deployments.apps")
            await self.place.cluster.merge_patch(resource, self.place.app_name, self.place.namespace, {"spec": spec})
        return await apply(self.place.cluster, planned)

    def _kept(self, live: Object | None, planned: Plan) -> list[str]:
        if live is None:
            return []
        named = [*self.wanted.env_vars, *(["port"] if self.wanted.port else [])]
        named += ["resources"] if self.wanted.resources else []
        found = kept(planned.body, named)
        return [f"Kept from before: {'; '.join(found)}"] if found else []

    def _in_words(self, live: Object | None, plans: list[Plan], notes: list[str]) -> Change:
        lines = [line.strip() for planned in plans if planned.before is not None for line in listed(planned.changes)]
        lines = [f"Changed: {'; '.join(lines)}"] if lines else []
        made = [planned.title for planned in plans if planned.before is None]
        lines += [f"Created: {', '.join(made)}"] if made else []
        if self.wanted.port is not None:
            address = f"{self.wanted.app_name}.{self.wanted.namespace}.svc:{self.wanted.port}"
            notes = [*notes, f"Reachable in the cluster at {address}"]
        before = annotation(live, REVISION) if live else None
        return Change(
            noun="Deployment",
            done="is deployed" if lines else "already runs exactly this",
            lines=lines,
            notes=[*notes, *self._kept(live, plans[0])],
            facts=(("previous_revision", int(before)),) if before and lines else (),
            stored=bool(lines),
        )
