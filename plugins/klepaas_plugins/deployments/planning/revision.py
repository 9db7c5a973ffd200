"""Rolling back to a revision: a Deployment's pod template as one of its ReplicaSets keeps it, and no more.

Source: Kubernetes, "Deployments", section "Rolling Back a Deployment".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.changes import ObjectChange
from klepaas.errors import BadRequest
from klepaas_plugins.deployments.applications import Workload
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, Object, one_line
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Planned
from klepaas_plugins.deployments.planning.apply import change_set, effect_of, notes_of
from klepaas_plugins.deployments.planning.resolve import resolve_one
from klepaas_plugins.deployments.planning.restore import Former, Restoration, plan_restoration
from klepaas_plugins.deployments.releases.normal import normal
from klepaas_plugins.deployments.revisions import Revision, choose, history
from klepaas_plugins.deployments.watching import Target, look

__all__ = ["ToRevision"]

_NOT_RESTORED = "Not restored by this: ConfigMaps, Secrets, Services and the number of pods stay as they are."


@dataclass(frozen=True)
class ToRevision:
    """A Deployment's pod template of an earlier revision.

    Attributes:
        place: Where the application is.
        revision: The revision's number. None: the newest earlier one that differs.
        replicaset: The ReplicaSet that keeps it, where an earlier attempt has chosen: a revision that is restored gets
            another number. None: it is to be chosen.
        take_ownership: Whether fields that controllers own are taken over; else they are left as they are, and named.
    """

    place: Place
    revision: int | None
    replicaset: str | None = None
    take_ownership: bool = False

    async def planned(self) -> Planned:
        """The change.

        Raises:
            BadRequest: It is not a Deployment, or there is no such revision.
            Conflict: There is nothing to go back to.
        """
        workload = await self._workload()
        live, target, way = await self._restoration(workload, self.replicaset)
        title = f"Rollback of {self.place.text} to revision {target.number}"
        changes = await change_set(self.place, title, [way.change], notes=(_NOT_RESTORED, *_left(way)))
        replan = partial(self._replan, workload, target.replicaset)
        effect = effect_of(self.place, changes.objects[0], replan, f"restore {target.replicaset}")
        done, facts = f"is back at revision {target.number} ({target.image})", {"restored_revision": target.number}
        words = Change("Rollback", done, notes=[*changes.notes, *notes_of(changes)], facts=facts)
        named, pins = (workload.kind, workload.name), {"replicaset": target.replicaset}
        return Planned(words, (named,), {"/".join(named): live}, (effect,), pins=pins, changes=changes)

    async def _workload(self) -> Workload:
        workload = await resolve_one(self.place)
        if workload.kind != "Deployment":
            raise BadRequest(f"{workload.title} keeps no revisions that klepaas can restore; only Deployments do")
        return workload

    async def _replan(self, workload: Workload, replicaset: str) -> ObjectChange:
        return (await self._restoration(workload, replicaset))[2].change

    async def _restoration(self, workload: Workload, replicaset: str | None) -> tuple[Object, Revision, Restoration]:
        """The workload, the revision, and how the one gets the other's template."""
        seen = await look(self.place.cluster, Target.of(workload.kind, workload.item))
        revisions = history(seen.workload, seen.replicasets)
        chosen = next((one for one in revisions if one.replicaset == replicaset), None)
        target = chosen or choose(seen.workload, revisions, self.revision)
        live = {**seen.workload, "kind": workload.kind, "apiVersion": "apps/v1"}
        former = Former(
            place=self.place,
            live=live,
            target=_with_template(live, target),
            take_ownership=True if self.take_ownership else None,
        )
        return seen.workload, target, await plan_restoration(former)


def _with_template(live: Object, target: Revision) -> dict[str, Any]:
    """The workload with the template of a revision."""
    wanted = normal(live, str(live["kind"]), str(live["apiVersion"]))
    original = (target.change_cause or "").rpartition(": ")[2]
    cause = f"rollback to revision {target.number}" + (f": {original}" if original else "")
    wanted["metadata"]["annotations"] = {
        **(wanted["metadata"].get("annotations") or {}),
        CHANGE_CAUSE: one_line(cause, 200),
    }
    wanted["spec"] = {**wanted["spec"], "template": target.template}
    return wanted


def _left(way: Restoration) -> Sequence[str]:
    return [f"{line}." for line in way.left]
