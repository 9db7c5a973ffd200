"""Going back to a release, as a part of an operation: every object put back, and seen to live again.

What goes back, when, and what is said of it is decided in `carrying`; this does it, in steps of the operation, and also
tells what the change has changed.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from klepaas.changes import FieldChange, ObjectChange
from klepaas.errors import Forbidden, KlepaasError
from klepaas.operations import StepState
from klepaas.plans.describe import list_differences
from klepaas_plugins.deployments.lookup import find
from klepaas_plugins.deployments.objects import REVISION, annotation, name_of
from klepaas_plugins.deployments.outages import is_outage
from klepaas_plugins.deployments.outcome import Undone
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import WorkloadName
from klepaas_plugins.deployments.releases import Release, Releases, Restored, Snapshot, Step
from klepaas_plugins.deployments.releases.differing import difference
from klepaas_plugins.deployments.rollout import missed_deadline
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.verifying import Gated, gate
from klepaas_plugins.kubernetes.client import forget_looks

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["Undoing"]

_MOST_CHANGES, _MOST_RESTORINGS = 12, 3


async def _not_there() -> None:
    """A step that an earlier attempt has begun has nothing left to do."""


async def _as_it_should_be() -> dict[str, Any]:
    """A look-up for what was just compared."""
    return {}


def _gone(change: ObjectChange, notes: Sequence[str]) -> tuple[FieldChange, ...]:
    """The fields that differed and do not differ any more, as the notes of the restoration say."""
    is_scaled = any("keeps its" in note for note in notes)
    fields = (one for one in change.fields if not (is_scaled and one.path == "spec.replicas"))
    return tuple(one for one in fields if not any(f"{one.path} stays as it is" in note for note in notes))


@dataclass(frozen=True)
class Undoing:
    """The way back of one operation.

    Attributes:
        place: Where the application is.
        run: The operation's attempt.
        releases: The application's releases.
        settings: How a rollout is judged.
        unrecorded: What was there before and could not be recorded; this process alone knows it.
        limit_s: Longest wait for what was restored to come to life, in seconds. None: what the operation has left.
    """

    place: Place
    run: "Run"
    releases: Releases
    settings: RolloutSettings
    unrecorded: list[Release] = field(default_factory=list)
    limit_s: float | None = None

    async def restore(
        self,
        release: Release,
        stage: str,
        *,
        expected: Snapshot | None = None,
        keep_scale: bool = False,
        take_ownership: bool | None = None,
    ) -> Restored:
        """Put every object back. What an earlier attempt put back, without living to say so, is said now.

        Args:
            release: The release.
            stage: What the steps' names begin with: the same object may be restored twice.
            expected: What should be there if nobody else had changed anything. None: whatever is there goes.
            keep_scale: Whether a number of pods that was set since by scaling stays.
            take_ownership: Whether fields that controllers own now are taken over. None: nobody was asked, so they are
                left as they are, and named.

        Raises:
            KlepaasError: It is refused, or somebody else changed something; what was restored stays so.
        """
        restored = await self.releases.restore(
            release, self._step(stage), expected=expected, keep_scale=keep_scale, take_ownership=take_ownership
        )  # fmt: skip
        for earlier in self.run.operation.steps:
            if earlier.state is StepState.INTENT and earlier.name.startswith(f"{stage}: "):
                await self.run.step(earlier.name, _not_there, find=_as_it_should_be)
        return restored

    async def release(self, number: int) -> Release:
        """A release, with what it holds.

        Args:
            number: Its number; 0: what could not be recorded.
        """
        release = await self.releases.get(number) if number else self.unrecorded[0]
        return replace(release, snapshot=await self.releases.load(release))

    async def differences(self, number: int) -> list[str]:
        """What differs now from a release, one line each; nothing where that cannot be read.

        Args:
            number: Its number; 0: what could not be recorded.
        """
        try:
            release = await self.release(number)
            return (await self.releases.diff(release)).lines[:_MOST_CHANGES]
        except KlepaasError as exc:
            if is_outage(exc):
                raise
            return []

    async def go_back(self, release: Release) -> Undone:
        """Restore a release and see that it lives.

        Args:
            release: The release, with what it holds.

        Raises:
            KlepaasError: The cluster is in trouble; it is to be tried again.
            Interrupted: It must stop here.
        """
        await self.run.report(0, 0, f"rolling back to {release.text}")
        began = time.monotonic()
        try:
            restored = await self._put_back(release)
        except KlepaasError as exc:
            # Rights that are gone by now may never come back, and what stays has to be said.
            if is_outage(exc) and not isinstance(exc, Forbidden):
                raise
            return Undone(release, failure=exc.line)
        lines = (restored.text, *restored.notes, *await self._unverified(release, restored))
        gated = await self._gate_again(release)
        if not gated.verified:
            why = gated.failure.what if gated.failure else "it did not come to life in time"
            return Undone(release, lines, why)
        live = gated.followed.snapshot.workload if gated.followed else {}
        revision = annotation(live, REVISION)
        took_s = time.monotonic() - began
        number = int(revision) if revision else None
        return Undone(release, lines, None, number, took_s, restored.exception)

    async def _unverified(self, release: Release, restored: Restored) -> list[str]:
        """What was changed before the operation and never seen healthy, so that it has gone back as well."""
        number = self.run.notes.get("baseline")
        if not number or number == release.number or release.snapshot is None:
            return []
        try:
            baseline = await self.releases.load(await self.releases.get(int(number)))
        except KlepaasError as exc:
            if exc.retryable:
                raise
            return []
        changes = difference(release.snapshot, baseline).changes
        objects = (replace(one, fields=_gone(one, restored.notes)) for one in changes.objects)
        gone = list_differences(replace(changes, objects=tuple(objects)))
        if not gone:
            return []
        more = [f"and {len(gone) - _MOST_CHANGES} more"] if len(gone) > _MOST_CHANGES else []
        shown = "; ".join([*gone[:_MOST_CHANGES], *more])
        return [f"Changed before that and not known to have come to life, so it went back as well: {shown}"]

    async def _put_back(self, release: Release) -> Restored:
        """Restore every object; a foreign change meanwhile is not run over."""
        # What was seen when the release was recorded says nothing of what others did since.
        forget_looks(self.place.cluster)
        expected = None
        number = self.run.notes.get("release")
        if number and release.snapshot is not None:
            expected = await self.releases.load(await self.releases.get(number))
        return await self.restore(release, "undo", expected=expected)

    async def _gate_again(self, release: Release) -> Gated:
        """Whether the restored release lives, and is still what was restored: a late request may have come in."""
        workloads = [
            (str(item["kind"]), name_of(item)) for item in (release.snapshot or Snapshot("", "", ())).workloads
        ]
        for number in range(1, _MOST_RESTORINGS + 1):
            # The controller leaves that condition in place when a change goes back to pods that exist.
            missed = await self._missed_now(workloads)
            left_s, report = self.run.seconds_left, self.run.report
            limit_s = left_s if self.limit_s is None else min(self.limit_s, left_s)
            gated = await gate(
                self.place, workloads, self.settings, report, limit_s=limit_s, missed_before=missed, run=self.run
            )  # fmt: skip
            if not gated.verified or not (await self.releases.plan(release)).count:
                return gated
            await self.restore(release, f"undo again ({number})")
        return gated

    async def _missed_now(self, workloads: list[WorkloadName]) -> dict[str, str]:
        """When the rollouts that are being left missed their deadline."""
        found: dict[str, str] = {}
        for kind, name in workloads:
            live = await find(self.place.cluster, f"{kind.lower()}s.apps", name, self.place.namespace)
            moment = missed_deadline(live) if live else None
            if moment:
                found[f"{kind}/{name}"] = moment
        return found

    def _step(self, stage: str) -> Step:
        """The operation's step, under names of a stage's own: the same object may be restored twice."""

        async def step(name: str, do: Any, *, find: Any = None) -> dict[str, Any]:
            await self.run.report(0, 0, f"{stage}: {name}")
            return await self.run.step(f"{stage}: {name}", do, find=find)

        return step
