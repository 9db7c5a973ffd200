"""What a person or a client can meet has an entry in the documentation: a new one without fails here, by its name."""

import re
from collections.abc import AsyncIterator, Iterator
from fnmatch import fnmatchcase
from importlib.metadata import distribution
from pathlib import Path

import pytest
from fastmcp import Client

from klepaas.app import App, create_app
from klepaas.commands.parser import Parser
from klepaas.commands.tree import build
from klepaas.configuration.registry import sections
from klepaas.errors import KlepaasError
from klepaas.hookspecs import Hooks
from klepaas.settings import Mode, Settings

from .blocks import PAGES, ROOT

pytestmark = pytest.mark.anyio

# Of the plugins that pages make up, and of tests.
MADE_UP = ("KLEPAAS_WEATHER", "KLEPAAS_ONDUTY_", "KLEPAAS_OLD", "KLEPAAS_UPDATE_SNAPSHOTS", "KLEPAAS_TEST_")
# A name, and behind it what it counts.
_METRIC = re.compile(r"\"((?:mcp|klepaas|circuit_breaker)_[a-z_]+)\",\s+\"[A-Z0-9]")


def page(name: str) -> str:
    """A page of the documentation."""
    path = ROOT / "docs" / name
    assert path.is_file(), f"docs/{name} is not there"
    return path.read_text(encoding="utf-8")


def rows(name: str) -> set[str]:
    """What the tables of a page are about: the code in the first column."""
    first = re.findall(r"^\| ([^|]*`[^|]*) \|", page(name), re.M)
    return {word for cell in first for word in re.findall(r"`([^`]+)`", cell)}


def without_entry(there_is: set[str], documented: set[str]) -> str:
    """What the failure says: what has no entry, and which entry is about nothing."""
    return f"no entry: {sorted(there_is - documented)}; about nothing: {sorted(documented - there_is)}"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """klepaas with its own plugins and everything that settings can add; nothing of it is started."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("KLEPAAS_K8S_EXEC", "true")
    return create_app(Settings(mode=Mode.WRITES, external_plugins=False, strict_plugins=True, state_dir=tmp_path))


@pytest.fixture
async def client(app: App) -> AsyncIterator[Client]:  # type: ignore[type-arg]
    """A client of it."""
    async with Client(app.server) as session:
        yield session


def test_every_error_code_says_what_to_do() -> None:
    codes = {kind.code for kind in _kinds_of(KlepaasError)}
    for name in ("errors.md", "errors.ko.md"):
        documented = {row for row in rows(name) if re.fullmatch("[a-z_]+", row)}
        assert documented == codes, f"{name}: {without_entry(codes, documented)}"


def test_what_the_error_page_says_of_retrying_is_what_clients_are_told() -> None:
    kinds = {kind.code: kind.retryable for kind in _kinds_of(KlepaasError) if kind.__module__ == "klepaas.errors"}
    for name, yes in (("errors.md", "yes"), ("errors.ko.md", "네")):
        said = re.findall(r"^\| `([a-z_]+)` \| [^|]* \| ([^|]*) \|", page(name), re.M)
        assert {code: again == yes for code, again in said} == kinds


def test_every_hook_has_an_entry() -> None:
    hooks = {name for name in vars(Hooks) if name.startswith("klepaas_")}
    assert hooks <= {row.partition("(")[0] for row in rows("plugins.md")}


def test_every_setting_has_an_entry(app: App) -> None:
    variables = {setting.variable for section in sections(app.plugins) for setting in section.settings}
    assert len(variables) > 20
    assert variables <= rows("settings.md"), without_entry(variables, rows("settings.md"))


def test_every_command_has_an_entry(app: App) -> None:
    commands = set(_commands(build(app.plugins, lambda *_: 0)))
    assert len(commands) > 8
    text = page("commands.md")
    assert [command for command in commands if f"`{command}`" not in text and f"`{command} " not in text] == []


def test_every_tool_has_an_entry(app: App) -> None:
    tools = {entry.tool.name for entry in app.catalogue}
    assert tools <= rows("tools.md"), without_entry(tools, rows("tools.md"))


async def test_every_resource_has_an_entry(client: "Client") -> None:  # type: ignore[type-arg]
    templates = {template.uri_template for template in await client.list_resource_templates()}
    addresses = templates | {str(resource.uri) for resource in await client.list_resources()}
    assert len(addresses) > 1
    assert addresses <= rows("resources.md"), without_entry(addresses, rows("resources.md"))


async def test_every_prompt_has_an_entry(client: "Client") -> None:  # type: ignore[type-arg]
    prompts = {prompt.name for prompt in await client.list_prompts()}
    assert prompts
    documented = set(re.findall(r"`([a-z_]+)`", page("prompts.md")))
    assert prompts <= documented, without_entry(prompts, documented)


def test_every_variable_that_a_page_names_exists(app: App) -> None:
    known = {setting.variable for section in sections(app.plugins) for setting in section.settings}
    known |= {f"{variable}_FILE" for variable in known} | {"KLEPAAS_CONFIG"}
    for name in PAGES:
        if name != "docs/settings.md":
            named = set(re.findall(r"KLEPAAS_[A-Z0-9_]*[A-Z0-9]", (ROOT / name).read_text(encoding="utf-8")))
            named = {variable for variable in named - known if not variable.startswith(MADE_UP)}
            assert named == set(), f"{name} names variables that klepaas does not read, or reads by another name now"


def test_every_built_in_plugin_has_a_page() -> None:
    plugins = {point.name for point in distribution("klepaas").entry_points if point.group == "klepaas"}
    pages = {Path(name).stem for name in PAGES}
    assert plugins - pages == set()


def test_every_room_of_the_server_is_in_the_architecture() -> None:
    folder = ROOT / "server" / "klepaas"
    rooms = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    rooms |= {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert rooms <= rows("architecture.md"), without_entry(rooms, rows("architecture.md"))


def test_every_metric_has_an_entry() -> None:
    documented = rows("http.md") | rows("operations.md")
    found = {name for file in (ROOT / "server").rglob("*.py") for name in _METRIC.findall(file.read_text("utf-8"))}
    assert "mcp_tool_calls_total" in found
    assert [name for name in sorted(found) if not any(fnmatchcase(name, entry) for entry in documented)] == []


def _kinds_of(kind: type[KlepaasError]) -> Iterator[type[KlepaasError]]:
    for below in kind.__subclasses__():
        if not below.__module__.startswith("tests"):
            yield below
            yield from _kinds_of(below)


def _commands(parser: Parser, above: str = "klepaas") -> Iterator[str]:
    for name, below in parser.commands.items():
        if below.commands:
            yield from _commands(below, f"{above} {name}")
        else:
            yield f"{above} {name}"
