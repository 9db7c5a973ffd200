"""The Prometheus plugin's hooks; the work is elsewhere. Where no server is configured there are no tools."""

import os
from collections.abc import Iterable

from klepaas.configuration import toml_file
from klepaas.evidence import AlertSubject, EvidenceSource
from klepaas.hookspecs import DoctorCheck, Finding, HealthCheck, Level, hookimpl
from klepaas.host import Host
from klepaas.preloading import EVERY_CALL, HTTP_CLIENT, Preloading
from klepaas.settings import SettingsBase
from klepaas.tools import Tool

__all__: list[str] = []

_VARIABLES = ("KLEPAAS_PROMETHEUS_BASE_URL", "KLEPAAS_PROMETHEUS_SERVERS")


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    """The tools that ask Prometheus, where one is configured."""
    if not _is_given():
        return ()
    from klepaas_plugins.prometheus.settings import PrometheusSettings
    from klepaas_plugins.prometheus.tools import PrometheusTools

    names = [*PrometheusSettings().by_name]
    if not names:
        return ()
    from klepaas_plugins.prometheus.firing import contribute

    contribute(host, names)
    preloading = Preloading.of(host)
    # The overview asks for its health and its alerts.
    preloading.add(EVERY_CALL, [f"klepaas_plugins.prometheus.{name}" for name in ("checks", "inspecting")])
    own = [f"klepaas_plugins.prometheus.{name}" for name in ("asking", "catalogue", "points")]
    preloading.add("prometheus", [*HTTP_CLIENT, *own])
    return PrometheusTools(host).tools()


@hookimpl
def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
    """Whether each server answers queries."""
    if not _is_given():
        return ()
    from klepaas_plugins.prometheus.checks import health_checks

    return health_checks(host)


@hookimpl
def klepaas_doctor_checks(host: Host) -> Iterable[DoctorCheck]:
    """Whether access to the servers is set up well."""
    if _is_given():
        from klepaas_plugins.prometheus.checks import doctor_checks

        return doctor_checks(host)

    async def nothing() -> Iterable[Finding]:
        return [Finding(Level.OK, "Prometheus is not configured")]

    return [DoctorCheck("prometheus", nothing)]


@hookimpl
def klepaas_alert_evidence(host: Host) -> Iterable[EvidenceSource]:
    """The key series of what an alert names."""
    if not _is_given():
        return ()

    async def collect(alert: AlertSubject) -> str | None:
        from klepaas_plugins.prometheus.alert_evidence import key_series_of

        return await key_series_of(host, alert)

    return [EvidenceSource("key series", collect, timeout_s=15.0)]


@hookimpl
def klepaas_settings() -> Iterable[type[SettingsBase]]:
    """Which servers, and how they are reached."""
    from klepaas_plugins.prometheus.settings import PrometheusSettings

    yield PrometheusSettings


def _is_given() -> bool:
    """Whether anything names a server: whoever uses none need not pay for reading the settings."""
    return any(os.environ.get(name) for name in _VARIABLES) or "prometheus" in toml_file.read().values
