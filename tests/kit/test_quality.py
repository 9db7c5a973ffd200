"""The quality scale: ten rules for each built-in plugin, each shown by files or excused by a reason."""

import tomllib
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from klepaas.app import App, create_app
from klepaas.plugins import Plugin
from klepaas.settings import Settings
from klepaas.testing import assert_schema_snapshot
from klepaas.testing.declarations import TIMEOUT_MAX_S

ROOT = Path(__file__).parents[2]
TABLE: dict[str, dict[str, Any]] = tomllib.loads((ROOT / "docs" / "quality.toml").read_text())
RULES = (
    *("documentation", "snapshot", "errors", "fake", "time_limits"),
    *("breaker", "doctor", "metrics", "redaction", "example"),
)
REASON_MIN_CHARS = 30
BUILT_IN = sorted(point.name for point in distribution("klepaas").entry_points if point.group == "klepaas")

each_plugin = pytest.mark.parametrize("name", BUILT_IN)
each_rule = pytest.mark.parametrize("rule", RULES)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """klepaas with its own plugins, as it is after an installation; nothing of it is started."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    # Some tools are there only when their server is configured; nobody asks it here.
    monkeypatch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KLEPAAS_ALERTMANAGER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KLEPAAS_ALERTMANAGER_WEBHOOK_TOKEN", "a-token-for-the-tests")
    return create_app(Settings(external_plugins=False, strict_plugins=True, disabled_plugins=(), state_dir=tmp_path))


def _excuse(entry: Any) -> str | None:
    return str(entry["exempt"]) if isinstance(entry, Mapping) else None


def _plugin(app: App, name: str) -> Plugin:
    return next(plugin for plugin in app.plugins.active if plugin.name == name)


def test_the_table_is_about_the_plugins_that_there_are() -> None:
    missing, gone = set(BUILT_IN) - set(TABLE), set(TABLE) - set(BUILT_IN)
    assert not missing, f"docs/quality.toml says nothing about {', '.join(missing)}; docs/quality.md lists the rules"
    assert not gone, f"docs/quality.toml is about {', '.join(gone)}, which klepaas does not have"


@each_plugin
def test_every_rule_is_answered(name: str) -> None:
    assert list(TABLE[name]) == list(RULES)


@each_plugin
@each_rule
def test_an_answer_is_files_that_are_there_or_a_reason(name: str, rule: str) -> None:
    entry = TABLE[name][rule]
    excuse = _excuse(entry)
    if excuse is not None:
        assert list(entry) == ["exempt"]
        assert len(excuse) >= REASON_MIN_CHARS, f"{excuse!r} is no reason"
        return
    assert entry, "an empty list shows nothing"
    for path in entry:
        assert (ROOT / path).exists(), f"{path} is not there"


@each_rule
def test_the_page_describes_every_rule(rule: str) -> None:
    assert f"| `{rule}` |" in (ROOT / "docs" / "quality.md").read_text()


@each_plugin
def test_its_page_names_every_tool(name: str, app: App) -> None:
    entry, tools = TABLE[name]["documentation"], _plugin(app, name).tools
    if _excuse(entry) is None:
        pages = "".join((ROOT / path).read_text() for path in entry)
        assert [tool for tool in tools if f"`{tool}`" not in pages] == []


@each_plugin
def test_clients_see_of_its_tools_what_the_snapshot_shows(name: str, app: App) -> None:
    entry = TABLE[name]["snapshot"]
    if _excuse(entry) is not None:
        assert _plugin(app, name).tools == [], "it has tools, so it needs a snapshot"
        return
    (path,) = entry
    assert_schema_snapshot(app, ROOT / path, plugin=name)


@each_plugin
def test_each_of_its_tools_ends_in_time(name: str, app: App) -> None:
    limits_s = {entry.tool.name: entry.tool.timeout_s for entry in app.catalogue if entry.plugin.name == name}
    assert {tool: limit_s for tool, limit_s in limits_s.items() if limit_s > TIMEOUT_MAX_S} == {}


@each_plugin
def test_doctor_looks_at_it_or_need_not(name: str, app: App) -> None:
    has_hook = "klepaas_doctor_checks" in _plugin(app, name).hooks
    assert has_hook is (_excuse(TABLE[name]["doctor"]) is None)


@each_plugin
def test_its_example_is_one_of_the_examples(name: str) -> None:
    entry = TABLE[name]["example"]
    if _excuse(entry) is None:
        assert all(path.startswith("examples/") and (ROOT / path / "README.md").exists() for path in entry)
