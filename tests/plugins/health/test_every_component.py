"""Each component broken in turn: the tools say it, and `/readyz` says the same; nothing says ok when it is not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client
from sqlalchemy import text

from klepaas.app import App, create_app
from klepaas.clocks import Clocks
from klepaas.http.application import HttpApp
from klepaas.operations import Kind, Operations, Outcome, State
from klepaas.principals import current_principal
from klepaas.settings import Mode, Settings
from klepaas.store import Store
from klepaas.testing import scale_timeout
from klepaas_plugins.health.telling import all_of_them
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio


@dataclass
class Desk:
    """A klepaas with its own plugins, asked over HTTP and by a client."""

    app: App
    http: httpx.AsyncClient
    client: Client[Any]

    async def readyz(self) -> tuple[int, dict[str, Any]]:
        answer = await self.http.get("/readyz")
        return answer.status_code, answer.json()

    async def call(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments, raise_on_error=False)
        block: Any = result.content[0]
        return str(block.text)


@asynccontextmanager
async def desk(folder: Path, **settings: Any) -> AsyncIterator[Desk]:
    """Put it together, and serve it."""
    given = {"mode": Mode.WRITES, "external_plugins": False, "strict_plugins": True, "state_dir": folder, **settings}
    app = create_app(Settings(**given))
    web = HttpApp(app)
    async with (
        web.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://127.0.0.1") as http,
        Client(app.server) as client,
    ):
        yield Desk(app, http, client)


@pytest.fixture
async def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(Timing.instant()) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.write_kubeconfig(tmp_path / "kubeconfig")))
        yield cluster


async def test_all_is_well(sandbox: Sandbox, tmp_path: Path) -> None:
    async with desk(tmp_path / "state") as asked:
        said = await asked.call("check_system_health")
        assert said.startswith("ok: 6 of 6 components ok; klepaas ")
        well = {"kubernetes/sandbox", "store", "journal", "disk", "audit", "clock"}
        assert {part.split()[0] for part in said.splitlines()[1].removeprefix("ok: ").split(", ")} == well
        assert len(said) < 500
        status, body = await asked.readyz()
        assert (status, body["status"], body["reasons"]) == (200, "ready", [])
        assert body["components"] == dict.fromkeys(well, "ok")


async def broken_cluster(asked: Desk, _folder: Path, sandbox: Sandbox) -> None:
    sandbox.fail("GET", "^/(version|readyz)", 500)


async def broken_store(_asked: Desk, folder: Path, _sandbox: Sandbox) -> None:
    (folder / "klepaas.db").write_bytes(b"this is no database" * 500)


async def broken_audit(_asked: Desk, folder: Path, _sandbox: Sandbox) -> None:
    (folder / "audit.jsonl").mkdir(parents=True)


async def broken_clock(asked: Desk, _folder: Path, _sandbox: Sandbox) -> None:
    Clocks.of(asked.app.host).noticed("prometheus/default", 90.0)
    Clocks.of(asked.app.host).noticed("kubernetes/sandbox", 90.0)


async def broken_journal(asked: Desk, _folder: Path, _sandbox: Sandbox) -> None:
    async def run(run: Any) -> Outcome:
        return Outcome(State.SUCCEEDED, "done")

    operations = Operations.of(asked.app.host)
    operations.kinds["nothing"] = Kind("nothing", run)
    one = await operations.submit("nothing", target="t", title="Nothing", request={}, principal=current_principal())
    await operations.wait(one.id, scale_timeout(20))
    del operations.kinds["nothing"]
    left = "UPDATE operations SET state = 'running', ended_at = NULL, held_by = NULL, lease_until = lease_until"
    await Store.of(asked.app.host).write(
        lambda session: bool(session.execute(text(f"{left}, updated_at = updated_at - 1000")))
    )


Break = Callable[[Desk, Path, Sandbox], Any]


@pytest.mark.parametrize(
    ("component", "break_it", "state", "code", "words"),
    [
        ("kubernetes/sandbox", broken_cluster, "unhealthy", 200, "sandbox"),
        ("store", broken_store, "unhealthy", 503, "cannot be read"),
        ("audit", broken_audit, "unhealthy", 503, "no change can be put on record"),
        ("clock", broken_clock, "degraded", 200, "our clock is 90 s behind"),
        ("journal", broken_journal, "degraded", 200, "1 wait for a server"),
    ],
)
async def test_a_broken_component_is_told_everywhere(
    sandbox: Sandbox, tmp_path: Path, component: str, break_it: Break, state: str, code: int, words: str
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    async with desk(folder) as asked:
        await break_it(asked, folder, sandbox)
        said = await asked.call("check_system_health")
        assert said.startswith("unhealthy: " if code == 503 else "degraded: ")
        assert words in said
        assert said.split("\n")[2].startswith(f"{state}\t{component}\t")
        status, body = await asked.readyz()
        assert (status, body["status"]) == (code, "not ready" if code == 503 else "degraded")
        assert body["components"][component] == state
        assert bool(body["reasons"]) is (code == 503)
        said = await asked.call("check_component_health", component=component)
        assert said.startswith(f"{component} is {state}: ")
        scrape = (await asked.http.get("/metrics")).text
        number = {"degraded": 1, "unhealthy": 2}[state]
        assert f'klepaas_component_status{{component="{component}"}} {number}.0' in scrape


async def test_a_full_disk_is_told_everywhere(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_HEALTH_DISK_MIN_FREE_MB", str(10**12))
    async with desk(tmp_path / "state") as asked:
        said = await asked.call("check_system_health")
        assert said.startswith("unhealthy: ")
        assert "unhealthy\tdisk\t" in said
        status, body = await asked.readyz()
        assert (status, body["components"]["disk"]) == (503, "unhealthy")
        assert body["reasons"][0].startswith("component disk is unhealthy: only ")


async def test_a_server_that_only_reads_is_ready_without_a_place_to_write(sandbox: Sandbox, tmp_path: Path) -> None:
    async with desk(tmp_path / "state", mode=Mode.READ_ONLY) as asked:
        await broken_store(asked, _made(tmp_path / "state"), sandbox)
        status, body = await asked.readyz()
        assert (status, body["reasons"]) == (200, [])
        assert "audit" not in body["components"]
        said = await asked.call("check_system_health")
        assert said.startswith("degraded: ")
        assert (await asked.readyz())[1]["status"] == "degraded"


async def test_a_task_of_the_server_that_ended_makes_it_not_alive(sandbox: Sandbox, tmp_path: Path) -> None:
    async with desk(tmp_path / "state") as asked:
        assert (await asked.http.get("/healthz")).status_code == 200
        task = Operations.of(asked.app.host).tasks[0]
        task.cancel()
        await asyncio.wait({task}, timeout=scale_timeout(5))
        answer = await asked.http.get("/healthz")
        assert (answer.status_code, answer.json()) == (503, {"status": "broken"})


async def test_a_required_plugin_that_is_missing_is_told_too(sandbox: Sandbox, tmp_path: Path) -> None:
    async with desk(tmp_path / "state", required_plugins=("ncp",)) as asked:
        said = await asked.call("check_system_health")
        assert said.startswith("unhealthy: ")
        assert "unhealthy: plugin ncp is not installed" in said
        assert (await asked.readyz())[0] == 503


async def test_a_component_that_there_is_not_names_those_there_are(sandbox: Sandbox, tmp_path: Path) -> None:
    async with desk(tmp_path / "state") as asked:
        said = await asked.call("check_component_health", component="kubernetes/prod")
        assert said.startswith("There is no component ")
        assert "kubernetes/sandbox" in said


async def test_the_figures_are_those_that_were_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    async with desk(tmp_path / "state") as asked:
        for _ in range(3):
            await asked.call("k8s_get", kind="nodes")
        await asked.call("k8s_get", kind="pods")
        await asked.call("k8s_get", kind="nonsenses")
        await asked.call("check_system_health")
        said = await asked.call("get_health_metrics")
        assert "6 tool calls ended, 1 failed (not_found 1)." in said
        assert "kubernetes/sandbox\tclosed\t" in said
        assert "store\tok\t" in said
        assert len(said) < 1500


async def test_all_components_are_asked_from_time_to_time_where_that_is_set(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_HEALTH_INTERVAL_S", "10")
    from klepaas_plugins.health.watching import Watch

    async with desk(tmp_path / "state") as asked:
        watch = Watch.of(asked.app.host)
        task = watch._task
        assert task is not None
        assert not task.done()
        await watch.aclose()
        assert task.done()


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


async def test_answers_about_klepaas_itself_say_what_was_looked_at_and_that_applications_were_not(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    async with desk(tmp_path / "state") as asked:
        for tool, arguments, observed in (
            ("check_system_health", {}, "6 components of klepaas"),
            ("check_component_health", {"component": "disk"}, "disk"),
        ):
            last = (await asked.call(tool, **arguments)).splitlines()[-1]
            assert last.startswith("Looked at (")
            assert last.endswith(f"): {observed}. Not checked: applications in clusters.")


def test_of_no_component_at_all_nothing_good_is_said() -> None:
    assert not all_of_them([], [], 1.0, "read-only").text.startswith("ok")
