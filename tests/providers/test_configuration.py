"""From settings and an mcp.json to a server, its credentials and what `klepaas doctor` says; nothing is connected."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from klepaas.external import Credentials, ExternalProvider, HttpServer, StdioServer
from klepaas.hookspecs import Finding, Level
from klepaas.host import Host
from klepaas.settings import Mode, Settings, SettingsError, given_only
from klepaas_providers.github import plugin as github_plugin
from klepaas_providers.github.settings import GitHubSettings
from klepaas_providers.slack import plugin as slack_plugin
from klepaas_providers.slack.settings import SlackSettings
from klepaas_providers.slack.token_file import Token, TokenFile

from .github_api import GitHubApi
from .test_app_tokens import pem, private_key  # noqa: F401 -- a fixture

pytestmark = pytest.mark.anyio
APP = {"KLEPAAS_GITHUB_APP_ID": "12345", "KLEPAAS_GITHUB_APP_INSTALLATION_ID": "678"}


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    one = _host(tmp_path, Mode.WRITES)
    yield one
    await one.aclose()


def _host(folder: Path, mode: Mode) -> Host:
    with given_only():
        return Host(Settings(state_dir=folder / "state", mode=mode))


def declared(plugin: Any, host: Host) -> list[ExternalProvider]:
    return list(plugin.klepaas_external_providers(host))


async def credentials(provider: ExternalProvider) -> Credentials:
    assert provider.transport.credentials is not None
    return await provider.transport.credentials()


async def findings(plugin: Any, host: Host) -> list[Finding]:
    found: list[Finding] = []
    for one in plugin.klepaas_doctor_checks(host):
        found += await one.check()
    return found


def named(monkeypatch: pytest.MonkeyPatch, folder: Path, **servers: Any) -> None:
    file = folder / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {name.replace("_", "-"): said for name, said in servers.items()}}))
    file.chmod(0o600)
    monkeypatch.setenv("KLEPAAS_MCP_CONFIG", str(file))


@pytest.mark.parametrize("plugin", [github_plugin, slack_plugin])
async def test_nothing_said_is_nothing_offered_and_nothing_found_wrong(plugin: Any, host: Host) -> None:
    assert declared(plugin, host) == []
    assert [one.level for one in await findings(plugin, host)] == [Level.OK]


async def test_a_token_alone_leads_to_the_server_that_github_hosts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_GITHUB_TOKEN", "github_pat_1")
    (provider,) = declared(github_plugin, host)
    assert isinstance(provider.transport, HttpServer)
    assert provider.transport.url == "https://api.githubcopilot.com/mcp/"
    assert provider.transport.headers == {"X-MCP-Toolsets": "context,repos,issues,pull_requests,actions,users"}
    assert (await credentials(provider)).values == {"Authorization": "Bearer github_pat_1"}
    assert "github_pat_1" not in repr(provider)
    (found,) = await findings(github_plugin, host)
    assert found.level is Level.OK


async def test_a_read_only_klepaas_asks_for_a_read_only_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_GITHUB_TOKEN", "github_pat_1")
    (remote,) = declared(github_plugin, _host(tmp_path, Mode.READ_ONLY))
    assert isinstance(remote.transport, HttpServer)
    assert remote.transport.headers["X-MCP-Readonly"] == "true"
    monkeypatch.setenv("KLEPAAS_GITHUB_MCP_COMMAND", '["github-mcp-server", "stdio"]')
    (local,) = declared(github_plugin, _host(tmp_path, Mode.READ_ONLY))
    assert isinstance(local.transport, StdioServer)
    assert local.transport.env["GITHUB_READ_ONLY"] == local.transport.env["GITHUB_READ-ONLY"] == "true"


@pytest.mark.parametrize(
    ("host_name", "api", "remote"),
    [
        ("github.com", "https://api.github.com", "https://api.githubcopilot.com/mcp/"),
        ("acme.ghe.com", "https://api.acme.ghe.com", "https://copilot-api.acme.ghe.com/mcp/"),
        ("https://github.acme.example", "https://github.acme.example/api/v3", None),
        ("https://github.acme.example:8443/", "https://github.acme.example:8443/api/v3", None),
    ],
)
def test_each_github_has_its_addresses(host_name: str, api: str, remote: str | None) -> None:
    with given_only():
        settings = GitHubSettings(host=host_name)
    assert (settings.api_url, settings.remote_url) == (api, remote)


async def test_an_enterprise_server_needs_a_program(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_GITHUB_TOKEN", "github_pat_1")
    monkeypatch.setenv("KLEPAAS_GITHUB_HOST", "https://github.acme.example")
    (provider,) = declared(github_plugin, host)
    assert "KLEPAAS_GITHUB_MCP_COMMAND" in (provider.problem or "")
    assert [one.level for one in await findings(github_plugin, host)] == [Level.ERROR]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HOST", "http://github.acme.example"),
        ("HOST", "https://github.acme.example/path"),
        ("HOST", "https://user:word@github.acme.example"),
        ("MCP_URL", "http://mcp.acme.example"),
        ("TOOLSETS", "[]"),
        ("TOOLSETS", '["repos,--x"]'),
        ("APP_INSTALLATION_ID", "../../app"),
    ],
)
def test_what_is_no_setting_of_github_is_refused(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"KLEPAAS_GITHUB_{variable}", value)
    with pytest.raises((ValueError, SettingsError)):
        GitHubSettings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MCP_URL", "http://mcp.acme.example"),
        ("WEBHOOK_URL", "http://hooks.acme.example/services/x"),
        ("POST_CHANNELS", '["#general"]'),
        ("TEAM_ID", "acme"),
        ("CLIENT_ID", "../x"),
    ],
)
def test_what_is_no_setting_of_slack_is_refused(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"KLEPAAS_SLACK_{variable}", value)
    with pytest.raises((ValueError, SettingsError)):
        SlackSettings()


async def test_an_app_that_is_not_whole_is_told_what_it_lacks(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_GITHUB_APP_ID", "12345")
    (provider,) = declared(github_plugin, host)
    assert provider.problem == (
        "the GitHub App also needs KLEPAAS_GITHUB_APP_INSTALLATION_ID and KLEPAAS_GITHUB_APP_PRIVATE_KEY"
    )
    assert [one.level for one in await findings(github_plugin, host)] == [Level.ERROR]


async def test_an_app_key_that_is_none_is_found(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**APP, "KLEPAAS_GITHUB_APP_PRIVATE_KEY": "no key"}.items():
        monkeypatch.setenv(name, value)
    (found,) = await findings(github_plugin, host)
    assert found.level is Level.ERROR
    assert "cannot be read" in found.summary


async def test_a_classic_token_is_warned_of(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_GITHUB_TOKEN", "ghp_" + "x" * 36)
    assert [one.level for one in await findings(github_plugin, host)] == [Level.WARNING, Level.OK]


async def test_a_program_that_is_not_there_is_found(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_GITHUB_TOKEN", "github_pat_1")
    monkeypatch.setenv("KLEPAAS_GITHUB_MCP_COMMAND", '["no-such-program-here", "stdio"]')
    monkeypatch.setenv("KLEPAAS_SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("KLEPAAS_SLACK_MCP_COMMAND", '["no-such-program-here"]')
    for plugin in (github_plugin, slack_plugin):
        (found,) = await findings(plugin, host)
        assert found.level is Level.ERROR
        assert "no-such-program-here is not found on the PATH" in found.summary


async def test_the_app_gives_its_tokens_to_the_server(
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    private_key: Any,  # noqa: F811
) -> None:
    key = tmp_path / "app.pem"
    key.write_text(pem(private_key))
    key.chmod(0o600)
    async with GitHubApi() as github:
        github.trust(private_key)
        for name, value in {**APP, "KLEPAAS_GITHUB_APP_PRIVATE_KEY_FILE": str(key)}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KLEPAAS_GITHUB_HOST", github.url)
        monkeypatch.setenv("KLEPAAS_GITHUB_MCP_COMMAND", '["github-mcp-server", "stdio"]')
        (provider,) = declared(github_plugin, host)
        given = await credentials(provider)
        assert given.values == {"GITHUB_PERSONAL_ACCESS_TOKEN": github.granted[0]}
        assert given.valid_for_s is not None
        assert 3000 < given.valid_for_s < 3600


async def test_several_githubs_stand_side_by_side(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KLEPAAS_GITHUB_TOKEN", "github_pat_mine")
    monkeypatch.setenv("WORK_TOKEN", "github_pat_work")
    kind = {"kind": "github"}
    work = {"GITHUB_HOST": "https://github.acme.example", "GITHUB_PERSONAL_ACCESS_TOKEN": "${WORK_TOKEN}"}
    named(
        monkeypatch,
        tmp_path,
        github={"command": "github-mcp-server", "args": ["stdio"], "klepaas": kind},
        github_work={"command": "github-mcp-server", "args": ["stdio"], "env": work, "klepaas": kind},
        github_remote={"klepaas": kind},
    )
    mine, at_work, remote = declared(github_plugin, host)
    assert [one.prefix for one in (mine, at_work, remote)] == ["github", "github_work", "github_remote"]
    assert (await credentials(mine)).values == {"GITHUB_PERSONAL_ACCESS_TOKEN": "github_pat_mine"}
    assert isinstance(at_work.transport, StdioServer)
    assert at_work.transport.credentials is None
    assert at_work.transport.env["GITHUB_PERSONAL_ACCESS_TOKEN"] == "github_pat_work"
    assert isinstance(remote.transport, HttpServer)
    verify = at_work.rules_for("create_issue")[0].verify
    assert verify is not None
    assert "github_work_list_issues" in verify


async def test_each_slack_server_gets_its_own_names_of_the_token(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("KLEPAAS_SLACK_MCP_COMMAND", '["slack-mcp-server", "--transport", "stdio"]')
    monkeypatch.setenv("KLEPAAS_SLACK_POST_CHANNELS", '["C0DEPLOY01", "C0GENERAL1"]')
    (provider,) = declared(slack_plugin, host)
    assert isinstance(provider.transport, StdioServer)
    assert provider.problem is None
    assert provider.transport.env["SLACK_MCP_ADD_MESSAGE_TOOL"] == "C0DEPLOY01,C0GENERAL1"
    assert (await credentials(provider)).values == {"SLACK_MCP_XOXB_TOKEN": "xoxb-1", "SLACK_BOT_TOKEN": "xoxb-1"}
    monkeypatch.setenv("KLEPAAS_SLACK_MCP_COMMAND", '["npx", "-y", "@modelcontextprotocol/server-slack"]')
    (provider,) = declared(slack_plugin, host)
    assert provider.problem == "this Slack server also needs KLEPAAS_SLACK_TEAM_ID"


async def test_a_read_only_klepaas_lets_the_slack_server_post_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_SLACK_BOT_TOKEN", "xoxb-1")
    monkeypatch.setenv("KLEPAAS_SLACK_MCP_COMMAND", '["slack-mcp-server"]')
    (provider,) = declared(slack_plugin, _host(tmp_path, Mode.READ_ONLY))
    assert isinstance(provider.transport, StdioServer)
    assert "SLACK_MCP_ADD_MESSAGE_TOOL" not in provider.transport.env


async def test_a_bots_token_alone_starts_nothing_and_says_why(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_SLACK_BOT_TOKEN", "xoxb-1")
    assert declared(slack_plugin, host) == []
    (found,) = await findings(slack_plugin, host)
    assert found.level is Level.WARNING
    assert "user tokens only" in found.summary


async def test_a_login_leads_to_the_server_that_slack_hosts(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KLEPAAS_SLACK_CLIENT_ID", "111.222")
    monkeypatch.setenv("KLEPAAS_SLACK_CLIENT_SECRET", "the-apps-secret")
    assert declared(slack_plugin, host) == []
    (found,) = await findings(slack_plugin, host)
    assert found.repair == "Run klepaas slack login"
    TokenFile.of(host).write(Token("xoxe.xoxp-1", "xoxe-1", time.time() + 43200))
    (provider,) = declared(slack_plugin, host)
    assert isinstance(provider.transport, HttpServer)
    assert provider.transport.url == "https://mcp.slack.com/mcp"
    assert (await credentials(provider)).values == {"Authorization": "Bearer xoxe.xoxp-1"}


async def test_a_servers_program_finds_the_way_out_of_this_network(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_GITHUB_TOKEN", "github_pat_1")
    monkeypatch.setenv("KLEPAAS_GITHUB_MCP_COMMAND", '["github-mcp-server", "stdio"]')
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.acme.example:3128")
    (provider,) = declared(github_plugin, host)
    assert isinstance(provider.transport, StdioServer)
    assert provider.transport.env["HTTPS_PROXY"] == "http://proxy.acme.example:3128"
