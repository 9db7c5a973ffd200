"""Nothing that somebody else wrote acts on the terminal of who runs a command, whichever way it comes out."""

import ast
import json
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.conftest import Done

import klepaas
import klepaas_plugins
import klepaas_providers
from klepaas.output.quoting import json_text

Distribute = Callable[..., Path]
Here = Callable[..., Done]

# A terminal sequence in both its forms, a bell, the direction of text, an invisible filler, a tag, DEL, a line end of
# Unicode's; and letters that stay.
EVIL = "쇼핑\x1b[2J\x9b31m\x07\u202e\u2066\u3164\U000e0041\x7f\u2028끝"
COMMANDS = [
    ["tools", "list"],
    ["plugins", "list"],
    ["audit", "show"],
    ["audit", "export"],
    ["audit", "verify"],
    ["config", "check"],
    ["config", "client"],
    ["call"],
    ["doctor"],
    ["serve"],
    ["demo"],
    ["completion"],
    ["providers", "list"],
    ["providers", "trust"],
    ["providers", "forget"],
    [],
]


def acting(text: str) -> set[str]:
    """The characters of an output that act on a terminal or cannot be seen."""
    seen = {one for one in text if unicodedata.category(one) not in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")}
    return (set(text) - seen - {"\n", "\t"}) | (set(text) & {"\u3164"})


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_word_of_a_command_line_comes_back_as_it_was_where_it_acts(words: list[str], here: Here) -> None:
    for evil in ([EVIL], [f"--{EVIL}"], [f"--since={EVIL}"], [f"--http={EVIL}"], ["--config", EVIL]):
        answer = here(*words, *evil, KLEPAAS_DISABLED_PLUGINS="[]")

        assert acting(answer.stdout + answer.stderr) == set(), (words, evil)


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["words", "json"])
def test_what_a_plugin_says_does_not_act_on_a_terminal(form: list[str], here: Here, distribute: Distribute) -> None:
    distribute("broken", f"raise RuntimeError({EVIL!r})")
    distribute(
        "thing",
        f"""
        async def thing_get() -> str:
            "Get the thing."
            return {EVIL!r}

        async def thing_fail() -> str:
            "Fail."
            raise Conflict({EVIL!r})

        @hookimpl
        def klepaas_tools(host):
            yield Tool(thing_get, Effect.READ, title={EVIL!r}, toolset="test")
            yield Tool(thing_fail, Effect.READ, title="Fail", toolset="test")

        @hookimpl
        def klepaas_doctor_checks(host):
            async def look():
                yield Finding(Level.WARNING, {EVIL!r}, {EVIL!r})
            yield DoctorCheck("look", look)
        """,
    )
    for words in (["plugins", "list"], ["tools", "list"], ["doctor"], ["call", "thing_get"], ["call", "thing_fail"]):
        answer = here(*words, *form)

        assert acting(answer.stdout + answer.stderr) == set(), words
        assert "쇼핑" in answer.stdout + answer.stderr, words


@pytest.mark.parametrize("name", ["KLEPAAS_POLICY", "KLEPAAS_LOG_LEVEL", "KLEPAAS_TOOLSETS", "KLEPAAS_NAMESPACE"])
def test_a_setting_does_not_act_on_a_terminal(name: str, here: Here) -> None:
    clients = [["config", "client", one] for one in ("codex", "continue", "claude-code", "cursor")]
    for words in (["config", "check"], ["doctor"], *clients):
        for form in ([], ["--json"]):
            answer = here(*words, *form, **{name: EVIL, "KLEPAAS_DISABLED_PLUGINS": "[]"})

            assert acting(answer.stdout + answer.stderr) == set(), (words, form)


def test_json_keeps_the_value_and_the_letters_while_nothing_in_it_acts() -> None:
    value = {EVIL: [EVIL, "🚀 배포", "a\ud800"], "n": 1}

    for indent in (None, 2):
        text = json_text(value, indent=indent)

        # Half a surrogate pair is no letter, and no JSON that every reader reads.
        assert json.loads(text) == {EVIL: [EVIL, "🚀 배포", "a\ufffd"], "n": 1}
        assert acting(text) == set()
        assert "🚀 배포" in text


def test_toml_keeps_the_value_while_nothing_in_it_acts() -> None:
    text = f"a = {json_text(EVIL, wide=True)}"

    assert tomllib.loads(text) == {"a": EVIL}
    assert acting(text) == set()


# Each has a reason: the one place that cleans, a script for a shell, the protocol itself, fixed texts, and colours
# around lines of a plan, which were escaped one by one.
WRITERS = {
    "klepaas/actions.py",
    "klepaas/commands/completion.py",
    "klepaas/commands/plans.py",
    "klepaas/commands/tree.py",
    "klepaas/scaffold/command.py",
    "klepaas_plugins/kubernetes/demo.py",
    "klepaas_providers/providers/commands.py",
    "klepaas_providers/slack/command.py",
}


def test_a_command_writes_to_standard_output_only_where_what_acts_is_taken_out() -> None:
    found = set()
    for package in (klepaas, klepaas_plugins, klepaas_providers):
        root = Path(next(iter(package.__path__)))
        for file in root.rglob("*.py"):
            if any(_writes(node) for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))):
                found.add(f"{root.name}/{file.relative_to(root).as_posix()}")

    assert found - WRITERS == set()


def _writes(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return ast.unparse(node.func) in ("sys.stdout.write", "print", "sys.stdout.buffer.write")
