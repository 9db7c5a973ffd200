"""A klepaas for a test has the test's plugins and nothing of the machine it runs on; clients speak both protocols."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from types import ModuleType

import anyio
import pytest

from klepaas.errors import Conflict
from klepaas.hookspecs import hookimpl
from klepaas.host import Host
from klepaas.plugins import PluginError
from klepaas.settings import Mode
from klepaas.testing import ERAS, Era, app_with, client, scale_timeout
from klepaas.tools import Effect, Tool

pytestmark = pytest.mark.anyio

Build = Callable[..., ModuleType]


async def greet() -> str:
    """Greet whoever asks for it."""
    return "hello"


async def destroy_it() -> str:
    """Destroy the thing for ever."""
    return "destroyed"


async def refuse() -> str:
    """Refuse to do what was asked for."""
    raise Conflict("It is somebody else's")


@hookimpl
def klepaas_tools(host: Host) -> Iterable[Tool]:
    yield Tool(greet, Effect.READ, title="Greet", toolset="test")
    yield Tool(refuse, Effect.READ, title="Refuse", toolset="test")
    yield Tool(destroy_it, Effect.DESTRUCTIVE, title="Destroy", toolset="test")


class Lifetimes:
    """An object can be a plugin too."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hookimpl
    def klepaas_start(self, host: Host) -> None:
        self.seen.append("start")

    @hookimpl
    def klepaas_stop(self, host: Host) -> None:
        self.seen.append("stop")


@pytest.mark.parametrize("era", ERAS)
async def test_functions_objects_and_modules_are_plugins(plugin: Callable[..., ModuleType], era: Era) -> None:
    lifetimes = Lifetimes()
    async with app_with(plugin(), klepaas_tools, lifetimes) as app:
        assert [item.name for item in app.plugins.active][-1] == "things"
        async with client(app, era) as session:
            assert lifetimes.seen == ["start"]
            assert {"greet", "things_get"} <= {tool.name for tool in await session.tools()}
            said = await session.call("greet")
            assert (said.text, said.is_error, said.code) == ("hello", False, None)
    assert lifetimes.seen == ["start", "stop"]


@pytest.mark.parametrize("era", ERAS)
async def test_an_error_is_an_answer_with_its_code(era: Era) -> None:
    async with app_with(klepaas_tools) as app, client(app, era) as session:
        said = await session.call("refuse")
        assert (said.is_error, said.code) == (True, "conflict")
        assert said.text == "It is somebody else's."


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("person", "text"), [(True, "destroyed"), (False, "was not confirmed"), (None, "confirm")])
async def test_the_person_in_front_of_the_client_confirms_or_not(era: Era, person: bool | None, text: str) -> None:
    async with app_with(klepaas_tools, settings={"mode": "writes"}) as app, client(app, era, person=person) as session:
        said = await session.call("destroy_it")
        assert said.is_error is (person is not True)
        assert text in said.text or said.is_error


async def test_settings_of_the_machine_do_not_count_and_those_of_the_test_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLEPAAS_MODE", "nonsense")
    async with app_with(klepaas_tools) as app:
        assert app.settings.mode is Mode.READ_ONLY
        assert [item.name for item in app.plugins.all] == ["hooks-of-a-test"]
        folder = app.settings.state_dir
        assert await anyio.Path(folder).is_dir()
    assert not await anyio.Path(folder).exists()


async def test_a_plugin_that_fails_stops_the_test_and_says_why() -> None:
    @hookimpl
    def klepaas_tools(host: Host) -> Iterable[Tool]:
        raise OSError("no disk")

    with pytest.raises(PluginError, match="klepaas_tools failed: OSError: no disk"):
        async with app_with(klepaas_tools):
            pass


def test_the_kit_needs_no_test_framework_and_no_cluster() -> None:
    code = "import sys, klepaas.testing; print(sorted({'pytest', 'kubernetes', 'klepaas_plugins'} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=scale_timeout(40), check=True
    )
    assert result.stdout == "[]\n"


def test_nothing_that_serves_imports_the_kit() -> None:
    """Neither the command that writes plugins: a server must not pay for what tests need."""
    code = "import sys, klepaas.cli, klepaas.app; print([name for name in sys.modules if 'klepaas.testing' in name])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=scale_timeout(40), check=True
    )
    assert result.stdout == "[]\n"
