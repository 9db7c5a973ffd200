"""The login for the server that Slack hosts, against a Slack of our own: the real one could not be reached."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from klepaas.errors import BadRequest, Unauthorized
from klepaas.resilience import OutcomeUnknown, Policy, Upstream
from klepaas.settings import given_only
from klepaas.testing import FakeHttp, HttpAnswer, HttpRequest, failing, scale_timeout
from klepaas_providers.slack.login import Attempt, Login, judge
from klepaas_providers.slack.settings import SlackSettings
from klepaas_providers.slack.token_file import Token, TokenFile

pytestmark = pytest.mark.anyio
WAY = "/api/oauth.v2.user.access"
BACK = "http://localhost:3118/callback"


@pytest.fixture
def settings() -> SlackSettings:
    with given_only():
        return SlackSettings(client_id="111.222", client_secret="the-apps-secret")  # type: ignore[arg-type]


@pytest.fixture
async def slack() -> AsyncIterator[FakeHttp]:
    async with FakeHttp() as fake:
        fake.handle("POST", WAY, lambda request: token_answer(request, len(fake.requests)))
        yield fake


def token_answer(request: HttpRequest, number: int) -> HttpAnswer:
    said = parse_qs(request.body.decode())
    assert said["client_secret"] == ["the-apps-secret"]
    token = {"access_token": f"xoxe.xoxp-{number}", "refresh_token": f"xoxe-{number}", "expires_in": 43200}
    answer = {"ok": True, "authed_user": token} if number % 2 else {"ok": True, **token}
    return HttpAnswer(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())


@pytest.fixture
def file(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path / "state" / "slack" / "token.json")


@pytest.fixture
def login(settings: SlackSettings, file: TokenFile, slack: FakeHttp) -> Login:
    policy = Policy(wait_min_s=0.0, wait_max_s=0.0)
    return Login(settings, file, Upstream("slack-oauth", policy, judge), slack.url + WAY)


def test_the_address_binds_the_code_to_who_asked() -> None:
    attempt = Attempt()
    query = parse_qs(urlsplit(attempt.address("111.222", BACK)).query)
    digest = hashlib.sha256(attempt.verifier.encode()).digest()
    assert query["code_challenge"] == [base64.urlsafe_b64encode(digest).rstrip(b"=").decode()]
    assert (query["code_challenge_method"], query["state"]) == (["S256"], [attempt.state])
    assert attempt.verifier not in attempt.address("111.222", BACK) + repr(attempt)


@pytest.mark.parametrize("address", ["", "/callback?code=c", "/callback?code=c&state=other", "/callback?error=denied"])
def test_an_answer_to_another_login_is_refused(address: str) -> None:
    with pytest.raises(BadRequest):
        Attempt().code_in(address)


async def test_a_login_ends_with_a_token_that_only_its_owner_reads(
    login: Login, slack: FakeHttp, file: TokenFile, tmp_path: Path
) -> None:
    attempt = Attempt()
    await login.finish(attempt, f"{BACK}?code=the-code&state={attempt.state}")
    sent = parse_qs(slack.requests[0].body.decode())
    assert (sent["code"], sent["code_verifier"], sent["redirect_uri"]) == (["the-code"], [attempt.verifier], [BACK])
    token, left_s = await login.current()
    assert token == "xoxe.xoxp-1"
    assert left_s is not None
    assert 42_000 < left_s < 43_200
    kept = tmp_path / "state" / "slack" / "token.json"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o077) == (0o600, 0)


async def test_a_token_is_renewed_once_however_many_need_it(login: Login, slack: FakeHttp, file: TokenFile) -> None:
    file.write(Token("xoxe.xoxp-0", "xoxe-0", time.time() + 60))
    got: set[str] = set()

    async def ask() -> None:
        got.add((await login.current())[0])

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
    assert got == {"xoxe.xoxp-1"}
    assert [parse_qs(one.body.decode())["refresh_token"] for one in slack.requests] == [["xoxe-0"]]
    kept = file.read()
    assert kept is not None
    assert (kept.access_token, kept.refresh_token) == ("xoxe.xoxp-1", "xoxe-1")
    assert kept.good_until_s == pytest.approx(time.time() + 43200, abs=30)


async def test_two_servers_renew_it_once(settings: SlackSettings, slack: FakeHttp, file: TokenFile) -> None:
    file.write(Token("xoxe.xoxp-0", "xoxe-0", time.time() + 60))
    logins = [Login(settings, file, Upstream(str(one), classify=judge), slack.url + WAY) for one in range(2)]
    async with anyio.create_task_group() as group:
        for one in logins:
            group.start_soon(one.current)
    assert len(slack.requests) == 1


async def test_a_token_without_an_end_is_used_as_it_is(login: Login, slack: FakeHttp, file: TokenFile) -> None:
    file.write(Token("xoxp-for-ever"))
    assert await login.current() == ("xoxp-for-ever", None)
    assert slack.requests == []


async def test_a_renewal_that_slack_refuses_asks_for_a_login(login: Login, slack: FakeHttp, file: TokenFile) -> None:
    file.write(Token("xoxe.xoxp-0", "xoxe-0", time.time() - 1))
    slack.answer("POST", WAY, {"ok": False, "error": "invalid_refresh_token"})
    with pytest.raises(Unauthorized, match="invalid_refresh_token") as caught:
        await login.current()
    assert "klepaas slack login" in caught.value.line


async def test_a_renewal_in_doubt_is_not_repeated(login: Login, slack: FakeHttp, file: TokenFile) -> None:
    file.write(Token("xoxe.xoxp-0", "xoxe-0", time.time() - 1))
    slack.fault = failing(502)
    with pytest.raises(OutcomeUnknown):
        await login.current()
    assert len(slack.proxy.asked) == 1


async def test_nobody_who_has_not_logged_in_gets_a_token(login: Login, file: TokenFile) -> None:
    with pytest.raises(Unauthorized, match="no Slack login"):
        await login.current()
    file.write(Token("xoxp-old", None, time.time() - 1))
    with pytest.raises(Unauthorized, match="has ended"):
        await login.current()


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KLEPAAS_")}
    environment = {**kept, "HOME": str(tmp_path), "KLEPAAS_SLACK_CLIENT_ID": "111.222"}
    command = [sys.executable, "-m", "klepaas", "slack", "login"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=scale_timeout(30), check=False
    )
    assert done.returncode == 2
    assert "KLEPAAS_SLACK_CLIENT_SECRET" in done.stderr
