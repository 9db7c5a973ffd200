"""The first calls of a server that has just started import what they need in a thread, and the client hears of them."""

import builtins
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from klepaas.app import create_app
from klepaas.hookspecs import hookimpl
from klepaas.preloading import EVERY_CALL, Preloading
from klepaas.settings import Mode, Settings
from klepaas.testing import ERAS, Era, app_with, client, scale_timeout, time_budget
from klepaas.tools import Effect, Tool

from .calls import plausible
from .conftest import Platform, confirm
from .test_calls_give_signs_of_life import Heard, quicken

pytestmark = pytest.mark.anyio

SERVER = Path(__file__).with_name("observed_server.py")
LIMIT_S = scale_timeout(60)
each_era = pytest.mark.parametrize("era", ERAS)
# Servers that do not answer: a call imports what speaks to them before it finds that out.
NOBODY = "http://127.0.0.1:1"
CONFIGURED = {
    "KLEPAAS_PROMETHEUS_BASE_URL": NOBODY,
    "KLEPAAS_ALERTMANAGER_URL": NOBODY,
    "KLEPAAS_ALERTMANAGER_WEBHOOK_TOKEN": "0123456789abcdef0123456789abcdef",
    "KLEPAAS_NOTIFICATIONS_WEBHOOK_URL": NOBODY,
    "KLEPAAS_NOTIFICATIONS_WEBHOOK_SECRET": "0123456789abcdef0123456789abcdef",
    "KLEPAAS_K8S_EXEC": "true",
}


@dataclass(frozen=True)
class Seen:
    """What the event loop of a server did after the first list; see `observed_server`."""

    imports: Mapping[str, str]
    longest_s: float
    step: str


@pytest.fixture
def configured(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform with all that can be configured."""
    for name, value in CONFIGURED.items():
        monkeypatch.setenv(name, value)
    return platform


async def after_first_calls(platform: Platform, calls: Mapping[str, dict[str, Any]], report: Path) -> Seen:
    """Start a server, list its tools, and call these at once; what it reports when it has ended."""
    command = [str(SERVER), str(report), "--writes"]
    transport = StdioTransport(
        sys.executable, command, env=dict(os.environ), keep_alive=False, log_file=platform.stderr
    )
    with anyio.fail_after(LIMIT_S):
        async with Client(transport, elicitation_handler=confirm, mode="legacy") as client:
            listed = {tool.name for tool in await client.list_tools()}
            assert calls.keys() <= listed
            for tool, arguments in calls.items():
                await client.call_tool(tool, arguments, raise_on_error=False)
            for prompt in await client.list_prompts():
                needed = {one.name: "web" for one in prompt.arguments or () if one.required}
                await client.get_prompt(prompt.name, needed)
            for resource in await client.list_resources():
                await client.read_resource(resource.uri)
    return Seen(**json.loads(await anyio.Path(report).read_text()))


class SlowModule:
    """A module whose import lasts until it is allowed to end."""

    def __init__(self, folder: Path) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()
        (folder / "slow_module.py").write_text("import builtins; builtins.load_slowly()", encoding="utf-8")

    def load(self) -> None:
        """Called by the module."""
        self.began.set()
        assert self.may_end.wait(LIMIT_S)


@pytest.fixture
def slow_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowModule]:
    """A module `slow_module` that can be imported."""
    module = SlowModule(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(builtins, "load_slowly", module.load, raising=False)
    yield module
    module.may_end.set()
    sys.modules.pop("slow_module", None)


@hookimpl
def klepaas_tools() -> Iterable[Tool]:
    async def answer() -> str:
        """Answer."""
        return "answered"

    yield Tool(answer, Effect.READ, "Answer", "test")


@each_era
async def test_a_client_hears_of_a_call_that_waits_for_what_it_needs(slow_module: SlowModule, era: Era) -> None:
    heard = Heard()
    async with app_with(klepaas_tools) as app:
        quicken(app)
        Preloading.of(app.host).add(EVERY_CALL, ["slow_module"])
        async with client(app, era) as session, anyio.create_task_group() as group:
            group.start_soon(lambda: session.raw.call_tool("answer", {}, progress_handler=heard))
            assert await anyio.to_thread.run_sync(slow_module.began.wait, LIMIT_S)
            await heard.at_least(len(heard.values) + 3)
            slow_module.may_end.set()
    assert heard.rises


@each_era
async def test_what_calls_need_is_loaded_after_the_list_without_a_call(slow_module: SlowModule, era: Era) -> None:
    async with app_with(klepaas_tools) as app:
        Preloading.of(app.host).add("a plugin", ["slow_module"])
        async with client(app, era) as session:
            assert not slow_module.began.is_set()
            await session.raw.list_tools()
            assert await anyio.to_thread.run_sync(slow_module.began.wait, LIMIT_S)
            # Nobody waits for what another plugin needs.
            assert (await session.call("answer")).text == "answered"
            slow_module.may_end.set()


@each_era
async def test_a_call_waits_beside_the_event_loop_for_what_the_background_is_loading(
    slow_module: SlowModule, era: Era
) -> None:
    """The module is known to the interpreter by then, and an import in the event loop would wait for its end."""
    heard = Heard()
    async with app_with(klepaas_tools) as app:
        quicken(app)
        async with client(app, era) as session, anyio.create_task_group() as group:
            await session.call("answer")  # what every call needs is loaded
            entry = app.catalogue.get("answer")
            assert entry is not None
            Preloading.of(app.host).add(entry.plugin.name, ["slow_module"])
            await session.raw.list_tools()
            assert await anyio.to_thread.run_sync(slow_module.began.wait, LIMIT_S)
            group.start_soon(lambda: session.raw.call_tool("answer", {}, progress_handler=heard))
            await heard.at_least(3)
            slow_module.may_end.set()


async def test_a_module_that_cannot_be_loaded_harms_no_call() -> None:
    async with app_with(klepaas_tools) as app, client(app) as session:
        Preloading.of(app.host).add(EVERY_CALL, ["klepaas.nothing_of_the_kind"])
        assert (await session.call("answer")).text == "answered"


async def test_the_event_loop_imports_nothing_for_the_first_call_of_any_tool_prompt_or_resource(
    configured: Platform, tmp_path: Path
) -> None:
    app = create_app(Settings(mode=Mode.WRITES))
    calls = {entry.tool.name: plausible(entry.tool) for entry in app.catalogue}
    assert len({entry.plugin.name for entry in app.catalogue}) > 5

    seen = await after_first_calls(configured, calls, tmp_path / "report")

    asked = [f"{asker} imports {module}" for module, asker in seen.imports.items()]
    assert asked == [], "name them to klepaas.preloading:\n" + "\n".join(asked)
    limit_s = time_budget(0.1, "clients hear nothing while the event loop is busy")
    assert seen.longest_s < limit_s, seen.step
