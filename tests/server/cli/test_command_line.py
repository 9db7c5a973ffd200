"""The command line: what it prints where, and the code it ends with."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import klepaas as package
from klepaas.testing import scale_timeout

Distribute = Callable[..., Path]
Klepaas = Callable[..., subprocess.CompletedProcess[str]]

READ_ONLY = "change changes things and this server is read-only; nothing was changed (the call was stopped before"
PLUGIN = """
    import os

    @hookimpl
    def klepaas_tools(host):
        async def echo(text: Annotated[str, names.TEXT], count: int = 1) -> str:
            "Say it again."
            print("printed by the tool")
            os.write(1, b"written by the tool\\n")
            return " ".join([text] * count)

        async def clash() -> str:
            "Always in conflict."
            raise Conflict("It is in use", next_step="Wait", details="by somebody")

        async def change() -> str:
            "Change."
            return "changed"

        yield Tool(echo, Effect.READ, title="Echo", toolset="test")
        yield Tool(clash, Effect.READ, title="Clash", toolset="test")
        yield Tool(change, Effect.WRITE, title="Change", toolset="test", plan=plan_thing)
"""


def json_of(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_without_a_command_it_prints_its_help(klepaas: Klepaas) -> None:
    bare, asked = klepaas(), klepaas("--help")

    assert (bare.returncode, asked.returncode) == (0, 0)
    assert bare.stdout == asked.stdout
    for word in ("serve", "doctor", "plugins", "tools", "call", "--version"):
        assert word in bare.stdout


@pytest.mark.parametrize("words", [["plugins"], ["tools"]])
def test_a_group_without_a_command_prints_its_help(words: list[str], klepaas: Klepaas) -> None:
    done = klepaas(*words)

    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: klepaas {words[0]}")
    assert "list" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve"], "--http HOST:PORT"),
        (["doctor"], "--json"),
        (["plugins", "list"], "--json"),
        (["tools", "list"], "--strict-plugins"),
        (["call"], "its arguments as JSON"),
    ],
)
def test_every_command_has_a_help(words: list[str], said: str, klepaas: Klepaas) -> None:
    done = klepaas(*words, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


def test_the_version_lists_the_plugins_with_their_distributions(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("echo", PLUGIN, version="4.2")
    distribute("broken", "import nothing_there")

    done = klepaas("--version")

    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"klepaas {package.__version__}"
    assert "  echo: echo 4.2, echo_plugin (active)" in lines
    assert "  broken: broken 1.0, broken_plugin (failed)" in lines
    assert "nothing_there" in done.stderr


def test_the_installed_command_and_the_module_say_the_same(
    klepaas: Klepaas, klepaas_environment: dict[str, str]
) -> None:
    script = Path(sys.executable).with_name("klepaas")
    installed = subprocess.run(
        [script, "--help"],
        env=klepaas_environment,
        capture_output=True,
        text=True,
        timeout=scale_timeout(30),
        check=False,
    )

    module = klepaas("--help")

    assert (installed.returncode, installed.stdout) == (module.returncode, module.stdout)


@pytest.mark.parametrize(
    "words", [["bogus"], ["plugins", "bogus"], ["serve", "--bogus"], ["call"], ["tools", "list", "extra"], ["--writ"]]
)
def test_a_wrong_command_line_ends_with_2_and_says_so_on_standard_error(words: list[str], klepaas: Klepaas) -> None:
    done = klepaas(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert "klepaas" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("0.0.0.0:8000", "does not listen on 0.0.0.0"),
        ("192.0.2.7:8000", "does not listen on 192.0.2.7"),
        ("[::]:8000", "does not listen on ::"),
        ("example.org:80", "is not an IP address or localhost"),
        ("nonsense", "is not HOST:PORT"),
        ("127.0.0.1:99999", "is not HOST:PORT"),
        ("127.0.0.1:", "is not HOST:PORT"),
        ("127.0.0.1:-1", "is not HOST:PORT"),
        ("a b:\x1b[31m80", "is not HOST:PORT"),
    ],
)
def test_an_address_that_is_not_this_machines_alone_is_refused_in_one_line(
    address: str, said: str, klepaas: Klepaas
) -> None:
    done = klepaas("serve", f"--http={address}")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("klepaas: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_a_port_that_is_taken_is_refused_in_one_line(klepaas: Klepaas) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = klepaas("serve", "--http", f"127.0.0.1:{port}")

    assert done.returncode == 2
    assert (
        done.stderr
        == f"klepaas: Cannot listen on 127.0.0.1 port {port}: Address already in use. Choose another port.\n"
    )


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("KLEPAAS_MODE", "hunter2", "KLEPAAS_MODE: Input should be 'read-only' or 'writes'"),
        ("KLEPAAS_LOG_LEVEL", "loud", "KLEPAAS_LOG_LEVEL: "),
        ("KLEPAAS_STRICT_PLUGINS", "perhaps", "KLEPAAS_STRICT_PLUGINS: "),
        ("KLEPAAS_ANSWER_MAX_BYTES", "17", "KLEPAAS_ANSWER_MAX_BYTES: "),
        ("KLEPAAS_DISABLED_PLUGINS", "ncp,gcp", 'KLEPAAS_DISABLED_PLUGINS: is not JSON; a list is written as ["first"'),
        ("KLEPAAS_DISABLED_PLUGINS", '{"a": 1}', "KLEPAAS_DISABLED_PLUGINS: "),
    ],
)
@pytest.mark.parametrize("words", [["--version"], ["plugins", "list"]])
def test_a_wrong_setting_ends_with_2_and_names_the_variable_and_not_its_value(
    words: list[str], variable: str, value: str, said: str, klepaas: Klepaas
) -> None:
    done = klepaas(*words, **{variable: value})

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"klepaas: The settings are wrong: {said}")
    assert done.stderr.count("\n") == 1
    assert value not in done.stderr


def test_a_variable_that_is_set_to_nothing_counts_as_not_set(klepaas: Klepaas) -> None:
    names = ("MODE", "STRICT_PLUGINS", "LOG_LEVEL", "ANSWER_MAX_BYTES", "STATE_DIR", "EXTERNAL_PLUGINS")

    done = klepaas("tools", "list", "--json", **{f"KLEPAAS_{name}": "" for name in names})

    assert done.returncode == 0, done.stderr
    assert json_of(done)["mode"] == "read-only"


def test_the_command_line_wins_over_the_environment(klepaas: Klepaas) -> None:
    done = klepaas("tools", "list", "--json", "--writes", KLEPAAS_MODE="read-only")

    assert json_of(done)["mode"] == "writes"


def test_the_lists_are_for_people_and_for_programs(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("echo", PLUGIN, version="4.2")

    plugins = klepaas("plugins", "list", "--json")
    tools = klepaas("tools", "list", "--json")

    assert plugins.stderr == tools.stderr == ""
    assert json_of(plugins)["plugins"][-1] == {
        "name": "echo",
        "state": "active",
        "reason": None,
        "built_in": False,
        "distribution": "echo",
        "version": "4.2",
        "module": "echo_plugin",
        "hooks": ["klepaas_tools"],
        "tools": ["echo", "clash", "change"],
    }
    assert [(row["name"], row["effect"], row["plugin"]) for row in json_of(tools)["tools"]] == [
        ("echo", "read", "echo"),
        ("clash", "read", "echo"),
        ("change", "write", "echo"),
    ]
    assert "echo  active  echo 4.2  3 tools" in klepaas("plugins", "list").stdout
    assert "echo  read  test  Echo" in klepaas("tools", "list").stdout


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["echo", '{"text": "안녕", "count": 2}'], 0, "안녕 안녕\n", None),
        (["echo", '{"text": "--writes"}'], 0, "--writes\n", None),
        (["clash"], 1, "", "It is in use. Wait.\nby somebody\n"),
        (["change"], 1, "", READ_ONLY),
        (["change", "--writes"], 0, "changed\n", ""),
        (["ecko"], 1, "", "There is no tool 'ecko'. Did you mean echo?\n"),
        (["echo"], 1, "", "echo was called with wrong arguments: "),
        (["echo", '{"text": "a\\u0000b"}'], 1, "", "text"),
        (["echo", "{"], 2, "", "klepaas: The arguments are not JSON: "),
        (["echo", "[1]"], 2, "", "klepaas: The arguments must be a JSON object."),
        (["echo", "[" * 20_000], 2, "", "klepaas: The arguments are "),
        (["echo", f'{{"count": {"9" * 5000}}}'], 2, "", "klepaas: The arguments are "),
    ],
)
def test_a_call_prints_the_answer_or_says_why_not(
    words: list[str], code: int, out: str, err: str | None, distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute("echo", PLUGIN)

    done = klepaas("call", *words)

    assert (done.returncode, done.stdout) == (code, out), done.stderr
    assert done.stderr.startswith("printed by the tool" if err is None else err) or err is None
    assert "Traceback" not in done.stderr


def test_what_a_tool_prints_does_not_get_into_the_answer(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("echo", PLUGIN)

    done = klepaas("call", "echo", '{"text": "hello"}', "--json")

    assert json_of(done) == {"isError": False, "text": "hello", "meta": None}
    assert "printed by the tool" in done.stderr
    assert "written by the tool" in done.stderr


def test_a_terminal_that_cannot_show_a_character_shows_the_rest(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("echo", PLUGIN)

    plain = klepaas("call", "echo", '{"text": "안녕 x"}', PYTHONIOENCODING="latin-1")
    as_json = klepaas("call", "echo", '{"text": "안녕 😀"}', "--json", PYTHONIOENCODING="latin-1")

    assert (plain.returncode, plain.stdout) == (0, "\\uc548\\ub155 x\n")
    assert json_of(as_json)["text"] == "안녕 😀"


def test_names_that_a_plugin_gives_its_tools_do_not_act_on_a_terminal(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute(
        "painted",
        """
        async def red() -> str:
            "Red."
            return "red"

        @hookimpl
        def klepaas_tools(host): return [Tool(red, Effect.READ, title="\\x1b[31mred\\nline", toolset="t\\u202e")]
        """,
    )

    done = klepaas("tools", "list")

    assert "red  read  t  red line\n" in done.stdout


def test_a_failed_call_as_json_carries_the_code(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("echo", PLUGIN)

    done = klepaas("call", "clash", "--json")

    assert done.returncode == 1
    assert json_of(done)["meta"]["code"] == "conflict"


START_THAT_FAILS = "@hookimpl\ndef klepaas_start(host): raise OSError('disk')\n" + (
    "@hookimpl\ndef klepaas_tools(host): return [tool('of_bad')]"
)


@pytest.mark.parametrize("words", [["call", "of_bad"], ["serve"], ["serve", "--http", "127.0.0.1:0"]])
def test_a_start_that_fails_ends_a_strict_command_with_2_and_one_line(
    words: list[str], distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute("bad", START_THAT_FAILS)

    done = klepaas(*words, "--strict-plugins")

    assert (done.returncode, done.stdout) == (2, "")
    said = [line for line in done.stderr.splitlines() if not line.startswith("klepaas serves MCP on ")]
    assert said == ["klepaas: plugin bad (bad 1.0): its start hook failed: OSError: disk"]


def test_a_call_of_a_tool_whose_plugin_did_not_start_says_why(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("bad", START_THAT_FAILS)

    done = klepaas("call", "of_bad")

    assert done.returncode == 1
    assert "belongs to the plugin bad, which failed: its start hook failed: OSError: disk." in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["plugins", "list", "--json"], ["tools", "list"]])
def test_a_reader_that_is_gone_is_no_reason_to_complain(
    words: list[str], klepaas_environment: dict[str, str], distribute: Distribute
) -> None:
    distribute("echo", PLUGIN)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "klepaas", *words],
        env=klepaas_environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=scale_timeout(30),
        check=False,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [["serve"], ["serve", "--http", "127.0.0.1:0"]])
def test_ctrl_c_ends_a_server_at_once_and_quietly_after_its_plugins_let_go(
    words: list[str],
    number: signal.Signals,
    klepaas_environment: dict[str, str],
    distribute: Distribute,
    tmp_path: Path,
) -> None:
    started, stopped = tmp_path / "started", tmp_path / "stopped"
    distribute(
        "marks",
        f"""
        from pathlib import Path

        @hookimpl
        def klepaas_start(host): Path({str(started)!r}).touch()

        @hookimpl
        def klepaas_stop(host): Path({str(stopped)!r}).touch()
        """,
    )
    with subprocess.Popen(
        [sys.executable, "-m", "klepaas", *words],
        env=klepaas_environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr
            if len(words) > 1:
                assert process.stderr.readline().startswith("klepaas serves MCP on http://127.0.0.1:")
            deadline_s = time.monotonic() + 30
            while not started.exists():
                assert time.monotonic() < deadline_s
                assert process.poll() is None
            time.sleep(0.3)  # there is no sign from outside that the server has put its signal handlers in place
            process.send_signal(number)
            code = process.wait(scale_timeout(10))
            assert process.stderr.read() == ""
        finally:
            process.kill()

    assert code == 128 + number
    assert stopped.exists()


def test_ctrl_c_in_a_command_is_quiet(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute(
        "slow",
        """
        import os, signal

        def run(arguments):
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()

        @hookimpl
        def klepaas_commands(): return [Command("slow", "Wait", run)]
        """,
    )

    done = klepaas("slow")

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
