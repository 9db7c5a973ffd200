"""The way back: which release is meant by steps, by number and by commit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas.errors import BadRequest, Conflict
from klepaas_plugins.deployments.releases.choosing import candidates, choose, running
from klepaas_plugins.deployments.releases.model import Cause, Release, ReleaseState

VERIFIED, FAILED, PENDING = ReleaseState.PASSED, ReleaseState.FAILED, ReleaseState.PENDING


def _release(number: int, content: str, state: ReleaseState = VERIFIED, **more: Any) -> Release:
    return Release(
        "web", number, state, Cause.DEPLOY, f"deploy {content}", f"app:{content}", content, "2026-11-21T10:00:00Z",
        "alice", f"op-{number}", **more,
    )  # fmt: skip


def _history(*contents: str, **states: ReleaseState) -> list[Release]:
    """Releases 1, 2, ... with these contents, newest first; `r3=FAILED` says how the third is."""
    made = [_release(n, text, states.get(f"r{n}", VERIFIED)) for n, text in enumerate(contents, start=1)]
    return made[::-1]


def _back(releases: list[Release], live: str) -> list[int]:
    return [item.number for item in candidates(releases, live)]


def test_steps_count_from_what_runs_now() -> None:
    assert _back(_history("A", "B", "C"), "C") == [2, 1]
    assert _back(_history("A", "B", "C"), "B") == [1]


def test_the_same_thing_deployed_twice_counts_once() -> None:
    assert _back(_history("A", "B", "B", "C", "C"), "C") == [3, 1]


def test_a_release_that_failed_or_was_never_verified_is_no_step() -> None:
    assert _back(_history("A", "B", "C", "D", r2=FAILED, r3=PENDING), "D") == [1]


def test_after_a_rollback_one_step_goes_further_back_and_not_forward_again() -> None:
    releases = [_release(4, "B", restored_from=2), *_history("A", "B", "C")]
    assert _back(releases, "B") == [1]


def test_a_release_restored_twice_over_is_found_through_both() -> None:
    releases = [_release(5, "B", restored_from=4), _release(4, "B", restored_from=2), *_history("A", "B", "C")]
    assert _back(releases, "B") == [1]


def test_a_rollback_to_a_release_that_is_no_longer_kept_still_counts_from_there() -> None:
    releases = [_release(9, "B", restored_from=4), _release(8, "C"), _release(3, "A")]
    assert _back(releases, "B") == [3]


def test_an_old_thing_deployed_anew_has_what_ran_before_it_behind_it() -> None:
    assert _back(_history("A", "B", "C", "A"), "A") == [3, 2]


def test_a_failed_release_that_was_rolled_back_leaves_the_one_before_as_what_runs() -> None:
    releases = _history("A", "B", "C", r3=FAILED)
    assert running(releases, "B") == releases[1]
    assert _back(releases, "B") == [1]


def test_from_something_changed_by_hand_one_step_is_the_last_verified_release() -> None:
    choice = choose(_history("A", "B"), "by hand")
    assert choice.release.number == 2
    assert "changed outside klepaas" in choice.notes[0]


def test_without_a_way_back_it_says_why() -> None:
    with pytest.raises(Conflict, match=r"no earlier verified release .*2 failed.* 1 step back is not possible"):
        choose(_history("A", "B", r2=FAILED), "A")
    with pytest.raises(Conflict, match="only 1 earlier verified release") as caught:
        choose(_history("A", "B"), "B", steps=2)
    assert "There are: 1 (app:A, verified)" in caught.value.line


def test_a_number_names_any_release_with_a_warning_where_it_was_no_good() -> None:
    releases = [_release(2, "B", FAILED, reason="CrashLoopBackOff"), _release(1, "A")]
    assert choose(releases, "A", number=1).notes == ()
    assert choose(releases, "A", number=2).notes == ("Release 2 failed when it ran: CrashLoopBackOff.",)
    with pytest.raises(BadRequest, match="There is no release 7"):
        choose(releases, "A", number=7)


def test_a_commit_is_named_by_its_beginning_and_prefers_what_was_verified() -> None:
    releases = [
        _release(3, "C", FAILED, commit="abcdef1234"), _release(2, "B", commit="abcdef1234"),
        _release(1, "A", commit="0123456789"),
    ]  # fmt: skip
    assert choose(releases, "C", commit="ABCDEF1").release.number == 2
    with pytest.raises(BadRequest, match="at least 7"):
        choose(releases, "C", commit="abc")
    with pytest.raises(BadRequest, match="No release was built from commit 9999999"):
        choose(releases, "C", commit="9999999")


def test_a_commit_that_two_releases_begin_with_must_be_named_in_full() -> None:
    releases = [_release(2, "B", commit="abcdef1999"), _release(1, "A", commit="abcdef1234")]
    with pytest.raises(BadRequest, match="Several releases"):
        choose(releases, "B", commit="abcdef1")


def test_only_one_way_may_be_named() -> None:
    with pytest.raises(BadRequest, match="a release, or steps back, or to a commit"):
        choose(_history("A", "B"), "B", number=1, steps=1)


@given(st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(list(ReleaseState))), max_size=12), st.data())
def test_no_step_ever_leads_to_what_runs_or_twice_to_the_same(history: Any, data: Any) -> None:
    releases = [_release(n, text, state) for n, (text, state) in enumerate(history, start=1)][::-1]
    live = data.draw(st.sampled_from("ABCDE"))
    found = candidates(releases, live)
    assert live not in {item.content for item in found}
    assert len({item.content for item in found}) == len(found)
    assert all(item.state is VERIFIED for item in found)
    assert [item.number for item in found] == sorted((item.number for item in found), reverse=True)
