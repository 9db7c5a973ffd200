"""Several processes, one outbox: what one commits before it is killed arrives, and nothing arrives from both."""

import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from tests.plugins.notifications.conftest import Place

from klepaas import deliveries
from klepaas.notifications import Notification, Notifications
from klepaas.store.outbox import Outbox
from klepaas.testing import Stalled, app_with, client, scale_timeout
from klepaas_plugins.notifications import plugin

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def sender(folder: Path, count: int, *words: str) -> AsyncIterator[Process]:
    """A process that has sent so many."""
    command = [sys.executable, "-m", "tests.plugins.notifications.sender", str(folder), str(count), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await anyio.open_process(command, env=environment, stdin=-3, stderr=None, cwd=ROOT)
    try:
        assert process.stdout is not None
        with anyio.fail_after(scale_timeout(40)):
            assert (await process.stdout.receive()).startswith(b"sent")
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


def titles(place: Place) -> list[str]:
    """What arrived."""
    return sorted(request.json["title"] for request in place.arrived)


async def empty(outbox: Outbox) -> None:
    """Wait until nothing waits."""
    with anyio.fail_after(scale_timeout(20)):
        while (await outbox.census()).waiting:  # noqa: ASYNC110 -- another process does it
            await anyio.sleep(0.05)


async def test_what_was_committed_before_a_kill_arrives_from_the_next_server(tmp_path: Path, hook: Place) -> None:
    async with sender(tmp_path, 5) as process:
        process.kill()
        await process.wait()
    assert hook.arrived == []
    async with app_with(plugin, settings={"state_dir": tmp_path}) as app, client(app):
        await hook.has(5)
        await empty(Outbox.of(app.host))
    assert titles(hook) == [f"number {number}" for number in range(5)]


async def test_what_was_under_way_at_a_kill_arrives_again_with_the_same_id(
    tmp_path: Path, hook: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.fault = Stalled(10)
    async with sender(tmp_path, 1, "deliver") as process:
        with anyio.fail_after(scale_timeout(20)):
            while not hook.proxy.asked:  # noqa: ASYNC110 -- another process does it
                await anyio.sleep(0.02)
        process.kill()
        await process.wait()
    hook.fault = None
    seen = {request.json["id"] for request in hook.arrived}
    # The dead one's lease is not waited for in a test.
    monkeypatch.setattr("klepaas.store.outbox.now_of", lambda _session: time.time() + 300)
    async with app_with(plugin, settings={"state_dir": tmp_path}) as app, client(app):
        before = len(hook.arrived)
        await hook.has(before + 1)
        await empty(Outbox.of(app.host))
    assert titles(hook)[-1:] == ["number 0"]
    assert seen <= {hook.arrived[-1].json["id"]}


async def test_two_servers_share_the_work_and_repeat_nothing(
    tmp_path: Path, hook: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LOOK_S", 0.05)
    async with (
        sender(tmp_path, 20, "deliver"),
        app_with(plugin, settings={"state_dir": tmp_path}) as app,
        client(app),
    ):
        for number in range(20, 40):
            Notifications.of(app.host).send(Notification("test", f"number {number}"))
        await hook.has(40)
        await empty(Outbox.of(app.host))
    assert max(Counter(titles(hook)).values()) == 1
    assert len(hook.arrived) == 40
