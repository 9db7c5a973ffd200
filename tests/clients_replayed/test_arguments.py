"""Clients that look at arguments before they call: Gemini CLI and Qwen Code at the whole schema, Continue at what is
required. What they refuse, klepaas never sees, and the model reads their words alone.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from tests.promises.calls import SAMPLES, plausible

from klepaas.testing import scale_timeout
from klepaas.tools import Tool

from .conftest import Site
from .player import Player, text_of
from .rows import ROWS, Row
from .wire import connected

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(30))]

CHECKING = [row for row in ROWS if row.checks]
each_checking_row = pytest.mark.parametrize("row", CHECKING, ids=lambda row: row.name)


def test_gemini_and_qwen_check_the_schema_and_continue_what_is_required() -> None:
    assert {row.name: row.checks for row in CHECKING} == {
        "Gemini CLI": "schema",
        "Qwen Code": "schema",
        "Continue": "required",
    }


def calls_of(tool: Tool, properties: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The plain call of a tool, and one with a value for everything that there is a sample for."""
    yield plausible(tool)
    choices = {name: properties[name]["enum"][0] for name in tool.parameters if "enum" in properties[name]}
    yield {name: SAMPLES[name] for name in tool.parameters if name in SAMPLES} | plausible(tool) | choices


@each_checking_row
async def test_every_sensible_call_of_every_tool_passes_what_the_client_checks(row: Row, site: Site) -> None:
    async with connected(site.app) as wire:
        player = Player(row, wire, row.version)
        await player.connect()
        listed = await player.tools()
    tools = [entry.tool for entry in site.app.catalogue if entry.tool.name in listed]
    assert len(tools) > 20
    refused = [
        f"{tool.name}({arguments}): {refusal}"
        for tool in tools
        for arguments in calls_of(tool, listed[tool.name]["inputSchema"]["properties"])
        if (refusal := player.refusal(tool.name, arguments)) is not None
    ]
    assert refused == []


async def test_every_schema_is_one_that_a_client_can_check_by(site: Site) -> None:
    async with connected(site.app) as wire:
        player = Player(CHECKING[0], wire, CHECKING[0].version)
        await player.connect()
        for tool in (await player.tools()).values():
            Draft202012Validator.check_schema(tool["inputSchema"])


@each_checking_row
async def test_what_is_missing_is_named_by_the_client_and_klepaas_is_not_called(row: Row, site: Site) -> None:
    async with connected(site.app) as wire:
        player = Player(row, wire, row.version)
        await player.connect()
        listed = await player.tools()
        before = player.heard
        for tool in (entry.tool for entry in site.app.catalogue if entry.tool.name in listed):
            for name in _required(tool):
                arguments = {key: value for key, value in plausible(tool).items() if key != name}
                result = await player.call(tool.name, **arguments)
                assert result["isError"], tool.name
                assert f"'{name}'" in text_of(result), tool.name
        assert player.heard == before


def _required(tool: Tool) -> list[str]:
    parameters = inspect.signature(tool.function).parameters
    return [name for name in tool.parameters if parameters[name].default is inspect.Parameter.empty]
