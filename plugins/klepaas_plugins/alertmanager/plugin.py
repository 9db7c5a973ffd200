"""The Alertmanager plugin's hooks; the work is elsewhere. What is not configured is not there."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from klepaas.configuration import toml_file
from klepaas.hookspecs import DoctorCheck, Finding, HealthCheck, Level, hookimpl
from klepaas.host import Host
from klepaas.http.routes import HttpRoute
from klepaas.preloading import EVERY_CALL, HTTP_CLIENT, Preloading
from klepaas.settings import SettingsBase
from klepaas.tools import Tool

if TYPE_CHECKING:
    from klepaas.firing import FiringAlert

__all__: list[str] = []

_VARIABLES = ("URL", "SERVERS", "WEBHOOK_TOKEN", "WEBHOOK_TOKEN_FILE")


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """The tools that ask Alertmanager where one is configured, and those about what it posts where that is received."""
    if not _is_given():
        return []
    from klepaas_plugins.alertmanager.settings import AlertmanagerSettings
    from klepaas_plugins.alertmanager.tools import AlertTools, NotificationTools

    settings = AlertmanagerSettings()
    for name in settings.by_name:
        _contribute(host, name)
    # The overview asks for its health and its alerts.
    preloading = Preloading.of(host)
    preloading.add(EVERY_CALL, [f"klepaas_plugins.alertmanager.{name}" for name in ("checks", "notices")])
    preloading.add(
        "alertmanager", [*HTTP_CLIENT, "klepaas_plugins.alertmanager.silencing", "klepaas.store.alert_queries"]
    )
    asking = AlertTools(host).tools() if settings.by_name else []
    return [*asking, *(NotificationTools(host).tools() if settings.webhook_token else [])]


@hookimpl
def klepaas_http_routes(host: Host) -> Iterable[HttpRoute]:
    """Where Alertmanager posts, if there is a token."""
    if not _is_given():
        return []
    from klepaas_plugins.alertmanager.receiver import Receiver
    from klepaas_plugins.alertmanager.settings import AlertmanagerSettings

    settings = AlertmanagerSettings()
    if settings.webhook_token is None:
        return []
    receiver = Receiver.of(host)
    receiver.serving = True
    token, per_minute = settings.webhook_token, settings.webhook_per_minute
    return [HttpRoute("/hooks/alertmanager", token, receiver.receive, per_minute=per_minute)]


@hookimpl
async def klepaas_start(host: Host) -> None:
    """Begin to freeze evidence, where messages are received."""
    if _is_given():
        from klepaas_plugins.alertmanager.receiver import Receiver

        receiver = Receiver.of(host)
        if receiver.serving:
            await receiver.start()


@hookimpl
def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
    """Whether each server answers."""
    if not _is_given():
        return []
    from klepaas_plugins.alertmanager.checks import health_checks

    return health_checks(host)


@hookimpl
def klepaas_doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """Whether access to the servers, and the webhook, are set up well."""
    if _is_given():
        from klepaas_plugins.alertmanager.checks import doctor_checks

        return doctor_checks(host)

    async def nothing() -> Iterable[Finding]:
        return [Finding(Level.OK, "Alertmanager is not configured")]

    return [DoctorCheck("alertmanager", nothing)]


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """Which servers, how they are reached, and what is received."""
    from klepaas_plugins.alertmanager.settings import AlertmanagerSettings

    yield AlertmanagerSettings


def _contribute(host: Host, name: str) -> None:
    """Let the overview know of this server's alerts."""
    from klepaas.firing import FiringAlerts

    async def ask() -> "Iterable[FiringAlert]":
        from klepaas_plugins.alertmanager.client import Alertmanagers
        from klepaas_plugins.alertmanager.shown import firing_of

        return firing_of((await Alertmanagers.of(host).get(name).alerts()).items)

    FiringAlerts.of(host).contribute(f"alertmanager/{name}", ask)


def _is_given() -> bool:
    """Whether anything is set: whoever uses none need not pay for reading the settings."""
    given = any(os.environ.get(f"KLEPAAS_ALERTMANAGER_{name}") for name in _VARIABLES)
    return given or "alertmanager" in toml_file.read().values
