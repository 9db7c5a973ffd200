"""How access to Slack is set up here, for `klepaas doctor`. No network: `provider_health` tells the rest."""

from collections.abc import Iterable

from klepaas.external.server_file import configured
from klepaas.hookspecs import Finding, Level
from klepaas.host import Host
from klepaas.outbound import program_problem
from klepaas_providers.slack.provider import KIND, is_offered, missing
from klepaas_providers.slack.settings import SlackSettings
from klepaas_providers.slack.token_file import TokenFile

__all__ = ["look"]

_HOW = "see the page on Slack in the documentation"


def look(host: Host) -> Iterable[Finding]:
    """What there is to say; nothing where Slack is not used.

    Args:
        host: The server's settings and shared services.
    """
    for server in configured(host, KIND):
        if server.problem:
            yield Finding(Level.ERROR, server.problem, "Correct the file of KLEPAAS_MCP_CONFIG")
    settings = SlackSettings()
    for concern in settings.concerns():
        yield Finding(Level.WARNING, f"Slack: {concern}", _HOW)
    if settings.client_id and not settings.user_token and not TokenFile.of(host).exists:
        yield Finding(Level.WARNING, "Nobody has logged in to Slack", "Run klepaas slack login")
    if configured(host, KIND):
        return
    if is_offered(host, settings):
        yield _of_the_server(host, settings)
    elif settings.webhook_url:
        yield Finding(Level.OK, "Slack is used through its incoming webhook, which can only post")


def _of_the_server(host: Host, settings: SlackSettings) -> Finding:
    problem = missing(host, settings)
    if problem:
        return Finding(Level.ERROR, f"Slack is left out: {problem}", f"Set what is missing; {_HOW}")
    program = settings.mcp_command[0] if settings.mcp_command else None
    if program is not None and (gone := program_problem(program)):
        return Finding(Level.ERROR, f"The Slack server {program} {gone.reason}", gone.next_step)
    return Finding(Level.OK, f"Slack is used through {program or settings.mcp_url}")
