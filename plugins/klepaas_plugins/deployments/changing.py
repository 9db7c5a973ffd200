"""Rolling back, scaling and restarting what already runs.

All three are writes, not destructive: what they replace can be had back by the same verb. A rollback removes fields
that the newer template added, but that template stays in the Deployment's history.

Source: Kubernetes, "Deployments", sections "Rolling Back a Deployment", "Scaling a Deployment".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from klepaas.errors import BadRequest, Conflict
from klepaas.output import Answer
from klepaas_plugins.deployments.applications import Workload, find_one
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
from klepaas_plugins.deployments.outcome import Change, settle
from klepaas_plugins.deployments.ownership import MANAGER
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.revisions import RESTARTED_AT, Revision, choose, history, merge_patch
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.together import if_allowed
from klepaas_plugins.deployments.watching import Report, Target, look

__all__ = ["Changer"]

_ATTEMPTS = 4
_NOT_RESTORED = "Not restored by this: ConfigMaps, Secrets, Services and the number of pods stay as they are."


@dataclass(frozen=True)
class Changer:
    """Changes one application that is there already.

    Attributes:
        place: Where it is.
        settings: How a rollout is judged.
        wait_s: Longest wait for the rollout, in seconds; 0: do not wait.
        dry_run: Only say what would change.
        report: Takes progress.
    """

    place: Place
    settings: RolloutSettings
    wait_s: float
    dry_run: bool
    report: Report

    async def roll_back(self, revision: int | None) -> Answer:
        """Restore the pod template of an earlier revision, whole.

        Args:
            revision: Its number. None: the newest earlier one that differs.

        Raises:
            BadRequest: It is not a Deployment, or there is no such revision.
            Conflict: There is nothing to go back to.
            RolloutFailed: The restored template does not come to life.
        """
        workload = await find_one(self.place)
        if workload.kind != "Deployment":
            raise BadRequest(f"{workload.title} keeps no revisions that klepaas can restore; only Deployments do")
        # The patch turns the template as it was seen into the wanted one: exact only if nobody changed it meanwhile.
        for attempt in range(_ATTEMPTS):
            snapshot = await look(self.place.cluster, Target.of(workload.kind, workload.item))
            target = choose(snapshot.workload, history(snapshot.workload, snapshot.replicasets), revision)
            try:
                after = await self._patch(workload, _restoring(snapshot.workload, target))
                break
            except Conflict:
                if attempt + 1 == _ATTEMPTS:
                    raise
        notes = [_NOT_RESTORED, *_other_managers(snapshot.workload)]
        return await self._finish(workload, snapshot.workload, after, _rollback_in_words(target, notes))

    async def scale(self, replicas: int) -> Answer:
        """Change the number of pods.

        Args:
            replicas: How many pods.

        Raises:
            BadRequest: A DaemonSet has as many pods as nodes.
            Conflict: An autoscaler decides the number.
            RolloutFailed: The pods do not come up.
        """
        workload = await find_one(self.place)
        if workload.kind == "DaemonSet":
            raise BadRequest(f"{workload.title} runs one pod on each node, so it cannot be scaled")
        before = desired_replicas(workload.item)
        await self._refuse_for_an_autoscaler(workload, replicas)
        words = f"{before} -> {replicas} pods"
        if before == replicas and self.dry_run:
            text = f"Dry run: {workload.title} already wants {counted(replicas, 'pod')}; scaling would change nothing."
            return Answer(text, {"dry_run": True, "changes": 0})
        if before == replicas:
            return await self._settle(
                workload, workload.item, Change("Scaling", f"already wants {counted(replicas, 'pod')}", stored=False)
            )
        resource = await self.place.cluster.resource(_plural(workload))
        await self.place.cluster.scale(resource, workload.name, self.place.namespace, replicas, dry_run=self.dry_run)
        notes = ["With 0 pods nothing answers any more."] if replicas == 0 else []
        if self.dry_run:
            text = f"Dry run, nothing was stored. Scaling would change {workload.title}: {words}"
            return Answer("\n".join([text, *notes]), {"dry_run": True, "changes": 1})
        after = await self.place.cluster.get(resource, workload.name, self.place.namespace)
        back = f"scale back with {self.place.call('scale_application', replicas=before)}"
        facts = (("previous_replicas", before),)
        change = Change("Scaling", f"is scaled ({words})", notes=notes, undo=back, facts=facts)
        return await self._settle(workload, after, change)

    async def restart(self) -> Answer:
        """Replace every pod by a new one of the same template.

        Raises:
            RolloutFailed: The new pods do not come up.
        """
        workload = await find_one(self.place)
        moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        template = {"metadata": {"annotations": {RESTARTED_AT: moment}}}
        patch = {"metadata": {"annotations": {CHANGE_CAUSE: "restart"}}, "spec": {"template": template}}
        after = await self._patch(workload, patch)
        if self.dry_run:
            return _restart_in_words(workload)
        stopped = workload.kind != "DaemonSet" and desired_replicas(workload.item) == 0
        change = Change("Restart", "is restarted", notes=["It is scaled to 0: no pod runs."] if stopped else [])
        return await self._finish(workload, workload.item, after, change)

    async def _patch(self, workload: Workload, patch: Mapping[str, Any]) -> dict[str, Any]:
        resource = await self.place.cluster.resource(_plural(workload))
        return await self.place.cluster.merge_patch(
            resource, workload.name, self.place.namespace, patch, dry_run=self.dry_run
        )

    async def _finish(self, workload: Workload, before: Object, after: Object, change: Change) -> Answer:
        if not self.dry_run:
            return await self._settle(workload, after, change)
        found = changes(before, after)
        head = f"Dry run, nothing was stored. {change.noun} of {self.place.text} would change {workload.title}:"
        return Answer("\n".join([head, *listed(found), *change.notes]), {"dry_run": True, "changes": len(found)})

    async def _settle(self, workload: Workload, after: Object, change: Change) -> Answer:
        return await settle(self.place, workload.kind, after, change, self.settings, self.wait_s, self.report)

    async def _refuse_for_an_autoscaler(self, workload: Workload, replicas: int) -> None:
        """An autoscaler would undo the change at once; at 0 pods it rests."""
        if replicas == 0:
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


def _restart_in_words(workload: Workload) -> Answer:
    """The same for the same workload, unlike the moment of a restart, which is all that differs in the object."""
    lines = [
        "Dry run, nothing was stored. A restart would replace every pod of "
        f"{workload.title}, one after another, by a new one of {', '.join(images(workload.item))}."
    ]
    if workload.kind != "DaemonSet":
        lines.append(f"It wants {counted(desired_replicas(workload.item), 'pod')}.")
    return Answer("\n".join(lines), {"dry_run": True, "changes": 1})


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


def _rollback_in_words(target: Revision, notes: list[str]) -> Change:
    return Change(
        noun="Rollback",
        done=f"is back at revision {target.number} ({target.image})",
        notes=notes,
        facts=(("restored_revision", target.number),),
    )


def _other_managers(live: Object) -> list[str]:
    """A warning where something else looks after the template and may change it again."""
    quiet = {MANAGER, "kube-controller-manager", "kubectl", "kubectl-client-side-apply", "kubectl-edit", "kubectl-set"}
    found = {
        str(entry.get("manager"))
        for entry in at(live, "metadata", "managedFields") or ()
        if at(entry, "fieldsV1", "f:spec", "f:template") and entry.get("manager") not in quiet
    }
    return [f"Also managed by {', '.join(sorted(found))}, which may change it back."] if found else []
