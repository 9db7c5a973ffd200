"""A deployment is told to people with its cause, and is neither delayed nor failed by a place that is down."""

from collections.abc import AsyncIterator

import anyio
import pytest
from tests.plugins.deployments.conftest import Bench

from klepaas.store.outbox import Outbox
from klepaas.testing import FakeHttp, HalfOpen, HttpAnswer, scale_timeout

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeHttp]:
    """A Slack webhook, configured before klepaas is put together."""
    async with FakeHttp() as fake:
        fake.handle("POST", "/hook", lambda _request: HttpAnswer(200, {}, b"ok"))
        monkeypatch.setenv("KLEPAAS_SLACK_WEBHOOK_URL", f"{fake.url}/hook")
        yield fake


async def texts(slack: FakeHttp, count: int) -> list[str]:
    """What arrived, as soon as so many did."""
    with anyio.fail_after(scale_timeout(20)):
        while len(slack.requests) < count:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.01)
    return [str(request.json["text"]) for request in slack.requests]


async def test_a_deployment_and_the_cause_of_a_failed_one_are_told(slack: FakeHttp, bench: Bench) -> None:
    assert not (await bench.deploy()).is_error
    assert (await bench.deploy(image="example/crash:2")).is_error
    good, bad = await texts(slack, 2)
    assert good.startswith("✅ Deployed: ")
    assert bad.startswith("❌ Failed: ")
    assert "CrashLoopBackOff" in bad


async def test_a_place_that_hangs_holds_nothing_up(slack: FakeHttp, bench: Bench) -> None:
    slack.fault = HalfOpen()
    with anyio.fail_after(scale_timeout(20)):
        assert not (await bench.deploy()).is_error
        while not (await Outbox.of(bench.host).census()).waiting:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.01)
    assert slack.requests == []
