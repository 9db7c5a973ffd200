"""Every code block of the documentation is run or read as what it says it is; those that cannot be are counted."""

import json
import re
import shutil
import socket
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import anyio
import anyio.to_thread
import pytest
import yaml
from tests.examples.transcripts import Command, commands_in, fits, run

from klepaas.commands.tree import build
from klepaas.plugins import Plugins
from klepaas.settings import Settings
from klepaas.testing import scale_timeout

from .blocks import ENGLISH, KOREAN, ROOT, Block, all_blocks, blocks_of
from .conftest import Machine

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

LANGUAGES = {"python", "console", "sh", "json", "toml", "yaml", "nginx", "haproxy", "javascript"}
# Raise a number only with a reason in the page: `<!-- not run: ... -->` right above the block.
NOT_RUN = {
    "README.md": 2,
    "docs/benchmarks.md": 1,
    "docs/start.md": 2,
}
SHELL_S = 120
# Of files that are not klepaas' settings: a project, a client, the quality scale.
FOREIGN_TABLES = {"project", "mcp_servers", "hello"}
FAILED = "--- this command failed: "
INSTALLS = re.compile(r"\b(pip|make|uv|npm|apt-get)\b")


def _places(blocks: list[Block]) -> list[str]:
    return [block.place for block in blocks]


def test_every_block_says_what_it_is() -> None:
    for page in ENGLISH:
        for block in blocks_of(page):
            assert block.language in LANGUAGES, f"{block.place}: {block.language!r} is not one of {LANGUAGES}"


def test_blocks_that_are_not_run_are_few_and_say_why() -> None:
    skipped = [block for page in ENGLISH for block in blocks_of(page) if block.not_run]
    assert Counter(block.page for block in skipped) == NOT_RUN
    assert [block.place for block in skipped if len(block.not_run or "") < 15] == []


def test_what_another_test_runs_is_known_there() -> None:
    for page in ENGLISH:
        for block in blocks_of(page):
            if block.run_by:
                test = (ROOT / block.run_by).read_text(encoding="utf-8")
                name = page.rsplit("/", 2)[-2] if page.endswith("README.md") else page.rsplit("/", 1)[-1]
                assert name in test, f"{block.place}: {block.run_by} does not speak of {name}"


@pytest.mark.parametrize("page", KOREAN)
def test_a_korean_page_has_the_blocks_of_the_english_one(page: str) -> None:
    def shown(name: str) -> list[tuple[str, str]]:
        return [(block.language, block.text) for block in blocks_of(name)]

    assert shown(page) == shown(page.replace(".ko.md", ".md"))


@pytest.mark.parametrize("block", all_blocks("python"), ids=lambda block: block.place)
async def test_python_runs(block: Block, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    if block.text.startswith("def ") and block.text.count("\n") == 1:
        compile(f"{block.text.rstrip()}: ...", block.place, "exec")  # a signature, compared by tests/kit/test_hooks.py
        return
    for name in ("PATH", "KUBECONFIG"):
        monkeypatch.setenv(name, machine.variables[name])
    module = ModuleType("block")
    monkeypatch.setitem(sys.modules, "block", module)
    code = compile(block.text, block.place, "exec")
    with anyio.fail_after(scale_timeout(60)):
        await anyio.to_thread.run_sync(exec, code, module.__dict__, abandon_on_cancel=True)
    for name, value in vars(module).items():
        if name.startswith("test_"):
            with anyio.fail_after(scale_timeout(30)):
                await value()


@pytest.mark.parametrize("block", all_blocks("json", "toml", "yaml"), ids=lambda block: block.place)
def test_data_can_be_read(block: Block) -> None:
    readers: dict[str, Callable[[str], Any]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
    read = readers[block.language]
    assert read(block.text)


@pytest.mark.parametrize("block", all_blocks("toml"), ids=lambda block: block.place)
async def test_a_settings_file_holds_nothing_that_klepaas_does_not_know(block: Block, machine: Machine) -> None:
    if not FOREIGN_TABLES.isdisjoint(tomllib.loads(block.text)):
        return
    file = machine.folder / "config.toml"
    file.write_text(block.text, encoding="utf-8")
    file.chmod(0o600)
    check = [Command("klepaas config check --config config.toml && echo accepted", "")]
    said = await anyio.to_thread.run_sync(lambda: run(check, machine.folder, machine.variables, 30))
    assert said[0].endswith("accepted\n"), said[0]


@pytest.mark.parametrize("block", all_blocks("json", "toml"), ids=lambda block: block.place)
def test_a_clients_configuration_starts_klepaas_with_words_that_it_knows(block: Block) -> None:
    read = json.loads(block.text) if block.language == "json" else tomllib.loads(block.text)
    for name in ("mcpServers", "servers", "mcp_servers"):
        for server in (read.get(name) or {}).values() if isinstance(read, dict) else ():
            if server.get("command", "").endswith("klepaas"):
                build(Plugins(Settings(external_plugins=False)), lambda *_: 0).parse_args(server["args"])


@pytest.mark.parametrize("page", sorted({block.page for block in all_blocks("console", "sh")}))
async def test_commands_do_what_the_page_shows(page: str, machine: Machine) -> None:
    blocks = [block for block in all_blocks("console", "sh") if block.page == page]
    if any("curl " in block.text for block in blocks) and not shutil.which("curl"):
        pytest.skip("this machine has no curl")
    typed = [command for block in blocks for command in _commands(block)]
    assert not [one.text for one in typed if INSTALLS.search(one.text)], "a page must not change this environment"
    ready = [_as_here(command, machine) for command in typed]
    printed = await anyio.to_thread.run_sync(lambda: run(ready, machine.folder, machine.variables, SHELL_S))
    assert len(printed) == len(typed), f"{page}: the shell ended early, after {printed[-1:]}"
    for command, raw in zip(ready, printed, strict=True):
        text = _as_on_the_page(raw, machine)
        assert FAILED not in text, f"{page}: {text}"
        assert fits(command.printed, text), f"{page}: $ {command.text}\n{text}"


def _commands(block: Block) -> list[Command]:
    """A transcript's commands with what they print; a script as one, which may print anything and must not fail."""
    if block.language == "console":
        return list(commands_in(f"```console\n{block.text}```\n"))
    watched = f"trap 'echo \"{FAILED}$BASH_COMMAND\"' ERR\n{block.text}trap - ERR"
    return [Command(watched, "...")]


def _as_here(command: Command, machine: Machine) -> Command:
    """The command with this machine's places for those that a page makes up; a server is waited for."""
    text = command.text.replace("/path/to/kubeconfig", str(machine.kubeconfig))
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{_port(machine)}")
    if "serve --http" in text and text.endswith("&"):
        open_yet = f"(exec 3<>/dev/tcp/127.0.0.1/{_port(machine)}) 2>/dev/null"
        text += f"\nfor _ in $(seq 300); do {open_yet} && break; sleep 0.1; done"
    return Command(text, command.printed.replace("127.0.0.1:8000", f"127.0.0.1:{_port(machine)}"))


def _as_on_the_page(printed: str, machine: Machine) -> str:
    """What was printed, with the places that a page makes up for those of this machine."""
    program = shutil.which("klepaas", path=machine.variables["PATH"]) or "klepaas"
    return printed.replace(program, "/path/to/klepaas").replace(str(machine.kubeconfig), "/path/to/kubeconfig")


def _port(machine: Machine) -> int:
    """A free port, the same throughout one page."""
    kept = machine.folder.parent / "port"
    if not kept.exists():
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            kept.write_text(str(one.getsockname()[1]))
    return int(kept.read_text())
