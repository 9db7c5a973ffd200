"""An intent for what the older way does, from its plan and its notes: for `shadow` alone, and gone with it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from klepaas.changes import Action, ChangeSet, ObjectChange
from klepaas_plugins.deployments.executor import intent as model
from klepaas_plugins.deployments.executor.observed import Observed, Presence
from klepaas_plugins.deployments.objects import Object, name_of, uid
from klepaas_plugins.deployments.releases import Release
from klepaas_plugins.deployments.verifying import Failure
from klepaas_plugins.kubernetes.client import own_paths

if TYPE_CHECKING:
    from klepaas_plugins.deployments.carrying import Carrier

__all__ = ["intent_of", "key_of_workload", "restore_intent_of", "with_answers"]

_KINDS = {"cancelled": model.FailureKind.CANCELLED, "deadline": model.FailureKind.DEADLINE}


def key_of_workload(namespace: str, kind: str, workload: Object) -> model.ObjectKey:
    """The key of a workload.

    Args:
        namespace: Its namespace.
        kind: Its kind, which items of lists do not say.
        workload: The workload.
    """
    return model.ObjectKey(api_version="apps/v1", kind=kind, name=name_of(workload), namespace=namespace)


def intent_of(carrier: "Carrier", changes: ChangeSet, failure: Failure | None) -> model.Intent:
    """What a change wants.

    Args:
        carrier: The change.
        changes: Its plan.
        failure: Why it failed. None: it did not.
    """
    notes, kind = carrier.run.notes, _kind_of(failure)
    settings, number = carrier.settings, notes.get("back")
    is_late = kind is model.FailureKind.DEADLINE
    return model.Intent(
        operation_id=carrier.run.operation.id,
        verb=carrier.run.operation.kind,
        namespace=carrier.place.namespace,
        objects=_objects_of(carrier, changes),
        restore_target=None if number is None else model.RestoreTarget(release=int(number)),
        auto_rollback=carrier.auto_rollback,
        cancel_requested=bool(notes.get("cancelled")) or kind is model.FailureKind.CANCELLED,
        missed_deadlines=notes.get("missed") or {},
        deadline_s=settings.deadline_s,
        attended_s=settings.deadline_s if is_late else 0.0,
        hold_s=settings.min_healthy_s,
    )


def restore_intent_of(carrier: "Carrier", release: Release) -> model.Intent:
    """What going back wants, as far as it can be seen without its bodies: every object there, every workload complete.

    Args:
        carrier: The change.
        release: What it goes back to.
    """
    namespace, found = carrier.place.namespace, []
    for item in release.snapshot.objects if release.snapshot is not None else ():
        key = model.ObjectKey(
            api_version=str(item["apiVersion"]), kind=str(item["kind"]), name=name_of(item), namespace=namespace
        )
        found.append(model.ObjectIntent(key=key, body=_payload({}), attempts=1))
    cancelled = bool(carrier.run.notes.get("cancelled"))
    kind = model.FailureKind.CANCELLED if cancelled else model.FailureKind.ROLLOUT
    return model.Intent(
        operation_id=carrier.run.operation.id,
        verb=carrier.run.operation.kind,
        namespace=namespace,
        objects=tuple(found),
        phase=model.Phase.RESTORE,
        restore_target=model.RestoreTarget(release=release.number),
        failure=model.Failure(kind, "it failed", 0.0),
        missed_deadlines=carrier.run.notes.get("missed") or {},
        hold_s=carrier.settings.min_healthy_s,
        restores=1,
    )


def with_answers(intent: model.Intent, seen: Observed) -> model.Intent:
    """The older way keeps no answers: what was written is taken to be what is there now.

    Args:
        intent: The intent.
        seen: What is there.
    """
    found = {one.key: one.uid for one in seen.objects if one.presence is Presence.LIVE and one.uid is not None}
    objects = tuple(_with_answer(one, found.get(one.key)) for one in intent.objects)
    return replace(intent, objects=objects)


def _with_answer(one: model.ObjectIntent, live_uid: str | None) -> model.ObjectIntent:
    is_known = live_uid is not None and one.uid in (None, live_uid)
    return replace(one, answer=model.Answer(live_uid)) if one.attempts and is_known and live_uid else one


def _objects_of(carrier: "Carrier", changes: ChangeSet) -> tuple[model.ObjectIntent, ...]:
    """The objects; those whose step was begun count as written."""
    effects, begun = list(carrier.run.notes.get("effects") or ()), carrier.run.begun
    found = []
    for change in changes.objects:
        steps = {f"{verb} {change.identity.kind} {change.identity.name}" for verb in ("apply", "remove")}
        # A verb that changes one object calls its one step otherwise.
        steps = steps if steps & set(effects) else set(effects[:1]) if len(effects) == 1 else set()
        found.append(_object_of(change, carrier.place.namespace, attempts=int(bool(steps & begun))))
    return tuple(found)


def _object_of(change: ObjectChange, namespace: str, *, attempts: int) -> model.ObjectIntent:
    identity = change.identity
    key = model.ObjectKey(
        api_version=identity.api_version,
        kind=identity.kind,
        name=identity.name,
        namespace=namespace if identity.namespace is not None else None,
    )
    is_removal = change.action is Action.DELETE
    takeovers = tuple(model.Takeover(one.path, owner) for one in change.fields for owner in one.owners)
    transfer = change.options.get("transfer") or {}
    is_written = change.action in (Action.CREATE, Action.UPDATE) and change.body is not None
    return model.ObjectIntent(
        key=key,
        body=None if is_removal else _payload(change.body or {} if is_written else {}),
        uid=(uid(change.before) if change.before else None) or identity.uid,
        own_before=own_paths(change.before) if change.before else frozenset(),
        takeovers=takeovers,
        is_autoscaled=bool(transfer.get("to_autoscaler")),
        attempts=attempts,
    )


def _payload(content: Any) -> model.Payload:
    return model.Payload(model.PayloadForm.PLAIN, dict(content))


def _kind_of(failure: Failure | None) -> model.FailureKind | None:
    return None if failure is None else _KINDS.get(str(failure.facts.get("reason")))
