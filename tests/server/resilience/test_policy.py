"""Limits that make no sense are refused where they are written."""

import math

import pytest

from klepaas.resilience import Policy


def test_the_defaults_are_five_failures_thirty_seconds_three_attempts() -> None:
    assert (Policy().fail_max, Policy().open_s, Policy().attempts) == (5, 30.0, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"fail_max": 0},
        {"max_concurrent": 0},
        {"total_timeout_s": 0},
        {"attempt_timeout_s": math.inf},
        {"open_s": math.nan},
        {"wait_min_s": -1},
        {"wait_min_s": 3, "wait_max_s": 2},
        {"rate_limit_pause_s": 9, "rate_limit_max_s": 5},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Policy(**wrong)  # type: ignore[arg-type]
