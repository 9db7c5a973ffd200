"""What `klepaas config client` prints is what the client reads, and it starts or reaches a klepaas that answers."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.server.conftest import Done

pytestmark = pytest.mark.anyio

Klepaas = Callable[..., subprocess.CompletedProcess[str]]
Here = Callable[..., Done]
CLIENTS = ("claude-desktop", "claude-code", "vscode", "cursor", "codex")
PROGRAM = str(Path(sys.executable).with_name("klepaas"))


def entry_of(client: str, text: str) -> dict[str, Any]:
    """The entry as the client finds it: the key under which each looks is its documentation's."""
    if client == "codex":
        entry: dict[str, Any] = tomllib.loads(text)["mcp_servers"]["klepaas"]
        return entry
    document = json.loads(text)
    (key,) = document
    assert key == ("servers" if client == "vscode" else "mcpServers")
    found: dict[str, Any] = document[key]["klepaas"]
    return found


@pytest.mark.parametrize("client", CLIENTS)
def test_it_starts_klepaas_by_its_full_path(client: str, here: Here) -> None:
    done = here("config", "client", client, "--writes")

    entry = entry_of(client, done.stdout)
    assert done.returncode == 0
    assert (entry["command"], entry["args"]) == (PROGRAM, ["serve", "--writes"])
    # As the documentation of each has it: these two name the way, the others tell it by the keys.
    assert entry.get("type") == ("stdio" if client in ("claude-code", "vscode", "cursor") else None)


@pytest.mark.parametrize("client", CLIENTS)
def test_it_reaches_a_klepaas_that_serves_http(client: str, here: Here) -> None:
    done = here("config", "client", client, "--http", "localhost:8123")

    entry = entry_of(client, done.stdout)
    if client == "claude-desktop":
        assert entry["args"][-1] == "http://127.0.0.1:8123/mcp"
        assert Path(entry["command"]).is_file()
    else:
        assert entry["url"] == "http://127.0.0.1:8123/mcp"
        assert entry.get("type") == ("http" if client in ("claude-code", "vscode") else None)
    assert "The server must be running: klepaas serve --http 127.0.0.1:8123\n" in done.stderr


@pytest.mark.parametrize("client", CLIENTS)
def test_what_klepaas_needs_from_the_environment_goes_with_it_as_full_paths(
    client: str, here: Here, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").touch(0o600)
    done = here("config", "client", client, "--config", "config.toml", KUBECONFIG="a b:/c", KLEPAAS_DATABASE_URL="x")

    expected = {"KUBECONFIG": f"{tmp_path / 'a b'}:/c", "KLEPAAS_CONFIG": str(tmp_path / "config.toml")}
    assert entry_of(client, done.stdout)["env"] == expected
    assert "DATABASE" not in done.stdout + done.stderr


@pytest.mark.parametrize("client", ["claude-code", "vscode", "codex"])
@pytest.mark.parametrize("words", [[], ["--http"]])
def test_the_clients_own_command_says_the_same(client: str, words: list[str], here: Here) -> None:
    done = here("config", "client", client, "--json", *words, KUBECONFIG="/a b")

    answer = json.loads(done.stdout)
    entry = entry_of(client, answer["text"])
    spoken = shlex.split(answer["command"])
    if client == "vscode":
        assert json.loads(spoken[-1]) == {"name": "klepaas", **entry}
    elif words:
        assert spoken[-1] == entry["url"]
    else:
        assert spoken[spoken.index("--") + 1 :] == [entry["command"], *entry["args"]]
        assert spoken[spoken.index("--env") + 1] == "KUBECONFIG=/a b"


def test_it_says_where_the_text_belongs_apart_from_the_text(here: Here) -> None:
    done = here("config", "client", "cursor")

    assert "~/.cursor/mcp.json  (for all projects)" in done.stderr
    assert "with --writes it may change things" in done.stderr
    assert json.loads(done.stdout)


def test_only_this_machines_addresses_are_taken(here: Here) -> None:
    done = here("config", "client", "cursor", "--http", "0.0.0.0:80")

    assert (done.returncode, done.stdout) == (2, "")
    assert "does not listen on 0.0.0.0" in done.stderr


async def test_what_is_printed_for_standard_input_and_output_starts_a_server_that_answers(
    klepaas: Klepaas, klepaas_environment: dict[str, str]
) -> None:
    entry = entry_of("claude-desktop", klepaas("config", "client", "claude-desktop").stdout)

    assert await _tools(entry, klepaas_environment) is not None


async def test_what_is_printed_for_http_reaches_a_server_that_answers(
    klepaas: Klepaas, klepaas_environment: dict[str, str]
) -> None:
    async with await anyio.open_process(
        [PROGRAM, "serve", "--http", "127.0.0.1:0"], env=klepaas_environment, stderr=subprocess.PIPE
    ) as server:
        try:
            assert server.stderr is not None
            with anyio.fail_after(30):
                said = (await server.stderr.receive()).decode()
            address = re.search(r"127\.0\.0\.1:\d+", said)
            assert address, said
            done = klepaas("config", "client", "claude-desktop", "--http", address[0])
            entry = entry_of("claude-desktop", done.stdout)
            assert await _tools(entry, klepaas_environment) is not None
        finally:
            server.kill()


async def _tools(entry: dict[str, Any], environment: dict[str, str]) -> list[Any]:
    transport = StdioTransport(
        entry["command"], entry["args"], env=environment | entry.get("env", {}), keep_alive=False
    )
    with anyio.fail_after(50):
        async with Client(transport) as client:
            return list(await client.list_tools())
