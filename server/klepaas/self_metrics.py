"""What klepaas counts about itself besides calls: its components, its audit, its notifications, its version.

How components are is read off at each scrape, and only as far as it is fresh: a state that nobody has looked at for
minutes is no state.
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from klepaas import __version__
from klepaas.metrics import BoundedLabel, Metrics
from klepaas.resilience.clock import Clock

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge
    from prometheus_client.metrics_core import Metric

    from klepaas.health import ComponentHealth

__all__ = ["AuditRecords", "ComponentStates", "NotificationNumbers"]

_STATUS_NUMBERS = {"ok": 0, "degraded": 1, "unhealthy": 2}
# Twice what a careful prober waits between two looks.
_FRESH_S = 300.0
_MOST_SINKS, _MOST_COMPONENTS = 20, 200


class ComponentStates:
    """Tells a scrape how components were at their last look, and which version this is.

    Args:
        seen: Gives how they were.
        clock: The time that looks grow old by.
    """

    def __init__(self, seen: "Callable[[], Iterable[ComponentHealth]]", clock: Clock) -> None:
        self._seen = seen
        self._clock = clock
        self._label = BoundedLabel(_MOST_COMPONENTS)

    def describe(self) -> "Iterable[Metric]":
        """The same without values; a registry asks for it."""
        return self._families([])

    def collect(self) -> "Iterable[Metric]":
        """What is known now."""
        now = self._clock.wall()
        return self._families([one for one in self._seen() if now - one.at < _FRESH_S])

    def _families(self, seen: "list[ComponentHealth]") -> "Iterable[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        states = GaugeMetricFamily(
            "klepaas_component_status",
            "A component at its last look: 0 ok, 1 degraded, 2 unhealthy",
            None,
            ["component"],
        )
        latencies = GaugeMetricFamily(
            "klepaas_component_latency_seconds", "How long that look took", None, ["component"]
        )
        for one in seen:
            label = [self._label(one.component)]
            states.add_metric(label, _STATUS_NUMBERS[one.status.value])
            latencies.add_metric(label, one.latency_s)
        build = GaugeMetricFamily("klepaas_build_info", "Always 1; the version is the label", None, ["version"])
        build.add_metric([__version__], 1)
        return [states, latencies, build]


class AuditRecords:
    """Counts the audit's records.

    Args:
        metrics: Where to register.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._label = BoundedLabel(_MOST_SINKS)

    @cached_property
    def _records(self) -> "Counter":
        from prometheus_client import Counter

        return Counter(
            "klepaas_audit_records_total",
            "Records that a sink of the audit took (taken) or did not take (failed)",
            ["sink", "outcome"],
            registry=self._metrics.registry,
        )

    def prepare(self, sinks: Iterable[str]) -> None:
        """Make every series show before the first record: an alert must see the first failure as an increase."""
        for sink in sinks:
            for outcome in ("taken", "failed"):
                self._records.labels(self._label(sink), outcome)

    def written(self, sink: str, *, taken: bool) -> None:
        """A sink took a record, or did not."""
        self._records.labels(self._label(sink), "taken" if taken else "failed").inc()


class NotificationNumbers:
    """Counts notifications.

    Args:
        metrics: Where to register.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._label = BoundedLabel(_MOST_SINKS)

    @cached_property
    def _waiting(self) -> "Gauge":
        from prometheus_client import Gauge

        text = "Notifications that wait to be delivered"
        return Gauge("klepaas_notifications_waiting", text, registry=self._metrics.registry)

    @cached_property
    def _deliveries(self) -> "Counter":
        from prometheus_client import Counter

        return Counter(
            "klepaas_notification_deliveries_total",
            "Deliveries to a sink: delivered, failed, dropped",
            ["sink", "outcome"],
            registry=self._metrics.registry,
        )

    def prepare(self) -> None:
        """Build the instruments."""
        self._waiting, self._deliveries  # noqa: B018 -- builds them

    def waiting(self, count: int) -> None:
        """So many wait."""
        self._waiting.set(count)

    def ended(self, sink: str, outcome: str) -> None:
        """A delivery ended.

        Args:
            sink: The sink, or "any" where it was dropped before it was shared out.
            outcome: "delivered", "failed" or "dropped".
        """
        self._deliveries.labels(self._label(sink), outcome).inc()
