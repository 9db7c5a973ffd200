"""What goes away says so where it is seen, and the suite fails when its time has come and it is still there."""

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Annotated

import pytest

import klepaas
from klepaas import deprecation, names
from klepaas.deprecation import KlepaasDeprecationWarning, deprecated, overdue, warn_deprecated
from klepaas.hookspecs import hookimpl
from klepaas.testing import app_with, client
from klepaas.tools import Effect, Tool

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """What these tests deprecate is not klepaas'."""
    before = deprecation._all[:]
    yield
    deprecation._all[:] = before


def test_nothing_of_klepaas_is_here_that_should_be_gone() -> None:
    import klepaas_agents
    import klepaas_plugins
    import klepaas_providers

    for package in (klepaas, klepaas_agents, klepaas_plugins, klepaas_providers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            # What Alembic runs as a script works only while it does.
            if not module.name.endswith(("__main__", ".migrations.env")):
                importlib.import_module(module.name)
    assert [item.text for item in overdue(klepaas.__version__)] == []


def test_a_call_warns_and_names_the_callers_line() -> None:
    @deprecated(since="0.2", remove_in="0.4", instead="new()")
    def old(value: int) -> int:
        """Double a value."""
        return value * 2

    with pytest.warns(
        KlepaasDeprecationWarning, match=r"old\(\) is deprecated since 0\.2 and goes away in 0\.4"
    ) as told:
        assert old(21) == 42
    assert told[0].filename == __file__
    assert inspect.getdoc(old) == "Deprecated, use new(): Double a value."


def test_python_shows_it_by_default() -> None:
    assert issubclass(KlepaasDeprecationWarning, UserWarning)
    assert not issubclass(KlepaasDeprecationWarning, DeprecationWarning)


def test_an_async_function_stays_one() -> None:
    @deprecated(since="0.2", remove_in="0.4", instead="new()")
    async def old() -> str:
        return "done"

    assert inspect.iscoroutinefunction(old)
    with pytest.warns(KlepaasDeprecationWarning):
        assert asyncio.run(old()) == "done"


async def test_a_tool_that_goes_away_tells_the_model_and_still_works() -> None:
    @deprecated(since="0.2", remove_in="0.4", instead="thing_get")
    async def things_get(name: Annotated[str, names.OBJECT]) -> str:
        """Get a thing.

        Args:
            name: Which.
        """
        return f"{name}: well"

    @hookimpl
    def klepaas_tools() -> Iterable[Tool]:
        yield Tool(things_get, Effect.READ, title="Get a thing", toolset="things")

    async with app_with(klepaas_tools) as app, client(app) as session:
        (tool,) = await session.tools()
        with pytest.warns(KlepaasDeprecationWarning, match="use thing_get"):
            said = await session.call("things_get", name="web")
        refused = await session.call("things_get", name="../web")
    assert tool.description == "Deprecated, use thing_get: Get a thing."
    assert (said.text, refused.code) == ("web: well", "bad_request")


def test_a_setting_can_go_away_too() -> None:
    with pytest.warns(KlepaasDeprecationWarning, match="KLEPAAS_OLD is deprecated") as told:
        warn_deprecated("KLEPAAS_OLD", since="0.2", remove_in="0.4", instead="KLEPAAS_NEW")
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("version", "is_overdue"),
    [("0.3.9", False), ("0.4.0", True), ("0.4.0.dev1", True), ("0.10.0", True), ("1.0", True), ("0.4.0rc1", True)],
)
def test_it_is_overdue_from_the_version_on_that_was_named(version: str, is_overdue: bool) -> None:
    deprecation._all.clear()
    deprecated(since="0.2", remove_in="0.4", instead="new()")(lambda: None)
    assert bool(overdue(version)) is is_overdue


@pytest.mark.parametrize(("since", "remove_in"), [("0.2", "0.2.1"), ("0.4", "0.3"), ("soon", "0.4"), ("0.2", "later")])
def test_versions_that_leave_no_time_are_refused(since: str, remove_in: str) -> None:
    with pytest.raises(ValueError, match="version"):
        deprecated(since=since, remove_in=remove_in, instead="new()")(lambda: None)
