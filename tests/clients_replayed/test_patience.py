"""Clients whose patience ends: with a probe that is never answered, and with a call longer than their limit."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types as mt
import pytest
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from tests.promises.conftest import deployment
from tests.server.http.conftest import served

import klepaas.progress
from klepaas.app import App, create_app
from klepaas.progress import BEAT_S, DEFAULT_WAIT_S, Progress
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout, time_budget
from klepaas.testing.clock import FakeClock

from .conftest import Site
from .player import Player, text_of
from .rows import ROWS, Row, row_of
from .turn import check_refusal, delete_without_a_yes
from .wire import Wire, connected, http_to

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]

HEARD_LIMIT_S = scale_timeout(10)
UNREADY = "registry.example/shop:1.0-unready"
EXTENDED = [row for row in ROWS if row.extends]
SILENT = [row for row in ROWS if row.limit_s is not None and not row.extends and not row.progress]
each_way = pytest.mark.parametrize("way", ["connection", "http"])


class Silence(Middleware):
    """Discovery that is not answered until it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = anyio.Event(), anyio.Event()

    async def on_discover(
        self, context: MiddlewareContext[mt.DiscoverRequest], call_next: CallNext[mt.DiscoverRequest, Any]
    ) -> Any:
        """Keep the client waiting."""
        self.asked.set()
        await self.let_go.wait()
        return await call_next(context)


@pytest.fixture
def app(site: Site, tmp_path: Path) -> App:
    """A klepaas of the test's own; the cluster is the module's."""
    site.clear()
    return create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=tmp_path))


@asynccontextmanager
async def players(app: App, row: Row, count: int = 1, way: str = "http") -> AsyncIterator[list[Player]]:
    """Clients of one row, not connected yet, on a way to the same klepaas."""
    version = (row.http or row.version) if way == "http" else row.version
    async with AsyncExitStack() as stack:
        wires: list[Wire] = []
        url = await stack.enter_async_context(served(app)) if way == "http" else ""
        for _ in range(count):
            wires.append(await stack.enter_async_context(http_to(url) if way == "http" else connected(app)))
        yield [Player(row, wire, version) for wire in wires]


async def listed(player: Player) -> Player:
    """Connect a client, and have it list the tools."""
    await player.connect()
    await player.tools()
    return player


@each_way
@pytest.mark.parametrize("withdrawn", [False, True], ids=["left pending", "withdrawn"])
async def test_a_client_that_gives_up_a_probe_which_is_never_answered_initializes_and_is_served(
    way: str, withdrawn: bool, app: App, site: Site
) -> None:
    """Claude Code leaves it pending after 2.3 s; clients with the SDK's time limits withdraw it."""
    row, silence = row_of("Claude Code that falls back"), Silence()
    app.server.add_middleware(silence)
    site.sandbox.create(deployment("shop"))
    async with players(app, row, way=way) as [player]:
        with anyio.fail_after(HEARD_LIMIT_S):
            await player.give_up_the_probe(silence.asked.wait, withdrawn=withdrawn)
            await player.initialize()
        await player.tools()
        assert "1 application" in row.shows(await player.call("get_overview"))
        silence.let_go.set()  # what comes too late disturbs nothing
        refusal, left = await delete_without_a_yes(player, "shop")
        check_refusal(row, row.shows(refusal), row.shows(left))


@pytest.mark.parametrize("row", EXTENDED, ids=lambda row: row.name)
async def test_a_client_that_ends_silent_calls_after_60_s_hears_of_a_long_one_until_its_end(row: Row, app: App) -> None:
    """Time stands still but for the clock that the server's signs of life go by."""
    clock = FakeClock()
    app.server.middleware[0] = Progress(clock=clock)
    answers: list[str] = []

    async def deploy() -> None:
        answers.append(row.shows(await player.call("deploy_application", app_name="shop", image=UNREADY, wait_s=300)))

    async with players(app, row, count=2) as [player, helper], anyio.create_task_group() as group:
        await listed(player)
        await listed(helper)
        group.start_soon(deploy)
        silent_s = await longest_silence_s(player, clock, 70)
        assert not answers
        await helper.call("cancel_operation", operation_id=await operation_of(helper))
    assert row.limit_s == 60
    assert silent_s < row.limit_s / 10
    # By then it may have begun to change something, or not: the answer says which.
    assert "cancel" in answers[0]


async def longest_silence_s(player: Player, clock: FakeClock, lasts_s: float) -> float:
    """Let time pass, and say how long the client heard nothing of its call, in seconds of the clock."""
    began_at = heard_at = clock.monotonic()
    longest_s = 0.0
    with anyio.fail_after(scale_timeout(30)):
        while clock.monotonic() - began_at < lasts_s:
            arrived = player.arrived
            await clock.run(BEAT_S)
            with anyio.move_on_after(1):  # what is due now is under way on a socket
                await arrived.wait()
            if arrived.is_set():
                longest_s, heard_at = max(longest_s, clock.monotonic() - heard_at), clock.monotonic()
    return max(longest_s, clock.monotonic() - heard_at)


async def operation_of(player: Player) -> str:
    """The id of the operation that runs."""
    with anyio.fail_after(HEARD_LIMIT_S):
        while True:
            found = re.search(r"op-[0-9a-z]+", text_of(await player.call("get_operation")))
            if found:
                return found[0]
            await anyio.sleep(0.02)


@pytest.mark.parametrize("row", SILENT, ids=lambda row: row.name)
async def test_a_client_with_a_short_limit_and_without_progress_gets_the_operation_before_it_gives_up(
    row: Row, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call may use a tenth of its time, so that the test is quick; what is left of the limit is what it was."""
    assert row.limit_s is not None
    rest_s = row.limit_s - klepaas.progress._SILENT_S
    monkeypatch.setattr("klepaas.progress._SILENT_S", 0.34)
    monkeypatch.setenv("KLEPAAS_SHUTDOWN_GRACE_S", "0")
    async with players(app, row) as [player]:
        await listed(player)
        seen = row.shows(await player.call("deploy_application", app_name="shop", image=UNREADY))
        assert "get_operation" in seen, seen
        assert player.longest_call_s < 0.34 + time_budget(rest_s, "the client ends the call then")
        await player.call("cancel_operation", operation_id=await operation_of(player))


@pytest.mark.parametrize(
    ("name", "way"),
    [("openai-agents", "http"), ("llama-index", "http"), ("agno", "connection"), ("autogen-ext", "connection")],
)
async def test_what_a_client_gave_up_at_its_limit_goes_on_and_is_found_by_get_operation(
    name: str, way: str, app: App, site: Site
) -> None:
    row = row_of(name)

    async def until_it_runs() -> None:
        with anyio.fail_after(HEARD_LIMIT_S):
            while site.sandbox.get("Deployment", "shop") is None:
                await site.sandbox.changed()

    async with players(app, row, way=way) as [player]:
        await listed(player)
        arguments = {"app_name": "shop", "image": UNREADY, "wait_s": DEFAULT_WAIT_S}
        await player.give_up_a_call(until_it_runs, "deploy_application", **arguments)
        operation_id = await operation_of(player)
        assert "waits for its end" in row.shows(await player.call("get_operation", operation_id=operation_id))
        await player.call("cancel_operation", operation_id=operation_id)
