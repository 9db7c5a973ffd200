"""Every change is on record before its effect and its outcome after it; what cannot be recorded is not made."""

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest

from klepaas import audit as audit_module
from klepaas import names
from klepaas.arguments import digest, shown
from klepaas.audit import Audit, AuditEvent, AuditRecord, AuditSink, Change
from klepaas.audit_file import FILE_NAME, KEPT_FILES, AuditFile
from klepaas.output.redaction import MARK
from klepaas.principals import Principal
from klepaas.testing import scale_timeout
from klepaas.tools import Effect, Target, Tool

pytestmark = pytest.mark.anyio

CHANGE = Change(
    Principal("kim", "stdio", 1000, "IDE"),
    "delete",
    "destructive",
    (Target("prod", None, "thing", "web"),),
    {"name": "web"},
    "0" * 32,
)


def _record(event: AuditEvent = AuditEvent.INTENT, change: Change = CHANGE) -> AuditRecord:
    return AuditRecord(event, datetime.now(UTC), change, None)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{FILE_NAME}*"))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


class Sink:
    """Keeps what it was told, and fails when it is asked to."""

    def __init__(self, *fails_on: AuditEvent, hangs: bool = False) -> None:
        self.fails_on, self.hangs = fails_on, hangs
        self.told: list[AuditRecord] = []

    async def write(self, record: AuditRecord) -> None:
        if record.event in self.fails_on:
            if self.hangs:
                await anyio.sleep_forever()
            raise OSError("token=abcdefghijklmnop")
        self.told.append(record)

    @property
    def events(self) -> list[tuple[str, str | None]]:
        return [(record.event.value, record.outcome) for record in self.told]


async def test_a_record_says_who_wanted_what_and_leaves_out_what_is_not_known(tmp_path: Path) -> None:
    await AuditFile(tmp_path / "state", 100_000).write(_record())
    (line,) = _lines(tmp_path / "state" / FILE_NAME)
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "version": 1,
        "event": "intent",
        "change": CHANGE.id,
        "principal": {"name": "kim", "transport": "stdio", "uid": 1000, "client": "IDE"},
        "tool": "delete",
        "effect": "destructive",
        "targets": [{"context": "prod", "kind": "thing", "name": "web"}],
        "arguments": {"name": "web"},
        "arguments_digest": "0" * 32,
    }


async def test_the_file_is_its_owners_alone_and_made_with_the_first_record(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "a" / "state", 100_000)
    assert not file.path.parent.exists()
    before = os.umask(0)
    try:
        await file.write(_record())
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    file.path.chmod(0o644)
    await file.write(_record())
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


async def test_a_full_file_is_set_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    file = AuditFile(tmp_path, 1500)
    for _ in range(60):
        await file.write(_record(AuditEvent.OUTCOME))
    names = [item.name for item in _files(tmp_path)]
    assert names == sorted([FILE_NAME, *(f"{FILE_NAME}.{number}" for number in range(1, KEPT_FILES + 1))])
    for item in _files(tmp_path):
        assert item.stat().st_size <= 1500
        assert _lines(item)


async def test_several_servers_write_whole_lines_into_one_file_while_it_is_set_aside(tmp_path: Path) -> None:
    files = [AuditFile(tmp_path, 8000) for _ in range(4)]
    async with anyio.create_task_group() as group:
        for number in range(80):
            group.start_soon(files[number % 4].write, _record(AuditEvent.OUTCOME))
    assert sum(len(_lines(item)) for item in _files(tmp_path)) == 80


@pytest.mark.parametrize("how", ["link", "folder", "pipe", "no folder"])
async def test_what_is_no_file_of_ours_is_not_written_to(tmp_path: Path, how: str) -> None:
    state = tmp_path / "state"
    if how == "no folder":
        state.write_text("in the way")
    else:
        state.mkdir()
    if how == "link":
        (tmp_path / "other").touch()
        (state / FILE_NAME).symlink_to(tmp_path / "other")
    elif how == "folder":
        (state / FILE_NAME).mkdir()
    elif how == "pipe":
        os.mkfifo(state / FILE_NAME)
    with anyio.fail_after(scale_timeout(5)), pytest.raises(OSError, match=r"."):
        await AuditFile(state, 100_000).write(_record())
    assert not (tmp_path / "other").exists() or (tmp_path / "other").read_text() == ""


async def test_a_change_is_announced_to_every_sink_or_not_made() -> None:
    good, bad = Sink(), Sink(AuditEvent.INTENT)
    audit = Audit([AuditSink("good", good.write), AuditSink("bad", bad.write)])
    with pytest.raises(
        Exception, match=r"nothing was changed \(the call was stopped before its tool ran\): the audit \(bad\)"
    ):
        await audit.announce(CHANGE, "auto")
    assert good.events == [("intent", None), ("refused", "not_on_record")]


async def test_a_sink_that_hangs_refuses_the_change_within_its_limit() -> None:
    slow = Sink(AuditEvent.INTENT, AuditEvent.REFUSED, hangs=True)
    with anyio.fail_after(scale_timeout(5)), pytest.raises(Exception, match="slow"):
        await Audit([AuditSink("slow", slow.write, timeout_s=0.05)]).announce(CHANGE, "auto")


async def test_an_outcome_that_cannot_be_noted_fails_no_call_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink(AuditEvent.OUTCOME)
    await Audit([AuditSink("bad", sink.write)]).conclude(CHANGE, "ok")
    assert "the audit sink bad did not take a record of delete" in caplog.text


async def test_an_outcome_is_noted_although_the_call_is_cancelled() -> None:
    sink = Sink()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await Audit([AuditSink("sink", sink.write)]).conclude(CHANGE, "cancelled")
    assert sink.events == [("outcome", "cancelled")]


def test_the_limit_of_a_sink_is_no_longer_than_a_client_waits() -> None:
    assert audit_module.AuditSink("x", Sink().write).timeout_s <= 10


def test_what_is_in_the_way_of_the_file_is_seen_without_writing(tmp_path: Path) -> None:
    assert AuditFile(tmp_path / "a" / "b", 100_000).objection() is None
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").write_text("in the way")
    assert str(tmp_path / "a") in (AuditFile(tmp_path / "a" / "b", 100_000).objection() or "")
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "nowhere")
    assert FILE_NAME in (AuditFile(tmp_path, 100_000).objection() or "")


async def take(names_: Annotated[list[Annotated[str, names.OBJECT]], "many"], note: Annotated[str, names.TEXT]) -> str:
    """Take much."""
    return "taken"


def test_a_record_stays_short_whatever_a_caller_sends() -> None:
    tool = Tool(take, Effect.WRITE, "Take", "test")
    found = shown(tool, {"names_": ["x" * 200] * 1000, "note": "short"})
    assert found == {"names_": "[204000 characters]", "note": MARK}
    assert shown(tool, {"names_": ["a", "b"]}) == {"names_": ["a", "b"]}


def test_digests_are_equal_for_equal_arguments_only() -> None:
    assert digest(["delete", {"a": 1, "b": None}]) == digest(["delete", {"b": None, "a": 1}])
    assert len({digest(value) for value in (1, "1", [1], {"1": 1}, True, None, "")}) == 7
