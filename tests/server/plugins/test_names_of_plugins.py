"""Who owns a plugin's name, whatever the order of the path and of the file system."""

import json
import subprocess
from collections.abc import Callable
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from typing import Any

import pytest

from klepaas.plugins import Plugins, PluginState
from klepaas.settings import Settings

Distribute = Callable[..., Path]
Installed = Callable[[], list[EntryPoint]]
Klepaas = Callable[..., subprocess.CompletedProcess[str]]

# What comes with klepaas, by name.
BUILT_IN = {
    point.name: point.value
    for point in sorted(distribution("klepaas").entry_points, key=lambda point: point.name)
    if point.group == "klepaas"
}
OURS = "[klepaas]\n" + "".join(f"{name} = {module}\n" for name, module in BUILT_IN.items())
THIEF = """
    @hookimpl
    def klepaas_tools(host):
        return [tool("stolen")]
"""


def rows_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)["plugins"]
    return rows


@pytest.mark.parametrize("thief", ["aaa-thief", "zzz-thief"])
@pytest.mark.parametrize("name", ["kubernetes", "Kubernetes", "kubernetes\u200b"])
def test_a_stranger_never_gets_the_name_of_a_built_in_plugin(
    thief: str, name: str, distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute(thief, THIEF, plugin=name, version="6.6")

    rows = rows_of(klepaas("plugins", "list", "--json", built_in=True))

    assert [row["name"] for row in rows][: len(BUILT_IN)] == list(BUILT_IN)
    first = rows[list(BUILT_IN).index("kubernetes")]
    assert (first["built_in"], first["module"]) == (True, "klepaas_plugins.kubernetes.plugin")
    stranger = rows[-1]
    assert (stranger["state"], stranger["built_in"], stranger["tools"]) == ("failed", False, [])
    assert (stranger["distribution"], stranger["version"]) == (thief, "6.6")
    assert "is reserved for the plugin built into klepaas" in stranger["reason"]


def test_a_refused_claimant_does_not_take_the_owner_down(distribute: Distribute, installed: Installed) -> None:
    distribute("aaa", THIEF.replace("stolen", "kept"), plugin="shared")
    distribute("bbb", THIEF, plugin="shared")

    plugins = Plugins(Settings(), installed())

    assert [(p.distribution, p.state) for p in plugins.all] == [
        ("aaa", PluginState.ACTIVE),
        ("bbb", PluginState.FAILED),
    ]
    from klepaas.host import Host
    from klepaas.tools import Tool

    tools = [item.item.name for item in plugins.contributions("klepaas_tools", Tool, host=Host(Settings()))]
    assert tools == ["kept"]


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_strangers_with_one_name_the_same_one_stays_whatever_the_order(
    reverse: bool, distribute: Distribute, installed: Installed
) -> None:
    distribute("first", THIEF, plugin="shared", version="1.1")
    distribute("second", THIEF, plugin="shared", version="2.2")
    found = sorted(installed(), key=lambda point: point.value, reverse=reverse)

    plugins = Plugins(Settings(), found)

    assert [(p.source, p.state) for p in plugins.all] == [
        ("first 1.1", PluginState.ACTIVE),
        ("second 2.2", PluginState.FAILED),
    ]
    assert plugins.all[1].reason == "the name 'shared' is already taken by first 1.1"


@pytest.mark.parametrize("stranger_first", [False, True])
def test_a_distribution_that_calls_itself_klepaas_is_not_built_in_and_hides_nothing(
    stranger_first: bool, distribute: Distribute, klepaas: Klepaas, site: Path, tmp_path: Path
) -> None:
    distribute("klepaas", THIEF, version="99.0", entry_points="[klepaas]\nkubernetes = thief_plugin\n")
    (site / "klepaas_plugin.py").rename(site / "thief_plugin.py")
    distribute("klepaas", version="0.1.0", folder=tmp_path / "ours", entry_points=OURS)
    path = [site, tmp_path / "ours"] if stranger_first else [tmp_path / "ours", site]

    rows = rows_of(klepaas("plugins", "list", "--json", path=path, built_in=True))

    assert [(row["name"], row["built_in"]) for row in rows] == [
        *((name, True) for name in BUILT_IN),
        ("kubernetes", False),
    ]
    assert (rows[-1]["state"], rows[-1]["version"]) == ("failed", "99.0")


def test_built_in_plugins_come_first_whatever_their_names(distribute: Distribute, klepaas: Klepaas) -> None:
    for name in ("AAA", "0first", "a-stranger"):
        distribute(name, THIEF.replace("stolen", f"tool_of_{name.replace('-', '_')}"))

    rows = rows_of(klepaas("plugins", "list", "--json", built_in=True))

    assert [row["name"] for row in rows] == [*BUILT_IN, "0first", "AAA", "a-stranger"]


def test_a_distribution_that_is_on_the_path_twice_is_one_plugin(
    distribute: Distribute, klepaas: Klepaas, site: Path, tmp_path: Path
) -> None:
    distribute("twice", THIEF)
    distribute("twice", THIEF, folder=tmp_path / "older", version="0.9")

    rows = rows_of(klepaas("plugins", "list", "--json", path=[site, tmp_path / "older"]))

    assert [(row["name"], row["version"], row["state"]) for row in rows if not row["built_in"]] == [
        ("twice", "1.0", "active")
    ]


@pytest.mark.parametrize(
    ("entry_points", "reason"),
    [
        ("[klepaas]\nno equals sign\n", "its entry_points.txt cannot be read: "),
        ("[klepaas]\nodd = not a module!\n", "cannot be imported: "),
        ("[klepaas]\nodd = odd_plugin:missing\n", "cannot be imported: AttributeError: "),
        ("[klepaas]\nodd = odd_plugin:NOTHING\n", "cannot be registered: HookError: its entry point names nothing"),
        ("[klepaas]\nodd =\n", "cannot be imported: "),
    ],
)
def test_broken_metadata_of_one_distribution_harms_no_other(
    entry_points: str, reason: str, distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute("good", THIEF)
    distribute("odd", "NOTHING = None", entry_points=entry_points)

    strangers = [row for row in rows_of(klepaas("plugins", "list", "--json")) if not row["built_in"]]

    assert [(row["distribution"], row["version"], row["state"]) for row in strangers] == [
        ("good", "1.0", "active"),
        ("odd", "1.0", "failed"),
    ]
    assert strangers[1]["reason"].startswith(reason)


def test_a_distribution_without_metadata_is_loaded_as_unknown(
    distribute: Distribute, klepaas: Klepaas, site: Path
) -> None:
    distribute("bare", THIEF)
    (site / "bare-1.0.dist-info" / "METADATA").unlink()

    row = rows_of(klepaas("plugins", "list", "--json"))[-1]

    assert (row["name"], row["state"], row["distribution"], row["version"]) == ("bare", "active", "unknown", "")


def test_names_in_metadata_are_shown_without_what_acts_on_a_terminal(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("painted", THIEF, plugin="pain\x1b[31mted")

    done = klepaas("plugins", "list")

    assert "painted  active  painted 1.0" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_module_that_two_entry_points_name_is_one_plugin_and_one_refusal(
    distribute: Distribute, installed: Installed
) -> None:
    distribute("pair", THIEF, entry_points="[klepaas]\none = pair_plugin\ntwo = pair_plugin\n")

    plugins = Plugins(Settings(), installed())

    assert [(p.name, p.state) for p in plugins.all] == [("one", PluginState.ACTIVE), ("two", PluginState.FAILED)]
    assert plugins.all[1].reason is not None
    assert "already registered" in plugins.all[1].reason


def test_a_disabled_plugin_is_not_even_imported(distribute: Distribute, klepaas: Klepaas) -> None:
    distribute("off", "raise SystemExit(9)")

    rows = rows_of(klepaas("plugins", "list", "--json", KLEPAAS_DISABLED_PLUGINS='["off", "kubernetes"]'))

    states = {row["name"]: (row["state"], row["reason"]) for row in rows}
    assert states["off"] == ("disabled", "disabled by the settings")
    assert states["kubernetes"] == ("disabled", "disabled by the settings")


def test_without_external_plugins_no_stranger_is_imported_and_none_is_a_failure(
    distribute: Distribute, klepaas: Klepaas
) -> None:
    distribute("off", "raise SystemExit(9)")
    distribute("thief", THIEF, plugin="kubernetes")

    done = klepaas("plugins", "list", "--json", "--strict-plugins", KLEPAAS_EXTERNAL_PLUGINS="false")

    strangers = [row for row in rows_of(done) if not row["built_in"]]
    assert [(row["name"], row["state"]) for row in strangers] == [("kubernetes", "disabled"), ("off", "disabled")]
    assert {row["reason"] for row in strangers} == {"plugins of other distributions are off"}
