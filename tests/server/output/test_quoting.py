"""Somebody's own words stay readable in an error: letters as they are, only what acts or hides is spelled out."""

import argparse
import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from mcp import MCPError

from klepaas import cli
from klepaas.app import create_app
from klepaas.commands.tree import build
from klepaas.configuration import toml_file
from klepaas.configuration.check import check_settings
from klepaas.configuration.places import settings_of
from klepaas.configuration.registry import sections
from klepaas.output.quoting import json_text, quote
from klepaas.plugins import Plugins
from klepaas.settings import Mode, Settings, given_only
from klepaas.testing.samples import text_places

ROOT = Path(__file__).parents[3]
SOURCES = [path for folder in ("server", "plugins", "providers", "agents") for path in (ROOT / folder).rglob("*.py")]
WORD = "쇼핑몰"
ESCAPED = re.compile(r"\\u[0-9a-f]{4}|\\x[0-9a-f]{2}")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("쇼핑몰", "'쇼핑몰'"),
        ("ショップ", "'ショップ'"),
        ("Käse", "'Käse'"),
        ("It's", '"It\'s"'),
        ("a\nb\x1b[0m\x00", "'a\\nb\\x1b[0m\\x00'"),
        ("\u202eweb\u2066", "'\\u202eweb\\u2066'"),
        ("we\u200bb\u00ad", "'we\\u200bb\\xad'"),
        ("\U000e0041", "'\\U000e0041'"),
        ("\u3164\u115f\ufe01", "'\\u3164\\u115f\\ufe01'"),
        ("half\ud800", "'half\\ud800'"),
        ("\u2028\u2029", "'\\u2028\\u2029'"),
        ("쇼" * 70, "'" + "쇼" * 64 + "...'"),
    ],
    ids=ascii,
)
def test_printable_letters_stay_and_controls_bidi_format_characters_and_tags_are_spelled_out(
    text: str, quoted: str
) -> None:
    assert quote(text) == quoted


def _escapes(tree: ast.AST) -> Iterator[int]:
    """Where a source makes ASCII of a text: `ascii()`, `!a` in an f-string, `%a` in a format."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ascii":
            yield node.lineno
        if isinstance(node, ast.FormattedValue) and node.conversion == ord("a"):
            yield node.lineno
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"%[.\d]*a\b", node.value):
            yield node.lineno


def test_no_source_escapes_the_letters_of_a_text_that_somebody_wrote() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in SOURCES
        for line in _escapes(ast.parse(path.read_text(encoding="utf-8")))
        if "sandbox" not in path.parts
    ]
    assert found == [], "use klepaas.output.quoting.quote"


def test_the_walk_over_the_sources_finds_each_way_of_escaping() -> None:
    assert len([*_escapes(ast.parse('ascii(a); f"{a!a}"; log.info("%.64a is none", a)'))]) == 3


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KLEPAAS_STATE_DIR", str(tmp_path / "state"))
    # `--config` sets it for the process; so it is unset again afterwards.
    monkeypatch.setenv(toml_file.VARIABLE, "")
    monkeypatch.delenv(toml_file.VARIABLE)


def _text(result: Any) -> str:
    return "\n".join(block.text for block in result.content)


@pytest.mark.anyio
@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_an_error_of_any_tool_shows_a_korean_value_as_it_was_sent(era: Any, tmp_path: Path) -> None:
    settings = Settings(mode=Mode.WRITES, disabled_plugins=(), external_plugins=False, state_dir=tmp_path)
    app = create_app(settings)
    quoted = 0
    async with Client(app.server, mode=era) as client:
        for entry in app.catalogue:
            for place in text_places(entry):
                arguments = {place.parameter: place.value_with(WORD)}
                answer = await client.call_tool(entry.tool.name, arguments, raise_on_error=False)
                assert not ESCAPED.search(_text(answer)), (entry.tool.name, place.parameter)
                if place.check.quotable and not place.check.accepts(WORD):
                    assert WORD in _text(answer), (entry.tool.name, place.parameter, _text(answer))
                    quoted += 1
            unknown = await client.call_tool(entry.tool.name, {WORD: 1}, raise_on_error=False)
            assert WORD in _text(unknown)
        assert WORD in _text(await client.call_tool(WORD, {}, raise_on_error=False))
    assert quoted > 40


@pytest.mark.anyio
async def test_an_error_of_a_prompt_or_a_resource_shows_korean_as_it_was_sent(tmp_path: Path) -> None:
    app = create_app(Settings(disabled_plugins=(), external_plugins=False, state_dir=tmp_path))
    async with Client(app.server) as client:
        with pytest.raises(MCPError, match=WORD):
            await client.get_prompt(WORD, {})
        for prompt in await client.list_prompts():
            with pytest.raises(MCPError, match=WORD):
                await client.get_prompt(prompt.name, {WORD: "x"})
        with pytest.raises(MCPError, match=WORD):
            await client.session.read_resource(f"k8s://{WORD}")


def test_what_is_wrong_with_any_setting_shows_a_korean_value_as_it_was_set() -> None:
    with given_only():
        plugins = Plugins(Settings(external_plugins=False, strict_plugins=True))
    names = sorted(
        {name for section in sections(plugins) for one in settings_of(section.kind) for name in one.variables}
    )
    assert len(names) > 80
    said = []
    for name in names:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, WORD)
            said += [problem.text for problem in check_settings(plugins, {}).problems]
    assert len(said) > 40
    assert [text for text in said if ESCAPED.search(text)] == []


def _leaves(parser: argparse.ArgumentParser, words: list[str]) -> Iterator[tuple[list[str], argparse.ArgumentParser]]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for group in groups:
        for word, inner in group.choices.items():
            yield from _leaves(inner, [*words, word])
    if not groups:
        yield words, parser


def _command_lines() -> list[list[str]]:
    """Each command with a Korean word for each option and place that takes one, where it ends by itself."""
    plugins = Plugins(Settings(external_plugins=False))
    found = [[WORD], ["plugin", WORD], ["tools", WORD]]
    for words, parser in _leaves(build(plugins, lambda *_: 0), []):
        found.append([*words, WORD, WORD, WORD, WORD])
        places = [action for action in parser._actions if not action.option_strings]
        if places and words not in (["demo"], ["serve"]):
            found.append([*words, *[WORD] * len(places)])
        for action in parser._actions:
            checked = action.choices or action.type
            if action.option_strings and action.nargs is None and checked:
                found.append([*words, action.option_strings[-1], WORD])
    return [*found, ["serve", "--http", WORD], ["serve", "--config", WORD]]


@pytest.mark.parametrize("words", _command_lines(), ids=lambda words: " ".join(words).replace(WORD, "KOREAN"))
def test_an_error_of_any_command_shows_a_korean_word_as_it_was_typed(
    words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(words) != 0
    said = capfd.readouterr()
    assert WORD in said.out + said.err
    assert not ESCAPED.search(said.out + said.err)


def test_a_record_with_values_that_json_cannot_carry_is_one_line_that_every_reader_reads() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    line = json_text({"seconds": float("nan"), "half": "a\ud800b", 1: 10**5000, "bytes": b"\xff"})
    assert "\n" not in line
    found = json.loads(line.encode(), parse_constant=refuse)
    assert found == {"seconds": "NaN", "half": "a\ufffdb", "1": "an integer of 16610 bits", "bytes": "\ufffd"}
