"""Asks components how they are: the one runner behind `/readyz`, the health plugin's tools and its metrics.

Every component that plugins name (`klepaas_health_checks`) is asked side by side, each in a task and a time limit of
its own, so that one that hangs, raises or ends its task harms only itself. What was found is kept: a short while as
the answer to who asks next, and the last looks and changes as history. What a component is, its plugin knows.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from klepaas.errors import KlepaasError
from klepaas.hookspecs import HealthCheck, HealthReport, HealthStatus
from klepaas.host import Host
from klepaas.metrics import Metrics
from klepaas.observability import one_line
from klepaas.plugins import PluginError, Plugins, PluginState
from klepaas.resilience.clock import Clock, SystemClock
from klepaas.resilience.fan_out import gather
from klepaas.self_metrics import ComponentStates

__all__ = ["Change", "ComponentHealth", "Health", "Look"]

log = logging.getLogger(__name__)

# A component is asked at most so often, however many want to know.
CACHE_S = 3.0
# Of one component more is not waited for, whatever its check allows itself: probes have limits of their own.
MOST_WAIT_S = 5.0
# What a check gets to end after it was told to.
_END_S = 0.5
_MOST_LOOKS = 200
_MOST_CHANGES = 50
_REASON_CHARS = 300


@dataclass(frozen=True)
class Look:
    """One look at a component.

    Attributes:
        at: When, in seconds since 1970.
        status: How it was.
        latency_s: How long the answer took, in seconds.
    """

    at: float
    status: HealthStatus
    latency_s: float


@dataclass(frozen=True)
class Change:
    """A component got into another state.

    Attributes:
        component: Which.
        at: When it was seen, in seconds since 1970.
        status: How it is from then on.
        reason: One sentence.
    """

    component: str
    at: float
    status: HealthStatus
    reason: str


@dataclass(frozen=True)
class ComponentHealth:
    """How a component is, as of the last look.

    Attributes:
        component: Its name.
        status: How it is.
        reason: One sentence, clean and without secrets.
        latency_s: How long the answer took, in seconds.
        at: When it was asked, in seconds since 1970.
        since: When it was first seen in this status, in seconds since 1970.
        required: Whether klepaas cannot serve without it.
    """

    component: str
    status: HealthStatus
    reason: str
    latency_s: float
    at: float
    since: float
    required: bool = False


@dataclass
class _Kept:
    """What is known of one component."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    asked_at: float = 0.0
    last: ComponentHealth | None = None
    looks: deque[Look] = field(default_factory=lambda: deque(maxlen=_MOST_LOOKS))
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=_MOST_CHANGES))
    hanging: "asyncio.Task[HealthReport] | None" = None


class Health:
    """The health of one server's components.

    Args:
        host: The server's settings and shared services.
        clock: The time that answers grow old by. None: the machine's.
    """

    def __init__(self, host: Host, clock: Clock | None = None) -> None:
        self.listeners: list[Callable[[Change], None]] = []
        self._host = host
        self._clock = clock or SystemClock()
        self._kept: dict[str, _Kept] = {}
        Metrics.of(host).add_collector(ComponentStates(self.seen, self._clock))

    @classmethod
    def of(cls, host: Host) -> "Health":
        """The host's own."""
        return host.service(cls, cls)

    async def look(
        self, wanted: Callable[[HealthCheck], bool] | None = None, max_age_s: float = CACHE_S
    ) -> list[ComponentHealth]:
        """Ask components, side by side.

        Args:
            wanted: Which; those that the settings require are always among them. None: all.
            max_age_s: What was found so lately is not asked again, in seconds.

        Returns:
            How they are, in the order in which plugins name them.
        """
        checks = {check.component: check for check in self._checks()}
        required = self._host.settings.required_components
        chosen = [
            check
            for check in checks.values()
            if wanted is None or check.required or check.component in required or wanted(check)
        ]
        return await self._ask([*chosen, *(_unknown(name) for name in required if name not in checks)], max_age_s)

    async def look_at(self, components: Sequence[str], max_age_s: float = CACHE_S) -> list[ComponentHealth]:
        """Ask these components and no others.

        Args:
            components: Their names; one that no plugin names is left out.
            max_age_s: What was found so lately is not asked again, in seconds.
        """
        return await self._ask([check for check in self._checks() if check.component in components], max_age_s)

    async def _ask(self, chosen: Sequence[HealthCheck], max_age_s: float) -> list[ComponentHealth]:
        found: dict[str, ComponentHealth] = {}

        async def ask(check: HealthCheck) -> None:
            found[check.component] = await self._known(check, max_age_s)

        await gather(*[partial(ask, check) for check in chosen])
        return [found[check.component] for check in chosen]

    def names(self) -> list[str]:
        """What components there are."""
        return [check.component for check in self._checks()]

    def seen(self) -> list[ComponentHealth]:
        """How components were when they were last asked; asks nobody."""
        return [kept.last for kept in self._kept.values() if kept.last is not None]

    def looks(self, component: str) -> Sequence[Look]:
        """The last looks at a component in this process, oldest first.

        Args:
            component: Its name.
        """
        return tuple(self._kept[component].looks) if component in self._kept else ()

    def changes(self, component: str | None = None) -> list[Change]:
        """The last changes of a component's status in this process, newest first; the first look is one.

        Args:
            component: Its name. None: of all.
        """
        kept = self._kept.values() if component is None else [self._kept[component]] if component in self._kept else []
        return sorted((change for one in kept for change in one.changes), key=lambda change: change.at, reverse=True)

    def missing_plugins(self) -> list[str]:
        """What is to be said of plugins without which klepaas cannot do its work: those that are not active."""
        wanted = dict.fromkeys(self._host.settings.required_plugins, "is not installed")
        for plugin in self._plugins.all:
            is_required = plugin.name in wanted or (plugin.built_in and plugin.state is PluginState.FAILED)
            if plugin.state is PluginState.ACTIVE:
                wanted.pop(plugin.name, None)
            elif is_required:
                # Why it failed may quote anything: `klepaas doctor` says it to the person who runs the server.
                wanted[plugin.name] = f"is {plugin.state.value}"
        return [f"plugin {one_line(name, 64)} {state}" for name, state in wanted.items()]

    async def aclose(self) -> None:
        """Tell checks that still hang to end."""
        for kept in self._kept.values():
            if kept.hanging is not None:
                kept.hanging.cancel()

    @property
    def _plugins(self) -> Plugins:
        return self._host.service(Plugins, lambda host: Plugins(host.settings))

    def _checks(self) -> Iterable[HealthCheck]:
        """The components that plugins name now; of two with one name the first counts."""
        try:
            found = list(self._plugins.contributions("klepaas_health_checks", HealthCheck, host=self._host))
        except PluginError as exc:  # strict plugins end a start, not a server that runs
            log.error("health checks cannot be read: %s", exc)
            return []
        checks: dict[str, HealthCheck] = {}
        for item in found:
            if item.plugin.state is PluginState.ACTIVE:
                checks.setdefault(item.item.component, item.item)
        return checks.values()

    async def _known(self, check: HealthCheck, max_age_s: float) -> ComponentHealth:
        kept = self._kept.setdefault(check.component, _Kept())
        async with kept.lock:  # one look at a time; the others take what it found
            if kept.last is not None and self._clock.monotonic() - kept.asked_at < max_age_s:
                return kept.last
            began_at = time.monotonic()
            report = await _report(check, kept)
            latency_s = time.monotonic() - began_at
            kept.asked_at = self._clock.monotonic()
            return self._noted(check, kept, report, latency_s)

    def _noted(self, check: HealthCheck, kept: _Kept, report: HealthReport, latency_s: float) -> ComponentHealth:
        name, required = check.component, check.required or check.component in self._host.settings.required_components
        now, reason = self._clock.wall(), one_line(str(report.reason), _REASON_CHARS)
        found = ComponentHealth(name, report.status, reason, latency_s, now, now, required)
        before = kept.last
        if before is not None and before.status is report.status:
            found = replace(found, since=before.since)
        else:
            change = Change(name, now, report.status, reason)
            kept.changes.append(change)
            for listener in self.listeners:
                listener(change)
        kept.last = found
        kept.looks.append(Look(now, report.status, latency_s))
        return found


def _unknown(component: str) -> HealthCheck:
    async def check() -> HealthReport:
        return HealthReport(HealthStatus.UNHEALTHY, "no plugin knows it")

    return HealthCheck(component, check, required=True)


async def _report(check: HealthCheck, kept: _Kept) -> HealthReport:
    """What a check says, or what became of it."""
    if kept.hanging is not None and not kept.hanging.done():
        return HealthReport(HealthStatus.UNHEALTHY, "its check hangs and cannot be ended")
    limit_s = max(0.0, min(check.timeout_s, MOST_WAIT_S))
    task = asyncio.create_task(_guarded(check))
    try:
        await asyncio.wait({task}, timeout=limit_s)
    finally:
        in_time = task.done()
        if not in_time:
            await _end(task, kept)
    if not in_time:
        return HealthReport(HealthStatus.UNHEALTHY, f"no answer within {limit_s:g} s")
    if task.cancelled():
        return HealthReport(HealthStatus.UNHEALTHY, "its check failed")
    return task.result()


async def _end(task: "asyncio.Task[HealthReport]", kept: _Kept) -> None:
    """End a check that takes too long; one that does not let itself be ended is left, and not asked again."""
    task.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.wait({task}, timeout=_END_S)
    if not task.done():
        kept.hanging = task


async def _guarded(check: HealthCheck) -> HealthReport:
    try:
        report = await check.check()
        if isinstance(report, HealthReport) and isinstance(report.status, HealthStatus):
            return report
        raise TypeError("a health check gives a HealthReport")
    except KlepaasError as exc:
        return HealthReport(HealthStatus.UNHEALTHY, exc.line)
    except (Exception, SystemExit) as exc:  # noqa: BLE001 -- guarded boundary: a plugin's check
        log.warning("the health check of %s failed: %s", one_line(check.component, 64), type(exc).__name__)
        return HealthReport(HealthStatus.UNHEALTHY, "its check failed")
