"""How the Alertmanagers are (health), and how access and webhook are set up here (doctor). Doctor asks no network."""

import time
from collections.abc import Iterable
from functools import partial

import anyio.to_thread

from klepaas.errors import KlepaasError
from klepaas.hookspecs import DoctorCheck, Finding, HealthCheck, HealthReport, HealthStatus, Level
from klepaas.host import Host
from klepaas_plugins.alertmanager.client import Alertmanagers, AlertmanagerServer
from klepaas_plugins.alertmanager.settings import AlertmanagerSettings

__all__ = ["doctor_checks", "health_checks"]

SLOW_S = 1.0
SKEW_MIN_S = 5.0


def health_checks(host: Host) -> list[HealthCheck]:
    """One check a server."""
    servers = Alertmanagers.of(host)
    return [HealthCheck(f"alertmanager/{name}", partial(_health, servers.get(name))) for name in servers.names]


async def _health(server: AlertmanagerServer) -> HealthReport:
    state = server.state
    if state.retry_in_s is not None:
        reason = f"it failed {state.failures} times in a row and is left alone for {state.retry_in_s:.0f} s"
        return HealthReport(HealthStatus.UNHEALTHY, f"{state.last_error}; {reason}" if state.last_error else reason)
    began_at = time.monotonic()
    try:
        version, skew_s = await server.ping()
    except KlepaasError as exc:
        return HealthReport(HealthStatus.UNHEALTHY, exc.line)
    took_s = time.monotonic() - began_at
    said = f"Alertmanager {version} answered in {took_s * 1000:.0f} ms"
    if skew_s is not None and abs(skew_s) >= SKEW_MIN_S:
        return HealthReport(HealthStatus.DEGRADED, f"{said}; its clock and klepaas' differ by {abs(skew_s):.0f} s")
    return HealthReport(HealthStatus.OK if took_s < SLOW_S else HealthStatus.DEGRADED, said)


def doctor_checks(_host: Host) -> list[DoctorCheck]:
    """The check of what is set."""

    async def check() -> Iterable[Finding]:
        return await anyio.to_thread.run_sync(_look, abandon_on_cancel=True)

    return [DoctorCheck("alertmanager", check)]


def _look() -> list[Finding]:
    settings = AlertmanagerSettings()
    findings = [Finding(Level.WARNING, concern, "Use https, or correct it") for concern in settings.concerns()]
    for name, access in settings.by_name.items():
        try:
            access.tls()
            access.request_headers()
        except KlepaasError as exc:
            findings.append(Finding(Level.ERROR, f"alertmanager/{name}: {exc.what}", exc.next_step))
        else:
            findings.append(Finding(Level.OK, f"alertmanager/{name} is {access.url}"))
    taken = "are received at /hooks/alertmanager" if settings.webhook_token else "are not received: no webhook_token"
    return [*findings, Finding(Level.OK, f"Messages of Alertmanager {taken}")]
