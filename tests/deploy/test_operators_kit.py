"""What `deploy/` gives operators: rules that promtool tests, and a dashboard whose every query klepaas answers."""

import json
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml
from fastmcp import Client
from tests.plugins.monitoring_servers import needs, prometheus, scrape

from klepaas.app import App, create_app
from klepaas.audit import AuditRecord, AuditSink
from klepaas.changes import ChangeSet
from klepaas.errors import KlepaasError
from klepaas.hookspecs import hookimpl
from klepaas.http.application import HttpApp
from klepaas.http.server import _config, _Server
from klepaas.resilience import Upstreams
from klepaas.settings import Mode, Settings
from klepaas.testing import app_with, scale_timeout
from klepaas.tools import Effect, Tool
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "klepaas.rules.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "klepaas.json").read_text())
MONITORING = DEPLOY.parent / "docs" / "monitoring.md"
_METRIC = re.compile(r"\b((?:klepaas|mcp|circuit_breaker|process)_[a-z_]+)\b")


def queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard with its panel, as Grafana sends it when everything is chosen."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"].replace("$__rate_interval", "20s")
            yield panel["title"], text.replace("$job", ".*").replace("$instance", ".*")


def expressions() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard and every expression of the rules."""
    yield from queries()
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def test_the_rules_are_right_and_fire_when_they_should() -> None:
    needs("promtool")
    for command in (["check", "rules", RULES.name], ["test", "rules", "klepaas.rules.test.yml"]):
        done = subprocess.run(
            ["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, timeout=scale_timeout(60)
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_explained() -> None:
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    tests = yaml.safe_load((RULES.parent / "klepaas.rules.test.yml").read_text())["tests"]
    fires = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")}
    rests = {case["alertname"] for test in tests for case in test["alert_rule_test"] if not case.get("exp_alerts")}
    assert fires == alerts
    assert rests == alerts
    rows = set(re.findall(r"^\| `(Klepaas\w+)`", MONITORING.read_text(), re.M))
    assert rows == alerts


def test_the_dashboard_hangs_together() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places: set[tuple[int, int]] = set()
    for panel in panels:
        spot = panel["gridPos"]
        assert spot["x"] + spot["w"] <= 24
        cells = {
            (x, y) for x in range(spot["x"], spot["x"] + spot["w"]) for y in range(spot["y"], spot["y"] + spot["h"])
        }
        assert not places & cells, f"{panel['title']} lies on another panel"
        places |= cells
        if panel["type"] != "row":
            assert panel["targets"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert len(list(queries())) > 20


async def _breaks(app: App) -> None:
    """An upstream that is down, until its breaker opens."""
    upstream = Upstreams.of(app.host).get("prometheus/elsewhere")

    async def fail() -> None:
        raise httpx.ConnectError("nobody there")

    while upstream.snapshot().state.value == "closed":
        with pytest.raises(KlepaasError):
            await upstream.call(fail, safe=False, what="look")


async def _works(app: App, client: Client[Any]) -> None:
    """A little of everything that is counted."""
    for image in ("example/app:1", "example/app:2"):
        await client.call_tool("deploy_application", {"app_name": "web", "image": image, "wait_s": 20})
    await client.call_tool("k8s_get", {"kind": "pods"})
    await client.call_tool("k8s_get", {"kind": "nonsenses"}, raise_on_error=False)
    await client.call_tool("no_such_tool", {}, raise_on_error=False)
    await client.call_tool("k8s_get", {"kind": ".."}, raise_on_error=False)
    await client.call_tool("check_system_health", {})
    await client.read_resource("klepaas://upstreams")


@asynccontextmanager
async def served(app: App) -> AsyncIterator[int]:
    """The port on which a klepaas is served."""
    web = HttpApp(app)
    server = _Server(_config(web))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with web.running(), anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            try:
                yield listener.getsockname()[1]
            finally:
                server.should_exit = True


@pytest.fixture
async def klepaas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """A klepaas with writes open, in front of a cluster whose steps take milliseconds."""
    async with Sandbox(replace(Timing.instant(), deadline_scale=0.02)) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        yield create_app(
            Settings(mode=Mode.WRITES, external_plugins=False, strict_plugins=True, state_dir=tmp_path / "state")
        )


async def test_every_metric_that_is_asked_for_is_one_that_klepaas_exports(klepaas: App) -> None:
    async with served(klepaas) as port, Client(f"http://127.0.0.1:{port}/mcp") as client:
        await _works(klepaas, client)
        await _breaks(klepaas)
        async with httpx.AsyncClient() as http:
            page = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    exported = set(re.findall(r"^([a-z_]+)[{ ]", page, re.M))
    for where, text in expressions():
        missing = set(_METRIC.findall(re.sub(r'"[^"]*"', '""', text))) - exported
        assert not missing, f"{where} asks for {missing}"


async def test_a_real_prometheus_answers_every_query_of_the_dashboard(klepaas: App, tmp_path: Path) -> None:
    needs("prometheus")
    folder = tmp_path / "prometheus"
    folder.mkdir()
    rules = yaml.safe_load(RULES.read_text())["groups"]
    async with served(klepaas) as port, Client(f"http://127.0.0.1:{port}/mcp") as client:
        with prometheus(folder, scrape_configs=[scrape("klepaas", port)], rule_groups=rules) as server:
            await _works(klepaas, client)
            await _breaks(klepaas)
            async with httpx.AsyncClient(base_url=server.url) as http:
                empty = dict(queries())
                with anyio.move_on_after(scale_timeout(40)):
                    while empty:
                        await _works(klepaas, client)
                        await anyio.sleep(0.5)
                        empty = {title: text for title, text in empty.items() if not await _answer(http, text)}
                found = (await http.get("/api/v1/rules")).json()["data"]["groups"][0]["rules"]
    assert empty == {}
    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"} == {}


async def _answer(http: httpx.AsyncClient, query: str) -> list[Any]:
    body = (await http.get("/api/v1/query", params={"query": query})).json()
    assert body["status"] == "success", body
    result: list[Any] = body["data"]["result"]
    return result


async def test_a_record_that_is_not_taken_is_counted() -> None:
    async def write(_record: AuditRecord) -> None:
        raise OSError("the disk is full")

    async def sound_horn() -> str:
        """Sound the horn, which everybody hears."""
        return "done"

    @hookimpl
    def klepaas_audit_sinks() -> list[AuditSink]:
        return [AuditSink("ledger", write)]

    async def plan() -> ChangeSet:
        return ChangeSet.of_action("Sounding the horn", kind="horn", name="horn")

    @hookimpl
    def klepaas_tools() -> list[Tool]:
        return [Tool(sound_horn, Effect.WRITE, "Sound the horn", "horn", plan=plan)]

    async with app_with(klepaas_audit_sinks, klepaas_tools, settings={"mode": "writes"}) as app:
        failed = 'klepaas_audit_records_total{outcome="failed",sink="ledger"}'
        assert f"{failed} 0.0" in app.metrics.exposition()[0].decode()
        async with Client(app.server) as client:
            result = await client.call_tool("sound_horn", {}, raise_on_error=False)
        assert result.is_error
        assert f"{failed} 2.0" in app.metrics.exposition()[0].decode()  # what was meant, and that it was refused
