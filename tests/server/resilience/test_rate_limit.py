"""Retry-After as upstreams write it, and the moment that all calls share."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klepaas.resilience.rate_limit import NotBefore, parse_reset, parse_retry_after
from klepaas.testing.clock import FakeClock

# Fri, 15 Jan 2027 08:00:00 GMT
WALL_S = 1_800_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        ("120", 120),
        (" 5 ", 5),
        ("1.5", 1.5),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
        ("Friday, 15-Jan-27 08:00:30 GMT", 30),
        ("Fri Jan 15 08:00:30 2027", 30),
        ("Fri, 15 Jan 2027 17:00:30 +0900", 30),
        ("Fri, 15 Jan 2027 07:59:00 GMT", 0),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("", None),
        ("soon", None),
        ("99 Foo 99999 99:99:99 GMT", None),
        ("9" * 10_000, 9.999999999999999e31),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, WALL_S) == pytest.approx(seconds)


@given(st.text(max_size=100))
def test_no_text_breaks_the_reader(value: str) -> None:
    seconds = parse_retry_after(value, WALL_S)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


def test_a_reset_is_a_moment() -> None:
    assert parse_reset(str(int(WALL_S) + 12), WALL_S) == 12
    assert parse_reset(str(int(WALL_S) - 12), WALL_S) == 0
    assert parse_reset("tomorrow", WALL_S) is None
    assert parse_reset(None, WALL_S) is None


def test_the_later_wish_stays(clock: FakeClock) -> None:
    gate = NotBefore(clock, pause_s=1.0, max_s=3600.0)
    assert gate.wait_s == 0
    gate.put_off(20)
    gate.put_off(5)
    assert gate.wait_s == 20
    clock.advance(15)
    assert gate.wait_s == 5
    clock.advance(6)
    assert gate.wait_s == 0


def test_without_a_wish_there_is_a_pause_and_no_wish_is_believed_for_ever(clock: FakeClock) -> None:
    gate = NotBefore(clock, pause_s=1.0, max_s=3600.0)
    gate.put_off(None)
    assert gate.wait_s == 1
    gate.put_off(1e9)
    assert gate.wait_s == 3600
