"""klepaas with the notifications plugin, and places where notifications arrive."""

import functools
from collections.abc import AsyncIterator, Callable

import anyio
import pytest

from klepaas import deliveries
from klepaas.testing import FakeHttp, HttpAnswer, HttpRequest, scale_timeout

SLACK_SECRET = "pl4ntedSlackHook0000001"
SIGNING_SECRET = "pl4nted-signing-secret-01"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Couriers of tests try again soon."""
    monkeypatch.setattr(deliveries, "FIRST_LOOK_S", 0.05)
    monkeypatch.setattr(deliveries, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(deliveries, "LONGEST_WAIT_S", 0.2)


class Place(FakeHttp):
    """A Slack webhook at /services and a webhook of our own at /hook."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: list[HttpRequest] = []
        for path, answer in (("/services/hook", b"ok"), ("/hook", b"")):
            self.handle("POST", path, functools.partial(self._take, answer))

    def _take(self, answer: bytes, request: HttpRequest) -> HttpAnswer:
        self.arrived.append(request)
        return HttpAnswer(200, {"Content-Type": "text/plain"}, answer)

    async def has(self, count: int) -> None:
        """Wait until so many arrived."""
        await until(lambda: len(self.arrived) >= count)


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    with anyio.fail_after(scale_timeout(15)):
        while not happened():  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.01)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as one:
        yield one


@pytest.fixture
def slack(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Slack's webhook is configured."""
    monkeypatch.setenv("KLEPAAS_SLACK_WEBHOOK_URL", f"{place.url}/services/hook?token={SLACK_SECRET}")
    return place


@pytest.fixture
def hook(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The signed webhook is configured."""
    monkeypatch.setenv("KLEPAAS_NOTIFICATIONS_WEBHOOK_URL", f"{place.url}/hook")
    monkeypatch.setenv("KLEPAAS_NOTIFICATIONS_WEBHOOK_SECRET", SIGNING_SECRET)
    return place
