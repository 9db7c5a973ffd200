"""The command line: `klepaas serve | doctor | plugins | tools | call`, and what plugins add.

It reads the command line, runs the command (`klepaas.actions`, or a plugin's), and turns every error into one line and
an exit code: 0 done, 1 the thing asked for failed, 2 the command line or the settings are wrong, 130 interrupted.
"""

import argparse
import contextlib
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

from klepaas import __version__, actions
from klepaas.actions import FAILED, OK
from klepaas.errors import BadRequest, KlepaasError
from klepaas.hookspecs import Command
from klepaas.observability import configure_logging, one_line, say
from klepaas.plugins import Contribution, Plugin, PluginError, Plugins, describe_error
from klepaas.scaffold import command as scaffold
from klepaas.settings import LogLevel, Mode, Settings, SettingsError, what_is_wrong

__all__ = ["run"]

log = logging.getLogger(__name__)

WRONG, INTERRUPTED = 2, 130
_COMMAND_NAME = re.compile(r"[a-z][a-z0-9-]*")


def run(argv: list[str]) -> int:
    """Run one command.

    Args:
        argv: The words after `klepaas`.

    Returns:
        The exit code.
    """
    configure_logging(LogLevel.WARNING)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that cannot show a character still shows the rest
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(argv)
        sys.stdout.flush()  # here, where a reader that is gone can still be answered quietly
    except BrokenPipeError:
        _forget_stdout()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _run(argv: list[str]) -> int:
    try:
        settings = _settings(argv)
        configure_logging(settings.log_level, settings.log_format)
        plugins = Plugins(settings)
        # Once more: a plugin may have set up logging of its own.
        configure_logging(settings.log_level, settings.log_format)
        arguments = _parser(plugins).parse_args(argv)
        command: Callable[[argparse.Namespace, Settings, Plugins], int] = arguments.command
        return command(arguments, settings, plugins)
    except SystemExit as exc:  # argparse's way to end
        return _exit_code(exc)
    except (ValidationError, SettingsError) as exc:
        return _complain(f"The settings are wrong: {what_is_wrong(exc)}", WRONG)
    except PluginError as exc:
        return _complain(str(exc), WRONG)
    except KlepaasError as exc:
        return _complain(exc.line, WRONG if isinstance(exc, BadRequest) else FAILED)


def _exit_code(exc: SystemExit) -> int:
    if exc.code is None:
        return OK
    return exc.code if isinstance(exc.code, int) else _complain(str(exc.code), FAILED)


def _forget_stdout() -> None:
    """Give the interpreter something to flush at its end, or it would complain about the reader that is gone."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _settings(argv: list[str]) -> Settings:
    """The settings: the environment's, and over them what the command line says.

    They are needed before the whole command line can be read: they decide which plugins add commands to it.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_common(parser)
    given, _ = parser.parse_known_args(argv)
    overrides: dict[str, Any] = {}
    if given.writes:
        overrides["mode"] = Mode.WRITES
    if given.strict_plugins:
        overrides["strict_plugins"] = True
    if given.verbose:
        overrides["log_level"] = LogLevel.INFO
    return Settings(**overrides)


def _complain(message: str, code: int) -> int:
    say(f"klepaas: {one_line(message)}", "error")
    return code


def _parser(plugins: Plugins) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="klepaas",
        description="An MCP server through which an LLM client runs a platform.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, const=plugins, help="klepaas and its plugins")
    parser.set_defaults(command=lambda *_: _help(parser))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_serve(commands)
    _add_listing(commands, "doctor", "look at this installation and say what to repair", actions.doctor)
    _add_group(commands, "plugins", "the plugins and what became of them", actions.list_plugins)
    _add_group(commands, "tools", "the tools, with toolset and effect", actions.list_tools)
    _add_call(commands)
    scaffold.add_to(commands)
    _add_plugin_commands(commands, plugins)
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser("serve", help="serve MCP on stdio, or over HTTP", allow_abbrev=False)
    _add_common(serve)
    serve.add_argument("--http", metavar="HOST:PORT", help="streamable HTTP on a loopback address, under /mcp")
    serve.set_defaults(command=actions.serve)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--writes", action="store_true", help="open the tools that change things (default: read-only)")
    parser.add_argument(
        "--strict-plugins", action="store_true", help="stop when a plugin fails (default: leave it out)"
    )
    parser.add_argument("--verbose", action="store_true", help="say more on stderr")


def _add_listing(commands: Any, name: str, text: str, command: Callable[..., int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, allow_abbrev=False)
    _add_common(parser)
    parser.add_argument("--json", action="store_true", help="for a program")
    parser.set_defaults(command=command)
    return parser


def _add_group(commands: Any, name: str, text: str, command: Callable[..., int]) -> None:
    group = commands.add_parser(name, help=text, allow_abbrev=False)
    group.set_defaults(command=lambda *_: _help(group))
    _add_listing(group.add_subparsers(title="commands", metavar="COMMAND"), "list", text, command)


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return OK


def _add_call(commands: Any) -> None:
    call = commands.add_parser("call", help="call one tool, as a client would", allow_abbrev=False)
    _add_common(call)
    call.add_argument("tool", help="the tool's name")
    call.add_argument(
        "arguments", nargs="?", default="{}", help='its arguments as JSON, for example \'{"kind": "pods"}\''
    )
    call.add_argument("--json", action="store_true", help="the whole result, for a program")
    call.set_defaults(command=actions.call)


def _add_plugin_commands(commands: Any, plugins: Plugins) -> None:
    offered: dict[str, list[Contribution[Command]]] = {}
    for contribution in plugins.contributions("klepaas_commands", Command):
        offered.setdefault(contribution.plugin.name, []).append(contribution)
    for contributions in offered.values():
        plugin = contributions[0].plugin
        objection = _objection_to([contribution.item for contribution in contributions], commands.choices)
        if objection:
            plugins.fail(plugin, objection)
            continue
        for contribution in contributions:
            _add_command(commands, plugin, contribution.item)


def _objection_to(items: list[Command], taken: Iterable[str]) -> str | None:
    """Why a plugin's commands cannot be added; all of them or none, as with tools."""
    names = list(taken)
    for item in items:
        if not isinstance(item.name, str) or not _COMMAND_NAME.fullmatch(item.name):
            return f"its command {item.name!r} is not a word of lower-case letters, digits and '-'"
        if item.name in names:
            return f"its command {item.name!r} already exists"
        names.append(item.name)
        try:
            if item.configure:
                item.configure(argparse.ArgumentParser())  # on trial
        except (Exception, SystemExit) as exc:  # noqa: BLE001 -- guarded boundary: a stranger's code
            return f"its command {item.name!r} cannot be set up: {describe_error(exc)}"
    return None


def _add_command(commands: Any, plugin: Plugin, item: Command) -> None:
    # argparse fills in "%(...)s"; a stray "%" would break the help of every command.
    text = one_line(str(item.help)).replace("%", "%%")
    parser = commands.add_parser(item.name, help=text, description=text, allow_abbrev=False)
    if item.configure:
        item.configure(parser)
    parser.set_defaults(command=lambda arguments, _settings, _plugins: _run_command(item, plugin, arguments))


def _run_command(item: Command, plugin: Plugin, arguments: argparse.Namespace) -> int:
    try:
        code = item.run(arguments)
    except (KlepaasError, PluginError, BrokenPipeError, ValidationError, SettingsError):
        raise
    except Exception as exc:  # guarded boundary: a plugin's code
        log.info("command %s failed", item.name, exc_info=exc)
        message = f"{item.name} failed because of a defect in plugin {plugin.name} ({plugin.source})"
        return _complain(f"{message}: {describe_error(exc)}; --verbose shows more", FAILED)
    return code if isinstance(code, int) else OK


class _Version(argparse.Action):
    """Prints the version when it is asked for: by then the plugins have been asked for their commands too."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        lines = [f"klepaas {__version__}"]
        for plugin in self.const.all:
            lines.append(f"  {plugin.name}: {plugin.source}, {plugin.module} ({plugin.state.value})")
        sys.stdout.write("\n".join(lines) + "\n")
        parser.exit()
