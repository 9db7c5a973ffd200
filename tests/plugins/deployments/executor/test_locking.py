"""What excludes what, for how long, and what may be said of an operation whose store failed."""

import pytest

from klepaas_plugins.deployments.executor.locking import Lease, lock_key
from klepaas_plugins.deployments.executor.submission import LookUp, Submission, describe_submission, judge_submission

NOW_S, LASTS_S = 1_800_000_000.0, 3.0


def test_operations_are_locked_by_the_uid_of_the_targets_namespace_kind_and_name() -> None:
    one = lock_key("uid-1", "api.example.com", "shop", "Deployment", "web")
    assert one == lock_key("uid-1", "10.0.0.1", "shop", "deployment", "web"), "one cluster by two addresses"
    others = [("uid-2", "shop", "Deployment", "web"), ("uid-1", "shop", "StatefulSet", "web")]
    assert one not in [lock_key(uid, "api.example.com", ns, kind, name) for uid, ns, kind, name in others]


def test_without_the_uid_they_are_locked_by_the_clusters_identity() -> None:
    one = lock_key(None, "api.example.com", "shop", "Deployment", "web")
    assert one != lock_key(None, "other.example.com", "shop", "Deployment", "web")
    assert one != lock_key(None, "api.example.com", "another", "Deployment", "web")


@pytest.mark.parametrize(
    ("until_s", "is_free"), [(NOW_S - 1, True), (NOW_S, True), (NOW_S + 1, False), (NOW_S + LASTS_S, False)]
)
def test_a_lease_is_free_when_it_is_over(until_s: float, is_free: bool) -> None:
    assert Lease(epoch=1, until_wall_s=until_s, lasts_s=LASTS_S).is_free(NOW_S) is is_free


def test_a_lease_further_ahead_than_it_lasts_counts_as_expired() -> None:
    assert Lease(epoch=1, until_wall_s=NOW_S + 36_000, lasts_s=LASTS_S).is_free(NOW_S)


@pytest.mark.parametrize("jump_s", [-36_000.0, 0.0, 36_000.0])
def test_where_a_process_holds_a_lease_monotonic_time_and_epoch_decide_whatever_the_clock_says(jump_s: float) -> None:
    lease = Lease(epoch=4, until_wall_s=NOW_S + jump_s, lasts_s=LASTS_S, until_monotonic_s=1003.0)
    assert lease.is_held(4, 1002.9)
    assert not lease.is_held(4, 1003.0)
    assert not lease.is_held(3, 1000.0)


def test_refused_means_not_done() -> None:
    for look_up in (LookUp.FAILED, LookUp.NOT_TRIED):
        assert judge_submission(is_committed=False, look_up=look_up, may_still_commit=False) is Submission.UNKNOWN
    assert judge_submission(is_committed=False, look_up=LookUp.ABSENT, may_still_commit=False) is Submission.REFUSED


def test_a_limit_around_a_commit_that_cannot_be_recalled_is_no_refusal() -> None:
    found = judge_submission(is_committed=False, look_up=LookUp.ABSENT, may_still_commit=True)
    assert describe_submission(found, "op-7").startswith("outcome unknown, operation op-7")


def test_an_operation_that_is_found_again_goes_on_and_is_named() -> None:
    found = judge_submission(is_committed=False, look_up=LookUp.FOUND, may_still_commit=True)
    assert describe_submission(found, "op-7") == "operation op-7 goes on"
