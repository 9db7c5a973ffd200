"""A tool whose annotations are text until somebody asks for them works like any other."""

import importlib.util
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from mcp_types import TextContent

from klepaas.app import create_app
from klepaas.plugins import Plugins
from klepaas.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_tool_with_postponed_annotations_is_checked_listed_and_called(
    era: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("postponed", Path(__file__).with_name("future_annotations.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "postponed", module)
    spec.loader.exec_module(module)
    settings = Settings()
    app = create_app(settings, Plugins(settings, [EntryPoint("postponed", "postponed", "klepaas")]))
    async with Client(app.server, mode=era) as client:
        (tool,) = await client.list_tools()
        assert list(tool.input_schema["properties"]) == ["name", "count", "values"]
        result = await client.call_tool("read_later", {"name": "web", "values": {"a": "b"}})
        assert result.content == [TextContent(type="text", text="web 1 {'a': 'b'}")]
        for arguments in ({"name": ".."}, {"name": "web", "values": {"../x": "b"}}):
            refused = await client.call_tool("read_later", arguments, raise_on_error=False)
            assert (refused.meta or {})["code"] == "bad_request"
