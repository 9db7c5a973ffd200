"""A breaker is told once when it opens and once when it closes, however it flaps; what carries the news is not."""

import pytest

from klepaas.notifications import Notification, Notifications
from klepaas.resilience import State
from klepaas.resilience.observer import Unobserved
from klepaas.resilience.telling import MOST_AN_HOUR, QUIET_S, TellingObserver
from klepaas.testing import FakeClock

OPEN, CLOSED, HALF_OPEN = State.OPEN, State.CLOSED, State.HALF_OPEN


class Heard(Notifications):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[str] = []

    def send(self, notification: Notification) -> None:
        self.kinds.append(notification.kind.removeprefix("circuit_breaker_"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def observer(heard: Heard, clock: FakeClock) -> TellingObserver:
    return TellingObserver(Unobserved(), heard, clock)


def test_one_that_stays_open_is_told_once_and_its_end_too(observer: TellingObserver, heard: Heard) -> None:
    for old, new in ((CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)):
        observer.changed("prometheus/main", old, new)
    assert heard.kinds == ["opened", "closed"]


def test_one_that_flaps_is_left_unsaid_for_a_while(observer: TellingObserver, heard: Heard, clock: FakeClock) -> None:
    for _ in range(5):
        observer.changed("prometheus/main", CLOSED, OPEN)
        observer.changed("prometheus/main", HALF_OPEN, CLOSED)
    assert heard.kinds == ["opened", "closed"]
    clock.advance(QUIET_S + 1)
    observer.changed("prometheus/main", CLOSED, OPEN)
    assert heard.kinds == ["opened", "closed", "opened"]


def test_many_at_once_do_not_fill_the_channel(observer: TellingObserver, heard: Heard) -> None:
    for number in range(3 * MOST_AN_HOUR):
        observer.changed(f"kubernetes/{number}", CLOSED, OPEN)
    assert len(heard.kinds) == MOST_AN_HOUR


def test_what_carries_the_news_is_not_told_of(observer: TellingObserver, heard: Heard) -> None:
    observer.changed("notifications/slack", CLOSED, OPEN)
    assert heard.kinds == []
