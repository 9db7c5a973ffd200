"""Changing an application that is there: another number of pods, new pods, an earlier pod template.

Each change says what it would do and in which steps; that is carried out by `carrying`. A StatefulSet or DaemonSet can
be restarted; rolling back to a revision restores a Deployment's pod template, no more: releases restore the rest.

Sources: Kubernetes, "Deployments", sections "Rolling Back a Deployment" and "Scaling a Deployment"; kubectl, rollout
restart.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from klepaas.errors import BadRequest, Conflict
from klepaas.output import Answer
from klepaas_plugins.deployments.applications import Workload
from klepaas_plugins.deployments.changes import changes, listed
from klepaas_plugins.deployments.objects import (
    CHANGE_CAUSE,
    Object,
    at,
    counted,
    desired_replicas,
    images,
    items,
    name_of,
    one_line,
)
from klepaas_plugins.deployments.ownership import MANAGER
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Effect, Planned, WorkloadName
from klepaas_plugins.deployments.planning.resolve import resolve_one
from klepaas_plugins.deployments.revisions import RESTARTED_AT, Revision, choose, history, merge_patch
from klepaas_plugins.deployments.together import if_allowed
from klepaas_plugins.deployments.watching import Target, look

__all__ = ["Restart", "Scaling", "ToRevision"]

_ATTEMPTS = 4
_NOT_RESTORED = "Not restored by this: ConfigMaps, Secrets, Services and the number of pods stay as they are."

Found = Mapping[str, Any] | None


@dataclass(frozen=True)
class Scaling:
    """Another number of pods.

    Attributes:
        place: Where the application is.
        replicas: How many pods.
    """

    place: Place
    replicas: int

    async def preview(self) -> Answer:
        """What it would change.

        Raises:
            BadRequest: A DaemonSet has as many pods as nodes.
            Conflict: An autoscaler decides the number.
        """
        workload, before = await self._looked_at()
        if before == self.replicas:
            text = f"Dry run: {workload.title} already wants {counted(before, 'pod')}; scaling would change nothing."
            return Answer(text)
        await self._scale(workload, dry_run=True)
        text = f"Dry run, nothing was stored. Scaling would change {workload.title}: {self._words(before)}"
        return Answer("\n".join([text, *self._notes()]))

    async def planned(self) -> Planned:
        """The change.

        Raises:
            BadRequest: A DaemonSet has as many pods as nodes.
            Conflict: An autoscaler decides the number.
        """
        workload, before = await self._looked_at()
        needed = before != self.replicas
        if needed:
            await self._scale(workload, dry_run=True)

        async def do() -> None:
            await self._scale(workload, dry_run=False)

        async def done() -> Found:
            return {} if desired_replicas(await _read(self.place, workload)) == self.replicas else None

        change = Change("Scaling", f"already wants {counted(before, 'pod')}", stored=False)
        if needed:
            words, facts = f"is scaled ({self._words(before)})", {"previous_replicas": before}
            change = Change("Scaling", words, notes=self._notes(), facts=facts)
        effect = Effect(f"scale {workload.title}", do, done, needed)
        return Planned(change, (_named(workload),), _before(workload, workload.item), (effect,))

    def _words(self, before: int) -> str:
        return f"{before} -> {self.replicas} pods"

    def _notes(self) -> list[str]:
        return ["With 0 pods nothing answers any more."] if self.replicas == 0 else []

    async def _looked_at(self) -> tuple[Workload, int]:
        workload = await resolve_one(self.place)
        if workload.kind == "DaemonSet":
            raise BadRequest(f"{workload.title} runs one pod on each node, so it cannot be scaled")
        await self._refuse_for_an_autoscaler(workload)
        return workload, desired_replicas(workload.item)

    async def _scale(self, workload: Workload, *, dry_run: bool) -> None:
        resource = await self.place.cluster.resource(_plural(workload))
        place = self.place
        await place.cluster.scale(resource, workload.name, place.namespace, self.replicas, dry_run=dry_run)

    async def _refuse_for_an_autoscaler(self, workload: Workload) -> None:
        """An autoscaler would undo the change at once; at 0 pods it rests."""
        if self.replicas == 0:
            return
        nothing: dict[str, Any] = {}

        async def listed_autoscalers() -> dict[str, Any]:
            resource = await self.place.cluster.resource("horizontalpodautoscalers.autoscaling")
            return await self.place.cluster.list(resource, self.place.namespace)

        for item in items(await if_allowed(listed_autoscalers, nothing)):
            aim = at(item, "spec", "scaleTargetRef") or {}
            if (aim.get("kind"), aim.get("name")) == (workload.kind, workload.name):
                low, high = at(item, "spec", "minReplicas") or 1, at(item, "spec", "maxReplicas")
                raise Conflict(
                    f"The autoscaler {name_of(item)} decides how many pods {self.place.text} has ({low} to {high})",
                    next_step="Change its minReplicas and maxReplicas instead, or delete it first",
                )


@dataclass(frozen=True)
class Restart:
    """Every pod replaced by a new one of the same template.

    Attributes:
        place: Where the application is.
        at_s: The moment that the restart is known by, Unix time: the same in every attempt.
    """

    place: Place
    at_s: float

    async def preview(self) -> Answer:
        """What it would change; the same for the same workload, unlike the moment, which is all that differs."""
        workload = await resolve_one(self.place)
        await self._patch(workload, dry_run=True)
        lines = [
            "Dry run, nothing was stored. A restart would replace every pod of "
            f"{workload.title}, one after another, by a new one of {', '.join(images(workload.item))}."
        ]
        if workload.kind != "DaemonSet":
            lines.append(f"It wants {counted(desired_replicas(workload.item), 'pod')}.")
        return Answer("\n".join(lines))

    async def planned(self) -> Planned:
        """The change."""
        workload = await resolve_one(self.place)
        await self._patch(workload, dry_run=True)

        async def do() -> None:
            await self._patch(workload, dry_run=False)

        async def done() -> Found:
            template = at(await _read(self.place, workload), "spec", "template", "metadata", "annotations") or {}
            return {} if template.get(RESTARTED_AT) == self._moment else None

        stopped = workload.kind != "DaemonSet" and desired_replicas(workload.item) == 0
        change = Change("Restart", "is restarted", notes=["It is scaled to 0: no pod runs."] if stopped else [])
        effect = Effect(f"restart {workload.title}", do, done)
        return Planned(change, (_named(workload),), _before(workload, workload.item), (effect,))

    @property
    def _moment(self) -> str:
        moment = datetime.fromtimestamp(self.at_s, UTC)
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

    async def _patch(self, workload: Workload, *, dry_run: bool) -> None:
        template = {"metadata": {"annotations": {RESTARTED_AT: self._moment}}}
        patch = {"metadata": {"annotations": {CHANGE_CAUSE: "restart"}}, "spec": {"template": template}}
        resource = await self.place.cluster.resource(_plural(workload))
        await self.place.cluster.merge_patch(resource, workload.name, self.place.namespace, patch, dry_run=dry_run)


@dataclass(frozen=True)
class ToRevision:
    """A Deployment's pod template of an earlier revision, whole.

    Attributes:
        place: Where the application is.
        revision: The revision's number. None: the newest earlier one that differs.
        replicaset: The ReplicaSet that keeps it, where an earlier attempt has chosen: a revision that is restored gets
            another number. None: it is to be chosen.
    """

    place: Place
    revision: int | None
    replicaset: str | None = None

    async def preview(self) -> Answer:
        """What it would change.

        Raises:
            BadRequest: It is not a Deployment, or there is no such revision.
            Conflict: There is nothing to go back to.
        """
        workload = await self._workload()
        before, _, after = await self._restored(workload, self.replicaset, dry_run=True)
        found = changes(before, after)
        head = f"Dry run, nothing was stored. Rollback of {self.place.text} would change {workload.title}:"
        return Answer("\n".join([head, *listed(found), *_notes(before)]))

    async def planned(self) -> Planned:
        """The change.

        Raises:
            BadRequest: It is not a Deployment, or there is no such revision.
            Conflict: There is nothing to go back to.
        """
        workload = await self._workload()
        before, target, _ = await self._restored(workload, self.replicaset, dry_run=True)

        async def do() -> None:
            await self._restored(workload, target.replicaset, dry_run=False)

        async def done() -> Found:
            live = await _read(self.place, workload)
            return {} if merge_patch(at(live, "spec", "template"), target.template) == {} else None

        change = _rollback_in_words(target, _notes(before))
        effect = Effect(f"restore {target.replicaset}", do, done)
        pins = {"replicaset": target.replicaset}
        return Planned(change, (_named(workload),), _before(workload, before), (effect,), pins=pins)

    async def _workload(self) -> Workload:
        workload = await resolve_one(self.place)
        if workload.kind != "Deployment":
            raise BadRequest(f"{workload.title} keeps no revisions that klepaas can restore; only Deployments do")
        return workload

    async def _restored(
        self, workload: Workload, replicaset: str | None, *, dry_run: bool
    ) -> tuple[Object, Revision, Object]:
        """The workload before, the revision, and the workload with its template."""

        async def once() -> tuple[Object, Revision, Object]:
            seen = await look(self.place.cluster, Target.of(workload.kind, workload.item))
            revisions = history(seen.workload, seen.replicasets)
            chosen = next((one for one in revisions if one.replicaset == replicaset), None)
            target = chosen or choose(seen.workload, revisions, self.revision)
            resource = await self.place.cluster.resource(_plural(workload))
            patch = _restoring(seen.workload, target)
            name, namespace = workload.name, self.place.namespace
            after = await self.place.cluster.merge_patch(resource, name, namespace, patch, dry_run=dry_run)
            return seen.workload, target, after

        return await _unless_changed(once)


async def _unless_changed(
    once: Callable[[], Awaitable[tuple[Object, Revision, Object]]],
) -> tuple[Object, Revision, Object]:
    """The patch turns the template as it was seen into the wanted one: exact only if nobody changed it meanwhile."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return await once()
        except Conflict:
            continue
    return await once()


async def _read(place: Place, workload: Workload) -> Object:
    return await place.cluster.get(await place.cluster.resource(_plural(workload)), workload.name, place.namespace)


def _named(workload: Workload) -> WorkloadName:
    return workload.kind, workload.name


def _before(workload: Workload, item: Object) -> dict[str, Object]:
    return {f"{workload.kind}/{workload.name}": item}


def _plural(workload: Workload) -> str:
    return f"{workload.kind.lower()}s.apps"


def _restoring(live: Object, target: Revision) -> dict[str, Any]:
    """The patch that makes the template exactly the revision's, refused when the object was changed meanwhile."""
    original = (target.change_cause or "").rpartition(": ")[2]
    cause = f"rollback to revision {target.number}" + (f": {original}" if original else "")
    return {
        "metadata": {
            "resourceVersion": at(live, "metadata", "resourceVersion"),
            "annotations": {CHANGE_CAUSE: one_line(cause, 200)},
        },
        "spec": {"template": merge_patch(at(live, "spec", "template"), target.template)},
    }


def _rollback_in_words(target: Revision, notes: Sequence[str]) -> Change:
    return Change(
        noun="Rollback",
        done=f"is back at revision {target.number} ({target.image})",
        notes=notes,
        facts={"restored_revision": target.number},
    )


def _notes(live: Object) -> Sequence[str]:
    return [_NOT_RESTORED, *_other_managers(live)]


def _other_managers(live: Object) -> list[str]:
    """A warning where something else looks after the template and may change it again."""
    quiet = {MANAGER, "kube-controller-manager", "kubectl", "kubectl-client-side-apply", "kubectl-edit", "kubectl-set"}
    found = {
        str(entry.get("manager"))
        for entry in at(live, "metadata", "managedFields") or ()
        if at(entry, "fieldsV1", "f:spec", "f:template") and entry.get("manager") not in quiet
    }
    return [f"Also managed by {', '.join(sorted(found))}, which may change it back."] if found else []
