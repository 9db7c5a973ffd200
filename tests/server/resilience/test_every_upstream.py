"""Every kind of upstream after an outage: reads side by side get through with the first call after the pause."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.server.external.conftest import QUICK, Fake, up
from tests.server.external.fake_http import HttpFake

from klepaas.app import App, create_app
from klepaas.external import ExternalProvider, HttpServer
from klepaas.hookspecs import hookimpl
from klepaas.resilience import Policy, State, Upstream, Upstreams, gather, pipeline
from klepaas.settings import Mode, Settings
from klepaas.testing import FakeHttp, Session, app_with, client, scale_timeout
from klepaas.testing.clock import FakeClock
from klepaas.testing.fault_proxy import Answer, FaultProxy
from klepaas_plugins.alertmanager import plugin as alertmanager
from klepaas_plugins.kubernetes import plugin as kubernetes
from klepaas_plugins.kubernetes.client import requests
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.prometheus import plugin as prometheus
from klepaas_providers.providers import plugin as providers

pytestmark = pytest.mark.anyio

AT_ONCE = 8


@dataclass(kw_only=True)
class World:
    """A klepaas and one upstream of its.

    Attributes:
        read: Asks it once through a tool; the answer's code, None where all went well.
        upstream: Its pipeline.
        breaks: Sets whether it is down.
        sent: How many requests have reached it or its broken door.
    """

    read: Callable[[], Awaitable[str | None]]
    upstream: Callable[[], Upstream]
    breaks: Callable[[bool], None]
    sent: Callable[[], int]


Opening = Callable[[Path, pytest.MonkeyPatch], AbstractAsyncContextManager[World]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The time of every pipeline; a breaker stays open for all of its time, as after failures that took long."""
    clock = FakeClock(hurries=True)
    monkeypatch.setattr(requests, "_OPEN_RATIO", math.inf)
    monkeypatch.setattr(pipeline, "SystemClock", lambda: clock)
    return clock


async def _code(session: Session, tool: str, **arguments: Any) -> str | None:
    said = await session.call(tool, **arguments)
    return said.code if said.is_error else None


def _upstream(app: App, kind: str) -> Upstream:
    """The one upstream of a kind."""
    upstreams = Upstreams.of(app.host)
    (name,) = [state.name for state in upstreams.snapshot() if state.name.startswith(f"{kind}/")]
    return upstreams.get(name)


def _world(session: Session, app: App, proxy: FaultProxy, upstream: str, tool: str, **arguments: Any) -> World:
    return World(
        read=partial(_code, session, tool, **arguments),
        upstream=lambda: _upstream(app, upstream),
        breaks=lambda down: setattr(proxy, "fault", Answer(503) if down else None),
        sent=lambda: proxy.connections,
    )


@asynccontextmanager
async def _kubernetes(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with Sandbox(timing=Timing.instant()) as sandbox, FaultProxy(int(sandbox.url.rsplit(":", 1)[1])) as proxy:
        written = sandbox.write_kubeconfig(folder / "kubeconfig")
        written.write_text(written.read_text().replace(sandbox.url, proxy.url))
        patch.setenv("KUBECONFIG", str(written))
        async with app_with(kubernetes) as app, client(app) as session:
            yield _world(session, app, proxy, "kubernetes", "k8s_get", kind="pods", namespace="default")


@asynccontextmanager
async def _prometheus(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with FakeHttp() as fake:
        fake.answer("POST", "/api/v1/query", {"status": "success", "data": {"resultType": "vector", "result": []}})
        patch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", fake.url)
        async with app_with(prometheus) as app, client(app) as session:
            yield _world(session, app, fake.proxy, "prometheus", "query_metrics", query="up")


@asynccontextmanager
async def _alertmanager(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with FakeHttp() as fake:
        fake.answer("GET", "/api/v2/silences", [])
        fake.answer("GET", "/api/v2/alerts", [])
        patch.setenv("KLEPAAS_ALERTMANAGER_URL", fake.url)
        async with app_with(alertmanager) as app, client(app) as session:
            yield _world(session, app, fake.proxy, "alertmanager", "list_alerts")


@asynccontextmanager
async def _mcp_server(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    fake = Fake(folder / "fake")
    fake.does(era="modern")
    async with HttpFake(fake.folder) as http:
        offered = fake.provider(
            transport=HttpServer(f"{http.url}/mcp", {}),
            call_timeout_s=scale_timeout(5),
            boot_timeout_s=scale_timeout(5),
            policy=Policy(attempt_timeout_s=scale_timeout(20), total_timeout_s=scale_timeout(30)),
        )
        settings = {"mode": "writes", "policy": ({"decision": "auto"},), "state_dir": folder / "state"}
        async with app_with(providers, _naming(offered), settings=settings) as app, client(app) as session:
            await up(app)
            yield World(
                read=partial(_code, session, "wiki_get_item", id="1"),
                upstream=lambda: _upstream(app, "mcp"),
                breaks=lambda down: fake.does(era="modern", **({"http": [503, {}]} if down else {})),
                sent=lambda: len(fake.calls),
            )


def _naming(provider: ExternalProvider) -> Any:
    @hookimpl
    def klepaas_external_providers(host: Any) -> Any:
        from klepaas.external.externals import Externals

        Externals.of(host).pace = QUICK
        return [provider]

    return klepaas_external_providers


KINDS: dict[str, Opening] = {
    "kubernetes": _kubernetes,
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
    "mcp server": _mcp_server,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_eight_reads_at_once_get_through_when_an_upstream_is_back(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    async with KINDS[kind](tmp_path, monkeypatch) as world:
        assert await world.read() is None
        world.breaks(True)
        for _ in range(world.upstream().policy.fail_max):
            assert None not in await gather(*[world.read] * AT_ONCE)
        assert world.upstream().snapshot().state is State.OPEN
        sent = world.sent()
        assert set(await gather(*[world.read] * AT_ONCE)) == {"circuit_open"}
        assert world.sent() == sent, "a breaker that is open lets nothing out"
        world.breaks(False)
        clock.advance(world.upstream().policy.open_s)
        assert await gather(*[world.read] * AT_ONCE) == [None] * AT_ONCE
        assert world.upstream().snapshot().state is State.CLOSED
        assert world.sent() > sent


@pytest.mark.parametrize("kind", KINDS)
async def test_eight_reads_that_fail_at_once_do_not_open_a_breaker(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    async with KINDS[kind](tmp_path, monkeypatch) as world:
        assert await world.read() is None
        world.breaks(True)
        assert None not in await gather(*[world.read] * AT_ONCE)
        assert world.upstream().snapshot().failures <= world.upstream().policy.attempts
        world.breaks(False)
        assert await gather(*[world.read] * AT_ONCE) == [None] * AT_ONCE
        assert world.upstream().snapshot().failures == 0


async def test_an_overview_gets_through_with_the_first_call_after_the_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    async with Sandbox(timing=Timing.instant()) as sandbox, FaultProxy(int(sandbox.url.rsplit(":", 1)[1])) as proxy:
        written = sandbox.write_kubeconfig(tmp_path / "kubeconfig")
        written.write_text(written.read_text().replace(sandbox.url, proxy.url))
        monkeypatch.setenv("KUBECONFIG", str(written))
        settings = Settings(mode=Mode.READ_ONLY, external_plugins=False, state_dir=tmp_path)
        app = create_app(settings)
        async with client(app) as session:
            assert not (await session.call("get_overview")).is_error
            upstream = _upstream(app, "kubernetes")
            proxy.fault = Answer(503)
            for _ in range(upstream.policy.fail_max + 1):
                await session.call("get_overview")
            assert upstream.snapshot().state is State.OPEN
            proxy.fault = None
            clock.advance(upstream.policy.open_s)
            said = await session.call("get_overview")
            assert not said.is_error, said.text
            assert "circuit" not in said.text
            assert "left alone" not in said.text
            assert upstream.snapshot().state is State.CLOSED
