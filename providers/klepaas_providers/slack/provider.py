"""Slack as an external provider: which server, with which credentials, made of the settings or of an mcp.json.

It connects nothing; `klepaas.external` does, in the background. Three servers are known: the one that Slack hosts, and
two that others wrote and that run here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from klepaas.external import Credentials, ExternalProvider, HttpServer, StdioServer, Supplier
from klepaas.external.configured import ConfiguredServer
from klepaas.external.server_file import configured
from klepaas.host import Host
from klepaas.portability import files
from klepaas.settings import Mode
from klepaas_providers.given import way_out
from klepaas_providers.slack.settings import SlackSettings

if TYPE_CHECKING:
    from klepaas.resilience import Observation, Verdict

__all__ = ["KIND", "is_offered", "missing", "providers"]

KIND = "slack"
# It reads all users and channels before it answers.
BOOT_TIMEOUT_S = 60.0
# They hand on what Slack's Web API says, word for word.
_HANDS_ON = ("@modelcontextprotocol/server-slack", "mcp-server-slack", "@zencoderai/slack-mcp-server")


def providers(host: Host) -> Iterator[ExternalProvider]:
    """Every Slack that is configured.

    Args:
        host: The server's settings and shared services.
    """
    servers = configured(host, KIND)
    settings = SlackSettings()
    for server in servers:
        yield _declared(server.name, server.prefix, _transport(host, settings, server), server.problem)
    if is_offered(host, settings) and not servers:
        yield _declared(KIND, KIND, _transport(host, settings, None), missing(host, settings))


def is_offered(host: Host, settings: SlackSettings) -> bool:
    """Whether an MCP server for Slack is configured; the webhook is for where none is.

    Args:
        host: The server's settings and shared services.
        settings: The settings.
    """
    from klepaas_providers.slack.token_file import TokenFile

    has_login = settings.client_id is not None and TokenFile.of(host).exists
    return bool(configured(host, KIND) or settings.mcp_command or settings.user_token or has_login)


def missing(host: Host, settings: SlackSettings) -> str | None:
    """What keeps the settings from being used, in one sentence. None: nothing.

    Args:
        host: The server's settings and shared services.
        settings: The settings.
    """
    if settings.mcp_command and settings.bot_token is None and settings.user_token is None:
        return "the Slack server needs KLEPAAS_SLACK_BOT_TOKEN or KLEPAAS_SLACK_USER_TOKEN"
    if settings.mcp_command and _hands_on(settings.mcp_command) and settings.team_id is None:
        return "this Slack server also needs KLEPAAS_SLACK_TEAM_ID"
    return None


def _declared(name: str, prefix: str, transport: StdioServer | HttpServer, problem: str | None) -> ExternalProvider:
    from klepaas_providers.slack.tools import rules_of

    strict = isinstance(transport, StdioServer) and _hands_on(transport.command)
    return ExternalProvider(
        name,
        transport,
        prefix,
        KIND,
        tools=rules_of(name, prefix),
        classify=_judge_strictly if strict else _judge,
        boot_timeout_s=BOOT_TIMEOUT_S,
        problem=problem,
        # The rest of its environment is none, and must not be blacked out of texts.
        secrets=(),
    )


def _judge(seen: "Observation") -> "Verdict":
    """The classifier, loaded with the first call: the protocol's library is not needed to list tools."""
    from klepaas_providers.slack.classify import classify

    return classify(seen)


def _judge_strictly(seen: "Observation") -> "Verdict":
    from klepaas_providers.slack.classify import classify_strictly

    return classify_strictly(seen)


def _hands_on(command: tuple[str, ...]) -> bool:
    return any(name in word for word in command for name in _HANDS_ON)


def _transport(host: Host, settings: SlackSettings, server: ConfiguredServer | None) -> StdioServer | HttpServer:
    """How the server is reached: what the file says, else what the settings say, with the credentials of either."""
    given = server.transport if server else None
    if given is None:
        given = StdioServer(settings.mcp_command) if settings.mcp_command else HttpServer(settings.mcp_url)
        if server and isinstance(given, StdioServer):
            given = replace(given, env=server.env)
    if isinstance(given, StdioServer):
        return replace(
            given, env={**_environment(host, settings), **given.env}, credentials=_tokens(host, settings, given.env)
        )
    headers = {**given.headers, **(server.headers if server else {})}
    return replace(given, headers=headers, credentials=_authorization(host, settings, headers))


def _environment(host: Host, settings: SlackSettings) -> dict[str, str]:
    """What both servers that run here are told; each takes its own."""
    folder = _folder(host)
    env = {
        **way_out(),
        "SLACK_MCP_USERS_CACHE": str(folder / "users.json"),
        "SLACK_MCP_CHANNELS_CACHE": str(folder / "channels.json"),
        "SLACK_MCP_LOG_LEVEL": "warn",
    }
    if host.settings.mode is Mode.WRITES:
        env["SLACK_MCP_ADD_MESSAGE_TOOL"] = ",".join(settings.post_channels) or "true"
    if settings.team_id:
        env["SLACK_TEAM_ID"] = settings.team_id
    return env


def _tokens(host: Host, settings: SlackSettings, given: Mapping[str, str]) -> Supplier:
    """What gives our tokens, none where the operator's file brings its own, and makes the place for what it caches."""
    values: dict[str, str] = {}
    if any("TOKEN" in name for name in given):
        values = {}
    elif settings.bot_token is not None:
        token = settings.bot_token.get_secret_value()
        values = {"SLACK_MCP_XOXB_TOKEN": token, "SLACK_BOT_TOKEN": token}
    elif settings.user_token is not None:
        token = settings.user_token.get_secret_value()
        values = {"SLACK_MCP_XOXP_TOKEN": token, "SLACK_BOT_TOKEN": token}
    fixed = Credentials(values)

    async def supply() -> Credentials:
        import anyio.to_thread

        # It holds the names of people and channels.
        await anyio.to_thread.run_sync(files.make_private_folder, _folder(host))
        return fixed

    return supply


def _folder(host: Host) -> Path:
    return host.settings.state_dir / "slack"


def _authorization(host: Host, settings: SlackSettings, given: Mapping[str, str]) -> Supplier | None:
    if any(name.lower() == "authorization" for name in given):
        return None
    if settings.user_token is not None:
        fixed = Credentials({"Authorization": f"Bearer {settings.user_token.get_secret_value()}"})

        async def supply() -> Credentials:
            return fixed

        return supply

    async def of_the_login() -> Credentials:
        from klepaas_providers.slack.login import Login

        token, valid_for_s = await Login.of(host, settings).current()
        return Credentials({"Authorization": f"Bearer {token}"}, valid_for_s)

    return of_the_login
