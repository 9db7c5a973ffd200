"""GitHub as an external provider: which server, with which credentials, made of the settings or of an mcp.json.

It connects nothing; `klepaas.external` does, in the background.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from klepaas.external import Credentials, ExternalProvider, HttpServer, StdioServer, Supplier
from klepaas.external.configured import ConfiguredServer
from klepaas.external.server_file import configured
from klepaas.host import Host
from klepaas.settings import Mode
from klepaas_providers.github.settings import GitHubSettings
from klepaas_providers.given import way_out

if TYPE_CHECKING:
    from klepaas.resilience import Observation, Verdict
    from klepaas_providers.github.app_tokens import AppTokens

__all__ = ["KIND", "TOKEN_VARIABLE", "missing", "providers"]

KIND = "github"
TOKEN_VARIABLE = "GITHUB_PERSONAL_ACCESS_TOKEN"  # noqa: S105 -- a variable's name
# A container may have to be fetched.
BOOT_TIMEOUT_S = 60.0
_OTHER_CREDENTIALS = frozenset({TOKEN_VARIABLE, "GITHUB_APP_ID", "GITHUB_OAUTH_CLIENT_ID"})


def providers(host: Host) -> Iterator[ExternalProvider]:
    """Every GitHub that is configured.

    Args:
        host: The server's settings and shared services.
    """
    servers = configured(host, KIND)
    settings = GitHubSettings()
    for server in servers:
        yield _declared(server.name, server.prefix, _transport(host, settings, server), server.problem)
    if settings.is_used and not any(KIND in (server.name, server.prefix) for server in servers):
        yield _declared(KIND, KIND, _transport(host, settings, None), missing(settings))


def missing(settings: GitHubSettings) -> str | None:
    """What keeps the settings from being used, in one sentence. None: nothing.

    Args:
        settings: The settings.
    """
    lacks = _app_lacks(settings) if settings.token is None and settings.app_id is not None else []
    if lacks:
        return f"the GitHub App also needs {' and '.join(lacks)}"
    if not settings.mcp_command and settings.remote_url is None:
        return f"nobody hosts an MCP server for {settings.host}; set KLEPAAS_GITHUB_MCP_COMMAND"
    return None


def _app_lacks(settings: GitHubSettings) -> list[str]:
    """The variables without which an App is none."""
    wanted = {
        "APP_ID": settings.app_id,
        "APP_INSTALLATION_ID": settings.app_installation_id,
        "APP_PRIVATE_KEY": settings.app_private_key,
    }
    return [f"KLEPAAS_GITHUB_{name}" for name, value in wanted.items() if value is None]


def _declared(name: str, prefix: str, transport: StdioServer | HttpServer, problem: str | None) -> ExternalProvider:
    from klepaas_providers.github.tools import rules_of

    return ExternalProvider(
        name,
        transport,
        prefix,
        KIND,
        tools=rules_of(name, prefix),
        classify=_judge,
        boot_timeout_s=BOOT_TIMEOUT_S,
        problem=problem,
        # The rest of its environment is none, and must not be blacked out of texts.
        secrets=(),
    )


def _judge(seen: "Observation") -> "Verdict":
    """The classifier, loaded with the first call: the protocol's library is not needed to list tools."""
    from klepaas_providers.github.classify import classify

    return classify(seen)


def _transport(host: Host, settings: GitHubSettings, server: ConfiguredServer | None) -> StdioServer | HttpServer:
    """How the server is reached: what the file says, else what the settings say, with the credentials of either."""
    given = server.transport if server else None
    if given is None:
        given = StdioServer(settings.mcp_command) if settings.mcp_command else HttpServer(settings.remote_url or "")
        if server and isinstance(given, StdioServer):
            given = replace(given, env=server.env)
    if isinstance(given, StdioServer):
        env = {**_environment(host, settings), **given.env}
        return replace(given, env=env, credentials=_supplier(host, settings, TOKEN_VARIABLE, given.env))
    headers = {**_headers(host, settings), **given.headers, **(server.headers if server else {})}
    return replace(given, headers=headers, credentials=_supplier(host, settings, "Authorization", headers))


def _environment(host: Host, settings: GitHubSettings) -> dict[str, str]:
    env = {**way_out(), "GITHUB_TOOLSETS": ",".join(settings.toolsets)}
    if settings.host != "github.com":
        env["GITHUB_HOST"] = settings.address
    if host.settings.mode is not Mode.WRITES:
        # Version 0.12 asks for the one with a dash, what its documentation says notwithstanding.
        env |= {"GITHUB_READ_ONLY": "true", "GITHUB_READ-ONLY": "true"}
    return env


def _headers(host: Host, settings: GitHubSettings) -> dict[str, str]:
    headers = {"X-MCP-Toolsets": ",".join(settings.toolsets)}
    if host.settings.mode is not Mode.WRITES:
        headers["X-MCP-Readonly"] = "true"
    return headers


def _supplier(host: Host, settings: GitHubSettings, name: str, given: Mapping[str, str]) -> Supplier | None:
    """What gives our credentials under a name. None: the operator's file brings its own, or there are none."""
    if any(one in _OTHER_CREDENTIALS or one.lower() == "authorization" for one in given):
        return None
    before = "Bearer " if name == "Authorization" else ""
    if settings.token is not None:
        fixed = Credentials({name: before + settings.token.get_secret_value()})

        async def personal() -> Credentials:
            return fixed

        return personal
    if _app_lacks(settings):
        return None

    async def of_the_app() -> Credentials:
        token, valid_for_s = await _app_tokens(host, settings).current()
        return Credentials({name: before + token}, valid_for_s)

    return of_the_app


def _app_tokens(host: Host, settings: GitHubSettings) -> "AppTokens":
    from klepaas.resilience import Upstreams
    from klepaas_providers.github.app_tokens import AppKey, AppTokens

    private_key = settings.app_private_key.get_secret_value() if settings.app_private_key else ""
    key = AppKey(settings.app_id or "", settings.app_installation_id or "", private_key)
    upstream = Upstreams.of(host).get("github-app")
    return host.service(AppTokens, lambda _: AppTokens(key, settings.api_url, upstream))
