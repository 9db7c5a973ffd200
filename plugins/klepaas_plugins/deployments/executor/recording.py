"""What happens to an intent, each as a function from one intent to the next: a write, its answer, a crash, a cancel.

Whoever executes an operation puts the new intent on record before it acts on it, so that a crash at any point leaves
an intent that says no less than what was done.
"""

from collections.abc import Iterable
from dataclasses import replace

from klepaas_plugins.deployments.executor.intent import Answer, Failure, Intent, ObjectIntent, ObjectKey, Phase
from klepaas_plugins.deployments.executor.observed import Observed, Presence

__all__ = [
    "ATTENDED_STEP_MAX_S",
    "begin_restore",
    "inherit_restore_target",
    "record_answer",
    "record_attempt",
    "record_attention",
    "record_cancel",
    "record_crash",
    "record_failure",
    "record_look",
    "record_refusal",
    "take_back_attempt",
]

# Between two looks of one process lies no more (`case.PAUSE_MAX_S`); what does is a machine that slept.
ATTENDED_STEP_MAX_S = 90.0


def _with_object(intent: Intent, key: ObjectKey, new: ObjectIntent) -> Intent:
    return replace(intent, objects=tuple(new if one.key == key else one for one in intent.objects))


def _find(intent: Intent, key: ObjectKey) -> ObjectIntent:
    return next(one for one in intent.objects if one.key == key)


def record_attempt(intent: Intent, key: ObjectKey) -> Intent:
    """A write is about to be sent; on record before its first byte.

    Args:
        intent: The intent.
        key: The object.
    """
    one = _find(intent, key)
    return _with_object(intent, key, replace(one, attempts=one.attempts + 1))


def record_answer(intent: Intent, key: ObjectKey, answer: Answer) -> Intent:
    """The server confirmed a write.

    Args:
        intent: The intent.
        key: The object.
        answer: What the server made of it.
    """
    return replace(_with_object(intent, key, replace(_find(intent, key), answer=answer)), crashes=0)


def record_refusal(intent: Intent, key: ObjectKey) -> Intent:
    """A write certainly changed nothing.

    Args:
        intent: The intent.
        key: The object.
    """
    one = _find(intent, key)
    return _with_object(intent, key, replace(one, refusals=min(one.attempts, one.refusals + 1)))


def take_back_attempt(intent: Intent, key: ObjectKey) -> Intent:
    """A write certainly came to nothing because of what may pass, so it does not count into the limit of writes.

    Args:
        intent: The intent.
        key: The object.
    """
    one = _find(intent, key)
    return _with_object(intent, key, replace(one, attempts=max(0, one.attempts - 1)))


def record_failure(intent: Intent, failure: Failure) -> Intent:
    """A decisive failure; the first one stays.

    Args:
        intent: The intent.
        failure: The failure.
    """
    return intent if intent.failure is not None else replace(intent, failure=failure)


def record_cancel(intent: Intent) -> Intent:
    """Somebody asked to cancel it.

    Args:
        intent: The intent.
    """
    return replace(intent, cancel_requested=True)


def record_crash(intent: Intent) -> Intent:
    """Another process takes it up after a crash.

    Args:
        intent: The intent.
    """
    return replace(intent, crashes=intent.crashes + 1)


def record_attention(intent: Intent, before: Observed | None, seen: Observed) -> Intent:
    """Count the time between two looks of one process, where the cluster answered at both.

    Time without a process, or without the cluster, is nobody's fault, so it does not count into the deadline. It is
    measured by the monotonic clock: setting the wall clock changes nothing.

    Args:
        intent: The intent.
        before: What this process saw before. None: this is its first look.
        seen: What it sees now.
    """
    if before is None or before.blocking_trouble is not None or seen.blocking_trouble is not None:
        return intent
    passed_s = seen.at.monotonic_s - before.at.monotonic_s
    return replace(intent, attended_s=intent.attended_s + min(max(0.0, passed_s), ATTENDED_STEP_MAX_S))


def record_look(intent: Intent, seen: Observed) -> Intent:
    """A look found what a write of unknown outcome made: from here on exactly that object is meant.

    Without it an object that somebody deletes next would look like one that never was.

    Args:
        intent: The intent.
        seen: What is there.
    """
    found = {one.key: one for one in seen.objects if one.presence is Presence.LIVE and one.is_ours}
    for one in intent.objects:
        look = found.get(one.key)
        if look is None or look.uid is None or one.known_uid is not None or not one.may_be_written:
            continue
        intent = _with_object(intent, one.key, replace(one, uid=look.uid))
    return intent


def begin_restore(intent: Intent, failure: Failure, objects: Iterable[ObjectIntent]) -> Intent:
    """From here on it goes back.

    Args:
        intent: The intent.
        failure: Why.
        objects: What restoring wants of each object.
    """
    written = tuple(one.key.title for one in intent.objects if one.may_be_written)
    return replace(
        record_failure(intent, failure),
        phase=Phase.RESTORE,
        objects=tuple(objects),
        changed=tuple(dict.fromkeys((*intent.changed, *written))),
        attended_s=0.0,
        crashes=0,
        restores=intent.restores + 1,
    )


def inherit_restore_target(new: Intent, old: Intent) -> Intent:
    """A new change of a target takes the place of one that waits.

    What the waiting one has written was never seen to work, so it is no place to go back to: its target is.

    Args:
        new: The new change.
        old: The one that waits.
    """
    return replace(new, restore_target=old.restore_target) if old.begun else new
