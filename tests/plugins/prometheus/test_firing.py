"""What the overview learns of Prometheus' alerts: those that fire, with their labels, since when, and what they say."""

import pytest

from klepaas.firing import FiringAlerts
from klepaas.testing import FakeHttp, app_with
from klepaas_plugins.prometheus import plugin

pytestmark = pytest.mark.anyio

_ALERTS = [
    {
        "labels": {"alertname": "PodCrashes", "severity": "critical", "namespace": "shop"},
        "annotations": {"summary": "web crashes"},
        "state": "firing",
        "activeAt": "2026-11-21T10:00:00.123456789Z",
        "value": "1e+00",
    },
    {"labels": {"alertname": "Soon"}, "annotations": {}, "state": "pending", "activeAt": "2026-11-21T10:00:00Z"},
    {"labels": {"alertname": "Bare"}, "state": "firing"},
    {"state": "firing", "labels": None, "annotations": [], "activeAt": 7},
]


async def test_alerts_that_fire_are_told_and_pending_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeHttp() as fake:
        fake.answer("GET", "/api/v1/alerts", {"status": "success", "data": {"alerts": _ALERTS}})
        monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", fake.url)
        async with app_with(plugin) as app:
            found = await FiringAlerts.of(app.host).now()
    assert found.silent == {}
    assert {one.name for one in found.alerts} == {"PodCrashes", "Bare", ""}
    first = found.alerts[0]
    assert (first.name, first.severity, first.namespace, first.summary) == (
        "PodCrashes",
        "critical",
        "shop",
        "web crashes",
    )
    assert first.since == pytest.approx(1795255200, abs=1)


async def test_a_server_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeHttp() as fake:
        fake.answer("GET", "/api/v1/alerts", {"status": "error"}, status=503)
        monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", fake.url)
        async with app_with(plugin) as app:
            found = await FiringAlerts.of(app.host).now()
    assert list(found.silent) == ["prometheus/default"]
    assert found.alerts == []


async def test_where_none_is_configured_nobody_knows_of_alerts() -> None:
    async with app_with(plugin) as app:
        assert not FiringAlerts.of(app.host).known
