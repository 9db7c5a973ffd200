"""Every client of docs/clients.md and docs/agents.md, replayed over the wire: it shakes hands, lists, looks, deploys
what fails and reads why, is not confirmed, and leaves.

A client whose requests are those of another one but for its names has the turn of that one, and its own reading of it.
"""

import itertools
import re
import signal
from pathlib import Path

import anyio
import pytest
from tests.promises.conftest import deployment
from tests.server.transports.conftest import SERVE, Server

from klepaas.testing import scale_timeout

from .conftest import Site
from .player import Player
from .rows import FRAMEWORKS, ROWS, TERMINALS, Form, Row, row_of
from .turn import Turn, check_refusal, delete_without_a_yes, play, read
from .wire import Stdio, Wire, connected, http_to

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]

EVERYDAY = {"deploy_application", "get_deployment_status", "get_overview", "k8s_delete", "k8s_get", "k8s_logs"}
# Turns over HTTP that were played, by what is sent in them.
PLAYED: dict[Form, Turn] = {}
_NUMBERS = itertools.count(1)
each_terminal = pytest.mark.parametrize("row", TERMINALS, ids=lambda row: row.name)
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def number() -> int:
    """One that no application's name has had."""
    return next(_NUMBERS)


async def begin(row: Row, wire: Wire, version: str) -> Player:
    """Connect and list the tools."""
    player = Player(row, wire, version)
    await player.connect()
    assert set(await player.tools()) >= EVERYDAY
    return player


@pytest.mark.parametrize("name", ["Claude Code", "Claude Code that falls back"])
async def test_a_process_that_a_client_starts_is_listed_looked_at_says_why_is_not_confirmed_and_ends(
    name: str, site: Site, tmp_path: Path
) -> None:
    row, stderr = row_of(name), tmp_path / "stderr"
    site.clear()
    variables = {**site.variables, "KLEPAAS_STATE_DIR": str(tmp_path)}
    with stderr.open("wb") as log:
        process = await anyio.open_process([*SERVE, "--writes"], stderr=log, env=variables)
    async with process:
        try:
            server = Server(process, stderr)
            read(row, await play(await begin(row, Stdio(server), row.version), f"shop-{number()}"))
            await server.close_stdin()
            # Whatever is still written must be a message: a client that has gone may still read, and crash.
            assert await server.ended(scale_timeout(10)) == 0, stderr.read_text()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)


@each_terminal
async def test_over_one_connection_it_shakes_hands_lists_looks_and_is_not_confirmed(row: Row, site: Site) -> None:
    site.clear()
    app_name = f"shop-{number()}"
    site.sandbox.create(deployment(app_name))
    async with connected(site.app) as wire:
        player = await begin(row, wire, row.version)
        assert "1 application" in row.shows(await player.call("get_overview"))
        refusal, left = await delete_without_a_yes(player, app_name)
        check_refusal(row, row.shows(refusal), row.shows(left))


@each_row
async def test_over_http_it_shakes_hands_lists_looks_reads_why_and_is_not_confirmed(row: Row, site: Site) -> None:
    version = row.http or row.version
    form = row.form(version)
    async with http_to(site.url) as wire:
        player = await begin(row, wire, version)
        if form not in PLAYED:
            site.clear()
            PLAYED[form] = await play(player, f"shop-{number()}")
    read(row, PLAYED[form])


def test_every_client_and_framework_of_the_pages_has_a_row() -> None:
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "clients.md").read_text(encoding="utf-8")
    heads = [line for line in page.splitlines() if line.startswith("| | ")]
    named = {re.sub(r" [\d.]+$", "", cell.strip()) for line in heads for cell in line.strip("| ").split("|")}
    assert named == {row.name for row in TERMINALS if "that falls back" not in row.name}
    assert len(FRAMEWORKS) >= 17
