"""The Slack plugin's hooks; the work is elsewhere. What reads and posts is an MCP server, or the incoming webhook."""

import argparse
from collections.abc import Iterable

from klepaas.external import ExternalProvider
from klepaas.external.server_file import configured
from klepaas.hookspecs import Command, DoctorCheck, Finding, Level, hookimpl
from klepaas.host import Host
from klepaas.settings import SettingsBase
from klepaas.tools import Tool
from klepaas_providers.given import is_given

__all__: list[str] = []


@hookimpl
def klepaas_external_providers(host: Host) -> Iterable[ExternalProvider]:
    """Every Slack that is configured; none without credentials."""
    if not (configured(host, "slack") or is_given("slack")):
        return ()
    from klepaas_providers.slack.provider import providers

    return providers(host)


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """The incoming webhook, where there is no server that can do more."""
    if not is_given("slack"):
        return
    from klepaas_providers.slack.settings import SlackSettings

    settings = SlackSettings()
    if settings.webhook_url is None:
        return
    from klepaas_providers.slack.provider import is_offered
    from klepaas_providers.slack.webhook import webhook_tool

    if not is_offered(host, settings):
        yield webhook_tool(host, settings.webhook_url)


@hookimpl
def klepaas_doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """Whether access to Slack is set up well."""

    async def check() -> Iterable[Finding]:
        import anyio.to_thread

        from klepaas_providers.slack.checks import look

        found = await anyio.to_thread.run_sync(lambda: list(look(host)), abandon_on_cancel=True)
        return found or [Finding(Level.OK, "Slack is not configured")]

    yield DoctorCheck("slack", check)


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """Which Slack, with which credentials, and who asks it."""
    from klepaas_providers.slack.settings import SlackSettings

    yield SlackSettings


@hookimpl
def klepaas_commands() -> Iterable[Command]:
    """The login for the server that Slack hosts."""
    yield Command(
        "slack login",
        "log in to Slack in the browser, for the MCP server that Slack hosts",
        _login,
        examples=("klepaas slack login",),
        group_help="Slack",
    )


def _login(arguments: argparse.Namespace) -> int:
    from klepaas_providers.slack.command import run

    return run(arguments)
