"""`klepaas config check` says what is set and what is wrong with it; `klepaas config client` what a client needs.

Both only look: no file is written. What they find is `klepaas.configuration`'s affair; here it becomes lines or JSON.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from klepaas.actions import FAILED, OK, print_json, print_line
from klepaas.configuration import toml_file
from klepaas.configuration.check import Report, Row, Severity
from klepaas.configuration.clients import CLIENTS, Client, Launch, Snippet
from klepaas.configuration.handing_on import HandedOn, LeftOut, hand_on
from klepaas.configuration.places import Origin
from klepaas.configuration.registry import sections
from klepaas.observability import one_line
from klepaas.output.foreign_text import clean
from klepaas.plugins import Plugins
from klepaas.policy import DEFAULT_IN_WORDS
from klepaas.portability.shell import command_line
from klepaas.settings import LogLevel, Mode, Settings

__all__ = ["check", "client", "fill_check", "fill_client"]

_DEFAULT_PORT = "127.0.0.1:8000"


def fill_check(parser: argparse.ArgumentParser) -> None:
    """The arguments of `config check`."""
    parser.add_argument("--all", action="store_true", help="show the settings that nobody has set, too")
    parser.add_argument("--strict", action="store_true", help="fail for warnings, too")
    parser.add_argument("--json", action="store_true", help="for a program")


def check(arguments: argparse.Namespace, _: Settings, plugins: Plugins) -> int:
    """Print what is set and what is wrong; the exit code says whether something is."""
    from klepaas.configuration.check import check as look

    report = look(plugins, _overrides(arguments))
    errors, warnings = report.of(Severity.ERROR), report.of(Severity.WARNING)
    if arguments.json:
        print_json(_as_json(report))
    else:
        _print(report, show_all=arguments.all)
    return FAILED if errors or (warnings and arguments.strict) else OK


def _overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {
        "mode": Mode.WRITES if arguments.writes else None,
        "strict_plugins": arguments.strict_plugins or None,
        "log_level": LogLevel.INFO if arguments.verbose else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _as_json(report: Report) -> dict[str, Any]:
    errors = report.of(Severity.ERROR)
    return {
        "valid": not errors,
        "file": str(report.document.path) if report.document.path else None,
        "errors": [{"plugin": problem.plugin, "text": problem.text} for problem in errors],
        "warnings": [{"plugin": item.plugin, "text": item.text} for item in report.of(Severity.WARNING)],
        "settings": [
            {
                "plugin": row.plugin,
                "variable": row.setting.variable,
                "key": row.setting.key,
                "value": row.value,
                "origin": row.origin.value,
                "given_by": row.name,
                "secret": row.setting.secret,
            }
            for row in report.rows
        ],
    }


def _print(report: Report, *, show_all: bool) -> None:
    path = report.document.path
    print_line(f"settings file: {path}" if path else f"settings file: none ({_where_it_would_be()})")
    rows = [row for row in report.rows if show_all or row.origin is not Origin.DEFAULT]
    for plugin in dict.fromkeys(row.plugin for row in rows):
        print_line(f"\n{plugin}")
        for row in rows:
            if row.plugin == plugin:
                print_line(f"  {row.setting.key:<34} {_value(row):<24} {_origin(row)}")
    if not rows:
        print_line("\nNothing is set: every setting has its default; --all shows them.")
    print_line("")
    for problem in (*report.of(Severity.ERROR), *report.of(Severity.WARNING)):
        print_line(f"{problem.severity.value:<8} {problem.plugin}: {problem.text}")
    counted = f"{len(report.of(Severity.ERROR))} errors, {len(report.of(Severity.WARNING))} warnings"
    print_line(counted if report.problems else "Nothing is wrong with the settings.")


def _where_it_would_be() -> str:
    return os.environ.get(toml_file.VARIABLE) or f"it would be {toml_file.default_path()}"


def _value(row: Row) -> str:
    if row.value in (None, ""):
        return "-"
    return one_line(row.value if isinstance(row.value, str) else json.dumps(row.value, ensure_ascii=False), 60)


def _origin(row: Row) -> str:
    if row.origin in (Origin.DEFAULT, Origin.COMMAND_LINE):
        return row.origin.value if row.origin is Origin.COMMAND_LINE else f"default ({row.setting.variable})"
    return row.origin.value if row.origin is Origin.FILE else f"{row.origin.value} {row.name}"


def fill_client(parser: argparse.ArgumentParser) -> None:
    """The arguments of `config client`."""
    parser.add_argument("client", choices=list(CLIENTS), metavar="CLIENT", help=", ".join(CLIENTS))
    parser.add_argument(
        "--http",
        nargs="?",
        const=_DEFAULT_PORT,
        metavar="HOST:PORT",
        help=f"reach a klepaas that serves HTTP there, instead of starting one (without a value: {_DEFAULT_PORT})",
    )
    parser.add_argument("--json", action="store_true", help="for a program: the snippet, its places and notes")


def client(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    """Print what to put into a client's configuration, and where."""
    chosen = CLIENTS[arguments.client]
    if chosen.http_only and arguments.http is None:
        arguments.http = _DEFAULT_PORT
    handed_on = hand_on(sections(plugins))
    launch = _launch(arguments, handed_on)
    # A klepaas that serves HTTP has the environment of whoever starts it.
    left_out = () if launch.url else handed_on.left_out
    snippet = chosen.write(launch)
    if arguments.json:
        print_json(
            {
                "client": arguments.client,
                "language": snippet.language,
                "text": snippet.text,
                "files": [{"path": path, "meaning": meaning} for path, meaning in snippet.files],
                "notes": [*snippet.notes],
                "command": snippet.command,
                "left_out": [asdict(one) for one in left_out],
            }
        )
        return OK
    # The snippet alone on stdout, so that it can be sent to a file; what to do with it is said beside.
    sys.stderr.write(clean(_introduced(chosen, snippet)))
    sys.stderr.flush()
    print_line(snippet.text)
    sys.stdout.flush()
    writes = settings.mode is Mode.WRITES
    explained = "\n".join(_explained(chosen, snippet, launch, left_out, writes=writes))
    sys.stderr.write(clean(explained) + "\n")
    return OK


def _launch(arguments: argparse.Namespace, handed_on: HandedOn) -> Launch:
    words = ["serve"]
    words += ["--writes"] if arguments.writes else []
    words += ["--strict-plugins"] if arguments.strict_plugins else []
    url = None
    if arguments.http is not None:
        from klepaas.app import loopback_address

        host, port = loopback_address(arguments.http)
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp"
    folder = Path(sys.executable).parent
    return Launch(
        str(_program(folder)),
        words,
        handed_on.variables,
        url,
        (str(_command_in(folder, "fastmcp")), "run", "--no-banner"),
    )


def _program(folder: Path) -> Path:
    """The installed `klepaas`, by the name it was called or beside the interpreter that runs it."""
    called = Path(sys.argv[0])
    return called.absolute() if called.stem == "klepaas" and called.is_file() else _command_in(folder, "klepaas")


def _command_in(folder: Path, name: str) -> Path:
    """An installed command; on Windows it has a suffix."""
    return Path(shutil.which(name, path=str(folder)) or folder / name)


def _introduced(chosen: Client, snippet: Snippet) -> str:
    if not (chosen.command_first and snippet.command):
        return ""
    return f"Run this, and {chosen.title} knows klepaas:\n\n  {snippet.command}\n\nOr write a file with:\n"


def _explained(
    chosen: Client, snippet: Snippet, launch: Launch, left_out: Sequence[LeftOut], *, writes: bool
) -> Iterator[str]:
    yield f"\nFor {chosen.title}, put this into one of:"
    yield from (f"  {path}  ({meaning})" for path, meaning in snippet.files)
    yield "A file that has other servers keeps them: add only the entry `klepaas`."
    if snippet.command and not chosen.command_first:
        yield f"Or run: {snippet.command}"
    yield from snippet.notes
    yield from (one.text for one in left_out)
    if launch.url:
        address = launch.url.removeprefix("http://").removesuffix("/mcp")
        start = command_line(["klepaas", *launch.arguments, "--http", address])
        yield f"The server must be running: {start}"
    if writes or "--writes" in launch.arguments:
        yield f"This klepaas may change things. {DEFAULT_IN_WORDS}"
    else:
        yield f"This klepaas only looks; with --writes it may change things. {DEFAULT_IN_WORDS}"
