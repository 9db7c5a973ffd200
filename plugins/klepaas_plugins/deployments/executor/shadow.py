"""Runs the decision beside the older way, at the points where that decides, and reports where they differ.

It writes nothing, and nothing depends on it. It is off: `shadowing` switches it on in a test, `KLEPAAS_TEST_SHADOW=1`
in a process that a test starts. Then each point costs a look at the cluster, and a difference is logged at debug.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from klepaas.errors import BadRequest, Conflict, Forbidden, KlepaasError, NotFound, Unauthorized
from klepaas_plugins.deployments.executor.decide import decide_by_row
from klepaas_plugins.deployments.executor.decisions import Apply, Decision, End, Ended, Restore, Verify, Wait
from klepaas_plugins.deployments.executor.differences import Difference, Older, find_reason
from klepaas_plugins.deployments.executor.intent import Intent, ObjectKey
from klepaas_plugins.deployments.executor.observe import Observer, Surroundings
from klepaas_plugins.deployments.executor.observed import Observed
from klepaas_plugins.deployments.executor.progress import rollout_of
from klepaas_plugins.deployments.executor.translation import intent_of, key_of_workload, restore_intent_of, with_answers
from klepaas_plugins.deployments.outcome import Undone
from klepaas_plugins.deployments.planned import Planned
from klepaas_plugins.deployments.verifying import Failure, Gated

if TYPE_CHECKING:
    from klepaas_plugins.deployments.carrying import Carrier

__all__ = ["Shadow", "shadowing"]

_log = logging.getLogger(__name__)
_ERRORS: Mapping[str, type[KlepaasError]] = {
    "bad_request": BadRequest,
    "conflict": Conflict,
    "forbidden": Forbidden,
    "not_found": NotFound,
    "unauthorized": Unauthorized,
}


@dataclass
class Shadow:
    """Compares, and keeps what it found.

    Attributes:
        differences: Where the two differ.
        count: How many points were compared.
    """

    differences: list[Difference] = field(default_factory=list)
    count: int = 0
    _planned: dict[str, Planned] = field(default_factory=dict)
    _gated: dict[str, Gated] = field(default_factory=dict)

    async def compare_plan(self, carrier: "Carrier", planned: Planned) -> Difference | None:
        """Before the first write: something is to be written, or nothing.

        Args:
            carrier: The change.
            planned: What it would do.
        """
        operation_id = carrier.run.operation.id
        self._planned[operation_id] = planned
        self._gated.pop(operation_id, None)
        if not carrier.run.notes.get("effects") or carrier.run.begun or planned.restores is not None:
            return None
        return await self._compare(carrier, Older.APPLY, None)

    def see(self, carrier: "Carrier", gated: Gated) -> None:
        """What the health gate saw last; the decision is made on the same, so that no time lies between.

        Args:
            carrier: The change.
            gated: What it saw.
        """
        self._gated[carrier.run.operation.id] = gated

    async def compare_end(self, carrier: "Carrier", older: str, failure: Failure | None = None) -> Difference | None:
        """After the writes: good, to be undone, to be left, or not seen.

        Args:
            carrier: The change.
            older: What the older way does, as `Older` names it.
            failure: Why. None: there is no failure.
        """
        return await self._compare(carrier, Older(older), failure)

    async def compare_restore(self, carrier: "Carrier", undone: Undone) -> Difference | None:
        """After going back.

        Args:
            carrier: The change.
            undone: How that went.
        """
        release, older = undone.release, Older.WENT_BACK if undone.failure is None else Older.COULD_NOT_GO_BACK
        observer = self._observer(carrier)
        intent = restore_intent_of(carrier, release)
        seen = await observer.observe(intent)
        return self._judge(carrier, older, intent, seen)

    async def _compare(self, carrier: "Carrier", older: Older, failure: Failure | None) -> Difference | None:
        planned = self._planned.get(carrier.run.operation.id)
        if planned is None or planned.changes is None:
            return None
        intent = intent_of(carrier, planned.changes, failure)
        observer = self._observer(carrier)
        first = await observer.observe(intent)
        intent = with_answers(intent, first)
        errors = _write_errors(intent, failure)
        seen = await observer.observe(intent, None, Surroundings(write_errors=errors)) if errors else first
        return self._judge(carrier, older, intent, self._with_gated(carrier, intent, seen))

    def _observer(self, carrier: "Carrier") -> Observer:
        grace_s = carrier.settings.unschedulable_grace_s
        return Observer(cluster=carrier.place.cluster, open_payload=lambda payload: payload.content, grace_s=grace_s)

    def _with_gated(self, carrier: "Carrier", intent: Intent, seen: Observed) -> Observed:
        gated = self._gated.get(carrier.run.operation.id)
        if gated is None or gated.followed is None:
            return seen
        snapshot = gated.followed.snapshot
        key = key_of_workload(carrier.place.namespace, snapshot.kind, snapshot.workload)
        rollout = rollout_of(
            key,
            snapshot,
            cluster_s=seen.at.for_cluster_s,
            grace_s=carrier.settings.unschedulable_grace_s,
            missed_before=intent.missed_deadlines.get(f"{key.kind}/{key.name}"),
            hold_wish_s=intent.hold_s,
        )
        return replace(seen, rollouts=tuple(rollout if one.key == key else one for one in seen.rollouts))

    def _judge(self, carrier: "Carrier", older: Older, intent: Intent, seen: Observed) -> Difference | None:
        row, found = decide_by_row(intent, seen, seen.at)
        self.count += 1
        if _is_same(older, found):
            return None
        reason = find_reason(older, row.title)
        newer = f"{type(found).__name__.lower()} {_particulars(found)}".strip()
        difference = Difference(
            operation_id=carrier.run.operation.id, older=older, newer=newer, row=row.title, reason=reason
        )
        self.differences.append(difference)
        _log.debug("decision in shadow: %s", difference.text)
        return difference


def _is_same(older: Older, found: Decision) -> bool:
    """Whether a decision is what the older way did."""
    if older is Older.APPLY:
        return isinstance(found, Apply)
    if older is Older.VERIFY:
        return isinstance(found, Verify)
    if older is Older.GO_BACK:
        return isinstance(found, Restore)
    if older is Older.UNSEEN:
        return isinstance(found, Wait)
    if not isinstance(found, Ended):
        return False
    if older is Older.WENT_BACK:
        return found.end in (End.ROLLED_BACK, End.CANCELLED)
    return found.needs_person if older is Older.COULD_NOT_GO_BACK else found.end is not End.ROLLED_BACK


def _particulars(found: Decision) -> str:
    if isinstance(found, Apply):
        return ", ".join(key.title for key in found.objects)
    if isinstance(found, Restore):
        return found.failure.text
    return "" if isinstance(found, Verify) else found.text


def _write_errors(intent: Intent, failure: Failure | None) -> dict[ObjectKey, KlepaasError]:
    """What refused the write of the first object that is not written, as the older way noted it."""
    kind = _ERRORS.get(str(failure.facts.get("reason"))) if failure is not None else None
    open_ones = [one.key for one in intent.objects if not one.may_be_written and one.body and one.body.content]
    missing = next(iter(open_ones), None)
    if failure is None or kind is None or missing is None:
        return {}
    return {missing: kind(failure.what)}


@contextmanager
def shadowing() -> Iterator[Shadow]:
    """Compare while inside; for tests."""
    from klepaas_plugins.deployments import carrying

    before, shadow = carrying.shadow, Shadow()
    carrying.shadow = shadow
    try:
        yield shadow
    finally:
        carrying.shadow = before
