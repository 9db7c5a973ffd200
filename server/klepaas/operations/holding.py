"""One operation that this process carries out: its lease, its run, and the pages of the journal that its run may write.

Importing it imports SQLAlchemy.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import anyio
import anyio.to_thread
from sqlalchemy.orm import Session

from klepaas.operations import journal, leases
from klepaas.operations.bodies import Bodies, BodyUnreadable
from klepaas.operations.kinds import Fenced, Interrupted, JournalBroken, Outcome, StepUnknown
from klepaas.operations.model import Operation, StepState
from klepaas.operations.run import Run
from klepaas.store import Store, StoreUnavailable

__all__ = ["Holding"]


class Holding:
    """One operation that is held, as the runner and its run see it.

    Args:
        store: Where the journal is.
        operation: The operation.
        epoch: Ours.
        holder: Who we are.
        lease_s: How long a lease lasts, in seconds.
        bodies: Encrypts what its steps give.

    Attributes:
        lost: Why what was asked for cannot be read any more, so that it can only be ended. None: it can.
        forbidden: Why nothing may be sent for it any more, so that it can only be ended. None: it may.
        announced: What stands in the audit of this attempt. None: nothing.
        outcome: How the operation ended in this attempt. None: it did not.
    """

    def __init__(
        self, store: Store, operation: Operation, epoch: int, holder: str, lease_s: float, *, bodies: Bodies
    ) -> None:
        self._bodies = bodies
        self.lost: str | None = None
        self.forbidden: str | None = None
        self.announced: Any = None
        self.outcome: Outcome | None = None
        self.operation = operation
        self.epoch = epoch
        self.progress = leases.Progress(operation.done, operation.total, operation.line)
        self.scope: anyio.CancelScope | None = None
        self.run = Run(operation, self, operation.seconds_left)
        self._store = store
        self._holder = holder
        self._lease_s = lease_s
        self._held_until = 0.0
        self._changed = anyio.Event()

    def interrupt(self, reason: Interrupted) -> None:
        """Stop the work: at once where it only reads or waits, after the step that is under way otherwise.

        Args:
            reason: Why.
        """
        may_be_cut = self.run.stop_for(reason)
        if self.scope is not None and may_be_cut:
            self.scope.cancel()

    def held_for(self, lease_s: float, since: float) -> None:
        """The lease was renewed.

        Args:
            lease_s: For so long, in seconds,
            since: from this moment of this process's own clock on.
        """
        self._held_until = since + lease_s

    def stored(self, progress: leases.Progress | None) -> None:
        """The store knows so much of the progress now."""
        if progress is not None and self.progress is progress:
            self.progress = leases.Progress(progress.done, progress.total, progress.line)

    def tell(self) -> None:
        """Something is new: wake whoever waits for it."""
        self._changed.set()
        self._changed = anyio.Event()

    def news(self) -> tuple[tuple[float, float, str], anyio.Event]:
        """How far it is (done, total, line), and what is set when it is further."""
        return (self.progress.done, self.progress.total, self.progress.line), self._changed

    # The journal's pages, as `Run` writes them.

    async def intend(self, name: str, *, again: bool) -> Any:
        """Put a step's intent on record."""
        since = time.monotonic()
        operation_id, tidying = self.operation.id, self.run.tidying

        def work(session: Session) -> journal.Intent:
            found = journal.intend(session, operation_id, self.epoch, name, self._lease_s, tidying=tidying, again=again)
            return replace(found, step=replace(found.step, result=self._open_result(name, found.step.result)))

        try:
            found = await self._write(work)
        except BodyUnreadable as exc:
            raise StepUnknown(name, f"what it gave cannot be read any more, since {exc}") from exc
        self.held_for(self._lease_s, since)
        return found

    def _open_result(self, name: str, kept: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """What a step gave. Of an operation that is only to be ended, that is nothing where the key is lost."""
        try:
            return self._bodies.open_result(self.operation.id, name, kept)
        except BodyUnreadable:
            if self.lost is None:
                raise
            return {}

    async def settle(self, name: str, state: StepState, result: Mapping[str, Any] | None = None) -> None:
        """Put on record what became of a step."""
        operation_id = self.operation.id

        def work(session: Session) -> None:
            kept = self._bodies.seal_result(operation_id, name, result)
            journal.settle(session, operation_id, self.epoch, name, state, kept)

        await self._write(work)

    async def note(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add to the operation's notes."""
        operation_id = self.operation.id
        found: Mapping[str, Any] = await self._write(
            lambda session: journal.note(session, operation_id, self.epoch, facts)
        )
        return found

    async def wait(self, reason: str, for_s: float | None) -> None:
        """Put on record that the operation only waits."""
        operation_id = self.operation.id
        await self._write(lambda session: journal.wait(session, operation_id, self.epoch, reason, for_s))
        self.tell()

    async def resume(self) -> None:
        """Put on record that it is at work again."""
        operation_id = self.operation.id
        await self._write(lambda session: journal.resume(session, operation_id, self.epoch))
        self.tell()

    def claims(self) -> leases.Held:
        """What this process says of the operation with each sign of life."""
        return leases.Held(self.epoch, self.run.attended_s, self.progress if self.progress.changed else None)

    async def seal(self, name: str, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Encrypt a document for a note."""
        return await anyio.to_thread.run_sync(self._bodies.seal_note, self.operation.id, name, value)

    async def unseal(self, name: str, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """The document that `seal` encrypted."""
        try:
            return await anyio.to_thread.run_sync(self._bodies.open_note, self.operation.id, name, kept)
        except BodyUnreadable as exc:
            raise StepUnknown(name, f"what it needs cannot be read any more, since {exc}") from exc

    def reported(self, done: float, total: float, line: str) -> None:
        """The operation has come so far; the store hears of it with the next heartbeat."""
        self.progress = leases.Progress(done, total, line, changed=True)
        self.tell()

    def holds(self) -> bool:
        """Whether the lease is surely still ours, by this process's own clock."""
        return self.run.stops_for is None and time.monotonic() < self._held_until

    async def renew(self) -> None:
        """Make sure that it is."""
        since = time.monotonic()
        held = {self.operation.id: leases.Held(self.epoch, self.run.attended_s)}
        found = await self._write(lambda session: leases.renew(session, held, self._holder, self._lease_s))
        if not found[self.operation.id].kept:
            raise Fenced(f"another process carries out {self.operation.id}")
        self.held_for(self._lease_s, since)

    async def conclude(self, outcome: Outcome) -> str:
        """Put the end of the operation on record; gives the state that is."""
        operation_id = self.operation.id
        state: str = await self._write(
            lambda session: journal.conclude(session, operation_id, self.epoch, outcome).state.value
        )
        return state

    async def release(self, retry_in_s: float | None = None, reason: str | None = None) -> None:
        """Let go of the operation, for another process or a later attempt."""
        operation_id, attended_s = self.operation.id, self.run.attended_s
        await self._write(
            lambda session: leases.release(
                session, operation_id, self.epoch, retry_in_s, reason=reason, attended_s=attended_s
            )
        )

    async def _write(self, work: Any) -> Any:
        try:
            return await self._store.write(work)
        except StoreUnavailable as exc:
            raise JournalBroken(exc.line) from exc
