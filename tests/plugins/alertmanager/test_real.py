"""The real Alertmanager and Prometheus, with alerts that fire, group, are silenced and resolve, told to klepaas."""

import json
import re
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
            return None if "is being collected" in said.text else said

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
    async with Sandbox(replace(Timing.instant(), deadline_scale=0.02)) as sandbox:
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
    assert (some.text.startswith("2 alerts in "), "web-1" in some.text) == (True, False)
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
    silence_id = made.text.partition(": silence ")[2].split(".")[0]

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


async def test_a_silence_that_would_hide_everything_or_never_ends_is_not_made(stack: Stack) -> None:
    nothing_named: list[list[str]] = [[], ['alertname=~".+"'], ['severity!=""', "alertname!~x"], ['alertname=""']]
    for matchers in nothing_named:
        said = await stack.session.call("silence_alerts", matchers=matchers, duration_min=5, comment="x")
        assert (said.code, "needs a matcher" in said.text, "\n" in said.text) == ("bad_request", True, False)
    wrong = await stack.session.call(
        "silence_alerts", matchers=["alertname=A", 'pod=~"("'], duration_min=5, comment="x"
    )
    assert (wrong.code, "alertmanager/default says" in wrong.text) == ("bad_request", True), wrong.text
    for duration_min in (0, -5, WEEK_MIN + 1):
        said = await stack.session.call(
            "silence_alerts", matchers=["alertname=A"], duration_min=duration_min, comment="x"
        )
        assert said.is_error
    assert (await stack.session.call("list_alerts", what="silences")).text == "No silences in alertmanager/default."


@dataclass
class Shop:
    """What Prometheus scrapes: a shop that is up or not, and a container of it."""

    page: FakeHttp

    def is_up(self, up: bool) -> None:
        memory = 'container_memory_working_set_bytes{namespace="default",pod="shop-5c4c7d9b8f-x2x4z",container="shop"}'
        text = f"shop_up {int(up)}\n{memory} 123e6\n"
        self.page.answer("GET", "/metrics", text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})


@pytest.fixture
async def shop(tmp_path: Path, real: MonitoringServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """A shop that is up, watched by a real Prometheus, which klepaas knows, and which tells the real Alertmanager."""
    needs("prometheus")
    rule = {
        "alert": "ShopDown",
        "expr": "shop_up == 0",
        "labels": {"severity": "critical", "namespace": "default", "deployment": "shop"},
        "annotations": {"summary": "The shop is down: {{ $value }}"},
    }
    folder = tmp_path / "prometheus"
    folder.mkdir()
    async with FakeHttp() as page:
        found = Shop(page)
        found.is_up(True)
        jobs = [scrape("shop", int(page.url.rpartition(":")[2]))]
        rules = [{"name": "shop", "rules": [rule]}]
        with prometheus(folder, scrape_configs=jobs, rule_groups=rules, alertmanager_url=real.url) as server:
            monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", server.url)
            yield found


async def test_an_alert_of_prometheus_freezes_what_is_there_and_resolves(shop: Shop, stack: Stack) -> None:
    deployed = await stack.session.call("deploy_application", app_name="shop", image="example/crash:1", wait_s=20)
    assert "exit code" in deployed.text, deployed.text
    metric = "container_memory_working_set_bytes"

    async def scraped() -> bool:
        return metric in (await stack.session.call("list_metrics", search="memory")).text

    await eventually(scraped)
    shop.is_up(False)
    (stored,) = await stack.stored(1)
    said = await stack.report(stored.id)
    shop.is_up(True)
    (resolved,) = await stack.stored(1, "resolved")
    later = await stack.session.call("get_notifications", notification_id=stored.id)
    assert said.text.startswith("ShopDown (critical) is firing")
    assert "== rollout\nshop in default" in said.text
    assert "== pods\nPod shop-" in said.text
    assert "last log lines" in said.text
    assert "== key series\n" in said.text
    assert "123" in said.text.partition("== key series")[2]
    assert re.search(r"== .*\(failed\)", said.text) is None, said.text
    assert resolved.id == stored.id
    assert later.text.startswith("ShopDown (critical) is resolved")
    # What was frozen stays as it was, whatever the cluster has become.
    assert later.text.partition("Evidence, as it was")[2] == said.text.partition("Evidence, as it was")[2]
    assert len(later.text.encode()) < 24_000
