"""Comparing clocks with upstreams: a difference counts only as far as it is certain, and only while it is fresh."""

import time
from email.utils import formatdate

import httpx
import pytest

from klepaas.clocks import Clocks
from klepaas.host import Host
from klepaas.resilience import Upstreams
from klepaas.settings import Settings


def date(ahead_s: float) -> str:
    return formatdate(time.time() + ahead_s, usegmt=True)


def test_a_clock_that_is_right_is_not_blamed_for_whole_seconds() -> None:
    clocks = Clocks()
    clocks.read("kubernetes/prod", date(0), 0.01)
    assert abs(clocks.ours_is_ahead_s() or 0.0) < 0.2


def test_our_clock_is_compared_with_most_of_them() -> None:
    clocks = Clocks()
    assert clocks.ours_is_ahead_s() is None
    for name, ahead_s in (("a", 100.0), ("b", 101.0), ("c", -3000.0)):
        clocks.read(name, date(ahead_s), 0.0)
    assert clocks.ours_is_ahead_s() == pytest.approx(-99.5, abs=1.1)
    assert {one.upstream for one in clocks.lately()} == {"a", "b", "c"}


@pytest.mark.parametrize("text", [None, "", "yesterday", "x" * 100_000, "Thu, 99 Foo 2026 25:00:00 GMT"])
def test_a_date_that_is_none_says_nothing(text: str | None) -> None:
    clocks = Clocks()
    clocks.read("a", text, 0.0)
    assert clocks.ours_is_ahead_s() is None


def test_a_slow_answer_leaves_more_doubt() -> None:
    clocks = Clocks()
    clocks.read("a", date(5), 10.0)
    assert clocks.ours_is_ahead_s() == 0


def test_an_upstream_passes_its_date_on() -> None:
    host = Host(Settings())
    answer = httpx.Response(200, headers={"Date": date(-60)})
    Upstreams.of(host).get("engine").told_the_time(answer.headers.get("Date"), 0.0)
    assert Clocks.of(host).ours_is_ahead_s() == pytest.approx(59.5, abs=1.1)
