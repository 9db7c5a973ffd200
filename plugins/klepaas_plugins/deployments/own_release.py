"""The release of a change under way: what was there before it, what it made, and how that went.

Each is put on record once an operation, in steps and notes of the operation, whatever happens to a process.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from klepaas.errors import Forbidden, KlepaasError
from klepaas_plugins.deployments.outages import is_outage
from klepaas_plugins.deployments.planned import Change
from klepaas_plugins.deployments.releases import Cause, Release, Releases, ReleaseState
from klepaas_plugins.deployments.undoing import Undoing

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["OwnRelease"]


def _release_title(cause: Cause, request: Mapping[str, Any]) -> str | None:
    """What a release is, where the change writes no change cause: it would be that of the change before.

    None: the change cause tells.
    """
    if cause is Cause.SCALE:
        return f"scale to {request.get('replicas')}"
    wanted = request.get("wanted") or {}
    return "deploy manifests" if cause is Cause.DEPLOY and wanted.get("manifests") else None


async def _not_found() -> None:
    """A look-up for what may as well be done again."""


@dataclass(frozen=True)
class OwnRelease:
    """The release of one change.

    Attributes:
        run: The operation's attempt.
        releases: The application's releases.
        cause: What makes the release.
        unrecorded: What was there before and could not be recorded in the cluster; this process alone knows it.
        recorded: The releases that this attempt has recorded.
    """

    run: "Run"
    releases: Releases
    cause: Cause
    unrecorded: list[Release] = field(default_factory=list)
    recorded: list[Release] = field(default_factory=list)

    async def find_baseline(self) -> tuple[Release | None, Release | None]:
        """What is there now, put on record, and what a failure goes back to; None where there is none."""
        earlier = self.run.operation.supersedes
        if earlier is not None and earlier.has_begun and "back" in earlier.notes:
            # What is there now is what the superseded operation has left half done.
            numbers = (earlier.notes.get("baseline"), earlier.notes["back"])
            return (await self._release_of(numbers[0]), await self._release_of(numbers[1]))
        baseline = await self.releases.ensure_baseline()
        if baseline is not None and baseline.state is ReleaseState.PASSED:
            if not baseline.number:
                self.unrecorded.append(baseline)
            return baseline, baseline
        try:
            return baseline, await self.releases.last_verified()
        except Forbidden:
            return baseline, None

    async def _release_of(self, number: int | None) -> Release | None:
        return await self.releases.get(number) if number else None

    async def record(self, state: ReleaseState) -> None:
        """Put the application as it is now on record; once an operation.

        Args:
            state: How it stands.
        """
        change = Change.from_json(self.run.notes["change"])
        if not change.stored or "release" in self.run.notes:
            return
        operation = self.run.operation

        async def do() -> dict[str, Any]:
            snapshot = await self.releases.capture()
            release = await self.releases.record(
                snapshot,
                principal=operation.principal.name,
                operation_id=operation.id,
                cause=self.cause,
                state=state,
                title=_release_title(self.cause, operation.request),
                restored_from=change.facts.get("restored_release"),
            )
            self.recorded.append(release)
            return {"release": release.number, "unrecorded": release.unrecorded}

        recorded = await self.run.step("record the release", do, find=_not_found)
        applied = {"applied_at": time.time()} if state is ReleaseState.PENDING else {}
        await self.run.note(release=recorded["release"], unrecorded=recorded["unrecorded"], **applied)

    async def mark(self, state: ReleaseState, reason: str | None = None) -> Release | None:
        """Say how the release went. None: there is none.

        Args:
            state: How.
            reason: Why it failed. None: it did not.
        """
        number = self.run.notes.get("release")
        if not number:
            return None
        known = (one for one in self.recorded if one.number == number)
        release = next(known, None) or await self.releases.get(number)

        async def do() -> None:
            await self.releases.mark(release, state, reason)

        try:
            await self.run.step(f"mark the release {state.value}", do, find=_not_found)
        except KlepaasError as exc:
            # How the change went is one thing, and that its record does not say so another.
            if is_outage(exc):
                raise
            await self.run.note(unmarked=exc.what)
        return release

    async def changed_fields(self, undoing: Undoing) -> list[str]:
        """What differs from the last verified release; kept, because after the rollback nothing does.

        Args:
            undoing: Compares.
        """
        if "changed" not in self.run.notes:
            number, found = self.run.notes.get("back"), []
            if number is not None and Change.from_json(self.run.notes["change"]).stored:
                found = await undoing.differences(number)
            await self.run.note(changed=found)
        return list(self.run.notes["changed"])
