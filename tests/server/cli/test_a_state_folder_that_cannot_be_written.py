"""A state folder that cannot be written: said at the start in one line, and never as a traceback.

A file stands where the folder should be: nothing is read-only by its mode for root.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.served import served, unconfigured
from tests.server.conftest import Done
from tests.server.store.read_only_session import klepaas_tools

from klepaas import state_folder
from klepaas.http.application import HttpApp
from klepaas.settings import Mode, Settings
from klepaas.testing import app_with, client, scale_timeout
from klepaas_plugins.health import plugin as health_plugin
from klepaas_plugins.operations import plugin as operations_plugin

Distribute = Callable[..., Path]
Here = Callable[..., Done]

THING = """
async def thing_change() -> str:
    "Change the thing."
    return "changed"

@hookimpl
def klepaas_tools(host):
    yield Tool(thing_change, Effect.WRITE, title="Change", toolset="test", plan=plan_thing)
"""


@pytest.fixture
def unwritable(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("no folder")
    return str(tmp_path / "file" / "state")


def test_a_server_that_makes_changes_says_at_its_start_that_none_can_be_put_on_record(
    klepaas: Callable[..., Done], unwritable: str
) -> None:
    reading, writing = (klepaas("serve", *more, KLEPAAS_STATE_DIR=unwritable) for more in ([], ["--writes"]))

    assert (reading.returncode, reading.stderr) == (0, "")
    assert (writing.returncode, writing.stdout, len(writing.stderr.splitlines())) == (0, "", 1)
    assert "No change can be put on record, so none is made" in writing.stderr
    assert "KLEPAAS_STATE_DIR" in writing.stderr


def test_a_change_that_cannot_be_put_on_record_is_refused_without_a_traceback(
    here: Here, distribute: Distribute, unwritable: str
) -> None:
    distribute("thing", THING)
    answer = here("call", "thing_change", "--writes", "--json", KLEPAAS_STATE_DIR=unwritable)

    told = json.loads(answer.stdout)
    assert (answer.returncode, told["isError"]) == (1, True)
    assert "was not run" in told["text"]
    assert "klepaas doctor" in told["text"]
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.splitlines()) <= 3


def test_a_file_system_that_refuses_writing_is_an_objection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(mode=Mode.WRITES, state_dir=tmp_path)
    assert state_folder.objection_to_changes(settings) is None
    # As os.access() answers on a file system that is mounted read-only, for root too.
    monkeypatch.setattr(os, "access", lambda _path, how: not how & os.W_OK)
    assert "cannot be written to" in (state_folder.objection_to_changes(settings) or "")
    assert state_folder.objection_to_changes(Settings(mode=Mode.READ_ONLY, state_dir=tmp_path)) is None


def test_a_server_over_http_says_so_once_at_its_start_and_is_not_ready_for_the_same_reason(
    tmp_path: Path, unwritable: str
) -> None:
    environment, stderr = unconfigured(tmp_path, KLEPAAS_STATE_DIR=unwritable), tmp_path / "stderr"
    with served("--writes", environment=environment, stderr=stderr) as server:
        base = server.url.removesuffix("/mcp")
        with httpx.Client(base_url=base, timeout=scale_timeout(30), trust_env=False) as http:
            alive, ready = http.get("/healthz"), http.get("/readyz")
    said = stderr.read_text()
    assert said.count("No change can be put on record, so none is made") == 1, said
    assert "Traceback" not in said
    assert alive.status_code == 200
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    reasons = ready.json()["reasons"]
    assert [reason.split(" is ")[0] for reason in reasons] == ["component audit", "component store"]
    assert all(f"{tmp_path / 'file'} cannot be written to" in reason for reason in reasons)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("writable", [True, False])
async def test_readiness_agrees_with_what_becomes_of_a_change(
    tmp_path: Path, unwritable: str, mode: Mode, writable: bool
) -> None:
    settings = {"mode": mode.value, "state_dir": str(tmp_path / "state") if writable else unwritable}
    async with app_with(health_plugin, operations_plugin, klepaas_tools, settings=settings) as app:
        web = HttpApp(app)
        transport = httpx.ASGITransport(web)
        async with web.running(), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            ready = await http.get("/readyz")
        async with client(app) as session:
            listed = {tool.name for tool in await session.tools()}
            changed = await session.call("thing_change")
    assert (ready.status_code == 200) == (writable or mode is Mode.READ_ONLY), ready.text
    assert changed.is_error == (not writable or mode is Mode.READ_ONLY), changed.text
    assert ("thing_change" in listed) == (mode is Mode.WRITES)
