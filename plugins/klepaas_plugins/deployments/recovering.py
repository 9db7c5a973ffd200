"""Ending a change that has begun and whose request cannot be read any more, since its key is lost.

    as wanted, as far as the records tell -> health gate -> verified
    else -> the last verified release of the cluster again
    else -> unknown, with the objects named

What is there, and whether that is what was wanted, is `remains`' affair. What somebody else wrote since is left alone.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from klepaas.errors import InternalError, KlepaasError
from klepaas.host import Host
from klepaas.operations import Outcome, State, StepState, StepUnknown
from klepaas.output.verdict import Verdict
from klepaas_plugins.deployments.outcome import Words
from klepaas_plugins.deployments.place import Place
from klepaas_plugins.deployments.planned import CANCELLED, Change
from klepaas_plugins.deployments.releases import Cause, Release, Releases, ReleaseSettings, ReleaseState
from klepaas_plugins.deployments.remains import Remains
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.deployments.undoing import Undoing
from klepaas_plugins.deployments.verifying import Failure, Gated, gate

if TYPE_CHECKING:
    from klepaas.operations import Run

__all__ = ["Recovery"]

# How the steps of this are called: what a step of the same work gave before cannot be read.
_STAGE = "without the request"
# These are gone on with, and put on record by whoever does so.
_OWN_STAGES = (_STAGE, "undo: ", "undo again (")
_LOOKED = ("the application's workloads", "the steps of the operation", "the releases in the cluster")


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """The end of one change whose request cannot be read.

    Attributes:
        place: Where the application is.
        run: The operation's attempt.
        releases: The application's releases.
        settings: How a rollout is judged.
        cause: What makes the release.
        auto_rollback: Whether it is brought back to a release.
        why: Why the request cannot be read, as part of a sentence.
    """

    place: Place
    run: "Run"
    releases: Releases
    settings: RolloutSettings
    cause: Cause
    auto_rollback: bool
    why: str

    @classmethod
    def of(cls, host: Host, place: Place, run: "Run", why: str, *, auto_rollback: bool | None = None) -> "Recovery":
        """The end of one change, with the settings and releases of a host.

        Args:
            host: The settings and shared services.
            place: Where the application is.
            run: The operation's attempt.
            why: Why the request cannot be read, as part of a sentence.
            auto_rollback: Whether it is brought back to a release. None: as the settings say.
        """
        settings = RolloutSettings.of(host)
        return cls(
            place=place,
            run=run,
            releases=Releases(place, ReleaseSettings.of(host)),
            settings=settings,
            cause=Cause(run.operation.kind),
            auto_rollback=settings.auto_rollback if auto_rollback is None else auto_rollback,
            why=why,
        )

    async def end(self) -> Outcome:
        """Look what is there: verified, brought back, or not known.

        Raises:
            KlepaasError: The cluster is in trouble; it is to be tried again.
            Interrupted: It must stop here.
        """
        await self.run.report(0, 0, "looking what is there, since its request cannot be read")
        if "change" not in self.run.notes:
            return self._unknown("what it was to change is not on record")
        writers = await self._remains.find_later_writers()
        if writers:
            return self._unknown(f"since its last step was changed by others: {'; '.join(writers)}; that is left alone")
        own = await self._remains.find_own_release()
        failure = self._noted_failure() or await self._cancel(own)
        if failure is None and await self._remains.is_as_wanted(own):
            gated = await self._gate()
            if gated.verified:
                return await self._verified(gated, own)
            if gated.failure is None:
                return self._unknown(f"it is applied, but how it goes could not be seen: {_trouble(gated)}")
            failure = gated.failure
            if own is not None and own.state is ReleaseState.PASSED:
                return self._unknown(f"its release {own.number} had come to life, and now {failure.what}")
        reason = f"what was asked for cannot be read any more, since {self.why}"
        return await self._go_back(failure or Failure(reason, facts={"reason": "key lost"}, observed=_LOOKED), own)

    # What is there.

    @property
    def _remains(self) -> Remains:
        return Remains(self.place, self.run, self.releases, self.cause)

    @property
    def _change(self) -> Change:
        return Change.from_json(self.run.notes["change"])

    def _noted_failure(self) -> Failure | None:
        noted = self.run.notes.get("failure")
        return None if noted is None else Failure(**noted)

    async def _cancel(self, own: Release | None) -> Failure | None:
        """Why it goes back where somebody asked to cancel it before it had come to life. None: nobody did."""
        if not self.run.operation.cancel_requested or (own is not None and own.state is ReleaseState.PASSED):
            return None
        await self.run.note(cancelled=True)
        return Failure(CANCELLED, facts={"reason": "cancelled"}, observed=_LOOKED)

    async def _gate(self) -> Gated:
        noted = self.run.notes
        return await gate(
            self.place, self._remains.workloads, self.settings, self.run.report, limit_s=self.run.seconds_left,
            missed_before=noted["missed"], run=self.run,
        )  # fmt: skip

    # How it ends.

    async def _verified(self, gated: Gated, own: Release | None) -> Outcome:
        release = own or await self._record(ReleaseState.PENDING)
        await self._settle(_as_it_should_be)
        notes = [f"What was asked for cannot be read any more, since {self.why}; what runs is what was applied."]
        unmarked = await self._mark(release, ReleaseState.PASSED)
        notes += [f"The release is not on record: {unmarked}"] if unmarked else []
        return self._words.verified(gated, release, notes)

    async def _go_back(self, failure: Failure, own: Release | None) -> Outcome:
        """The last verified release again; unknown where there is none, or where that is not wanted."""
        if failure.gone:
            return self._unknown(failure.what)
        target = await self.releases.last_verified(own.number if own is not None else None)
        if target is None:
            return self._unknown("there is no earlier release in the cluster to go back to")
        if not self.auto_rollback:
            call = self.place.call("rollback_deployment", release=target.number)
            return self._unknown(f"nothing is rolled back by itself here; go back with {call}")
        await self.run.note(failure=failure.as_json(), decided_at=time.time())
        if own is None and self._change.stored:
            own = await self._record(ReleaseState.FAILED)
        if own is not None:
            await self._mark(own, ReleaseState.FAILED, failure.what)
        await self._settle(None)
        undoing = Undoing(self.place, self.run, self.releases, self.settings)
        undone = await undoing.go_back(await undoing.release(target.number))
        if undone.failure is not None:
            return self._words.not_rolled_back(failure, undone)
        return self._words.rolled_back(failure, undone, cancelled=bool(self.run.notes.get("cancelled")))

    async def _settle(self, find: Callable[[], Awaitable[Mapping[str, Any] | None]] | None) -> None:
        """Put on record what became of steps that were meant. `find` None: nobody can tell, and it is undone now."""
        for step in self.run.operation.steps:
            if step.state is StepState.INTENT and not step.name.startswith(_OWN_STAGES):
                with suppress(StepUnknown):
                    await self.run.step(step.name, _never, find=find)

    async def _record(self, state: ReleaseState) -> Release:
        """What is there now, as this operation's release."""
        operation = self.run.operation
        found: list[Release] = []

        async def do() -> dict[str, Any]:
            release = await self.releases.record(
                await self.releases.capture(),
                principal=operation.principal.name,
                operation_id=operation.id,
                cause=self.cause,
                state=state,
                restored_from=self._change.facts.get("restored_release"),
            )
            found.append(release)
            await self.run.note(release=release.number, unrecorded=release.unrecorded)
            return {"release": release.number}

        await self.run.step(f"{_STAGE}: record the release", do, find=_not_found)
        return found[0] if found else await self.releases.get(int(self.run.notes["release"]))

    async def _mark(self, release: Release, state: ReleaseState, reason: str | None = None) -> str | None:
        """Say what became of a release; why that could not be said, None where it could."""

        async def do() -> dict[str, Any]:
            return {"unrecorded": (await self.releases.mark(release, state, reason)).unrecorded}

        await self.run.note(release=release.number)
        try:
            marked = await self.run.step(f"{_STAGE}: mark the release {state.value}", do, find=_not_found)
        except KlepaasError as exc:
            if exc.retryable:
                raise
            return exc.what
        return marked.get("unrecorded")

    @property
    def _words(self) -> Words:
        return Words(self.place, self._change, self.run.operation.id)

    def _unknown(self, trouble: str) -> Outcome:
        """Nobody can tell; the objects that it worked on are named."""
        operation, place = self.run.operation, self.place
        begun = ", ".join(step.name for step in operation.steps if step.state is not StepState.FAILED)
        objects = ", ".join(f"{kind} {name}" for kind, name in self.run.notes.get("workloads") or ())
        rest = ", ".join(name for name in self.run.notes.get("effects") or () if name not in self.run.begun)
        text = f"{operation.title}: what was asked for cannot be read any more, since {self.why}; {trouble}."
        look = f"Look at {objects or place.app_name} in {place.namespace} with {place.call('get_deployment_status')}"
        left = f"; not done: {rest}" if rest else ", and whether the rest happened is not known"
        advice = f"It had begun ({begun}){left}. {look}."
        seen = Verdict(observed=_LOOKED, not_checked=("whether what runs is what was asked for",))
        facts = {"app": place.app_name, "namespace": place.namespace, "state": "unknown", "operation": operation.id}
        error = {"code": "internal", "message": f"{text} {advice}", "retryable": False}
        return Outcome(State.UNKNOWN, "\n".join((text, advice, seen.basis())), facts | seen.facts(), error)


async def _not_found() -> None:
    """A look-up for what may as well be done again."""


async def _as_it_should_be() -> dict[str, Any]:
    """A look-up for what was just looked at."""
    return {}


async def _never() -> None:
    """What a step that was meant would do: it is only put on record."""
    raise InternalError("a step of a request that cannot be read was to be made")


def _trouble(gated: Gated) -> str:
    return gated.trouble.line if gated.trouble is not None else "the time was over"
