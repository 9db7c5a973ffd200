"""The operator's file of servers: variables are filled in, secrets stay out of it, a mistake harms one server."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.server.external.conftest import SCRIPT, Fake, until

from klepaas.app import create_app
from klepaas.external import HttpServer, StdioServer
from klepaas.external.server_file import ServerFile
from klepaas.host import Host
from klepaas.output.redaction import vault
from klepaas.plugins import Plugins
from klepaas.settings import Settings
from klepaas.testing import client
from klepaas.tools import Effect

Read = Callable[..., ServerFile]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a file with these servers in it."""

    def write(servers: Any, mode: int = 0o600, **environment: str) -> ServerFile:
        path = tmp_path / "mcp.json"
        path.write_text(json.dumps({"mcpServers": servers}) if not isinstance(servers, str) else servers)
        path.chmod(mode)
        return ServerFile(path, environment)

    return write


def test_variables_are_filled_in_and_kept_as_secrets(read: Read) -> None:
    file = read(
        {
            "wiki": {"command": "${BIN}/wiki", "args": ["--root", "${ROOT:-/srv}"], "env": {"WIKI_TOKEN": "${TOKEN}"}},
            "status": {"url": "https://status.test/mcp", "headers": {"Authorization": "Bearer ${OTHER}"}},
        },
        BIN="/opt",
        TOKEN="quite-secret-1",
        OTHER="quite-secret-2",
    )
    wiki, status = file.servers
    assert wiki.transport == StdioServer(("/opt/wiki", "--root", "/srv"), {"WIKI_TOKEN": "quite-secret-1"})
    assert status.transport == HttpServer("https://status.test/mcp", {"Authorization": "Bearer quite-secret-2"})
    assert (wiki.problem, status.problem) == (None, None)
    assert vault.redact("quite-secret-1 quite-secret-2") == "‹redacted› ‹redacted›"
    assert "quite-secret" not in repr(file.servers)


MISTAKES = [
    ({"command": "x", "env": {"TOKEN": "${MISSING}"}}, "env.TOKEN needs the variable MISSING, which is not set"),
    ({"command": "x", "env": {"API_TOKEN": "abcdef123"}}, "env.API_TOKEN holds a secret itself"),
    ({"command": "x", "env": {"ANY": "ghp_" + "a" * 36}}, "env.ANY holds a secret itself"),
    ({"command": "x", "args": ["--token", "${API_TOKEN}"]}, "args[1] holds a secret; give it to the server by env"),
    ({"command": "x", "args": ["xoxb-1234567890-abcdef"]}, "args[0] holds a secret"),
    ({"command": "x", "args": "y"}, "its command and args are not texts"),
    ({"command": "x", "url": "https://x.test"}, "both a command and a url"),
    ({"url": "http://x.test/mcp"}, "without TLS"),
    ({"url": "ftp://x.test/mcp"}, "not one of https://"),
    ({"url": "https://user:pass@x.test/mcp"}, "its url holds a secret"),
    ({"url": "https://x.test/mcp?token=abc"}, "its url holds a secret"),
    ({"url": "https://x.test/mcp", "type": "sse"}, "the transport sse is not spoken"),
    ({"url": "https://x.test/mcp", "headers": {"A B": "c"}}, "is no name of a header"),
    ({"url": "https://x.test/mcp", "headers": {"A": "b\r\nC: d"}}, "has a line end"),
    ({"command": "x", "klepaas": {"prefx": "y"}}, "there is no klepaas.prefx; did you mean prefix?"),
    ({"command": "x", "klepaas": {"tools": {"a": "writes"}}}, "klepaas.tools.a"),
    ({"command": "x", "klepaas": {"prefix": "Has Space"}}, "klepaas.prefix"),
    ([], "is not an object"),
]


@pytest.mark.parametrize(("said", "problem"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_named_and_harms_one_server(read: Read, said: Any, problem: str) -> None:
    file = read({"wrong": said, "right": {"command": "x"}}, API_TOKEN="abcdef123456")
    wrong, right = file.servers
    assert problem in (wrong.problem or "")
    assert "abcdef123" not in (wrong.problem or "")
    assert (right.problem, file.problem) == (None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "it is not JSON at line 1, column 2"),
        ("[]", "it has no object under the key mcpServers"),
        ('{"servers": {}}', "it has no object under the key mcpServers"),
        ("[" * 100_000, "it is nested deeper than 100 levels"),
        ('"' + "x" * 1_100_000 + '"', "it is longer than a MiB"),
    ],
    ids=["broken", "a list", "another key", "deep", "long"],
)
def test_a_file_that_cannot_be_read_says_why(read: Read, text: str, problem: str) -> None:
    file = read(text)
    assert problem in (file.problem or "")
    assert file.servers == []


def test_a_file_that_others_may_write_is_not_used(read: Read) -> None:
    assert "run chmod o-w" in (read({"wiki": {"command": "x"}}, mode=0o602).problem or "")


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert "No such file" in (ServerFile(tmp_path / "none.json").problem or "")


def test_what_is_disabled_is_not_there(read: Read) -> None:
    assert read({"wiki": {"command": "x", "disabled": True}}).servers == []


def test_loopback_needs_no_tls_and_an_operator_may_do_without(read: Read) -> None:
    file = read(
        {
            "near": {"url": "http://127.0.0.1:9/mcp"},
            "far": {"url": "http://wiki.internal/mcp", "klepaas": {"insecure_http": True}},
        }
    )
    assert [server.problem for server in file.servers] == [None, None]


def test_the_operators_word_counts_more_than_the_plugins(read: Read) -> None:
    (server,) = read(
        {
            "wiki": {
                "command": "x",
                "klepaas": {"tools": {"get": "read", "save": {"effect": "write", "listed": False}}, "listed": "all"},
            }
        }
    ).servers
    provider = server.applied_to(server.provider())
    rules = {name: provider.rules_for(name)[0] for name in ("get", "save", "other")}
    assert [(rule.effect, rule.listed) for rule in rules.values()] == [
        (Effect.READ, True),
        (Effect.WRITE, False),
        (Effect.DESTRUCTIVE, True),
    ]


def test_servers_may_stand_in_the_settings_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[mcp_servers.wiki]\ncommand = "wiki"\nenv = {WIKI_TOKEN = "${TOKEN}"}\n')
    monkeypatch.setenv("KLEPAAS_CONFIG", str(config))
    monkeypatch.setenv("TOKEN", "quite-secret-3")
    (server,) = ServerFile.of(Host(Settings())).servers
    assert server.transport == StdioServer(("wiki",), {"WIKI_TOKEN": "quite-secret-3"})


def test_a_kind_belongs_to_the_plugin_that_asks_for_it(read: Read) -> None:
    file = read({"a": {"command": "x", "klepaas": {"kind": "github"}}, "b": {"command": "x"}})
    assert [server.name for server in file.of_kind("github")] == ["a"]
    assert [server.name for server in file.left] == ["b"]


@pytest.mark.anyio
async def test_a_server_that_nobody_knows_is_offered_by_what_the_file_says(
    fake: Fake, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(fake.folder)]
    file = read({"My Wiki": {"command": command[0], "args": command[1:], "klepaas": {"tools": {"get_item": "read"}}}})
    monkeypatch.setenv("KLEPAAS_MCP_CONFIG", str(file.path))
    others = ("kubernetes", "deployments", "cluster", "github", "slack")
    settings = Settings(state_dir=tmp_path / "state", external_plugins=False, disabled_plugins=others)
    app = create_app(settings, Plugins(settings))
    async with client(app) as session:
        await until(lambda: len(app.externals.servers[0].offers) == 3)
        tools = [tool.name for tool in await session.tools()]
        assert {"call_tool", "list_providers", "provider_health", "search_tools"} <= set(tools)
        assert "my_wiki_get_item" not in tools
        said = await session.call("call_tool", name="my_wiki_get_item", arguments={"id": "1"})
        assert said.text == "get_item is done: ok"
        assert (await session.call("my_wiki_save_item", id="1")).code == "forbidden"
