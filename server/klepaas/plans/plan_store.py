"""The plans of a store: made, looked up, confirmed at a terminal, and used once, by whatever process comes.

The digests of a plan are made with a key outside of the store (`klepaas.store.keys`). A plan of another key cannot be
read, and one that somebody altered in the store counts for nothing. The database library is imported with the first
plan.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from klepaas.host import Host
from klepaas.plans.handles import is_handle
from klepaas.plans.model import Draft, Plan, PlanState
from klepaas.plans.rendering import Preview
from klepaas.store.database import Store, now_of
from klepaas.store.keys import Keys

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["PLAN_TTL_S", "PlanStore"]

PLAN_TTL_S = 600.0


class PlanStore:
    """The plans of one server's store.

    Args:
        store: The store.
        keys: Its keys.
        clock: The time that plans go by, of a transaction. None: the store's.
    """

    def __init__(self, store: Store, keys: Keys, clock: "Callable[[Session], float] | None" = None) -> None:
        self._store = store
        self._keys = keys
        self._now = clock or now_of

    @classmethod
    def of(cls, host: Host) -> "PlanStore":
        """The host's own."""
        return host.service(cls, lambda host: cls(Store.of(host), Keys.of(host)))

    async def make(self, draft: Draft, ttl_s: float = PLAN_TTL_S) -> Plan:
        """Store a new plan.

        Args:
            draft: What it is.
            ttl_s: How long it counts, in seconds.

        Raises:
            RateLimited: Too many are open.
            StoreUnavailable: It is not stored.
            KeysUnavailable: The store's key cannot be read or made.
        """

        def work(session: "Session") -> Plan:
            from klepaas.plans.queries import insert

            return insert(session, draft, self._keys, self._now(session), ttl_s)

        return await self._store.write(work)

    async def get(self, plan_id: str) -> Plan | None:
        """A plan, whatever its state. None: there is none, or it has been forgotten.

        Args:
            plan_id: Its handle; anything may be sent.

        Raises:
            StoreUnavailable: The store cannot be read.
            KeysUnavailable: The store's keys cannot be read.
        """
        if not self._store.exists or not is_handle(plan_id):
            return None

        def work(session: "Session") -> Plan | None:
            from klepaas.plans.queries import get

            return get(session, plan_id, self._keys, self._now(session))

        return await self._store.read(work)

    async def find(self) -> Sequence[Plan]:
        """Every plan that has not expired, anybody's, the newest first.

        Raises:
            StoreUnavailable: The store cannot be read.
            KeysUnavailable: The store's keys cannot be read.
        """
        if not self._store.exists:
            return ()

        def work(session: "Session") -> Sequence[Plan]:
            from klepaas.plans.queries import find

            return find(session, self._keys, self._now(session))

        return await self._store.read(work)

    async def find_confirmed(self, requested_by: str, tool: str, arguments: Mapping[str, Any]) -> Sequence[Plan]:
        """The plans for exactly this call that were confirmed at a terminal, the newest first.

        Args:
            requested_by: The key of the principal who calls.
            tool: The tool.
            arguments: Its arguments, without `dry_run`.

        Raises:
            StoreUnavailable: The store cannot be read.
            KeysUnavailable: The store's keys cannot be read.
        """
        if not self._store.exists:
            return ()

        def work(session: "Session") -> Sequence[Plan]:
            from klepaas.plans.queries import find_confirmed

            return find_confirmed(session, requested_by, tool, arguments, self._keys, self._now(session))

        return await self._store.read(work)

    async def compare(self, plan: Plan, preview: Preview) -> str | None:
        """Why a plan does not hold any more, as part of a sentence. None: it holds.

        Args:
            plan: The plan.
            preview: What would change now.

        Raises:
            KeysUnavailable: The store's keys cannot be read.
        """

        def work() -> str | None:
            key = self._keys.find(plan.key_id)
            if key is None:
                return "it was made with another key"
            if key.digest("plan content", preview.content) != plan.content_digest:
                return "something else would change now"
            if key.digest("plan basis", preview.basis) != plan.basis_digest:
                return "what it rests on was changed since it was made"
            return None

        return await anyio.to_thread.run_sync(work)

    async def take_answer(
        self, plan_id: str, requested_by: str, tool: str, arguments: Mapping[str, Any]
    ) -> Plan | None:
        """The open plan that a client answers for, once: afterwards it awaits no answer any more.

        Args:
            plan_id: What the client sent.
            requested_by: The key of the principal who calls.
            tool: The tool.
            arguments: Its arguments, without `dry_run`.

        Returns:
            The plan. None: there is none, it belongs to another call or caller, or was answered for.

        Raises:
            StoreUnavailable: The store cannot be written.
            KeysUnavailable: The store's keys cannot be read.
        """
        return await self._take(plan_id, requested_by, tool, arguments, PlanState.OPEN)

    async def take_open(self, plan_id: str, requested_by: str, tool: str, arguments: Mapping[str, Any]) -> Plan | None:
        """The open plan that a client confirms by its id, where the policy lets it; it is used up by that.

        Args:
            plan_id: What the client sent.
            requested_by: The key of the principal who calls.
            tool: The tool.
            arguments: Its arguments, without `dry_run`.

        Returns:
            The plan. None: there is none, it belongs to another call or caller, or was used.

        Raises:
            StoreUnavailable: The store cannot be written.
            KeysUnavailable: The store's keys cannot be read.
        """
        return await self._take(plan_id, requested_by, tool, arguments, PlanState.USED)

    async def _take(
        self, plan_id: str, requested_by: str, tool: str, arguments: Mapping[str, Any], state: PlanState
    ) -> Plan | None:
        if not self._store.exists or not is_handle(plan_id):
            return None

        def work(session: "Session") -> Plan | None:
            from klepaas.plans.queries import change_state, get, is_for_call

            now = self._now(session)
            plan = get(session, plan_id, self._keys, now)
            if plan is None or plan.requested_by != requested_by or not is_for_call(plan, tool, arguments, self._keys):
                return None
            if state is PlanState.OPEN and not plan.awaits_answer:
                return None
            return change_state(session, plan_id, state, self._keys, now=now, since=(PlanState.OPEN,))

        return await self._store.write(work)

    async def end(self, plan: Plan, state: PlanState) -> bool:
        """Mark a plan as used or refused, whether it was confirmed at a terminal or not.

        Args:
            plan: The plan.
            state: USED or REFUSED.

        Returns:
            Whether it was this call that did it: a plan is used once.

        Raises:
            StoreUnavailable: The store cannot be written.
            KeysUnavailable: The store's keys cannot be read.
        """
        return await self._change(plan, state, (PlanState.OPEN, PlanState.CONFIRMED)) is not None

    async def confirm(self, plan: Plan, by: str) -> Plan | None:
        """Note that a person confirmed an open plan at a terminal.

        Args:
            plan: The plan that was shown to them.
            by: The operating system's user.

        Returns:
            The plan as it is now. None: it is not open any more.

        Raises:
            StoreUnavailable: The store cannot be written.
            KeysUnavailable: The store's keys cannot be read.
        """
        return await self._change(plan, PlanState.CONFIRMED, (PlanState.OPEN,), by)

    async def _change(
        self, plan: Plan, state: PlanState, since: Sequence[PlanState], confirmed_by: str | None = None
    ) -> Plan | None:
        def work(session: "Session") -> Plan | None:
            from klepaas.plans.queries import change_state

            now = self._now(session)
            return change_state(session, plan.id, state, self._keys, now=now, since=since, confirmed_by=confirmed_by)

        return await self._store.write(work)
