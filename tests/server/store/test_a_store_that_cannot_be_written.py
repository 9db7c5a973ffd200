"""A state folder on a file system that is read-only: what is there is read, and what cannot be says why."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.server.store.read_only_session import answers_in

from klepaas.hookspecs import hookimpl
from klepaas.operations import Kind, Operations, Outcome, Run, State
from klepaas.portability import files
from klepaas.principals import current_principal
from klepaas.store.upgrading import KNOWN, NEWEST
from klepaas.testing import app_with, client, scale_timeout
from klepaas_plugins.operations import plugin

pytestmark = pytest.mark.anyio

STORES = ("whole", "with its log", "with its log alone", "older")
_MOUNTED = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'

Answers = dict[str, list[dict[str, Any]]]


async def _shelve(_run: Run) -> Outcome:
    return Outcome(State.SUCCEEDED, "Momo stands on the shelf")


@hookimpl
def klepaas_operation_kinds() -> Iterable[Kind]:
    yield Kind("shelve", _shelve)


async def _make_stores(folder: Path) -> str:
    """A store with one operation that has ended, in each of the states in which a server may leave it."""

    whole = folder / "whole"
    settings = {"mode": "writes", "state_dir": str(whole)}
    async with app_with(plugin, klepaas_operation_kinds, settings=settings) as app, client(app):
        operations = Operations.of(app.host)
        asked = await operations.submit(
            "shelve", target="shelf", title="Shelving Momo", request={}, principal=current_principal()
        )
        assert (await operations.wait(asked.id, scale_timeout(20))).state is State.SUCCEEDED
        # As a server leaves it that is killed: its last changes are in the log.
        shutil.copytree(whole, folder / "with its log")
    for name in ("with its log alone", "older"):
        shutil.copytree(folder / "with its log", folder / name)
    (folder / "with its log alone" / "klepaas.db-shm").unlink()
    with sqlite3.connect(folder / "older" / "klepaas.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [KNOWN[-2]])
    connection.close()
    return asked.id


def _mount_command() -> list[str] | None:
    """What runs a program where a folder is mounted read-only. None: this user may not mount anything."""
    command = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"]), "sh", "-c", _MOUNTED]
    try:
        done = subprocess.run([*command, "/proc", "true"], capture_output=True, timeout=scale_timeout(10), check=False)
    except FileNotFoundError:
        return None
    return command if done.returncode == 0 else None


@pytest.fixture
async def mounted(tmp_path: Path) -> Answers:
    """What sessions are answered on a file system that is mounted read-only, by the store in the state folder."""
    command = _mount_command()
    if command is None:
        pytest.skip("this user may not mount a file system read-only")
    operation_id = await _make_stores(tmp_path)
    before = _contents(tmp_path)
    program = Path(__file__).with_name("read_only_session.py")
    paths = [str(tmp_path / name) for name in STORES]
    done = subprocess.run(  # noqa: ASYNC221 -- nothing else runs
        [*command, str(tmp_path), sys.executable, str(program), operation_id, *paths],
        capture_output=True, text=True, timeout=scale_timeout(60), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert _contents(tmp_path) == before
    found: Answers = json.loads(done.stdout)
    return found


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def test_operations_are_read_from_a_read_only_file_system_over_a_tool_session_and_changes_are_refused(
    mounted: Answers,
) -> None:
    for name in ("whole", "with its log"):
        for said in mounted[name]:
            assert_readable(said)
            assert [level for level, _, _ in said["findings"]] == ["error", "ok"], name
    for said in mounted["with its log alone"]:
        is_error, code, text = said["list"]
        assert (is_error, code) == (True, "unavailable")
        assert "klepaas.db-wal lie where nothing can be written, without klepaas.db-shm" in text
        assert "Copy klepaas.db and klepaas.db-wal to a folder that can be written" in text
        assert_refused(said["change"])
    for said in mounted["older"]:
        assert_too_old(said)


def assert_readable(said: dict[str, Any]) -> None:
    """The operation is listed and told, and nothing can be changed."""
    for name in ("list", "one"):
        is_error, _, text = said[name]
        assert (is_error, "Shelving Momo" in text) == (False, True), text
    assert_refused(said["change"])


def assert_too_old(said: dict[str, Any]) -> None:
    """The reason is the version of the tables, not a word of SQLite's."""
    for name in ("list", "one"):
        is_error, code, text = said[name]
        assert (is_error, code) == (True, "unavailable")
        assert f"older klepaas (version {KNOWN[-2]}; this one has {NEWEST}) and cannot be written" in text, text
        assert "KLEPAAS_STATE_DIR" in text
    assert any(f"(version {KNOWN[-2]}; this one has {NEWEST})" in summary for _, summary, _ in said["findings"])


def assert_refused(answer: list[Any]) -> None:
    """One change was not made, in plain words."""
    is_error, code, text = answer
    assert (is_error, code) == (True, "unavailable"), text
    assert "was not run" in text
    assert "OSError" not in text


@pytest.fixture
def refuse_writing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets every file be opened as on a file system that is mounted read-only, for users who may not mount one."""
    open_file = files.open_file

    def opened(path: Path, flags: int, **more: bool) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return open_file(path, flags, **more)

    return lambda: monkeypatch.setattr(files, "open_file", opened)


async def test_what_a_read_only_file_system_answers_does_not_depend_on_mounting_one(
    tmp_path: Path, refuse_writing: Callable[[], None]
) -> None:
    operation_id = await _make_stores(tmp_path)
    refuse_writing()
    for said in await answers_in(tmp_path / "whole", operation_id):
        assert_readable(said)
    for said in await answers_in(tmp_path / "older", operation_id):
        assert_too_old(said)
