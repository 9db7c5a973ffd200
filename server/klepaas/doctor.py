"""`klepaas doctor`: how this installation is set up, how the things it depends on are, and what to do about it.

Every check belongs to a plugin or to the core, runs by itself with a time limit, and can only report.
"""

import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import anyio

from klepaas import __version__
from klepaas.errors import KlepaasError
from klepaas.hookspecs import DoctorCheck, Finding, HealthCheck, HealthReport, HealthStatus, Level
from klepaas.host import Host
from klepaas.observability import safe_text
from klepaas.plugins import Plugins, PluginState
from klepaas.settings import Mode

__all__ = ["Result", "examine"]

_LEVEL_OF = {HealthStatus.OK: Level.OK, HealthStatus.DEGRADED: Level.WARNING, HealthStatus.UNHEALTHY: Level.ERROR}


@dataclass(frozen=True)
class Result:
    """One finding, with the check and the plugin it came from."""

    plugin: str
    check: str
    finding: Finding


async def examine(plugins: Plugins, host: Host) -> list[Result]:
    """Run every check of the core and of all active plugins.

    Args:
        plugins: The plugins to ask.
        host: What they get.

    Returns:
        The findings, at least one for each check.
    """
    results = [Result("klepaas", *finding) for finding in _core_findings(plugins, host)]
    for doctor in list(plugins.contributions("klepaas_doctor_checks", DoctorCheck, host=host)):
        name = doctor.item.name
        async for finding in _look(doctor.item):
            results.append(Result(doctor.plugin.name, name, finding))
    for health in list(plugins.contributions("klepaas_health_checks", HealthCheck, host=host)):
        finding = await _ask(health.item)
        results.append(Result(health.plugin.name, f"health of {health.item.component}", finding))
    return results


def _core_findings(plugins: Plugins, host: Host) -> Iterable[tuple[str, Finding]]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield "version", Finding(Level.OK, f"klepaas {__version__} on Python {python}")
    mode = host.settings.mode
    meaning = "changing tools are open" if mode is Mode.WRITES else "changing tools are refused"
    yield "mode", Finding(Level.OK, f"{mode.value}: {meaning}")
    for plugin in plugins.all:
        if plugin.state is PluginState.FAILED:
            repair = f"Repair or uninstall {plugin.distribution}, or add {plugin.name} to KLEPAAS_DISABLED_PLUGINS"
            yield "plugins", Finding(Level.ERROR, f"{plugin.name} ({plugin.source}) {plugin.reason}", repair)
    active = ", ".join(plugin.name for plugin in plugins.active)
    yield "plugins", Finding(Level.OK if active else Level.WARNING, f"active: {active or 'none'}")


async def _look(check: DoctorCheck) -> AsyncIterator[Finding]:
    try:
        with anyio.fail_after(check.timeout_s):
            findings = [*await check.check()]
    except TimeoutError:
        findings = [Finding(Level.ERROR, f"no answer within {check.timeout_s:g} s")]
    except KlepaasError as exc:
        findings = [Finding(Level.ERROR, exc.what, exc.next_step)]
    except Exception as exc:  # noqa: BLE001 -- guarded boundary: a check can only report
        findings = [Finding(Level.ERROR, f"the check itself failed: {type(exc).__name__}: {safe_text(str(exc))}")]
    for finding in findings:
        yield finding


async def _ask(check: HealthCheck) -> Finding:
    try:
        with anyio.fail_after(check.timeout_s):
            report = await check.check()
    except TimeoutError:
        report = HealthReport(HealthStatus.UNHEALTHY, f"no answer within {check.timeout_s:g} s")
    except KlepaasError as exc:
        report = HealthReport(HealthStatus.UNHEALTHY, exc.line)
    except Exception as exc:  # noqa: BLE001 -- guarded boundary: a check can only report
        report = HealthReport(HealthStatus.UNHEALTHY, f"{type(exc).__name__}: {safe_text(str(exc))}")
    return Finding(_LEVEL_OF[report.status], f"{report.status.value}: {report.reason}")
