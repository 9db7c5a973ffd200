"""What Prometheus reads: names, labels that stay few, a registry a server, and no cost at the start."""

import subprocess
import sys

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from klepaas.errors import KlepaasError
from klepaas.metrics import BoundedLabel, Metrics
from klepaas.resilience import Kind, Policy, Upstream
from klepaas.testing import scale_timeout
from klepaas.testing.clock import FakeClock


def numbers(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    text = metrics.exposition()[0].decode()
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels, reverse=True))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.anyio
async def test_an_outage_can_be_read_off() -> None:
    metrics, clock = Metrics(), FakeClock(hurries=True)
    upstream = Upstream("kubernetes/prod", Policy(), clock=clock, observer=metrics.external)

    async def good() -> None:
        await clock.sleep(0.2)

    async def broken() -> None:
        raise httpx.ReadError("token=hunter2hunter2")

    await upstream.call(good, safe=True, what="list pods")
    for safe in (True, True, False, True):
        with pytest.raises(KlepaasError):
            await upstream.call(broken, safe=safe, what="do it")
    found, prod = numbers(metrics), "kubernetes/prod"
    assert found["mcp_external_requests_total", (prod, "ok")] == 1
    assert found["mcp_external_requests_total", (prod, "unavailable")] == 5
    assert found["mcp_external_request_latency_seconds_count", (prod,)] == 6
    assert found["mcp_external_request_latency_seconds_sum", (prod,)] == pytest.approx(0.2)
    assert found["mcp_external_errors_total", (prod, "unavailable")] == 2
    assert found["mcp_external_errors_total", (prod, "circuit_open")] == 2
    assert found["mcp_external_health_status", (prod,)] == 0
    assert found["circuit_breaker_state", (prod,)] == 1
    assert found["circuit_breaker_transitions_total", (prod, "open")] == 1
    clock.advance(30)
    await upstream.call(good, safe=True, what="list pods")
    found = numbers(metrics)
    assert found["mcp_external_health_status", (prod,)] == 1
    assert found["circuit_breaker_state", (prod,)] == 0
    assert found["circuit_breaker_transitions_total", (prod, "half-open")] == 1
    assert found["circuit_breaker_transitions_total", (prod, "closed")] == 1


def test_an_upstream_shows_before_its_first_call() -> None:
    metrics = Metrics()
    metrics.external.appeared("slack")
    found = numbers(metrics)
    assert (found["circuit_breaker_state", ("slack",)], found["mcp_external_health_status", ("slack",)]) == (0, 1)


def test_an_unlucky_limit_does_not_make_an_upstream_ill() -> None:
    metrics = Metrics()
    metrics.external.attempted("github", Kind.OK, 0.1)
    metrics.external.attempted("github", Kind.RATE_LIMITED, 0.1)
    assert numbers(metrics)["mcp_external_health_status", ("github",)] == 1
    metrics.external.attempted("github", Kind.AUTH, 0.1)
    assert numbers(metrics)["mcp_external_health_status", ("github",)] == 0


def test_labels_are_short_plain_and_few() -> None:
    label = BoundedLabel(2)
    assert label('a"b\n{c} ' + "x" * 500) == "a_b__c__" + "x" * 92
    assert [label("b"), label("c"), label("b")] == ["b", "other", "b"]


def test_two_servers_in_one_process_share_no_number() -> None:
    one, other = Metrics(), Metrics()
    one.external.attempted("slack", Kind.OK, 0.1)
    assert ("mcp_external_requests_total", ("slack", "ok")) not in numbers(other)


def test_a_start_does_not_pay_for_the_libraries() -> None:
    program = (
        "import sys; from klepaas.host import Host; from klepaas.resilience import Upstreams;"
        "from klepaas.settings import Settings; Upstreams.of(Host(Settings())).get('slack');"
        "print([m for m in ('prometheus_client', 'tenacity', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=scale_timeout(30), check=True
    )
    assert done.stdout.strip() == "[]"
