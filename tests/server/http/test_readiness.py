"""`/healthz` and `/readyz`: the second says yes only where klepaas can really serve, and why not otherwise."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import anyio
import httpx
import pytest

from klepaas.app import App, create_app
from klepaas.errors import Unavailable
from klepaas.hookspecs import HealthReport, HealthStatus
from klepaas.http.application import HttpApp
from klepaas.http.readiness import Readiness
from klepaas.plugins import PluginError, Plugins
from klepaas.resilience import Upstreams
from klepaas.settings import Settings
from klepaas.testing.clock import FakeClock

from .conftest import asking

pytestmark = pytest.mark.anyio


async def ready(app: App) -> tuple[int, dict[str, Any]]:
    async with asking(app) as http:
        answer = await http.get("/readyz")
        return answer.status_code, answer.json()


async def test_a_server_that_is_well_is_alive_and_ready(klepaas: Callable[..., App]) -> None:
    async with asking(klepaas()) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready", "reasons": [], "components": {}})
        assert answer.headers["cache-control"] == "no-store"


async def test_a_server_that_has_not_started_is_alive_and_not_ready(klepaas: Callable[..., App]) -> None:
    transport = httpx.ASGITransport(HttpApp(klepaas()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        assert (await http.get("/healthz")).status_code == 200
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, ["not started yet"])


async def test_a_server_that_stops_is_alive_and_not_ready(klepaas: Callable[..., App]) -> None:
    app = klepaas()
    async with asking(app) as http:
        await app.calls.stop(0)
        assert (await http.get("/healthz")).status_code == 200
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, ["stopping"])


async def test_a_strangers_plugin_may_fail(klepaas: Callable[..., App], plugin: ModuleType) -> None:
    plugin.start_fails = True  # type: ignore[attr-defined]
    assert (await ready(klepaas()))[0] == 200


async def test_a_required_plugin_must_be_there_and_active(klepaas: Callable[..., App], plugin: ModuleType) -> None:
    assert (await ready(klepaas(required_plugins=("http-tools",))))[0] == 200
    status, body = await ready(klepaas(required_plugins=("ncp",)))
    assert (status, body["reasons"]) == (503, ["plugin ncp is not installed"])
    status, body = await ready(klepaas(required_plugins=("http-tools",), disabled_plugins=("http-tools",)))
    assert (status, body["reasons"]) == (503, ["plugin http-tools is disabled"])
    plugin.start_fails = True  # type: ignore[attr-defined]
    status, body = await ready(klepaas(required_plugins=("http-tools",)))
    assert (status, body["reasons"]) == (503, ["plugin http-tools is failed"])


async def test_a_built_in_plugin_that_failed_makes_it_unready_and_one_that_is_disabled_does_not(
    klepaas: Callable[..., App],
) -> None:
    app = klepaas()
    app.plugins.all[0].built_in = True
    assert (await ready(app))[0] == 200
    app = klepaas()
    app.plugins.all[0].built_in = True
    app.plugins.fail(app.plugins.all[0], "password=hunter2hunter2")
    status, body = await ready(app)
    assert (status, body["reasons"]) == (503, ["plugin http-tools is failed"])
    app = klepaas(disabled_plugins=("http-tools",))
    app.plugins.all[0].built_in = True
    assert (await ready(app))[0] == 200


async def test_a_dead_cluster_makes_it_degraded_and_not_unready(klepaas: Callable[..., App]) -> None:
    app = klepaas()
    async with asking(app) as http:
        upstream = Upstreams.of(app.host).get("kubernetes/prod")

        async def fail() -> None:
            raise httpx.ConnectError("nobody there")

        while upstream.snapshot().state.value == "closed":
            with pytest.raises(Unavailable):
                await upstream.call(fail, safe=False, what="look")
        answer = await http.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["components"] == {"kubernetes/prod": "degraded"}


async def test_a_strict_start_that_fails_says_why_and_serves_nothing(
    klepaas: Callable[..., App], plugin: ModuleType
) -> None:
    plugin.start_fails = True  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match="it will not"):
        async with asking(klepaas(strict_plugins=True)):
            pass


async def test_components_that_nobody_requires_are_not_asked(klepaas: Callable[..., App], plugin: ModuleType) -> None:
    assert (await ready(klepaas()))[0] == 200
    assert plugin.asked == []


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        ("cluster/hangs", "component cluster/hangs is unhealthy: no answer within 0.1 s"),
        ("cluster/broken", "component cluster/broken is unhealthy: its check failed"),
        ("cluster/nowhere", "component cluster/nowhere is unhealthy: no plugin knows it"),
    ],
)
async def test_a_required_component_that_cannot_be_asked_counts_as_unhealthy(
    klepaas: Callable[..., App], component: str, reason: str
) -> None:
    status, body = await ready(klepaas(required_components=("cluster/prod", component)))
    assert (status, body["reasons"]) == (503, [reason])
    assert body["components"] == {"cluster/prod": "ok", component: "unhealthy"}
    assert "Tr0ub4dor" not in str(body)


async def test_a_required_component_decides_by_its_own_word(klepaas: Callable[..., App], plugin: ModuleType) -> None:
    for status, expected in ((HealthStatus.OK, 200), (HealthStatus.DEGRADED, 200), (HealthStatus.UNHEALTHY, 503)):
        plugin.health = HealthReport(status, "token=abcdef0123456789abcdef")  # type: ignore[attr-defined]
        code, body = await ready(klepaas(required_components=("cluster/prod",)))
        assert (code, body["components"]["cluster/prod"]) == (expected, status.value)
        assert "abcdef0123456789" not in str(body)


async def test_a_check_may_be_marked_as_required(plugin: ModuleType) -> None:
    module = ModuleType("marks_it")
    exec(_MARKS_IT, module.__dict__)
    sys.modules["marks_it"] = module
    try:
        app = create_app(Settings(), Plugins(Settings(), [EntryPoint("marks", "marks_it", "klepaas")]))
        status, body = await ready(app)
    finally:
        del sys.modules["marks_it"]
    assert (status, body["reasons"]) == (503, ["component journal is unhealthy: the disk is full"])


_MARKS_IT = """
from klepaas.hookspecs import HealthCheck, HealthReport, HealthStatus, hookimpl

async def check():
    return HealthReport(HealthStatus.UNHEALTHY, "the disk is full")

@hookimpl
def klepaas_health_checks(host):
    yield HealthCheck("journal", check, required=True)
"""


async def test_probes_cannot_hammer_a_component(klepaas: Callable[..., App], plugin: ModuleType) -> None:
    clock = FakeClock()
    readiness = Readiness(klepaas(required_components=("cluster/prod",)), clock)
    readiness.started = True

    async def probe() -> None:
        assert (await readiness.verdict()).ready

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(probe)
    assert len(plugin.asked) == 1
    clock.advance(2)
    await probe()
    assert len(plugin.asked) == 1
    clock.advance(2)
    await probe()
    assert len(plugin.asked) == 2
