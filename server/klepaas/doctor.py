"""`klepaas doctor`: how this installation is set up, how the things it depends on are, and what to do about it.

Every check belongs to a plugin or to the core, runs by itself with a time limit, and can only report: one that fails,
hangs or gives nonsense is a finding itself. The checks run side by side, so that several dead upstreams cost the time
of one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

import anyio

from klepaas.doctor_core import core_findings
from klepaas.errors import KlepaasError
from klepaas.hookspecs import DoctorCheck, Finding, HealthCheck, HealthReport, HealthStatus, Level
from klepaas.host import Host
from klepaas.observability import one_line
from klepaas.plugins import Plugins, describe_error
from klepaas.resilience.fan_out import gather

__all__ = ["Result", "examine"]

_LEVEL_OF = {HealthStatus.OK: Level.OK, HealthStatus.DEGRADED: Level.WARNING, HealthStatus.UNHEALTHY: Level.ERROR}


@dataclass(frozen=True)
class Result:
    """One finding, with the check and the plugin it came from."""

    plugin: str
    check: str
    finding: Finding


@dataclass(frozen=True)
class _Look:
    """One check to run, whichever kind it is.

    Attributes:
        plugin: Whose it is.
        name: The check's name.
        ask: Runs it.
        timeout_s: Its limit, in seconds.
    """

    plugin: str
    name: str
    ask: Callable[[], Awaitable[list[Finding]]]
    timeout_s: float


async def examine(plugins: Plugins, host: Host) -> list[Result]:
    """Run every check of the core and of all active plugins.

    Args:
        plugins: The plugins to ask.
        host: What they get.

    Returns:
        The findings, at least one for each check.
    """
    looks = [*_doctor_looks(plugins, host), *_health_looks(plugins, host)]
    found: dict[int, list[Finding]] = {}

    async def run(number: int, look: _Look) -> None:
        found[number] = await _findings(look)

    await gather(*[partial(run, number, look) for number, look in enumerate(looks)])
    # The core comes last to look, since the hooks above may have cost a plugin its place, and first to speak.
    results = [Result("klepaas", check, _safe(finding)) for check, finding in core_findings(plugins, host)]
    for number, look in enumerate(looks):
        results += [Result(look.plugin, look.name, _safe(finding)) for finding in found[number]]
    return results


def _doctor_looks(plugins: Plugins, host: Host) -> Iterable[_Look]:
    for contribution in plugins.contributions("klepaas_doctor_checks", DoctorCheck, host=host):
        check = contribution.item

        async def ask(check: DoctorCheck = check) -> list[Finding]:
            return [*await check.check()]

        yield _Look(contribution.plugin.name, one_line(str(check.name)), ask, check.timeout_s)


def _health_looks(plugins: Plugins, host: Host) -> Iterable[_Look]:
    for contribution in plugins.contributions("klepaas_health_checks", HealthCheck, host=host):
        check = contribution.item

        async def ask(check: HealthCheck = check) -> list[Finding]:
            return [_as_finding(await check.check())]

        yield _Look(contribution.plugin.name, one_line(f"health of {check.component}"), ask, check.timeout_s)


def _as_finding(report: HealthReport) -> Finding:
    return Finding(_LEVEL_OF[report.status], f"{report.status.value}: {report.reason}")


async def _findings(look: _Look) -> list[Finding]:
    """What a check found, or what became of it."""
    try:
        with anyio.move_on_after(look.timeout_s) as limit:
            findings = await look.ask()
    except KeyboardInterrupt:
        raise
    except KlepaasError as exc:
        return [Finding(Level.ERROR, exc.what, exc.next_step)]
    except BaseException as exc:
        task = asyncio.current_task()
        if isinstance(exc, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        return [_defect(look, describe_error(exc))]
    if limit.cancelled_caught:
        return [Finding(Level.ERROR, f"no answer within {look.timeout_s:g} s")]
    if not findings:
        return [_defect(look, "it found nothing, not even that all is well")]
    strange = [type(item).__name__ for item in findings if not _is_finding(item)]
    return [_defect(look, f"it gave a {strange[0]} where a Finding belongs")] if strange else findings


def _is_finding(item: object) -> bool:
    return isinstance(item, Finding) and isinstance(item.level, Level)


def _defect(look: _Look, text: str) -> Finding:
    return Finding(Level.ERROR, f"the check itself failed: {text}", f"Tell the authors of the plugin {look.plugin}")


def _safe(finding: Finding) -> Finding:
    """A stranger's text, fit for a line on a terminal."""
    repair = one_line(str(finding.repair)) if finding.repair else None
    return Finding(finding.level, one_line(str(finding.summary)), repair)
