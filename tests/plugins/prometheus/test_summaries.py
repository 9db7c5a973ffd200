"""The figures of a series are those that a naive computation gives, whatever the values."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klepaas_plugins.prometheus.client import Window
from klepaas_plugins.prometheus.figures import duration, number, step_for
from klepaas_plugins.prometheus.summaries import best_split, line_through, summarise

WINDOW = Window(1000.0, 1000.0 + 120 * 30, 30.0)
# A machine that is shared is slow at times.
unhurried = settings(deadline=None)
finite = st.floats(-1e12, 1e12, allow_nan=False)
anything = finite | st.sampled_from([math.nan, math.inf, -math.inf])


def points_of(values: list[float], start: float = WINDOW.start) -> list[tuple[float, float]]:
    return [(start + at * WINDOW.step_s, value) for at, value in enumerate(values)]


@unhurried
@given(st.lists(anything, min_size=1, max_size=121))
def test_last_min_max_and_mean_are_those_of_the_values(values: list[float]) -> None:
    summary = summarise(points_of(values), WINDOW)
    known = [value for value in values if not math.isnan(value)]
    within = [value for value in known if math.isfinite(value)]
    assert summary.count == len(values)
    assert summary.last == values[-1] or math.isnan(values[-1])
    assert (summary.low, summary.high) == ((min(known), max(known)) if known else (None, None))
    assert summary.nans == len(values) - len(known)
    assert summary.infinities == len(known) - len(within)
    if within:
        exact = sum(map(Fraction, within)) / len(within)
        assert summary.mean == pytest.approx(float(exact), rel=1e-15, abs=1e-300)
    else:
        assert summary.mean is None


@unhurried
@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=60))
def test_the_line_is_the_one_of_least_squares(values: list[int]) -> None:
    points = points_of([float(value) for value in values])
    rise, left = line_through(points)
    times, numbers = [Fraction(at) for at, _ in points], [Fraction(value) for value in values]
    mean_at, mean = sum(times) / len(times), sum(numbers) / len(numbers)
    slope = sum((at - mean_at) * (value - mean) for at, value in zip(times, numbers, strict=True)) / sum(
        (at - mean_at) ** 2 for at in times
    )
    wanted = float(slope * (times[-1] - times[0]))
    assert rise == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    exact = sum((value - mean - slope * (at - mean_at)) ** 2 for at, value in zip(times, numbers, strict=True))
    assert left == pytest.approx(float(exact), rel=1e-6, abs=1e-3)


@unhurried
@given(st.lists(st.integers(-1000, 1000), min_size=6, max_size=60))
def test_the_split_is_the_best_of_all(values: list[int]) -> None:
    def squares(part: list[int]) -> Fraction:
        mean = Fraction(sum(part), len(part))
        return sum(((value - mean) ** 2 for value in part), Fraction(0))

    best = min(squares(values[:at]) + squares(values[at:]) for at in range(3, len(values) - 2))
    at, left = best_split([float(value) for value in values])
    assert float(squares(values[:at]) + squares(values[at:])) == pytest.approx(float(best), rel=1e-9, abs=1e-6)
    assert left == pytest.approx(float(best), rel=1e-6, abs=1e-2)


@unhurried
@given(
    st.integers(5, 100), st.integers(5, 100), st.floats(1, 100), st.floats(1, 100), st.randoms(use_true_random=False)
)
def test_a_clear_step_is_found_where_it_is(before: int, after: int, low: float, step: float, chance: object) -> None:
    step = low * 0.2 + step
    noise = [step * 0.05 * ((at * 7919) % 13 - 6) / 6 for at in range(before + after)]
    values = [low + (step if at >= before else 0) + noise[at] for at in range(before + after)]
    changes = summarise(points_of(values), WINDOW).changes
    assert [change.at for change in changes] == [WINDOW.start + before * WINDOW.step_s]
    (change,) = changes
    assert change.before == pytest.approx(math.fsum(values[:before]) / before)
    assert change.after == pytest.approx(math.fsum(values[before:]) / after)


@unhurried
@given(st.floats(-100, 100), st.floats(0.5, 10), st.integers(10, 121))
def test_a_slope_is_a_trend_and_no_step(low: float, rise: float, count: int) -> None:
    values = [low + rise * at for at in range(count)]
    summary = summarise(points_of(values), WINDOW)
    assert summary.changes == ()
    assert summary.trend == pytest.approx(rise * (count - 1), rel=1e-6)


def test_two_steps_are_two_changes() -> None:
    values = [1.0] * 40 + [5.0] * 40 + [2.0] * 41
    changes = summarise(points_of(values), WINDOW).changes
    assert [(change.before, change.after) for change in changes] == [(1.0, 5.0), (5.0, 2.0)]


def test_noise_has_neither_trend_nor_change() -> None:
    values = [1 + 0.5 * ((at * 7919) % 101) / 101 for at in range(121)]
    summary = summarise(points_of(values), WINDOW)
    assert (summary.trend, summary.changes) == (None, ())


def test_gaps_beginnings_and_ends_are_seen() -> None:
    points = [point for at, point in enumerate(points_of([1.0] * 121)) if at >= 10 and at not in (20, 21) and at < 100]
    summary = summarise(points, WINDOW)
    assert summary.missing == 2
    assert summary.began_at == WINDOW.start + 10 * WINDOW.step_s
    assert summary.ended_at == WINDOW.start + 99 * WINDOW.step_s
    whole = summarise(points_of([1.0] * 121), WINDOW)
    assert (whole.missing, whole.began_at, whole.ended_at) == (0, None, None)


@unhurried
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_resets_are_counted(values: list[int]) -> None:
    drops = summarise(points_of([float(value) for value in values]), WINDOW).drops
    assert drops == sum(1 for at in range(1, len(values)) if values[at] < values[at - 1])


def test_huge_values_do_no_harm() -> None:
    summary = summarise(points_of([1e308, 1e308, -1e308, 1e308, 1e308, 1e308, 1e308]), WINDOW)
    assert summary.mean == pytest.approx(5e308 / 7 if math.isfinite(5e308) else 1e308 / 7 * 5)


@unhurried
@given(st.floats(-1e300, 1e300))
def test_a_number_is_shown_to_four_digits(value: float) -> None:
    shown = number(value)
    factor = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}.get(shown[-1], 1.0)
    read = float(shown.rstrip("kMGTP")) * factor
    assert read == pytest.approx(value, rel=6e-3 if abs(value) < 1e-3 or abs(value) >= 1e18 else 5.1e-4)
    assert len(shown) <= 10


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (1234.5, "1234"),
        (99999, "100k"),
        (999999, "1M"),
        (1073741824, "1.074G"),
        (1e-5, "1e-05"),
    ],
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number(value) == shown


@unhurried
@given(st.floats(1, 3e8))
def test_a_range_has_about_a_hundred_points(range_s: float) -> None:
    step_s = step_for(range_s)
    assert range_s / step_s <= 120.0001
    assert step_s == 1 or range_s / step_s > 10


def test_durations_are_prometheus_own() -> None:
    assert [duration(one) for one in (0.25, 1, 90, 3600, 5400, 86400 * 2)] == [
        "250ms",
        "1s",
        "1m30s",
        "1h",
        "1h30m",
        "2d",
    ]
