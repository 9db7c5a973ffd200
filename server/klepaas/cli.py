"""The command line: runs a command and turns every error into one line and an exit code.

Which commands there are is `klepaas.commands.tree`; what they do is `klepaas.actions` and `klepaas.commands`, or a
plugin's affair.
"""

import argparse
import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from klepaas.actions import FAILED, OK
from klepaas.commands.parser import WRONG
from klepaas.commands.tree import add_common, build
from klepaas.configuration import toml_file
from klepaas.errors import BadRequest, KlepaasError
from klepaas.hookspecs import Command
from klepaas.observability import configure_logging, one_line, say
from klepaas.plugins import Plugin, PluginError, Plugins, describe_error
from klepaas.settings import LogLevel, Mode, Settings, SettingsError, what_is_wrong

__all__ = ["EXIT_CODES", "run"]

log = logging.getLogger(__name__)

INTERRUPTED = 130
EXIT_CODES = {
    "0": "done",
    "1": "what was asked for failed: a tool answered with an error, a check found one, a step of the demo went wrong",
    "2": "the command line or a setting is wrong, or a plugin failed and plugins are strict",
    "129, 130, 143": "its terminal was closed (SIGHUP), ended by Ctrl-C, or asked to end (SIGTERM)",
}
# These must work where settings are wrong: the first two exist to say so, the last needs none.
_IN_SPITE_OF_SETTINGS = ("config", "completion")


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
        given = _given(argv)
        if given.config is not None:
            # For the plugins' settings too, and for every process that is started.
            os.environ[toml_file.VARIABLE] = str(Path(given.config).expanduser().absolute())
        if next((word for word in argv if not word.startswith("-")), "") in _IN_SPITE_OF_SETTINGS:
            return _run_in_spite_of_settings(argv, given)
        settings = Settings(**_overrides(given))
        configure_logging(settings.log_level, settings.log_format)
        plugins = Plugins(settings)
        # Once more: a plugin may have set up logging of its own.
        configure_logging(settings.log_level, settings.log_format)
        _check_file(plugins)
        return _command(argv, settings, plugins)
    except SystemExit as exc:  # argparse's way to end
        return _exit_code(exc)
    except (ValidationError, SettingsError) as exc:
        hint = "`klepaas config check` shows all of them"
        return _complain(f"The settings are wrong: {what_is_wrong(exc)}. {hint}", WRONG)
    except PluginError as exc:
        return _complain(str(exc), WRONG)
    except KlepaasError as exc:
        return _complain(exc.line, WRONG if isinstance(exc, BadRequest) else FAILED)


def _check_file(plugins: Plugins) -> None:
    """Refuse a settings file with a key that nobody knows; without a file this costs nothing."""
    if toml_file.read().path is not None:
        from klepaas.configuration.registry import check_file

        check_file(plugins)


def _command(argv: list[str], settings: Settings, plugins: Plugins) -> int:
    arguments = build(plugins, _run_of_plugin, argv[0] if argv else None).parse_args(argv)
    command: Callable[[argparse.Namespace, Settings, Plugins], int] = arguments.command
    return command(arguments, settings, plugins)


def _run_in_spite_of_settings(argv: list[str], given: argparse.Namespace) -> int:
    from klepaas.configuration.check import usable_settings

    settings = usable_settings(_overrides(given))
    configure_logging(settings.log_level, settings.log_format)
    return _command(argv, settings, Plugins(settings))


def _exit_code(exc: SystemExit) -> int:
    if exc.code is None:
        return OK
    return exc.code if isinstance(exc.code, int) else _complain(str(exc.code), FAILED)


def _forget_stdout() -> None:
    """Give the interpreter something to flush at its end, or it would complain about the reader that is gone."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _given(argv: list[str]) -> argparse.Namespace:
    """The options that say how klepaas runs.

    They are needed before the whole command line can be read: they decide which plugins add commands to it.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add_common(parser)
    try:
        return parser.parse_known_args(argv)[0]
    except argparse.ArgumentError:  # the command's own parser says it better
        return parser.parse_args([])


def _overrides(given: argparse.Namespace) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    if given.writes:
        overrides["mode"] = Mode.WRITES
    if given.strict_plugins:
        overrides["strict_plugins"] = True
    if given.verbose:
        overrides["log_level"] = LogLevel.INFO
    return overrides


def _complain(message: str, code: int) -> int:
    say(f"klepaas: {one_line(message)}", "error")
    return code


def _run_of_plugin(item: Command, plugin: Plugin, arguments: argparse.Namespace) -> int:
    try:
        code = item.run(arguments)
    except (KlepaasError, PluginError, BrokenPipeError, ValidationError, SettingsError):
        raise
    except Exception as exc:  # guarded boundary: a plugin's code
        log.info("command %s failed", item.name, exc_info=exc)
        message = f"{item.name} failed because of a defect in plugin {plugin.name} ({plugin.source})"
        return _complain(f"{message}: {describe_error(exc)}; --verbose shows more", FAILED)
    return code if isinstance(code, int) else OK
