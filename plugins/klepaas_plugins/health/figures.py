"""The numbers that klepaas counts, summed up for a client that has no Prometheus to ask. It asks nobody.

Quantiles are the upper bounds of the buckets that they fall into, as far as a histogram can tell.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from klepaas.health import Health, Look
from klepaas.host import Host
from klepaas.metrics import Metrics
from klepaas.output import Answer, table
from klepaas.output.budget import LIST_BYTES, fit
from klepaas.resilience import Upstreams
from klepaas_plugins.health.telling import age, availability

__all__ = ["figures"]

_MOST_ROWS = 30
_WELL = ("ok", "input_required", "cancelled")
_REACHED = ("ok", "caller_mistake")


@dataclass
class _Numbers:
    """The samples of one metric, by their labels."""

    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def by(self, label: str, **where: str) -> dict[str, float]:
        """Sums by one label, of the samples that have these labels."""
        sums: dict[str, float] = defaultdict(float)
        for labels, value in self.samples:
            if all(labels.get(name) == text for name, text in where.items()):
                sums[labels.get(label, "")] += value
        return dict(sums)

    def total(self, **where: str) -> float:
        """Their sum."""
        return sum(self.by("", **where).values())


def figures(host: Host, uptime_s: float) -> Answer:
    """The answer of get_health_metrics.

    Args:
        host: The server's settings and shared services.
        uptime_s: How long it has been up, in seconds.
    """
    found = _read(host)
    outcomes = found["mcp_tool_calls_total"].by("outcome")
    calls, failed = int(sum(outcomes.values())), {k: int(v) for k, v in outcomes.items() if v and k not in _WELL}
    lines = [f"In {age(uptime_s)}: {calls} tool calls ended, {sum(failed.values())} failed{_named(failed)}."]
    buckets = found["mcp_tool_call_latency_seconds_bucket"].by("le")
    if calls:
        lines.append(f"Half of them took up to {_quantile(buckets, 0.5)}, 95% up to {_quantile(buckets, 0.95)}.")
    lines += [*_operations(found), *_upstreams(host, found), *_components(Health.of(host))]
    return Answer(fit("\n".join(lines), LIST_BYTES, "/metrics has them all"))


def _read(host: Host) -> dict[str, _Numbers]:
    metrics = Metrics.of(host)
    metrics.prepare()
    found: dict[str, _Numbers] = defaultdict(_Numbers)
    for family in metrics.registry.collect():
        if family.name.startswith(("mcp_", "klepaas_")):
            for sample in family.samples:
                found[sample.name].samples.append((sample.labels, sample.value))
    return found


def _named(counts: Mapping[str, int]) -> str:
    words = ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: -item[1])[:6])
    return f" ({words})" if words else ""


def _quantile(buckets: Mapping[str, float], share: float) -> str:
    """The bound of the bucket that a quantile falls into."""
    bounds = sorted((float(text), count) for text, count in buckets.items())
    for bound, count in bounds[:-1]:
        if count >= share * bounds[-1][1]:
            return f"{bound * 1000:g} ms" if bound < 1 else f"{bound:g} s"
    return f"more than {bounds[-2][0]:g} s"


def _operations(found: Mapping[str, _Numbers]) -> Iterable[str]:
    ended = {name: int(count) for name, count in found["klepaas_operations_total"].by("state").items()}
    running, stuck = found["klepaas_operations_running"].total(), found["klepaas_operations_stuck"].total()
    if ended or running:
        yield f"Operations: {sum(ended.values())} ended{_named(ended)}, {running:.0f} under way, {stuck:.0f} stuck."


def _upstreams(host: Host, found: Mapping[str, _Numbers]) -> Iterable[str]:
    rows = []
    for state in Upstreams.of(host).snapshot():
        kinds = found["mcp_external_requests_total"].by("kind", upstream=state.name)
        asked = sum(kinds.values())
        if asked:
            took_s = found["mcp_external_request_latency_seconds_sum"].total(upstream=state.name)
            bad = asked - sum(kinds.get(kind, 0.0) for kind in _REACHED)
            rows.append([state.name, state.state.value, f"{asked:.0f}", f"{bad:.0f}", f"{1000 * took_s / asked:.0f}ms"])
    if rows:
        yield table(["UPSTREAM", "BREAKER", "ASKED", "FAILED", "MEAN"], rows[:_MOST_ROWS])


def _components(health: Health) -> Iterable[str]:
    rows = []
    for one in health.seen():
        looks = health.looks(one.component)
        share = availability(looks)
        changes = max(0, len(health.changes(one.component)) - 1)
        shown = "-" if share is None else f"{100 * share:.0f}%"
        rows.append([one.component, one.status.value, str(len(looks)), shown, _median(looks), str(changes)])
    if rows:
        yield table(["COMPONENT", "NOW", "LOOKS", "OK", "MEDIAN", "CHANGES"], rows[:_MOST_ROWS])


def _median(looks: Iterable[Look]) -> str:
    took = sorted(one.latency_s for one in looks)
    return f"{1000 * took[len(took) // 2]:.0f}ms"
