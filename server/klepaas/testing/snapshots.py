"""Snapshots of schemas: one JSON file a plugin, so that a change of what clients see is a diff that somebody reads."""

import difflib
import json
import os
from pathlib import Path
from typing import Any

from klepaas.app import App
from klepaas.catalogue import Entry

__all__ = ["UPDATE_VARIABLE", "assert_schema_snapshot", "schema_of"]

UPDATE_VARIABLE = "KLEPAAS_UPDATE_SNAPSHOTS"


def assert_schema_snapshot(app: App, path: Path, *, plugin: str | None = None) -> None:
    """The tools are declared as the file says; with `KLEPAAS_UPDATE_SNAPSHOTS=1` the file is written instead.

    Args:
        app: The klepaas.
        path: The file.
        plugin: Of which plugin. None: of all there are.

    Raises:
        AssertionError: They are declared otherwise; with the difference.
    """
    now = json.dumps(schema_of(app, plugin), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    if os.environ.get(UPDATE_VARIABLE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(now, encoding="utf-8")
        return
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if before != now:
        names = (f"{path.name} as it is kept", f"{path.name} as it is now")
        difference = "\n".join(difflib.unified_diff(before.splitlines(), now.splitlines(), *names, lineterm="", n=2))
        raise AssertionError(
            f"what clients see of the tools has changed; where that is meant, run the test with {UPDATE_VARIABLE}=1 "
            f"and say so in the changelog\n{difference}"
        )


def schema_of(app: App, plugin: str | None = None) -> dict[str, Any]:
    """Everything that a client sees of the tools, and their effects, by name.

    Args:
        app: The klepaas.
        plugin: Of which plugin. None: of all there are.
    """
    entries = [entry for entry in app.catalogue if plugin in (None, entry.plugin.name)]
    return {entry.tool.name: _shown(entry) for entry in entries}


def _shown(entry: Entry) -> dict[str, Any]:
    listed = entry.mcp.to_mcp_tool().model_dump(mode="json", by_alias=True, exclude_none=True)
    listed.pop("name")
    return {**listed, "effect": entry.tool.effect.value if entry.tool.effect else None, "toolset": entry.tool.toolset}
