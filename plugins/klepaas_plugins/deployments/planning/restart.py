"""A restart: every pod replaced by a new one of the same template.

Source: kubectl, rollout restart.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from klepaas.changes import ObjectChange
from klepaas_plugins.deployments.applications import Workload
from klepaas_plugins.deployments.objects import CHANGE_CAUSE, counted, desired_replicas, images
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Planned
from klepaas_plugins.deployments.planning.apply import change_set, effect_of, notes_of, own_body, plan_object
from klepaas_plugins.deployments.planning.resolve import read_again, resolve_one
from klepaas_plugins.deployments.revisions import RESTARTED_AT

__all__ = ["Restart", "restart_moment"]


def restart_moment(at_s: float) -> str:
    """The moment that a restart is known by.

    Args:
        at_s: Unix time, in seconds.
    """
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Restart:
    """Every pod replaced by a new one of the same template.

    Attributes:
        place: Where the application is.
        moment: What the restart is known by: the same in every attempt.
        take_ownership: Whether fields of a controller are taken over.
    """

    place: Place
    moment: str
    take_ownership: bool = False

    async def planned(self) -> Planned:
        """The change.

        Raises:
            KlepaasError: It would be refused; the error says why.
        """
        workload = await resolve_one(self.place)
        change = await self._plan(workload)
        note = f"Every pod of {workload.title} is replaced, one after another, by a new one of {_images(workload)}."
        title, notes = f"Restart of {self.place.text}", (note, *_wants(workload))
        changes = await change_set(self.place, title, [change], notes=notes, basis={"moment": self.moment})
        stopped = workload.kind != "DaemonSet" and desired_replicas(workload.item) == 0
        stops = ["It is scaled to 0: no pod runs."] if stopped else []
        words = Change("Restart", "is restarted", notes=[*stops, *notes_of(changes)])
        effect = effect_of(self.place, changes.objects[0], partial(self._replan, workload), f"restart {workload.title}")
        named = (workload.kind, workload.name)
        return Planned(words, (named,), {"/".join(named): workload.item}, (effect,), changes=changes)

    async def _replan(self, workload: Workload) -> ObjectChange:
        return await self._plan(await read_again(self.place, workload))

    async def _plan(self, workload: Workload) -> ObjectChange:
        body = own_body(workload.item, workload.kind, "apps/v1")
        body["metadata"].setdefault("annotations", {})[CHANGE_CAUSE] = "restart"
        metadata = body.setdefault("spec", {}).setdefault("template", {}).setdefault("metadata", {})
        metadata.setdefault("annotations", {})[RESTARTED_AT] = self.moment
        return await plan_object(self.place, body, take_ownership=self.take_ownership)


def _images(workload: Workload) -> str:
    return ", ".join(images(workload.item))


def _wants(workload: Workload) -> tuple[str, ...]:
    return () if workload.kind == "DaemonSet" else (f"It wants {counted(desired_replicas(workload.item), 'pod')}.",)
