"""The rows of the decision, each by the sentence that it stands for."""

from dataclasses import replace
from typing import Any

import pytest
from tests.plugins.deployments.executor.cases import (
    IMAGE,
    NOW,
    SETTINGS,
    WALL_S,
    WEB,
    complete,
    decision,
    error,
    gone,
    intent,
    live,
    observed,
    rolling,
    sent,
    wanted,
)

from klepaas.changes import FieldChange
from klepaas_plugins.deployments.executor.decide import ROWS, decide_by_row
from klepaas_plugins.deployments.executor.decisions import Apply, End, Ended, Reason, Restore, Verify, Wait
from klepaas_plugins.deployments.executor.intent import (
    CRASHES_MAX,
    WRITES_MAX,
    Failure,
    FailureKind,
    Intent,
    ObjectKey,
    Phase,
    Takeover,
)
from klepaas_plugins.deployments.executor.observed import (
    NamespaceState,
    Observed,
    Presence,
    PrincipalState,
    RecordState,
    Trouble,
)
from klepaas_plugins.deployments.executor.recording import (
    begin_restore,
    record_answer,
    record_cancel,
    record_failure,
    record_look,
)

FAILED = Failure(FailureKind.ROLLOUT, "container web of pod web-1: CrashLoopBackOff", WALL_S)
HOURS_S = 36_000.0
EVERYTHING_WAITS = (Trouble.CREDENTIALS, Trouble.RIGHTS, Trouble.RATE_LIMITED, Trouble.UNREACHABLE)


def ended(what: Intent, seen: Observed) -> Ended:
    found = decision(what, seen)
    assert isinstance(found, Ended), found
    return found


def waits(what: Intent, seen: Observed, now: Any = NOW) -> Wait:
    found = decision(what, seen, now)
    assert isinstance(found, Wait), found
    assert found.until_s >= now.monotonic_s
    return found


def set_by(manager: str, path: str = IMAGE.path) -> FieldChange:
    return FieldChange(path=path, before="theirs", after="ours", owners=(manager,))


# Going on.


def test_what_is_not_as_wanted_is_applied_in_the_intents_order() -> None:
    what = intent(wanted(SETTINGS), wanted(WEB))
    assert decision(what, observed(live(WEB, IMAGE), live(SETTINGS, IMAGE))) == Apply((SETTINGS, WEB))


def test_what_is_as_wanted_is_not_written_again() -> None:
    what = intent(wanted(SETTINGS), wanted(WEB))
    assert decision(what, observed(live(SETTINGS), live(WEB, IMAGE))) == Apply((WEB,))


def test_an_object_that_is_not_there_is_made() -> None:
    assert decision(intent(wanted(uid=None)), observed(gone(), rollouts=())) == Apply((WEB,))


def test_a_removal_is_done_when_the_object_is_gone_and_another_of_its_name_is_left_alone() -> None:
    removal = replace(wanted(SETTINGS), body=None)
    what = intent(sent(), removal)
    assert decision(what, observed(live(), live(SETTINGS), rollouts=(complete(),))) == Apply((SETTINGS,))
    for seen in (gone(SETTINGS), gone(SETTINGS, Presence.ENDING), live(SETTINGS, uid="another")):
        assert isinstance(decision(what, observed(live(), seen, rollouts=(complete(),))), Verify)


def test_a_rollout_under_way_is_waited_for_until_something_can_change() -> None:
    found = waits(intent(), observed(rollouts=(rolling(decides_in_s=7.0, progress_deadline_in_s=500.0),)))
    assert (found.reason, found.until_s) == (Reason.ROLLOUT, NOW.monotonic_s + 7.0)


def test_a_write_whose_outcome_is_unknown_is_made_again_only_where_the_look_says_that_it_is_missing() -> None:
    what = intent(wanted(attempts=1))
    assert decision(what, observed(live(WEB, IMAGE))) == Apply((WEB,))
    assert waits(what, observed(live(WEB))).reason is Reason.ROLLOUT


def test_an_object_is_written_three_times_at_most() -> None:
    found = decision(intent(wanted(attempts=WRITES_MAX)), observed(live(WEB, IMAGE)))
    assert isinstance(found, Restore)
    assert IMAGE.path in found.failure.text


def test_crashes_before_everything_is_written_end_and_crashes_while_it_is_waited_for_do_not() -> None:
    what = intent(wanted(attempts=1), crashes=CRASHES_MAX)
    found = decision(what, observed(live(WEB, IMAGE)))
    assert isinstance(found, Restore)
    assert found.failure.kind is FailureKind.CRASHES
    assert waits(what, observed(live(WEB))).reason is Reason.ROLLOUT


# Errors are observations.


@pytest.mark.parametrize("trouble", EVERYTHING_WAITS)
@pytest.mark.parametrize("phase", Phase)
def test_without_credentials_rights_or_an_answer_it_waits_for_hours_and_says_what_stays(
    trouble: Trouble, phase: Phase
) -> None:
    what = intent(sent(SETTINGS), wanted(WEB), phase=phase, failure=FAILED, attended_s=HOURS_S)
    broken = gone(WEB, Presence.UNKNOWN, error=error(trouble, since_s=WALL_S - HOURS_S))
    found = waits(what, observed(live(SETTINGS), broken, rollouts=()))
    assert found.text == "it says so"
    assert found.stays == ("Written: ConfigMap settings", "Not written: Deployment web")
    assert found.until_s <= NOW.monotonic_s + 60


def test_an_error_of_the_rollouts_look_waits_too() -> None:
    found = waits(intent(), observed(rollouts=(rolling(error=error(Trouble.RIGHTS)),)))
    assert found.reason is Reason.RIGHTS


def test_a_text_of_admission_decides_and_goes_back_where_something_was_written() -> None:
    denied = live(WEB, IMAGE, error=error(Trouble.ADMISSION, 'admission webhook "x" denied the request: no'))
    found = decision(intent(sent(SETTINGS), wanted(WEB)), observed(live(SETTINGS), denied))
    assert isinstance(found, Restore)
    assert "denied" in found.failure.text


def test_a_refusal_before_anything_was_written_leaves_nothing_to_undo() -> None:
    found = ended(intent(wanted()), observed(live(WEB, IMAGE, error=error(Trouble.ADMISSION))))
    assert (found.end, found.stays) == (End.REFUSED, ())


def test_a_quota_that_refuses_our_object_decides() -> None:
    denied = gone(WEB, error=error(Trouble.ADMISSION, "exceeded quota: pods"))
    assert ended(intent(wanted(uid=None)), observed(denied, rollouts=())).end is End.REFUSED


def test_a_policy_that_came_after_our_write_undoes_nothing() -> None:
    for trouble in (Trouble.ADMISSION, Trouble.REFUSED, Trouble.WEBHOOK_UNREACHABLE):
        seen = observed(live(WEB, error=error(trouble)), rollouts=(complete(),))
        assert isinstance(decision(intent(attended_s=HOURS_S), seen), Verify)


def test_a_webhook_that_cannot_be_called_is_waited_for_with_its_last_error_and_decides_at_the_deadline() -> None:
    text = 'failed calling webhook "x": connection refused'
    seen = observed(live(WEB, IMAGE, error=error(Trouble.WEBHOOK_UNREACHABLE, text)))
    found = waits(intent(wanted()), seen)
    assert (found.reason, found.text) == (Reason.WEBHOOK, text)
    assert text in found.text
    late = ended(intent(wanted(), attended_s=900.0), seen)
    assert (late.end, late.text) == (End.REFUSED, text)


def test_a_kind_that_is_no_longer_served_is_discovered_once_more_then_it_ends_naming_it() -> None:
    missing = gone(WEB, Presence.UNKNOWN, error=error(Trouble.NOT_SERVED, "no matches for kind Widget"))
    assert waits(intent(), observed(missing)).reason is Reason.DISCOVERY
    found = ended(intent(), observed(missing, discoveries=1))
    assert (found.end, found.text) == (End.NOT_SERVED, "no matches for kind Widget")
    assert found.stays == ("Written: Deployment web",)


@pytest.mark.parametrize(
    "seen",
    [
        observed(namespace=NamespaceState.ENDING),
        observed(namespace=NamespaceState.ABSENT),
        observed(live(WEB, IMAGE, error=error(Trouble.NAMESPACE_ENDING))),
        observed(gone(WEB, error=error(Trouble.NAMESPACE_MISSING)), rollouts=()),
    ],
)
def test_a_namespace_that_is_terminating_ends_it(seen: Observed) -> None:
    for phase in Phase:
        assert ended(intent(phase=phase), seen).end is End.NAMESPACE_GONE


# Other writers.


@pytest.mark.parametrize("phase", Phase)
def test_another_writers_path_after_our_write_is_superseded_by_that_manager_and_never_written_again(
    phase: Phase,
) -> None:
    seen = observed(live(WEB, set_by("kubectl-edit")), rollouts=(complete(),))
    found = ended(intent(phase=phase), seen)
    assert found.end is End.SUPERSEDED
    assert "superseded by kubectl-edit" in found.text
    assert IMAGE.path in found.text
    assert found.stays[-1] == "Written: Deployment web"


def test_a_path_that_somebody_removed_after_our_write_is_superseded_too() -> None:
    assert "superseded by somebody" in ended(intent(), observed(live(WEB, IMAGE))).text


def test_a_superseded_change_is_never_verified_and_never_restored_however_the_rollout_is() -> None:
    for rollout in (rolling(failure="it crashes"), complete(), rolling(paused=True)):
        seen = observed(live(WEB, set_by("argocd-controller")), rollouts=(rollout,))
        assert ended(intent(failure=FAILED), seen).end is End.SUPERSEDED


def test_an_autoscalers_replicas_do_not_count() -> None:
    change = set_by("kube-controller-manager", "spec.replicas")
    seen = observed(live(WEB, change), rollouts=(complete(),))
    assert isinstance(decision(intent(sent(is_autoscaled=True)), seen), Verify)
    assert ended(intent(sent()), seen).end is End.SUPERSEDED


def test_paths_that_a_webhook_changed_in_our_own_answer_do_not_count() -> None:
    sidecar = set_by("istio", "spec.template.spec.containers[proxy].image")
    what = intent(sent(webhook_paths=("spec.template.spec.containers[proxy]",)))
    assert isinstance(decision(what, observed(live(WEB, sidecar), rollouts=(complete(),))), Verify)
    assert ended(what, observed(live(WEB, set_by("istio")), rollouts=(complete(),))).end is End.SUPERSEDED


def test_fields_are_taken_only_from_managers_that_the_plan_names() -> None:
    allowed = wanted(takeovers=(Takeover("spec.template", "kubectl-edit"),))
    assert decision(intent(allowed), observed(live(WEB, set_by("kubectl-edit")))) == Apply((WEB,))
    found = ended(intent(allowed), observed(live(WEB, set_by("argocd-controller"))))
    assert (found.end, found.stays) == (End.SUPERSEDED, ())
    # After our write nobody is: then somebody wrote again.
    again = replace(sent(), takeovers=allowed.takeovers)
    assert ended(intent(again), observed(live(WEB, set_by("kubectl-edit")))).end is End.SUPERSEDED


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("seen", [gone(WEB), gone(WEB, Presence.ENDING, uid="uid-web"), live(WEB, uid="another")])
def test_an_object_that_was_deleted_or_recreated_meanwhile_is_never_made_again(phase: Phase, seen: Any) -> None:
    found = ended(intent(sent(SETTINGS), sent(WEB), phase=phase), observed(live(SETTINGS), seen))
    assert found.end is End.DELETED
    assert "by somebody" in found.text
    assert found.stays


def test_an_object_made_by_a_write_of_unknown_outcome_is_not_made_again_once_a_look_has_found_it() -> None:
    what = intent(wanted(uid=None, attempts=1))
    assert decision(what, observed(gone(), rollouts=())) == Apply((WEB,))
    found = record_look(what, observed(live(WEB, uid="made")))
    assert found.objects[0].known_uid == "made"
    assert ended(found, observed(gone(), rollouts=())).end is End.DELETED


def test_an_object_that_somebody_else_made_meanwhile_is_left_alone() -> None:
    theirs = live(WEB, IMAGE, is_ours=False, uid="theirs")
    assert ended(intent(wanted(uid=None)), observed(theirs)).end is End.FAILED
    both = intent(sent(SETTINGS), wanted(uid=None))
    assert isinstance(decision(both, observed(live(SETTINGS), theirs)), Restore)


def test_a_terminating_object_is_waited_for_until_it_is_gone_then_created_else_it_ends() -> None:
    what = intent(wanted(uid=None))
    ending = observed(gone(WEB, Presence.ENDING, uid="old"), rollouts=())
    assert waits(what, ending).reason is Reason.ENDING_OBJECT
    assert decision(what, observed(gone(), rollouts=())) == Apply((WEB,))
    found = ended(replace(what, attended_s=900.0), ending)
    assert (found.end, found.stays) == (End.FAILED, ())


# The rollout.


def test_a_decisive_cause_goes_back_to_the_restore_target() -> None:
    found = decision(intent(), observed(rollouts=(rolling(failure="pod web-1: CrashLoopBackOff"),)))
    assert isinstance(found, Restore)
    assert found.target.release == 1
    assert found.failure.text == "pod web-1: CrashLoopBackOff"


def test_a_decisive_cause_of_the_state_before_does_not_fail_what_is_not_written_yet() -> None:
    seen = observed(live(WEB, IMAGE), rollouts=(rolling(failure="it crashed before"),))
    assert decision(intent(wanted()), seen) == Apply((WEB,))


def test_a_rollout_that_is_complete_has_to_stay_so_before_it_is_verified() -> None:
    found = waits(intent(), observed(rollouts=(complete(held_s=4.0, hold_s=10.0),)))
    assert (found.reason, found.until_s) == (Reason.HOLD, NOW.monotonic_s + 6.0)
    assert isinstance(decision(intent(), observed(rollouts=(complete(held_s=10.0),))), Verify)


def test_a_workload_of_no_pods_need_not_stay_complete() -> None:
    assert isinstance(decision(intent(), observed(rollouts=(complete(held_s=0.0, desired=0),))), Verify)


def test_a_change_without_a_workload_is_verified_once_it_is_there() -> None:
    assert isinstance(decision(intent(sent(SETTINGS)), observed(live(SETTINGS), rollouts=())), Verify)


def test_what_a_person_paused_is_waited_for_then_ended_without_a_restore() -> None:
    seen = observed(rollouts=(rolling(paused=True),))
    for what in (intent(), intent(failure=FAILED)):
        assert waits(what, seen).reason is Reason.PAUSED
        found = ended(replace(what, attended_s=900.0), seen)
        assert found.end is End.PAUSED
        assert found.stays == ("Written: Deployment web",)


def test_a_slow_pull_is_no_failure_before_progress_deadline_seconds() -> None:
    slow = rolling(cause="container web of pod web-1: ContainerCreating", progress_deadline_in_s=300.0)
    assert waits(intent(attended_s=900.0), observed(rollouts=(slow,))).reason is Reason.ROLLOUT
    over = decision(intent(attended_s=900.0), observed(rollouts=(replace(slow, progress_deadline_in_s=None),)))
    assert isinstance(over, Restore)
    assert "ContainerCreating" in over.failure.text


# Before every restore: look.


@pytest.mark.parametrize(
    "more",
    [
        {"failure": FAILED},
        {"attended_s": HOURS_S},
        {"cancel_requested": True},
        {"crashes": 99},
        {"failure": FAILED, "attended_s": HOURS_S, "cancel_requested": True, "crashes": 99},
    ],
)
def test_healthy_and_as_wanted_is_verified_and_never_rolled_back_whatever_was_noted(more: dict[str, Any]) -> None:
    assert isinstance(decision(intent(**more), observed(rollouts=(complete(),))), Verify)


def test_a_noted_failure_that_came_to_life_has_to_stay_so_and_goes_back_when_it_does_not() -> None:
    what = intent(failure=FAILED)
    assert waits(what, observed(rollouts=(complete(held_s=1.0),))).reason is Reason.HOLD
    found = decision(what, observed(rollouts=(rolling(),)))
    assert found == Restore(what.restore_target, FAILED)  # type: ignore[arg-type]


def test_the_first_decisive_failure_stays_the_cause() -> None:
    what = record_failure(intent(failure=FAILED), Failure(FailureKind.DEADLINE, "later", WALL_S))
    found = decision(what, observed(rollouts=(rolling(failure="another"),)))
    assert isinstance(found, Restore)
    assert found.failure == FAILED


def test_a_cancel_before_the_first_write_ends_without_a_look_and_one_after_it_goes_back() -> None:
    broken = gone(WEB, Presence.UNKNOWN, error=error(Trouble.UNREACHABLE))
    found = ended(record_cancel(intent(wanted())), observed(broken, rollouts=()))
    assert (found.end, found.stays) == (End.CANCELLED, ())
    back = decision(record_cancel(intent()), observed())
    assert isinstance(back, Restore)
    assert back.failure.kind is FailureKind.CANCELLED


def test_going_back_itself_is_not_cancelled() -> None:
    what = intent(phase=Phase.RESTORE, cancel_requested=True, failure=FAILED)
    assert waits(what, observed()).reason is Reason.ROLLOUT


def test_without_a_restore_target_or_where_it_is_switched_off_a_failure_is_left_and_says_what_stays() -> None:
    seen = observed(rollouts=(rolling(failure="it crashes"),))
    for what in (intent(restore_target=None), intent(auto_rollback=False), intent(restores=1)):
        found = ended(what, seen)
        assert (found.end, found.stays) == (End.FAILED, ("Written: Deployment web",))


def test_a_restored_state_that_lives_is_the_end_and_names_the_first_failure() -> None:
    what = intent(phase=Phase.RESTORE, failure=FAILED, changed=("Deployment web",))
    found = ended(what, observed(rollouts=(complete(),)))
    assert (found.end, found.failure, found.needs_person) == (End.ROLLED_BACK, FAILED, False)


@pytest.mark.parametrize(
    "seen",
    [
        observed(live(WEB, IMAGE, error=error(Trouble.ADMISSION, "denied"))),
        observed(rollouts=(rolling(failure="it crashes too"),)),
    ],
)
def test_under_a_refused_restore_it_ended_needs_a_person_and_says_what_stays(seen: Observed) -> None:
    what = begin_restore(intent(sent(SETTINGS), sent(WEB)), FAILED, [wanted()])
    found = ended(what, seen)
    assert (found.end, found.needs_person, found.failure) == (End.NEEDS_PERSON, True, FAILED)
    assert found.stays[0] == "Written before going back: ConfigMap settings, Deployment web"


def test_it_goes_back_once_at_most() -> None:
    what = begin_restore(intent(), FAILED, [sent()])
    assert what.restores == 1
    found = ended(what, observed(rollouts=(rolling(failure="again"),)))
    assert found.end is End.NEEDS_PERSON


# The table itself.


def test_every_row_decides_some_case_and_has_a_title_of_its_own() -> None:
    key = ObjectKey(api_version="v1", kind="ConfigMap", name="new", namespace="shop")
    ending = gone(WEB, Presence.ENDING)
    broken = error(Trouble.UNREACHABLE)
    cases = [
        (intent(), observed(is_fenced=True)),
        (intent(), replace(observed(), objects=())),
        (intent(wanted(), cancel_requested=True), observed()),
        (intent(), observed(principal=PrincipalState.OTHER)),
        (intent(), observed(namespace=NamespaceState.ENDING)),
        (intent(), observed(record=RecordState.PASSED)),
        (intent(), observed(gone(WEB, Presence.UNKNOWN, error=broken))),
        (intent(), observed(live(WEB, IMAGE, error=error(Trouble.STALE)))),
        (intent(), observed(gone(WEB, Presence.UNKNOWN, error=error(Trouble.NOT_SERVED)))),
        (intent(wanted()), observed(live(WEB, IMAGE, error=error(Trouble.REFUSED)))),
        (intent(wanted()), observed(live(WEB, IMAGE, error=error(Trouble.WEBHOOK_UNREACHABLE)))),
        (intent(), observed(gone())),
        (intent(), observed(live(WEB, set_by("helm")))),
        (intent(wanted(key, uid=None)), observed(live(key, is_ours=False), rollouts=())),
        (intent(), observed(rollouts=(complete(),))),
        (intent(cancel_requested=True), observed()),
        (intent(failure=FAILED), observed()),
        (intent(wanted(uid=None)), observed(ending, rollouts=())),
        (intent(wanted(attempts=3)), observed(live(WEB, IMAGE))),
        (intent(wanted(), crashes=99), observed(live(WEB, IMAGE))),
        (intent(wanted()), observed(live(WEB, IMAGE))),
        (intent(), observed(rollouts=(complete(held_s=0.0),))),
        (intent(), observed(rollouts=(rolling(failure="it crashes"),))),
        (intent(), observed(rollouts=(rolling(paused=True),))),
        (intent(attended_s=900.0), observed()),
        (intent(), observed()),
    ]
    assert [decide_by_row(what, seen, NOW)[0].title for what, seen in cases] == [row.title for row in ROWS]
    assert len({row.title for row in ROWS}) == len(ROWS)


def test_a_confirmed_write_begins_the_count_of_crashes_anew() -> None:
    what = intent(wanted(attempts=1), crashes=5)
    assert record_answer(what, WEB, sent().answer).crashes == 0  # type: ignore[arg-type]
