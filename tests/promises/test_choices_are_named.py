"""Wherever there is a fixed set of words, a word that is none of them is answered with those there are."""

import enum
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from fastmcp import Client

from klepaas import cli
from klepaas.app import create_app
from klepaas.configuration.registry import sections
from klepaas.plugins import Plugins
from klepaas.settings import Mode, Settings

WRONG = "no-such-word"
# Longest error about one wrong word, in characters.
BOUND_CHARS = 600


def _choices(schema: Mapping[str, Any]) -> list[str]:
    if "enum" in schema or "const" in schema:
        return [str(one) for one in schema.get("enum", [schema.get("const")]) if one is not None]
    inner = [*schema.get("anyOf", ()), *([schema["items"]] if isinstance(schema.get("items"), dict) else [])]
    return [one for part in inner for one in _choices(part)]


@pytest.mark.anyio
@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_wrong_word_for_a_parameter_is_answered_with_the_words_there_are(era: Any) -> None:
    tried = 0
    async with Client(create_app(Settings(mode=Mode.WRITES)).server, mode=era) as client:
        for tool in await client.list_tools():
            for name, schema in tool.input_schema.get("properties", {}).items():
                choices = _choices(schema)
                if choices:
                    tried += 1
                    result = await client.call_tool(tool.name, {name: WRONG}, raise_on_error=False)
                    text = "\n".join(getattr(block, "text", "") for block in result.content)
                    assert result.is_error, (tool.name, name)
                    assert [one for one in choices if one not in text] == [], (tool.name, name, text)
                    assert len(text) <= BOUND_CHARS, (tool.name, name, text)
    assert tried >= 10


def _words(annotation: Any) -> list[str]:
    """The words of a setting that takes one of a fixed set; none where it takes others too."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return [str(one.value) for one in annotation]
    if typing.get_origin(annotation) is typing.Literal:
        return [str(one) for one in typing.get_args(annotation)]
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    return _words(parts[0]) if len(parts) == 1 else []


def _settings() -> Iterator[tuple[str, list[str]]]:
    for section in sections(Plugins(Settings())):
        for setting in section.settings:
            words = _words(setting.info.annotation)
            if words and not setting.structured:
                yield setting.variable, words


SETTINGS = dict(_settings())
# A word inside a setting that is JSON.
INSIDE = {"KLEPAAS_POLICY": (json.dumps([{"decision": WRONG}]), ["auto", "confirm"])}

COMMANDS = {"config check": ["config", "check"], "a start": ["tools", "list", "--strict-plugins"]}


def test_the_walk_knows_settings_with_words() -> None:
    assert {"KLEPAAS_MODE", "KLEPAAS_LOG_LEVEL", "KLEPAAS_LOG_FORMAT"} <= set(SETTINGS)


@pytest.mark.parametrize(
    "command", [["config", "check"], ["tools", "list", "--strict-plugins"]], ids=["config check", "a start"]
)
@pytest.mark.parametrize("variable", sorted([*SETTINGS, *INSIDE]))
def test_a_wrong_word_for_a_setting_is_answered_with_the_words_there_are(
    variable: str,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    quiet: Callable[[], None],
) -> None:
    value, words = INSIDE.get(variable) or (WRONG, SETTINGS[variable])
    monkeypatch.setenv("KLEPAAS_CONFIG", "")
    monkeypatch.setenv(variable, value)

    code = cli.run(command)

    said = capsys.readouterr()
    (line,) = [one for one in (said.out + said.err).splitlines() if variable in one]
    assert code != 0
    assert [word for word in words if word not in line] == [], line
    assert len(line) <= BOUND_CHARS


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A command sets up how its process speaks; the tests after this one speak as before."""
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    return lambda: None
