"""Rows about the end: as wanted, cancelled, failed; and the one way of giving up, which goes back where it can."""

from klepaas_plugins.deployments.executor.case import Case
from klepaas_plugins.deployments.executor.decisions import Decision, End, Ended, Restore, Verify
from klepaas_plugins.deployments.executor.intent import RESTORES_MAX, Failure, FailureKind, Phase
from klepaas_plugins.deployments.executor.observed import RecordState

__all__ = [
    "accept_record",
    "end_as_wanted",
    "end_unsent_cancel",
    "give_up",
    "go_back_on_cancel",
    "go_back_on_noted_failure",
]


def give_up(case: Case, failure: Failure) -> Decision:
    """It cannot be had: go back, or end and say what stays.

    Args:
        case: The case, in which nothing is as wanted: the rows above have looked.
        failure: Why; a failure that was noted before stays the first one.
    """
    intent = case.intent
    if intent.phase is Phase.RESTORE:
        text = f"going back to {_target_title(case)} failed: {failure.text}"
        first = intent.failure or failure
        return Ended(end=End.NEEDS_PERSON, text=text, stays=case.stays, needs_person=True, failure=first)
    failure = intent.failure or failure
    end = End.CANCELLED if failure.kind is FailureKind.CANCELLED else End.FAILED
    if not intent.begun:
        end = End.REFUSED if failure.kind is FailureKind.ADMISSION else end
        return Ended(end=end, text=failure.text, failure=failure)
    why_left = _why_left(case)
    if why_left is not None or intent.restore_target is None:
        text = f"{failure.text}; {why_left}" if why_left else failure.text
        return Ended(end=end, text=text, stays=case.stays, failure=failure)
    return Restore(intent.restore_target, failure)


def _why_left(case: Case) -> str | None:
    """Why it is not gone back. None: it is."""
    intent = case.intent
    if intent.restore_target is None:
        return "there is no earlier release to go back to"
    if not intent.auto_rollback:
        return "going back by itself is switched off"
    return "it went back once already" if intent.restores >= RESTORES_MAX else None


def _target_title(case: Case) -> str:
    target = case.intent.restore_target
    return target.title if target is not None else "what was there before"


def end_unsent_cancel(case: Case) -> Decision | None:
    """Nothing was sent, so nothing has to be looked at."""
    if not case.intent.cancel_requested or case.intent.begun:
        return None
    failure = case.fail(FailureKind.CANCELLED, "it was cancelled")
    return Ended(end=End.CANCELLED, text="it was cancelled before anything was sent", failure=failure)


def accept_record(case: Case) -> Decision | None:
    """A process put on record that it stayed complete, and died before it said so."""
    if case.intent.phase is not Phase.APPLY or case.observed.record is not RecordState.PASSED:
        return None
    return Verify(("the release's record",), marks_record=False)


def end_as_wanted(case: Case) -> Decision | None:
    """The wanted state is there; no failure that was noted, no deadline and no cancel undoes it."""
    if not case.is_proven:
        return None
    rollouts = [f"{one.key.title}: {one.progress}, for {one.held_s:.0f} s" for one in case.observed.rollouts]
    if case.intent.phase is Phase.APPLY:
        return Verify((*(pair.title for pair in case.pairs), *rollouts))
    failure = case.intent.failure
    why = f": {failure.text}" if failure is not None else ""
    end = End.CANCELLED if failure is not None and failure.kind is FailureKind.CANCELLED else End.ROLLED_BACK
    return Ended(end=end, text=f"it went back to {_target_title(case)}{why}", stays=case.stays, failure=failure)


def go_back_on_cancel(case: Case) -> Decision | None:
    """A person wants it back as it was; going back itself is not cancelled."""
    if not case.intent.cancel_requested or case.intent.phase is Phase.RESTORE:
        return None
    return give_up(case, case.fail(FailureKind.CANCELLED, "it was cancelled"))


def go_back_on_noted_failure(case: Case) -> Decision | None:
    """A failure that an earlier process noted stands, unless what it was about has come to life since.

    A rollout that is complete by now has to prove it by staying so (`rollouts.wait_for_hold`), and one that a person
    paused since is that person's.
    """
    failure = case.intent.failure
    if failure is None or case.intent.phase is Phase.RESTORE or case.is_complete:
        return None
    if case.is_settled and case.paused_rollout is not None:
        return None
    return give_up(case, failure)
