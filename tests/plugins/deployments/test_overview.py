"""The overview: in one short answer what is ill, what fires, what is under way or failed, and what changed."""

import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from fastmcp import Client
from mcp_types import TextContent
from sqlalchemy import text

from klepaas.app import create_app
from klepaas.errors import Unavailable
from klepaas.firing import FiringAlert, FiringAlerts
from klepaas.settings import Mode, Settings
from klepaas.store import Store
from klepaas.testing import scale_timeout

# 1,500 tokens, counted on the safe side.
MOST_BYTES = 1500 * 3


def cost(said: Any) -> int:
    """What the model reads of an answer, in bytes."""
    return len(said.text.encode())


def alert(name: str, severity: str, *, silenced: bool = False, **labels: str) -> FiringAlert:
    return FiringAlert(name, severity, {"alertname": name, **labels}, time.time() - 900, "it is so", silenced)


@pytest.mark.anyio
async def test_what_changed_names_release_state_and_person(bench: Any) -> None:
    await bench.deploy()
    await bench.deploy(image="example/app:2")
    said = await bench.call("get_overview")
    line = next(line for line in said.text.split("\n") if line.startswith("  default/web: "))
    assert "ago, deploy example/app:2; release 2 verified by " in line


@pytest.mark.anyio
async def test_what_failed_is_told_with_its_reason(bench: Any) -> None:
    await bench.deploy()
    await bench.deploy(image="example/missing:1")
    said = await bench.call("get_overview")
    assert (await bench.call("get_overview", output="json")).json()["operations_failed"] == 1
    assert "Ended badly in the last day:\n  default: Deploying example/missing:1 as web (op-" in said.text
    assert "rolled_back" in said.text


@pytest.mark.anyio
async def test_what_is_under_way_is_told_with_its_place(bench: Any) -> None:
    await bench.deploy()
    open_again = "UPDATE operations SET state = 'running', ended_at = NULL, deadline_at = deadline_at + 1000"
    lasts = f"lease_until = {time.time() + 900}"
    held = f"{open_again}, held_by = 'another', {lasts}, lease_s = 1000, line = '1 of 3 pods ready'"
    await Store.of(bench.host).write(lambda session: bool(session.execute(text(held))))
    said = await bench.call("get_overview")
    assert (await bench.call("get_overview", output="json")).json()["operations_running"] == 1
    assert "Under way:\n  default: Deploying example/app:1 as web (op-" in said.text
    assert ": 1 of 3 pods ready" in said.text
    assert "Under way" not in (await bench.call("get_overview", namespace="kube-system")).text


@pytest.mark.anyio
async def test_alerts_of_whoever_monitors_are_told_the_gravest_first(bench: Any) -> None:
    async def ask() -> Sequence[FiringAlert]:
        return [
            alert("Slow", "warning", namespace="shop", pod="web-1"),
            alert("Down", "critical", namespace="default", pod="web-0"),
            alert("Known", "critical", silenced=True),
        ]

    async def is_down() -> Sequence[FiringAlert]:
        raise Unavailable("prometheus/eu cannot be reached")

    FiringAlerts.of(bench.host).contribute("alertmanager/default", ask)
    FiringAlerts.of(bench.host).contribute("prometheus/eu", is_down)
    said = await bench.call("get_overview")
    lines = said.text.split("\n")
    at = lines.index("Firing alerts (1 more silenced):")
    assert lines[at + 1] == "  critical Down (default/web-0), for 15m: it is so"
    assert lines[at + 2] == "  warning Slow (shop/web-1), for 15m: it is so"
    assert lines[at + 3] == "  prometheus/eu: prometheus/eu cannot be reached"
    assert "Slow" not in (await bench.call("get_overview", namespace="default")).text


@pytest.mark.anyio
async def test_no_alert_is_said_where_somebody_would_know(bench: Any) -> None:
    async def ask() -> Sequence[FiringAlert]:
        return []

    assert "Firing alerts" not in (await bench.call("get_overview")).text
    FiringAlerts.of(bench.host).contribute("alertmanager/default", ask)
    assert "Firing alerts:\n  none" in (await bench.call("get_overview")).text


@pytest.mark.anyio
async def test_a_monitoring_server_that_hangs_costs_a_bounded_wait(bench: Any) -> None:
    async def hangs() -> Sequence[FiringAlert]:
        await anyio.sleep_forever()
        return []

    FiringAlerts.of(bench.host).contribute("prometheus/default", hangs)
    with anyio.fail_after(scale_timeout(15)):
        said = await bench.call("get_overview")
    assert "prometheus/default: no answer within 3 s" in said.text


@pytest.mark.anyio
async def test_a_broken_store_does_not_hide_the_overview(bench: Any, tmp_path: Any) -> None:
    (tmp_path / "klepaas.db").write_bytes(b"this is no database" * 500)
    said = await bench.call("get_overview")
    assert "0 applications" in said.text
    assert "Operations:\n  their store cannot be read" in said.text


@pytest.mark.anyio
async def test_however_much_is_wrong_it_stays_below_1500_tokens_and_says_what_it_left_out(bench: Any) -> None:
    async def ask() -> Sequence[FiringAlert]:
        return [
            alert(f"Alert{n}" + "x" * 150, "critical", namespace="shop", pod=f"p{n}" + "y" * 200) for n in range(500)
        ]

    FiringAlerts.of(bench.host).contribute("alertmanager/default", ask)
    await bench.deploy(name="fine")
    for number in range(3):
        await bench.deploy(name=f"bad-{number}-" + "n" * 40, image="example/missing:1")
    for number in range(40):
        bench.sandbox.plant(_waiting_pod(f"lonely-{number:02d}-" + "z" * 150))
        bench.sandbox.plant(_event(number))
    said = await bench.call("get_overview")
    assert cost(said) <= MOST_BYTES, said.text
    for title in ("Not healthy:", "Firing alerts:", "Ended badly", "Other pods", "Recent changes:", "Newest warnings:"):
        assert title in said.text
    assert "more: k8s_get pods" in said.text
    assert "  and 49" in said.text
    assert "[cut" not in said.text


def test_nothing_of_the_database_is_imported_where_nothing_was_stored() -> None:
    done = subprocess.run([sys.executable, "-c", _ASKS], capture_output=True, text=True, timeout=scale_timeout(50))
    assert done.stdout.strip() == "[]", done.stderr


_ASKS = """
import asyncio, os, sys, tempfile
from pathlib import Path
from fastmcp import Client
from klepaas.app import create_app
from klepaas.settings import Settings
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

async def main():
    with tempfile.TemporaryDirectory() as folder:
        async with Sandbox(Timing.instant()) as sandbox:
            os.environ["KUBECONFIG"] = str(sandbox.write_kubeconfig(Path(folder, "kubeconfig")))
            app = create_app(Settings(external_plugins=False, state_dir=folder + "/state"))
            async with Client(app.server) as client:
                await client.call_tool("get_overview", {})
    print([name for name in ("sqlalchemy", "alembic") if name in sys.modules])

asyncio.run(main())
"""


def _waiting_pod(name: str) -> dict[str, Any]:
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "app", "image": "example/missing:1"}]},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "app", "ready": False, "state": state}]},
    }


def _event(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"event-{number}", "namespace": "default"},
        "type": "Warning",
        "reason": f"Reason{number}",
        "message": "w" * 800,
        "count": 3,
        "involvedObject": {"kind": "Pod", "name": f"lonely-{number:02d}", "namespace": "default"},
        "lastTimestamp": "2026-11-21T00:00:00Z",
    }


@pytest.mark.anyio
async def test_the_overview_tells_in_one_line_of_klepaas_own_trouble_and_says_nothing_where_there_is_none(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "klepaas itself" not in (await bench.call("get_overview")).text
    monkeypatch.setenv("KLEPAAS_HEALTH_DISK_MIN_FREE_MB", str(10**9))
    sick = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=bench.host.settings.state_dir))
    async with Client(sick.server) as client:
        result = await client.call_tool("get_overview", {})
    block = result.content[0]
    assert isinstance(block, TextContent)
    lines = [line for line in block.text.split("\n") if line.startswith("klepaas itself: ")]
    assert len(lines) == 1
    assert "disk unhealthy: only " in lines[0]
    assert "check_system_health" in lines[0]


@pytest.mark.anyio
async def test_with_since_s_warnings_changes_and_failed_operations_are_those_of_the_last_seconds(bench: Any) -> None:
    await bench.deploy()
    await bench.deploy(image="example/missing:1")
    for name, age_s in (("fresh", 10), ("stale", 900)):
        moment = f"{datetime.now(UTC) - timedelta(seconds=age_s):%Y-%m-%dT%H:%M:%SZ}"
        bench.sandbox.plant({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"},
            "involvedObject": {"kind": "Pod", "name": name, "namespace": "default"}, "type": "Warning",
            "reason": "Testing", "message": f"it is {name}", "lastTimestamp": moment,
        })  # fmt: skip
    earlier = "UPDATE operations SET ended_at = ended_at - 900 WHERE state = 'rolled_back'"
    await Store.of(bench.host).write(lambda session: bool(session.execute(text(earlier))))
    for since_s, is_shown in ((600, False), (3600, True)):
        said = (await bench.call("get_overview", since_s=since_s)).text
        assert "it is fresh" in said
        assert "Recent changes:\n  default/web: " in said
        assert ("it is stale" in said) == is_shown
        assert (f"Ended badly in the last {since_s} s" in said) == is_shown
        data = (await bench.call("get_overview", since_s=since_s, output="json")).json()
        assert data["since_s"] == since_s
        assert data["operations_failed"] == int(is_shown)
    changed = await bench.call("get_overview", since_s=1)
    assert "it is" not in changed.text
