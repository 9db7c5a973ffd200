"""Servers over HTTP: what a status means stays known, a lost session is begun anew, our headers alone go along."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.server.external.conftest import Fake, Serve, guarded, listed, until, up
from tests.server.external.fake_http import HttpFake

from klepaas.external import Credentials, ExternalProvider, HttpServer
from klepaas.external.connection import ConnectionState
from klepaas.resilience import Policy
from klepaas.testing import ERAS, Era, client, scale_timeout, time_budget

pytestmark = pytest.mark.anyio

each_era = pytest.mark.parametrize("era", ERAS)
each_upstream = pytest.mark.parametrize("upstream", ["legacy", "modern"])


@pytest.fixture
async def http(fake: Fake) -> AsyncIterator[HttpFake]:
    async with HttpFake(fake.folder) as server:
        yield server


def provider(fake: Fake, http: HttpFake, **said: Any) -> ExternalProvider:
    transport = HttpServer(f"{http.url}/mcp", {"Authorization": "Bearer own-token-123456"})
    return fake.provider(**{"transport": transport, **_PATIENT, **said})


# An answer may take long on a busy machine; who tests that one is awaited for so long only says so.
_PATIENT: dict[str, Any] = {
    "call_timeout_s": scale_timeout(5),
    "boot_timeout_s": scale_timeout(5),
    "policy": Policy(
        attempt_timeout_s=scale_timeout(20),
        total_timeout_s=scale_timeout(30),
        wait_min_s=0.01,
        wait_max_s=0.05,
        open_s=0.5,
    ),
}


@each_era
@each_upstream
async def test_a_server_of_either_era_serves_clients_of_either(
    fake: Fake, http: HttpFake, serve: Serve, era: Era, upstream: str
) -> None:
    fake.does(era=upstream)
    async with serve(provider(fake, http)) as app, client(app, era) as session:
        server = await up(app)
        assert (await session.call("wiki_get_item", id="7")).text == "get_item is done: ok"
        fake.does(era=upstream, events=True)
        assert (await session.call("wiki_save_item", id="7")).text == "save_item is done: ok"
        assert (server.connection.protocol == "2026-07-28") is (upstream == "modern")
    assert all("Bearer own-token-123456" in head for head in http.heads)


STATUSES = [
    ([401, {}], "unauthorized", "unauthorized"),
    ([403, {}], "forbidden", "forbidden"),
    ([404, {}], "not_found", "not_found"),
    ([429, {"Retry-After": "7200"}], "rate_limited", "rate_limited"),
    ([500, {}], "unavailable", "timeout"),
    ([503, {}], "unavailable", "timeout"),
    ("reset", "unavailable", "timeout"),
    ("cut", "unavailable", "timeout"),
    ("hang", "timeout", "timeout"),
    ("slow body", "timeout", "timeout"),
]


@pytest.mark.parametrize(("fault", "reading", "changing"), STATUSES, ids=lambda value: str(value)[:24])
async def test_a_failure_keeps_its_meaning_and_no_change_is_sent_twice(
    fake: Fake, http: HttpFake, serve: Serve, fault: Any, reading: str, changing: str
) -> None:
    # A server of its own sort of sessions answers 404 to a session that is gone, so the newer era is asked here.
    hangs = fault in ("hang", "slow body")
    asked = provider(fake, http, call_timeout_s=0.5) if hangs else provider(fake, http)
    async with serve(asked) as app, client(app) as session:
        fake.does(era="modern")
        await up(app)
        fake.does(era="modern", http=fault)
        said = await session.call("wiki_save_item", id="1")
        assert said.code == changing
        assert len(fake.calls) == 1
        if changing == "timeout":
            assert "It is not known whether this was done" in said.text
        if changing != "rate_limited":  # after which nothing is sent at all
            said = await session.call("wiki_get_item", id="1")
            assert said.code == reading


async def test_a_rate_limit_keeps_everybody_away_for_as_long_as_it_says(
    fake: Fake, http: HttpFake, serve: Serve
) -> None:
    fake.does(era="modern")
    async with serve(provider(fake, http)) as app, client(app) as session:
        await up(app)
        fake.does(era="modern", http=[429, {"Retry-After": "7200"}])
        said = await session.call("wiki_get_item", id="1")
        assert (said.code, said.meta["retry_after_s"] > 80) == ("rate_limited", True)
        count = len(fake.calls)
        assert (await session.call("wiki_save_item", id="1")).code == "rate_limited"
        assert len(fake.calls) == count


async def test_a_session_that_the_server_forgot_is_begun_anew_and_the_change_made_once(
    fake: Fake, http: HttpFake, serve: Serve
) -> None:
    async with serve(provider(fake, http)) as app, client(app) as session:
        await up(app)
        assert not (await session.call("wiki_save_item", id="1")).is_error
        http.sessions.clear()
        said = await session.call("wiki_save_item", id="2")
        assert said.text == "save_item is done: ok"
        assert [call["arguments"]["id"] for call in fake.calls] == ["1", "2"]


async def test_a_server_that_is_gone_and_comes_back_needs_no_restart(fake: Fake, http: HttpFake, serve: Serve) -> None:
    async with serve(provider(fake, http)) as app, client(app) as session:
        await up(app)
        await http.stop()
        said = await session.call("wiki_save_item", id="1")
        assert (said.code, "nothing was sent" in said.text or "cannot be reached" in said.text) == ("unavailable", True)
        await until(lambda: guarded(app).connection.state is ConnectionState.DOWN)
        # From memory: there is nobody to be asked.
        assert len(await listed(session)) == 2
        http.sessions.clear()
        await http.start()
        await until(lambda: guarded(app).connection.state is ConnectionState.CONNECTED)
        await until(lambda: guarded(app).upstream.snapshot().retry_in_s is None)
        assert not (await session.call("wiki_save_item", id="2")).is_error
    assert [call["arguments"]["id"] for call in fake.calls] == ["2"]


async def test_an_answer_of_100_mb_is_not_read(fake: Fake, http: HttpFake, serve: Serve) -> None:
    async with serve(provider(fake, http, call_timeout_s=scale_timeout(10))) as app, client(app) as session:
        await up(app)
        fake.does(http="big")
        started = time.monotonic()
        said = await session.call("wiki_get_item", id="1")
        assert (said.code, "longer than 4 MiB" in said.text) == ("bad_request", True)
        assert time.monotonic() - started < time_budget(3, "all of it would be read before it is refused")


each_form = pytest.mark.parametrize(
    "form", [{}, {"events": True}, {"events": True, "line_end": "\r\n"}], ids=["json", "events", "events, CRLF"]
)


@each_upstream
@each_form
async def test_an_answer_that_json_cannot_carry_on_arrives_with_what_can_be_read(
    fake: Fake, http: HttpFake, serve: Serve, upstream: str, form: dict[str, Any]
) -> None:
    fake.does(era=upstream)
    async with serve(provider(fake, http)) as app, client(app) as session:
        await up(app)
        fake.does(era=upstream, call="odd", **form)
        said: Any = await session.raw.call_tool("wiki_get_item", {"id": "1"}, raise_on_error=False)
        assert said.content[0].text == "half \ufffd of a pair \U0001f600"
        assert said.structured_content["nan"] == "NaN"


@each_upstream
@each_form
async def test_an_answer_that_is_nested_too_deeply_is_refused_and_a_change_called_unknown(
    fake: Fake, http: HttpFake, serve: Serve, upstream: str, form: dict[str, Any]
) -> None:
    fake.does(era=upstream)
    async with serve(provider(fake, http)) as app, client(app) as session:
        await up(app)
        for levels in (150, 900, 20_000):
            fake.does(era=upstream, call=f"deep:{levels}", **form)
            said = await session.call("wiki_get_item", id="1")
            assert (said.code, "nested deeper than 100 levels" in said.text) == ("bad_request", True)
        said = await session.call("wiki_save_item", id="1")
        assert "It is not known whether this was done: the answer is nested" in said.text
        fake.does(era=upstream, call="deep:50", **form)
        said = await session.call("wiki_get_item", id="1")
        assert not said.is_error
        assert "Zq7" not in str(said.structured)


async def test_a_redirect_elsewhere_is_not_followed(fake: Fake, http: HttpFake, serve: Serve) -> None:
    async with HttpFake(fake.folder) as other, serve(provider(fake, http)) as app, client(app) as session:
        await up(app)
        fake.does(http=[307, {"Location": f"{other.url}/mcp"}])
        said = await session.call("wiki_get_item", id="1")
        assert said.is_error
        assert other.heads == []


async def test_each_request_carries_credentials_that_are_asked_for_then(
    fake: Fake, http: HttpFake, serve: Serve
) -> None:
    given: list[str] = []

    async def credentials() -> Credentials:
        given.append(f"fresh-{len(given)}-token")
        return Credentials({"Authorization": f"Bearer {given[-1]}"})

    transport = HttpServer(f"{http.url}/mcp", credentials=credentials)
    async with serve(fake.provider(transport=transport)) as app, client(app) as session:
        await up(app)
        await session.call("wiki_get_item", id="1")
    sent = [line for head in http.heads for line in head.split("\r\n") if line.lower().startswith("authorization")]
    # The last one may be asked for in vain: nobody waits for the polite end of a session.
    assert [line.rpartition(" ")[2] for line in sent] in (given, given[:-1])


async def test_credentials_that_are_not_accepted_are_said_to_be_just_that(
    fake: Fake, http: HttpFake, serve: Serve
) -> None:
    async with serve(provider(fake, http)) as app, client(app):
        await up(app)
    fake.does(refuse=401)
    async with serve(provider(fake, http)) as app, client(app) as session:
        await until(lambda: guarded(app).connection.state is ConnectionState.DOWN)
        said = await session.call("wiki_get_item", id="1")
        assert (said.code, "nothing was sent" in said.text) == ("unauthorized", True)
        assert guarded(app).connection.last_error == "answered 401"
