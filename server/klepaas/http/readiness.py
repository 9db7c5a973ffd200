"""Whether this server can really serve, and if not why.

It says yes only where it has started, is not stopping, the plugins that must be there are, and the components that must
be well are. Components of which nobody said so are told as their breakers have it, without asking them: a cluster that
is down makes klepaas degraded, and probes cannot hammer it.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import anyio

from klepaas.app import App
from klepaas.errors import KlepaasError
from klepaas.hookspecs import HealthCheck, HealthReport, HealthStatus
from klepaas.observability import one_line
from klepaas.plugins import Contribution, PluginError, PluginState
from klepaas.resilience import Upstreams
from klepaas.resilience.breaker import State
from klepaas.resilience.clock import Clock, SystemClock

__all__ = ["Readiness", "Verdict"]

log = logging.getLogger(__name__)

# Required components are asked at most so often.
CACHE_S = 3.0
# Of one component more is not waited for, whatever its check allows itself: probes have limits of their own.
MOST_WAIT_S = 5.0


@dataclass(frozen=True)
class Verdict:
    """What a probe is told.

    Attributes:
        reasons: Why not. Empty: it can serve.
        components: How each known component is: ok, degraded or unhealthy.
    """

    reasons: list[str]
    components: dict[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether it can serve."""
        return not self.reasons


class Readiness:
    """Answers probes of one server.

    Args:
        app: The server.
        clock: The time that answers grow old by. None: the machine's.
    """

    def __init__(self, app: App, clock: Clock | None = None) -> None:
        self._app = app
        self._clock = clock or SystemClock()
        self._lock = anyio.Lock()
        self._checks: list[Contribution[HealthCheck]] | None = None
        self._seen: tuple[float, dict[str, HealthReport]] | None = None
        self.started = False

    async def verdict(self) -> Verdict:
        """How it is now; what required components say may be some seconds old."""
        if closed := self._closed():
            return Verdict([closed])
        reports = await self._required()
        upstreams = Upstreams.of(self._app.host).snapshot()
        components = {item.name: "ok" if item.state is State.CLOSED else "degraded" for item in upstreams}
        components |= {name: report.status.value for name, report in reports.items()}
        if closed := self._closed():  # it may have been asked to stop meanwhile
            return Verdict([closed])
        return Verdict([*self._missing_plugins(), *_unhealthy(reports)], components)

    def _closed(self) -> str | None:
        if self._app.calls.stopping:
            return "stopping"
        return None if self.started else "not started yet"

    def _missing_plugins(self) -> Iterable[str]:
        wanted = dict.fromkeys(self._app.settings.required_plugins, "is not installed")
        for plugin in self._app.plugins.all:
            is_required = plugin.name in wanted or (plugin.built_in and plugin.state is PluginState.FAILED)
            if plugin.state is PluginState.ACTIVE:
                wanted.pop(plugin.name, None)
            elif is_required:
                # Why it failed may quote anything: `klepaas doctor` says it to the person who runs the server.
                wanted[plugin.name] = f"is {plugin.state.value}"
        return [f"plugin {one_line(name, 64)} {state}" for name, state in wanted.items()]

    async def _required(self) -> dict[str, HealthReport]:
        async with self._lock:  # one look at a time; the others take what it found
            now = self._clock.monotonic()
            if self._seen is None or now - self._seen[0] >= CACHE_S:
                found = await self._look()
                self._seen = (self._clock.monotonic(), found)
            return self._seen[1]

    async def _look(self) -> dict[str, HealthReport]:
        absent = HealthReport(HealthStatus.UNHEALTHY, "no plugin knows it")
        reports = dict.fromkeys(self._app.settings.required_components, absent)
        checks = [item.item for item in self._contributions() if item.item.required or item.item.component in reports]

        async def ask(check: HealthCheck) -> None:
            reports[check.component] = await _report(check)

        async with anyio.create_task_group() as group:
            for check in checks:
                group.start_soon(ask, check)
        return reports

    def _contributions(self) -> list[Contribution[HealthCheck]]:
        if self._checks is None:
            try:
                found = self._app.plugins.contributions("klepaas_health_checks", HealthCheck, host=self._app.host)
                self._checks = list(found)
            except PluginError as exc:  # strict plugins end a start, not a server that runs
                log.error("health checks cannot be read: %s", exc)
                self._checks = []
        return [item for item in self._checks if item.plugin.state is PluginState.ACTIVE]


async def _report(check: HealthCheck) -> HealthReport:
    """What a check says, or what became of it."""
    limit_s = min(check.timeout_s, MOST_WAIT_S)
    try:
        with anyio.move_on_after(limit_s):
            report = await check.check()
            if isinstance(report, HealthReport) and isinstance(report.status, HealthStatus):
                return report
            raise TypeError("a health check gives a HealthReport")
    except KlepaasError as exc:
        return HealthReport(HealthStatus.UNHEALTHY, exc.code)
    except (Exception, SystemExit) as exc:  # noqa: BLE001 -- guarded boundary: a plugin's check
        log.warning("the health check of %s failed: %s", one_line(check.component, 64), type(exc).__name__)
        return HealthReport(HealthStatus.UNHEALTHY, "its check failed")
    return HealthReport(HealthStatus.UNHEALTHY, f"no answer within {limit_s:g} s")


def _unhealthy(reports: dict[str, HealthReport]) -> Iterable[str]:
    for name, report in reports.items():
        if report.status is HealthStatus.UNHEALTHY:
            yield f"component {one_line(name, 64)} is unhealthy: {one_line(report.reason, 200)}"
