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
import yaml
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.server.conftest import BUILT_IN_OFF, Done

from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio

Klepaas = Callable[..., subprocess.CompletedProcess[str]]
Here = Callable[..., Done]
# Cline's own form is HTTP, whatever is asked for.
STARTING = tuple(
    "claude-desktop claude-code vscode cursor codex gemini qwen opencode copilot continue".split()  # noqa: SIM905
)
ALL = (*STARTING, "cline")
PROGRAM = str(Path(sys.executable).with_name("klepaas"))
# As the documentation of each has it: these name the way, the others tell it by the keys.
STDIO_TYPES = dict.fromkeys(("claude-code", "vscode", "cursor", "continue"), "stdio")
STDIO_TYPES |= {"opencode": "local", "copilot": "local"}
HTTP_TYPES = {"claude-code": "http", "vscode": "http", "copilot": "http", "continue": "streamable-http"}
HTTP_TYPES |= {"opencode": "remote", "cline": "streamableHttp"}


def entry_of(client: str, text: str) -> dict[str, Any]:
    """The entry as the client finds it: the key under which each looks is its documentation's."""
    keys = {"vscode": "servers", "opencode": "mcp", "codex": "mcp_servers"}
    readers: dict[str, Callable[[str], Any]] = {"codex": tomllib.loads, "continue": yaml.safe_load}
    document = readers.get(client, json.loads)(text)
    servers = document[keys.get(client, "mcpServers")]
    if client == "continue":
        assert document["name"]
        assert document["version"]
        (entry,) = servers
        assert entry.pop("name") == "klepaas"
    else:
        entry = servers["klepaas"]
    found: dict[str, Any] = entry
    return found


def started_by(client: str, text: str) -> tuple[list[str], dict[str, str]]:
    """The words that start klepaas, and the variables that it gets."""
    entry = entry_of(client, text)
    if client == "opencode":
        return entry["command"], entry.get("environment", {})
    return [entry["command"], *entry["args"]], entry.get("env", {})


@pytest.mark.parametrize("client", STARTING)
def test_it_starts_klepaas_by_its_full_path(client: str, here: Here) -> None:
    done = here("config", "client", client, "--writes")

    assert done.returncode == 0
    assert started_by(client, done.stdout)[0] == [PROGRAM, "serve", "--writes"]
    entry = entry_of(client, done.stdout)
    assert entry.get("type") == STDIO_TYPES.get(client)
    if client == "copilot":
        assert entry["tools"] == ["*"]


@pytest.mark.parametrize("client", ALL)
def test_it_reaches_a_klepaas_that_serves_http(client: str, here: Here) -> None:
    done = here("config", "client", client, "--http", "localhost:8123")

    entry = entry_of(client, done.stdout)
    if client == "claude-desktop":
        assert entry["args"][-1] == "http://127.0.0.1:8123/mcp"
        assert Path(entry["command"]).is_file()
    else:
        assert entry["httpUrl" if client in ("gemini", "qwen") else "url"] == "http://127.0.0.1:8123/mcp"
        assert entry.get("type") == HTTP_TYPES.get(client)
    assert "The server must be running: klepaas serve --http 127.0.0.1:8123\n" in done.stderr


def test_cline_gets_the_http_form_without_being_asked(here: Here) -> None:
    done = here("config", "client", "cline", "--writes")

    entry = entry_of("cline", done.stdout)
    assert entry["url"] == "http://127.0.0.1:8000/mcp"
    assert "command" not in entry
    assert "The server must be running: klepaas serve --writes --http 127.0.0.1:8000\n" in done.stderr


def test_claude_code_gets_its_own_command_first_and_learns_that_a_projects_file_must_be_approved(here: Here) -> None:
    done = here("config", "client", "claude-code")

    said = done.stderr.splitlines()
    assert said[0] == "Run this, and Claude Code knows klepaas:"
    assert said[2].startswith("  claude mcp add klepaas ")
    assert "must be approved once" in done.stderr
    assert entry_of("claude-code", done.stdout)


@pytest.mark.parametrize("client", STARTING)
def test_what_klepaas_needs_from_the_environment_goes_with_it_as_full_paths(
    client: str, here: Here, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").touch(0o600)
    set_here = {"KUBECONFIG": "a b:/c", "KLEPAAS_STATE_DIR": "state", "KLEPAAS_MCP_CONFIG": "mcp.json"}
    policy = '[{"context": "prod*", "decision": "confirm"}]'
    done = here("config", "client", client, "--config", "config.toml", KLEPAAS_POLICY=policy, **set_here)

    assert started_by(client, done.stdout)[1] == {
        "KUBECONFIG": f"{tmp_path / 'a b'}:/c",
        "KLEPAAS_CONFIG": str(tmp_path / "config.toml"),
        "KLEPAAS_STATE_DIR": str(tmp_path / "state"),
        "KLEPAAS_MCP_CONFIG": str(tmp_path / "mcp.json"),
        "KLEPAAS_POLICY": policy,
        "KLEPAAS_DISABLED_PLUGINS": BUILT_IN_OFF,
    }


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
        assert "KUBECONFIG=/a b" in [spoken[at + 1] for at, word in enumerate(spoken) if word == "--env"]


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
            with anyio.fail_after(scale_timeout(30)):
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
    with anyio.fail_after(scale_timeout(50)):
        async with Client(transport) as client:
            return list(await client.list_tools())
