"""Writes `commands.md`, the page of all commands, from their parsers.

    python docs/commands_table.py > docs/commands.md

A test compares the file with what this writes.
"""

import argparse
import sys
from collections.abc import Iterator

from klepaas.cli import EXIT_CODES
from klepaas.commands.parser import Parser
from klepaas.commands.tree import COMMON, build
from klepaas.plugins import Plugins
from klepaas.settings import Settings, given_only

HEAD = """\
# Commands

Written by `docs/commands_table.py` from the commands themselves; a test keeps it true. `klepaas COMMAND --help` says
the same at the terminal. Plugins can add commands; those of the plugins that come with klepaas are here.

What a command was asked for goes to standard output; everything else (logs, warnings, errors) to standard error. With
`--json` standard output holds one JSON document, whose names stay as they are from version to version.

## Exit codes

| code | meaning |
|---|---|"""
COMMON_HEAD = """
## Options of every command

`-h`, `--help` shows a command's help. Commands of plugins have the last two only.

| option | meaning |
|---|---|"""
TAIL = """
## Completion

`klepaas completion SHELL` prints a script that completes commands and options, those of installed plugins too. Make it
again when you install a plugin. For zsh the folder must be in `fpath` (`fpath=(~/.zfunc $fpath)` before `compinit`).
"""


def page() -> str:
    """The whole page."""
    with given_only():
        root = build(Plugins(Settings(external_plugins=False, strict_plugins=True)), lambda *_: 0)
    leaves = [parser for parser in root.every() if not parser.commands]
    lines = [HEAD, *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()), COMMON_HEAD]
    lines += _rows(_common(leaves[0]))
    for parser in leaves:
        lines += _of_command(parser)
    return "\n".join(lines) + "\n" + TAIL


def _of_command(parser: Parser) -> Iterator[str]:
    yield f"\n## `{parser.prog}`\n"
    yield parser.description or ""
    common = {option for action in _common(parser) for option in action.option_strings}
    own = [item for item in parser._actions if not set(item.option_strings) & (common | {"--help"})]
    if own:
        yield "\n| argument | meaning |\n|---|---|"
        yield from _rows(own)
    if parser.examples:
        yield "\nFor example:\n"
        yield from (f"- `{example}`" for example in parser.examples)


def _common(parser: Parser) -> list[argparse.Action]:
    return next((group._group_actions for group in parser._action_groups if group.title == COMMON), [])


def _rows(actions: list[argparse.Action]) -> Iterator[str]:
    for action in actions:
        text = (action.help or "").replace("%%", "%").replace("|", "\\|")
        yield f"| {_name(action)} | {text} |"


def _name(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return f"`{value if action.nargs != '?' else f'[{value}]'}`"
    shown = f"[{value}]" if action.nargs == "?" else value
    return ", ".join(f"`{f'{option} {shown}'.strip()}`" for option in action.option_strings)


if __name__ == "__main__":
    sys.stdout.write(page())
