"""Which file a program's name means, for everything that klepaas starts, and for external MCP servers as they start."""

import os
import sys
from pathlib import Path

import anyio
import pytest

from klepaas.external.child import Child
from klepaas.external.declaration import StdioServer
from klepaas.external.failures import NotUp
from klepaas.outbound import MissingProgram, UnsafeProgram, find_program, program_problem
from klepaas.portability import processes

pytestmark = pytest.mark.anyio


def _program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a program that must not run."""
    _program(tmp_path / "here" / "tool")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("path", ["", ".", "..:.", ":", "./:x", "../here"])
def test_a_name_is_never_looked_for_in_the_working_directory(path: str) -> None:
    with pytest.raises(MissingProgram):
        find_program("tool", path=path)


@pytest.mark.usefixtures("here")
def test_a_relative_path_counts_from_the_folder_that_is_named_with_it_and_is_refused_without_one(
    tmp_path: Path,
) -> None:
    for command in ("./tool", "../here/tool", "x/../tool"):
        with pytest.raises(UnsafeProgram, match="relative path"):
            find_program(command)
        with pytest.raises(UnsafeProgram, match="relative path"):
            find_program(command, folder=Path())
    assert find_program("./bin/tool", folder=_program(tmp_path / "bin" / "tool").parents[1]) == tmp_path / "bin/tool"


def test_what_is_found_is_an_executable_file_by_its_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "a" / "tool").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "tool").touch(0o644)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "tool").symlink_to("nowhere")
    wanted = _program(tmp_path / "d" / "tool")
    path = os.pathsep.join(str(tmp_path / name) for name in "abcd")
    assert find_program("tool", path=path) == wanted
    for bad in ("", "\0", "no-such", str(tmp_path), str(tmp_path / "b" / "tool"), "x" * 5000):
        with pytest.raises(MissingProgram):
            find_program(bad, path=path)


def test_the_first_one_on_path_is_refused_and_not_passed_over_where_others_may_write_to_it(tmp_path: Path) -> None:
    first, second = _program(tmp_path / "a" / "tool"), _program(tmp_path / "b" / "tool")
    first.chmod(0o777)
    with pytest.raises(UnsafeProgram) as caught:
        find_program("tool", path=f"{first.parent}{os.pathsep}{second.parent}")
    assert caught.value.reason == f"is not safe to start: everybody may write to {first}"
    assert caught.value.next_step.startswith(f"Run `chmod o-w {first}`")


def test_what_lies_on_the_way_to_klepaas_itself_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = _program(tmp_path / "tools" / "python")
    tool = _program(tmp_path / "tools" / "tool")
    (tmp_path / "tools").chmod(0o777)
    assert program_problem(str(tool))
    monkeypatch.setattr(sys, "executable", str(python))
    assert program_problem(str(tool)) is None


def test_on_windows_a_name_has_the_suffixes_of_pathext_and_no_working_directory(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_WINDOWS", True)
    monkeypatch.setenv("PATHEXT", os.pathsep.join((".EXE", ".CMD")))
    _program(here / "npx.CMD")
    wanted = _program(tmp_path / "bin" / "npx.CMD")
    assert find_program("npx", path=f".{os.pathsep}{tmp_path / 'bin'}") == wanted
    assert find_program("npx.cmd", path=str(_program(tmp_path / "c" / "npx.cmd").parent)) == tmp_path / "c" / "npx.cmd"


async def _why(server: StdioServer) -> str:
    with anyio.fail_after(20), pytest.raises(NotUp) as caught:
        async with Child("wiki", server).running({}):
            pass
    return str(caught.value)


async def test_an_external_server_starts_from_no_place_that_a_working_directory_or_another_user_decides(
    here: Path, tmp_path: Path
) -> None:
    assert "tool is named by a relative path" in await _why(StdioServer(("./tool",)))
    assert "tool is named by a relative path" in await _why(StdioServer(("./tool",), cwd="."))
    for path in (".", "", f"{os.pathsep}/nowhere"):
        assert "is not found on the PATH" in await _why(StdioServer(("tool",), env={"PATH": path}, cwd=str(here)))
    (shared := tmp_path / "shared").mkdir()
    program = _program(shared / "tool")
    shared.chmod(0o777)
    assert f"everybody may write to {shared}" in await _why(StdioServer((str(program),)))
    assert f"everybody may write to {shared}" in await _why(StdioServer(("tool",), env={"PATH": str(shared)}))


async def test_an_external_server_may_be_named_relative_to_its_own_absolute_folder(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    _program(tmp_path / "bin" / "tool", f"#!{sys.executable}\nopen({str(ran)!r}, 'w').close()\n")
    child = Child("wiki", StdioServer(("bin/tool",), cwd=str(tmp_path)))
    with anyio.fail_after(30):
        async with child.running({}):
            await child.ended.wait()
    assert ran.exists()
