"""Every hook is called with what its specification says; starts run in order, stops in the reverse order."""

import asyncio
import inspect
import subprocess
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.client import CallToolResult

from klepaas import plugins as plugin_host
from klepaas.agents import Agents
from klepaas.app import App, create_app
from klepaas.doctor import examine
from klepaas.hookspecs import Command, Hooks
from klepaas.notifications import Notifications
from klepaas.plugins import PluginError, Plugins, PluginState
from klepaas.settings import Settings
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio

Distribute = Callable[..., Path]
Installed = Callable[[], list[EntryPoint]]
Klepaas = Callable[..., subprocess.CompletedProcess[str]]

ALL_HOOKS = """
    calls = []

    @hookimpl
    def klepaas_tools(host):
        calls.append(("klepaas_tools", dict(host=host)))
        yield tool("NAME_tool")

    @hookimpl
    def klepaas_health_checks(host):
        calls.append(("klepaas_health_checks", dict(host=host)))
        async def check():
            return HealthReport(HealthStatus.OK, "it is up")
        return (HealthCheck("NAME", check) for _ in range(1))

    @hookimpl
    def klepaas_doctor_checks(host):
        calls.append(("klepaas_doctor_checks", dict(host=host)))
        async def check():
            return [Finding(Level.OK, "it is fine")]
        return [DoctorCheck("NAME check", check)]

    @hookimpl
    def klepaas_commands():
        calls.append(("klepaas_commands", {}))
        return (Command("NAME", "Say NAME", lambda arguments: print("NAME") or 0),)

    @hookimpl
    def klepaas_audit_sinks(host):
        calls.append(("klepaas_audit_sinks", dict(host=host)))
        async def write(record): ...
        return [AuditSink("NAME audit", write)]

    @hookimpl
    def klepaas_notification_sinks(host):
        calls.append(("klepaas_notification_sinks", dict(host=host)))
        async def send(notification): ...
        return [NotificationSink("NAME notifications", send)]

    @hookimpl
    def klepaas_deployment_agents(host):
        calls.append(("klepaas_deployment_agents", dict(host=host)))
        class Agent(DeploymentAgent):
            name = "NAME"
            def accepts(self, request): return False
            async def preview(self, request): ...
            async def deploy(self, request, report, wait_s): ...
        return [Agent()]

    @hookimpl
    def klepaas_external_providers(host):
        calls.append(("klepaas_external_providers", dict(host=host)))
        return [ExternalProvider("NAME server", HttpServer("http://127.0.0.1:9/mcp"), "extNAME")]

    @hookimpl
    async def klepaas_start(host):
        calls.append(("klepaas_start", dict(host=host)))
        host.settings_order = getattr(host, "settings_order", []) + ["start NAME"]

    @hookimpl
    def klepaas_stop(host):
        calls.append(("klepaas_stop", dict(host=host)))
        host.settings_order.append("stop NAME")
"""


# What they offer has tests of its own (tests/kit/test_hooks.py); here they are only called.
QUIET_HOOK = """
    @hookimpl
    def HOOK(PARAMETERS):
        calls.append(("HOOK", dict(GIVEN)))
        return ()
"""
DOCUMENTED = {name: hook for name, hook in vars(Hooks).items() if name.startswith("klepaas_")}
# Asked by a command and by the HTTP transport, not while a server is put together.
ASKED_ELSEWHERE = {"klepaas_commands", "klepaas_http_routes"}


def parameters_of(hook: str) -> list[str]:
    return list(inspect.signature(DOCUMENTED[hook]).parameters)[1:]


def quiet(hook: str) -> str:
    given = ", ".join(f"{name}={name}" for name in parameters_of(hook))
    text = QUIET_HOOK.replace("PARAMETERS", ", ".join(parameters_of(hook))).replace("GIVEN", given)
    return text.replace("HOOK", hook)


def offering(name: str) -> str:
    further = [quiet(hook) for hook in DOCUMENTED if f"def {hook}(" not in ALL_HOOKS]
    return "".join([ALL_HOOKS, *further]).replace("NAME", name)


def app_with(found: list[EntryPoint], *, strict: bool = False) -> App:
    settings = Settings(strict_plugins=strict)
    return create_app(settings, Plugins(settings, found))


def reason_of(app: App, name: str) -> str:
    plugin = next(plugin for plugin in app.plugins.all if plugin.name == name)
    assert plugin.state is PluginState.FAILED
    assert plugin.reason is not None
    return plugin.reason


async def call(app: App, tool: str) -> CallToolResult:
    async with Client(app.server) as client:
        result: CallToolResult = await client.call_tool(tool, raise_on_error=False)
        return result


async def test_every_hook_is_called_once_with_the_documented_arguments(
    distribute: Distribute, installed: Installed
) -> None:
    distribute("whole", offering("whole"))
    app = app_with(installed())
    assert [agent.name for agent in Agents.of(app.host).all] == ["whole"]
    assert [provider.prefix for provider in app.external] == ["extwhole"]
    assert [sink.name for sink in Notifications.of(app.host).sinks] == ["log", "whole notifications"]
    for hook in ASKED_ELSEWHERE:
        given = dict.fromkeys(parameters_of(hook), app.host)
        list(app.plugins.contributions(hook, Command if hook == "klepaas_commands" else object, **given))
    results = await examine(app.plugins, app.host)
    async with Client(app.server) as client:
        assert [tool.name for tool in await client.list_tools()] == ["whole_tool"]

    import whole_plugin  # type: ignore[import-not-found]

    calls: list[tuple[str, dict[str, Any]]] = whole_plugin.calls
    assert sorted(name for name, _ in calls) == sorted(DOCUMENTED)
    for name, arguments in calls:
        assert list(arguments) == parameters_of(name)
        assert all(value is app.host for value in arguments.values())
    assert app.plugins.all[0].hooks == sorted(DOCUMENTED)
    assert {"whole check", "health of whole"} <= {result.check for result in results}


async def test_starts_run_in_order_and_stops_in_reverse_around_a_real_session(
    distribute: Distribute, installed: Installed
) -> None:
    for name in ("b", "c", "a"):
        distribute(name, offering(name))
    app = app_with(installed())

    async with Client(app.server) as client:
        assert app.host.settings_order == ["start a", "start b", "start c"]  # type: ignore[attr-defined]
        assert len(await client.list_tools()) == 3

    order = app.host.settings_order  # type: ignore[attr-defined]
    assert order[3:] == ["stop c", "stop b", "stop a"]


START_FAILURES = {
    "raises": ("raise ValueError('no\\nport')", "ValueError: no port"),
    "exits": ("raise SystemExit('enough')", "SystemExit: enough"),
    "hangs": ("import anyio; await anyio.sleep_forever()", "no end within 0.05 s"),
    "times-out-by-itself": ("raise TimeoutError('its own')", "TimeoutError: its own"),
    "was-cancelled-inside": (
        "import asyncio; task = asyncio.ensure_future(asyncio.sleep(9)); task.cancel(); await task",
        "CancelledError",
    ),
    "stop-iteration": ("raise KeyError('x')", "KeyError: 'x'"),
}


@pytest.mark.parametrize("case", START_FAILURES)
async def test_a_plugin_whose_start_fails_is_left_out_of_a_running_server(
    case: str, distribute: Distribute, installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_host, "START_LIMIT_S", 0.05)
    code, reason = START_FAILURES[case]
    distribute("a-good", offering("a"))
    distribute(
        "bad",
        f"""
        @hookimpl
        def klepaas_tools(host): return [tool("bad_tool")]

        @hookimpl
        async def klepaas_start(host):
            {code}

        @hookimpl
        def klepaas_stop(host): host.settings_order.append("stop bad")
        """,
        version="3.1",
    )
    app = app_with(installed())

    with anyio.fail_after(scale_timeout(10)):
        async with Client(app.server) as client:
            assert [tool.name for tool in await client.list_tools()] == ["a_tool"]
            good = await client.call_tool("a_tool")
            refused = await client.call_tool("bad_tool", raise_on_error=False)

    assert not good.is_error
    assert refused.is_error
    assert f"bad_tool belongs to the plugin bad, which failed: its start hook failed: {reason}" in str(refused.content)
    assert reason_of(app, "bad") == f"its start hook failed: {reason}" or case == "was-cancelled-inside"
    assert app.host.settings_order == ["start a", "stop a"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("gives", ["7", "'text'", "(x for x in ())"])
async def test_a_start_hook_that_gives_no_awaitable_is_named(
    gives: str, distribute: Distribute, installed: Installed
) -> None:
    distribute("odd", f"@hookimpl\ndef klepaas_start(host): return {gives}")
    app = app_with(installed())

    async with Client(app.server):
        assert "where an awaitable or None belongs" in reason_of(app, "odd")


async def test_a_start_that_fails_while_plugins_are_strict_stops_what_had_started(
    distribute: Distribute, installed: Installed
) -> None:
    distribute("a-good", offering("a"))
    distribute("bad", "@hookimpl\ndef klepaas_start(host): raise OSError('disk')")
    app = app_with(installed(), strict=True)

    with pytest.raises(PluginError, match=r"plugin bad \(bad 1\.0\): its start hook failed: OSError: disk"):
        await app.plugins.start(app.host)

    assert app.host.settings_order == ["start a", "stop a"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", ["raise OSError('ghp_0123456789abcdefghijklmnopqrstuvwxyz')", "raise SystemExit(3)"])
async def test_a_stop_that_fails_is_logged_and_the_others_still_stop(
    code: str, distribute: Distribute, installed: Installed, caplog: pytest.LogCaptureFixture
) -> None:
    distribute("a-good", offering("a"))
    distribute("bad", f"@hookimpl\ndef klepaas_stop(host): {code}", version="5.0")
    app = app_with(installed())

    result = await call(app, "a_tool")

    assert not result.is_error
    assert "the stop hook of plugin bad (bad 5.0) failed: " in caplog.text
    assert "ghp_" not in caplog.text
    assert app.host.settings_order == ["start a", "stop a"]  # type: ignore[attr-defined]


async def test_a_stop_that_hangs_holds_up_nothing(
    distribute: Distribute, installed: Installed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(plugin_host, "STOP_LIMIT_S", 0.05)
    distribute("bad", "import anyio\n@hookimpl\nasync def klepaas_stop(host): await anyio.sleep_forever()")
    app = app_with(installed())

    with anyio.fail_after(scale_timeout(5)):
        async with Client(app.server):
            pass

    assert "the stop hook of plugin bad (bad 1.0) failed: no end within 0.05 s" in caplog.text


async def test_stops_run_to_their_end_where_the_server_is_cancelled(
    distribute: Distribute, installed: Installed
) -> None:
    distribute(
        "slow",
        """
        import anyio

        @hookimpl
        def klepaas_start(host): host.stopped = False

        @hookimpl
        async def klepaas_stop(host):
            await anyio.lowlevel.checkpoint()
            host.stopped = True
        """,
    )
    app = app_with(installed())
    await app.plugins.start(app.host)

    with anyio.CancelScope() as scope:
        scope.cancel()
        await app.plugins.stop(app.host)

    assert app.host.stopped is True  # type: ignore[attr-defined]


async def test_a_start_that_is_cancelled_from_outside_is_no_failure_of_the_plugin(
    distribute: Distribute, installed: Installed
) -> None:
    distribute("waits", "import anyio\n@hookimpl\nasync def klepaas_start(host): await anyio.sleep_forever()")
    app = app_with(installed())

    task = asyncio.ensure_future(app.plugins.start(app.host))
    await anyio.lowlevel.checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert app.plugins.all[0].state is PluginState.ACTIVE


async def test_what_start_and_stop_print_never_reaches_standard_output(
    distribute: Distribute, installed: Installed, capfd: pytest.CaptureFixture[str]
) -> None:
    distribute(
        "loud",
        """
        import os

        @hookimpl
        async def klepaas_start(host): print("said at start"); os.write(1, b"written at start\\n")

        @hookimpl
        def klepaas_stop(host): print("said at stop")
        """,
    )
    async with Client(app_with(installed()).server):
        pass

    said = capfd.readouterr()
    assert said.out == ""
    assert {"said at start", "written at start", "said at stop"} <= set(said.err.splitlines())


async def test_servers_that_start_at_the_same_time_leave_standard_output_as_it_was(
    distribute: Distribute, installed: Installed, capfd: pytest.CaptureFixture[str]
) -> None:
    distribute("turns", "import anyio\n@hookimpl\nasync def klepaas_start(host): await host.turn()")
    first, second = app_with(installed()), app_with(installed())
    begun, gone = anyio.Event(), anyio.Event()

    async def first_turn() -> None:
        await begun.wait()

    async def second_turn() -> None:
        begun.set()
        await gone.wait()

    first.host.turn, second.host.turn = first_turn, second_turn  # type: ignore[attr-defined]
    async with anyio.create_task_group() as group:
        group.start_soon(second.plugins.start, second.host)
        await first.plugins.start(first.host)
        print("hidden while another starts")
        gone.set()
    print("seen again")

    assert capfd.readouterr().out == "seen again\n"


def test_a_command_of_a_plugin_is_one_of_klepaas(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("whole", offering("whole"))

    done = klepaas("whole")

    assert (done.returncode, done.stdout) == (0, "whole\n")
    assert "Say whole" in klepaas("--help").stdout


CLASHES = {
    "serve": "Command('serve', 'x', print)",
    "list twice": "Command('twice', 'x', print), Command('twice', 'y', print)",
    "not a word": "Command('three little words', 'x', print)",
    "empty": "Command('', 'x', print)",
    "an option": "Command('--help', 'x', print)",
    "no text": "Command(None, 'x', print)",
    "set-up fails": "Command('fine', 'x', print, configure=lambda parser: parser.add_argument())",
    "set-up exits": "Command('fine', 'x', print, configure=lambda parser: parser.error('no'))",
    "set-up clashes": "Command('fine', 'x', print, configure=lambda parser: parser.add_argument('--help'))",
}


@pytest.mark.parametrize("case", CLASHES)
def test_a_plugin_whose_command_cannot_be_added_adds_none_and_is_named(
    case: str, distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute("clash", f"@hookimpl\ndef klepaas_commands(): return [Command('extra', 'x', print), {CLASHES[case]}]")

    done = klepaas("--version")

    assert done.returncode == 0
    assert "  clash: clash 1.0, clash_plugin (failed)\n" in done.stdout
    assert "plugin clash (clash 1.0) is left out: its command " in done.stderr
    assert klepaas("extra").returncode == 2


def test_a_clash_of_commands_is_fatal_where_plugins_are_strict(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("clash", "@hookimpl\ndef klepaas_commands(): return [Command('serve', 'x', print)]")

    done = klepaas("plugins", "list", "--strict-plugins")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "klepaas: plugin clash (clash 1.0): its command 'serve' already exists\n"


def test_a_stray_percent_sign_in_a_command_breaks_nobodys_help(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("odd", "@hookimpl\ndef klepaas_commands(): return [Command('odd', '100% \\x1b[31msure', print)]")

    done = klepaas("--help")

    assert done.returncode == 0
    assert "100% sure" in done.stdout


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("return 7", 7, ""),
        ("return None", 0, ""),
        ("raise SystemExit(5)", 5, ""),
        ("raise SystemExit('gave up')", 1, "klepaas: gave up\n"),
        ("raise Conflict('It is in use', next_step='Wait')", 1, "klepaas: It is in use. Wait.\n"),
        (
            "raise ValueError('token=abcdefghij\\nx')",
            1,
            "klepaas: broken failed because of a defect in plugin breaks (breaks 1.0): ValueError: token=‹redacted› x;"
            " --verbose shows more\n",
        ),
    ],
)
def test_a_plugins_command_ends_with_a_code_and_at_most_one_line(
    code: str, exit_code: int, said: str, distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute(
        "breaks",
        f"""
        def run(arguments):
            {code}

        @hookimpl
        def klepaas_commands(): return [Command("broken", "x", run)]
        """,
    )

    done = klepaas("broken")

    assert (done.returncode, done.stdout, done.stderr) == (exit_code, "", said)
