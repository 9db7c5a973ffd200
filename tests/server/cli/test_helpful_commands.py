"""A wrong word is answered with the nearest right one; help has examples; shells complete; plugins add to groups."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.conftest import Done

from klepaas.testing import scale_timeout

Distribute = Callable[..., Path]
Here = Callable[..., Done]

WIKI = """
    def options(parser):
        parser.add_argument("page", help="the page")
        parser.add_argument("--lang", choices=["ko", "en"], help="the language")

    def run(arguments):
        print(f"{arguments.page} in {arguments.lang}")
        return 0

    @hookimpl
    def klepaas_commands():
        examples = ("klepaas wiki show start",)
        yield Command("wiki show", "show a page", run, options, examples, "the wiki")
        yield Command("wiki list", "list pages", lambda _: 0)
        yield Command("config wiki", "how the wiki is set up", lambda _: 3)
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sevre"], "There is no command 'sevre'. Did you mean serve? See klepaas --help."),
        (["config", "chek"], "There is no command 'chek'. Did you mean check? See klepaas config --help."),
        (["config", "zzz"], "There is no command 'zzz'. There are check, client. See klepaas config --help."),
        (
            ["doctor", "--jsn"],
            "klepaas doctor takes no option '--jsn'. Did you mean --json? See klepaas doctor --help.",
        ),
        (
            ["serve", "--htp=1"],
            "klepaas serve takes no option '--htp=1'. Did you mean --http? See klepaas serve --help.",
        ),
        (["tools", "list", "x"], "klepaas tools list takes no argument 'x'. See klepaas tools list --help."),
        (
            ["config", "client", "cusor"],
            "There is no choice 'cusor'. Did you mean cursor?"
            " There are claude-desktop, claude-code, vscode, cursor, "
            "codex, gemini, qwen, opencode, copilot, continue, cline. See klepaas config client --help.",
        ),
        (["call"], "the following arguments are required: tool. See klepaas call --help."),
        (["\x1b[31mred"], "There is no command '\\x1b[31mred'. See klepaas --help."),
    ],
)
def test_a_wrong_word_is_answered_in_one_line(words: list[str], said: str, here: Here) -> None:
    done = here(*words)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"klepaas: {said}\n")


@pytest.mark.parametrize(
    "words",
    [
        ["serve"],
        ["doctor"],
        ["call"],
        ["config", "check"],
        ["config", "client"],
        ["audit", "show"],
        ["audit", "export"],
        ["audit", "verify"],
        ["plugins", "list"],
        ["plugin", "new"],
        ["tools", "list"],
        ["completion"],
    ],
)
def test_every_help_ends_with_examples_of_the_command(words: list[str], here: Here) -> None:
    done = here(*words, "--help")

    command = " ".join(["klepaas", *words])
    assert done.returncode == 0
    assert f"examples:\n  {command}" in done.stdout
    assert "--config FILE" in done.stdout


def test_a_plugin_adds_commands_to_a_group_of_its_own_and_to_ours(distribute: Distribute, here: Here) -> None:
    distribute("wiki", WIKI)

    assert here("wiki", "show", "start", "--lang", "ko", "--verbose").stdout == "start in ko\n"
    assert here("config", "wiki").returncode == 3
    assert "the wiki" in here("--help").stdout
    help_of_group = here("wiki").stdout
    assert "show a page" in help_of_group
    assert "list pages" in help_of_group
    assert "examples:\n  klepaas wiki show start" in here("wiki", "show", "--help").stdout
    assert "Did you mean --lang?" in here("wiki", "show", "start", "--langg", "ko").stderr


@pytest.mark.parametrize("name", ["config check", "serve again", "config", "wiki", "a b c", "wiki  x"])
def test_a_group_does_not_let_a_plugin_take_what_is_there(name: str, distribute: Distribute, here: Here) -> None:
    distribute(
        "thief",
        f"""
        @hookimpl
        def klepaas_commands():
            return [Command("wiki list", "x", print), Command("wiki show", "x", print), Command({name!r}, "x", print)]
        """,
    )

    done = here("--version")

    assert "thief: thief 1.0, thief_plugin (failed)" in done.stdout
    assert here("wiki").returncode == 2
    assert here("config", "check").returncode == 1  # it names the plugin that failed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_with_every_command_of_plugins_too(
    shell: str, distribute: Distribute, here: Here
) -> None:
    distribute("wiki", WIKI)

    done = here("completion", shell)

    assert (done.returncode, done.stderr) == (0, "")
    for word in ("serve", "doctor", "client", "verify", "wiki", "claude-desktop", "strict-plugins"):
        assert word in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("klepaas ser", ["serve"]),
        ("klepaas config ", ["check", "client"]),
        ("klepaas config client claude", ["claude-desktop", "claude-code"]),
        ("klepaas serve --ht", ["--http"]),
    ],
)
def test_bash_completes_with_the_script(typed: str, offered: list[str], here: Here, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(here("completion", "bash").stdout)
    words = typed.split(" ")
    asked = f"""
        source {tmp_path / "script"}
        COMP_WORDS=({" ".join(words[:-1])} "{words[-1]}"); COMP_CWORD={len(words) - 1}
        COMP_LINE={typed!r}; COMP_POINT={len(typed)}
        function_name=$(complete -p klepaas | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        $function_name klepaas "{words[-1]}" "{words[-2]}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=scale_timeout(30), check=False)

    assert set(offered) <= set(done.stdout.split()), done.stderr


def test_completion_works_where_settings_are_wrong(here: Here) -> None:
    assert here("completion", "bash", KLEPAAS_MODE="perhaps").returncode == 0


def test_the_short_commands_do_not_load_what_few_commands_need(klepaas_environment: dict[str, str]) -> None:
    code = "import sys; from klepaas.cli import run; run(['serve', '--help']); print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=klepaas_environment,
        capture_output=True,
        text=True,
        timeout=scale_timeout(30),
        check=True,
    )

    for module in ("shtab", "tomllib", "klepaas.configuration.check", "klepaas.audit_reading", "klepaas.scaffold"):
        assert f"'{module}'" not in done.stdout
