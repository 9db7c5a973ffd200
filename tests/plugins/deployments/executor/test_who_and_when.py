"""The rows about who decides and when: waiting, principals, clocks, looks, leases, records; and what status says."""

from dataclasses import replace

import pytest
from tests.plugins.deployments.executor.cases import (
    IMAGE,
    NOW,
    SETTINGS,
    WEB,
    complete,
    decision,
    error,
    gone,
    intent,
    later,
    live,
    observed,
    rolling,
    sent,
    wanted,
)
from tests.plugins.deployments.executor.test_rows import HOURS_S, ended, waits

from klepaas_plugins.deployments.executor.decisions import Apply, End, Reason, Restore, Verify
from klepaas_plugins.deployments.executor.observed import (
    Presence,
    PrincipalState,
    RecordState,
    Trouble,
)
from klepaas_plugins.deployments.executor.recording import (
    inherit_restore_target,
    record_attention,
)
from klepaas_plugins.deployments.executor.wording import describe_state


def test_waiting_blocks_nobody_a_new_change_supersedes_what_waits_and_inherits_its_restore_target() -> None:
    for seen in (
        observed(newer_operation="op-2"),
        observed(gone(WEB, Presence.UNKNOWN, error=error(Trouble.UNREACHABLE)), newer_operation="op-2", rollouts=()),
        observed(principal=PrincipalState.OTHER, newer_operation="op-2"),
    ):
        found = ended(intent(), seen)
        assert found.end is End.SUPERSEDED
        assert "op-2" in found.text
        assert found.stays == ("Written: Deployment web",)
    new = intent(wanted(), operation_id="op-2", restore_target=None)
    assert inherit_restore_target(new, intent()).restore_target == intent().restore_target
    assert inherit_restore_target(new, intent(wanted())).restore_target is None


def test_a_new_change_does_not_interrupt_a_write_or_a_restore() -> None:
    assert decision(intent(wanted()), observed(live(WEB, IMAGE), newer_operation="op-2")) == Apply((WEB,))
    failing = observed(rollouts=(rolling(failure="it crashes"),), newer_operation="op-2")
    assert isinstance(decision(intent(), failing), Restore)


@pytest.mark.parametrize("state", [PrincipalState.OTHER, PrincipalState.UNKNOWN])
def test_only_the_same_user_carries_it_out_and_until_the_review_answers_it_waits(state: PrincipalState) -> None:
    seen = observed(live(WEB, IMAGE), principal=state)
    assert waits(intent(wanted()), seen).reason is Reason.PRINCIPAL


def test_unattended_or_unreachable_time_does_not_count_into_the_deadline() -> None:
    broken = observed(gone(WEB, Presence.UNKNOWN, error=error(Trouble.UNREACHABLE)), rollouts=())
    well = observed()
    what = intent()
    at = later(20)
    assert record_attention(what, well, replace(well, at=at)).attended_s == 20
    assert record_attention(what, None, replace(well, at=at)).attended_s == 0
    assert record_attention(what, broken, replace(well, at=at)).attended_s == 0
    assert record_attention(what, well, replace(broken, at=at)).attended_s == 0
    # A laptop that was closed over night comes back with the same process.
    assert record_attention(what, well, replace(well, at=later(HOURS_S))).attended_s < 120


@pytest.mark.parametrize("jump_s", [-HOURS_S, HOURS_S])
def test_the_clock_set_back_or_forward_decides_nothing(jump_s: float) -> None:
    jumped = replace(NOW, wall_s=NOW.wall_s + jump_s)
    cases = [
        (intent(), observed(rollouts=(complete(held_s=4.0),))),
        (intent(), observed(rollouts=(rolling(),))),
        (intent(wanted()), observed(live(WEB, IMAGE))),
        (intent(attended_s=899.0), observed()),
    ]
    for what, seen in cases:
        there = replace(seen, at=jumped)
        assert decision(what, there, jumped) == decision(what, seen)
        assert record_attention(what, seen, there).attended_s == what.attended_s


def test_a_look_that_is_old_or_has_gaps_decides_nothing() -> None:
    failing = observed(rollouts=(rolling(failure="it crashes"),))
    assert waits(intent(), failing, later(31)).reason is Reason.LOOK_AGAIN
    assert waits(intent(), replace(failing, at=later(5))).reason is Reason.LOOK_AGAIN
    for seen in (
        replace(observed(), objects=()),
        observed(live(WEB, remaining=None)),
        observed(gone(WEB, Presence.UNKNOWN)),
        observed(rollouts=()),
    ):
        assert waits(intent(), seen).reason is Reason.LOOK_AGAIN


def test_a_process_that_lost_its_lease_writes_nothing() -> None:
    assert waits(intent(wanted()), observed(live(WEB, IMAGE), is_fenced=True)).reason is Reason.LEASE


def test_what_only_a_new_look_can_tell_is_looked_at_again() -> None:
    seen = observed(live(WEB, IMAGE, error=error(Trouble.STALE)))
    assert waits(intent(wanted()), seen).reason is Reason.LOOK_AGAIN


def test_what_its_record_says_has_passed_is_verified_though_its_process_died_before_it_said_so() -> None:
    found = decision(intent(), observed(record=RecordState.PASSED, rollouts=(rolling(failure="ill since"),)))
    assert isinstance(found, Verify)
    assert not found.marks_record


def test_a_first_deployment_under_way_is_shown_as_such_by_status() -> None:
    first = intent(wanted(uid=None, attempts=1), restore_target=None)
    seen = observed(live(WEB))
    text = describe_state(first, decision(first, seen))
    assert text.startswith("first deployment under way; waits for the rollout: Deployment web: 0 of 1 pods ready")
    later_one = intent()
    assert describe_state(later_one, decision(later_one, seen)).startswith("deploy under way")


def test_status_says_what_is_waited_for_and_what_stays() -> None:
    what = intent(sent(SETTINGS), wanted(WEB))
    broken = gone(WEB, Presence.UNKNOWN, error=error(Trouble.RIGHTS, "cannot patch resource"))
    text = describe_state(what, decision(what, observed(live(SETTINGS), broken)))
    assert text == (
        "deploy under way; waits for rights: cannot patch resource; Written: ConfigMap settings; "
        "Not written: Deployment web"
    )
