"""`klepaas plans` shows what was planned; `klepaas confirm` has a person at a terminal confirm it, and nobody else."""

import contextlib
import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from klepaas import cli
from klepaas.commands import plans as command
from klepaas.commands.agent_shells import KNOWN
from klepaas.host import Host
from klepaas.plans.model import Draft, Plan, PlanState
from klepaas.plans.plan_store import PlanStore
from klepaas.plans.rendering import Preview
from klepaas.portability.terminals import ControllingTerminal, NoTerminal
from klepaas.settings import Settings
from klepaas.testing import scale_timeout

DRAFT = Draft(
    requested_by="alice",
    requester="alice over stdio, with the client some-client",
    tool="k8s_delete",
    effect="destructive",
    arguments={"name": "web"},
    targets=("deployment web in namespace shop of context prod",),
    preview=Preview(
        title="Deleting web",
        lines=("delete deployment/web (namespace shop)", "  ! destructive: stops web", "  replicas: 2 -> 0"),
        risks=("! destructive: stops web",),
        name="web",
        content=[],
    ),
)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of every klepaas in a test."""
    monkeypatch.setenv("KLEPAAS_STATE_DIR", str(tmp_path / "state"))
    for known in KNOWN:
        monkeypatch.delenv(known.variable, raising=False)
    return tmp_path / "state"


async def _use(state: Path, work: Callable[[PlanStore], object]) -> object:
    host = Host(Settings(state_dir=state))
    try:
        return await work(PlanStore.of(host))  # type: ignore[misc]
    finally:
        await host.aclose()


def make(state: Path, draft: Draft = DRAFT) -> Plan:
    """A plan in the store, as a server leaves one."""
    made = anyio.run(partial(_use, state, lambda plans: plans.make(draft)))
    assert isinstance(made, Plan)
    return made


def find(state: Path, plan_id: str) -> Plan:
    """The plan as it is now."""
    found = anyio.run(partial(_use, state, lambda plans: plans.get(plan_id)))
    assert isinstance(found, Plan)
    return found


def records(state: Path) -> list[dict[str, Any]]:
    """What the audit holds."""
    file = state / "audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Sitting:
    """A person at a terminal in which klepaas runs."""

    def __init__(self, terminal: int, process: subprocess.Popen[bytes]) -> None:
        self._terminal = terminal
        self.process = process
        self.said = b""

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read_until(self, text: str) -> None:
        while text.encode() not in self.said:
            self.said += os.read(self._terminal, 4096)

    def end(self) -> int:
        with contextlib.suppress(OSError):  # how Linux says that nobody has the other side open any more
            while chunk := os.read(self._terminal, 4096):
                self.said += chunk
        return self.process.wait(scale_timeout(30))


@contextlib.contextmanager
def sitting(
    plan_id: str, environment: dict[str, str], *, controls: bool = True, stdin: int | None = None
) -> Iterator[Sitting]:
    """Run `klepaas confirm` in a terminal.

    Args:
        plan_id: The plan.
        environment: All variables.
        controls: Whether it is the process's controlling terminal.
        stdin: What it reads instead of the terminal.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "klepaas", "confirm", plan_id],
        env={**environment, "TERM": "xterm-256color"},
        stdin=theirs if stdin is None else stdin,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=partial(fcntl.ioctl, theirs, termios.TIOCSCTTY, 0) if controls else None,
    )
    os.close(theirs)
    limit = threading.Timer(scale_timeout(30), process.kill)  # ends every read of the terminal
    limit.start()
    try:
        with process:
            yield Sitting(ours, process)
            process.kill()
    finally:
        limit.cancel()
        os.close(ours)


@pytest.mark.parametrize(("typed", "state_after"), [("web", "confirmed"), ("yes", "open"), ("", "open")])
def test_a_person_who_types_a_name_of_the_change_at_the_controlling_terminal_confirms_it(
    state: Path, klepaas_environment: dict[str, str], typed: str, state_after: str
) -> None:
    plan = make(state)
    with sitting(plan.id, {**klepaas_environment, "KLEPAAS_STATE_DIR": str(state)}) as person:
        person.type("web\n")  # what was typed before the question does not count
        person.read_until("Type web to confirm")
        person.type(f"{typed}\n")
        code = person.end()
    found = find(state, plan.id)
    assert (code, found.state) == (0 if typed == "web" else 1, state_after)
    text = person.said.decode()
    for part in ("delete deployment/web (namespace shop)", "context prod", "some-client", "\x1b[1m\x1b[31m"):
        assert part in text, text
    assert records(state)[-1]["outcome"] == ("ok" if typed == "web" else "name_not_typed")
    if typed == "web":
        assert found.confirmed_by is not None
        assert f"(uid {os.getuid()})" in found.confirmed_by
        assert "It is then made once, if nothing that it rests on has changed." in text


def test_a_pipe_into_a_terminal_confirms_nothing(state: Path, klepaas_environment: dict[str, str]) -> None:
    plan = make(state)
    read, write = os.pipe()
    os.write(write, b"web\n")
    with sitting(plan.id, {**klepaas_environment, "KLEPAAS_STATE_DIR": str(state)}, stdin=read) as person:
        assert person.end() == 1
    os.close(read)
    os.close(write)
    assert "its standard input is not a terminal" in " ".join(person.said.decode().split())
    assert [one["outcome"] for one in records(state)] == ["no_terminal"]
    assert find(state, plan.id).state is PlanState.OPEN


def test_a_terminal_that_does_not_control_the_process_confirms_nothing(
    state: Path, klepaas_environment: dict[str, str]
) -> None:
    plan = make(state)
    environment = {**klepaas_environment, "KLEPAAS_STATE_DIR": str(state)}
    with sitting(plan.id, environment, controls=False) as person:
        assert person.end() == 1
    assert "it has no controlling terminal" in " ".join(person.said.decode().split())
    assert [one["outcome"] for one in records(state)] == ["no_terminal"]
    assert find(state, plan.id).state is PlanState.OPEN


class Typist(ControllingTerminal):
    """A terminal at which somebody types the same whatever is asked."""

    def __init__(self, typed: str) -> None:
        self.typed = typed
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def ask(self, question: str) -> str:
        self.said.append(question)
        return self.typed


@pytest.fixture
def typist(monkeypatch: pytest.MonkeyPatch) -> Typist:
    """Sits at the terminal of this process and types the right name."""
    typist = Typist("web")

    @contextlib.contextmanager
    def open_terminal() -> Iterator[Typist]:
        yield typist

    monkeypatch.setattr(command, "open_terminal", open_terminal)
    return typist


@pytest.mark.parametrize("variable", [known.variable for known in KNOWN])
def test_in_the_shell_of_an_agent_nothing_is_confirmed(
    state: Path,
    typist: Typist,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
) -> None:
    monkeypatch.setenv(variable, "1")
    assert cli.run(["confirm", "plan-bbbbb-bbbbb-bbbbb-bbbbb"]) == 1
    assert f"({variable} is set)" in capsys.readouterr().err
    assert typist.said == []


def test_each_agent_that_is_recognized_has_a_source() -> None:
    assert all(known.source and known.agent for known in KNOWN)
    assert len({known.variable for known in KNOWN}) == len(KNOWN)
    assert {"Claude Code", "Codex", "Gemini CLI", "Qwen Code", "Cursor", "Copilot CLI", "opencode"} <= {
        known.agent for known in KNOWN
    }


def test_a_plan_is_confirmed_once(state: Path, typist: Typist, capsys: pytest.CaptureFixture[str]) -> None:
    plan = make(state)
    assert cli.run(["confirm", plan.id]) == 0
    assert cli.run(["confirm", plan.id]) == 1
    assert "it is confirmed" in capsys.readouterr().err


def test_a_plan_that_is_not_there_names_the_store_that_was_looked_in(
    state: Path, typist: Typist, capsys: pytest.CaptureFixture[str]
) -> None:
    for plan_id in ("plan-bbbbb-bbbbb-bbbbb-bbbbb", "", "../../x", "plan-\x1b[31m"):
        assert cli.run(["confirm", plan_id]) == 1
        text = capsys.readouterr().err
        assert str(state) in text
        assert "KLEPAAS_STATE_DIR" in text
        assert "\x1b" not in text


def test_a_plan_of_another_key_is_not_confirmed_and_says_so(
    state: Path, typist: Typist, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make(state)
    (state / "store.key").unlink()
    assert cli.run(["confirm", plan.id]) == 1
    assert "it was made with another key" in capsys.readouterr().err
    assert cli.run(["plans", "show", plan.id]) == 1
    assert "ask again" in capsys.readouterr().out
    assert cli.run(["plans", "list"]) == 0
    assert f"{plan.id}  unusable" in capsys.readouterr().out


def test_plans_are_listed_and_shown_whole_for_people_and_for_programs(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["plans", "list"]) == 0
    assert "There are no plans" in capsys.readouterr().out
    long = tuple(f"line {number} of many" for number in range(3000))
    plan = make(state, replace(DRAFT, preview=replace(DRAFT.preview, lines=long)))
    assert cli.run(["plans", "list"]) == 0
    assert f"{plan.id}  open  k8s_delete (destructive)  Deleting web" in capsys.readouterr().out
    assert cli.run(["plans", "show", plan.id]) == 0
    text = capsys.readouterr().out
    assert all(line in text for line in long)
    assert "\x1b" not in text, "no terminal, no colour"
    assert cli.run(["plans", "show", plan.id, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert (whole["id"], whole["state"], whole["lines"]) == (plan.id, "open", list(long))
    assert whole["digest"] == plan.content_digest
    assert cli.run(["plans", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["plans"]
    assert row["requested_by"] == DRAFT.requester
    assert "lines" not in row


def test_nothing_that_acts_on_a_terminal_is_shown_of_a_plan(state: Path, typist: Typist) -> None:
    evil = replace(DRAFT.preview, lines=("a\x1b[2Jb", "\u202eevil", "c\rd"))
    assert cli.run(["confirm", make(state, replace(DRAFT, preview=evil)).id]) == 0
    assert not {"\x1b", "\u202e", "\r"} & set("".join(typist.said))


def test_keys_that_are_no_keys_are_refused_at_the_start_without_their_value() -> None:
    with pytest.raises(ValueError, match="is not a key") as caught:
        Settings(store_keys=SecretStr("c2hvcnQ, hunter2hunter2"))
    assert "hunter2" not in str(caught.value)


def test_a_confirmation_at_a_terminal_is_on_record_with_user_plan_and_digest_before_it_counts(
    state: Path, typist: Typist, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make(state)
    assert cli.run(["confirm", plan.id]) == 0
    first, last = records(state)
    assert (first["event"], first["tool"], first["effect"]) == ("intent", "klepaas confirm", "destructive")
    assert (first["principal"]["transport"], first["principal"]["uid"]) == ("terminal", os.getuid())
    assert first["arguments"] == {
        "plan_id": plan.id, "tool": "k8s_delete", "title": "Deleting web", "digest": plan.content_digest,
    }  # fmt: skip
    assert (last["event"], last["outcome"], last["change"]) == ("outcome", "ok", first["change"])
    capsys.readouterr()
    assert cli.run(["audit", "show"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    for part in ("klepaas confirm", "confirmed at a terminal by", f"(uid {os.getuid()})", plan.id, "ok"):
        assert part in line, line
    assert plan.content_digest[:16] in line
    assert cli.run(["audit", "verify"]) == 0


def test_what_the_audit_does_not_take_is_not_confirmed(
    state: Path, typist: Typist, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make(state)
    (state / "audit.jsonl").mkdir()
    assert cli.run(["confirm", plan.id]) == 1
    assert "the audit (file) cannot record it" in capsys.readouterr().err
    assert find(state, plan.id).state is PlanState.OPEN


def _be_an_agent(monkeypatch: pytest.MonkeyPatch, _typist: Typist) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")


def _have_no_terminal(monkeypatch: pytest.MonkeyPatch, _typist: Typist) -> None:
    def open_terminal() -> Any:
        raise NoTerminal("it has no controlling terminal")

    monkeypatch.setattr(command, "open_terminal", open_terminal)


def _type_another_name(_monkeypatch: pytest.MonkeyPatch, typist: Typist) -> None:
    typist.typed = "wbe"


@pytest.mark.parametrize(
    ("hinder", "reason", "note"),
    [
        (_be_an_agent, "agent_shell", "this shell belongs to Claude Code (CLAUDECODE is set)"),
        (_have_no_terminal, "no_terminal", "it has no controlling terminal"),
        (_type_another_name, "name_not_typed", "is not the name that was asked for"),
    ],
)
def test_a_confirmation_that_is_refused_is_on_record_with_its_reason(
    state: Path,
    typist: Typist,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    hinder: Callable[[pytest.MonkeyPatch, Typist], None],
    reason: str,
    note: str,
) -> None:
    plan = make(state)
    hinder(monkeypatch, typist)
    assert cli.run(["confirm", plan.id]) == 1
    (record,) = records(state)
    assert (record["event"], record["outcome"]) == ("refused", reason)
    assert note in record["note"]
    assert (record["arguments"]["plan_id"], record["arguments"]["digest"]) == (plan.id, plan.content_digest)
    assert "wbe" not in json.dumps(record), "what was typed may be a secret"
    capsys.readouterr()
    assert cli.run(["audit", "show", "--outcome", "refused", "--tool", "klepaas confirm"]) == 0
    out = capsys.readouterr().out
    assert f"refused: {reason}" in out
    assert plan.id in out
    assert find(state, plan.id).state is PlanState.OPEN


def test_a_second_confirmation_is_on_record_as_refused_and_what_is_no_plan_leaves_nothing(
    state: Path, typist: Typist
) -> None:
    plan = make(state)
    assert [cli.run(["confirm", plan.id]) for _ in range(2)] == [0, 1]
    assert [(one["event"], one.get("outcome")) for one in records(state)] == [
        ("intent", None), ("outcome", "ok"), ("refused", "not_open"),
    ]  # fmt: skip
    assert [cli.run(["confirm", wrong]) for wrong in ("", "../../x", "plan-\x1b[31m")] == [1, 1, 1]
    assert len(records(state)) == 3
