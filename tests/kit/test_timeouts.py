"""The time limits of tests hold on slow machines: scaled in one place, and generous by default."""

import pytest

from klepaas.testing.timeouts import MIN_TIMEOUT_S, SCALE_VARIABLE, scale_timeout, time_budget


def test_limits_are_four_times_what_an_idle_machine_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SCALE_VARIABLE, raising=False)
    assert scale_timeout(30) == 120
    assert time_budget(0.5, "a read would wait for the answer") == 2


def test_one_variable_scales_all_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCALE_VARIABLE, "10")
    assert (scale_timeout(30), time_budget(0.5, "a read would wait for the answer")) == (300, 5)


def test_a_short_guard_against_a_hang_is_generous_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SCALE_VARIABLE, raising=False)
    assert scale_timeout(0.1) == scale_timeout(MIN_TIMEOUT_S) == 20


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "four"])
def test_a_scale_that_is_no_factor_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCALE_VARIABLE, text)
    with pytest.raises(ValueError, match=r"float|above 0"):
        scale_timeout(30)


def test_a_time_budget_needs_its_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        time_budget(0.5, " ")


def test_the_limit_of_a_whole_test_is_scaled_too(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getoption("timeout") == scale_timeout(60)


def test_a_promise_of_speed_is_looked_at_once_more_before_it_counts_as_broken(request: pytest.FixtureRequest) -> None:
    assert time_budget(0.5, "a neighbour has the machine for a moment") > 0
    marker = request.node.get_closest_marker("flaky")
    assert marker is not None
    assert marker.kwargs == {"reruns": 1}


def test_what_promises_no_speed_is_run_once(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("flaky") is None
