"""Each way in which Alertmanager fails: one clear line, no change made twice; and what health and doctor say of it."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from klepaas.app import App
from klepaas.doctor import examine
from klepaas.resilience import Upstreams
from klepaas.testing import (
    ERAS,
    DelayedSuccess,
    Era,
    FakeHttp,
    HalfOpen,
    HttpAnswer,
    HttpRequest,
    Reset,
    Said,
    Session,
    app_with,
    assert_nothing_leaks,
    assert_read_only,
    assert_refuses_hostile_texts,
    client,
    failing,
    nonsense,
)
from klepaas.testing.fault_proxy import Fault
from klepaas_plugins.alertmanager import plugin
from klepaas_plugins.alertmanager.matchers import MATCHER, Matcher, parse
from klepaas_plugins.alertmanager.settings import AlertmanagerSettings

pytestmark = pytest.mark.anyio
ALERTS, SILENCES = "/api/v2/alerts", "/api/v2/silences"
ID = "7d8b5b0e-2d0f-4a3c-9e39-0f4d3a1c2b10"
Asking = Callable[..., AbstractAsyncContextManager[tuple[App, Session]]]


def is_one_line(said: Said) -> bool:
    return said.is_error and "\n" not in said.text and len(said.text) < 500


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Asking:
    """klepaas that asks, configured so, and a client of it."""

    @contextlib.asynccontextmanager
    async def start(
        mode: str = "writes", era: Era = "2025-11-25", **settings: str
    ) -> AsyncIterator[tuple[App, Session]]:
        for name, value in settings.items():
            monkeypatch.setenv(f"KLEPAAS_ALERTMANAGER_{name.upper()}", value)
        async with app_with(plugin, settings={"mode": mode}) as app, client(app, era) as session:
            yield app, session

    return start


def row(**labels: str) -> dict[str, Any]:
    status = {"state": "active", "silencedBy": [], "inhibitedBy": []}
    return {"labels": {"alertname": "A", **labels}, "annotations": {}, "startsAt": "2026-11-01T00:00:00Z"} | {
        "status": status
    }


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (400, "bad matcher format: x", "bad_request", "bad matcher format: x"),
        (401, {"error": "no"}, "unauthorized", "does not accept the credentials"),
        (403, b"<html>secret page</html>", "forbidden", "answered 403"),
        (500, "boom\nbang", "unavailable", "boom bang"),
        (302, b"", "unavailable", "sends us elsewhere"),
        (200, {"status": "success"}, "unavailable", "not this API's"),
        (200, b'[{"labels":{}', "unavailable", "broke off in the middle"),
        (200, [1, 2], "unavailable", "not this API's"),
        (200, b"[" * 100_000, "unavailable", "alertmanager/default"),
    ],
)
async def test_an_answer_that_is_none_is_one_clear_line(
    asking: Asking, fake: FakeHttp, status: int, body: Any, code: str, words: str
) -> None:
    fake.answer("GET", ALERTS, body, status=status)
    async with asking(url=fake.url) as (_, session):
        said = await session.call("list_alerts")
    assert (said.code, is_one_line(said), words in said.text) == (code, True, True), said.text
    assert "<html>" not in said.text


async def test_rows_of_any_shape_are_shown_as_far_as_they_go(asking: Asking, fake: FakeHttp) -> None:
    odd: list[Any] = [{}, {"labels": None, "status": 7, "startsAt": "never"}, {"labels": {"alertname": ["x"]}}]
    fake.answer("GET", ALERTS, odd)
    fake.answer("GET", SILENCES, [{"id": 7, "matchers": [None, {"name": "a"}], "status": None, "endsAt": {}}])
    fake.answer("GET", f"{ALERTS}/groups", [{"alerts": [None, {}], "receiver": "x"}])
    async with asking(url=fake.url) as (_, session):
        found = [await session.call("list_alerts", what=what) for what in ("alerts", "silences", "groups")]
    assert [said.is_error for said in found] == [False] * 3, found


async def test_foreign_text_is_cleaned(asking: Asking, fake: FakeHttp) -> None:
    evil = "x\x1b[31m\u202e\U000e0041 ghp_0123456789abcdefghijABCDEFGHIJ"
    fake.answer("GET", ALERTS, [{**row(pod=evil), "annotations": {"summary": evil}}])
    async with asking(url=fake.url) as (_, session):
        said = await session.call("list_alerts")
    assert not [character for character in said.text if character in "\x1b\u202e\U000e0041"]
    assert "ghp_" not in said.text


async def test_many_alerts_are_a_short_answer(asking: Asking, fake: FakeHttp) -> None:
    fake.answer("GET", ALERTS, [row(pod=f"web-{number}", severity="warning") for number in range(8000)])
    async with asking(url=fake.url) as (_, session):
        said = await session.call("list_alerts")
    assert said.text.startswith("5000+ alerts")
    assert "[50 of more than 5000 shown; narrow with matchers]" in said.text
    assert len(said.text.encode()) <= 10_000


@pytest.mark.parametrize("fault", [Reset(), failing(503), nonsense(), DelayedSuccess(), HalfOpen()])
async def test_a_silence_in_doubt_is_not_made_twice(asking: Asking, fake: FakeHttp, fault: Fault) -> None:
    def then_trouble(_request: HttpRequest) -> HttpAnswer:
        fake.fault_next(fault)
        return HttpAnswer(200, {"Content-Type": "application/json"}, b"[]")

    fake.handle("GET", ALERTS, then_trouble)
    fake.answer("POST", SILENCES, {"silenceID": ID})
    async with asking(url=fake.url, timeout_s="0.5") as (_, session):
        said = await session.call("silence_alerts", matchers=["alertname=A"], duration_min=5, comment="x")
    made = sum(request.method == "POST" for request in fake.requests)
    assert made <= 1
    if said.is_error:
        assert is_one_line(said), said.text
    else:
        assert (made, f"silence {ID}." in said.text) == (1, True)


async def test_a_server_that_fails_is_left_alone_and_health_says_so(asking: Asking, fake: FakeHttp) -> None:
    fake.fault = failing(500)
    async with asking(url=fake.url) as (app, session):
        for _ in range(8):
            said = await session.call("list_alerts")
        (health,) = [one for one in await examine(app.plugins, app.host) if "alertmanager/default" in one.check]
        state = Upstreams.of(app.host).get("alertmanager/default").snapshot()
    assert said.code == "circuit_open"
    assert state.retry_in_s is not None
    assert "left alone" in health.finding.summary


async def test_health_and_doctor_say_how_it_is(asking: Asking, fake: FakeHttp, tmp_path: Path) -> None:
    fake.answer("GET", "/api/v2/status", {"versionInfo": {"version": "0.28.0"}, "cluster": {}})
    settings = {"url": fake.url, "credentials_file": str(tmp_path / "none"), "webhook_token": "x" * 16}
    async with asking(url=fake.url) as (app, _):
        well = " ".join(one.finding.summary for one in await examine(app.plugins, app.host))
    async with asking(**settings) as (app, _):
        ill = " ".join(one.finding.summary for one in await examine(app.plugins, app.host))
    assert "Alertmanager 0.28.0 answered in" in well
    assert "are not received: no webhook_token" in well
    assert "The credentials file cannot be read" in ill
    assert "are received at /hooks/alertmanager" in ill


async def test_credentials_go_along_and_nowhere_else(asking: Asking, fake: FakeHttp) -> None:
    fake.answer("GET", ALERTS, "no", status=400)
    async with asking(url=fake.url, bearer_token="very-secret-token-1") as (_, session):
        said = await session.call("list_alerts")
    assert fake.requests[0].headers["authorization"] == "Bearer very-secret-token-1"
    assert "very-secret" not in said.text


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_that_only_reads_changes_nothing(asking: Asking, fake: FakeHttp, era: Era) -> None:
    async with asking(mode="read-only", era=era, url=fake.url, webhook_token="x" * 16) as (_, session):
        names = sorted(tool.name for tool in await session.tools())
        said = [
            await session.call("silence_alerts", matchers=["alertname=A"], duration_min=5, comment="x"),
            await session.call("expire_silence", silence_id=ID),
            await session.call("acknowledge_notification", notification_id=1, comment="x"),
        ]
    assert names == ["get_notifications", "list_alerts"]
    assert [one.code for one in said] == ["forbidden"] * 3
    assert fake.requests == []


SAMPLES = {"silence_id": ID, "matchers": ["alertname=A"], "comment": "known", "server": "default", "duration_min": 5}


@pytest.mark.parametrize("mode", ["read-only", "writes"])
async def test_the_walks_over_all_tools_hold_here(asking: Asking, fake: FakeHttp, mode: str) -> None:
    fake.answer("GET", ALERTS, [row()])
    fake.answer("GET", SILENCES, [])
    fake.answer("GET", f"{ALERTS}/groups", [])
    async with asking(mode=mode, url=fake.url, bearer_token="canary-of-a-token-1", webhook_token="x" * 16) as (app, _):
        if mode == "read-only":
            await assert_read_only(app, fake, samples=SAMPLES)
        await assert_refuses_hostile_texts(app, fake, samples=SAMPLES)
        await assert_nothing_leaks(app, ["canary-of-a-token-1"], fake=fake, samples=SAMPLES)


async def test_several_servers_are_told_apart(asking: Asking, fake: FakeHttp) -> None:
    fake.answer("GET", ALERTS, [row()])
    servers = f'{{"eu": {{"url": "{fake.url}"}}, "us": {{"url": "http://127.0.0.1:9"}}}}'
    async with asking(servers=servers) as (_, session):
        unnamed = await session.call("list_alerts")
        named = await session.call("list_alerts", server="eu")
        unknown = await session.call("list_alerts", server="asia")
    assert (unnamed.code, unknown.code) == ("bad_request", "not_found")
    assert "eu, us" in unnamed.text
    assert named.text.startswith("1 alerts in alertmanager/eu")


async def test_nothing_is_there_without_settings(asking: Asking) -> None:
    assert not [name for name in os.environ if name.startswith("KLEPAAS_ALERTMANAGER_")]
    async with asking() as (app, session):
        assert await session.tools() == []
        found = [one.finding.summary for one in await examine(app.plugins, app.host)]
    assert "Alertmanager is not configured" in " ".join(found)


def test_settings_that_cannot_be_are_named() -> None:
    wrong: dict[str, Any]
    for wrong in (
        {"url": "ftp://x"},
        {"url": "http://u:p@x"},
        {"webhook_token": "short"},
        {"servers": {"default": {}}},
    ):
        with pytest.raises(ValueError, match=r"url|webhook_token|servers"):
            AlertmanagerSettings(**wrong)
    open_one = AlertmanagerSettings(url="http://monitoring.example", username="u", password=SecretStr("p"))
    assert list(open_one.concerns()) == ["the credentials of alertmanager/default are sent without TLS"]


@given(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_categories=["Cc", "Cf", "Cs"]), max_size=80),
)
def test_a_matcher_that_is_written_is_the_one_that_is_read(name: str, operator: str, value: str) -> None:
    written = Matcher(name, operator, value)
    assert parse([written.text]) == [written]
    assert Matcher.of(written.body) == written


@pytest.mark.parametrize("text", ["", "=", "a", "a==b" * 100, "9=a", 'a="b', 'a="b"c', 'a=b"c', "a b=c", "a\n=b\x00"])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    assert len(text) > MATCHER.max_chars or not MATCHER.accepts(text)
