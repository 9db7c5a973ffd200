"""`klepaas apply`: files of any size by the way of the tool k8s_apply, confirmed at a terminal by its rules."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from klepaas import cli
from klepaas.commands import confirmed_call
from klepaas.commands import plans as confirming
from klepaas.commands.agent_shells import KNOWN
from klepaas.output.audience import is_at_terminal
from klepaas.portability.terminals import ControllingTerminal
from klepaas_plugins.kubernetes.sandbox import Sandbox, mutating
from klepaas_plugins.kubernetes.yaml_text import TOOL_LIMITS

pytestmark = pytest.mark.anyio
Ask = Callable[..., Any]


@pytest.fixture
async def run(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Run the command; gives its exit code, what it wrote to stdout, and to stderr."""
    monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "sandbox")))
    monkeypatch.setenv("KLEPAAS_STATE_DIR", str(tmp_path / "state"))
    for known in KNOWN:
        monkeypatch.delenv(known.variable, raising=False)

    async def apply(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = await anyio.to_thread.run_sync(cli.run, ["apply", *map(str, words)])
        written = capsys.readouterr()
        assert not is_at_terminal()
        return code, written.out, written.err

    return apply


def _config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _write(path: Path, *objects: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n---\n".join(map(json.dumps, objects)))
    return path


def _admin(name: str = "robot") -> dict[str, Any]:
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    return {**head, "roleRef": role, "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}]}


def _records(tmp_path: Path) -> list[dict[str, Any]]:
    file = tmp_path / "state" / "audit.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def test_a_file_is_applied_with_the_answer_and_the_record_of_the_tool(
    run: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = _write(tmp_path / "a.yaml", _config_map("one", a="1"))
    assert await run(file, "--writes") == (0, "created\tconfigmap/one (namespace default)\n", "")
    assert await run(file, "--writes") == (0, "unchanged\tconfigmap/one (namespace default)\n", "")
    assert {(one["tool"], one["outcome"]) for one in _records(tmp_path) if one.get("outcome")} == {("k8s_apply", "ok")}
    assert (sandbox.get("configmaps", "one") or {})["data"] == {"a": "1"}


async def test_without_writes_nothing_is_applied_and_a_dry_run_shows_everything(
    run: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = _write(tmp_path / "a.yaml", *(_config_map(f"settings-{number}", text="x" * 100) for number in range(130)))
    sandbox.clear_requests()
    code, out, err = await run(file)
    assert (code, out) == (1, "")
    assert "read-only" in err
    assert "--writes" in err
    assert sandbox.requests == []
    code, out, err = await run(file, "--dry-run")
    assert code == 0, err
    assert len(out) > 10_000, "longer than an answer to a model"
    assert "create configmap/settings-129 (namespace default)" in out
    assert "[cut:" not in out
    assert not any(mutating(one) for one in sandbox.requests)


async def test_folders_several_files_standard_input_and_options_are_taken(
    run: Any, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    folder = tmp_path / "set"
    _write(folder / "b.yml", _config_map("second"))
    _write(folder / "a.json", _config_map("first"), _config_map("also-first"))
    _write(folder / "deeper" / "c.yaml", _config_map("deep"))
    (folder / "notes.txt").write_text("no manifest")
    (folder / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + json.dumps(_config_map("with-mark")).encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(_config_map("piped")).encode())))
    code, out, err = await run(folder, "-", "-n", "shop", "--writes", "--context", "sandbox")
    assert code == 0, err
    names = [line.partition("/")[2].partition(" ")[0] for line in out.splitlines()]
    assert names == ["first", "also-first", "second", "with-mark", "piped"]
    assert {one["metadata"]["namespace"] for one in sandbox.list("configmaps") if one["metadata"]["name"] in names} == {
        "shop"
    }
    assert "configmap/deep" in (await run(folder, "-R", "--dry-run"))[1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe{", "is no UTF-8 text at byte 1"),
        (b"a: [", "is not valid YAML at line"),
        (b"kind: X", "has no valid apiVersion"),
        (b"", "no object"),
    ],
)
async def test_a_file_that_cannot_be_read_is_named_and_changes_nothing(
    run: Any, sandbox: Sandbox, tmp_path: Path, content: bytes | None, says: str
) -> None:
    good, bad = _write(tmp_path / "good.yaml", _config_map("good")), tmp_path / "bad.yaml"
    if content is not None:
        bad.write_bytes(content)
    files = [bad] if content == b"" else [good, bad]
    code, out, err = await run(*files, "--writes")
    assert code != 0
    assert out == ""
    assert says in err
    assert sandbox.get("configmaps", "good") is None


async def test_a_folder_without_manifests_is_an_error(run: Any, tmp_path: Path) -> None:
    (tmp_path / "empty" / "below").mkdir(parents=True)
    code, _, err = await run(tmp_path / "empty", "--dry-run")
    assert code == 2
    assert "no file with manifests" in err
    assert "-R" in err


def _large() -> list[dict[str, Any]]:
    return [_config_map(f"large-{number}", text="word " * 20_000) for number in range(6)]


async def test_more_than_a_tool_takes_is_applied_here_and_the_tools_refusal_names_the_command(
    run: Any, change: Ask, text: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = _write(tmp_path / "large.yaml", *_large())
    assert len(file.read_text()) > TOOL_LIMITS.text_max_chars
    for tool in ("k8s_apply", "k8s_create", "deploy_application"):
        more = {"app_name": "web"} if tool == "deploy_application" else {}
        refused = await change(tool, manifests=file.read_text(), **more)
        assert refused.is_error
        assert "`klepaas apply FILE`" in text(refused), tool
        assert str(TOOL_LIMITS.text_max_chars) in text(refused)
    many = "\n---\n".join(json.dumps(_config_map(f"n{number}")) for number in range(TOOL_LIMITS.documents_max + 1))
    assert "`klepaas apply FILE`" in text(await change("k8s_apply", manifests=many))
    code, out, err = await run(file, "--writes")
    assert code == 0, err
    assert out.count("created\tconfigmap/large-") == 6


async def test_what_must_be_confirmed_is_left_to_a_person_where_nobody_sits_at_a_terminal(
    run: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    code, out, err = await run(_write(tmp_path / "a.yaml", _admin()), "--writes")
    assert (code, out) == (1, "")
    assert "needs a person's confirmation" in err
    assert "klepaas confirm plan-" in err
    assert sandbox.get("ClusterRoleBinding", "robot", "") is None


class _Typist(ControllingTerminal):
    def __init__(self, typed: str) -> None:
        self.typed, self.said = typed, ""

    def say(self, text: str) -> None:
        self.said += text

    def ask(self, question: str) -> str:
        self.said += question
        return self.typed


@pytest.fixture
def sit(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], _Typist]:
    """Put a person at a terminal, who types a word."""

    def put(word: str) -> _Typist:
        typist = _Typist(word)

        @contextmanager
        def opened() -> Iterator[ControllingTerminal]:
            yield typist

        monkeypatch.setattr(confirming, "open_terminal", opened)
        monkeypatch.setattr(confirmed_call, "_is_terminal", lambda: True)
        return typist

    return put


@pytest.mark.parametrize("word", ["robot", "yes"])
async def test_a_person_at_the_terminal_types_a_name_of_the_change_to_have_it_made(
    run: Any, sandbox: Sandbox, tmp_path: Path, sit: Any, word: str
) -> None:
    typist = sit(word)
    code, out, _ = await run(_write(tmp_path / "a.yaml", _admin()), "--writes")
    is_made = sandbox.get("ClusterRoleBinding", "robot", "") is not None
    assert (code, is_made) == ((0, True) if word == "robot" else (1, False))
    assert "cluster-admin" in typist.said
    outcomes = [(one["tool"], one.get("outcome")) for one in _records(tmp_path)]
    if word == "robot":
        assert out == "created\tclusterrolebinding/robot\n"
        assert outcomes[-3:-2] == [("klepaas confirm", "ok")]
        assert outcomes[-1] == ("k8s_apply", "ok")
    else:
        assert outcomes[-1] == ("klepaas confirm", "name_not_typed")


async def test_in_the_shell_of_an_agent_nobody_is_asked(
    run: Any, sandbox: Sandbox, tmp_path: Path, sit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    typist = sit("robot")
    monkeypatch.setenv(KNOWN[0].variable, "1")
    code, _, err = await run(_write(tmp_path / "a.yaml", _admin()), "--writes")
    assert code == 1
    assert "klepaas confirm plan-" in err
    assert typist.said == ""
    assert sandbox.get("ClusterRoleBinding", "robot", "") is None


async def test_a_large_set_is_shown_whole_to_the_person_who_confirms_it(
    run: Any, sandbox: Sandbox, tmp_path: Path, sit: Any
) -> None:
    typist = sit("robot-0")
    bindings = [_admin(f"robot-{number}") for number in range(60)]
    code, out, err = await run(_write(tmp_path / "a.yaml", *bindings), "--writes")
    assert code == 0, err
    assert out.count("created") == 60
    assert all(f"clusterrolebinding/robot-{number}" in typist.said for number in range(60))


async def test_the_answer_is_json_for_a_program(run: Any, tmp_path: Path) -> None:
    code, out, _ = await run(_write(tmp_path / "a.yaml", _config_map("one")), "--writes", "--json")
    assert code == 0
    assert json.loads(out)["isError"] is False
