"""An intent as the journal keeps it: JSON data with a version, read by every later version of klepaas.

A newer version than this one is refused, never guessed at: an operation that a newer klepaas began is left to it.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from klepaas_plugins.deployments.executor.intent import (
    Answer,
    Failure,
    FailureKind,
    Intent,
    ObjectIntent,
    ObjectKey,
    Payload,
    PayloadForm,
    Phase,
    RestoreTarget,
    Takeover,
)

__all__ = ["VERSION", "UnknownVersion", "dump_intent", "load_intent"]

VERSION = 1


class UnknownVersion(ValueError):
    """A newer klepaas wrote it."""


def dump_intent(intent: Intent) -> dict[str, Any]:
    """An intent as JSON data.

    Args:
        intent: The intent.
    """
    return {
        "version": VERSION,
        "operation_id": intent.operation_id,
        "verb": intent.verb,
        "namespace": intent.namespace,
        "objects": [_dump_object(one) for one in intent.objects],
        "phase": intent.phase.value,
        "restore_target": _dump_target(intent.restore_target),
        "auto_rollback": intent.auto_rollback,
        "begun": intent.begun,
        "changed": list(intent.changed),
        "failure": None if intent.failure is None else asdict(intent.failure),
        "cancel_requested": intent.cancel_requested,
        "missed_deadlines": dict(intent.missed_deadlines),
        "restart_moment": intent.restart_moment,
        "deadline_s": intent.deadline_s,
        "restore_deadline_s": intent.restore_deadline_s,
        "attended_s": intent.attended_s,
        "hold_s": intent.hold_s,
        "crashes": intent.crashes,
        "restores": intent.restores,
    }


def load_intent(data: Mapping[str, Any]) -> Intent:
    """The intent that JSON data stands for.

    Args:
        data: As `dump_intent` gave it.

    Raises:
        UnknownVersion: A newer version wrote it.
    """
    version = data.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise UnknownVersion(f"an intent of version {version}; this klepaas reads 1 to {VERSION}")
    plain = {name: value for name, value in data.items() if name not in ("version", "begun", *_NESTED)}
    failure = data["failure"]
    return Intent(
        **plain,
        objects=tuple(_load_object(one) for one in data["objects"]),
        phase=Phase(data["phase"]),
        restore_target=_load_target(data["restore_target"]),
        changed=tuple(data["changed"]),
        failure=None if failure is None else Failure(FailureKind(failure["kind"]), failure["text"], failure["at_s"]),
    )


_NESTED = ("objects", "phase", "restore_target", "changed", "failure")


def _dump_object(one: ObjectIntent) -> dict[str, Any]:
    return {
        "key": asdict(one.key),
        "body": _dump_payload(one.body),
        "uid": one.uid,
        "own_before": [list(path) for path in sorted(one.own_before)],
        "takeovers": [[taken.path, taken.manager] for taken in one.takeovers],
        "is_autoscaled": one.is_autoscaled,
        "attempts": one.attempts,
        "refusals": one.refusals,
        "answer": None if one.answer is None else [one.answer.uid, list(one.answer.webhook_paths)],
    }


def _load_object(data: Mapping[str, Any]) -> ObjectIntent:
    answer = data["answer"]
    return ObjectIntent(
        key=ObjectKey(**data["key"]),
        body=_load_payload(data["body"]),
        uid=data["uid"],
        own_before=frozenset(tuple(path) for path in data["own_before"]),
        takeovers=tuple(Takeover(path, manager) for path, manager in data["takeovers"]),
        is_autoscaled=data["is_autoscaled"],
        attempts=data["attempts"],
        refusals=data["refusals"],
        answer=None if answer is None else Answer(answer[0], tuple(answer[1])),
    )


def _dump_payload(payload: Payload | None) -> dict[str, Any] | None:
    return None if payload is None else {"form": payload.form.value, "content": dict(payload.content)}


def _load_payload(data: Mapping[str, Any] | None) -> Payload | None:
    return None if data is None else Payload(PayloadForm(data["form"]), data["content"])


def _dump_target(target: RestoreTarget | None) -> dict[str, Any] | None:
    if target is None:
        return None
    return {"release": target.release, "snapshot": _dump_payload(target.snapshot)}


def _load_target(data: Mapping[str, Any] | None) -> RestoreTarget | None:
    return None if data is None else RestoreTarget(data["release"], _load_payload(data["snapshot"]))
