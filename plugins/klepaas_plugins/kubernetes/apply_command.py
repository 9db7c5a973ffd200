"""`klepaas apply`: manifests of any size from files, by the same way as the tool `k8s_apply`.

The same plan, the same question, the same record. What differs is who reads and writes: a person at a terminal, who
does not pay for each character as a model does. So the limits are wider, and a dry run is printed whole.
"""

import argparse
import sys
from typing import Any

from klepaas.errors import Forbidden
from klepaas.output.audience import at_terminal
from klepaas.output.foreign_text import clean
from klepaas.plugins import Plugins
from klepaas.settings import Mode, Settings

__all__ = ["add_options", "run"]

TOOL = "k8s_apply"
_OK, _FAILED = 0, 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command.

    Args:
        parser: Gets them.
    """
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file, a folder, or - for standard input")
    parser.add_argument("-R", "--recursive", action="store_true", help="read the folders of a folder too")
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")
    parser.add_argument("-n", "--namespace", help="for objects that name none (default: the context's)")
    parser.add_argument("--context", help="the kubeconfig's context (default: the current one)")
    parser.add_argument("--take-ownership", action="store_true", help="take over fields of controllers")
    parser.add_argument(
        "--remove-unnamed", action="store_true", help="also remove fields that klepaas set and the files leave out"
    )
    parser.add_argument("--writes", action="store_true", help="make the change (default: read-only, as everywhere)")
    parser.add_argument("--json", action="store_true", help="for a program")


def run(arguments: argparse.Namespace) -> int:
    """Apply the files.

    Args:
        arguments: The command's arguments.

    Returns:
        0: it was done, or shown. 1: it failed, or nobody confirmed it.

    Raises:
        Forbidden: Nothing may be changed.
        KlepaasError: A file cannot be read, or the plan cannot be confirmed.
    """
    from klepaas.actions import print_json, print_line
    from klepaas.commands.confirmed_call import call_confirmed
    from klepaas_plugins.kubernetes.manifest_files import read_files

    settings = _settings(arguments)
    if settings.mode is Mode.READ_ONLY:
        raise Forbidden(
            f"Nothing of {', '.join(arguments.files)} was applied: this klepaas is read-only",
            next_step="Add --writes, or --dry-run to see what it would do",
        )
    with at_terminal():
        text = read_files(arguments.files, recursive=arguments.recursive)
        result = call_confirmed(TOOL, _values(arguments, text), settings, Plugins(settings))
    if arguments.json:
        print_json(result)
    elif result["isError"]:
        sys.stderr.write(clean(result["text"]) + "\n")
    else:
        print_line(result["text"])
    return _FAILED if result["isError"] else _OK


def _settings(arguments: argparse.Namespace) -> Settings:
    """The settings of this call: a dry run changes nothing, so that it needs no leave to."""
    return Settings(mode=Mode.WRITES) if arguments.writes or arguments.dry_run else Settings()


def _values(arguments: argparse.Namespace, text: str) -> dict[str, Any]:
    given = {
        "namespace": arguments.namespace,
        "context": arguments.context,
        "dry_run": arguments.dry_run,
        "take_ownership": arguments.take_ownership,
        "remove_unnamed": arguments.remove_unnamed,
    }
    return {"manifests": text, **{name: value for name, value in given.items() if value}}
