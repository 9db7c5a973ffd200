"""The command line: `klepaas serve | doctor | plugins | tools | call`, and what plugins add.

Commands import what they need when they run: `--version` must not pay for the server. Exit codes: 0 done, 1 the thing
asked for failed, 2 the command line or the settings are wrong.
"""

import argparse
import json
import logging
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
from pydantic import ValidationError

from klepaas import __version__
from klepaas.errors import BadRequest, KlepaasError
from klepaas.hookspecs import Command, Level
from klepaas.observability import configure_logging, safe_text
from klepaas.plugins import Plugin, PluginError, Plugins
from klepaas.settings import LogLevel, Mode, Settings

if TYPE_CHECKING:
    from klepaas.app import App

__all__ = ["run"]

log = logging.getLogger(__name__)

OK, FAILED, WRONG = 0, 1, 2


def run(argv: list[str]) -> int:
    """Run one command.

    Args:
        argv: The words after `klepaas`.

    Returns:
        The exit code.
    """
    configure_logging(LogLevel.WARNING)
    try:
        settings = _settings(argv)
        configure_logging(settings.log_level)
        plugins = Plugins(settings)
        arguments = _parser(plugins).parse_args(argv)
        command: Callable[[argparse.Namespace, Settings, Plugins], int] = arguments.command
        return command(arguments, settings, plugins)
    except BrokenPipeError:
        return FAILED
    except KeyboardInterrupt:
        return 130
    except ValidationError as exc:
        return _complain(f"The settings are wrong: {_setting_problems(exc)}")
    except (PluginError, KlepaasError) as exc:
        return _complain(exc.line if isinstance(exc, KlepaasError) else str(exc))


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


def _setting_problems(exc: ValidationError) -> str:
    return "; ".join(
        f"KLEPAAS_{str(error['loc'][0]).upper()}: {error['msg']}" for error in exc.errors() if error["loc"]
    )


def _complain(message: str) -> int:
    sys.stderr.write(f"klepaas: {safe_text(message)}\n")
    return WRONG


def _parser(plugins: Plugins) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="klepaas",
        description="An MCP server through which an LLM client runs a platform.",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,  # --version has lines of its own
    )
    parser.add_argument("--version", action="version", version=_version(plugins), help="klepaas and its plugins")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_listing(commands, "doctor", "look at this installation and say what to repair", _doctor)
    _add_group(commands, "plugins", "the plugins and what became of them", _list_plugins)
    _add_group(commands, "tools", "the tools, with toolset and effect", _list_tools)
    _add_call(commands)
    _add_plugin_commands(commands, plugins)
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser("serve", help="serve MCP on stdio, or over HTTP", allow_abbrev=False)
    _add_common(serve)
    serve.add_argument("--http", metavar="HOST:PORT", help="streamable HTTP on a loopback address, under /mcp")
    serve.set_defaults(command=_serve)


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
    _add_listing(group.add_subparsers(required=True, metavar="COMMAND"), "list", text, command)


def _add_call(commands: Any) -> None:
    call = commands.add_parser("call", help="call one tool, as a client would", allow_abbrev=False)
    _add_common(call)
    call.add_argument("tool", help="the tool's name")
    call.add_argument(
        "arguments", nargs="?", default="{}", help='its arguments as JSON, for example \'{"kind": "pods"}\''
    )
    call.add_argument("--json", action="store_true", help="the whole result, for a program")
    call.set_defaults(command=_call)


def _add_plugin_commands(commands: Any, plugins: Plugins) -> None:
    for contribution in list(plugins.contributions("klepaas_commands", Command)):
        plugin, item = contribution.plugin, contribution.item
        if item.name in commands.choices:
            plugins.fail(plugin, f"its command {item.name!r} already exists")
            continue
        parser = commands.add_parser(item.name, help=item.help, allow_abbrev=False)
        if item.configure:
            item.configure(parser)
        parser.set_defaults(command=lambda arguments, _settings, _plugins, run=item.run: run(arguments))


def _version(plugins: Plugins) -> str:
    lines = [f"klepaas {__version__}"]
    lines += [f"  {plugin.name}: {plugin.source}, {plugin.module} ({plugin.state.value})" for plugin in plugins.all]
    return "\n".join(lines)


def _serve(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    from klepaas.app import create_app, loopback_address, serve_http, serve_stdio

    address = loopback_address(arguments.http) if arguments.http else None
    app = create_app(settings, plugins)
    if address is None:
        anyio.run(serve_stdio, app)
        return OK
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as exc:
            raise BadRequest(
                f"Cannot listen on {arguments.http}: {exc.strerror}", next_step="Choose another port"
            ) from exc
        host = f"[{address[0]}]" if family is socket.AF_INET6 else address[0]
        sys.stderr.write(
            f"klepaas serves MCP on http://{host}:{listener.getsockname()[1]}/mcp ({settings.mode.value})\n"
        )
        anyio.run(serve_http, app, listener)
    return OK


def _doctor(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    from klepaas.doctor import Result, examine
    from klepaas.host import Host

    async def look() -> list[Result]:
        host = Host(settings)
        try:
            return await examine(plugins, host)
        finally:
            await host.aclose()

    results = anyio.run(look)
    rows = [
        {
            "plugin": result.plugin,
            "check": result.check,
            "level": result.finding.level.value,
            "summary": result.finding.summary,
            "repair": result.finding.repair,
        }
        for result in results
    ]
    if arguments.json:
        _print_json({"findings": rows})
    else:
        for row in rows:
            _print(f"{row['level']:<8}{row['plugin']} / {row['check']}: {row['summary']}")
            if row["repair"]:
                _print(f"        -> {row['repair']}")
    return FAILED if any(result.finding.level is Level.ERROR for result in results) else OK


def _list_plugins(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    from klepaas.app import create_app

    create_app(settings, plugins)  # fills in the tools, and finds plugins whose tools clash
    if arguments.json:
        _print_json({"plugins": [_plugin_row(plugin) for plugin in plugins.all]})
        return OK
    for plugin in plugins.all:
        origin = "built in" if plugin.built_in else plugin.source
        _print(f"{plugin.name}  {plugin.state.value}  {origin}  {len(plugin.tools)} tools")
        if plugin.reason:
            _print(f"    {plugin.reason}")
    return OK


def _plugin_row(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "state": plugin.state.value,
        "reason": plugin.reason,
        "built_in": plugin.built_in,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "hooks": plugin.hooks,
        "tools": plugin.tools,
    }


def _list_tools(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    from klepaas.app import create_app

    rows = [
        {
            "name": entry.tool.name,
            "title": entry.tool.title,
            "toolset": entry.tool.toolset,
            "effect": entry.tool.effect.value if entry.tool.effect else None,
            "plugin": entry.plugin.name,
            "foreign_text": entry.tool.foreign_text,
        }
        for entry in create_app(settings, plugins).catalogue
    ]
    if arguments.json:
        _print_json({"mode": settings.mode.value, "tools": rows})
        return OK
    for row in rows:
        effect = row["effect"] or "no effect declared: cannot be called"
        _print(f"{row['name']}  {effect}  {row['toolset']}  {row['title']}")
    return OK


def _call(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    from klepaas.app import create_app

    try:
        values = json.loads(arguments.arguments)
    except json.JSONDecodeError as exc:
        raise BadRequest(f"The arguments are not JSON: {exc.msg} at character {exc.pos + 1}") from exc
    if not isinstance(values, dict):
        raise BadRequest("The arguments must be a JSON object", next_step='For example {"kind": "pods"}')
    result = anyio.run(_call_in_memory, create_app(settings, plugins), arguments.tool, values)
    if arguments.json:
        _print_json(result)
    elif result["isError"]:
        sys.stderr.write(result["text"] + "\n")
    else:
        _print(result["text"])
    return FAILED if result["isError"] else OK


async def _call_in_memory(app: "App", tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    from fastmcp import Client

    async with Client(app.server) as client:
        result = await client.call_tool(tool, arguments, raise_on_error=False)
    text = "\n".join(block.text for block in result.content if hasattr(block, "text"))
    return {"isError": result.is_error, "text": text, "structuredContent": result.structured_content}


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def _print_json(value: Any) -> None:
    _print(json.dumps(value, ensure_ascii=False, indent=2))
