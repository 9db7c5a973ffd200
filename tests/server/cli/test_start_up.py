"""What the short commands and the plugins' modules do not import, since every command pays for it."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from klepaas.testing import scale_timeout, time_budget

HEAVY = {"fastmcp", "mcp", "kubernetes", "httpx", "uvicorn", "starlette", "prometheus_client", "sqlalchemy"}
ROOT = Path(__file__).parents[3]
MODULES = [
    f"{file.parent.parent.name}.{file.parent.name}.plugin"
    for folder in ("plugins", "providers", "agents")
    for file in sorted((ROOT / folder).glob("*/*/plugin.py"))
]
# What only calls need, and what the list of an empty FastMCP server loads besides: 90 ms for a store that is empty.
ONLY_FOR_CALLS = {
    *("kubernetes", "httpx", "httpcore", "prometheus_client", "sqlalchemy", "alembic", "tenacity", "keyring"),
    *("key_value", "beartype", "jsonref", "requests", "pygments", "rich.table"),
}
OURS_ONLY_FOR_CALLS = {
    *("klepaas.gate.change_calls", "klepaas.gate.confirmation", "klepaas.doctor", "klepaas.health"),
    *("klepaas.self_metrics", "klepaas.listed_offers", "klepaas.output.masking.rules", "klepaas.testing"),
    *("klepaas.http.server", "klepaas_plugins.deployments.overview", "klepaas_plugins.deployments.status"),
    "klepaas_plugins.kubernetes.sandbox",
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
FIRST_MESSAGES: dict[str, list[dict[str, Any]]] = {
    "2025-11-25": [
        {"id": 1, "method": "initialize", "params": INITIALIZE},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list", "params": {}},
    ],
    "2026-07-28": [{"id": 2, "method": "tools/list", "params": {"_meta": META}}],
}
# The names of the loaded modules go to standard error, away from what the command prints.
REPORT = "import json, sys; sys.stderr.write('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"


def loaded_after(code: str, environment: dict[str, str]) -> set[str]:
    environment = {name: value for name, value in environment.items() if name != "KLEPAAS_DISABLED_PLUGINS"}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{REPORT}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=scale_timeout(30),
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--version"], ["--help"], [], ["serve", "--help"], ["plugins"]])
def test_the_short_commands_load_no_server_and_no_client(words: list[str], klepaas_environment: dict[str, str]) -> None:
    loaded = loaded_after(f"from klepaas.cli import run; run({words!r})", klepaas_environment)

    assert "klepaas" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("module", MODULES)
def test_the_module_of_a_plugin_loads_nothing_heavy(module: str, klepaas_environment: dict[str, str]) -> None:
    assert loaded_after(f"import {module}", klepaas_environment) & HEAVY == set()


@pytest.mark.parametrize("version", FIRST_MESSAGES)
def test_a_server_has_listed_its_tools_before_it_loads_what_only_calls_need(
    version: str, klepaas_environment: dict[str, str]
) -> None:
    loaded, tools = loaded_before_the_list(FIRST_MESSAGES[version], klepaas_environment)

    assert len(tools) > 20
    assert "klepaas.gate" in loaded
    assert [name for name in OURS_ONLY_FOR_CALLS if importlib.util.find_spec(name) is None] == [], "it has moved"
    later = ONLY_FOR_CALLS | OURS_ONLY_FOR_CALLS
    assert {name for name in later for one in loaded if f"{one}.".startswith(f"{name}.")} == set()


def loaded_before_the_list(
    messages: list[dict[str, Any]], environment: dict[str, str]
) -> tuple[set[str], list[dict[str, Any]]]:
    """The modules that a server has loaded when it answers `tools/list`, and that answer.

    The interpreter names each module as it is loaded, in the same pipe as the answers, so that their order is seen.
    """
    command = [sys.executable, "-X", "importtime", "-m", "klepaas", "serve", "--writes"]
    environment = {name: value for name, value in environment.items() if name != "KLEPAAS_DISABLED_PLUGINS"}
    pipe = subprocess.PIPE
    loaded: set[str] = set()
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        killer = Timer(scale_timeout(60), process.kill)
        killer.start()
        for message in messages:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        process.stdin.flush()
        for line in process.stdout:
            if found := re.match(rb"import time: .*\| +(\S+)$", line):
                loaded.add(found[1].decode())
            elif line.startswith(b"{") and json.loads(line).get("id") == 2:
                break
        process.stdin.close()
        process.stdout.read()
        killer.cancel()
    return loaded, json.loads(line)["result"]["tools"]


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_the_short_commands_are_short(words: list[str], klepaas_environment: dict[str, str]) -> None:
    """The processor's time, which other people's work on the same machine does not lengthen."""
    code = f"import sys, time; from klepaas.cli import run; run({words!r}); sys.stderr.write(str(time.process_time()))"
    spent_s = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=klepaas_environment,
            capture_output=True,
            text=True,
            timeout=scale_timeout(30),
            check=True,
        )
        spent_s.append(float(done.stderr.splitlines()[-1]))

    assert min(spent_s) < time_budget(0.5, "something heavy would be imported at the start")


def test_garbage_is_collected_rarely_while_a_server_starts_and_as_usual_afterwards(
    klepaas_environment: dict[str, str],
) -> None:
    code = (
        "import atexit, gc, sys; usual = gc.get_threshold(); from klepaas import __main__, actions\n"
        "served = actions.anyio.run; seen = []\n"
        "actions.anyio.run = lambda *_: seen.append(gc.get_threshold())\n"
        "import klepaas.app; create = klepaas.app.create_app\n"
        "klepaas.app.create_app = lambda *given: (seen.append(gc.get_threshold()), create(*given))[1]\n"
        "atexit.register(lambda: sys.stderr.write(f'{seen[0] > usual} {seen[1] == usual}'))\n"
        "sys.argv[1:] = ['serve']; __main__.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=klepaas_environment,
        capture_output=True,
        text=True,
        timeout=scale_timeout(60),
        check=True,
    )
    assert done.stderr.endswith("True True"), done.stderr
