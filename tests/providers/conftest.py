"""The real servers of GitHub and Slack, each against an API of our own, behind a whole klepaas.

GitHub's is a program among the packages of the tests; those of Slack are installed by `make external`.
"""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from klepaas.app import App
from klepaas.external.connection import ConnectionState, Pace
from klepaas.external.externals import Externals
from klepaas.external.guarded import Guarded
from klepaas.hookspecs import hookimpl
from klepaas.resilience import State
from klepaas.testing import Session, app_with, client, scale_timeout
from klepaas_providers.github import plugin as github_plugin
from klepaas_providers.slack import plugin as slack_plugin

from .sides import CREDENTIALS, KINDS, PROGRAMS, Side, sided

# As people want it, but impatient.
QUICK = Pace(wait_min_s=0.1, wait_max_s=0.5, demand_gap_s=0.2, check_limit_s=1.0, relist_gap_s=0.05)

Serve = Callable[..., AbstractAsyncContextManager[App]]


class Case:
    """One server, connected, and a client of klepaas.

    Args:
        side: The server.
        app: The klepaas.
        session: The client.
    """

    def __init__(self, side: Side, app: App, session: Session) -> None:
        self.side, self.app, self.session = side, app, session

    @property
    def breaker(self) -> State:
        """The state of the breaker between."""
        return guarded(self.app, self.side.name).upstream.snapshot().state

    @property
    def pid(self) -> int:
        """The server's process."""
        pid = guarded(self.app, self.side.name).connection.pid
        assert pid is not None
        return pid


@pytest.fixture(scope="session", autouse=True)
def _required() -> None:
    """The checks of every change do without none of them; elsewhere tests of a server that is absent are skipped."""
    if os.environ.get("KLEPAAS_TEST_EXTERNAL") == "required":
        absent = [str(path) for kind in KINDS for path in PROGRAMS[kind] if not path.exists()]
        assert not absent, f"not installed: {absent}"


def needs(*programs: Path) -> None:
    """Skip a test where a program is not installed."""
    if not all(program.exists() for program in programs):
        pytest.skip("the servers of others are not installed: run `make external`")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each of the servers; a test that is about one alone names it."""
    return str(request.param)


@pytest.fixture
async def side(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Side]:
    """A real server and the API behind it."""
    needs(*PROGRAMS[kind])
    for name, value in CREDENTIALS[kind].items():
        monkeypatch.setenv(name, value)
    async with sided(kind, tmp_path) as one:
        yield one


@pytest.fixture
async def case(side: Side, serve: Serve) -> AsyncIterator[Case]:
    """A klepaas that is connected to the server, and a client of it."""
    async with serve(side) as app, client(app) as session:
        await up(app, side.name)
        yield Case(side, app, session)


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Put a klepaas together with these servers of an mcp.json; the same state folder each time."""

    @contextlib.asynccontextmanager
    async def run(
        *sides: Side, mode: str = "writes", plugins: tuple[object, ...] = (), policy: tuple[Any, ...] = ()
    ) -> AsyncIterator[App]:
        file = tmp_path / "mcp.json"
        file.write_text(json.dumps({"mcpServers": {side.name: side.server for side in sides}}))
        file.chmod(0o600)
        monkeypatch.setenv("KLEPAAS_MCP_CONFIG", str(file))

        @hookimpl
        def klepaas_external_providers(host: Any) -> Any:
            Externals.of(host).pace = QUICK
            return ()

        settings = {"mode": mode, "policy": policy, "state_dir": tmp_path / "state"}
        given = (klepaas_external_providers, github_plugin, slack_plugin, *plugins)
        async with app_with(*given, settings=settings) as app:
            yield app

    return run


def guarded(app: App, name: str) -> Guarded:
    """One of its servers."""
    server = Externals.of(app.host).server(name)
    assert server is not None
    return server


async def up(app: App, *names: str, limit_s: float = scale_timeout(15)) -> None:
    """Wait until servers are connected."""
    servers = [guarded(app, name) for name in names]
    with anyio.fail_after(limit_s):
        while any(server.connection.state is not ConnectionState.CONNECTED for server in servers):  # noqa: ASYNC110
            await anyio.sleep(0.01)
