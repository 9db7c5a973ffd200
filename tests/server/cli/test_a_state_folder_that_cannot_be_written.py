"""A state folder that cannot be written: said at the start in one line, and never as a traceback.

A file stands where the folder should be: nothing is read-only by its mode for root.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.conftest import Done

from klepaas import state_folder
from klepaas.settings import Mode, Settings

Distribute = Callable[..., Path]
Here = Callable[..., Done]

THING = """
async def thing_change() -> str:
    "Change the thing."
    return "changed"

@hookimpl
def klepaas_tools(host):
    yield Tool(thing_change, Effect.WRITE, title="Change", toolset="test")
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
