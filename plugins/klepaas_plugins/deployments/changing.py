"""Changing an application that is there: another number of pods, new pods, an earlier pod template.

Each change says what it would do and in which steps; that is carried out by `carrying`. A StatefulSet or DaemonSet can
be restarted; rolling back to a revision restores a Deployment's pod template, no more: releases restore the rest.

Sources: Kubernetes, "Deployments", sections "Rolling Back a Deployment" and "Scaling a Deployment"; kubectl, rollout
restart.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas.errors import BadRequest, Conflict
from klepaas.output import Answer
from klepaas_plugins.deployments.applications import Workload
from klepaas_plugins.deployments.changes import changes, listed
from klepaas_plugins.deployments.objects import (
    CHANGE_CAUSE,
    Object,
    at,
    one_line,
)
from klepaas_plugins.deployments.ownership import MANAGER
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Effect, Planned, WorkloadName
from klepaas_plugins.deployments.planning.resolve import resolve_one
from klepaas_plugins.deployments.revisions import Revision, choose, history, merge_patch
from klepaas_plugins.deployments.watching import Target, look

__all__ = ["ToRevision"]

_ATTEMPTS = 4
_NOT_RESTORED = "Not restored by this: ConfigMaps, Secrets, Services and the number of pods stay as they are."

Found = Mapping[str, Any] | None


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
