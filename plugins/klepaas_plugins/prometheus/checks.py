"""How the Prometheus servers are (health) and how access to them is set up here (doctor). Doctor asks no network."""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import anyio.to_thread

from klepaas.errors import KlepaasError
from klepaas.hookspecs import DoctorCheck, Finding, HealthCheck, HealthReport, HealthStatus, Level
from klepaas.host import Host
from klepaas.portability import files
from klepaas_plugins.prometheus.access import Access
from klepaas_plugins.prometheus.figures import SKEW_MIN_S, skew_text
from klepaas_plugins.prometheus.settings import PrometheusSettings

__all__ = ["doctor_checks", "health_checks"]

SLOW_S = 1.0


def health_checks(host: Host) -> list[HealthCheck]:
    """One check a server."""
    names = PrometheusSettings().by_name
    return [HealthCheck(f"prometheus/{name}", partial(_health, host, name)) for name in names]


async def _health(host: Host, name: str) -> HealthReport:
    # Here and not above: a start need not wait for the HTTP client.
    from klepaas_plugins.prometheus.client import PrometheusServers

    server = PrometheusServers.of(host).get(name)
    state = server.state
    if state.retry_in_s is not None:
        reason = f"it failed {state.failures} times in a row and is left alone for {state.retry_in_s:.0f} s"
        return HealthReport(HealthStatus.UNHEALTHY, f"{state.last_error}; {reason}" if state.last_error else reason)
    began_at = time.monotonic()
    try:
        _, skew_s = await server.ping()
    except KlepaasError as exc:
        return HealthReport(HealthStatus.UNHEALTHY, exc.line)
    took_s = time.monotonic() - began_at
    said = f"it answered a query in {took_s * 1000:.0f} ms"
    if skew_s is not None and abs(skew_s) >= SKEW_MIN_S:
        return HealthReport(HealthStatus.DEGRADED, f"{said}; {skew_text(skew_s)}")
    return HealthReport(HealthStatus.OK if took_s < SLOW_S else HealthStatus.DEGRADED, said)


def doctor_checks(host: Host) -> list[DoctorCheck]:
    """The check of what is set about the servers."""

    async def check() -> Iterable[Finding]:
        return await anyio.to_thread.run_sync(_look, abandon_on_cancel=True)

    return [DoctorCheck("prometheus", check)]


def _look() -> list[Finding]:
    settings = PrometheusSettings()
    if not settings.by_name:
        return [Finding(Level.OK, "Prometheus is not configured")]
    findings = [finding for name, access in settings.by_name.items() for finding in _server(name, access)]
    return [
        *findings,
        *(Finding(Level.WARNING, concern, "Use https, or correct it") for concern in settings.concerns()),
    ]


def _server(name: str, access: Access) -> Iterable[Finding]:
    try:
        access.tls()
        access.request_headers()
    except KlepaasError as exc:
        yield Finding(Level.ERROR, f"prometheus/{name}: {exc.what}", exc.next_step)
        return
    for path in (access.credentials_file, access.key_file):
        if path is not None and _is_open_to_others(path.expanduser()):
            yield Finding(Level.WARNING, f"{path} can be read by others", f"chmod 600 {path}")
    yield Finding(Level.OK, f"prometheus/{name} is {access.url}")


def _is_open_to_others(path: Path) -> bool:
    found = path.stat()
    # What a cluster mounts belongs to root and may be readable by all in the container.
    return bool(files.permissions(found) & 0o077) and found.st_uid != 0
