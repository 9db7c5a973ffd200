"""A walk over every tool of every installed plugin: what each must declare, and what all of them may cost.

A new tool is in here by being installed; nothing has to be added to a list.
"""

import inspect
import json
import re
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from fastmcp import Client

from klepaas.app import App, create_app
from klepaas.catalogue import Entry
from klepaas.errors import BadRequest
from klepaas.parameters import Places
from klepaas.settings import Mode, Settings
from klepaas.tools import Effect, Tool

# What every conversation of every user pays (design, section 4).
OF_CLUSTERS = ("kubernetes", "applications", "operations")
LIST_MAX_BYTES = 18_000
LIST_MAX_TOOLS = 22
DESCRIPTION_MAX_CHARS = 400
TITLE_MAX_CHARS = 40
# A client gives up after about a minute; a tool that streams progress may take longer, but not for ever.
TIMEOUT_MAX_S = 900.0

HOSTILE = ["nul\x00", "esc\x1b[0m", "\x9b0m", "half\ud800", "x" * 20_000_001]


def _app() -> App:
    return create_app(Settings(mode=Mode.WRITES, strict_plugins=True, disabled_plugins=(), external_plugins=False))


def entries() -> list[Entry]:
    """Every tool of the installed plugins."""
    return list(_app().catalogue)


each_tool = pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.tool.name)


def test_there_are_tools() -> None:
    assert {"k8s_get", "deploy_application"} <= {entry.tool.name for entry in entries()}


@each_tool
def test_it_declares_what_it_does(entry: Entry) -> None:
    tool = entry.tool
    assert isinstance(tool.effect, Effect)
    assert re.fullmatch(r"[a-z][a-z0-9_]{2,39}", tool.name)
    assert re.fullmatch(r"[a-z][a-z0-9-]*", tool.toolset)
    assert 3 <= len(tool.title) <= TITLE_MAX_CHARS
    assert 0 < tool.timeout_s <= TIMEOUT_MAX_S


@each_tool
def test_its_hints_say_what_it_can_do_at_its_worst(entry: Entry) -> None:
    hints = entry.mcp.annotations
    assert hints is not None
    effect = entry.tool.effect
    assert hints.read_only_hint is (effect is Effect.READ)
    assert hints.destructive_hint is (entry.tool.at_worst is Effect.DESTRUCTIVE)
    # A free manifest can take objects, rights and owners away; no pods at all is an application that is gone.
    fields = entry.mcp.parameters["properties"]
    free = {"manifest", "manifests", "command"} & set(fields) or fields.get("replicas", {}).get("minimum") == 0
    if free and effect is not Effect.READ:
        assert hints.destructive_hint is True
    assert hints.idempotent_hint is (effect is Effect.READ or entry.tool.idempotent)
    assert hints.open_world_hint is entry.tool.open_world


def test_what_goes_back_to_something_earlier_is_hinted_as_destructive() -> None:
    """Whoever puts a former state back takes away what came since."""
    back = {"rollback_deployment", "cancel_operation"}
    hints = {entry.tool.name: entry.mcp.annotations for entry in entries()}
    assert all(hints[name].destructive_hint for name in back)  # type: ignore[union-attr]


@each_tool
def test_its_name_and_its_effect_do_not_contradict(entry: Entry) -> None:
    """A name is what a model chooses by: one that reads may not change, one that deletes must say so."""
    reads = re.search(r"(?:^|_)(?:get|list|describe|logs|events|status|overview|find|show)(?:_|$)", entry.tool.name)
    destroys = re.search(r"(?:^|_)(?:delete|destroy|purge|remove|drain)(?:_|$)", entry.tool.name)
    if reads:
        assert entry.tool.effect is Effect.READ
    if destroys:
        assert entry.tool.effect is Effect.DESTRUCTIVE


@each_tool
def test_its_description_is_one_that_a_model_can_choose_by(entry: Entry) -> None:
    description = entry.mcp.description or ""
    assert 20 <= len(description) <= DESCRIPTION_MAX_CHARS
    assert re.match(r"[A-Z][^.]{10,200}[.:]", description), "the first sentence says what it does"
    assert not re.search(r"\b(?:Args|Returns|Raises):|TODO|<[A-Z]+>", description)
    assert not re.search(r" {2}|\t| \n", description)


@each_tool
def test_its_schema_is_small_and_plain(entry: Entry) -> None:
    schema = entry.mcp.parameters
    text = json.dumps(schema)
    assert schema["type"] == "object"
    assert schema.get("additionalProperties") is False
    assert "$ref" not in text
    assert "$defs" not in text
    assert entry.mcp.output_schema is None
    assert '"title"' not in json.dumps(list(schema["properties"].values()))
    assert list(schema["properties"]) == list(entry.tool.parameters)
    assert "ctx" not in schema["properties"]


@each_tool
def test_its_parameters_are_named_and_described_shortly(entry: Entry) -> None:
    for name, parameter in entry.mcp.parameters["properties"].items():
        assert re.fullmatch(r"[a-z][a-z0-9_]{1,29}", name)
        assert len(parameter.get("description", "")) <= 200
        if re.search(r"(?:timeout|wait|since|delay|interval|ttl)$", name):
            pytest.fail(f"{name} of {entry.tool.name} does not carry its unit")


@each_tool
def test_every_text_it_takes_is_checked(entry: Entry) -> None:
    for name, path, value in _hostile_values(entry.tool):
        with pytest.raises(BadRequest, match=name):
            entry.tool.verify({name: value})
        assert path


@each_tool
def test_every_place_of_its_schema_that_takes_text_has_a_check(entry: Entry) -> None:
    """The schema says what clients may send; the checks must cover all of it."""
    for name, schema in entry.mcp.parameters["properties"].items():
        _compare(schema, entry.tool.parameters[name], f"{name} of {entry.tool.name}")


@each_tool
def test_its_function_is_typed_and_documented(entry: Entry) -> None:
    function = entry.tool.function
    hints = typing.get_type_hints(function)
    assert set(inspect.signature(function).parameters) <= set(hints)
    assert "return" in hints
    assert inspect.getdoc(function)


def _hostile_values(tool: Tool) -> Iterator[tuple[str, str, Any]]:
    for name, places in tool.parameters.items():
        for path, wrap in _texts(places):
            for value in HOSTILE:
                yield name, path, wrap(value)


def _texts(places: Places | None) -> Iterator[tuple[str, Any]]:
    """Each place of a value where text may stand, and what builds a value with a text there."""
    if places is None:
        return
    if places.text:
        yield "text", lambda text: text
    if places.key:
        yield "key", lambda text: {text: None}
    for path, wrap in _texts(places.item):
        yield f"item.{path}", lambda text, wrap=wrap: [wrap(text)]
    for name, field in (places.fields or {}).items():
        for path, wrap in _texts(field):
            yield f"field.{path}", lambda text, name=name, wrap=wrap: {name: wrap(text)}
    for path, wrap in _texts(places.value):
        yield f"value.{path}", lambda text, wrap=wrap: {"a": wrap(text)}


def _compare(schema: dict[str, Any], places: Places, where: str) -> None:
    for option in schema.get("anyOf", [schema]):
        if "enum" in option or "const" in option:
            continue
        kind = option.get("type")
        assert kind in ("string", "integer", "number", "boolean", "null", "array", "object"), f"{where}: {option}"
        if kind == "string":
            assert places.text, where
        elif kind == "array":
            assert places.item is not None, where
            _compare(option["items"], places.item, where)
        elif kind == "object" and "properties" in option:
            assert option["additionalProperties"] is False, where
            assert places.fields is not None, where
            assert list(places.fields) == list(option["properties"]), where
            for name, field in places.fields.items():
                _compare(option["properties"][name], field, f"{name} of {where}")
        elif kind == "object":
            assert places.value is not None, where
            assert isinstance(option["additionalProperties"], dict), where
            assert places.key or "propertyNames" in option, where
            _compare(option["additionalProperties"], places.value, where)


@pytest.mark.anyio
@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_the_whole_list_stays_affordable(era: Any, record_property: Any) -> None:
    app = _app()
    clusters = {entry.tool.name for entry in app.catalogue if entry.tool.toolset in OF_CLUSTERS}
    async with Client(app.server, mode=era) as client:
        tools = [tool for tool in await client.list_tools() if tool.name in clusters]
    sizes = {tool.name: len(tool.model_dump_json(by_alias=True, exclude_none=True).encode()) for tool in tools}
    total = sum(sizes.values())
    record_property("tools_list_bytes", total)
    print(f"\n{len(tools)} tools, {total} bytes")
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"  {size:6d}  {name}")
    assert len(tools) <= LIST_MAX_TOOLS
    assert total <= LIST_MAX_BYTES
    assert max(sizes.values()) <= 2_500


@pytest.mark.anyio
async def test_the_list_is_the_same_in_both_eras_and_every_time() -> None:
    seen = []
    for era in ("legacy", "auto", "auto"):
        mode: Any = era
        async with Client(_app().server, mode=mode) as client:
            seen.append([tool.model_dump() for tool in await client.list_tools()])
    assert seen[0] == seen[1] == seen[2]
