"""The providers plugin's hooks; the work is elsewhere. Its tools appear when there is an external server."""

import argparse
from collections.abc import Iterable

from klepaas.external.externals import Externals
from klepaas.hookspecs import Command, DoctorCheck, Finding, HealthCheck, hookimpl
from klepaas.host import Host
from klepaas.tools import Tool

__all__: list[str] = []


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """Which external servers there are, how they are, and what they can do."""
    externals = Externals.of(host)
    if not externals.declared:
        return []
    from klepaas_providers.providers.tools import ProviderTools

    return ProviderTools(externals).tools()


@hookimpl
def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
    """Whether each external server is there."""
    externals = Externals.of(host)
    if not externals.declared:
        return []
    from klepaas_providers.providers.checks import health_checks

    return health_checks(externals)


@hookimpl
def klepaas_doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """Whether the external servers are set up well."""
    externals = Externals.of(host)

    async def check() -> Iterable[Finding]:
        from klepaas_providers.providers.checks import findings

        return findings(host, externals)

    yield DoctorCheck("external servers", check)


@hookimpl
def klepaas_commands() -> Iterable[Command]:
    """What a person says about external servers."""
    help_of_group = "external MCP servers, and which of their tools are trusted"
    yield Command(
        "providers list",
        "the servers and their tools, as last seen",
        _list,
        _json,
        examples=("klepaas providers list", "klepaas providers list --json"),
        group_help=help_of_group,
    )
    yield Command(
        "providers trust",
        "show what changed in a server's tools, and trust it",
        _trust,
        _trust_options,
        examples=("klepaas providers trust github", "klepaas providers trust github create_issue --yes"),
    )
    yield Command(
        "providers forget",
        "forget what is trusted of a server, so that its next list is the first one",
        _forget,
        _forget_options,
        examples=("klepaas providers forget github",),
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for a program")


def _trust_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the server's name")
    parser.add_argument("tool", nargs="?", help="the server's own name of one tool (default: all that wait)")
    parser.add_argument("--yes", action="store_true", help="trust without asking; the difference is shown all the same")


def _forget_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="the server's name")
    parser.add_argument("tool", nargs="?", help="the server's own name of one tool (default: all, and the list itself)")


def _list(arguments: argparse.Namespace) -> int:
    from klepaas_providers.providers.commands import show

    return show(as_json=arguments.json)


def _trust(arguments: argparse.Namespace) -> int:
    from klepaas_providers.providers.commands import trust

    return trust(arguments.name, arguments.tool, yes=arguments.yes)


def _forget(arguments: argparse.Namespace) -> int:
    from klepaas_providers.providers.commands import forget

    return forget(arguments.name, arguments.tool)
