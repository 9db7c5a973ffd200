"""`klepaas audit` shows what was changed and finds what is wrong with the files."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Done

from klepaas.audit_file import FILE_NAME, KEPT_FILES
from klepaas.audit_reading import Weight, changes_of, damages_of, lines_of
from klepaas.errors import Unavailable

Distribute = Callable[..., Path]
Klepaas = Callable[..., subprocess.CompletedProcess[str]]
Here = Callable[..., Done]

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


def record(change: str, event: str = "intent", *, minutes: float = 0, **more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "time": (NOW + timedelta(minutes=minutes)).isoformat(timespec="milliseconds"),
        "event": event,
        "change": change,
        "principal": {"name": "kim", "transport": "stdio", "uid": 1000},
        "tool": "restart_application",
        "effect": "write",
        "targets": [{"context": "prod", "namespace": "shop", "kind": "application", "name": "web"}],
        "arguments": {"app_name": "web"},
        "arguments_digest": "0" * 32,
        **more,
    }


def done(change: str, outcome: str = "ok", *, minutes: float = 0.1, **more: Any) -> dict[str, Any]:
    return record(change, "outcome", minutes=minutes, outcome=outcome, **more)


def write(folder: Path, *records: Any, name: str = FILE_NAME, end: str = "\n") -> Path:
    file = folder / name
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    file.write_text("\n".join(lines) + end)
    file.chmod(0o600)
    return file


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    return folder


@pytest.fixture
def audit(here: Here, state: Path) -> Here:
    def run(*words: str) -> Done:
        return here("audit", *words, KLEPAAS_STATE_DIR=str(state))

    return run


def said(folder: Path) -> list[tuple[Weight, str]]:
    return [(damage.weight, damage.text) for damage in damages_of(folder, NOW)]


def test_a_change_that_klepaas_made_is_shown_exported_and_whole(
    distribute: Distribute, klepaas: Klepaas, audit: Here, state: Path
) -> None:
    distribute(
        "thing",
        """
        async def thing_change() -> str:
            "Change the thing."
            return "changed"

        async def thing_break() -> str:
            "Break the thing."
            raise Conflict("It is in use")

        @hookimpl
        def klepaas_tools(host):
            yield Tool(thing_change, Effect.WRITE, title="Change", toolset="test", plan=plan_thing)
            yield Tool(thing_break, Effect.WRITE, title="Break", toolset="test", plan=plan_thing)
        """,
    )
    for tool in ("thing_change", "thing_break"):
        klepaas("call", tool, "--writes", KLEPAAS_STATE_DIR=str(state))

    shown, exported, verified = audit("show", "--json"), audit("export"), audit("verify", "--json")

    changes = json.loads(shown.stdout)["changes"]
    assert [(change["tool"], change["outcome"], change.get("code")) for change in changes] == [
        ("thing_change", "ok", None),
        ("thing_break", "error", "conflict"),
    ]
    assert [json.loads(line)["event"] for line in exported.stdout.splitlines()] == ["intent", "outcome"] * 2
    assert json.loads(verified.stdout) == {"whole": True, "records": 4, "findings": []}
    assert shown.returncode == exported.returncode == verified.returncode == 0


def test_no_record_at_all_is_no_error(audit: Here, state: Path) -> None:
    assert audit("show").stdout == f"No change is on record in {state}.\n"
    assert audit("export").stdout == ""
    assert audit("verify").returncode == 0


def test_a_line_says_when_who_what_and_how_it_ended(audit: Here, state: Path) -> None:
    write(state, record("a"), done("a", "error", code="conflict", confirmed="person"), record("b", minutes=1))

    assert audit("show").stdout.splitlines() == [
        "2026-11-18T12:00:00Z  kim  restart_application  prod/shop/application/web  error (conflict), confirmed by "
        "person",
        "2026-11-18T12:01:00Z  kim  restart_application  prod/shop/application/web  unfinished",
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--outcome", "ok"], ["a"]),
        (["--outcome", "refused"], ["c"]),
        (["--outcome", "unfinished"], ["b"]),
        (["--tool", "k8s_delete"], ["c"]),
        (["--principal", "lee"], ["b"]),
        (["--target", "shop/application/api"], ["b"]),
        (["--since", "2026-11-18T12:30"], ["b", "c"]),
        (["--until", "2026-11-18T21:30+09:00"], ["a"]),
        (["--since", "2026-11-18", "--until", "2026-11-19"], ["a", "b", "c"]),
        (["--since", "1m"], []),
        (["--limit", "1"], ["c"]),
        (["--limit", "0"], ["a", "b", "c"]),
    ],
)
def test_filters_choose(words: list[str], found: list[str], audit: Here, state: Path) -> None:
    other: dict[str, Any] = {
        "principal": {"name": "lee"},
        "targets": [{"namespace": "shop", "kind": "application", "name": "api"}],
    }
    refused = record("c", "refused", minutes=120, outcome="frozen", tool="k8s_delete")
    write(state, record("a"), done("a"), record("b", minutes=60, **other), refused)

    answer = json.loads(audit("show", "--json", *words).stdout)

    assert [change["change"] for change in answer["changes"]] == found


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "5y", "\x1b[31m"])
def test_a_time_that_is_none_is_refused_with_examples(text: str, audit: Here) -> None:
    answer = audit("show", "--since", text)

    assert (answer.returncode, answer.stdout) == (2, "")
    assert "is no time. Write 2026-11-21" in answer.stderr
    assert "\x1b" not in answer.stderr


def test_files_that_were_set_aside_are_read_too_oldest_first(state: Path) -> None:
    write(state, record("c", minutes=2))
    write(state, done("a", minutes=1), record("b", minutes=1), name=f"{FILE_NAME}.1")
    write(state, record("a"), name=f"{FILE_NAME}.2")

    changes = changes_of(lines_of(state))

    assert [(change.first["change"], change.outcome) for change in changes] == [
        ("a", "ok"),
        ("b", "unfinished"),
        ("c", "unfinished"),
    ]


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is not a record"),
        ('{"version": 1}', "it has no time"),
        (json.dumps(record("x") | {"version": 2}), "another version of klepaas wrote it"),
        (json.dumps(record("x") | {"event": "rumour"}), "it is not a record"),
        (json.dumps(record("x") | {"principal": "kim"}), "it is not a record"),
        (json.dumps(record("x") | {"time": "noon"}), "its time is none"),
        (json.dumps(record("x") | {"time": 12}), "its time is none"),
        (json.dumps(record("x") | {"time": "2026-11-18T12:00:00"}), "its time is none"),
    ],
)
def test_a_damaged_line_is_named_and_the_others_are_read(line: str, trouble: str, audit: Here, state: Path) -> None:
    write(state, record("a"), line, done("a"))

    shown, exported, verified = audit("show"), audit("export"), audit("verify")

    assert said(state) == [(Weight.ERROR, f"{FILE_NAME}, line 2: {trouble}")]
    assert "restart_application" in shown.stdout
    assert "1 lines of the audit are damaged" in shown.stderr
    assert (exported.returncode, len(exported.stdout.splitlines())) == (1, 2)
    assert verified.returncode == 1
    assert f"error    {FILE_NAME}, line 2: {trouble}" in verified.stdout


def test_half_a_line_at_the_end_is_damage(state: Path) -> None:
    write(state, record("a"), done("a"), json.dumps(record("b"))[:40], end="")

    assert said(state) == [(Weight.ERROR, f"{FILE_NAME}, line 3: it is cut off")]


def test_records_that_do_not_fit_together_are_damage(state: Path) -> None:
    write(
        state, record("a"), record("a"), done("a"), done("a"), done("b", minutes=1), record("c", minutes=-30), done("c")
    )

    assert said(state) == [
        (Weight.ERROR, f"{FILE_NAME}, line 2: the intent of a change that has one already"),
        (Weight.ERROR, f"{FILE_NAME}, line 4: the outcome of a change that has one already"),
        (Weight.ERROR, f"{FILE_NAME}, line 5: the outcome of a change whose intent is missing"),
        (Weight.WARNING, f"{FILE_NAME}, line 6: it is older than what stands before it"),
    ]


def test_an_intent_may_be_in_a_file_that_is_gone_by_its_age(state: Path) -> None:
    for number in range(1, KEPT_FILES + 1):
        write(state, record(f"n{number}", "refused", minutes=-number), name=f"{FILE_NAME}.{number}")
    write(state, done("a"))

    assert said(state) == []


def test_a_file_that_is_missing_between_others_is_damage(state: Path) -> None:
    write(state, record("b"), done("b"))
    write(state, record("a", "refused"), name=f"{FILE_NAME}.2")

    assert said(state) == [(Weight.ERROR, f"{FILE_NAME}.1 is missing, and older ones are there")]


def test_a_file_that_others_can_read_is_damage_with_a_repair(state: Path) -> None:
    file = write(state, record("a"), done("a"))
    file.chmod(0o644)

    (damage,) = damages_of(state, NOW)

    assert (damage.text, damage.repair) == (f"other users can open {FILE_NAME} (0644)", f"chmod 600 {file}")


def test_a_change_that_was_cut_off_long_ago_is_a_warning(state: Path) -> None:
    write(state, record("a", minutes=-500), record("b"))

    (warning,) = said(state)

    assert warning[0] is Weight.WARNING
    assert "has no outcome; the server ended in the middle of it" in warning[1]


def test_a_link_in_the_place_of_the_file_is_refused(state: Path, tmp_path: Path, audit: Here) -> None:
    (state / FILE_NAME).symlink_to(write(tmp_path, record("a"), name="elsewhere"))

    with pytest.raises(Unavailable):
        list(lines_of(state))
    answer = audit("show")
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)


def test_what_a_record_says_does_not_act_on_a_terminal(audit: Here, state: Path) -> None:
    evil = "a\x1b[2J\u202e\n2026-11-18T12:00:00Z  root  forged"
    write(state, record("a", tool=evil, principal={"name": evil}, targets=[{"name": evil}]))

    shown, exported = audit("show"), audit("export")

    assert len(shown.stdout.splitlines()) == 1
    assert not {"\x1b", "\u202e"} & set(shown.stdout + exported.stdout)


def test_an_outcome_that_there_is_not_is_refused_with_those_there_are(audit: Here) -> None:
    answer = audit("show", "--outcome", "failed")

    assert (answer.returncode, answer.stdout) == (2, "")
    assert "There are ok, error, cancelled, refused, unfinished." in answer.stderr
