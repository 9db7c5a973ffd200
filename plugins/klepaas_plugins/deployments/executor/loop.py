"""The loop of a change: look, decide, do, and look again, until there is an end.

It knows no cluster and no journal: `Hands` does, and a test has a world of its own. Whatever goes wrong on the way is
seen with the next look; only what interrupts the operation itself leaves the loop.
"""

from dataclasses import replace
from typing import Protocol

from klepaas.operations import Outcome, failpoints
from klepaas_plugins.deployments.executor.decide import decide
from klepaas_plugins.deployments.executor.decisions import Apply, Ended, Restore, Verify, Wait
from klepaas_plugins.deployments.executor.intent import Intent, ObjectKey
from klepaas_plugins.deployments.executor.observed import Moment, Observed
from klepaas_plugins.deployments.executor.recording import record_attention, record_look

__all__ = ["Hands", "carry_out"]

# The attended time is on record as often as it has grown by so much; a crash forgets no more.
_KEEP_EVERY_S = 5.0


class Hands(Protocol):
    """What the loop does its work with."""

    def now(self) -> Moment:
        """The moment, by the clocks that observations carry."""
        ...

    async def observe(self, intent: Intent, before: Observed | None) -> Observed:
        """Look."""
        ...

    async def keep(self, intent: Intent) -> None:
        """Put an intent on record."""
        ...

    async def write(self, intent: Intent, key: ObjectKey) -> tuple[Intent, bool]:
        """Write an object; the intent after it, and whether the next one may be written too."""
        ...

    async def wait(self, decision: Wait, intent: Intent, seen: Observed) -> None:
        """Wait for what a decision says, at the longest until its moment."""
        ...

    async def end(self, decision: Verify | Restore | Ended, intent: Intent, seen: Observed) -> Outcome | None:
        """End it. None: something was in the way, so that it is looked at again."""
        ...


async def carry_out(intent: Intent, hands: Hands) -> Outcome:
    """A change, or the rest of it.

    Args:
        intent: What is wanted, and what is known of its past.
        hands: What looks, writes, waits and keeps.

    Raises:
        Interrupted: It must stop here.
    """
    before: Observed | None = None
    kept = intent
    while True:
        seen = await hands.observe(intent, before)
        intent = record_look(record_attention(intent, before, seen), seen)
        if _is_to_keep(kept, intent):
            await hands.keep(intent)
            kept = intent
        await failpoints.reach("observed")
        decision = decide(intent, seen, hands.now())
        if isinstance(decision, Apply):
            intent = kept = await _write(decision, intent, hands)
        elif isinstance(decision, Wait):
            await hands.wait(decision, intent, seen)
        else:
            outcome = await hands.end(decision, intent, seen)
            if outcome is not None:
                return outcome
        before = seen


def _is_to_keep(kept: Intent, now: Intent) -> bool:
    """Whether a look told something that must outlive this process."""
    if now.attended_s - kept.attended_s >= _KEEP_EVERY_S:
        return True
    return replace(now, attended_s=kept.attended_s) != kept


async def _write(decision: Apply, intent: Intent, hands: Hands) -> Intent:
    """Every object in order; what is refused ends the round, and the next look tells what it means."""
    for key in decision.objects:
        intent, may_go_on = await hands.write(intent, key)
        if not may_go_on:
            break
    return intent
