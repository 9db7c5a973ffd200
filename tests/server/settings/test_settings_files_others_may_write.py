"""A settings file that names programs is used only where no other user could have written it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from klepaas.configuration import toml_file
from klepaas.configuration.toml_file import ConfigurationError
from klepaas.external.server_file import ServerFile
from klepaas.portability import writers
from klepaas.portability.writers import find_other_writer

Read = Callable[[Path], str]


def _problem_of_toml(path: Path) -> str:
    try:
        toml_file.read()
    except ConfigurationError as exc:
        return str(exc)
    return ""


def _problem_of_servers(path: Path) -> str:
    file = ServerFile(path, {})
    assert bool(file.problem) is not bool(file.servers)
    return file.problem or ""


@pytest.fixture(params=["settings file", "mcp.json"])
def problem(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """What is wrong with a file that names a program; the file is `file` in the folder `folder`."""
    (folder := tmp_path / "folder").mkdir(mode=0o755)
    path = folder / "file"
    server = {"command": "wiki-mcp"}
    is_toml = request.param == "settings file"
    path.write_text(
        '[external.mcp_servers.wiki]\ncommand = "wiki-mcp"\n'
        if is_toml
        else json.dumps({"mcpServers": {"wiki": server}})
    )
    path.chmod(0o644)
    monkeypatch.setenv(toml_file.VARIABLE, str(path))
    toml_file._last.clear()
    return lambda: (_problem_of_toml if is_toml else _problem_of_servers)(path)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[str]]:
    """The members of each group; we are `kim`, whose own group has the number 4711."""
    found: dict[int, list[str]] = {4711: [], 4712: ["kim"], 4713: ["kim", "lee"], 0: ["lee"]}
    users = [SimpleNamespace(pw_name="kim", pw_uid=os.geteuid(), pw_gid=4711)]
    users += [
        SimpleNamespace(pw_name="root", pw_uid=0, pw_gid=0),
        SimpleNamespace(pw_name="lee", pw_uid=9, pw_gid=4714),
    ]

    def group(gid: int) -> Any:
        return SimpleNamespace(gr_name=f"group-{gid}", gr_mem=found.get(gid) if gid != 4714 else [])

    def known(gid: int) -> Any:
        if gid not in (*found, 4714):
            raise KeyError(gid)
        return group(gid)

    modules = {"grp": SimpleNamespace(getgrgid=known), "pwd": SimpleNamespace(getpwall=lambda: users)}
    monkeypatch.setattr("klepaas.portability.writers.importlib.import_module", modules.__getitem__)
    return found


def test_a_file_of_ours_that_only_we_may_write_to_is_used(problem: Callable[[], str]) -> None:
    assert problem() == ""


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_file_or_folder_that_everybody_may_write_to_is_refused_with_the_chmod_to_do(
    problem: Callable[[], str], tmp_path: Path, place: str
) -> None:
    opened = tmp_path / "folder" if place == "folder" else tmp_path / "folder" / "file"
    opened.chmod(0o757)
    assert f"everybody may write to {opened}" in problem()
    assert f"run chmod o-w {opened}" in problem()
    opened.chmod(0o755)
    assert problem() == ""


def test_a_link_is_followed_to_the_file_and_its_folders(problem: Callable[[], str], tmp_path: Path) -> None:
    (shared := tmp_path / "shared").mkdir()
    real = (tmp_path / "folder" / "file").rename(shared / "real")
    (tmp_path / "folder" / "file").symlink_to(real)
    assert problem() == ""
    shared.chmod(0o777)
    assert f"everybody may write to {shared}" in problem()


def test_a_folder_like_tmp_where_nobody_moves_what_is_anothers_is_as_good(
    problem: Callable[[], str], tmp_path: Path
) -> None:
    (tmp_path / "folder").chmod(0o1777)
    assert problem() == ""


def test_a_group_with_other_members_counts_and_our_own_and_roots_do_not(
    tmp_path: Path, groups: dict[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for gid in (0, 4711, 4712, 4713, 4714, 99999):
        status = SimpleNamespace(st_uid=os.geteuid(), st_gid=gid, st_mode=0o100664)
        judged = writers._judge(tmp_path / "a file", status, os.geteuid())  # type: ignore[arg-type]
        found[gid] = judged and (judged.reason.split(" may")[0], judged.repair)
    chmod = f"chmod g-w '{tmp_path}/a file'"
    assert found == {
        0: None,
        4711: None,
        4712: None,
        4713: ("the group group-4713, which has other members,", chmod),
        4714: ("the group group-4714, which has other members,", chmod),
        99999: ("the group 99999, whose members are not known,", chmod),
    }


def test_a_group_that_may_write_to_the_file_is_asked_for_its_members(
    problem: Callable[[], str], tmp_path: Path, groups: dict[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder" / "file"
    path.chmod(0o664)
    groups[path.stat().st_gid] = ["lee"]
    monkeypatch.setattr(writers, "_TRUSTED_GROUPS", frozenset())
    assert "which has other members, may write to" in problem()
    assert f"run chmod g-w {path}" in problem()


def test_what_belongs_to_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    owner = os.stat(tmp_path / "file").st_uid
    writer = find_other_writer(tmp_path / "file")
    assert (writer is None) is (owner == 0)
    status = SimpleNamespace(st_uid=4712, st_gid=0, st_mode=0o100600)
    judged = writers._judge(tmp_path / "file", status, os.geteuid())  # type: ignore[arg-type]
    assert judged
    assert "belongs to another user" in judged.reason


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        find_other_writer(tmp_path / "a")


def test_a_path_with_dots_behind_a_link_is_judged_where_it_leads(tmp_path: Path) -> None:
    (deep := tmp_path / "open" / "deep").mkdir(parents=True)
    (tmp_path / "open" / "file").touch()
    (tmp_path / "link").symlink_to(deep)
    (tmp_path / "open").chmod(0o777)
    writer = find_other_writer(tmp_path / "link" / ".." / "file")
    assert writer
    assert writer.reason.endswith(str(tmp_path / "open"))


def test_on_windows_nothing_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o666)
    monkeypatch.delattr(os, "geteuid")
    assert find_other_writer(tmp_path / "file") is None
