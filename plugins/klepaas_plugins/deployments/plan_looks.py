"""What a plan has seen of its cluster, for the operation that makes the change a moment later in the same process.

The operation plans again, on what is there then; what the plan saw in the same moment need not be asked for twice.
The gate plans again after somebody was asked, so that the newest plan is the one of the moment. An attempt after the
first looks for itself.
"""

from dataclasses import dataclass, field
from typing import Any

from klepaas.changes import ChangeSet
from klepaas.host import Host
from klepaas.operations import PLANNED
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.kubernetes.client import Looks

__all__ = ["PlanLooks"]

_KEPT = 16


@dataclass
class PlanLooks:
    """What the newest plans have seen."""

    _plans: list[tuple[ChangeSet, Looks]] = field(default_factory=list)

    @classmethod
    def of(cls, host: Host) -> "PlanLooks":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    def keep(self, changes: ChangeSet, place: Place) -> ChangeSet:
        """Keep what a plan has seen.

        Args:
            changes: The plan.
            place: Where it looked.

        Returns:
            The plan.
        """
        if place.looks is not None:
            young = [one for one in self._plans if not one[1].is_old]
            self._plans = [*young[-_KEPT + 1 :], (changes, place.looks)]
        return changes

    def handed_to(self, place: Place, request: Any) -> Place:
        """The place of an operation's attempt, with what the plan of its request has seen a moment ago.

        Args:
            place: Where it works.
            request: The operation's request.
        """
        from klepaas_plugins.deployments.planning.apply import is_planned

        token = (request.get(PLANNED) or {}).get("token")
        for changes, looks in reversed(self._plans if token else []):
            if is_planned(changes, str(token)):
                self._plans = [one for one in self._plans if not is_planned(one[0], str(token))]
                return place.remembering(looks)
        return place
