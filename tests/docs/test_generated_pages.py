"""docs/settings.md, commands.md and risks.md say what the code says, and the code says something of everything."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from klepaas.commands.parser import Parser
from klepaas.commands.tree import build
from klepaas.configuration.registry import sections, unknown_keys
from klepaas.configuration.toml_file import Document
from klepaas.plugins import Plugins
from klepaas.settings import Settings, SettingsBase, given_only, kinds_of
from klepaas.testing import scale_timeout

ROOT = Path(__file__).parents[2]
PAGES = {"settings": "settings_table.py", "commands": "commands_table.py", "risks": "risks_table.py"}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    with given_only():
        return Plugins(Settings(external_plugins=False, strict_plugins=True))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_one_that_the_code_gives(name: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KLEPAAS_")}
    script = ROOT / "docs" / PAGES[name]
    written = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=scale_timeout(50),
    )
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert page == written.stdout, f"run: python docs/{script.name} > docs/{name}.md"


def test_every_setting_says_what_it_is_for(plugins: Plugins) -> None:
    silent = [
        setting.variable
        for section in sections(plugins)
        for setting in section.settings
        if len(setting.info.description or "") < 10
    ]
    assert silent == [], "each field of a settings class needs Field(description=...)"


def test_every_settings_class_of_ours_is_named_by_the_hook(plugins: Plugins) -> None:
    from importlib import import_module

    for folder, package in (
        ("server", "klepaas"),
        ("plugins", "klepaas_plugins"),
        ("providers", "klepaas_providers"),
        ("agents", "klepaas_agents"),
    ):
        for path in (ROOT / folder / package).rglob("settings.py"):
            import_module(".".join(path.relative_to(ROOT / folder).with_suffix("").parts))
    known = {section.kind for section in sections(plugins)}
    ours = {kind for kind in kinds_of(SettingsBase) if kind.__module__.startswith("klepaas")}
    ours = {kind for kind in ours if kind.__module__.split(".")[0] not in ("klepaas_onduty",)}
    # A plugin that is not declared in pyproject.toml yet cannot be asked for its classes.
    active = {plugin.module.rpartition(".")[0] for plugin in plugins.active}
    asked = {kind for kind in ours if kind.__module__.startswith(("klepaas.", *active))}
    assert {kind.__name__ for kind in asked - known} == set(), "its plugin's klepaas_settings must give it"


def test_the_settings_file_of_the_page_is_right(plugins: Plugins) -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    values = tomllib.loads(page.split("```toml\n")[1].split("```")[0])
    assert unknown_keys(Document(Path("config.toml"), values), sections(plugins)) == []
    with given_only():
        assert Settings(**{name: value for name, value in values.items() if name != "kubernetes"}).policy


def _leaves(parser: Parser) -> list[Parser]:
    return [one for one in parser.every() if not one.commands]


def test_every_command_of_ours_has_examples_that_its_own_parser_reads(plugins: Plugins) -> None:
    import shlex

    for leaf in _leaves(build(plugins, lambda *_: 0)):
        assert leaf.examples, f"{leaf.prog} has no example"
        for example in leaf.examples:
            assert example.startswith(leaf.prog), example
            words = shlex.split(example.split(" > ")[0])[1:]
            assert build(plugins, lambda *_: 0).parse_args(words).command


def test_every_argument_of_ours_says_what_it_is_for(plugins: Plugins) -> None:
    silent = [
        f"{leaf.prog} {action.dest}"
        for leaf in _leaves(build(plugins, lambda *_: 0))
        for action in leaf._actions
        if not action.help
    ]
    assert silent == []
