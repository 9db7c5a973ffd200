"""Every client of docs/clients.md and docs/agents.md, replayed over the wire: it lists, looks, deploys what fails and
reads why, is not confirmed, and leaves; over standard input and output, and over HTTP.
"""

import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
from tests.served import unconfigured
from tests.server.http.conftest import served
from tests.server.transports.conftest import SERVE, Server

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout, time_budget
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .rows import FRAMEWORKS, ROWS, TERMINALS, Row
from .wire import Http, Player, Stdio

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]

LOG_LINE = "could not connect to postgres"
IMAGE = "registry.example/shop:1.0-crash"
# Claude Desktop and opencode end a call that is silent for a minute.
SILENCE_MAX_S = time_budget(15, "they would end a call that waits")
each_terminal = pytest.mark.parametrize("row", TERMINALS, ids=lambda row: row.name)
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@pytest.fixture
async def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """A cluster, and the environment in which klepaas finds it."""
    for name in [name for name in os.environ if name.startswith(("KLEPAAS_", "FASTMCP_"))]:
        monkeypatch.delenv(name)
    async with Sandbox(Timing.instant()) as cluster:
        own = {"KLEPAAS_EXTERNAL_PLUGINS": "false", "KLEPAAS_ROLLOUT_MIN_HEALTHY_S": "0.05"}
        variables = unconfigured(tmp_path, KUBECONFIG=str(cluster.write_kubeconfig(tmp_path / "kubeconfig")), **own)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield cluster


@each_terminal
async def test_over_standard_input_and_output_it_lists_looks_reads_why_and_is_not_confirmed(
    row: Row, sandbox: Sandbox, tmp_path: Path
) -> None:
    stderr = tmp_path / "stderr"
    with stderr.open("wb") as log:
        process = await anyio.open_process([*SERVE, "--writes"], stderr=log)
    async with process:
        try:
            server = Server(process, stderr)
            await play(Player(row, Stdio(server), row.version), row)
            await server.close_stdin()
            # Whatever is still written must be a message: a client that has gone may still read, and crash.
            assert await server.ended(40) == 0, stderr.read_text()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)


@each_row
async def test_over_http_it_lists_looks_reads_why_and_is_not_confirmed(row: Row, sandbox: Sandbox) -> None:
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False))
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url.removesuffix("/mcp"), timeout=scale_timeout(60)) as http,
    ):
        await play(Player(row, Http(http), row.http or row.version), row)


@pytest.mark.parametrize("name", ["openai-agents", "agno"])
async def test_a_client_with_a_short_limit_gets_the_operation_before_it_gives_up(
    name: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends no progress token and ends a call after 5 or 10 seconds; this rollout lasts longer than that."""
    row = next(row for row in FRAMEWORKS if row.name == name)
    monkeypatch.setenv("KLEPAAS_SHUTDOWN_GRACE_S", "0")
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False))
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url.removesuffix("/mcp"), timeout=scale_timeout(60)) as http,
    ):
        player = Player(row, Http(http), row.http or row.version)
        await player.connect()
        await player.tools()
        seen = await player.call("deploy_application", app_name="shop", image="registry.example/shop:1.0-unready")
        assert "get_operation" in seen, seen


async def play(player: Player, row: Row) -> None:
    """What every client must be able to do."""
    await player.connect()
    tools = await player.tools()
    assert {"get_overview", "deploy_application", "k8s_delete"} <= set(tools)
    seen = await player.call("get_overview")
    assert "0 applications" in seen, seen
    await deploy_what_fails(player)
    if "get_deployment_status" in tools:
        seen = await player.call("get_deployment_status", app_name="shop")
        assert LOG_LINE in seen, f"the model of {row.name} does not see why: {seen}"
    await delete_without_a_yes(player, row)
    assert player.longest_silence_s < SILENCE_MAX_S


async def deploy_what_fails(player: Player) -> None:
    """The log lines reach the model, in the answer or when it looks at the operation."""
    seen = await player.call("deploy_application", app_name="shop", image=IMAGE, env_vars={"MODE": "a"})
    for _ in range(10):
        found = re.search(r"\bop-[0-9a-z]+\b", seen)
        if LOG_LINE in seen or found is None:
            break
        seen = await player.call("get_operation", operation_id=found[0])
    assert LOG_LINE in seen, seen


async def delete_without_a_yes(player: Player, row: Row) -> None:
    """Nobody answers: nothing is deleted, and the model reads whose word that was and what to do."""
    seen = await player.call("k8s_delete", kind="Deployment", name="shop", namespace="default")
    assert "nothing was changed" in seen, seen
    if row.elicitation:
        assert player.questions == 1
        assert "the client declined, perhaps without asking anybody" in seen, seen
    else:
        assert "needs a person's confirmation, and this client cannot ask for one" in seen, seen
    assert "klepaas call --writes k8s_delete" in seen, seen
    left = await player.call("k8s_get", kind="Deployment", name="shop", namespace="default")
    assert "shop" in left
    assert "not_found" not in left


def test_every_client_and_framework_of_the_pages_has_a_row() -> None:
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "clients.md").read_text(encoding="utf-8")
    heads = [line for line in page.splitlines() if line.startswith("| | ")]
    named = {re.sub(r" [\d.]+$", "", cell.strip()) for line in heads for cell in line.strip("| ").split("|")}
    assert named == {row.name for row in TERMINALS if "that falls back" not in row.name}
    assert len(FRAMEWORKS) >= 17
