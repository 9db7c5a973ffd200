"""What plugins use of operations: to submit one, to ask after it, to wait for it, to cancel it.

A server that may change things carries operations out while `running` is entered, its own and those that another left.
Asking after them works without. The database library is imported when there is something to ask it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from klepaas.errors import BadRequest, NotFound, RateLimited, Unavailable
from klepaas.host import Host
from klepaas.operations.bodies import Bodies
from klepaas.operations.kinds import Kind, Location, State
from klepaas.operations.timing import Timing
from klepaas.operations.waiting import any_may_wait
from klepaas.output.quoting import quote
from klepaas.permits import current_permit
from klepaas.principals import Principal, process_principal
from klepaas.settings import Mode
from klepaas.store import CommitUnknown, Store, StoreUnavailable
from klepaas.store.keys import Keys

if TYPE_CHECKING:
    from klepaas.operations.journal import Submission
    from klepaas.operations.model import Operation
    from klepaas.operations.origin import Origin
    from klepaas.operations.resuming import Authority
    from klepaas.operations.runner import Runner
    from klepaas.plugins import Plugins

__all__ = ["Operations", "Report"]

log = logging.getLogger(__name__)
T = TypeVar("T")

# Takes how much is done, of how much, and a line for people.
Report = Callable[[float, float, str], Awaitable[None]]
# Another process may take the same target in the moment between looking and writing; not so often.
_ATTEMPTS = 5
_POLL_S = 0.3
# What a call that has waited as long as it was to gives the store for its last look.
_LAST_LOOK_S = 5.0
_STORE_TROUBLE_S = 2.0


class Operations:
    """The operations of one server.

    Args:
        store: Where the journal is.
        host: What counts them.
        timing: How long leases last.

    Attributes:
        find_authority: Gives what lets operations through again that another process began. None: nobody is asked.
    """

    def __init__(self, store: Store, host: Host, timing: Timing | None = None) -> None:
        self._bodies = Bodies(Keys.of(host))
        self.kinds: dict[str, Kind] = {}
        self._store = store
        self._host = host
        self._timing = timing or Timing()
        self._runner: Runner | None = None
        self.find_authority: Callable[[], Authority] | None = None
        self._runs = self.is_stopping = False
        self._next_look_s = self._timing.look_s
        self._troubles: dict[str, str] = {}
        self._wake: asyncio.Event | None = None
        self._looking = asyncio.Lock()
        self.tasks: Sequence[asyncio.Task[None]] = ()

    @classmethod
    def of(cls, host: Host) -> "Operations":
        """The host's own."""
        return host.service(cls, lambda host: cls(Store.of(host), host))

    def collect(self, plugins: "Plugins", host: Host) -> None:
        """Ask every plugin for its kinds; a plugin that claims a name that is taken is left out.

        Args:
            plugins: The plugins to ask.
            host: What they get.
        """
        offered: dict[str, Any] = {}
        for contribution in plugins.contributions("klepaas_operation_kinds", Kind, host=host):
            taken = offered.get(contribution.item.name)
            if taken is None:
                offered[contribution.item.name] = contribution
            else:
                reason = f"its kind of operation {contribution.item.name!r} is already offered by {taken.plugin.name}"
                plugins.fail(contribution.plugin, f"{reason} ({taken.plugin.source})")
        self.kinds = {name: found.item for name, found in offered.items() if found.plugin.reason is None}

    @property
    def under_way(self) -> "Sequence[Operation]":
        """The operations that this process carries out, as they were when it began."""
        return [holding.operation for holding in self._runner.held.values()] if self._runner else []

    async def submit(
        self,
        kind: str,
        *,
        target: str,
        title: str,
        request: Mapping[str, Any],
        principal: Principal,
        idempotency_key: str | None = None,
        deadline_s: float | None = None,
        location: Location | None = None,
        namespace_uid: str = "",
    ) -> "Operation":
        """Put an operation on record and have it carried out; returns as soon as it is on the disk.

        The same request on the same target while it is under way, or the same idempotency key at any time, is the same
        operation. One on the same target that only waits ends by another request, which takes its place.

        Args:
            kind: The name of its kind.
            target: What it works on: the cluster's identity, namespace and application.
            title: What it does, in a few words for people ("Deploying web").
            request: What is asked for, as JSON data; redacted when it has ended.
            principal: Who asks.
            idempotency_key: One of the caller's. None: there is none.
            deadline_s: How long it may take, in seconds. None: the kind's own deadline.
            location: Where it works, by the names that people use. None: there is nothing to name.
            namespace_uid: Which namespace of its name that is. "": not known, so it is locked by its name.

        Raises:
            Conflict: Another operation works on the target.
            BadRequest: The idempotency key was used for another request.
            CommitUnknown: Whether it was put on record is not known; the error names the operation.
            StoreUnavailable: It cannot be put on record, so it is not begun.
            Unavailable: This server does not carry operations out.
        """
        runner = await self._free_runner(kind, title)
        limit_s = self.kinds[kind].deadline_s if deadline_s is None else deadline_s
        from klepaas.operations.journal import Submission
        from klepaas.operations.records import as_json

        origin = await self._origin(self.kinds[kind], request)
        wanted = Submission(
            kind, target, title, as_json(request), principal, idempotency_key, limit_s, location or Location(),
            namespace_uid, describe=self._describe, origin=origin,
        )  # fmt: skip
        # From here on it is the journal's: a caller that leaves now changes nothing.
        with anyio.CancelScope(shield=True):
            return await self._put_on_record(wanted, runner)
        raise AssertionError("what is shielded is not cancelled")

    async def _origin(self, kind: Kind, request: Mapping[str, Any]) -> "Origin":
        """With what right an operation is begun; whoever goes on with it has to have the same."""
        from klepaas.operations.origin import Origin
        from klepaas.operations.resuming import identify

        user = await identify(kind, request)
        return Origin(process_owner=process_principal().owner, user=user, permit=current_permit())

    async def _free_runner(self, kind: str, title: str) -> "Runner":
        """What runs operations, where it can take one more of this kind."""
        if kind not in self.kinds:
            raise BadRequest(f"There is no kind of operation {quote(kind)}")
        if not self._runs:
            raise Unavailable(f"{title} was not begun: this server does not carry operations out")
        runner = await self._loaded()
        if runner.is_full:
            raise RateLimited("Too many operations are under way in this server; nothing was begun", retry_after_s=10.0)
        return runner

    async def get(self, operation_id: str, principal: Principal | None) -> "Operation":
        """One operation, with its steps.

        Args:
            operation_id: Its handle.
            principal: Who asks: another's operation is not found. None: it is anybody's.

        Raises:
            NotFound: There is none, or it is another's.
            StoreUnavailable: The journal cannot be read.
        """
        owned_by = principal.owner if principal else None
        found = await self._asked(lambda journal, s: journal.get(s, operation_id, owned_by), None)
        return self._with_hindrance(_found(found, operation_id))

    async def find(
        self,
        principal: Principal | None,
        *,
        state: State | None = None,
        kind: str | None = None,
        target: str | None = None,
        limit: int = 20,
    ) -> "Sequence[Operation]":
        """Operations, those under way first, then the newest.

        Args:
            principal: Whose. None: anybody's.
            state: Only these.
            kind: Only of this kind.
            target: Only on this target.
            limit: At most so many.

        Raises:
            StoreUnavailable: The journal cannot be read.
        """
        owned_by = principal.owner if principal else None
        nothing: list[Operation] = []
        found = await self._asked(
            lambda journal, s: journal.find(s, owned_by, state=state, kind=kind, target=target, limit=limit), nothing
        )
        return [self._with_hindrance(one) for one in found]

    async def running_on(self, target: str) -> "Operation | None":
        """The operation that works on a target, anybody's. None: none does.

        Args:
            target: As it was submitted with.
        """
        for state in (State.RUNNING, State.PENDING):
            found = await self.find(None, state=state, target=target, limit=1)
            if found:
                return found[0]
        return None

    def _with_hindrance(self, operation: "Operation") -> "Operation":
        """An operation that nobody carries out, with the reason why this server does not."""
        if operation.ended or operation.unattended_since is None:
            return operation
        known = self._runner.hindrances.get(operation.id) if self._runner is not None else None
        if self._host.settings.mode is not Mode.WRITES:
            known = "this server may not change anything"
        return operation if known is None else replace(operation, hindrance=known)

    async def cancel(self, operation_id: str, principal: Principal | None) -> "Operation":
        """Ask for an operation to be cancelled: it ends after the step that is under way, and tidies up.

        Args:
            operation_id: Its handle.
            principal: Who asks. None: anybody.

        Returns:
            The operation as it is now, mostly still under way; one that has ended stays as it is.

        Raises:
            NotFound: There is none, or it is another's.
            CommitUnknown: Whether that is on record is not known.
            StoreUnavailable: The journal cannot be written.
        """
        await self.get(operation_id, principal)
        from klepaas.operations import journal

        owned_by = principal.owner if principal else None
        try:
            found = await self._store.write(lambda session: journal.cancel(session, operation_id, owned_by))
        except CommitUnknown as exc:
            from klepaas.operations.submission import look_up_cancel

            found = await look_up_cancel(self._store, operation_id, exc)
        if self._runner is not None:
            self._runner.cancel(operation_id)
        self._look_soon()
        return _found(found, operation_id)

    async def wait(self, operation_id: str, timeout_s: float, report: Report | None = None) -> "Operation":
        """Wait until an operation has ended.

        Args:
            operation_id: Its handle.
            timeout_s: Longest wait, in seconds; what still runs then goes on.
            report: Takes progress. None: nobody wants it.

        Returns:
            The operation as it is then; it has not ended either where this server stops.

        Raises:
            NotFound: There is none.
            StoreUnavailable: The journal cannot be read.
        """
        with anyio.move_on_after(timeout_s):
            told = (0.0, 0.0, "")
            while True:
                holding = self._runner.held.get(operation_id) if self._runner else None
                if holding is None:
                    operation = await self.get(operation_id, None)
                    if operation.ended or self.is_stopping:
                        return operation
                    progress, news = (operation.done, operation.total, operation.line), None
                elif self.is_stopping:
                    break
                else:
                    progress, news = holding.news()
                if report is not None and progress != told:
                    told = progress
                    await report(*progress)
                with anyio.move_on_after(_POLL_S):
                    await (news.wait() if news else anyio.sleep_forever())
        with anyio.move_on_after(_LAST_LOOK_S):
            return await self.get(operation_id, None)
        raise StoreUnavailable("The store of klepaas gave no answer in time")

    def stop_waiting(self) -> None:
        """Let calls that wait for an operation answer now: this server stops, and the operation goes on without it."""
        self.is_stopping = True

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry operations out while inside."""
        self._wake, self._runs, self.is_stopping = asyncio.Event(), True, False
        tasks = [asyncio.create_task(self._keep_looking(self._wake)), asyncio.create_task(self._keep_beating())]
        self.tasks = tasks
        try:
            yield
        finally:
            self.tasks = ()
            with anyio.CancelScope(shield=True):
                await self.stop()
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks, timeout=1.0)
            self._wake = self._runner = None

    async def stop(self) -> None:
        """Carry nothing out any more: steps that are under way end, and everything is let go for the next server."""
        self._runs, self.is_stopping = False, True
        if self._runner is not None:
            await self._runner.stop(self._timing.stop_grace_s)

    async def finish(self) -> None:
        """Carry out what this server holds, and what waits for one, to its end; the caller sets the limit."""
        if not self._runs:
            return
        await self._looked()
        if self._runner is not None:
            await self._runner.finish()

    async def _put_on_record(self, wanted: "Submission", runner: "Runner") -> "Operation":
        from sqlalchemy.exc import IntegrityError

        from klepaas.operations import failpoints

        for number in range(_ATTEMPTS):
            since = time.monotonic()
            try:
                operation, is_new = await self._insert(wanted, runner)
            except IntegrityError:
                if number + 1 == _ATTEMPTS:
                    raise Unavailable(f"{wanted.title} was not begun: its target changes hands all the time") from None
                continue
            if is_new:
                await failpoints.reach("after_submit")
                if operation.supersedes is not None:
                    runner.fence(operation.supersedes.id, operation.id)
                runner.begin(replace(operation, request=wanted.request), 1, since)
            return operation
        raise AssertionError("unreachable")

    async def _insert(self, wanted: "Submission", runner: "Runner") -> "tuple[Operation, bool]":
        """The operation, and whether it is new; where the store gave no answer to its commit, it is looked up."""
        from klepaas.operations import journal
        from klepaas.operations.submission import look_up

        lease_s, holder = self._timing.lease_s, runner.holder
        try:
            return await self._store.write(
                lambda session: journal.submit(
                    session, wanted, holder, lease_s, bodies=self._bodies, watch=runner.watch
                )
            )
        except CommitUnknown as exc:
            return await look_up(self._store, wanted, exc), True

    def _describe(self, operation: "Operation") -> Sequence[str]:
        """What an operation had changed, as its kind says it."""
        kind = self.kinds.get(operation.kind)
        return kind.describe(operation) if kind is not None and kind.describe is not None else ()

    async def _asked(self, ask: Callable[[Any, Any], T], otherwise: T) -> T:
        """What the journal answers; where nothing was ever stored, that there is nothing."""
        if not self._store.exists:
            return otherwise
        await _imported()
        from klepaas.operations import journal

        return await self._store.read(lambda session: ask(journal, session))

    async def _loaded(self) -> "Runner":
        if self._runner is None:
            await _imported()
            from klepaas.metrics import Metrics
            from klepaas.operations.numbers import Numbers
            from klepaas.operations.runner import Runner

            numbers = Numbers(Metrics.of(self._host))
            # Two first calls may have waited for the import.
            self._runner = self._runner or Runner(
                self._store,
                self.kinds,
                numbers,
                self._timing,
                self._look_soon,
                bodies=self._bodies,
                authority=None if self.find_authority is None else self.find_authority(),
            )
        return self._runner

    def _look_soon(self) -> None:
        if self._wake is not None:
            self._wake.set()

    async def _keep_looking(self, wake: asyncio.Event) -> None:
        await anyio.sleep(self._timing.first_look_s)
        while True:
            wake.clear()
            pause_s = await self._looked()
            with anyio.move_on_after(pause_s):
                await wake.wait()

    async def _looked(self) -> float:
        """Look for what waits, unless it is sure that nothing does; how long to wait then."""
        if not self._runs:
            return self._timing.look_s
        if await self._guarded("looked for", self._look):
            return self._next_look_s
        return _STORE_TROUBLE_S

    async def _look(self) -> None:
        # One at a time: who looks second must see what the first has taken.
        async with self._looking:
            path = self._store.path
            if path is None or await anyio.to_thread.run_sync(any_may_wait, path):
                self._next_look_s = await (await self._loaded()).look()
                return
            self._next_look_s = self._timing.look_s
            if self._runner is not None:
                self._runner.nothing_waits()

    async def _keep_beating(self) -> None:
        while True:
            await anyio.sleep(self._timing.heartbeat_s)
            if self._runner is not None:
                await self._guarded("held", self._runner.beat)

    async def _guarded(self, what: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether the work went well. The same trouble is logged once: it may last for hours."""
        try:
            await work()
        except StoreUnavailable as exc:
            trouble, cause = exc.line, None
        except Exception as exc:  # noqa: BLE001 -- these tasks must not end before the server does
            trouble, cause = type(exc).__name__, exc
        else:
            self._troubles.pop(what, None)
            return True
        if self._troubles.get(what) != trouble:
            self._troubles[what] = trouble
            log.warning("operations cannot be %s: %s", what, trouble, exc_info=cause)
        return False


async def _imported() -> None:
    """Import the database library without holding up the event loop."""
    await anyio.to_thread.run_sync(_import)


def _import() -> None:
    import klepaas.operations.runner  # noqa: F401 -- with all that it needs


def _found(operation: "Operation | None", operation_id: str) -> "Operation":
    if operation is None:
        raise NotFound(
            f"There is no operation {quote(operation_id, 40)}",
            next_step="get_operation without an operation_id lists those there are",
        )
    return operation
