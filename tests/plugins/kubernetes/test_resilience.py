"""A cluster whose network breaks: what is asked again, what is not, and what the caller is told."""

import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from klepaas.errors import CircuitOpen, Conflict, KlepaasError, RateLimited, TimedOut, Unavailable
from klepaas.hookspecs import HealthStatus
from klepaas.host import Host
from klepaas.resilience import OutcomeUnknown, State, Upstreams
from klepaas.settings import Settings
from klepaas.testing import scale_timeout
from klepaas.testing.clock import FakeClock
from klepaas.testing.fault_proxy import Answer, Cut, DelayedSuccess, FaultProxy, HalfOpen, Reset
from klepaas_plugins.kubernetes.checks import health_checks
from klepaas_plugins.kubernetes.client import Cluster, Clusters, Resource, watching
from klepaas_plugins.kubernetes.sandbox import Sandbox
from klepaas_plugins.kubernetes.settings import KubernetesSettings

pytestmark = pytest.mark.anyio
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", "configmap", (), True, frozenset({"list", "watch"}))
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


@pytest.fixture
async def proxy(sandbox: Sandbox) -> AsyncIterator[FaultProxy]:
    """A network that breaks on demand, between us and the sandbox."""
    async with FaultProxy(int(sandbox.url.rsplit(":", 1)[1])) as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    """The pipeline's time; its waits take none."""
    return FakeClock(hurries=True)


@pytest.fixture
async def clusters(proxy: FaultProxy, clock: FakeClock, write_kubeconfig: Any) -> AsyncIterator[Clusters]:
    """The sandbox behind that network, with short limits."""
    write_kubeconfig(proxy.url)
    made = Clusters(KubernetesSettings(read_timeout_s=0.5), upstreams=Upstreams(clock=clock))
    yield made
    await made.aclose()


@pytest.fixture
async def cluster(clusters: Clusters, sandbox: Sandbox) -> Cluster:
    """Its one cluster."""
    sandbox.clear_requests()
    return await clusters.cluster()


class _After(FaultProxy):
    """Heals after so many faults."""

    def __init__(self, target_port: int, fault: Answer, times: int) -> None:
        super().__init__(target_port)
        self.fault = fault
        self._left = times

    async def _send(self, writer: Any, answer: bytes, fault: Any) -> None:
        self._left -= 1
        if self._left <= 0:
            self.fault = None
        await super()._send(writer, answer, fault)


async def test_a_read_is_repeated_until_it_succeeds(sandbox: Sandbox, clock: FakeClock, write_kubeconfig: Any) -> None:
    async with _After(int(sandbox.url.rsplit(":", 1)[1]), Answer(503), 2) as proxy:
        write_kubeconfig(proxy.url)
        clusters = Clusters(upstreams=Upstreams(clock=clock))
        found = await (await clusters.cluster()).list(CONFIG_MAPS, "default")
        await clusters.aclose()
    assert found["kind"] == "ConfigMapList"
    assert proxy.connections == 3


@pytest.mark.parametrize("fault", [Cut(), Reset(), Reset(20), DelayedSuccess(), Answer(503), Answer(504), Cut(60)])
async def test_a_change_that_may_have_been_made_is_sent_once_and_said_to_be_unknown(
    cluster: Cluster, proxy: FaultProxy, sandbox: Sandbox, fault: Any
) -> None:
    proxy.fault = fault
    with anyio.fail_after(scale_timeout(5)), pytest.raises(OutcomeUnknown) as caught:
        await cluster.create(CONFIG_MAPS, BODY, "default")
    assert proxy.connections == 1
    assert "Read configmap a in namespace default" in caught.value.line
    assert not caught.value.structured()["retryable"]
    assert (sandbox.get("ConfigMap", "a", "default") is not None) == (not isinstance(fault, Answer))


async def test_a_dry_run_is_a_read(cluster: Cluster, proxy: FaultProxy) -> None:
    proxy.fault = Cut()
    with pytest.raises(Unavailable, match="broke off"):
        await cluster.create(CONFIG_MAPS, BODY, "default", dry_run=True)
    assert proxy.connections == 3


async def test_a_change_that_was_certainly_not_sent_is_repeated_and_in_no_doubt(
    cluster: Cluster, proxy: FaultProxy
) -> None:
    await proxy.stop()
    with pytest.raises(Unavailable, match="refused") as caught:
        await cluster.create(CONFIG_MAPS, BODY, "default")
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_change_whose_answer_is_not_the_apis_may_have_been_made(cluster: Cluster, proxy: FaultProxy) -> None:
    proxy.fault = Answer(200, body=b"<html>")
    with pytest.raises(OutcomeUnknown):
        await cluster.create(CONFIG_MAPS, BODY, "default")
    assert proxy.connections == 1


async def test_a_change_that_is_rate_limited_waits_as_asked_and_is_made_once(
    sandbox: Sandbox, clock: FakeClock, write_kubeconfig: Any
) -> None:
    async with _After(int(sandbox.url.rsplit(":", 1)[1]), Answer(429, {"Retry-After": "7"}), 1) as proxy:
        write_kubeconfig(proxy.url)
        clusters = Clusters(upstreams=Upstreams(clock=clock))
        await (await clusters.cluster()).create(CONFIG_MAPS, BODY, "default")
        await clusters.aclose()
    assert proxy.connections == 2
    assert sum(clock.slept_s) >= 7


async def test_a_rate_limit_longer_than_a_call_is_told_and_kept(cluster: Cluster, proxy: FaultProxy) -> None:
    proxy.fault = Answer(429, {"Retry-After": "120"})
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await cluster.list(CONFIG_MAPS, "default")
        assert (caught.value.retry_after_s or 0) > 100
    assert proxy.connections == 1


async def test_a_disruption_budget_is_a_conflict_and_pauses_nothing(
    cluster: Cluster, clusters: Clusters, proxy: FaultProxy
) -> None:
    cause = b'{"reason": "DisruptionBudget", "message": "needs 1 healthy pod"}'
    body = b'{"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": "Cannot evict pod as it would '
    body += b'violate the pod\'s disruption budget.", "details": {"causes": [' + cause + b'], "retryAfterSeconds": 10}}'
    proxy.fault = Answer(429, {"Retry-After": "10"}, body)
    with pytest.raises(Conflict, match="disruption budget"):
        await cluster.create(CONFIG_MAPS, BODY, "default")
    state = clusters.state("test")
    assert state is not None
    assert (state.rate_limited_for_s, state.failures, proxy.connections) == (None, 0, 1)


async def test_a_dead_cluster_is_answered_at_once_until_it_is_back(
    cluster: Cluster, clusters: Clusters, proxy: FaultProxy, clock: FakeClock
) -> None:
    proxy.fault = HalfOpen()
    for _ in range(5):
        with pytest.raises((TimedOut, CircuitOpen)):
            await cluster.list(CONFIG_MAPS, "default")
    asked = proxy.connections
    with pytest.raises(CircuitOpen, match="kubernetes/test") as caught:
        await cluster.list(CONFIG_MAPS, "default")
    assert proxy.connections == asked, "it would wait for the dead cluster"
    assert 0 < (caught.value.retry_after_s or 0) <= 30
    (check,) = health_checks(clusters)
    report = await check.check()
    assert (report.status, proxy.connections) == (HealthStatus.UNHEALTHY, asked)
    assert "left alone" in report.reason
    proxy.fault = None
    clock.advance(30)
    assert (await cluster.list(CONFIG_MAPS, "default"))["kind"] == "ConfigMapList"
    state = clusters.state("test")
    assert state is not None
    assert state.state is State.CLOSED
    assert (await check.check()).status is HealthStatus.OK


async def test_what_is_behind_the_api_server_opens_no_breaker(
    cluster: Cluster, clusters: Clusters, proxy: FaultProxy
) -> None:
    dead_node = (
        b'{"kind": "Status", "code": 500, "message": "Get \\"https://n:10250/containerLogs\\": dial tcp: refused"}'
    )
    webhook = b'{"kind": "Status", "code": 500, "message": "Internal error occurred: failed calling webhook \\"x\\""}'
    for answer in (Answer(500, body=dead_node), Answer(503, body=b"service unavailable\n"), Answer(500, body=webhook)):
        proxy.fault = answer
        for _ in range(3):
            with pytest.raises(Unavailable):
                await cluster.list(CONFIG_MAPS, "default")
            with pytest.raises(Unavailable) as caught:
                await cluster.create(CONFIG_MAPS, BODY, "default")
            assert not isinstance(caught.value, OutcomeUnknown)
    state = clusters.state("test")
    assert state is not None
    assert (state.state, state.failures) == (State.CLOSED, 0)


async def test_storage_in_trouble_leaves_a_change_in_doubt(cluster: Cluster, proxy: FaultProxy) -> None:
    proxy.fault = Answer(500, body=b'{"kind": "Status", "code": 500, "message": "etcdserver: request timed out"}')
    with pytest.raises(OutcomeUnknown, match="etcdserver"):
        await cluster.create(CONFIG_MAPS, BODY, "default")


async def test_a_call_that_its_caller_gives_up_counts_for_nothing(
    cluster: Cluster, clusters: Clusters, proxy: FaultProxy
) -> None:
    proxy.fault = HalfOpen()
    for _ in range(10):
        async with anyio.create_task_group() as group:
            group.start_soon(cluster.list, CONFIG_MAPS, "default")
            await proxy.caught.wait()
            group.cancel_scope.cancel()
    state = clusters.state("test")
    assert state is not None
    assert (state.failures, state.state) == (0, State.CLOSED)


async def test_a_watch_pauses_as_the_cluster_asks_and_goes_on_after_failures_that_come_at_once(
    serve: Any, clock: FakeClock, write_kubeconfig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause_s(error: KlepaasError, least_s: float) -> float:
        if isinstance(error, CircuitOpen | RateLimited):
            pauses.append(error.retry_after_s or 0.0)
            clock.advance(error.retry_after_s or 0.0)
        return 0.0

    monkeypatch.setattr(watching, "_pause_s", pause_s)
    answers = iter([b"429 Many\r\nRetry-After: 90", *[b"503 Down"] * 5])
    event = b'{"type": "ADDED", "object": {"metadata": {"name": "a"}}}\n'

    async def answer(_: Any) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 " + next(answers, b"200 OK") + b"\r\nConnection: close\r\n\r\n" + event

    async with serve(answer) as server:
        write_kubeconfig(server.url)
        clusters = Clusters(upstreams=Upstreams(clock=clock))
        cluster = await clusters.cluster()
        async with cluster.watch(CONFIG_MAPS, "default", resource_version="1") as events:
            with anyio.fail_after(scale_timeout(10)):
                assert (await anext(events)).object["metadata"]["name"] == "a"
        await clusters.aclose()
    # A breaker saves waits; failures that come at once leave it open for no time at all.
    assert pauses == [90]


async def test_the_pipeline_is_the_hosts_and_named_by_the_context(write_kubeconfig: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        write_kubeconfig(f"http://127.0.0.1:{free.getsockname()[1]}", name="prod")
    host = Host(Settings())
    clusters = Clusters.of(host)
    assert Clusters.of(host) is clusters
    with pytest.raises(Unavailable):
        await (await clusters.cluster()).list(CONFIG_MAPS, "default")
    assert [(state.name, state.failures) for state in Upstreams.of(host).snapshot()] == [("kubernetes/prod", 3)]
    await host.aclose()
