"""Notifications by a real Slack MCP server: to the channel of their kind, again after a failure, as plain text."""

import anyio
import pytest

from klepaas.app import App
from klepaas.notifications import Notification, Notifications
from klepaas.store.outbox import ParcelState
from klepaas.testing import client, scale_timeout
from klepaas_plugins.notifications import plugin

from .conftest import Serve, up
from .sides import Side
from .slack_api import DEPLOYMENTS, GENERAL, SlackApi

pytestmark = pytest.mark.anyio
FAILED = Notification("deployment_failed", "web <!channel> failed", "see https://evil.example/?d=1 `x`")


@pytest.fixture(params=["slack_go", "slack_npm"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def channels(monkeypatch: pytest.MonkeyPatch) -> None:
    value = f'{{"default": "{GENERAL}", "deployment": "{DEPLOYMENTS}"}}'
    monkeypatch.setenv("KLEPAAS_NOTIFICATIONS_SLACK_CHANNELS", value)
    monkeypatch.setattr("klepaas.deliveries.FIRST_WAIT_S", 0.1)


async def _deliver(app: App, notification: Notification) -> ParcelState:
    (found,) = await Notifications.of(app.host).deliver(notification, 20)
    return found.state


async def test_each_kind_goes_to_its_channel_and_mentions_nobody(side: Side, serve: Serve) -> None:
    assert isinstance(side.api, SlackApi)
    async with serve(side, plugins=(plugin,)) as app, client(app):
        await up(app, side.name)
        assert await _deliver(app, FAILED) is ParcelState.DELIVERED
        assert await _deliver(app, Notification("health_alert", "x is ok")) is ParcelState.DELIVERED
    assert [message["channel"] for message in side.api.messages] == [DEPLOYMENTS, GENERAL]
    text = str(side.api.messages[0])
    assert "<!channel>" not in text
    assert "https://evil" not in text
    assert "web" in text


async def test_what_slack_refuses_is_not_delivered(side: Side, serve: Serve) -> None:
    assert isinstance(side.api, SlackApi)
    side.api.refuse("chat.postMessage", "channel_not_found")
    async with serve(side, plugins=(plugin,)) as app, client(app):
        await up(app, side.name)
        with anyio.fail_after(scale_timeout(30)):
            assert await _deliver(app, FAILED) is not ParcelState.DELIVERED
    assert side.api.messages == []
