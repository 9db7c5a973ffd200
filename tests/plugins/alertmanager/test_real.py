"""The real Alertmanager and Prometheus, with alerts that fire, group, are silenced and resolve; klepaas receives them."""

import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.plugins.monitoring_servers import MonitoringServer, alertmanager, needs, prometheus, scrape

from klepaas.app import App
from klepaas.firing import FiringAlerts
from klepaas.store.alerts import AlertStore, Stored
from klepaas.testing import FakeHttp, Said, Session
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .conftest import TOKEN, eventually, pushed, routed_to, served

pytestmark = pytest.mark.anyio
WEEK_MIN = 7 * 24 * 60


@dataclass
class Stack:
    """Everything at once.

    Attributes:
        app: klepaas, on a socket.
        session: A client of it.
        alertmanager: The real one, which posts to it.
        sandbox: The cluster.
    """

    app: App
    session: Session
    alertmanager: MonitoringServer
    sandbox: Sandbox

    async def push(self, *alerts: dict[str, Any]) -> None:
        """Do what Prometheus does."""
        async with httpx.AsyncClient() as http:
            (await http.post(f"{self.alertmanager.url}/api/v2/alerts", json=list(alerts))).raise_for_status()

    async def stored(self, count: int, state: str | None = None) -> list[Stored]:
        """So many notifications, once they are there."""
        store = AlertStore.of(self.app.host)

        async def enough() -> list[Stored]:
            found, _ = await store.find(state=state, limit=100)
            return found if len(found) >= count else []

        found: list[Stored] = await eventually(enough)
        return found

    async def report(self, number: int) -> Said:
        """The notification as a tool reads it, once its evidence is settled."""

        async def settled() -> Said | None:
            said = await self.session.call("get_notifications", notification_id=number)
            return None if said.facts.get("report") == "pending" else said

        found: Said = await eventually(settled)
        return found


@pytest.fixture
def real(tmp_path: Path, listener: socket.socket) -> Iterator[MonitoringServer]:
    needs("prometheus-alertmanager")
    folder = tmp_path / "alertmanager"
    folder.mkdir()
    with alertmanager(folder, routed_to(listener.getsockname()[1])) as server:
        yield server


@pytest.fixture
async def stack(
    tmp_path: Path, listener: socket.socket, real: MonitoringServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stack]:
    monkeypatch.setenv("KLEPAAS_ALERTMANAGER_URL", real.url)
    monkeypatch.setenv("KLEPAAS_ALERTMANAGER_WEBHOOK_TOKEN", TOKEN)
    async with Sandbox(replace(Timing.instant(), deadline_scale=0.002)) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        async with served(listener, tmp_path / "state") as (app, session):
            yield Stack(app, session, real, sandbox)


async def test_alerts_are_told_listed_and_grouped_and_the_overview_knows_them(stack: Stack) -> None:
    await stack.push(
        *(pushed("PodCrashes", severity="critical", namespace="shop", pod=f"web-{n}") for n in range(3)),
        pushed("DiskFills", severity="warning", node="node-1"),
    )
    stored = await stack.stored(4)
    alerts = await stack.session.call("list_alerts")
    some = await stack.session.call("list_alerts", matchers=['alertname=~"Pod.*"', "pod!=web-1"])
    groups = await stack.session.call("list_alerts", what="groups")
    firing = await FiringAlerts.of(stack.app.host).now()
    assert sorted(one.notice.name for one in stored) == ["DiskFills", *["PodCrashes"] * 3]
    assert {one.notice.receiver for one in stored} == {"klepaas"}
    assert alerts.text.startswith("4 alerts in alertmanager/default, 0 of them silenced or inhibited.")
    assert alerts.text.index("PodCrashes") < alerts.text.index("DiskFills")
    assert (some.facts["alerts"], "web-1" in some.text) == (2, False)
    assert "alertname=PodCrashes\tklepaas\t3\t0\tPodCrashes" in groups.text
    assert [one.name for one in firing.alerts][-1] == "DiskFills"
    assert len(firing.alerts) == 4
    assert len(json.dumps(alerts.text)) < 1500


async def test_a_silence_hides_what_it_fits_and_its_end_shows_it_again(stack: Stack) -> None:
    await stack.push(pushed("Noisy", severity="warning", job="batch"), pushed("Other", severity="critical"))
    await stack.stored(2)
    made = await stack.session.call(
        "silence_alerts", matchers=["alertname=Noisy", 'job=~"ba.*"'], duration_min=30, comment="known, see 42"
    )
    silence_id = made.facts["silence_id"]

    async def hidden() -> Said | None:
        said = await stack.session.call("list_alerts", matchers=["alertname=Noisy"])
        return said if f"silenced by {silence_id}" in said.text else None

    await eventually(hidden)
    listed = await stack.session.call("list_alerts", what="silences")
    firing = await FiringAlerts.of(stack.app.host).now()
    ended = await stack.session.call("expire_silence", silence_id=silence_id)
    again = await stack.session.call("expire_silence", silence_id=silence_id)
    gone = await stack.session.call("expire_silence", silence_id="00000000-0000-4000-8000-000000000000")
    shown = await stack.session.call("list_alerts", matchers=["alertname=Noisy"])
    assert "It fits 1 of the alerts of now: Noisy." in made.text
    assert 'alertname="Noisy", job=~"ba.*"' in listed.text
    assert "through klepaas\tknown, see 42" in listed.text
    assert [(one.name, one.silenced) for one in firing.alerts] == [("Other", False), ("Noisy", True)]
    assert (ended.is_error, again.code, gone.code) == (False, "conflict", "not_found"), gone.text
    assert "silenced by" not in shown.text


@pytest.mark.parametrize(
    ("matchers", "words"),
    [
        ([], "needs a matcher"),
        (['alertname=~".+"'], "needs a matcher"),
        (['severity!=""', "alertname!~x"], "needs a matcher"),
        (['alertname=""'], "needs a matcher"),
        (["alertname=A", 'pod=~"("'], "alertmanager/default says"),
    ],
)
async def test_a_silence_that_would_hide_everything_or_makes_no_sense_is_not_made(
    stack: Stack, matchers: list[str], words: str
) -> None:
    said = await stack.session.call("silence_alerts", matchers=matchers, duration_min=5, comment="x")
    silences = await stack.session.call("list_alerts", what="silences")
    assert (said.code, words in said.text, "\n" in said.text) == ("bad_request", True, False), said.text
    assert silences.text == "No silences in alertmanager/default."


@pytest.mark.parametrize("duration_min", [0, -5, WEEK_MIN + 1])
async def test_a_silence_has_an_end_within_a_week(stack: Stack, duration_min: int) -> None:
    said = await stack.session.call("silence_alerts", matchers=["alertname=A"], duration_min=duration_min, comment="x")
    assert said.is_error
    assert (await stack.session.call("list_alerts", what="silences")).facts == {"silences": []}


async def test_an_alert_of_prometheus_freezes_what_is_there_and_resolves(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("prometheus")
    deployed = await stack.session.call(
        "deploy_application", app_name="shop", image="example/crash:1", namespace="default", wait=True
    )
    assert deployed.is_error
    async with FakeHttp() as page:
        page.answer("GET", "/metrics", b"shop_up 0\n", headers={"Content-Type": "text/plain; version=0.0.4"})
        rule = {
            "alert": "ShopDown",
            "expr": "shop_up == 0",
            "labels": {"severity": "critical", "namespace": "default", "deployment": "shop"},
            "annotations": {"summary": "The shop is down since {{ $value }}"},
        }
        folder = tmp_path / "prometheus"
        folder.mkdir()
        port = int(page.url.rpartition(":")[2])
        rules = [{"name": "shop", "rules": [rule]}]
        with prometheus(
            folder, scrape_configs=[scrape("shop", port)], rule_groups=rules, alertmanager_url=stack.alertmanager.url
        ):
            (stored,) = await stack.stored(1)
            said = await stack.report(stored.id)
            page.answer("GET", "/metrics", b"shop_up 1\n", headers={"Content-Type": "text/plain; version=0.0.4"})
            (resolved,) = await stack.stored(1, "resolved")
    later = await stack.session.call("get_notifications", notification_id=stored.id)
    assert said.text.startswith("ShopDown (critical) is firing")
    assert "== rollout\nshop in default has failed" in said.text
    assert "== pods\nPod shop-" in said.text
    assert "last log lines" in said.text
    assert resolved.id == stored.id
    assert later.text.startswith("ShopDown (critical) is resolved")
    # What was frozen stays as it was, whatever the cluster has become.
    assert later.text.partition("Evidence, as it was")[2] == said.text.partition("Evidence, as it was")[2]
    assert len(later.text.encode()) < 24_000
