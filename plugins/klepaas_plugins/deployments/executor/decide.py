"""The decision: a table of rows, read from the top; the first row that has something to say decides.

It reads intent and observation, asks nobody and changes nothing, so it can be called as often as somebody likes, by any
process, after any crash. Rows of one topic stand in a module of their own; their order is here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from klepaas_plugins.deployments.executor import ending, objects, place, rollouts, trouble
from klepaas_plugins.deployments.executor.case import Case
from klepaas_plugins.deployments.executor.decisions import Decision, End, Ended, Reason, Wait
from klepaas_plugins.deployments.executor.intent import Intent
from klepaas_plugins.deployments.executor.observed import Moment, Observed

__all__ = ["ROWS", "Row", "decide", "decide_by_row"]


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        title: What it says, as a sentence.
        judge: The decision; None where the row says nothing to a case.
    """

    title: str
    judge: Callable[[Case], Decision | None]


ROWS: tuple[Row, ...] = (
    # Who decides, on what.
    Row("a process that lost its lease writes nothing", place.wait_for_lease),
    Row("a look that is old or has gaps decides nothing", place.discard_old_look),
    Row("a cancel before the first write ends it", ending.end_unsent_cancel),
    Row("only the same user and groups carry it out", place.wait_for_principal),
    Row("a namespace that ends or is gone ends the operation", place.end_with_namespace),
    Row("what its record says has passed is not judged again", ending.accept_record),
    # Errors are observations.
    Row("without an answer, credentials or rights it waits, for hours", trouble.wait_out_trouble),
    Row("what only a new look can tell is looked at again", trouble.look_again),
    Row("a kind that is no longer served is looked for once more, then it ends", trouble.end_without_kind),
    Row("a text of admission decides, whatever its code", trouble.fail_on_refusal),
    Row("a webhook that cannot be called is waited for until the deadline", trouble.wait_for_webhook),
    # Objects of others.
    Row("an object that somebody deleted or made again is never made again", objects.end_on_deletion),
    Row("a path that another writer set since is never written again", objects.end_on_other_writer),
    Row("an object that somebody else made meanwhile is left alone", objects.leave_object_of_others),
    # Everything is as wanted: whatever was noted before, it is never undone.
    Row("as wanted and complete for long enough is the end", ending.end_as_wanted),
    # Going on or going back.
    Row("a cancel goes back", ending.go_back_on_cancel),
    Row("a failure that was noted goes back, unless the rollout is complete by now", ending.go_back_on_noted_failure),
    Row("an object that ends is waited for, then it is made", objects.wait_for_ending_object),
    Row("what was written three times and is not as wanted has failed", objects.limit_writes),
    Row("what makes the process crash has failed", objects.limit_crashes),
    Row("what is missing is written", objects.write_missing),
    # The rollout of what was written.
    Row("a complete rollout has to stay complete", rollouts.wait_for_hold),
    Row("a decisive cause is a failure", rollouts.fail_on_cause),
    Row("a rollout that a person paused is waited for, then left as it is", rollouts.wait_while_paused),
    Row(
        "an attended deadline is a failure, unless the controller gives it time",
        rollouts.fail_on_deadline,
    ),
    Row("a rollout under way is waited for", rollouts.wait_for_rollout),
)


def decide(intent: Intent, observed: Observed, now: Moment) -> Decision:
    """What to do next.

    Args:
        intent: What the operation wants.
        observed: What is there.
        now: The moment, by the clocks of the process that observed.
    """
    return decide_by_row(intent, observed, now)[1]


def decide_by_row(intent: Intent, observed: Observed, now: Moment) -> tuple[Row, Decision]:
    """What to do next, and the row that says so.

    Args:
        intent: What the operation wants.
        observed: What is there.
        now: The moment, by the clocks of the process that observed.
    """
    case = Case(intent, observed, now)
    for row in ROWS:
        found = row.judge(case)
        if found is not None:
            return row, _give_way(case, found)
    raise AssertionError("the last row says something to every case")


def _give_way(case: Case, found: Decision) -> Decision:
    """A wait blocks nobody: a newer change of the same target takes its place, with its restore target."""
    newer = case.observed.newer_operation
    if newer is None or not isinstance(found, Wait) or found.reason in (Reason.LEASE, Reason.LOOK_AGAIN):
        return found
    text = f"superseded by operation {newer}, while it waited for {found.reason}"
    return Ended(end=End.SUPERSEDED, text=text, stays=case.stays)
