"""A klepaas with one external server, written by hand and as broken as a test wants it."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from klepaas.app import App
from klepaas.external import ExternalProvider, StdioServer, ToolRule
from klepaas.external.connection import ConnectionState, Pace
from klepaas.external.guarded import Guarded
from klepaas.hookspecs import hookimpl
from klepaas.resilience import Policy
from klepaas.testing import app_with, scale_timeout
from klepaas.testing.clients import Session
from klepaas.tools import Effect
from klepaas_providers.providers import plugin

SCRIPT = Path(__file__).with_name("fake_server.py")
QUICK = Pace(
    wait_min_s=0.1, wait_max_s=0.4, demand_gap_s=0.2, check_limit_s=1.0, discover_limit_s=1.0, relist_gap_s=0.05
)
ABOUT = ("call_tool", "list_providers", "provider_health", "search_tools")
RULES = {
    "get_item": ToolRule(Effect.READ, listed=True),
    "save_item": ToolRule(Effect.WRITE, listed=True, verify="Look with wiki_get_item"),
    "wipe": ToolRule(),
}


class Fake:
    """The server's folder: what it does, and what it was sent.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def does(self, **control: Any) -> None:
        """Do so from now on."""
        draft = self.folder / "control.new"
        draft.write_text(json.dumps(control))
        draft.replace(self.folder / "control.json")

    @property
    def records(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in (self.folder / "record.jsonl").read_text().splitlines()]
        except OSError:
            return []

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The parameters of the calls that it was sent."""
        sent = [record.get("message", {}) for record in self.records]
        return [message["params"] for message in sent if message.get("method") == "tools/call"]

    @property
    def lists(self) -> int:
        """How often its tools were listed."""
        return sum(record.get("message", {}).get("method") == "tools/list" for record in self.records)

    @property
    def pids(self) -> list[int]:
        """Its processes, in the order in which they were started."""
        return [record["started"] for record in self.records if "started" in record]

    def signal(self, number: signal.Signals) -> None:
        """Send its last process a signal."""
        os.kill(self.pids[-1], number)

    @property
    def everything(self) -> str:
        """All that it was ever sent."""
        return (self.folder / "record.jsonl").read_text()

    def provider(self, **said: Any) -> ExternalProvider:
        """It, as a plugin would name it."""
        transport = StdioServer((sys.executable, "-I", "-S", str(SCRIPT), str(self.folder)))
        quick = Policy(attempt_timeout_s=6, total_timeout_s=8, wait_min_s=0.01, wait_max_s=0.05, open_s=0.5)
        values = {"tools": RULES, "boot_timeout_s": 3.0, "call_timeout_s": 1.0, "policy": quick, **said}
        return ExternalProvider(**{"name": "wiki", "transport": transport, "prefix": "wiki", **values})


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    server = Fake(tmp_path / "fake")
    yield server
    left = [pid for pid in server.pids if _is_there(pid)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert left == [], "a process of the server outlived klepaas"


def _is_there(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


Serve = Callable[..., contextlib.AbstractAsyncContextManager[App]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Put a klepaas together with these servers; the same state folder each time."""

    @contextlib.asynccontextmanager
    async def run(*providers: ExternalProvider, mode: str = "writes", pace: Pace = QUICK) -> AsyncIterator[App]:
        @hookimpl
        def klepaas_external_providers(host: Any) -> Any:
            from klepaas.external.externals import Externals

            Externals.of(host).pace = pace
            return providers

        auto = ({"decision": "auto"},)
        settings = {"mode": mode, "policy": auto, "state_dir": tmp_path / "state"}
        async with app_with(plugin, klepaas_external_providers, settings=settings) as app:
            yield app

    return run


def guarded(app: App, name: str = "wiki") -> Guarded:
    """One of its servers."""
    server = app.externals.server(name)
    assert server is not None
    return server


async def until(condition: Callable[[], bool], limit_s: float = scale_timeout(10)) -> None:
    """Wait until it is so."""
    with anyio.fail_after(limit_s):
        while not condition():  # noqa: ASYNC110 -- what other processes do sets no event
            await anyio.sleep(0.01)


async def up(app: App, name: str = "wiki") -> Guarded:
    """Wait until a server is connected."""
    server = guarded(app, name)
    await until(lambda: server.connection.state is ConnectionState.CONNECTED)
    return server


async def listed(session: Session) -> list[str]:
    """The tools of the servers as they are listed to a client; not those about servers."""
    return [tool.name for tool in await session.tools() if tool.name not in ABOUT]


async def relisted(app: App) -> None:
    """Have the server listed again, and wait until that is taken in."""
    server, count = guarded(app), guarded(app).lists_taken
    server.connection.refresh()
    await until(lambda: server.lists_taken > count)
