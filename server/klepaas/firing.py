"""The alerts that fire at the moment, whoever knows of them: monitoring plugins contribute, whoever tells people asks.

So the overview shows alerts without knowing Prometheus or Alertmanager. It keeps nothing and judges nothing.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio

from klepaas.errors import KlepaasError
from klepaas.host import Host
from klepaas.observability import one_line
from klepaas.resilience.fan_out import gather

__all__ = ["Firing", "FiringAlert", "FiringAlerts"]

log = logging.getLogger(__name__)

LIMIT_S = 3.0
_MOST_ALERTS = 1000
_GRAVITY = {"critical": 0, "page": 0, "error": 1, "high": 1, "warning": 2, "medium": 2, "low": 3, "info": 4, "none": 5}


@dataclass(frozen=True)
class FiringAlert:
    """An alert that fires.

    Attributes:
        name: What it is called (`alertname`).
        severity: Its label `severity`, or "".
        labels: All its labels.
        since: Since when, in seconds since 1970. None: not known.
        summary: What it says of itself, one sentence; may be empty.
        silenced: Whether somebody has silenced it.
    """

    name: str
    severity: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    since: float | None = None
    summary: str = ""
    silenced: bool = False

    @property
    def namespace(self) -> str | None:
        """The namespace that its labels name. None: none."""
        return self.labels.get("namespace")

    @property
    def gravity(self) -> int:
        """How grave it is: 0 is the gravest."""
        return _GRAVITY.get(self.severity.lower(), 3)


@dataclass(frozen=True)
class Firing:
    """What was found.

    Attributes:
        alerts: The alerts, the gravest first, then the newest; each once, whoever knows of it.
        silent: Who did not answer, each with the reason.
    """

    alerts: Sequence[FiringAlert]
    silent: Mapping[str, str]


Ask = Callable[[], Awaitable[Iterable[FiringAlert]]]


class FiringAlerts:
    """Who knows of alerts, for one server."""

    def __init__(self) -> None:
        self._sources: dict[str, Ask] = {}

    @classmethod
    def of(cls, host: Host) -> "FiringAlerts":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    def contribute(self, source: str, ask: Ask) -> None:
        """Name somebody who knows of alerts; a plugin does this when its tools are asked for.

        Args:
            source: Its name, for people: "alertmanager/default". The same name again replaces it.
            ask: Gives the alerts that fire now, silenced ones marked. It is called with a time limit.
        """
        self._sources[source] = ask

    @property
    def known(self) -> bool:
        """Whether anybody would know of alerts."""
        return bool(self._sources)

    async def now(self, limit_s: float = LIMIT_S) -> Firing:
        """Ask everybody, side by side.

        Args:
            limit_s: Longest wait for each, in seconds.
        """
        found: dict[str, list[FiringAlert]] = {}
        silent: dict[str, str] = {}

        async def ask(source: str, source_ask: Ask) -> None:
            try:
                with anyio.fail_after(limit_s):
                    found[source] = [*await source_ask()][:_MOST_ALERTS]
            except TimeoutError:
                silent[source] = f"no answer within {limit_s:g} s"
            except KlepaasError as exc:
                silent[source] = one_line(exc.what, 160)
            except Exception as exc:  # guarded boundary: a plugin's code
                log.warning("%s cannot tell its alerts: %s", source, type(exc).__name__, exc_info=exc)
                silent[source] = "it failed"

        await gather(*[partial(ask, source, source_ask) for source, source_ask in self._sources.items()])
        alerts = _each_once(alert for source in self._sources for alert in found.get(source, ()))
        alerts.sort(key=lambda alert: (alert.silenced, alert.gravity, -(alert.since or 0.0)))
        return Firing(alerts, silent)


def _each_once(alerts: Iterable[FiringAlert]) -> list[FiringAlert]:
    """The alerts, of two with the same labels the one that is silenced.

    Whoever passes an alert on may add labels of its own: then the one with more labels is the same alert.
    """
    kept: dict[str, list[FiringAlert]] = {}
    for alert in alerts:
        same_name = kept.setdefault(alert.name, [])
        for position, other in enumerate(same_name):
            if alert.labels.items() <= other.labels.items() or other.labels.items() <= alert.labels.items():
                same_name[position] = _of_two(other, alert)
                break
        else:
            same_name.append(alert)
    return [alert for same_name in kept.values() for alert in same_name]


def _of_two(one: FiringAlert, other: FiringAlert) -> FiringAlert:
    if one.silenced != other.silenced:
        return one if one.silenced else other
    return one if len(one.labels) >= len(other.labels) else other
