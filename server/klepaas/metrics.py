"""What klepaas counts, in the form that Prometheus reads.

Every server has a registry of its own: two servers in one process, or one after the other in a test, share nothing.
The library is imported with the first number or the first scrape, so that a start does not pay for it. Labels come
from fixed sets or from the configuration, never from a call; what is beyond the limit is counted as "other".
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from klepaas.host import Host

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.registry import Collector

    from klepaas.resilience.breaker import State
    from klepaas.resilience.classify import Kind
    from klepaas.self_metrics import AuditRecords, NotificationNumbers

__all__ = ["BoundedLabel", "ExternalCalls", "HttpRequests", "Metrics", "Reads", "ToolCalls"]

UPSTREAMS_MAX = 100
LABEL_MAX_CHARS = 100
# What stands for a tool that there is not: its name is the caller's invention.
NO_TOOL = "(unknown)"
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
    """The numbers of one server, a service that plugins share.

    Attributes:
        audit_sinks: Where the audit writes.
    """

    def __init__(self) -> None:
        self.audit_sinks: Sequence[str] = ()
        self._collectors: list[Collector] = []

    @classmethod
    def of(cls, host: Host) -> "Metrics":
        """The host's own."""
        return host.service(cls, lambda _: cls())

    @cached_property
    def registry(self) -> "CollectorRegistry":
        """Where instruments are registered; the first use imports the library."""
        from prometheus_client import (
            CollectorRegistry,
            GCCollector,
            PlatformCollector,
            ProcessCollector,
            disable_created_metrics,
        )

        # When a series began is one more series for each: nobody has asked for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        for collector in self._collectors:
            registry.register(collector)
        return registry

    def add_collector(self, collector: "Collector") -> None:
        """Have a collector asked at each scrape; the library is not imported for that.

        Args:
            collector: Gives what it knows when it is asked.
        """
        self._collectors.append(collector)
        if "registry" in vars(self):
            self.registry.register(collector)

    @cached_property
    def calls(self) -> "ToolCalls":
        """The numbers of tool calls."""
        return ToolCalls(self)

    @cached_property
    def reads(self) -> "Reads":
        """The numbers of resources, prompts and suggestions."""
        return Reads(self)

    @cached_property
    def http(self) -> "HttpRequests":
        """The numbers of HTTP requests."""
        return HttpRequests(self)

    @cached_property
    def external(self) -> "ExternalCalls":
        """The numbers of calls to upstreams."""
        return ExternalCalls(self)

    @cached_property
    def audit(self) -> "AuditRecords":
        """The numbers of the audit."""
        from klepaas.self_metrics import AuditRecords

        return AuditRecords(self)

    @cached_property
    def notifications(self) -> "NotificationNumbers":
        """The numbers of notifications."""
        from klepaas.self_metrics import NotificationNumbers

        return NotificationNumbers(self)

    def prepare(self) -> None:
        """Build every instrument, so that the first call does not pay for it and every series shows."""
        self.external.prepare()
        self.calls.prepare()
        self.reads.prepare()
        self.http.prepare()
        self.notifications.prepare()
        self.audit.prepare(self.audit_sinks)

    def exposition(self) -> tuple[bytes, str]:
        """All numbers as a scrape wants them, and the media type of that."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        self.prepare()
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


class ToolCalls:
    """Counts calls of tools. Tools, effects and outcomes are known when the server starts, so their number is bounded.

    Args:
        metrics: Where to register.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @cached_property
    def _calls(self) -> "Counter":
        from prometheus_client import Counter

        labels = ["tool", "effect", "outcome"]
        return Counter(
            "mcp_tool_calls_total", "Tool calls that came to an end", labels, registry=self._metrics.registry
        )

    @cached_property
    def _latency(self) -> "Histogram":
        from prometheus_client import Histogram

        return Histogram(
            "mcp_tool_call_latency_seconds",
            "How long a tool call took",
            ["tool", "effect"],
            buckets=LATENCY_BUCKETS_S,
            registry=self._metrics.registry,
        )

    @cached_property
    def _refusals(self) -> "Counter":
        from prometheus_client import Counter

        return Counter(
            "mcp_gate_refusals_total", "Calls refused before a tool ran", ["reason"], registry=self._metrics.registry
        )

    @cached_property
    def _running(self) -> "Gauge":
        from prometheus_client import Gauge

        return Gauge(
            "mcp_tool_calls_running", "Tool calls that run or wait for a slot", registry=self._metrics.registry
        )

    def prepare(self) -> None:
        """Build the instruments."""
        self._calls, self._latency, self._refusals, self._running  # noqa: B018 -- builds them

    def began(self) -> None:
        """A call came; `called` tells its end."""
        self._running.inc()

    def called(self, tool: str, effect: str, outcome: str, latency_s: float) -> None:
        """A call came to an end.

        Args:
            tool: A tool of the catalogue, or `NO_TOOL`.
            effect: Its declared effect.
            outcome: "ok", an error's code, "input_required" or "cancelled".
            latency_s: How long it took.
        """
        self._running.dec()
        self._calls.labels(tool, effect, outcome).inc()
        self._latency.labels(tool, effect).observe(latency_s)

    def refused(self, reason: str) -> None:
        """A call was refused for a reason of a fixed set."""
        self._refusals.labels(reason).inc()


class Reads:
    """Counts what was read besides tools being called.

    Args:
        metrics: Where to register.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @cached_property
    def _reads(self) -> "Counter":
        from prometheus_client import Counter

        return Counter(
            "mcp_reads_total",
            "Resources, prompts and completions that came to an end",
            ["kind", "outcome"],
            registry=self._metrics.registry,
        )

    def prepare(self) -> None:
        """Build the instrument."""
        self._reads  # noqa: B018 -- builds it

    def read(self, kind: str, outcome: str) -> None:
        """Something was read, or not.

        Args:
            kind: "resource", "prompt" or "completion".
            outcome: "ok", an error's code, or "cancelled".
        """
        self._reads.labels(kind, outcome).inc()


class HttpRequests:
    """Counts HTTP requests by the kind of path.

    Args:
        metrics: Where to register.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @cached_property
    def _requests(self) -> "Counter":
        from prometheus_client import Counter

        return Counter(
            "mcp_http_requests_total",
            "HTTP requests answered",
            ["path", "method", "status"],
            registry=self._metrics.registry,
        )

    def prepare(self) -> None:
        """Build the instrument."""
        self._requests  # noqa: B018 -- builds it

    def answered(self, path: str, method: str, status: int) -> None:
        """A request was answered.

        Args:
            path: The path where it is one of ours, or "other".
            method: The method where it is a usual one, or "other".
            status: The status of the answer; 0 where the client left before.
        """
        self._requests.labels(path, method, str(status)).inc()
