"""Every command of `klepaas`: its own, and below or beside them those of plugins.

A command's name is one word or two; the first of two is a group, which plugins may add to as well. What a command does
is imported when it runs, or when its arguments are needed.
"""

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from klepaas import __version__
from klepaas.commands.parser import Parser
from klepaas.hookspecs import Command
from klepaas.observability import one_line
from klepaas.output.foreign_text import clean
from klepaas.plugins import Contribution, Plugin, Plugins, describe_error
from klepaas.settings import Settings

__all__ = ["COMMON", "Run", "RunOfPlugin", "add_common", "add_config", "build"]

Run = Callable[[argparse.Namespace, Settings, Plugins], int]
RunOfPlugin = Callable[[Command, Plugin, argparse.Namespace], int]

_NAME = re.compile(r"[a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)?")


@dataclass(frozen=True)
class Own:
    """A command of klepaas itself.

    Attributes:
        name: Its words.
        help: One line.
        run: Module and function that do the work.
        fill: Module and function that add its arguments. "": it has only the common ones.
        examples: Whole command lines.
    """

    name: str
    help: str
    run: str
    fill: str = ""
    examples: Sequence[str] = ()


_ACTIONS, _CONFIGURATION, _AUDIT = "klepaas.actions", "klepaas.commands.configuration", "klepaas.commands.audit"
_PLANS = "klepaas.commands.plans"
OWN = (
    Own(
        "serve",
        "serve MCP on stdio, or over HTTP",
        f"{_ACTIONS}:serve",
        "klepaas.commands.tree:fill_serve",
        ("klepaas serve", "klepaas serve --writes", "klepaas serve --http 127.0.0.1:8000"),
    ),
    Own(
        "doctor",
        "look at this installation and say what to repair",
        f"{_ACTIONS}:doctor",
        "klepaas.commands.tree:fill_json",
        ("klepaas doctor", "klepaas doctor --json"),
    ),
    Own(
        "call",
        "call one tool, as a client would",
        f"{_ACTIONS}:call",
        "klepaas.commands.tree:fill_call",
        (
            "klepaas call get_overview",
            'klepaas call k8s_get \'{"kind": "pods"}\' --json',
            'klepaas call restart_application \'{"app_name": "web", "dry_run": true}\' --writes',
        ),
    ),
    Own(
        "confirm",
        "confirm a change at this terminal, for a client that cannot ask",
        f"{_PLANS}:confirm",
        f"{_PLANS}:fill_one",
        ("klepaas confirm plan-7kzqm-3vxtd-9w2hr-fb8pn",),
    ),
    Own(
        "plans list",
        "what calls would change, and whether somebody confirmed it",
        f"{_PLANS}:list_all",
        "klepaas.commands.tree:fill_json",
        ("klepaas plans list", "klepaas plans list --json"),
    ),
    Own(
        "plans show",
        "the whole of what a call would change",
        f"{_PLANS}:show",
        f"{_PLANS}:fill_show",
        ("klepaas plans show plan-7kzqm-3vxtd-9w2hr-fb8pn",),
    ),
    Own(
        "config check",
        "what is set, from where, and what is wrong with it",
        f"{_CONFIGURATION}:check",
        f"{_CONFIGURATION}:fill_check",
        ("klepaas config check", "klepaas config check --all", "klepaas config check --json --strict"),
    ),
    Own(
        "config client",
        "print what a client's configuration needs to start or reach klepaas",
        f"{_CONFIGURATION}:client",
        f"{_CONFIGURATION}:fill_client",
        (
            "klepaas config client claude-desktop",
            "klepaas config client vscode --writes",
            "klepaas config client codex --http 127.0.0.1:8000",
        ),
    ),
    Own(
        "audit show",
        "what was changed, by whom, and how it ended",
        f"{_AUDIT}:show",
        f"{_AUDIT}:fill_show",
        (
            "klepaas audit show",
            "klepaas audit show --since 2h --outcome error",
            "klepaas audit show --tool k8s_delete --json",
        ),
    ),
    Own(
        "audit export",
        "every record as JSON lines, oldest first",
        f"{_AUDIT}:export",
        f"{_AUDIT}:fill_export",
        ("klepaas audit export > audit.jsonl", "klepaas audit export --since 2026-11-01"),
    ),
    Own(
        "audit verify",
        "whether the audit's files are whole",
        f"{_AUDIT}:verify",
        "klepaas.commands.tree:fill_json",
        ("klepaas audit verify", "klepaas audit verify --json"),
    ),
    Own(
        "plugins list",
        "the plugins and what became of them",
        f"{_ACTIONS}:list_plugins",
        "klepaas.commands.tree:fill_json",
        ("klepaas plugins list", "klepaas plugins list --json --strict-plugins"),
    ),
    Own(
        "plugin new",
        "make a new plugin: installable, typed and tested",
        "klepaas.scaffold.command:new",
        "klepaas.scaffold.command:fill",
        ("klepaas plugin new weather", "klepaas plugin new weather --into ~/src"),
    ),
    Own(
        "tools list",
        "the tools, with toolset and effect",
        f"{_ACTIONS}:list_tools",
        "klepaas.commands.tree:fill_json",
        ("klepaas tools list", "klepaas tools list --json"),
    ),
    Own(
        "completion",
        "print the script that completes klepaas' commands in a shell",
        "klepaas.commands.completion:run",
        "klepaas.commands.completion:fill",
        (
            "klepaas completion bash > ~/.local/share/bash-completion/completions/klepaas",
            "klepaas completion zsh > ~/.zfunc/_klepaas",
            "klepaas completion fish > ~/.config/fish/completions/klepaas.fish",
        ),
    ),
)
GROUPS = {
    "config": "the settings, and the configuration of clients",
    "audit": "the record of changes",
    "plans": "what calls would change, for a person to look at",
    "plugins": "the plugins and what became of them",
    "plugin": "write a plugin of your own",
    "tools": "the tools, with toolset and effect",
}
COMMON = "options of every command"


def build(plugins: Plugins, run_of_plugin: RunOfPlugin, only: str | None = None) -> Parser:
    """The parser of the whole command line; what it reads has the function to run as `command`.

    Args:
        plugins: Those whose commands are added.
        run_of_plugin: Runs a plugin's command.
        only: The first word of the command line: where it is a command's, the others are left out, since making their
            parsers takes longer than anything else here. None: all are wanted.
    """
    root = Parser(
        prog="klepaas",
        description="An MCP server through which an LLM client runs a platform.",
        examples=("klepaas serve", "klepaas doctor", "klepaas config client claude-desktop"),
    )
    root.add_argument("--version", action=_Version, nargs=0, const=plugins, help="klepaas and its plugins")
    root.set_defaults(command=partial(_help, root))
    theirs = list(_accepted(plugins))
    words = {name.partition(" ")[0] for name in (*(own.name for own in OWN), *(one.item.name for one in theirs))}
    for own in OWN:
        if only not in words or own.name.partition(" ")[0] == only:
            _add(root, own.name, own.help, partial(_fill_own, own), own.examples).set_defaults(
                command=partial(_run_own, own)
            )
    for one in theirs:
        if only not in words or one.item.name.partition(" ")[0] == only:
            _add_plugin_command(root, one.plugin, one.item, run_of_plugin)
    return root


def _add(root: Parser, name: str, text: str, fill: Callable[[Parser], None], examples: Sequence[str]) -> Parser:
    above, _, word = name.rpartition(" ")
    group = _group(root, above) if above else root
    return group.command(word, help=text, description=f"{text[:1].upper()}{text[1:]}.", fill=fill, examples=examples)


def _group(root: Parser, name: str, text: str = "") -> Parser:
    if name not in root.commands:
        group = root.command(name, help=text or GROUPS[name])
        group.set_defaults(command=partial(_help, group))
    return root.commands[name]


def _help(parser: Parser, *_: object) -> int:
    parser.print_help()
    return 0


def _named(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


def _run_own(own: Own, arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    code: int = _named(own.run)(arguments, settings, plugins)
    return code


def _fill_own(own: Own, parser: Parser) -> None:
    if own.fill:
        _named(own.fill)(parser)
    add_common(parser)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every command of klepaas itself takes."""
    group = parser.add_argument_group(COMMON)
    group.add_argument("--writes", action="store_true", help="open the tools that change things (default: read-only)")
    group.add_argument("--strict-plugins", action="store_true", help="stop when a plugin fails (default: leave it out)")
    add_config(group)


def add_config(parser: Any) -> None:
    """Add what every command takes, a plugin's too."""
    parser.add_argument("--config", metavar="FILE", help="the settings file (default: as KLEPAAS_CONFIG says)")
    parser.add_argument("--verbose", action="store_true", help="say more on stderr")


def fill_json(parser: Parser) -> None:
    """The arguments of a command that only lists."""
    parser.add_argument("--json", action="store_true", help="for a program")


def fill_serve(parser: Parser) -> None:
    """The arguments of `serve`."""
    parser.add_argument("--http", metavar="HOST:PORT", help="streamable HTTP on a loopback address, under /mcp")


def fill_call(parser: Parser) -> None:
    """The arguments of `call`."""
    parser.add_argument("tool", help="the tool's name")
    parser.add_argument(
        "arguments", nargs="?", default="{}", help='its arguments as JSON, for example \'{"kind": "pods"}\''
    )
    parser.add_argument("--json", action="store_true", help="the whole result, for a program")


def _accepted(plugins: Plugins) -> Iterator[Contribution[Command]]:
    """The commands of plugins; all of a plugin's or none, as with tools."""
    offered: dict[str, list[Contribution[Command]]] = {}
    for contribution in plugins.contributions("klepaas_commands", Command):
        offered.setdefault(contribution.plugin.name, []).append(contribution)
    commands = {own.name for own in OWN}
    for contributions in offered.values():
        items = [contribution.item for contribution in contributions]
        objection = _objection_to(items, commands)
        if objection:
            plugins.fail(contributions[0].plugin, objection)
            continue
        commands.update(item.name for item in items)
        yield from contributions


def _objection_to(items: list[Command], taken: Iterable[str]) -> str | None:
    """Why a plugin's commands cannot be added."""
    commands = set(taken)
    for item in items:
        if not isinstance(item.name, str) or not _NAME.fullmatch(item.name):
            return f"its command {item.name!r} is not one or two words of lower-case letters, digits and '-'"
        group, _, _ = item.name.rpartition(" ")
        groups = {name.partition(" ")[0] for name in commands if " " in name}
        if item.name in commands | groups or group in commands:
            return f"its command {item.name!r} already exists"
        commands.add(item.name)
        try:
            if item.configure:
                item.configure(argparse.ArgumentParser())  # on trial
        except (Exception, SystemExit) as exc:  # noqa: BLE001 -- guarded boundary: a stranger's code
            return f"its command {item.name!r} cannot be set up: {describe_error(exc)}"
    return None


def _add_plugin_command(root: Parser, plugin: Plugin, item: Command, run: RunOfPlugin) -> None:
    group, _, _ = item.name.rpartition(" ")
    if group and group not in root.commands:
        _group(root, group, one_line(str(item.group_help)) or f"commands of the plugin {plugin.name}")
    examples = [one_line(str(example)) for example in item.examples]
    parser = _add(root, item.name, one_line(str(item.help)), partial(_fill_plugins, item), examples)
    parser.set_defaults(command=lambda arguments, _settings, _plugins: run(item, plugin, arguments))


def _fill_plugins(item: Command, parser: Parser) -> None:
    add_config(parser.add_argument_group(COMMON))
    if item.configure:
        item.configure(parser)


class _Version(argparse.Action):
    """Prints the version when it is asked for: by then the plugins have been asked for their commands too."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        lines = [f"klepaas {__version__}"]
        for plugin in self.const.all:
            lines.append(f"  {plugin.name}: {plugin.source}, {plugin.module} ({plugin.state.value})")
        sys.stdout.write(clean("\n".join(lines)) + "\n")
        parser.exit()
