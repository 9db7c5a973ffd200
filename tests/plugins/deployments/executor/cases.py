"""Intents and observations in few words, for the tests of the decision."""

from dataclasses import replace
from typing import Any

from klepaas.changes import FieldChange
from klepaas_plugins.deployments.executor.decide import decide
from klepaas_plugins.deployments.executor.decisions import Decision
from klepaas_plugins.deployments.executor.intent import (
    Answer,
    Intent,
    ObjectIntent,
    ObjectKey,
    Payload,
    PayloadForm,
    RestoreTarget,
)
from klepaas_plugins.deployments.executor.observed import (
    ErrorSeen,
    Moment,
    ObjectSeen,
    Observed,
    Presence,
    RolloutSeen,
    Trouble,
)

WALL_S = 1_800_000_000.0
NOW = Moment(wall_s=WALL_S, monotonic_s=1000.0, cluster_s=WALL_S)
WEB = ObjectKey(api_version="apps/v1", kind="Deployment", name="web", namespace="shop")
SETTINGS = ObjectKey(api_version="v1", kind="ConfigMap", name="settings", namespace="shop")
IMAGE = FieldChange(path="spec.template.spec.containers[web].image", before="app:1", after="app:2")


def wanted(key: ObjectKey = WEB, **more: Any) -> ObjectIntent:
    """An object of an intent, which was there when the change was planned."""
    return ObjectIntent(key=key, body=Payload(PayloadForm.PLAIN, {}), **{"uid": f"uid-{key.name}", **more})


def sent(key: ObjectKey = WEB, *, webhook_paths: tuple[str, ...] = (), **more: Any) -> ObjectIntent:
    """An object whose write is confirmed."""
    answer = Answer(f"uid-{key.name}", webhook_paths)
    return wanted(key, **{"attempts": 1, "answer": answer, **more})


def intent(*objects: ObjectIntent, **more: Any) -> Intent:
    """A deployment that has release 1 to go back to."""
    base = {"operation_id": "op-1", "verb": "deploy", "namespace": "shop", "restore_target": RestoreTarget(release=1)}
    return Intent(objects=objects or (sent(),), **{**base, **more})


def live(key: ObjectKey = WEB, *remaining: FieldChange, **more: Any) -> ObjectSeen:
    """An object that is there; without `remaining` it is as wanted."""
    base = {"presence": Presence.LIVE, "uid": f"uid-{key.name}", "is_ours": True, "remaining": remaining}
    return ObjectSeen(key=key, **{**base, **more})


def gone(key: ObjectKey = WEB, presence: Presence = Presence.ABSENT, **more: Any) -> ObjectSeen:
    """An object that is not there, or not for long."""
    return ObjectSeen(key=key, presence=presence, **more)


def rolling(key: ObjectKey = WEB, **more: Any) -> RolloutSeen:
    """A rollout under way."""
    return RolloutSeen(key=key, **{"progress": "0 of 1 pods ready", **more})


def complete(key: ObjectKey = WEB, held_s: float = 60.0, **more: Any) -> RolloutSeen:
    """A complete rollout."""
    return RolloutSeen(key=key, **{"complete": True, "held_s": held_s, "progress": "1 of 1 pods ready", **more})


def error(trouble: Trouble, text: str = "it says so", since_s: float = WALL_S, **more: Any) -> ErrorSeen:
    """An error as an observation."""
    return ErrorSeen(trouble=trouble, text=text, since_s=since_s, **more)


def observed(*objects: ObjectSeen, rollouts: tuple[RolloutSeen, ...] | None = None, **more: Any) -> Observed:
    """A look at this moment; by default at a rollout under way."""
    found = (rolling(),) if rollouts is None else rollouts
    return Observed(at=more.pop("at", NOW), objects=objects or (live(),), rollouts=found, **more)


def decision(what: Intent, seen: Observed, now: Moment = NOW) -> Decision:
    """The decision, which is the same when it is asked for twice."""
    found = decide(what, seen, now)
    assert found == decide(what, seen, now)
    return found


def later(seconds: float, moment: Moment = NOW) -> Moment:
    """A moment later, by every clock."""
    cluster_s = None if moment.cluster_s is None else moment.cluster_s + seconds
    return replace(
        moment, wall_s=moment.wall_s + seconds, monotonic_s=moment.monotonic_s + seconds, cluster_s=cluster_s
    )
