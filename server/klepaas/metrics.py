"""What klepaas counts, in the form that Prometheus reads.

Every server has a registry of its own: two servers in one process, or one after the other in a test, share nothing.
The library is imported with the first number or the first scrape, so that a start does not pay for it. Labels come
from fixed sets or from the configuration, never from a call; what is beyond the limit is counted as "other".
"""

import re
from functools import cached_property
from typing import TYPE_CHECKING

from klepaas.host import Host

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from klepaas.resilience.breaker import State
    from klepaas.resilience.classify import Kind

__all__ = ["BoundedLabel", "ExternalCalls", "Metrics"]

UPSTREAMS_MAX = 100
LABEL_MAX_CHARS = 100
LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STATE_NUMBERS = {"closed": 0, "open": 1, "half-open": 2}
_WELL = frozenset({"ok", "caller_mistake"})
_UNCHANGED = frozenset({"rate_limited", "not_asked"})
_NOT_IN_A_LABEL = re.compile(r"[^A-Za-z0-9_.:/@-]")


class BoundedLabel:
    """Label values of which there can only be so many.

    Args:
        limit: How many different ones; all further ones become "other".
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[str, str] = {}

    def __call__(self, value: str) -> str:
        """The label for a value."""
        if value not in self._known:
            if len(self._known) >= self._limit:
                return "other"
            self._known[value] = _NOT_IN_A_LABEL.sub("_", value)[:LABEL_MAX_CHARS]
        return self._known[value]


class Metrics:
    """The numbers of one server, a service that plugins share."""

    @classmethod
    def of(cls, host: Host) -> "Metrics":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    @cached_property
    def registry(self) -> "CollectorRegistry":
        """Where instruments are registered; the first use imports the library."""
        from prometheus_client import CollectorRegistry

        return CollectorRegistry(auto_describe=True)

    @cached_property
    def external(self) -> "ExternalCalls":
        """The numbers of calls to upstreams."""
        return ExternalCalls(self)

    def exposition(self) -> tuple[bytes, str]:
        """All numbers as a scrape wants them, and the media type of that."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        self.external.prepare()
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _Instruments:
    def __init__(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self.requests = Counter(
            "mcp_external_requests_total", "Attempts to ask an upstream", ["upstream", "kind"], registry=registry
        )
        self.latency = Histogram(
            "mcp_external_request_latency_seconds",
            "How long an attempt took",
            ["upstream"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.errors = Counter(
            "mcp_external_errors_total", "Calls of an upstream that failed", ["upstream", "kind"], registry=registry
        )
        self.health = Gauge(
            "mcp_external_health_status", "1: the last attempt reached the upstream", ["upstream"], registry=registry
        )
        self.state = Gauge("circuit_breaker_state", "0: closed, 1: open, 2: half-open", ["upstream"], registry=registry)
        self.transitions = Counter(
            "circuit_breaker_transitions_total", "Changes into a state", ["upstream", "state"], registry=registry
        )


class ExternalCalls:
    """Counts what the pipeline of `klepaas.resilience` tells.

    Args:
        metrics: Where to register.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._label = BoundedLabel(UPSTREAMS_MAX)
        self._waiting: list[str] = []

    @cached_property
    def _instruments(self) -> _Instruments:
        return _Instruments(self._metrics.registry)

    def prepare(self) -> None:
        """Make every series of every known upstream show, also before its first call."""
        waiting, self._waiting = self._waiting, []
        for label in waiting:
            self._instruments.state.labels(label)
            self._instruments.health.labels(label).set(1)
        self._instruments  # noqa: B018 -- builds them

    def appeared(self, upstream: str) -> None:
        """There is such an upstream; taken to be well until it is asked."""
        self._waiting.append(self._label(upstream))

    def attempted(self, upstream: str, kind: "Kind", latency_s: float) -> None:
        """An attempt came to an end."""
        self.prepare()
        label = self._label(upstream)
        self._instruments.requests.labels(label, kind.value).inc()
        self._instruments.latency.labels(label).observe(latency_s)
        if kind.value not in _UNCHANGED:
            self._instruments.health.labels(label).set(kind.value in _WELL)

    def failed(self, upstream: str, kind: str) -> None:
        """A call ended in an error."""
        self.prepare()
        self._instruments.errors.labels(self._label(upstream), kind).inc()

    def changed(self, upstream: str, old: "State", new: "State") -> None:
        """A breaker changed its state."""
        self.prepare()
        label = self._label(upstream)
        self._instruments.state.labels(label).set(_STATE_NUMBERS[new.value])
        self._instruments.transitions.labels(label, new.value).inc()
