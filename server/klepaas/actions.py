"""What the commands of `klepaas` do; `klepaas.cli` reads the command line and answers for errors and exit codes.

Each takes the arguments, the settings and the plugins, and returns the exit code. The server is imported when one runs:
`--version` must not pay for it.
"""

import argparse
import json
import os
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import anyio

from klepaas.errors import BadRequest
from klepaas.hookspecs import Level
from klepaas.observability import one_line, say, stdout_to_stderr
from klepaas.output.foreign_text import clean
from klepaas.output.quoting import json_text
from klepaas.plugins import Plugin, PluginError, Plugins
from klepaas.portability import signals
from klepaas.portability.sockets import listening_socket
from klepaas.settings import Settings
from klepaas.startup import collect_garbage_as_usual
from klepaas.state_folder import objection_to_changes

if TYPE_CHECKING:
    from klepaas.app import App

__all__ = ["FAILED", "OK", "call", "doctor", "list_plugins", "list_tools", "print_json", "print_line", "serve"]

OK, FAILED = 0, 1
# What the last answers get to be written to stdout: nothing tells when they have been.
_LAST_ANSWERS_S = 0.2
# What calls get when a client that has closed the input of the server asks it to end.
_LEFT_S = 0.5


def serve(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    """Serve MCP until the client, or the person, ends it."""
    from klepaas.app import create_app, loopback_address

    address = loopback_address(arguments.http) if arguments.http else None
    app = create_app(settings, plugins)
    collect_garbage_as_usual()
    if (objection := objection_to_changes(settings)) is not None:
        say(f"klepaas: {one_line(objection)}", "error")
    if address is None:
        anyio.run(_serve_stdio, app)
        return OK
    from klepaas.http.server import serve_http

    with _listener(address) as listener:
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        signals.exit_at_end_signals()  # until the server itself listens to them
        say(f"klepaas serves MCP on http://{host}:{listener.getsockname()[1]}/mcp ({settings.mode.value})")
        number = anyio.run(serve_http, app, listener)
    return 128 + number if number else OK


async def _serve_stdio(app: "App") -> None:
    from klepaas.protocol.stdio import serve_stdio

    failure: PluginError | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_leave_on_signal, app)
        try:
            await serve_stdio(app.server, partial(_finish, app))
        except PluginError as exc:  # kept out of the group, which would wrap it
            failure = exc
        group.cancel_scope.cancel()
    if failure:
        raise failure


async def _finish(app: "App") -> None:
    """After the end of input: give changes and operations their grace. Nobody can read an answer any more."""
    from klepaas.operations import Operations

    with anyio.move_on_after(app.settings.shutdown_grace_s):
        await app.calls.finish_changes()
        await Operations.of(app.host).finish()


async def _leave_on_signal(app: "App") -> None:
    """End the process at Ctrl-C or SIGTERM, after calls have ended and plugins and services have let go.

    A second signal ends it at once.

    The thread that reads standard input cannot be woken: an ordinary end would wait for the client's next line.
    """
    from klepaas.operations import Operations

    asked: list[int] = []

    async def leave(number: int) -> None:
        # Who has closed its input and asks again kills the process 2 s later.
        grace_s = min(app.settings.shutdown_grace_s, _LEFT_S) if app.calls.stopping else app.settings.shutdown_grace_s
        if await app.calls.stop(grace_s):
            await anyio.sleep(_LAST_ANSWERS_S)
        await Operations.of(app.host).stop()
        await app.plugins.stop(app.host)
        await app.host.aclose()
        _exit_now(number)

    with signals.receive(*signals.END_SIGNALS) as received:
        async with anyio.create_task_group() as group:
            async for number in received:
                if asked:
                    _exit_now(number)
                asked.append(number)
                group.start_soon(leave, number)


def _exit_now(number: int) -> NoReturn:
    sys.stderr.flush()
    os._exit(128 + number)


def _listener(address: tuple[str, int]) -> socket.socket:
    listener: socket.socket | None = None
    try:
        listener = listening_socket(*address)
        listener.listen()  # before the address is told: who reads it may connect at once
    except OSError as exc:
        if listener:
            listener.close()
        place = f"{address[0]} port {address[1]}"
        raise BadRequest(f"Cannot listen on {place}: {exc.strerror}", next_step="Choose another port") from exc
    return listener


def doctor(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    """Look at this installation; the exit code says whether something is in error."""
    from klepaas.app import create_app
    from klepaas.doctor import Result, examine
    from klepaas.output.verdict import Verdict

    app = create_app(settings, plugins)  # finds plugins whose tools cannot be offered

    async def look() -> list[Result]:
        try:
            return await examine(plugins, app.host)
        finally:
            await app.host.aclose()

    with stdout_to_stderr():
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
    names = {(result.plugin, result.check) for result in results}
    looked = Verdict(observed=(f"{len(names)} checks",) if names else (), not_checked=("applications in clusters",))
    if arguments.json:
        print_json({"findings": rows, **looked.facts()})
    else:
        for row in rows:
            print_line(f"{row['level']:<8}{row['plugin']} / {row['check']}: {row['summary']}")
            if row["repair"]:
                print_line(f"        -> {row['repair']}")
        print_line(looked.basis())
    return FAILED if any(result.finding.level is Level.ERROR for result in results) else OK


def list_plugins(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    """Print the plugins and what became of them."""
    from klepaas.app import create_app

    create_app(settings, plugins)  # fills in the tools, and finds plugins whose tools clash
    if arguments.json:
        print_json({"plugins": [_plugin_row(plugin) for plugin in plugins.all]})
        return OK
    for plugin in plugins.all:
        origin = "built in" if plugin.built_in else plugin.source
        print_line(f"{plugin.name}  {plugin.state.value}  {origin}  {len(plugin.tools)} tools")
        if plugin.reason:
            print_line(f"    {plugin.reason}")
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


def list_tools(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    """Print the tools, those that the mode closes too."""
    from klepaas.app import create_app

    rows = [
        {
            "name": entry.tool.name,
            "title": one_line(str(entry.tool.title)),
            "toolset": one_line(str(entry.tool.toolset)),
            "effect": entry.tool.effect.value if entry.tool.effect else None,
            "plugin": entry.plugin.name,
            "foreign_text": entry.tool.foreign_text,
        }
        for entry in create_app(settings, plugins).catalogue
    ]
    if arguments.json:
        print_json({"mode": settings.mode.value, "tools": rows})
        return OK
    for row in rows:
        effect = row["effect"] or "no effect declared: cannot be called"
        print_line(f"{row['name']}  {effect}  {row['toolset']}  {row['title']}")
    return OK


def call(arguments: argparse.Namespace, settings: Settings, plugins: Plugins) -> int:
    """Call one tool through the gate, as a client would."""
    from klepaas.app import create_app

    try:
        values = json.loads(arguments.arguments)
    except json.JSONDecodeError as exc:
        raise BadRequest(f"The arguments are not JSON: {exc.msg} at character {exc.pos + 1}") from exc
    except (ValueError, RecursionError) as exc:
        raise BadRequest("The arguments are JSON with a number too long or levels too deep") from exc
    if not isinstance(values, dict):
        raise BadRequest("The arguments must be a JSON object", next_step='For example {"kind": "pods"}')
    app = create_app(settings, plugins)
    with stdout_to_stderr():
        result = anyio.run(_call_in_memory, app, arguments.tool, values)
    if arguments.json:
        print_json(result)
    elif result["isError"]:
        sys.stderr.write(clean(result["text"]) + "\n")
    else:
        print_line(result["text"])
    return FAILED if result["isError"] else OK


async def _call_in_memory(app: "App", tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    from fastmcp import Client

    from klepaas.terminal import asker
    from klepaas.way_out import ids_of

    try:
        async with Client(app.server, elicitation_handler=asker()) as client:
            try:
                result = await client.call_tool(tool, arguments, raise_on_error=False)
            finally:  # at Ctrl-C too
                _say_what_goes_on(app)
    except RuntimeError as exc:
        if isinstance(exc.__cause__, PluginError):  # as the client wraps a start that failed
            raise exc.__cause__ from None
        raise
    text = "\n".join(block.text for block in result.content if hasattr(block, "text"))
    return {"isError": result.is_error, "text": text, "meta": ids_of(result.meta)}


def _say_what_goes_on(app: "App") -> None:
    """Name the operations that this process leaves, what becomes of them, and how to stop them."""
    from klepaas.operations import Operations

    for operation in Operations.of(app.host).under_way:
        chosen = json.dumps({"operation_id": operation.id})
        say(f"{operation.id} ({operation.title}) has not ended, and this process leaves it.")
        say("A `klepaas serve --writes` that reaches the same target goes on with it: at once, or when it starts.")
        say(f"To follow it: klepaas call --writes get_operation '{chosen}'")
        say(f"To cancel it: klepaas call --writes cancel_operation '{chosen}'")


def print_line(line: str) -> None:
    """Write a line of the command's answer, without what would act on a terminal."""
    sys.stdout.write(clean(line) + "\n")


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Write the command's answer for a program; a stdout that cannot show a character gets its escape.

    Args:
        value: The answer.
        indent: Blanks a level. None: all in one line.
    """
    speaks_all = sys.stdout.encoding.lower().startswith("utf")
    sys.stdout.write(json_text(value, indent=indent, ascii_only=not speaks_all) + "\n")
