"""Slack without a server: what is posted by the incoming webhook arrived, did not, or is said to be unknown."""

from collections.abc import AsyncIterator

import pytest

from klepaas.app import App
from klepaas.testing import (
    ERAS,
    Cut,
    DelayedSuccess,
    Era,
    HttpAnswer,
    Session,
    app_with,
    assert_declared_well,
    assert_read_only,
    client,
    failing,
    nonsense,
    rate_limited,
)
from klepaas_providers.slack import plugin

from .slack_api import SlackApi

pytestmark = pytest.mark.anyio
SECRET = "pl4ntedWebhookSecret000001"


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlackApi]:
    async with SlackApi() as api:
        monkeypatch.setenv("KLEPAAS_SLACK_WEBHOOK_URL", f"{api.url}/services/T0ACME0001/B0HOOK0001/{SECRET}")
        yield api


@pytest.fixture
async def app(slack: SlackApi) -> AsyncIterator[App]:
    async with app_with(plugin, settings={"mode": "writes"}) as one:
        yield one


@pytest.fixture(params=ERAS)
async def session(app: App, request: pytest.FixtureRequest) -> AsyncIterator[Session]:
    era: Era = request.param
    async with client(app, era) as one:
        yield one


async def test_a_message_is_posted_and_no_link_in_it_is_opened(session: Session, slack: SlackApi) -> None:
    said = await session.call("slack_post_message", text="shop 1.5 is up <https://acme.example>")
    assert not said.is_error
    text = "shop 1.5 is up <https://acme.example>"
    assert slack.hooked == [{"text": text, "unfurl_links": False, "unfurl_media": False}]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (HttpAnswer(400, {}, b"invalid_payload"), "bad_request"),
        (HttpAnswer(403, {}, b"action_prohibited"), "forbidden"),
        (HttpAnswer(404, {}, b"no_service"), "not_found"),
        (HttpAnswer(410, {}, b"channel_is_archived"), "not_found"),
        (rate_limited(600), "rate_limited"),
    ],
)
async def test_a_refusal_is_no_success(session: Session, slack: SlackApi, answer: HttpAnswer, code: str) -> None:
    slack.fault = answer
    said = await session.call("slack_post_message", text="hello")
    assert said.code == code
    assert len(slack.proxy.asked) == 1


@pytest.mark.parametrize("fault", [failing(500), failing(503), nonsense(), Cut(5), DelayedSuccess(None)])
async def test_what_is_in_doubt_is_said_to_be_and_is_not_posted_again(
    session: Session, slack: SlackApi, fault: HttpAnswer | Cut | DelayedSuccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("klepaas_providers.slack.webhook._READ_TIMEOUT_S", 0.3)
    slack.fault = fault
    said = await session.call("slack_post_message", text="hello")
    assert said.is_error
    assert "It is not known whether this was done" in said.text
    assert "Look in the channel" in said.text
    assert len(slack.proxy.asked) == 1


async def test_what_was_not_sent_is_tried_again_and_arrives_once(session: Session, slack: SlackApi) -> None:
    slack.fault_next(rate_limited(0))
    assert not (await session.call("slack_post_message", text="hello")).is_error
    assert len(slack.hooked) == 1


async def test_the_address_stands_in_no_error(session: Session, slack: SlackApi) -> None:
    await slack.proxy.stop()
    said = await session.call("slack_post_message", text="hello")
    assert said.is_error
    assert SECRET not in said.text + repr(said)


async def test_it_is_declared_as_the_kit_wants(slack: SlackApi) -> None:
    async with app_with(plugin) as read_only:
        await assert_read_only(read_only, slack)
        assert_declared_well(read_only)


async def test_there_is_no_webhook_tool_where_a_server_can_do_more(
    slack: SlackApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_SLACK_USER_TOKEN", "xoxp-1")
    async with app_with(plugin, settings={"mode": "writes"}) as one:
        assert [entry for entry in one.catalogue if entry.tool.toolset == "slack"] == []


async def test_nothing_is_offered_where_nothing_is_configured() -> None:
    async with app_with(plugin, settings={"mode": "writes"}) as one:
        assert list(one.catalogue) == []
