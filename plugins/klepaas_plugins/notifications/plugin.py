"""The notifications plugin's hooks; the work is elsewhere. Where no sink is configured there are no tools."""

import argparse
from collections.abc import Iterable

from klepaas.hookspecs import Command, DoctorCheck, Finding, HealthCheck, HealthReport, Level, hookimpl
from klepaas.host import Host
from klepaas.notifications import NotificationSink
from klepaas.preloading import EVERY_CALL, HTTP_CLIENT, Preloading
from klepaas.settings import SettingsBase
from klepaas.tools import Tool
from klepaas_plugins.notifications.sinks import is_given, sinks

__all__: list[str] = []


@hookimpl
def klepaas_notification_sinks(host: Host) -> Iterable[NotificationSink]:
    """Slack, e-mail, a signed webhook: what is configured."""
    return sinks(host)


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """The tools that send alerts, where they would get somewhere."""
    if not is_given() or not list(sinks(host)):
        return ()
    from klepaas_plugins.notifications.tools import alert_tools

    preloading = Preloading.of(host)
    preloading.add(EVERY_CALL, ["klepaas_plugins.notifications.checks"])
    preloading.add("notifications", [*HTTP_CLIENT, "concurrent.futures.thread"])
    return alert_tools(host)


@hookimpl
def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
    """Whether notifications get away."""
    if not is_given():
        return

    async def check() -> HealthReport:
        from klepaas_plugins.notifications.checks import health

        return await health(host)

    yield HealthCheck("notifications", check)


@hookimpl
def klepaas_doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """Whether they are set up well, templates too, and whether some were given up."""

    async def check() -> Iterable[Finding]:
        if not is_given():
            return [Finding(Level.OK, "Notifications are not configured; the log has them")]
        from klepaas_plugins.notifications.checks import look

        return await look(host)

    yield DoctorCheck("notifications", check)


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """Where notifications go, and what they say."""
    from klepaas_plugins.notifications.settings import NotificationSettings

    yield NotificationSettings


@hookimpl
def klepaas_commands() -> Iterable[Command]:
    """A test message."""
    yield Command(
        "notifications test",
        "send a test message to each configured sink, and say what became of it",
        _test,
        _configure,
        examples=("klepaas notifications test", "klepaas notifications test --sink slack"),
        group_help="notifications",
    )


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sink", metavar="NAME", help="only this one: slack, email or webhook")


def _test(arguments: argparse.Namespace) -> int:
    from klepaas_plugins.notifications.command import run

    return run(arguments.sink)
