"""The folders of the built-in plugins, the entry points that are declared, and those that are installed are one set."""

import tomllib
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = {
    "klepaas_plugins": ROOT / "plugins" / "klepaas_plugins",
    "klepaas_providers": ROOT / "providers" / "klepaas_providers",
    "klepaas_agents": ROOT / "agents" / "klepaas_agents",
}


def on_disk() -> dict[str, str]:
    return {
        file.parent.name: f"{package}.{file.parent.name}.plugin"
        for package, folder in FOLDERS.items()
        for file in folder.glob("*/plugin.py")
    }


def declared() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points: dict[str, str] = project["entry-points"]["klepaas"]
    return points


def test_every_plugin_folder_is_declared_and_every_declared_plugin_has_a_folder() -> None:
    assert on_disk() == declared()


def test_what_is_installed_is_what_is_declared() -> None:
    installed = {point.name: point.value for point in distribution("klepaas").entry_points if point.group == "klepaas"}
    assert installed == declared(), "install the project again: pip install --no-deps -e ."
