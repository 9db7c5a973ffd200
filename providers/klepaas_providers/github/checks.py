"""How access to GitHub is set up here, for `klepaas doctor`. No network: `provider_health` tells the rest."""

import time
from collections.abc import Iterable

from klepaas.errors import KlepaasError
from klepaas.external.server_file import configured
from klepaas.hookspecs import Finding, Level
from klepaas.host import Host
from klepaas.outbound import program_problem
from klepaas_providers.github.app_tokens import AppKey
from klepaas_providers.github.provider import KIND, missing
from klepaas_providers.github.settings import GitHubSettings

__all__ = ["look"]

_HOW = "see the page on GitHub in the documentation"


def look(host: Host) -> Iterable[Finding]:
    """What there is to say; nothing where GitHub is not used.

    Args:
        host: The server's settings and shared services.
    """
    for server in configured(host, KIND):
        if server.problem:
            yield Finding(Level.ERROR, server.problem, "Correct the file of KLEPAAS_MCP_CONFIG")
    settings = GitHubSettings()
    if settings.is_used:
        yield from _of_the_settings(settings)
    elif settings.mcp_command:
        yield Finding(Level.ERROR, "GitHub's MCP server has no credentials", f"Set KLEPAAS_GITHUB_TOKEN; {_HOW}")


def _of_the_settings(settings: GitHubSettings) -> Iterable[Finding]:
    problem = missing(settings)
    if problem:
        yield Finding(Level.ERROR, f"GitHub is left out: {problem}", f"Set what is missing; {_HOW}")
        return
    for concern in settings.concerns():
        yield Finding(Level.WARNING, f"GitHub: {concern}", _HOW)
    program = settings.mcp_command[0] if settings.mcp_command else None
    if program is not None and (gone := program_problem(program)):
        yield Finding(Level.ERROR, f"GitHub's MCP server {program} {gone.reason}", gone.next_step)
    elif settings.token is None:
        yield _of_the_app(settings)
    else:
        where = program or settings.remote_url
        yield Finding(Level.OK, f"GitHub is used through {where}, with a personal access token")


def _of_the_app(settings: GitHubSettings) -> Finding:
    private_key = settings.app_private_key.get_secret_value() if settings.app_private_key else ""
    key = AppKey(settings.app_id or "", settings.app_installation_id or "", private_key)
    try:
        key.signed(time.time())
    except KlepaasError as exc:
        return Finding(Level.ERROR, exc.what, exc.next_step)
    return Finding(Level.OK, f"GitHub is used as App {key.app_id}, installation {key.installation_id}")
