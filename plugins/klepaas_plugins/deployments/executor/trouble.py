"""Rows about errors. What an error means was read from its text and cause first, not from its code (`failures`)."""

from klepaas_plugins.deployments.executor.case import PAUSE_MIN_S, Case
from klepaas_plugins.deployments.executor.decisions import Decision, End, Ended, Reason
from klepaas_plugins.deployments.executor.ending import give_up
from klepaas_plugins.deployments.executor.intent import FailureKind
from klepaas_plugins.deployments.executor.observed import Trouble

__all__ = ["end_without_kind", "fail_on_refusal", "look_again", "wait_for_webhook", "wait_out_trouble"]

_REASONS = {
    Trouble.CREDENTIALS: Reason.CREDENTIALS,
    Trouble.RIGHTS: Reason.RIGHTS,
    Trouble.RATE_LIMITED: Reason.RATE_LIMITED,
    Trouble.UNREACHABLE: Reason.UNREACHABLE,
}
_DISCOVERIES_MAX = 1


def wait_out_trouble(case: Case) -> Decision | None:
    """Nobody can say how things are, so nothing is written and nothing is undone."""
    error = case.observed.blocking_trouble
    if error is None:
        return None
    return case.wait(_REASONS[error.trouble], error.text, case.pause_s(error.since_s))


def look_again(case: Case) -> Decision | None:
    """A version moved, or an outcome is unknown: the next look tells."""
    error = case.error_of(Trouble.STALE)
    return None if error is None else case.wait(Reason.LOOK_AGAIN, error.text, PAUSE_MIN_S)


def end_without_kind(case: Case) -> Decision | None:
    """Discovery may lag behind a definition that was just made; after one more look it does not."""
    error = case.error_of(Trouble.NOT_SERVED)
    if error is None:
        return None
    if case.observed.discoveries < _DISCOVERIES_MAX:
        return case.wait(Reason.DISCOVERY, error.text, 0.0)
    return Ended(end=End.NOT_SERVED, text=error.text, stays=case.stays, needs_person=case.intent.begun)


def fail_on_refusal(case: Case) -> Decision | None:
    """Admission, quota, validation: asking again gets the same answer."""
    error = case.decisive_error(Trouble.ADMISSION, Trouble.REFUSED, Trouble.OWNED)
    if error is None:
        return None
    return give_up(case, case.fail(FailureKind.ADMISSION, error.text))


def wait_for_webhook(case: Case) -> Decision | None:
    """It may come back; at the deadline its last error decides."""
    error = case.decisive_error(Trouble.WEBHOOK_UNREACHABLE)
    if error is None:
        return None
    if case.is_late:
        return give_up(case, case.fail(FailureKind.ADMISSION, error.text))
    return case.wait(Reason.WEBHOOK, error.text, case.pause_s(error.since_s))
