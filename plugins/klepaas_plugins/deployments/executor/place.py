"""Rows about who decides, on what, and where: lease, age of the look, principal, namespace."""

from klepaas_plugins.deployments.executor.case import PAUSE_MAX_S, Case
from klepaas_plugins.deployments.executor.decisions import Decision, End, Ended, Reason
from klepaas_plugins.deployments.executor.observed import NamespaceState, PrincipalState, Trouble

__all__ = ["LOOK_AGE_MAX_S", "discard_old_look", "end_with_namespace", "wait_for_lease", "wait_for_principal"]

# What was seen longer ago may not be so any more.
LOOK_AGE_MAX_S = 30.0
# SelfSubjectReview answers soon, or the cluster does not answer at all.
_REVIEW_S = 5.0


def wait_for_lease(case: Case) -> Decision | None:
    """Another process holds the operation, so this one only waits."""
    if not case.observed.is_fenced:
        return None
    return case.wait(Reason.LEASE, "another process carries it out", PAUSE_MAX_S)


def discard_old_look(case: Case) -> Decision | None:
    """Age is measured by the monotonic clock; a look from the future is another process's, one with gaps is none."""
    age_s = case.now.monotonic_s - case.observed.at.monotonic_s
    if not 0.0 <= age_s <= LOOK_AGE_MAX_S:
        return case.wait(Reason.LOOK_AGAIN, "what was seen is too old to decide on", 0.0)
    unknown = next((pair.title for pair in case.pairs if pair.is_unknown), None)
    return None if unknown is None else case.wait(Reason.LOOK_AGAIN, f"{unknown} was not looked at", 0.0)


def wait_for_principal(case: Case) -> Decision | None:
    """Until SelfSubjectReview says that it is the same user, nothing is done on that user's behalf."""
    state = case.observed.principal
    if state is PrincipalState.SAME:
        return None
    if state is PrincipalState.OTHER:
        text = "it was begun by another user; a login of that user resumes it"
        return case.wait(Reason.PRINCIPAL, text, PAUSE_MAX_S)
    return case.wait(Reason.PRINCIPAL, "the cluster has not said yet who this process is", _REVIEW_S)


def end_with_namespace(case: Case) -> Decision | None:
    """Nothing can be created in a namespace that ends, and what is in it goes with it."""
    state, name = case.observed.namespace, case.intent.namespace
    error = case.error_of(Trouble.NAMESPACE_ENDING, Trouble.NAMESPACE_MISSING)
    is_missing = state is NamespaceState.ABSENT or (error is not None and error.trouble is Trouble.NAMESPACE_MISSING)
    if state is not NamespaceState.ENDING and not is_missing and error is None:
        return None
    text = f"namespace {name} is gone" if is_missing else f"namespace {name} is terminating"
    return Ended(end=End.NAMESPACE_GONE, text=text, stays=case.stays)
