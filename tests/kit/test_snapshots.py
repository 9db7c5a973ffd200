"""A schema snapshot is a file that shows what clients see, and a change of it is a readable difference."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from klepaas.testing import UPDATE_VARIABLE, app_with, assert_schema_snapshot

pytestmark = pytest.mark.anyio

Build = Callable[..., ModuleType]


async def test_it_is_written_when_asked_for_and_compared_otherwise(
    plugin: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "snapshots" / "things.json"
    async with app_with(plugin()) as app:
        with pytest.raises(AssertionError, match=f"run the test with {UPDATE_VARIABLE}=1"):
            assert_schema_snapshot(app, kept)
        monkeypatch.setenv(UPDATE_VARIABLE, "1")
        assert_schema_snapshot(app, kept)
        monkeypatch.delenv(UPDATE_VARIABLE)
        assert_schema_snapshot(app, kept)
        assert_schema_snapshot(app, kept, plugin="things")
    shown = json.loads(kept.read_text())
    assert list(shown) == ["things_get", "things_stop"]
    assert shown["things_stop"]["effect"] == "write"
    assert shown["things_get"]["inputSchema"]["properties"]["name"] == {"description": "Which.", "type": "string"}


async def test_a_change_is_told_line_by_line(plugin: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "things.json"
    monkeypatch.setenv(UPDATE_VARIABLE, "1")
    async with app_with(plugin()) as app:
        assert_schema_snapshot(app, kept)
    monkeypatch.delenv(UPDATE_VARIABLE)
    async with app_with(plugin(("Only with this label.", "Only so labelled."))) as app:
        with pytest.raises(AssertionError) as caught:
            assert_schema_snapshot(app, kept)
    changed = [line.strip() for line in str(caught.value).splitlines() if line[:1] in "+-" and line[1:2] == " "]
    assert changed == [
        '-          "description": "Only with this label.",',
        '+          "description": "Only so labelled.",',
    ]
