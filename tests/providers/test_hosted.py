"""The hosted servers, as far as their documentation goes: version 1 of GitHub's tools, Slack's names, our headers."""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from klepaas.app import App
from klepaas.external.externals import Externals
from klepaas.testing import ERAS, Era, Session, app_with, client
from klepaas_providers.github import plugin as github_plugin
from klepaas_providers.slack import plugin as slack_plugin
from klepaas_providers.slack.token_file import Token, TokenFile

from .conftest import up
from .hosted import GITHUB_1, SLACK_HOSTED, Hosted
from .sides import GITHUB_TOKEN, SHOP

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def hosted(
    kind: str, tools: Sequence[Mapping[str, Any]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Hosted, App]]:
    """A hosted server, and a klepaas that knows where it is."""
    async with Hosted(tools) as server:
        file = folder / "mcp.json"
        said = {"url": f"{server.url}/mcp", "klepaas": {"kind": kind, "call_timeout_s": 2}}
        file.write_text(json.dumps({"mcpServers": {kind: said}}))
        file.chmod(0o600)
        monkeypatch.setenv("KLEPAAS_MCP_CONFIG", str(file))
        settings = {"mode": "writes", "state_dir": folder / "state"}
        async with app_with(github_plugin, slack_plugin, settings=settings) as app:
            yield server, app


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> Era:
    chosen: Era = request.param
    return chosen


@pytest.fixture
async def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Hosted, App]]:
    monkeypatch.setenv("KLEPAAS_GITHUB_TOKEN", GITHUB_TOKEN)
    async with hosted("github", GITHUB_1, tmp_path, monkeypatch) as one:
        yield one


async def test_the_names_are_those_of_before_and_the_method_is_ours(era: Era, github: tuple[Hosted, App]) -> None:
    server, app = github
    async with client(app, era) as session:
        await up(app, "github")
        (create,) = [one for one in await session.tools() if one.name == "github_create_issue"]
        assert set(create.input_schema["properties"]) == {"owner", "repo", "title", "body"}
        assert not (await session.call("github_create_issue", **SHOP, title="x")).is_error
        assert not (await session.call("github_get_issue", **SHOP, issue_number=7)).is_error
        assert server.calls == [
            ("issue_write", {**SHOP, "title": "x", "method": "create"}),
            ("issue_read", {**SHOP, "issue_number": 7, "method": "get"}),
        ]
        smuggled = await session.call("github_get_issue", **SHOP, issue_number=7, method="update")
        assert smuggled.code == "bad_request"
        assert len(server.calls) == 2


async def test_one_tool_that_reads_and_destroys_is_two(github: tuple[Hosted, App]) -> None:
    server, app = github
    async with client(app) as session:
        await up(app, "github")
        for name in ("github_run_workflow", "github_delete_workflow_run_logs"):
            assert (await session.call(name, **SHOP)).is_error
        names = {entry.tool.name for entry in Externals.of(app.host)}
    assert server.calls == []
    assert "github_list_secret_scanning_alerts" not in names
    assert "github_issue_write" not in names


async def test_it_gets_our_token_and_our_toolsets_with_each_request(github: tuple[Hosted, App]) -> None:
    server, app = github
    async with client(app) as session:
        await up(app, "github")
        await session.call("github_list_issues", **SHOP)
    assert len(server.headers) >= 3
    for headers in server.headers:
        assert headers["authorization"] == f"Bearer {GITHUB_TOKEN}"
        assert headers["x-mcp-toolsets"] == "context,repos,issues,pull_requests,actions,users"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("failed to create issue: GitHub API rate limit exceeded. Retry after 30m0s.", "rate_limited"),
        ("failed to create issue: Validation Failed\nIssue.title (missing_field)", "bad_request"),
        ("failed to create issue: POST https://api.github.com/repos/acme/shop/issues: 404 Not Found []", "not_found"),
        ("failed to create issue: POST https://api.github.com/repos/acme/shop/issues: 502  []", "timeout"),
    ],
)
async def test_the_words_of_version_1_are_read(github: tuple[Hosted, App], text: str, code: str) -> None:
    server, app = github
    server.results["issue_write"] = text
    async with client(app) as session:
        await up(app, "github")
        said = await session.call("github_create_issue", **SHOP, title="x")
        assert said.code == code, said.text
        assert len(server.calls) == 1


async def _post(session: Session) -> str:
    said = await session.call("slack_post_message", channel_id="C1", message="hello")
    return said.code or ("failed" if said.is_error else "done")


async def test_the_hosted_slack_gets_the_token_of_the_login(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_SLACK_CLIENT_ID", "111.222")
    monkeypatch.setenv("KLEPAAS_SLACK_CLIENT_SECRET", "the-apps-secret")
    async with hosted("slack", SLACK_HOSTED, tmp_path, monkeypatch) as (server, app):
        TokenFile.of(app.host).write(Token("xoxe.xoxp-1", "xoxe-1", time.time() + 43200))
        async with client(app, era) as session:
            await up(app, "slack")
            assert await _post(session) == "done"
            server.results["slack_send_message"] = '{"ok": false, "error": "channel_not_found"}'
            assert await _post(session) == "not_found"
            assert (await session.call("slack_slack_delete_everything")).is_error
            assert (await session.call("slack_delete_everything")).is_error
        assert [name for name, _ in server.calls] == ["slack_send_message"] * 2
        assert {one["authorization"] for one in server.headers} == {"Bearer xoxe.xoxp-1"}


async def test_without_a_login_the_hosted_slack_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_SLACK_CLIENT_ID", "111.222")
    monkeypatch.setenv("KLEPAAS_SLACK_CLIENT_SECRET", "the-apps-secret")
    async with hosted("slack", SLACK_HOSTED, tmp_path, monkeypatch) as (server, app), client(app) as session:
        said = await session.call("slack_post_message", channel_id="C1", message="hello")
        assert said.is_error
        assert server.requests == []
