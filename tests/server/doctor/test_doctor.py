"""The doctor reports everything and survives every check."""

import json
import subprocess
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import anyio
import pytest

from klepaas.doctor import Result, examine
from klepaas.hookspecs import Level
from klepaas.host import Host
from klepaas.plugins import Plugins
from klepaas.settings import Settings
from klepaas.testing import scale_timeout

pytestmark = pytest.mark.anyio

Distribute = Callable[..., Path]
Installed = Callable[[], list[EntryPoint]]
Klepaas = Callable[..., subprocess.CompletedProcess[str]]

SECRET = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"


def doctoring(body: str, timeout_s: float = scale_timeout(5)) -> str:
    return f"""
import anyio, asyncio

async def check():
    {body}

@hookimpl
def klepaas_doctor_checks(host): return [DoctorCheck("looks", check, {timeout_s})]
"""


def healing(body: str, timeout_s: float = scale_timeout(5)) -> str:
    return f"""
import anyio, asyncio

async def check():
    {body}

@hookimpl
def klepaas_health_checks(host): return [HealthCheck("engine", check, {timeout_s})]
"""


async def look(found: list[EntryPoint], settings: Settings | None = None) -> list[Result]:
    settings = settings or Settings()
    with anyio.fail_after(scale_timeout(20)):
        return await examine(Plugins(settings, found), Host(settings))


def of(results: list[Result], plugin: str) -> list[tuple[str, Level, str, str | None]]:
    return [
        (result.check, result.finding.level, result.finding.summary, result.finding.repair)
        for result in results
        if result.plugin == plugin
    ]


async def test_findings_of_a_plugin_keep_level_and_repair(distribute: Distribute, installed: Installed) -> None:
    distribute(
        "fine",
        doctoring(
            "return (Finding(level, f'is {level}', 'Do it' if level is not Level.OK else None) for level in Level)"
        ),
    )

    assert of(await look(installed()), "fine") == [
        ("looks", Level.OK, "is ok", None),
        ("looks", Level.WARNING, "is warning", "Do it"),
        ("looks", Level.ERROR, "is error", "Do it"),
    ]


@pytest.mark.parametrize(("status", "level"), [("OK", "ok"), ("DEGRADED", "warning"), ("UNHEALTHY", "error")])
async def test_health_of_a_component_is_a_finding(
    status: str, level: str, distribute: Distribute, installed: Installed
) -> None:
    distribute("well", healing(f"return HealthReport(HealthStatus.{status}, 'as seen')"))

    assert of(await look(installed()), "well") == [
        ("health of engine", Level(level), f"{status.lower()}: as seen", None)
    ]


FAILING = {
    "raises": ("raise OSError('disk\\nfull')", "the check itself failed: OSError: disk full"),
    "raises a secret": (f"raise OSError('{SECRET}')", "the check itself failed: OSError: ‹redacted›"),
    "exits": ("raise SystemExit(3)", "the check itself failed: SystemExit: 3"),
    "is no check": ("return 7", "the check itself failed: "),
    "its own time limit": ("raise TimeoutError('own')", "the check itself failed: TimeoutError: own"),
    "cancelled inside": (
        "t = asyncio.ensure_future(asyncio.sleep(9)); t.cancel(); await t",
        "the check itself failed: CancelledError",
    ),
    "explains itself": ("raise Conflict('It is in use', next_step='Wait')", "It is in use"),
    "gives none": ("return None", "the check itself failed: "),
}


@pytest.mark.parametrize("case", FAILING)
@pytest.mark.parametrize("kind", [doctoring, healing])
async def test_a_check_that_fails_is_a_finding_and_the_others_go_on(
    kind: Callable[[str], str], case: str, distribute: Distribute, installed: Installed
) -> None:
    body, summary = FAILING[case]
    distribute("a-bad", kind(body))
    distribute("z-fine", doctoring("return [Finding(Level.OK, 'well')]"))

    results = await look(installed())

    ((_, level, said, _),) = of(results, "a-bad")
    assert level is Level.ERROR
    assert said.startswith(summary)
    assert of(results, "z-fine") == [("looks", Level.OK, "well", None)]


@pytest.mark.parametrize("nothing", ["[]", "iter(())"])
async def test_a_doctor_check_that_finds_nothing_is_a_finding(
    nothing: str, distribute: Distribute, installed: Installed
) -> None:
    distribute("mute", doctoring(f"return {nothing}"))

    ((_, level, said, repair),) = of(await look(installed()), "mute")

    assert level is Level.ERROR
    assert "found nothing" in said
    assert repair == "Tell the authors of the plugin mute"


@pytest.mark.parametrize("item", ["'text'", "None", "Finding('ok', 'text')"])
async def test_a_check_that_gives_something_else_is_a_finding(
    item: str, distribute: Distribute, installed: Installed
) -> None:
    distribute("odd", doctoring(f"return [Finding(Level.OK, 'well'), {item}]"))

    ((_, level, said, _),) = of(await look(installed()), "odd")

    assert level is Level.ERROR
    assert said.startswith("the check itself failed: it gave a ")


async def test_checks_that_hang_cost_the_time_of_one(distribute: Distribute, installed: Installed) -> None:
    for number in range(20):
        distribute(f"hangs-{number}", doctoring("await anyio.sleep_forever()", timeout_s=0.5))

    with anyio.fail_after(scale_timeout(5)):
        results = await look(installed())

    late = [result for result in results if result.finding.summary == "no answer within 0.5 s"]
    assert len(late) == 20
    assert {result.finding.level for result in late} == {Level.ERROR}


async def test_what_a_finding_says_is_one_clean_line_without_secrets(
    distribute: Distribute, installed: Installed
) -> None:
    distribute(
        "dirty", doctoring(f"return [Finding(Level.OK, 'a\\n\\x1b[31mb {SECRET}', 'token=abcdefghijkl\\r\\nnext')]")
    )

    assert of(await look(installed()), "dirty") == [("looks", Level.OK, "a b ‹redacted›", "token=‹redacted› next")]


async def test_a_plugin_whose_doctor_hook_fails_is_among_the_findings_of_the_core(
    distribute: Distribute, installed: Installed
) -> None:
    distribute("late", "@hookimpl\ndef klepaas_doctor_checks(host): raise ValueError('late')", version="2.0")

    core = of(await look(installed()), "klepaas")

    assert (
        "plugins",
        Level.ERROR,
        "late (late 2.0): klepaas_doctor_checks failed: ValueError: late",
        "Repair or uninstall late, or add late to KLEPAAS_DISABLED_PLUGINS",
    ) in core
    assert core[-1][1:3] == (Level.WARNING, "active: none")


async def test_a_disabled_plugin_that_does_not_exist_is_a_warning(installed: Installed) -> None:
    core = of(await look(installed(), Settings(disabled_plugins=("typo",))), "klepaas")

    assert (
        "plugins",
        Level.WARNING,
        "KLEPAAS_DISABLED_PLUGINS names typo, which no installed plugin is called",
        "See `klepaas plugins list` for the names",
    ) in core


async def test_a_doctor_that_is_cancelled_stops(distribute: Distribute, installed: Installed) -> None:
    distribute("hangs", doctoring("await anyio.sleep_forever()", timeout_s=scale_timeout(60)))

    with anyio.move_on_after(0.1) as limit:
        await look(installed())

    assert limit.cancelled_caught


def test_the_command_ends_with_1_only_where_something_is_in_error(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("warns", doctoring("print('printed'); return [Finding(Level.WARNING, 'hm', 'Do it')]"))
    warned = klepaas("doctor")
    distribute("errs", doctoring("return [Finding(Level.ERROR, 'ill', 'Repair it')]"))
    erred = klepaas("doctor", "--json")

    assert warned.returncode == 0
    assert "warning warns / looks: hm\n        -> Do it\n" in warned.stdout
    assert "printed" in warned.stderr
    assert "printed" not in warned.stdout
    assert erred.returncode == 1
    assert {
        "plugin": "errs",
        "check": "looks",
        "level": "error",
        "summary": "ill",
        "repair": "Repair it",
    } in json.loads(erred.stdout)["findings"]


def test_the_command_names_a_plugin_whose_tools_clash(distribute: Distribute, klepaas: Klepaas) -> None:
    for name in ("a", "b"):
        distribute(name, "@hookimpl\ndef klepaas_tools(host): return [tool('same')]")

    done = klepaas("doctor")

    assert done.returncode == 1
    assert "error   klepaas / plugins: b (b 1.0): its tool 'same' is already offered by a (a 1.0)\n" in done.stdout
