"""What a change has left whose request cannot be read any more, and whether that is what was wanted.

What was wanted is known from what is not encrypted: the release that the operation recorded in the cluster, the release
that a rollback goes back to, a number of pods, or steps that are all done and that nobody has written after.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from klepaas.errors import BadRequest, Forbidden
from klepaas.operations import StepState
from klepaas_plugins.deployments.lookup import find
from klepaas_plugins.deployments.objects import desired_replicas
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import WorkloadName
from klepaas_plugins.deployments.releases import Cause, Release, Releases
from klepaas_plugins.kubernetes.client import find_later_writers

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["Remains"]


@dataclass(frozen=True)
class Remains:
    """What one change has left.

    Attributes:
        place: Where the application is.
        run: The operation's attempt.
        releases: The application's releases.
        cause: What makes the release.
    """

    place: Place
    run: "Run"
    releases: Releases
    cause: Cause

    @property
    def workloads(self) -> list[WorkloadName]:
        """What rolls out."""
        return [(kind, name) for kind, name in self.run.notes["workloads"]]

    async def find_later_writers(self) -> list[str]:
        """Who wrote to a workload after klepaas did, one line each."""
        found: list[str] = []
        for kind, name in self.workloads:
            managers = find_later_writers(await self._find(kind, name) or {})
            found += [f"{kind} {name} by {', '.join(managers)}"] if managers else []
        return found

    async def _find(self, kind: str, name: str) -> dict[str, Any] | None:
        return await find(self.place.cluster, f"{kind.lower()}s.apps", name, self.place.namespace)

    async def find_own_release(self) -> Release | None:
        """The release that this operation has recorded. None: it has not, or that may not be read."""
        try:
            return await self.releases.recorded(self.run.operation.id, self.cause)
        except Forbidden:
            return None

    async def is_as_wanted(self, own: Release | None) -> bool:
        """Whether what is there is what the operation was to make, as far as the records tell.

        Args:
            own: The release that it has recorded. None: none is on record.
        """
        change, effects = self.run.notes["change"], self.run.notes["effects"]
        restored = change["facts"].get("restored_release")
        try:
            if own is not None:
                return not (await self.releases.plan(own)).count
            if restored is not None:
                return not (await self.releases.plan(await self.releases.get(int(restored)), keep_scale=True)).count
        except (BadRequest, Forbidden):
            return False
        if change["stored"] and not effects:
            return False
        done = {step.name for step in self.run.operation.steps if step.state is StepState.DONE}
        return done.issuperset(effects) or await self._is_scaled()

    async def _is_scaled(self) -> bool:
        """Whether a number of pods that was asked for is there; of a scaling, that is all and it is readable."""
        replicas = self.run.operation.request.get("replicas")
        if self.cause is not Cause.SCALE or not isinstance(replicas, int):
            return False
        found = [await self._find(*workload) for workload in self.workloads]
        return all(live is not None and desired_replicas(live) == replicas for live in found)
