"""The intent of a change, made from its plan: what is decided once, before the first write, and kept from then on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from klepaas.changes import Action, ChangeSet, ObjectChange
from klepaas_plugins.deployments.executor.intent import (
    Intent,
    ObjectIntent,
    ObjectKey,
    Payload,
    PayloadForm,
    RestoreTarget,
    Takeover,
)
from klepaas_plugins.deployments.executor.observed import ObjectSeen, Presence
from klepaas_plugins.deployments.objects import uid
from klepaas_plugins.deployments.planning.apply import is_needed
from klepaas_plugins.deployments.settings import RolloutSettings
from klepaas_plugins.kubernetes.client import is_ours, own_paths

if TYPE_CHECKING:
    from klepaas.operations import Operation

__all__ = ["intent_of_plan", "key_of", "seen_in_plan"]


def key_of(change: ObjectChange) -> ObjectKey:
    """The object of a change.

    Args:
        change: The change.
    """
    one = change.identity
    return ObjectKey(api_version=one.api_version, kind=one.kind, name=one.name, namespace=one.namespace)


def intent_of_plan(
    operation: "Operation",
    changes: ChangeSet,
    *,
    namespace: str,
    back: int | None,
    missed: Mapping[str, str],
    settings: RolloutSettings,
    auto_rollback: bool,
) -> Intent:
    """What a planned change wants.

    Args:
        operation: The operation.
        changes: The plan.
        namespace: Where.
        back: The release that a failure goes back to; 0: one that could not be recorded. None: there is none.
        missed: When an earlier rollout of a workload missed its deadline, by "Kind/name".
        settings: How a rollout is judged.
        auto_rollback: Whether a failure goes back by itself.
    """
    return Intent(
        operation_id=operation.id,
        verb=operation.kind,
        namespace=namespace,
        objects=tuple(_object_of(one) for one in changes.objects),
        restore_target=None if back is None else RestoreTarget(release=back or None),
        auto_rollback=auto_rollback,
        missed_deadlines=missed,
        restart_moment=(changes.basis or {}).get("moment"),
        deadline_s=settings.deadline_s,
        hold_s=settings.min_healthy_s,
    )


def _object_of(change: ObjectChange) -> ObjectIntent:
    before = change.before
    body = None if change.action is Action.DELETE else Payload(PayloadForm.PLAIN, dict(change.body or {}))
    takeovers = tuple(Takeover(one.path, owner) for one in change.fields for owner in one.owners)
    return ObjectIntent(
        key=key_of(change),
        body=body,
        uid=(uid(before) if before else None) or change.identity.uid,
        own_before=own_paths(before) if before else frozenset(),
        takeovers=takeovers,
        is_autoscaled=bool((change.options.get("transfer") or {}).get("to_autoscaler")),
    )


def seen_in_plan(change: ObjectChange) -> ObjectSeen:
    """An object as its plan has seen it a moment ago.

    Args:
        change: The plan.
    """
    key, before = key_of(change), change.before
    if before is None:
        return ObjectSeen(key=key, presence=Presence.ABSENT)
    remaining = change.fields if is_needed(change) and change.action is not Action.DELETE else ()
    return ObjectSeen(
        key=key, presence=Presence.LIVE, uid=uid(before), remaining=remaining, is_ours=is_ours(before), live=before
    )
