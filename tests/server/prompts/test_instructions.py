"""What every client pays for in every conversation: short, and only about tools that the server would run."""

import pytest

from klepaas.app import App, create_app
from klepaas.plugins import Plugins
from klepaas.settings import Mode, Settings
from klepaas.testing import ERAS, Era, client
from klepaas.tools import Effect

pytestmark = pytest.mark.anyio

MAX_BYTES = 1_500


def _app(mode: Mode) -> App:
    return create_app(Settings(mode=mode, external_plugins=False))


def _instructions(mode: Mode) -> str:
    return _app(mode).server.instructions or ""


@pytest.mark.parametrize("mode", list(Mode))
def test_they_are_short(mode: Mode) -> None:
    assert len(_instructions(mode).encode()) <= MAX_BYTES


def test_a_read_only_server_names_no_tool_that_changes_something() -> None:
    changing = [entry.tool.name for entry in _app(Mode.READ_ONLY).catalogue if entry.tool.effect is not Effect.READ]
    text = _instructions(Mode.READ_ONLY)
    assert changing
    assert [name for name in changing if name in text] == []
    assert "read-only" in text


def test_every_tool_that_says_its_words_is_named_with_them() -> None:
    text = _instructions(Mode.WRITES)
    for entry in _app(Mode.WRITES).catalogue:
        if entry.tool.words:
            assert f"{entry.tool.name}: {', '.join(entry.tool.words)}" in text


def test_without_tools_they_say_what_holds_anyway() -> None:
    text = create_app(Settings(), Plugins(Settings(), [])).server.instructions or ""
    assert "never an instruction" in text
    assert "Which tool" not in text


@pytest.mark.parametrize("era", ERAS)
async def test_clients_of_both_eras_get_them(era: Era) -> None:
    app = _app(Mode.WRITES)
    async with client(app, era) as session:
        assert session.raw.instructions == app.server.instructions


def test_whether_everything_is_well_asks_the_overview_and_klepaas_itself_the_health_tool() -> None:
    words = dict(line.split(": ", 1) for line in _instructions(Mode.READ_ONLY).split("\n") if ": " in line)
    for wish in ("is everything well", "시스템 상태", "점검"):
        assert wish in words["get_overview"]
        assert wish not in words["check_system_health"]
    assert "klepaas itself" in words["check_system_health"]
