"""What doctor and health say of the store and of operations that nobody carries out."""

import time
from pathlib import Path

import pytest
from sqlalchemy import text

from klepaas.app import App
from klepaas.doctor import examine
from klepaas.hookspecs import Level
from klepaas.operations import Kind, Operations, Outcome, Run, State
from klepaas.principals import current_principal
from klepaas.store import Store
from klepaas.testing import app_with, scale_timeout
from klepaas_plugins.operations import plugin

pytestmark = pytest.mark.anyio


async def findings(app: App) -> dict[str, tuple[Level, str]]:
    found = await examine(app.plugins, app.host)
    return {one.check: (one.finding.level, one.finding.summary) for one in found if one.plugin != "klepaas"}


async def run(run: Run) -> Outcome:
    return Outcome(State.SUCCEEDED, "done")


async def submitted(app: App) -> None:
    operations = Operations.of(app.host)
    operations.kinds["nothing"] = Kind("nothing", run)
    async with operations.running():
        asked = await operations.submit(
            "nothing", target="t", title="Nothing", request={}, principal=current_principal()
        )
        await operations.wait(asked.id, scale_timeout(20))


async def test_before_the_first_operation_all_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    async with app_with(plugin, settings={"state_dir": tmp_path / "s"}) as app:
        found = await findings(app)
    assert {level for level, _ in found.values()} == {Level.OK}
    assert "is made with the first one" in found["store"][1]
    assert not (tmp_path / "s").exists()


async def test_a_store_in_use_is_well() -> None:
    async with app_with(plugin, settings={"mode": "writes"}) as app:
        await submitted(app)
        found = await findings(app)
    assert {level for level, _ in found.values()} == {Level.OK}
    assert found["health of store"][1].startswith("ok: it answered in")


async def test_an_operation_that_nobody_carries_out_is_named() -> None:
    async with app_with(plugin, settings={"mode": "writes"}) as app:
        await submitted(app)
        left = f"UPDATE operations SET state = 'running', ended_at = NULL, lease_until = {time.time() - 100}"
        await Store.of(app.host).write(lambda session: bool(session.execute(text(left))))
        level, summary = (await findings(app))["operations"]
    assert level is Level.WARNING
    assert "1 wait for a server to carry them out: op-" in summary
    assert "(Nothing)" in summary


async def test_a_store_that_cannot_be_written_is_an_error_with_a_repair(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    async with app_with(plugin, settings={"state_dir": tmp_path / "file"}) as app:
        level, summary = (await findings(app))["store"]
    assert level is Level.ERROR
    assert summary.startswith("No change can be put on record, so none is made")


async def test_a_damaged_store_is_an_error_everywhere(tmp_path: Path) -> None:
    (tmp_path / "klepaas.db").write_bytes(b"this is no database" * 500)
    async with app_with(plugin, settings={"state_dir": tmp_path}) as app:
        found = await findings(app)
    assert {check: level for check, (level, _) in found.items()} == dict.fromkeys(found, Level.ERROR)
