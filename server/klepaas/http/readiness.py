"""Whether this server can really serve, and if not why.

It says yes only where it has started, is not stopping, the plugins that must be there are, and the components that must
be well are. `klepaas.health` asks these, and those that bear being asked by probes; the others are told as they were
lately seen, or as their breakers have them: a cluster that is down makes klepaas degraded, and probes cannot hammer it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from klepaas.app import App
from klepaas.health import ComponentHealth, Health
from klepaas.hookspecs import HealthCheck, HealthStatus
from klepaas.notifications import Notifications
from klepaas.observability import one_line
from klepaas.operations import Operations
from klepaas.resilience import Upstreams
from klepaas.resilience.breaker import State
from klepaas.resilience.clock import Clock, SystemClock

__all__ = ["Readiness", "Verdict"]

# A look that is older says nothing of now.
_LATELY_S = 60.0
_WORSE = {"ok": 0, "degraded": 1, "unhealthy": 2}


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

    @property
    def status(self) -> str:
        """In a word; "ready" only where nothing that is known is wrong."""
        if self.reasons:
            return "not ready"
        return "ready" if all(state == "ok" for state in self.components.values()) else "degraded"


class Readiness:
    """Answers probes of one server.

    Args:
        app: The server.
        clock: The time that looks grow old by. None: the machine's.
    """

    def __init__(self, app: App, clock: Clock | None = None) -> None:
        self._app = app
        self._clock = clock or SystemClock()
        self._health = Health.of(app.host) if clock is None else Health(app.host, clock)
        self.started = False

    async def verdict(self) -> Verdict:
        """How it is now; what components say may be some seconds old."""
        if closed := self._closed():
            return Verdict([closed])
        asked = await self._health.look(_bears_probes)
        components = self._lately() | {one.component: one.status.value for one in asked}
        if closed := self._closed():  # it may have been asked to stop meanwhile
            return Verdict([closed])
        return Verdict([*self._health.missing_plugins(), *_unhealthy(asked)], components)

    def alive(self) -> bool:
        """Whether nothing is broken that only a new process would repair: the tasks that run as long as the server."""
        host = self._app.host
        return not any(task.done() for task in (*Operations.of(host).tasks, *Notifications.of(host).tasks))

    def _closed(self) -> str | None:
        if self._app.calls.stopping:
            return "stopping"
        return None if self.started else "not started yet"

    def _lately(self) -> dict[str, str]:
        """How components are that are not asked now: the worse of what was seen and what their breakers say."""
        upstreams = Upstreams.of(self._app.host).snapshot()
        components = {item.name: "ok" if item.state is State.CLOSED else "degraded" for item in upstreams}
        for one in self._health.seen():
            if self._clock.wall() - one.at < _LATELY_S:
                known = components.get(one.component, "ok")
                components[one.component] = max(known, one.status.value, key=_WORSE.__getitem__)
        return components


def _bears_probes(check: HealthCheck) -> bool:
    return check.probed


def _unhealthy(asked: Iterable[ComponentHealth]) -> Iterable[str]:
    for one in asked:
        if one.required and one.status is HealthStatus.UNHEALTHY:
            yield f"component {one_line(one.component, 64)} is unhealthy: {one_line(one.reason, 200)}"
