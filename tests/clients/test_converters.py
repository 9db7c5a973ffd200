"""Every schema goes through the converters of OpenAI's strict mode, Gemini and LangChain, and nothing of it is lost."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout

from .environments import SAMPLE, environment

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

CONVERTERS = ("openai_strict", "google_genai", "langchain_openai", "langchain_openai_strict", "langchain_google")
Schema = Mapping[str, Any]


async def _tools(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """All tools that klepaas can list, with what they take."""
    monkeypatch.setenv("KUBECONFIG", str(folder / "none"))
    monkeypatch.setenv("KLEPAAS_K8S_EXEC", "true")
    app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, strict_plugins=True, state_dir=folder))
    async with Client(app.server) as client:
        listed = await client.list_tools()
    return [{"name": one.name, "description": one.description, "schema": one.input_schema} for one in listed]


def _convert(tools: list[dict[str, Any]]) -> dict[str, dict[str, Schema]]:
    python = environment(SAMPLE) / "bin" / "python"
    script = Path(__file__).with_name("convert_schemas.py")
    done = subprocess.run(
        [python, script],
        input=json.dumps(tools),
        capture_output=True,
        text=True,
        timeout=scale_timeout(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    converted: dict[str, dict[str, Schema]] = json.loads(done.stdout)
    return converted


def _kinds(schema: Schema) -> set[str]:
    """The types that a value may have, null left out: strict mode writes "may be absent" so."""
    kinds = schema.get("type", [])
    found = {str(kind).lower() for kind in (kinds if isinstance(kinds, list) else [kinds])}
    for branch in schema.get("anyOf") or schema.get("any_of") or ():
        found |= _kinds(branch)
    return found - {"null"}


def _branches(schema: Schema) -> Iterator[Schema]:
    yield schema
    for branch in schema.get("anyOf") or schema.get("any_of") or ():
        yield from _branches(branch)


def facts(schema: Schema, path: str = "") -> Iterator[tuple[str, str, str]]:
    """What a model needs of a schema: each place, and what may stand there."""
    for kind in _kinds(schema):
        yield path, "type", kind
    for one in _branches(schema):
        if one.get("description"):
            yield path, "description", one["description"]
        for value in one.get("enum") or ([one["const"]] if "const" in one else ()):
            yield path, "value", str(value)
        for name, below in (one.get("properties") or {}).items():
            yield from facts(below, f"{path}.{name}")
        if isinstance(one.get("items"), Mapping):
            yield from facts(one["items"], f"{path}[]")
        for name in one.get("required") or ():
            yield path, "required", name


def free_maps(schema: Schema, path: str = "") -> Iterator[str]:
    """Places where any key may stand: strict mode makes objects without properties of them, which Gemini refuses."""
    for one in _branches(schema):
        if "object" in _kinds(one) and not one.get("properties") and path:
            yield path
        for name, below in (one.get("properties") or {}).items():
            yield from free_maps(below, f"{path}.{name}")
        if isinstance(one.get("items"), Mapping):
            yield from free_maps(one["items"], f"{path}[]")


async def test_no_schema_holds_a_map_with_free_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = await _tools(tmp_path, monkeypatch)
    assert len(tools) > 20
    assert [f"{tool['name']}{place}" for tool in tools for place in free_maps(tool["schema"])] == []


async def test_no_converter_loses_anything_of_any_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = await _tools(tmp_path, monkeypatch)
    converted = _convert(tools)
    assert set(converted) == set(CONVERTERS)
    lost = [
        f"{converter}, {tool['name']}: {missing}"
        for converter, schemas in converted.items()
        for tool in tools
        for missing in _missing(tool["schema"], schemas[tool["name"]])
    ]
    assert lost == []


def _missing(before: Schema, after: Schema) -> list[Any]:
    if "error" in after:
        return [after["error"]]
    return sorted(set(facts(before)) - set(facts(after))) + sorted(set(free_maps(after)) - set(free_maps(before)))


@pytest.mark.parametrize(
    ("before", "after", "missing"),
    [
        (
            {"type": "object", "properties": {"a": {"type": "string"}}},
            {"type": "object", "properties": {}},
            [(".a", "type", "string")],
        ),
        (
            {"type": "array", "items": {"enum": ["x", "y"]}},
            {"type": "ARRAY", "items": {"enum": ["x"]}},
            [("[]", "value", "y")],
        ),
        ({"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, []),
        ({"type": "object"}, {"error": "refused"}, ["refused"]),
    ],
)
def test_what_a_converter_leaves_out_is_seen(before: Schema, after: Schema, missing: list[Any]) -> None:
    assert _missing(before, after) == missing
