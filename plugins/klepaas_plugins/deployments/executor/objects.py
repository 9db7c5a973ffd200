"""Rows about objects: what others did to them, and what is still to be written.

Sources: Kubernetes, "Server-Side Apply", section "Conflicts"; "Finalizers"; "Automatic Cleanup for Finished Jobs".
"""

from klepaas_plugins.deployments.executor.case import PAUSE_MIN_S, Case, Pair
from klepaas_plugins.deployments.executor.decisions import Apply, Decision, End, Ended, Reason
from klepaas_plugins.deployments.executor.ending import give_up
from klepaas_plugins.deployments.executor.intent import CRASHES_MAX, WRITES_MAX, FailureKind, Phase
from klepaas_plugins.deployments.executor.observed import Presence

__all__ = [
    "end_on_deletion",
    "end_on_other_writer",
    "leave_object_of_others",
    "limit_crashes",
    "limit_writes",
    "wait_for_ending_object",
    "write_missing",
]

_PATHS_MAX = 8


def end_on_deletion(case: Case) -> Decision | None:
    """Somebody does not want it any more; what has a time to live would be made for ever."""
    pair = next((one for one in case.pairs if not one.wanted.is_removal and one.is_vanished), None)
    if pair is None:
        return None
    how = {Presence.LIVE: "deleted and created again", Presence.ENDING: "deleted and is ending"}
    text = f"{pair.title} was {how.get(pair.seen.presence, 'deleted')} by somebody meanwhile"
    needs_person = case.intent.phase is Phase.RESTORE
    return Ended(end=End.DELETED, text=text, stays=case.stays, needs_person=needs_person)


def end_on_other_writer(case: Case) -> Decision | None:
    """Another writer disagrees; writing again would be a fight, and what runs is not what was wanted."""
    taken = [(pair, pair.takers) for pair in case.pairs if pair.takers]
    if not taken:
        return None
    texts = [_describe(pair, by) for pair, by in taken]
    needs_person = case.intent.phase is Phase.RESTORE
    return Ended(end=End.SUPERSEDED, text="; ".join(texts), stays=case.stays, needs_person=needs_person)


def _describe(pair: Pair, takers: tuple[tuple[str, str], ...]) -> str:
    managers = ", ".join(dict.fromkeys(manager for manager, _ in takers))
    paths = list(dict.fromkeys(path for _, path in takers))
    more = f" and {len(paths) - _PATHS_MAX} more" if len(paths) > _PATHS_MAX else ""
    return f"superseded by {managers}, which set {', '.join(paths[:_PATHS_MAX])}{more} of {pair.title}"


def leave_object_of_others(case: Case) -> Decision | None:
    """It was not there when the change was planned, and klepaas has set nothing of what is there now."""
    pair = next((one for one in case.pairs if _is_of_others(one)), None)
    if pair is None:
        return None
    return give_up(case, case.fail(FailureKind.CHANGED, f"{pair.title} was created by somebody else meanwhile"))


def _is_of_others(pair: Pair) -> bool:
    wanted, seen = pair.wanted, pair.seen
    if wanted.is_removal or wanted.known_uid is not None or seen.presence is not Presence.LIVE:
        return False
    return wanted.attempts == 0 or not seen.is_ours


def wait_for_ending_object(case: Case) -> Decision | None:
    """It was ending when the change was planned; what is applied to it now would vanish with it."""
    pair = next((one for one in case.pairs if _is_in_the_way(one)), None)
    if pair is None:
        return None
    text = f"{pair.title} is being deleted"
    if case.is_late:
        return give_up(case, case.fail(FailureKind.DEADLINE, f"{text} and is not gone"))
    return case.wait(Reason.ENDING_OBJECT, f"{text}; it is created once it is gone", PAUSE_MIN_S)


def _is_in_the_way(pair: Pair) -> bool:
    is_ending = pair.seen.presence is Presence.ENDING
    return is_ending and not pair.wanted.is_removal and pair.wanted.known_uid is None


def limit_writes(case: Case) -> Decision | None:
    """Three writes came to nothing."""
    pair = next((one for one in case.pairs if not one.is_settled and one.wanted.attempts >= WRITES_MAX), None)
    if pair is None:
        return None
    paths = [one.path for one in pair.remaining[:_PATHS_MAX]]
    what = f": {', '.join(paths)}" if paths else ""
    text = f"{pair.title} was written {pair.wanted.attempts} times and is not as wanted{what}"
    return give_up(case, case.fail(FailureKind.WRITES, text))


def limit_crashes(case: Case) -> Decision | None:
    """A crash while it is only waited for costs nothing; crashes on the way to a write would go on for ever."""
    if case.intent.crashes < CRASHES_MAX or case.is_settled:
        return None
    text = f"its process ended {case.intent.crashes} times before everything was written"
    return give_up(case, case.fail(FailureKind.CRASHES, text))


def write_missing(case: Case) -> Decision | None:
    """Everything that is not as wanted, in the intent's order."""
    keys = tuple(pair.wanted.key for pair in case.pairs if not pair.is_settled)
    if not keys:
        return None
    if case.is_late:
        return give_up(case, case.fail(FailureKind.DEADLINE, "its deadline is over and not everything is written"))
    return Apply(keys)
