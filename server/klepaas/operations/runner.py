"""Carries operations out: takes what nobody holds, says that it still does, and puts the end on record.

Its tasks belong to the server and to no request. They are plain tasks and no task group: FastMCP leaves a lifespan
inside a cancel scope that it did not enter it in. Importing it imports SQLAlchemy, which a server with nothing to do
is spared.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio
import anyio.to_thread

from klepaas.correlation import Correlation, correlated
from klepaas.errors import Unavailable
from klepaas.operations import failpoints, journal, leases
from klepaas.operations.attempt import Again, attempt, begun_steps, end_unread
from klepaas.operations.bodies import Bodies, BodyUnreadable
from klepaas.operations.failpoints import InjectedFailure
from klepaas.operations.holders import new_holder
from klepaas.operations.holding import Holding
from klepaas.operations.kinds import DeadlinePassed, Fenced, JournalBroken, Kind, OperationCancelled, Outcome, Stopping
from klepaas.operations.model import Operation
from klepaas.operations.numbers import Numbers
from klepaas.operations.resuming import Authority, end_forbidden, find_hindrance
from klepaas.operations.timing import Timing
from klepaas.principals import acting
from klepaas.store import Store
from klepaas.store.moments import ClockWatch

__all__ = ["Runner"]

log = logging.getLogger(__name__)

_TAKES_LIMIT_S = 15.0
# What this process cannot carry out is asked for again after so long; what could not be found out, sooner.
_NOT_OURS_S = 30.0
_NOT_KNOWN_S = 2.0
_MOST_AT_ONCE = 100
# Servers that share a database may have different keys: so long the one whose key it is gets to come back.
_OTHERS_KEY_S = 600.0


class Runner:
    """The operations that this process carries out.

    Args:
        store: Where the journal is.
        kinds: What can be done, by name.
        numbers: Where to count.
        timing: How long a lease lasts and so on.
        wake: Has `look` called soon.
        bodies: Opens what was asked for.
        authority: Lets operations through again. None: nobody is asked.

    Attributes:
        hindrances: Why operations are not gone on with here, by their ids.
    """

    def __init__(
        self,
        store: Store,
        kinds: Mapping[str, Kind],
        numbers: Numbers,
        timing: Timing,
        wake: Callable[[], None],
        *,
        bodies: Bodies,
        authority: Authority | None = None,
    ) -> None:
        self._bodies = bodies
        self._authority = authority
        self.hindrances: dict[str, str] = {}
        self.holder = new_holder()
        self.watch = ClockWatch(2 * timing.lease_s)
        self.held: dict[str, Holding] = {}
        self._store = store
        self._kinds = kinds
        self._numbers = numbers
        self._timing = timing
        self._wake = wake
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._not_ours: dict[str, float] = {}
        # When this process saw first that nobody carries an operation out which cannot be read, by its own clock.
        self._seen_left_at: dict[str, float] = {}

    @property
    def is_full(self) -> bool:
        """Whether it carries out as many as it may."""
        return len(self.held) >= _MOST_AT_ONCE

    def begin(self, operation: Operation, epoch: int, since: float) -> None:
        """Carry out an operation that this process holds.

        Args:
            operation: The operation, with what was asked for.
            epoch: The lease's.
            since: When the lease began at the latest, by this process's own clock.
        """
        self._begin(self._holding(operation, epoch, since))

    def _holding(self, operation: Operation, epoch: int, since: float) -> Holding:
        holding = Holding(self._store, operation, epoch, self.holder, self._timing.lease_s, bodies=self._bodies)
        holding.held_for(self._timing.lease_s, since)
        return holding

    def _begin(self, holding: Holding) -> None:
        operation = holding.operation
        self.held[operation.id] = holding
        # Its own context: it belongs to no request, whoever asked for it.
        self._tasks[operation.id] = asyncio.create_task(self._carry_out(holding), context=contextvars.Context())

    async def look(self) -> float:
        """Take what nobody holds and this process can do.

        Returns:
            Seconds until it should look again.

        Raises:
            StoreUnavailable: The journal cannot be read or written.
        """
        found, next_s = await self._store.read(lambda session: leases.candidates(session, self.holder, self.watch))
        self._numbers.counted(await self._store.read(leases.census))
        for operation, epoch in found:
            if not self.is_full and operation.id not in self.held and await self._is_ours(operation):
                await self._take(operation, epoch)
        return self._timing.look_s if next_s is None else min(self._timing.look_s, next_s + 0.01)

    def nothing_waits(self) -> None:
        """The journal holds nothing that has not ended."""
        self._numbers.counted(leases.Census())

    async def beat(self) -> None:
        """Say of everything held that it still is, and hear what became of it.

        Raises:
            StoreUnavailable: The journal cannot be written.
        """
        holdings = dict(self.held)
        for holding in holdings.values():
            if holding.run.seconds_left <= 0:
                holding.interrupt(DeadlinePassed("its time is over"))
        held = {key: holding.claims() for key, holding in holdings.items()}
        if not held:
            return
        since, lease_s = time.monotonic(), self._timing.lease_s
        found = await self._store.write(lambda session: leases.renew(session, held, self.holder, lease_s))
        for key, holding in holdings.items():
            if not found[key].kept:
                holding.interrupt(Fenced(f"another process carries out {key}"))
                continue
            holding.held_for(lease_s, since)
            holding.stored(held[key].progress)
            if found[key].cancel_requested:
                self.cancel(key)

    def cancel(self, operation_id: str) -> bool:
        """Cut an operation short that is carried out here; what it does to end in order is not cut.

        Returns:
            Whether it is carried out here.
        """
        holding = self.held.get(operation_id)
        if holding is None:
            return False
        if not holding.run.tidying:
            holding.interrupt(OperationCancelled("somebody asked to cancel it"))
        return True

    def fence(self, operation_id: str, successor: str) -> None:
        """Stop what is carried out here and was superseded; it has ended on record, and writes nothing more.

        Args:
            operation_id: The superseded operation.
            successor: The operation that took its place.
        """
        holding = self.held.get(operation_id)
        if holding is not None:
            holding.interrupt(Fenced(f"operation {successor} superseded {operation_id}"))

    async def stop(self, grace_s: float) -> None:
        """Let go of everything: work that only waits at once, a step that is under way after it is done.

        Args:
            grace_s: What such a step gets, in seconds.
        """
        for holding in list(self.held.values()):
            holding.interrupt(Stopping("this server stops"))
        tasks = list(self._tasks.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1.0)

    async def finish(self) -> None:
        """Wait until nothing is carried out here any more."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _is_ours(self, operation: Operation) -> bool:
        """Whether this process knows the kind and reaches the very same target."""
        is_put_off = self._not_ours.get(operation.id, 0.0) > time.monotonic()
        # What the settings forbid to carry on may be ended all the same, at once.
        if is_put_off and not operation.cancel_requested:
            return False
        kind = self._kinds.get(operation.kind)
        answer: bool | None = False
        if kind is None:
            self.hindrances[operation.id] = f"no plugin here carries out a {operation.kind}"
        else:
            opened, lost = await self._open(operation)
            answer = await _takes(kind, opened) if lost is None else await self._takes_unread(kind, operation)
            if answer:
                answer = await self._may_resume(kind, opened)
            elif answer is False and lost is None:
                self.hindrances[operation.id] = "nothing here leads to what it works on"
        if answer:
            self._not_ours.pop(operation.id, None)
            return True
        pause_s = _NOT_KNOWN_S if answer is None else _NOT_OURS_S
        self._not_ours[operation.id] = time.monotonic() + pause_s
        return False

    async def _may_resume(self, kind: Kind, operation: Operation) -> bool | None:
        """Whether this process may go on with it. None: that could not be found out."""
        authority = self._authority
        found = await find_hindrance(kind, operation, authority)
        if found is None:
            self.hindrances.pop(operation.id, None)
            return True
        if self.hindrances.get(operation.id) != found.text:
            self.hindrances[operation.id] = found.text
            log.warning("operation %s (%s) is not carried on here: %s", operation.id, operation.title, found.text)
            if authority is not None and found.is_final:
                await authority.refuse(operation, found.text)
        if found.forbidden and operation.cancel_requested:
            return True
        return False if found.is_final else None

    async def _take(self, operation: Operation, epoch: int) -> None:
        since, lease_s, holder = time.monotonic(), self._timing.lease_s, self.holder
        taken = await self._store.write(lambda session: leases.claim(session, operation.id, epoch, holder, lease_s))
        found = await self._store.read(lambda session: journal.get(session, operation.id, None)) if taken else None
        if found is not None:
            log.warning("operation %s (%s) is taken up, attempt %d", found.id, found.title, found.attempt)
            opened, lost = await self._open(found)
            holding = self._holding(opened, epoch + 1, since)
            holding.lost, holding.forbidden = lost, self.hindrances.pop(found.id, None)
            if await self._announce(holding):
                self._begin(holding)

    async def _announce(self, holding: Holding) -> bool:
        """Whether it is on record that this process goes on; if not, it is let go again."""
        authority, operation = self._authority, holding.operation
        if authority is None:
            return True
        try:
            with correlated(Correlation(operation.id, None, operation.kind)):
                holding.announced = await authority.announce(operation)
        except Unavailable as exc:
            log.warning("operation %s is not carried on: %s", operation.id, exc.line)
            self._not_ours[operation.id] = time.monotonic() + _NOT_OURS_S
            await _release(holding)
            return False
        return True

    async def _open(self, operation: Operation) -> tuple[Operation, str | None]:
        """The operation with what was asked for; and why that cannot be read any more, None where it can."""
        kept, digest = operation.kept_request, operation.request_digest
        try:
            request = await anyio.to_thread.run_sync(self._bodies.open_request, operation.id, kept, digest)
        except BodyUnreadable as exc:
            return operation, str(exc)
        return replace(operation, request=request), None

    async def _takes_unread(self, kind: Kind, operation: Operation) -> bool | None:
        """Whether this process ends an operation that cannot be read. None: that could not be found out.

        No other server can have its key; and one that has begun is looked at by a server that reaches what it works
        on, for as long as it may take.
        """
        left_s = self._left_for_s(operation)
        if self._store.path is None and left_s <= _OTHERS_KEY_S:
            return False
        if kind.end_unread is None or left_s > operation.deadline_at - operation.created_at:
            return True
        found = await self._store.read(lambda session: journal.get(session, operation.id, None))
        return found is None or not begun_steps(found) or await _takes(kind, operation)

    def _left_for_s(self, operation: Operation) -> float:
        """For how long nobody has carried out an operation, in seconds, whatever was done to the wall clock."""
        now_s = time.monotonic()
        seen_s = now_s - self._seen_left_at.setdefault(operation.id, now_s)
        since = operation.unattended_since or operation.updated_at
        return max(seen_s, time.time() - since) if self.watch.is_steady(now_s) else seen_s

    async def _carry_out(self, holding: Holding) -> None:
        """One attempt, to the end of this process's part in it."""
        operation = holding.operation
        try:
            with acting(operation.principal), correlated(Correlation(operation.id, None, operation.kind)):
                await self._attempt(holding)
        except (Fenced, JournalBroken) as exc:
            log.warning("operation %s is let go: %s", operation.id, exc)
        except Stopping:
            await _release(holding)
        except asyncio.CancelledError:
            await _release(holding)
            raise
        except InjectedFailure:
            log.info("operation %s: as if this process had died", operation.id)
        finally:
            await self._note_end(holding)
            self.held.pop(operation.id, None)
            self._tasks.pop(operation.id, None)
            holding.tell()
            self._wake()

    async def _note_end(self, holding: Holding) -> None:
        """Note in the audit how an attempt ended that was announced there."""
        authority = self._authority
        if authority is not None and holding.announced is not None:
            with anyio.CancelScope(shield=True):
                await authority.conclude(holding.announced, holding.outcome)

    async def _attempt(self, holding: Holding) -> None:
        await failpoints.reach("after_claim")
        result: Outcome | Again
        if holding.forbidden is not None:
            result = end_forbidden(holding.operation, holding.forbidden)
        elif holding.lost is not None:
            kind = self._kinds.get(holding.operation.kind)
            result = await end_unread(kind, holding, holding.lost)
        else:
            result = await attempt(self._kinds[holding.operation.kind], holding)
        if isinstance(result, Again):
            await holding.release(result.in_s, result.reason)
            return
        await failpoints.reach("before_outcome")
        state = await self._conclude(holding, result)
        holding.outcome = result
        await failpoints.reach("after_outcome")
        self._numbers.ended(holding.operation.kind, state)

    async def _conclude(self, holding: Holding, outcome: Outcome) -> str:
        """Put the end on record, patiently: without it all would be looked up again."""
        until, pause_s = time.monotonic() + self._timing.conclude_s, 0.1
        while True:
            try:
                return await holding.conclude(outcome)
            except JournalBroken:
                if time.monotonic() > until:
                    raise
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)


async def _takes(kind: Kind, operation: Operation) -> bool | None:
    """Whether a kind can carry an operation out here. None: that could not be found out."""
    if kind.takes is None:
        return True
    try:
        with anyio.fail_after(_TAKES_LIMIT_S):
            return await kind.takes(operation.request)
    except Exception as exc:  # noqa: BLE001 -- guarded boundary: a plugin's kind
        log.info("whether %s can be carried out here is not known: %s", operation.id, type(exc).__name__)
        return None


async def _release(holding: Holding) -> None:
    """Let the next process have it at once; where that fails it has to wait for the lease's end."""
    try:
        with anyio.move_on_after(2.0, shield=True):
            await holding.release()
    except (Fenced, JournalBroken) as exc:
        log.warning("operation %s is let go without a word: %s", holding.operation.id, exc)
