"""Rolling back: to a release where there are any, whole, and otherwise to a revision that the cluster keeps.

Which release is meant is `releases.choosing`'s affair; a revision is named by its number, or is what is left where no
release was recorded, and restores a pod template alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from klepaas.changes import ChangeSet
from klepaas.errors import BadRequest, Conflict, Forbidden
from klepaas.host import Host
from klepaas.plans.describe import list_differences
from klepaas_plugins.deployments.objects import name_of
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import Change, Planned
from klepaas_plugins.deployments.planning.revision import ToRevision
from klepaas_plugins.deployments.releases import Release, Releases, ReleaseSettings
from klepaas_plugins.deployments.releases.choosing import Choice
from klepaas_plugins.deployments.releases.planning import Plan

__all__ = ["GoingBack"]

_MOST_LINES = 12


@dataclass(frozen=True)
class GoingBack:
    """One rollback.

    Attributes:
        place: Where the application is.
        releases: Its releases.
        release: To this release. None: not so.
        steps: So many releases back. None: not so.
        commit: To the release of this commit. None: not so.
        revision: To this revision of the Deployment. None: not so.
        take_ownership: Whether fields that controllers own now are taken over; else a release that takes them is
            refused.
    """

    place: Place
    releases: Releases
    release: int | None = None
    steps: int | None = None
    commit: str | None = None
    revision: int | None = None
    take_ownership: bool = False

    @classmethod
    def of(cls, host: Host, place: Place, **wanted: Any) -> "GoingBack":
        """One rollback, with the releases that the settings say.

        Args:
            host: The settings and shared services.
            place: Where the application is.
            wanted: To what.
        """
        return cls(place, Releases(place, ReleaseSettings.of(host)), **wanted)

    async def planned(self, pins: Mapping[str, Any]) -> Planned:
        """The change.

        Args:
            pins: What an earlier attempt has chosen; empty where none has.

        Raises:
            KlepaasError: It is refused; the error says why.
        """
        choice = None if "replicaset" in pins else await self._choice(pins)
        if choice is None:
            return await ToRevision(
                self.place, self.revision, pins.get("replicaset"), self.take_ownership
            ).planned()  # fmt: skip
        release = choice.release
        snapshot = await self.releases.load(release)
        workloads = tuple((str(item["kind"]), name_of(item)) for item in snapshot.workloads)
        # An earlier attempt has said already what it changes, and may have changed some of it.
        take = self.take_ownership
        plan = await self.releases.plan(release, keep_scale=True, take_ownership=take) if not pins else None
        nothing = plan is not None and not plan.count
        changes = None if plan is None else self._change_set(plan, choice)
        change = Change(
            "Rollback",
            _done(release, plan, nothing),
            lines=_changed(list_differences(changes)) if changes else (),
            notes=(*choice.notes, *(plan.notes if plan else ())),
            facts={"restored_release": release.number},
            stored=not nothing,
        )
        restores, pins = None if nothing else release, {"release": release.number}
        return Planned(change, workloads, restores=restores, pins=pins, changes=changes)

    def _change_set(self, plan: Plan, choice: Choice) -> ChangeSet:
        """What putting the release back would do, object by object."""
        title = f"Rollback of {self.place.text} to {choice.release.text}"
        return ChangeSet(title=title, objects=plan.objects, notes=(*plan.notes, *choice.notes))

    async def _choice(self, pins: Mapping[str, Any]) -> Choice | None:
        """The release to go back to. None: a revision is meant, or all that there is."""
        if self.revision is not None:
            if any(wish is not None for wish in (self.release, self.steps, self.commit)):
                raise BadRequest("A rollback goes to a revision or to a release", next_step="Name one of them")
            return None
        asked = self.release is not None or self.steps is not None or self.commit is not None
        try:
            number = pins.get("release", self.release)
            wanted = (None, None) if "release" in pins else (self.steps, self.commit)
            return await self.releases.choose(number=number, steps=wanted[0], commit=wanted[1])
        except (Forbidden, Conflict):
            if asked or pins or await self._are_there_releases():
                raise
            return None

    async def _are_there_releases(self) -> bool:
        """Whether klepaas knows this application's history; if so, what it never saw work is no way back."""
        try:
            return bool(await self.releases.list())
        except Forbidden:
            return False


def _done(release: Release, plan: Plan | None, nothing: bool) -> str:
    """What is so when it is done: never that all is as it was, where something is left to others."""
    exception = "" if plan is None else plan.exception
    if not nothing:
        return f"is back at {release.text}{exception}"
    return f"runs {release.text} already{exception}" if exception else f"runs exactly {release.text} already"


def _changed(lines: Sequence[str]) -> list[str]:
    """What is put back, in one line of bounded length."""
    more = f"; and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    return [f"Restored: {'; '.join(lines[:_MOST_LINES])}{more}"] if lines else []
