"""The command `klepaas plugin new`: reads its words and says what to do next."""

import argparse
import sys
from pathlib import Path

from klepaas.errors import BadRequest
from klepaas.plugins import Plugins
from klepaas.scaffold import NAME_RULE, create
from klepaas.settings import Settings

__all__ = ["fill", "new"]


def fill(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("name", metavar="NAME", help=NAME_RULE)
    parser.add_argument(
        "--into", metavar="DIR", type=Path, default=Path(), help="where to make its folder (default: here)"
    )


def new(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    """Make the plugin and say how to go on."""
    _refuse_a_name_that_is_taken(arguments.name, settings, plugins)
    folder = create(arguments.name, arguments.into)
    lines = (
        f"{folder} is a plugin with one tool and its tests. Go on with",
        f"    cd {folder}",
        "    python -m pip install --editable '.[dev]'",
        "    python -m pytest",
        "README.md there says what is where.",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _refuse_a_name_that_is_taken(name: str, settings: Settings, plugins: Plugins) -> None:
    """Refuse what klepaas would refuse to load: a built-in plugin's name, or a tool that there is already."""
    from klepaas.app import create_app
    from klepaas.discovery import normalized

    owner = next((item for item in plugins.all if item.built_in and normalized(item.name) == normalized(name)), None)
    if owner is not None or normalized(name) == "klepaas":
        raise BadRequest(f"{name!r} is the name of a plugin built into klepaas", next_step="Choose another one")
    tool = create_app(settings, plugins).catalogue.get(f"{name.replace('-', '_')}_get")
    if tool is not None and tool.plugin.built_in:
        text = f"The tool {tool.tool.name} of a plugin {name!r} is already offered by {tool.plugin.name}"
        raise BadRequest(text, next_step="Choose another name")
