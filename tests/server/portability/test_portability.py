"""The parts that differ: each as it is on Windows, shown by taking away what Windows lacks."""

import asyncio
import os
import signal
import stat
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from klepaas.audit import AuditEvent, AuditRecord, Change
from klepaas.audit_file import FILE_NAME, AuditFile
from klepaas.configuration import toml_file
from klepaas.errors import Forbidden
from klepaas.portability import files, locks, processes, shell, signals, sockets, users
from klepaas.principals import LOCAL, Principal
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import exec_plugins

pytestmark = pytest.mark.anyio


@pytest.fixture
def without_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """No numbers of users, and so no permission bits."""
    for name in ("geteuid", "getuid", "fchmod", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"):
        monkeypatch.delattr(os, name)


@pytest.mark.usefixtures("without_users")
def test_a_settings_file_is_read_where_every_file_has_the_bits_of_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('log_level = "info"\n')
    path.chmod(0o666)
    monkeypatch.setenv(toml_file.VARIABLE, str(path))
    assert toml_file.read().values == {"log_level": "info"}
    assert toml_file.read().is_private


@pytest.mark.usefixtures("without_users")
def test_a_link_is_refused_where_the_system_cannot_refuse_it(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic link"):
        files.open_file(tmp_path / "link", os.O_RDONLY)
    os.close(files.open_file(tmp_path / "link", os.O_RDONLY, follow=True))


def test_a_file_is_replaced_as_soon_as_its_reader_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "geteuid")
    monkeypatch.setattr(files, "_REPLACE_INTERVAL_S", 0)
    real, refusals = os.replace, iter(range(3))

    def replace(draft: Path, path: Path) -> None:
        if next(refusals, None) is not None:
            raise PermissionError("used by another process")
        real(draft, path)

    monkeypatch.setattr(os, "replace", replace)
    files.write_private(tmp_path / "a" / "file", "안녕")
    assert (tmp_path / "a" / "file").read_text(encoding="utf-8") == "안녕"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def test_a_private_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_private(tmp_path / "file", "before")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600

    def replace(draft: Path, path: Path) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="the disk is gone"):
        files.write_private(tmp_path / "file", "after")
    assert (tmp_path / "file").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_record_is_written_although_a_reader_keeps_a_full_file_from_being_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, real = AuditFile(tmp_path, 1500), files.replace
    change = Change(Principal("kim", "stdio"), "delete", "destructive", (), {}, "0" * 32)
    record = AuditRecord(AuditEvent.OUTCOME, datetime.now(UTC), change, None)

    def write(times: int) -> dict[str, int]:
        for _ in range(times):
            anyio.run(audit.write, record)
        return {path.name: len(path.read_bytes().splitlines()) for path in tmp_path.glob(f"{FILE_NAME}*")}

    def replace(draft: Path, path: Path) -> None:
        if draft.name == f"{FILE_NAME}.1":
            raise PermissionError("used by another process")
        real(draft, path)

    before = write(20)
    assert len(before) > 3
    monkeypatch.setattr(files, "replace", replace)
    after = write(20)
    assert after == before | {FILE_NAME: before[FILE_NAME] + 20}
    monkeypatch.undo()
    assert len(write(1)) == len(before) + 1


def test_a_lock_is_held_by_one_and_waited_for_within_its_limit(tmp_path: Path) -> None:
    with locks.hold(tmp_path / "a" / "lock", 5), pytest.raises(TimeoutError), locks.hold(tmp_path / "a" / "lock", 0.05):
        pass
    with locks.hold(tmp_path / "a" / "lock", 5):
        pass
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


@pytest.mark.parametrize("loop_knows", [True, False], ids=["posix", "windows"])
async def test_signals_arrive_also_where_the_event_loop_handles_none(
    loop_knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NotImplementedError

    if not loop_knows:
        monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", refuse, raising=False)
    before = [signal.getsignal(number) for number in signals.END_SIGNALS]
    with anyio.fail_after(scale_timeout(20)), signals.receive(*signals.END_SIGNALS) as received:
        for number in signals.END_SIGNALS:
            os.kill(os.getpid(), number)
            assert await anext(received) is number
    assert [signal.getsignal(number) for number in signals.END_SIGNALS] == before


async def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.receive(*signals.END_SIGNALS):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signals.exit_at_end_signals()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_the_user_is_the_systems_own_also_without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.delattr(os, "getuid")
    monkeypatch.setattr(os, "getlogin", lambda: "kim")
    assert users.current_user() == ("kim", None)


def test_what_outlives_a_call_is_the_users_whatever_transport_also_without_numbers() -> None:
    assert Principal("kim", "stdio").owner == Principal("kim", "memory").owner == Principal("kim", "process").owner
    assert Principal("kim", "stdio").owner != Principal("lee", "stdio").owner
    assert Principal(LOCAL, "http").owner != Principal(LOCAL, "stdio").owner


def test_programs_are_known_by_their_names_with_the_suffix_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": "aws.EXE", "args": ["eks", "get-token"]}
    with pytest.raises(Forbidden):
        exec_plugins.check(spec, "prod")
    monkeypatch.setattr(processes, "_WINDOWS", True)
    exec_plugins.check(spec, "prod")
    with pytest.raises(Forbidden):
        exec_plugins.check(spec | {"command": "evil.exe"}, "prod")


async def test_a_batch_file_gets_no_argument_that_its_shell_would_read(tmp_path: Path) -> None:
    program = tmp_path / "aws.cmd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    spec = {"apiVersion": "v1", "command": str(program), "args": ["eks", "get-token", "a&calc"]}
    with pytest.raises(Forbidden, match="batch file"):
        await exec_plugins.run(spec, "prod", tmp_path, {})


def test_a_command_to_be_typed_is_quoted_for_the_shell_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["claude", r"C:\Program Files\klepaas.exe", "it's"]
    assert shell.command_line(words) == r"""claude 'C:\Program Files\klepaas.exe' 'it'"'"'s'"""
    monkeypatch.setattr(shell, "_WINDOWS", True)
    assert shell.command_line(words) == r"""claude "C:\Program Files\klepaas.exe" it's"""


def test_a_port_in_use_is_refused_and_not_shared() -> None:
    with sockets.listening_socket("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(OSError, match=r"."):
            sockets.listening_socket("127.0.0.1", first.getsockname()[1])
