"""A notification arrives, is tried again, or is given up and said to be; whoever sends it never waits."""

import anyio
import pytest
from tests.plugins.notifications.conftest import SLACK_SECRET, Place, until

from klepaas import deliveries
from klepaas.app import App
from klepaas.notifications import Notification, Notifications
from klepaas.store.errors import StoreUnavailable
from klepaas.store.outbox import Outbox, ParcelState
from klepaas.testing import HalfOpen, HttpAnswer, app_with, client, failing, rate_limited, scale_timeout, time_budget
from klepaas_plugins.notifications import plugin

pytestmark = pytest.mark.anyio
DEPLOYED = Notification("deployment_succeeded", "web in shop runs web:1.2", facts={"url": "https://shop.example"})


async def census(app: App) -> tuple[int, int]:
    """How many wait and how many were given up."""
    found = await Outbox.of(app.host).census()
    return found.waiting, found.failed


async def test_it_arrives_in_slack_with_links_folded(slack: Place) -> None:
    async with app_with(plugin) as app, client(app):
        Notifications.of(app.host).send(DEPLOYED)
        await slack.has(1)
    said = slack.arrived[0].json
    assert said["text"] == "✅ Deployed: web in shop runs web:1.2\nhttps://shop.example"
    assert (said["unfurl_links"], said["unfurl_media"]) == (False, False)


@pytest.mark.parametrize("fault", [failing(503), failing(500), HalfOpen(), HttpAnswer(302, {"Location": "/hook"})])
async def test_what_fails_for_now_is_tried_again(
    slack: Place, fault: HttpAnswer | HalfOpen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klepaas_plugins.notifications.posting._READ_TIMEOUT_S", 0.3)
    slack.fault_next(fault, fault)
    async with app_with(plugin) as app, client(app):
        Notifications.of(app.host).send(DEPLOYED)
        await slack.has(1)
        await until_empty(app)
        assert await census(app) == (0, 0)
    assert [request.path for request in slack.arrived] == ["/services/hook"]


async def until_empty(app: App) -> None:
    """Wait until nothing waits any more."""
    with anyio.fail_after(scale_timeout(10)):
        while (await census(app))[0]:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.02)


async def test_a_rate_limit_is_kept_for_all_and_counts_as_no_attempt(
    slack: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "MOST_ATTEMPTS", 1)
    slack.fault_next(rate_limited(1))
    async with app_with(plugin) as app, client(app):
        for number in range(3):
            Notifications.of(app.host).send(Notification("test", f"number {number}"))
        await until(lambda: len(slack.proxy.asked) == 1)
        began_at = anyio.current_time()
        await slack.has(3)
    assert anyio.current_time() - began_at > 0.7
    assert len(slack.proxy.asked) == 4


async def test_what_is_refused_for_good_is_given_up_at_once(slack: Place) -> None:
    slack.fault_next(HttpAnswer(400, {}, b"invalid_payload"))
    async with app_with(plugin) as app, client(app):
        found = await Notifications.of(app.host).deliver(DEPLOYED, 5)
        assert [(one.sink, one.state) for one in found] == [("slack", ParcelState.FAILED)]
        assert await census(app) == (0, 1)
    assert len(slack.proxy.asked) == 1


async def test_what_never_arrives_is_given_up_in_the_end(slack: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_ATTEMPTS", 3)
    slack.fault = failing(503)
    async with app_with(plugin) as app, client(app):
        Notifications.of(app.host).send(DEPLOYED)
        with anyio.fail_after(scale_timeout(10)):
            while await census(app) != (0, 1):  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.02)
    assert len(slack.proxy.asked) == 3


async def test_a_dead_sink_harms_no_other_and_delays_nobody(
    place: Place, slack: Place, hook: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_SLACK_WEBHOOK_URL", "http://127.0.0.1:9/gone")
    async with app_with(plugin) as app, client(app):
        notifications = Notifications.of(app.host)
        began_at = anyio.current_time()
        for number in range(20):
            notifications.send(Notification("test", f"number {number}"))
        assert anyio.current_time() - began_at < time_budget(0.5, "whoever notifies would wait for the delivery")
        await place.has(20)
        with anyio.fail_after(scale_timeout(10)):
            while await census(app) != (20, 0):  # noqa: ASYNC110 -- nobody tells
                await anyio.sleep(0.02)
    assert {request.path for request in place.arrived} == {"/hook"}


async def test_without_a_store_it_is_tried_once(slack: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no(*_: object) -> int:
        raise StoreUnavailable("The disk is full")

    monkeypatch.setattr(Outbox, "keep", no)
    async with app_with(plugin) as app, client(app):
        Notifications.of(app.host).send(DEPLOYED)
        await slack.has(1)
        found = await Notifications.of(app.host).deliver(DEPLOYED, 5)
    assert [one.state for one in found] == [ParcelState.DELIVERED]


async def test_the_address_stands_nowhere(slack: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    slack.fault_next(failing(503), HttpAnswer(404, {}, b"no_service"))
    async with app_with(plugin) as app, client(app):
        found = await Notifications.of(app.host).deliver(DEPLOYED, 5)
        assert found[0].error
        assert SLACK_SECRET not in repr(found)
        assert SLACK_SECRET not in repr(await Outbox.of(app.host).census())
    assert SLACK_SECRET not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("klepaas")
    )


async def test_nothing_is_offered_where_nothing_is_configured() -> None:
    async with app_with(plugin, settings={"mode": "writes"}) as app, client(app):
        assert list(app.catalogue) == []
        assert list(Notifications.of(app.host).durable) == []
        Notifications.of(app.host).send(DEPLOYED)
        assert not Outbox.of(app.host).exists
