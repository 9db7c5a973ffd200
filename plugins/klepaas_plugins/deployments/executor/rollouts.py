"""Rows about the rollout of what was written: to stay complete, paused, failed, late, under way.

Sources: Kubernetes, "Deployments", sections "Pausing and Resuming a rollout", "Progress Deadline Seconds" and "Failed
Deployment".
"""

from klepaas_plugins.deployments.executor.case import PAUSE_MAX_S, Case
from klepaas_plugins.deployments.executor.decisions import Decision, End, Ended, Reason
from klepaas_plugins.deployments.executor.ending import give_up
from klepaas_plugins.deployments.executor.intent import FailureKind, Phase
from klepaas_plugins.deployments.executor.observed import RolloutSeen

__all__ = ["fail_on_cause", "fail_on_deadline", "wait_for_hold", "wait_for_rollout", "wait_while_paused"]


def wait_for_hold(case: Case) -> Decision | None:
    """Every rollout is complete, one of them not for long enough yet."""
    if not case.is_complete:
        return None
    left_s = max((one.hold_s - one.held_s for one in case.observed.rollouts if not one.is_settled), default=0.0)
    return case.wait(Reason.HOLD, f"complete, for {left_s:.0f} s more", left_s)


def wait_while_paused(case: Case) -> Decision | None:
    """Going back would undo what a person is looking at, and would not roll out either."""
    rollout = case.paused_rollout
    if rollout is None:
        return None
    text = f"{rollout.key.title} is paused by a person"
    if not case.is_late:
        return case.wait(Reason.PAUSED, text, case.intent.limit_s - case.intent.attended_s)
    needs_person = case.intent.phase is Phase.RESTORE
    return Ended(end=End.PAUSED, text=text, stays=case.stays, needs_person=needs_person)


def fail_on_cause(case: Case) -> Decision | None:
    """Waiting longer cannot be expected to help."""
    text = next((one.failure for one in case.observed.rollouts if one.failure is not None and not one.complete), None)
    return None if text is None else give_up(case, case.fail(FailureKind.ROLLOUT, text))


def fail_on_deadline(case: Case) -> Decision | None:
    """Our own deadline; a slow pull has until the workload's own progressDeadlineSeconds."""
    if not case.is_late or any(one.progress_deadline_in_s is not None for one in _unfinished(case)):
        return None
    cause = next((one.cause for one in _unfinished(case) if one.cause is not None), None)
    so_far = f"; so far {cause}" if cause else ""
    return give_up(case, case.fail(FailureKind.DEADLINE, f"its deadline is over{so_far}"))


def wait_for_rollout(case: Case) -> Decision:
    """Something will change: a pod, a cause that time makes decisive, or a deadline."""
    if not _unfinished(case):
        return case.wait(Reason.LOOK_AGAIN, "a rollout was not looked at", 0.0)
    texts = [f"{one.key.title}: {one.progress}" for one in _unfinished(case)]
    moments = [one.decides_in_s for one in _unfinished(case)]
    moments += [one.progress_deadline_in_s for one in _unfinished(case)]
    left_s = case.intent.limit_s - case.intent.attended_s
    soonest_s = min([PAUSE_MAX_S, *(one for one in moments if one is not None), *([left_s] if left_s > 0 else [])])
    return case.wait(Reason.ROLLOUT, "; ".join(texts), soonest_s)


def _unfinished(case: Case) -> list[RolloutSeen]:
    return [one for one in case.observed.rollouts if not one.complete]
