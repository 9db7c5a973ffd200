"""A plugin that fails in any way is left out and named with its distribution; the others keep working."""

import json
import subprocess
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from klepaas.app import App, create_app
from klepaas.plugins import Plugin, PluginError, Plugins, PluginState
from klepaas.settings import Settings

Distribute = Callable[..., Path]
Installed = Callable[[], list[EntryPoint]]
Klepaas = Callable[..., subprocess.CompletedProcess[str]]

SECRET = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"

GOOD = """
    @hookimpl
    def klepaas_tools(host):
        return [tool("good_answer")]
"""

# What the broken plugin does, and what its reason must say.
BROKEN = {
    "import-error": ("import no_such_module_at_all", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
    "syntax-error": ("def broken(:", "SyntaxError"),
    "exit-at-import": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "exit-silently": ("raise SystemExit", "SystemExit: no message"),
    "base-exception": ("class Stop(BaseException): ...\nraise Stop('no')", "Stop: no"),
    "cancelled-at-import": ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
    "recursion": ("def f(): f()\nf()", "RecursionError"),
    "text-of-many-lines": ("raise ValueError('first\\nsecond\\r\\n\\tthird')", "ValueError: first second third"),
    "text-with-ansi": ("raise ValueError('\\x1b[31mred\\x1b[0m\\u202e\\u200bplain')", "ValueError: redplain"),
    "text-that-is-huge": ("raise ValueError('x' * 50_000_000)", "ValueError: xxx"),
    "text-with-a-secret": (f"raise ValueError('token={SECRET} is refused')", "ValueError: token=‹redacted› is refused"),
    "text-that-fails": (
        "class Mute(Exception):\n    def __str__(self): raise RuntimeError\nraise Mute",
        "Mute: its text cannot be read",
    ),
    "wrong-argument": ("@hookimpl\ndef klepaas_tools(hosts): return []", "'hosts'"),
    "unknown-hook": ("@hookimpl\ndef klepaas_toools(host): return []", "does not have: klepaas_toools"),
    "unmarked-hook": ("def klepaas_tools(host): return []", "klepaas_tools is not marked with @klepaas.hookspecs"),
    "hook-that-fails": (
        "@hookimpl\ndef klepaas_tools(host): raise OSError('disk')",
        "klepaas_tools failed: OSError: d",
    ),
    "hook-that-exits": ("@hookimpl\ndef klepaas_tools(host): exit(4)", "klepaas_tools failed: SystemExit: 4"),
    "late-error": (
        "@hookimpl\ndef klepaas_tools(host):\n    yield tool('early')\n    raise ValueError('late')",
        "klepaas_tools failed: ValueError: late",
    ),
    "endless": (
        "@hookimpl\ndef klepaas_tools(host):\n    while True: yield tool('again')",
        "klepaas_tools gave more than 1000 items",
    ),
    "gives-none": ("@hookimpl\ndef klepaas_tools(host): pass", "klepaas_tools gave nothing"),
    "gives-a-number": ("@hookimpl\ndef klepaas_tools(host): return 7", "gave a int where an iterable of Tool belongs"),
    "gives-text": ("@hookimpl\ndef klepaas_tools(host): return 'abc'", "gave a str where a Tool belongs"),
    "gives-a-coroutine": ("@hookimpl\nasync def klepaas_tools(host): return []", "gave a coroutine where an iterable"),
    "gives-a-command": (
        "@hookimpl\ndef klepaas_tools(host): return [Command('a', 'b', print)]",
        "gave a Command where a Tool belongs",
    ),
    "lies-about-its-class": (
        "class Liar:\n    @property\n    def __class__(self): raise OSError('who knows')\n"
        "@hookimpl\ndef klepaas_tools(host): return [Liar()]",
        "klepaas_tools failed: OSError: who knows",
    ),
    "unchecked-text": (
        "async def loose(path: str) -> str: return path\n"
        "@hookimpl\ndef klepaas_tools(host): return [Tool(loose, Effect.READ, title='t', toolset='t')]",
        "'path' of loose() can hold text but its annotation has no check",
    ),
    "tool-of-another": (
        "@hookimpl\ndef klepaas_tools(host): return [tool('good_answer')]",
        "already offered by a-good",
    ),
    "one-tool-twice": ("@hookimpl\ndef klepaas_tools(host): return [tool('same'), tool('same')]", "'same' is already"),
}


def app_with(found: list[EntryPoint], *, strict: bool = False) -> App:
    settings = Settings(strict_plugins=strict)
    return create_app(settings, Plugins(settings, found))


def named(app: App, name: str) -> Plugin:
    return next(plugin for plugin in app.plugins.all if plugin.name == name)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_harms_only_itself(case: str, distribute: Distribute, installed: Installed) -> None:
    code, reason = BROKEN[case]
    distribute("a-good", GOOD)
    distribute("broken-dist", code, version="2.7")
    distribute("z-good", GOOD.replace("good_answer", "last_answer"))

    app = app_with(installed())

    broken = named(app, "broken-dist")
    assert (broken.state, broken.source, broken.tools) == (PluginState.FAILED, "broken-dist 2.7", [])
    assert broken.reason is not None
    assert reason in broken.reason
    assert broken.reason.isprintable()
    assert len(broken.reason) <= 400
    assert SECRET not in broken.reason
    assert [entry.tool.name for entry in app.catalogue] == ["good_answer", "last_answer"]


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_stops_a_strict_start(case: str, distribute: Distribute, installed: Installed) -> None:
    code, reason = BROKEN[case]
    distribute("a-good", GOOD)
    distribute("broken-dist", code, version="2.7")

    with pytest.raises(PluginError) as caught:
        app_with(installed(), strict=True)

    assert "plugin broken-dist (broken-dist 2.7)" in str(caught.value)
    assert reason in str(caught.value)


def test_all_of_them_together_leave_the_list_whole_and_standard_output_clean(
    distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute("a-good", GOOD)
    for case, (code, _) in BROKEN.items():
        distribute(case, code)

    done = klepaas("plugins", "list", "--json")

    assert done.returncode == 0
    rows = {row["name"]: row for row in json.loads(done.stdout)["plugins"]}
    assert rows["a-good"]["state"] == "active"
    assert rows["a-good"]["tools"] == ["good_answer"]
    for case, (_, reason) in BROKEN.items():
        assert rows[case]["state"] == "failed"
        assert (rows[case]["distribution"], rows[case]["version"]) == (case, "1.0")
        assert reason in rows[case]["reason"]
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("case", ["import-error", "exit-at-import", "unknown-hook", "late-error", "tool-of-another"])
def test_the_command_line_ends_with_2_and_one_line_when_it_is_strict(
    case: str, distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute("a-good", GOOD)
    distribute("broken-dist", BROKEN[case][0], version="2.7")

    done = klepaas("plugins", "list", "--json", "--strict-plugins")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("klepaas: plugin broken-dist (broken-dist 2.7): ")
    assert done.stderr.count("\n") == 1


def test_what_a_plugin_prints_while_it_is_loaded_never_reaches_standard_output(
    distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute(
        "loud",
        f"""
        import os, subprocess, sys
        print("said at import, password:", "hunter2secret", end="\\n")
        print("unfinished {SECRET}", end="")
        os.write(1, b"written at import\\n")
        subprocess.run(["echo", "said by a child"])
        sys.stdout.buffer.write(b"bytes at import\\n")

        @hookimpl
        def klepaas_tools(host):
            print("said in a hook")
            return []
        """,
    )

    done = klepaas("plugins", "list", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["plugins"][-1]["state"] == "active"
    for said in ("said at import", "written at import", "said by a child", "bytes at import", "said in a hook"):
        assert said in done.stderr
    assert "hunter2secret" not in done.stderr
    assert SECRET not in done.stderr


def test_a_plugin_that_takes_over_logging_does_not_get_past_the_redaction(
    distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute("talker", f"import logging, sys; logging.basicConfig(stream=sys.__stdout__, force=True)\n{GOOD}")
    distribute("victim", f"raise ValueError('{SECRET}')")

    done = klepaas("plugins", "list", "--json")

    assert done.returncode == 0
    assert {row["name"] for row in json.loads(done.stdout)["plugins"]} >= {"talker", "victim"}
    assert SECRET not in done.stderr


def test_a_plugin_whose_own_settings_are_wrong_says_which_variable(
    distribute: Distribute, installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribute(
        "settled",
        """
        from pydantic import Field
        from pydantic_settings import BaseSettings, SettingsConfigDict

        class SettledSettings(BaseSettings):
            model_config = SettingsConfigDict(env_prefix="KLEPAAS_SETTLED_")
            limit: int = 3
            names: tuple[str, ...] = ()
            file: int = Field(default=1, validation_alias="SETTLED_FILE")

        @hookimpl
        def klepaas_tools(host):
            SettledSettings()
            return []
        """,
    )
    reasons = []
    for variable in ("KLEPAAS_SETTLED_LIMIT", "KLEPAAS_SETTLED_NAMES", "SETTLED_FILE"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "hunter2")
            reasons.append(named(app_with(installed()), "settled").reason)

    assert reasons == [
        "klepaas_tools failed: the settings are wrong: KLEPAAS_SETTLED_LIMIT: Input should be a valid integer, unable"
        " to parse string as an integer",
        "klepaas_tools failed: the settings are wrong: KLEPAAS_SETTLED_NAMES: is not JSON; a list is written as"
        ' ["first", "second"]',
        "klepaas_tools failed: the settings are wrong: SETTLED_FILE: Input should be a valid integer, unable to parse"
        " string as an integer",
    ]


def test_a_tool_without_effect_is_listed_and_cannot_be_called(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("vague", "@hookimpl\ndef klepaas_tools(host): return [tool('vague_thing', effect=None)]")

    listed = klepaas("tools", "list", "--json")
    called = klepaas("call", "vague_thing")

    assert [(row["name"], row["effect"]) for row in json.loads(listed.stdout)["tools"]] == [("vague_thing", None)]
    assert called.returncode == 1
    assert "does not declare its effect" in called.stderr
