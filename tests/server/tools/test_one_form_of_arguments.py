"""Whatever form a client sends a call's arguments in, what follows sees one: a walk over every tool, in each form."""

import json
from typing import Annotated, Any

import pytest
from pydantic import Field
from typing_extensions import TypedDict

from klepaas import names
from klepaas.app import create_app
from klepaas.catalogue import Entry
from klepaas.hookspecs import hookimpl
from klepaas.host import Host
from klepaas.normalization import normalize
from klepaas.parameters import Places
from klepaas.settings import Mode, Settings
from klepaas.testing import ERAS, app_with, client
from klepaas.testing.clients import Era
from klepaas.testing.samples import sensible
from klepaas.tools import Effect, Tool

# What the checks alone cannot tell, and one of each kind that is no text.
SAMPLES: dict[str, Any] = {
    "env_vars": ["LOG_LEVEL=debug"],
    "resources": {"cpu": "100m"},
    "command": ["id"],
    "replicas": 2,
    "dry_run": True,
    "limit": 5,
    "operation_id": "op-0123456789ab",
    "silence_id": "7d8b5b0e-2d0f-4a3c-9e39-0f4d3a1c2b10",
    "matchers": ["alertname=ShopDown"],
    "manifests": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n",
}


def _entries() -> list[Entry]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLEPAAS_K8S_EXEC", "true")
        patch.setenv("KLEPAAS_PROMETHEUS_BASE_URL", "http://127.0.0.1:9")
        patch.setenv("KLEPAAS_ALERTMANAGER_URL", "http://127.0.0.1:9")
        patch.setenv("KLEPAAS_ALERTMANAGER_WEBHOOK_TOKEN", "a-token-for-the-tests")
        settings = Settings(mode=Mode.WRITES, strict_plugins=True, disabled_plugins=(), external_plugins=False)
        return list(create_app(settings).catalogue)


each_tool = pytest.mark.parametrize("entry", _entries(), ids=lambda entry: entry.tool.name)
each_era = pytest.mark.parametrize("era", ERAS)


def _required(entry: Entry) -> dict[str, Any]:
    needed = entry.schema.get("required", ())
    return {name: value for name, value in sensible(entry, SAMPLES).items() if name in needed}


def _optional(entry: Entry) -> list[str]:
    return [name for name in entry.schema["properties"] if name not in entry.schema.get("required", ())]


@each_tool
@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "empty"])
def test_null_and_empty_are_absent_for_every_optional_parameter_of_every_tool(
    entry: Entry, nothing: str | None
) -> None:
    needed = _required(entry)
    assert entry.normalize({**needed, **dict.fromkeys(_optional(entry), nothing)}) == needed


@each_tool
def test_what_every_tool_takes_is_taken_as_json_text_where_it_is_no_text(entry: Entry) -> None:
    plain = sensible(entry, SAMPLES)
    as_text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in plain.items()}
    assert entry.normalize(as_text) == entry.normalize(plain)
    entry.tool.verify(entry.normalize(as_text))


@each_tool
def test_a_required_parameter_is_never_dropped(entry: Entry) -> None:
    for nothing in (None, ""):
        given = dict.fromkeys(entry.schema.get("required", ()), nothing)
        assert entry.normalize(given) == given


LIST = {"type": "array", "items": {"type": "string"}}
NUMBER = {"type": "integer"}
FLAG = {"type": "boolean", "default": False}
FREE = Places(names.TEXT)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (LIST, '["a", "b"]', ["a", "b"]),
        (LIST, "[]", []),
        (LIST, "null", "absent"),
        (LIST, " ", "absent"),
        (LIST, '{"a": 1}', '{"a": 1}'),
        (LIST, "a,b", "a,b"),
        (LIST, '["a"', '["a"'),
        (LIST, "[" * 100_000, "[" * 100_000),
        (LIST, [""], [""]),
        (LIST, [None], [None]),
        (NUMBER, "5", 5),
        (NUMBER, "5.5", "5.5"),
        (NUMBER, "true", "true"),
        (NUMBER, "NaN", "NaN"),
        (NUMBER, "9" * 10_000, "9" * 10_000),
        (NUMBER, "None", "absent"),
        ({"type": "number"}, "5.5", 5.5),
        (FLAG, "true", True),
        (FLAG, "False", False),
        (FLAG, "1", "1"),
        (FLAG, "", "absent"),
        ({"type": "string", "enum": ["a", "b"]}, "", "absent"),
        ({"enum": ["", "b"]}, "", ""),
        ({"type": "string"}, "null", "null"),
        ({"type": "string"}, "[1]", "[1]"),
        ({"type": "string"}, "", ""),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": "a"}, None, "absent"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 1}, "", "absent"),
        ({}, "", ""),
        ({"$ref": "#/elsewhere"}, "[1]", "[1]"),
    ],
    ids=str,
)
def test_json_text_is_read_only_where_no_text_is_taken_and_empty_is_absent_where_it_can_never_be_valid(
    schema: dict[str, Any], value: Any, expected: Any
) -> None:
    found = normalize({"properties": {"it": schema}}, {"it": FREE}, {"it": value})
    assert found == ({} if expected == "absent" else {"it": expected})
    assert all(type(found[name]) is type(expected) for name in found)


def test_what_no_schema_names_is_left_for_the_check_that_refuses_it() -> None:
    given = {"unknown": None, "other": ""}
    assert normalize({"properties": {}}, {}, given) == given


def test_a_null_that_the_schema_of_another_server_names_is_a_value_of_it() -> None:
    nullable = {"properties": {"it": {"type": ["integer", "null"]}, "other": NUMBER}}
    assert normalize(nullable, {}, {"it": None, "other": None}, keep_null=True) == {"it": None}
    assert normalize(nullable, {}, {"it": None, "other": None}) == {}


class Limits(TypedDict, total=False):
    """What may be used."""

    cpu: Annotated[str, names.QUANTITY]
    note: Annotated[str, names.TEXT]


seen: list[dict[str, Any]] = []


@hookimpl
def klepaas_tools(host: Host) -> list[Tool]:
    async def order(
        name: Annotated[str, names.OBJECT],
        note: Annotated[str | None, names.TEXT] = None,
        count: Annotated[int, Field(ge=1)] = 3,
        limits: Limits | None = None,
        variables: Annotated[list[Annotated[str, names.ENVIRONMENT_ASSIGNMENT]] | None, Field()] = None,
        tags: dict[Annotated[str, names.OBJECT], Annotated[str | None, names.TEXT]] | None = None,
    ) -> str:
        """Order something, to see what arrives."""
        seen.append({"note": note, "count": count, "limits": limits, "variables": variables, "tags": tags})
        return name

    return [Tool(order, Effect.READ, "Order", "test")]


@each_era
@pytest.mark.anyio
async def test_values_inside_a_parameter_stay_as_they_were_sent(era: Era) -> None:
    seen.clear()
    async with app_with(klepaas_tools) as app, client(app, era) as session:
        wanted = {
            "name": "web",
            "note": "",
            "limits": {"cpu": "", "note": ""},
            "variables": ["EMPTY="],
            "tags": {"empty": "", "gone": None},
        }
        said = await session.call("order", **wanted)
    assert not said.is_error, said.text
    assert seen == [
        {
            "note": "",
            "count": 3,
            "limits": {"note": ""},
            "variables": ["EMPTY="],
            "tags": {"empty": "", "gone": None},
        }
    ]


@each_era
@pytest.mark.anyio
async def test_the_same_wish_in_every_form_arrives_as_the_same_arguments(era: Era) -> None:
    seen.clear()
    forms: list[dict[str, Any]] = [
        {"count": 5, "limits": {"cpu": "1"}, "variables": ["A=1", "B"]},
        {"count": "5", "limits": '{"cpu": "1"}', "variables": '["A=1", "B"]', "note": None, "tags": ""},
        {"count": 5, "limits": {"cpu": "1", "note": None}, "variables": {"A": "1", "B": None}, "tags": "null"},
        {"count": 5, "limits": '{"cpu": "1"}', "variables": '{"A": 1, "B": null}', "tags": None},
    ]
    async with app_with(klepaas_tools) as app, client(app, era) as session:
        for form in forms:
            said = await session.call("order", name="web", **form)
            assert not said.is_error, (form, said.text)
    assert len(seen) == len(forms)
    assert all(one == seen[0] for one in seen)
