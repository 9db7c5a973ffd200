"""`klepaas completion`: the script that completes commands and options in a shell, made from the parsers themselves.

Plugins' commands are in it as they are installed now; a later one needs the script made again.
"""

import argparse
import sys

from klepaas.commands.parser import Parser
from klepaas.commands.tree import build
from klepaas.plugins import Plugins
from klepaas.settings import Settings

__all__ = ["SHELLS", "fill", "run"]

SHELLS = ("bash", "zsh", "fish")


def fill(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(arguments: argparse.Namespace, _: Settings, plugins: Plugins) -> int:
    """Print the script."""
    import shtab

    sys.stdout.write(shtab.complete(_whole(plugins), shell=arguments.shell) + "\n")
    return 0


def _whole(plugins: Plugins) -> Parser:
    root = build(plugins, lambda *_: 0)
    for _ in root.every():
        pass  # filled, each
    return root
