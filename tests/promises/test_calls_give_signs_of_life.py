"""Whatever a call waits for, its client hears of it, with a value that rises; who hears nothing is not kept waiting."""

import contextlib
import re
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client, Context

import klepaas
from klepaas.app import App, create_app
from klepaas.gate.gate import Gate
from klepaas.hookspecs import hookimpl
from klepaas.operations import Kind, Operations, Outcome, Run, State
from klepaas.principals import current_principal
from klepaas.progress import BEAT_S, DEFAULT_WAIT_S, Progress
from klepaas.settings import Mode, Settings
from klepaas.testing import ERAS, Era, app_with, client, scale_timeout
from klepaas.testing.clock import FakeClock
from klepaas.tools import Effect, Tool
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.operations import plugin as operations_plugin

pytestmark = pytest.mark.anyio

ROOT = Path(klepaas.__file__).parents[2]
LIMIT_S = scale_timeout(20)
each_era = pytest.mark.parametrize("era", ERAS)
_MODE: dict[str, Any] = {"2025-11-25": "legacy", "2026-07-28": "auto"}


class Heard:
    """What a client hears of one call."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.lines: list[str] = []
        self._more = anyio.Event()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.values.append(progress)
        self.lines.append(str(message))
        self._more.set()
        self._more = anyio.Event()

    async def at_least(self, count: int) -> None:
        """Wait until so many messages were heard."""
        with anyio.fail_after(LIMIT_S):
            while len(self.values) < count:
                await self._more.wait()

    @property
    def rises(self) -> bool:
        """Whether each value is above the one before."""
        return all(one < next_one for one, next_one in zip(self.values, self.values[1:], strict=False))


def quicken(app: App, every_s: float = 0.02) -> None:
    """Let the server give its signs of life in milliseconds."""
    progress = app.server.middleware[0]
    assert isinstance(progress, Progress), "nothing may wait outside the signs of life"
    progress.every_s = every_s


@hookimpl
def klepaas_tools() -> Iterable[Tool]:
    async def read_slowly(ctx: Context) -> str:
        """Wait without a word."""
        await anyio.sleep_forever()
        raise AssertionError

    async def count(ctx: Context) -> str:
        """Tell a value that falls back, and nothing in words."""
        for done in (0, 1, 0, 1):
            await ctx.report_progress(done, 2)
        return "counted"

    async def write_slowly() -> str:
        """Change something."""
        return "changed"

    yield Tool(read_slowly, Effect.READ, "Read slowly", "slow")
    yield Tool(count, Effect.READ, "Count", "slow")
    yield Tool(write_slowly, Effect.DESTRUCTIVE, "Write slowly", "slow")


@hookimpl
def klepaas_operation_kinds() -> Iterable[Kind]:
    async def wait(run: Run) -> Outcome:
        await run.report(1, 2, "waiting for the door")
        await anyio.sleep(run.operation.request["for_s"])
        return Outcome(State.SUCCEEDED, "the door is open")

    yield Kind("wait", wait)


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with app_with(
        operations_plugin, klepaas_tools, klepaas_operation_kinds, settings={"mode": "writes"}
    ) as found:
        yield found


async def begin(app: App, for_s: float = 60) -> str:
    """Have an operation carried out that waits."""
    begun = await Operations.of(app.host).submit(
        "wait", target="door", title="Opening the door", request={"for_s": for_s}, principal=current_principal()
    )
    return begun.id


async def until_heard(raw: Client[Any], tool: str, arguments: dict[str, Any], count: int = 3) -> Heard:
    """Call a tool that waits, and leave when so much was heard."""
    heard = Heard()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: raw.call_tool(tool, arguments, progress_handler=heard, raise_on_error=False))
        await heard.at_least(count)
        group.cancel_scope.cancel()
    return heard


def test_the_longest_silence_is_below_three_seconds() -> None:
    assert BEAT_S <= 2.5


async def test_a_beat_comes_every_two_seconds_of_the_clock_and_counts_them(app: App) -> None:
    clock, heard = FakeClock(), Heard()
    app.server.middleware[0] = Progress(clock=clock)
    async with client(app) as session, anyio.create_task_group() as group:
        group.start_soon(lambda: session.raw.call_tool("read_slowly", {}, progress_handler=heard))
        for number in range(1, 4):
            while len(heard.values) < number:
                await clock.run(0.5)
        group.cancel_scope.cancel()
    assert heard.values == [2.0, 4.0, 6.0]
    assert heard.lines == ["running for 2 s", "running for 4 s", "running for 6 s"]


@each_era
async def test_every_tool_there_is_gives_beats_while_it_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, era: Era
) -> None:
    async def wait(*_: Any, **_more: Any) -> Any:
        await anyio.sleep_forever()

    monkeypatch.setattr(Gate, "on_call_tool", wait)
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=tmp_path))
    quicken(app)
    silent = []
    async with Client(app.server, mode=_MODE[era]) as raw:
        names = [tool.name for tool in await raw.list_tools()]
        assert len(names) > 20
        for name in names:
            heard = await until_heard(raw, name, {})
            if not heard.rises:
                silent.append(name)
    assert silent == []


@each_era
async def test_a_tool_that_says_nothing_gives_beats(app: App, era: Era) -> None:
    quicken(app)
    async with client(app, era) as session:
        heard = await until_heard(session.raw, "read_slowly", {})
    assert heard.rises
    assert all(re.fullmatch(r"running for \d+ s", line) for line in heard.lines)


@each_era
async def test_a_value_that_falls_back_is_sent_as_one_that_rises(app: App, era: Era) -> None:
    heard = Heard()
    async with client(app, era) as session:
        await session.raw.call_tool("count", {}, progress_handler=heard)
        await heard.at_least(4)
    assert heard.lines == ["0 of 2", "1 of 2", "0 of 2", "1 of 2"]
    assert heard.rises


@each_era
async def test_waiting_for_an_operation_gives_beats_with_what_it_does(app: App, era: Era) -> None:
    quicken(app)
    async with client(app, era) as session:
        operation_id = await begin(app)
        heard = await until_heard(session.raw, "get_operation", {"operation_id": operation_id, "wait_s": 40})
        await session.call("cancel_operation", operation_id=operation_id)
    assert heard.rises
    assert heard.lines[-1] == "waiting for the door"


async def test_waiting_for_a_person_gives_beats(app: App) -> None:
    quicken(app)
    heard = Heard()

    async def think(*_: Any) -> dict[str, bool]:
        await heard.at_least(4)
        return {"confirm": False}

    async with Client(app.server, mode="legacy", elicitation_handler=think) as raw:
        await raw.call_tool("write_slowly", {}, progress_handler=heard, raise_on_error=False)
    assert heard.rises
    assert set(heard.lines) - {"running for 0 s"} == {"Waiting for a person to confirm the change"}


@contextlib.asynccontextmanager
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hold_s: str) -> AsyncIterator[App]:
    """A klepaas in front of a sandbox in which what is deployed has to stay well for so long."""
    async with Sandbox(Timing.instant()) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        monkeypatch.setenv("KLEPAAS_ROLLOUT_MIN_HEALTHY_S", hold_s)
        yield create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=tmp_path / "state"))


DEPLOY = {"app_name": "shop", "image": "example/app:1"}


async def test_a_deployment_says_for_how_long_it_has_been_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klepaas_plugins.deployments.watching._TELL_EVERY_S", 0.1)
    async with cluster(tmp_path, monkeypatch, "30") as app, Client(app.server) as raw:
        heard = Heard()
        async with anyio.create_task_group() as group:
            group.start_soon(
                lambda: raw.call_tool("deploy_application", DEPLOY, progress_handler=heard, raise_on_error=False)
            )
            with anyio.fail_after(LIMIT_S):
                while not any("for 1 of 30 s" in line for line in heard.lines):
                    await heard.at_least(len(heard.values) + 1)
            group.cancel_scope.cancel()
    assert any("for 0 of 30 s" in line for line in heard.lines)
    assert heard.rises


async def without_token(raw: Client[Any], tool: str, **arguments: Any) -> str:
    """Call as a client does that sends no progress token."""
    result: Any = await raw.session.call_tool(tool, arguments)
    return str(result.content[0].text)


@each_era
async def test_without_a_progress_token_a_change_answers_within_4_seconds_with_the_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, era: Era
) -> None:
    # Each call may use a tenth of its 4 s, so that the test is quick.
    monkeypatch.setattr("klepaas.progress._SILENT_S", 0.4)
    async with cluster(tmp_path, monkeypatch, "60") as app, Client(app.server, mode=_MODE[era]) as raw:
        answers = [await without_token(raw, "deploy_application", **DEPLOY)]
        found = re.match(r"(op-\w{12}): ", answers[0])
        assert found
        answers.append(await without_token(raw, "cancel_operation", operation_id=found[1], wait_s=45))
        other = {"app_name": "mall", "image": "example/app:1", "wait_s": 1}
        began_at = time.monotonic()
        answers.append(await without_token(raw, "deploy_application", **other))
        assert time.monotonic() - began_at > 0.9, "a wait that was asked for is kept"
    assert "under way" in answers[0]
    assert "cancelled" in answers[1]
    assert "mall is under way" in answers[2].replace(" as mall", " mall")


def test_four_seconds_are_what_a_silent_client_waits_at_most() -> None:
    from klepaas import progress

    assert progress._SILENT_S + 0.5 <= 4.0
    assert DEFAULT_WAIT_S == 45.0


async def test_every_tool_that_can_wait_for_an_end_says_its_default_which_is_45_seconds_at_most(
    tmp_path: Path,
) -> None:
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=tmp_path))
    async with Client(app.server) as raw:
        waits = {
            tool.name: tool.input_schema["properties"]["wait_s"]
            for tool in await raw.list_tools()
            if "wait_s" in tool.input_schema["properties"]
        }
    assert len(waits) >= 6
    for name, schema in waits.items():
        text = str(schema.get("description", ""))
        said = re.search(r"default (\d+)", text)
        default = int(said[1]) if said else schema.get("default")
        assert default is not None, f"{name}: {schema}"
        assert default <= 45, name


def test_no_text_advises_to_wait_for_more_than_45_seconds() -> None:
    files = [path for folder in ("server", "plugins", "providers", "agents") for path in (ROOT / folder).rglob("*.py")]
    files += (ROOT / "docs").rglob("*.md")
    advice = re.compile(r"""wait_s["']?\s*[=:]\s*(\d+)""")
    too_long = [
        f"{path.name}: {found[0]}"
        for path in files
        for found in advice.finditer(path.read_text())
        if int(found[1]) > DEFAULT_WAIT_S
    ]
    assert len(files) > 300
    assert too_long == []


@each_era
async def test_an_unfinished_answer_begins_with_the_operations_id_and_says_how_to_go_on(app: App, era: Era) -> None:
    async with client(app, era) as session:
        operation_id = await begin(app)
        looked = await session.call("get_operation", operation_id=operation_id)
        await session.call("cancel_operation", operation_id=operation_id)
    assert looked.text.startswith(f"{operation_id}: ")
    assert f'get_operation(operation_id="{operation_id}", wait_s=45)' in looked.text
    assert "cancel_operation" in looked.text
