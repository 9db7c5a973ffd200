"""Scaling: another number of pods, as a change of the workload itself.

Source: Kubernetes, "Deployments", section "Scaling a Deployment".
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas.changes import ObjectChange
from klepaas.errors import BadRequest, Conflict
from klepaas_plugins.deployments.applications import Workload
from klepaas_plugins.deployments.objects import at, counted, desired_replicas, items, name_of
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Planned
from klepaas_plugins.deployments.planning.apply import change_set, effect_of, notes_of, own_body, plan_object
from klepaas_plugins.deployments.planning.resolve import read_again, resolve_one
from klepaas_plugins.deployments.together import if_allowed

__all__ = ["Scaling"]


@dataclass(frozen=True)
class Scaling:
    """Another number of pods.

    Attributes:
        place: Where the application is.
        replicas: How many pods.
        take_ownership: Whether a controller's number is taken over.
    """

    place: Place
    replicas: int
    take_ownership: bool = False

    async def planned(self) -> Planned:
        """The change.

        Raises:
            BadRequest: A DaemonSet has as many pods as nodes.
            Conflict: An autoscaler decides the number, or a controller.
        """
        workload = await resolve_one(self.place)
        if workload.kind == "DaemonSet":
            raise BadRequest(f"{workload.title} runs one pod on each node, so it cannot be scaled")
        await self._refuse_for_an_autoscaler(workload)
        change = await self._plan(workload)
        before, title = desired_replicas(workload.item), f"Scaling {self.place.text} to {self.replicas}"
        changes = await change_set(self.place, title, [change])
        effect = effect_of(self.place, changes.objects[0], partial(self._replan, workload), f"scale {workload.title}")
        words = Change("Scaling", f"already wants {counted(before, 'pod')}", stored=False)
        if effect.needed:
            notes = ["With 0 pods nothing answers any more."] if self.replicas == 0 else []
            notes += notes_of(changes)
            done, facts = f"is scaled ({before} -> {self.replicas} pods)", {"previous_replicas": before}
            words = Change("Scaling", done, notes=notes, facts=facts)
        named = (workload.kind, workload.name)
        return Planned(words, (named,), {"/".join(named): workload.item}, (effect,), changes=changes)

    async def _replan(self, workload: Workload) -> ObjectChange:
        return await self._plan(await read_again(self.place, workload))

    async def _plan(self, workload: Workload) -> ObjectChange:
        body = own_body(workload.item, workload.kind, "apps/v1")
        body["spec"] = {**(body.get("spec") or {}), "replicas": self.replicas}
        return await plan_object(self.place, body, take_ownership=self.take_ownership)

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
