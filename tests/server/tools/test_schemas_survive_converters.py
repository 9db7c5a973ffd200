"""What converters of schemas do to ours: nothing of a schema may be in what a strict one drops.

OpenAI's strict mode requires every property and drops what an object may hold besides named ones; Gemini refuses
objects without properties; Codex drops defaults and limits. The converters themselves run where their packages are
(`make clients`); this walk needs none, and names the construct that would be lost.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from klepaas.app import create_app
from klepaas.catalogue import Entry
from klepaas.external.entries import call_any
from klepaas.plugins import Plugin
from klepaas.settings import Mode, Settings

# All that a schema of ours is written in: what every converter knows, and limits, which may be dropped.
_KEPT = {"type", "properties", "required", "additionalProperties", "items", "enum", "description"}
_LIMITS = {"default", "minimum", "maximum", "minItems", "maxItems"}
_TYPES = {"string", "integer", "number", "boolean", "array", "object"}


def _entries() -> list[Entry]:
    settings = Settings(mode=Mode.WRITES, strict_plugins=True, disabled_plugins=(), external_plugins=False)
    app = create_app(settings)
    entries = list(app.catalogue)
    plugin: Plugin = entries[0].plugin
    return [*entries, *(call_any(mode, plugin) for mode in (Mode.READ_ONLY, Mode.WRITES))]


def _parts(schema: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A schema and every schema in it, each with where it stands."""
    yield where, schema
    for name, part in schema.get("properties", {}).items():
        yield from _parts(part, f"{where}.{name}")
    if "items" in schema:
        yield from _parts(schema["items"], f"{where}[]")


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as OpenAI's strict mode takes it: every property required, others refused, limits and defaults gone."""
    kept = {key: value for key, value in schema.items() if key not in _LIMITS}
    if schema.get("type") == "object":
        properties = {name: strict(part) for name, part in schema.get("properties", {}).items()}
        kept |= {"properties": properties, "required": [*properties], "additionalProperties": False}
    if "items" in schema:
        kept["items"] = strict(schema["items"])
    return kept


each_tool = pytest.mark.parametrize("entry", _entries(), ids=lambda entry: entry.tool.name)


@each_tool
def test_no_schema_has_a_map_whose_keys_it_does_not_name(entry: Entry) -> None:
    for where, part in _parts(entry.mcp.parameters, entry.tool.name):
        assert part.get("additionalProperties", False) is False, f"{where} is a free map"
        if part.get("type") == "object" and where != entry.tool.name:
            assert part.get("properties"), f"{where} is an object without named fields"


@each_tool
def test_every_schema_is_written_in_what_every_converter_keeps(entry: Entry) -> None:
    for where, part in _parts(entry.mcp.parameters, entry.tool.name):
        assert set(part) <= _KEPT | _LIMITS, f"{where} uses {set(part) - _KEPT - _LIMITS}"
        assert part.get("type") in _TYPES, f"{where} does not have one type: {part.get('type')}"
        assert (part.get("type") == "array") == ("items" in part), where
        assert all(isinstance(choice, str) for choice in part.get("enum", ())), f"{where}: Gemini takes texts alone"
        assert part.get("default") not in ([], {}), f"{where} has a default that is nothing"


@each_tool
def test_strict_mode_loses_no_parameter_no_field_no_choice_and_no_description(entry: Entry) -> None:
    before, after = entry.mcp.parameters, strict(entry.mcp.parameters)
    seen = [(where, part.get("enum"), part.get("description")) for where, part in _parts(before, "")]
    assert [(where, part.get("enum"), part.get("description")) for where, part in _parts(after, "")] == seen
    assert all(part for _, part in _parts(after, ""))
    assert all(part.get("properties") for where, part in _parts(after, "") if part["type"] == "object" and where)


def test_the_resources_of_a_container_are_an_object_of_four_named_fields() -> None:
    deploy = next(entry for entry in _entries() if entry.tool.name == "deploy_application")
    resources = deploy.mcp.parameters["properties"]["resources"]
    assert list(resources["properties"]) == ["cpu", "memory", "cpu_limit", "memory_limit"]
    assert resources["additionalProperties"] is False
    assert {field["type"] for field in resources["properties"].values()} == {"string"}


def test_environment_variables_are_a_list_of_texts_that_says_how_one_is_set_and_removed() -> None:
    deploy = next(entry for entry in _entries() if entry.tool.name == "deploy_application")
    variables = deploy.mcp.parameters["properties"]["env_vars"]
    assert variables["type"] == "array"
    assert variables["items"] == {"type": "string"}
    assert "NAME=value" in variables["description"]
    assert "removes" in variables["description"]
