"""What another process began passes the gate again where this one goes on with it: settings, policy, audit.

The question was answered when the call came; it is asked anew since the settings may be others now. A person who
confirmed the change has confirmed it; what was let through without one is not, where the policy asks for one now.
"""

import socket
from collections.abc import Callable

from klepaas.audit import Audit, Change
from klepaas.catalogue import Catalogue, Entry
from klepaas.context_aliases import ContextAliases
from klepaas.errors import KlepaasError
from klepaas.operations.kinds import Outcome, State
from klepaas.operations.model import Operation
from klepaas.output.safe import shorten
from klepaas.permits import Permit
from klepaas.policy import Decision, Policy
from klepaas.principals import process_principal
from klepaas.tools import Effect, Target

__all__ = ["Resumption"]

_REASON = "not_resumed"


class Resumption:
    """Lets operations through again, for one server.

    Args:
        catalogue: The tools there are.
        policy: What has to be confirmed.
        audit: Where going on is put on record.
        aliases: Knows the contexts that lead to the same cluster.
        find_objection: Why a tool cannot be called at all, in one word and as an error.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        policy: Policy,
        audit: Audit,
        *,
        aliases: ContextAliases,
        find_objection: Callable[[Entry], tuple[str, KlepaasError] | None],
    ) -> None:
        self._catalogue = catalogue
        self._policy = policy
        self._audit = audit
        self._aliases = aliases
        self._find_objection = find_objection

    async def find_objection(self, operation: Operation) -> str | None:
        """Why the settings of now do not let it be carried on. None: they do.

        Args:
            operation: The operation.
        """
        permit = operation.origin.permit if operation.origin is not None else None
        if permit is None:
            return None
        entry = self._catalogue.get(permit.tool)
        if entry is None:
            return f"its tool {permit.tool} is not offered here any more"
        objection = self._find_objection(entry)
        if objection is not None:
            return f"its tool cannot be called here any more: {objection[1].what}"
        return await self._ask_policy(permit, entry)

    async def _ask_policy(self, permit: Permit, entry: Entry) -> str | None:
        effect = Effect.DESTRUCTIVE if entry.effect is Effect.DESTRUCTIVE else Effect(permit.effect)
        targets = [await self._aliases.with_aliases(target, self._policy.guards) for target in permit.targets]
        ruling = self._policy.decide(permit.tool, effect, targets)
        if ruling.decision is Decision.AUTO or permit.confirmed in ("person", "terminal"):
            return None
        if ruling.without_human and permit.confirmed == "without_human":
            return None
        return f"the policy asks for a person's confirmation of {permit.tool} now, and it was begun without one"

    async def announce(self, operation: Operation) -> Change:
        """Put on record that this process goes on with an operation.

        Args:
            operation: The operation, with the number of this attempt.

        Raises:
            Unavailable: A sink did not take it, so nothing may be sent.
        """
        change, permit = _change(operation), operation.origin.permit if operation.origin is not None else None
        began = f"; its call is change {permit.change_id}" if permit is not None else ""
        who = f"{process_principal().name} on {shorten(socket.gethostname(), 60)}"
        note = f"operation {operation.id} is resumed by {who}, attempt {operation.attempt}{began}"
        await self._audit.announce(change, "not_known" if permit is None else permit.confirmed, note)
        return change

    async def conclude(self, announced: Change, outcome: Outcome | None) -> None:
        """Note how an attempt ended.

        Args:
            announced: What `announce` gave.
            outcome: How the operation ended. None: it did not end in this attempt.
        """
        if outcome is None:
            await self._audit.conclude(announced, "cancelled", None, "the attempt ended and the operation did not")
            return
        code = None if outcome.error is None else str(outcome.error.get("code") or "") or None
        words = {State.SUCCEEDED: "ok", State.CANCELLED: "cancelled"}
        await self._audit.conclude(announced, words.get(outcome.state, "error"), code)

    async def refuse(self, operation: Operation, why: str) -> None:
        """Note that an operation is not carried on here.

        Args:
            operation: The operation.
            why: As part of a sentence.
        """
        await self._audit.refused(_change(operation), _REASON, f"operation {operation.id} is not resumed here: {why}")


def _change(operation: Operation) -> Change:
    """Going on with an operation, as a record names it."""
    permit, place = operation.origin.permit if operation.origin is not None else None, operation.location
    return Change(
        principal=operation.principal,
        tool=operation.kind if permit is None else permit.tool,
        effect=Effect.WRITE.value if permit is None else permit.effect,
        targets=(Target(place.context, place.namespace),) if permit is None else permit.targets,
        arguments={"operation_id": operation.id},
        arguments_digest=operation.request_digest,
    )
