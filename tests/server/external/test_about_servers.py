"""The tools about external servers: what there is, how it is, finding the rest; `call_tool` opens nothing."""

import json
import re
from typing import Any

import pytest
from tests.server.external.conftest import QUICK, RULES, Fake, guarded, up
from tests.server.external.unfit_tools import UNFIT, WARNINGS

from klepaas.app import App
from klepaas.doctor import examine
from klepaas.external import ExternalProvider
from klepaas.hookspecs import hookimpl
from klepaas.testing import ERAS, Era, app_with, client
from klepaas_providers.providers import plugin

pytestmark = pytest.mark.anyio

each_era = pytest.mark.parametrize("era", ERAS)


def declaring(*providers: ExternalProvider) -> Any:
    @hookimpl
    def klepaas_external_providers(host: Any) -> Any:
        from klepaas.external.externals import Externals

        Externals.of(host).pace = QUICK
        return providers

    return klepaas_external_providers


def about(fake: Fake, mode: str = "writes", policy: Any = ({"decision": "auto"},), **said: Any) -> Any:
    """A klepaas with the tools about servers."""
    settings = {"mode": mode, "policy": policy}
    return app_with(plugin, declaring(fake.provider(**said)), settings=settings)


async def test_without_a_server_there_are_no_such_tools() -> None:
    async with app_with(plugin) as app, client(app) as session:
        assert await session.tools() == []


@each_era
async def test_they_say_which_servers_there_are_and_how(fake: Fake, era: Era) -> None:
    async with about(fake) as app, client(app, era) as session:
        await up(app)
        said = await session.call("list_providers")
        assert said.text.splitlines()[1].split("\t")[:6] == ["wiki", "generic", "connected", "3", "2", "0"]
        said = await session.call("provider_health", provider="wiki")
        assert "speaks MCP 2025-06-18, it calls itself fake 1" in said.text
        assert "breaker: closed" in said.text
        said = await session.call("provider_health", provider="none")
        assert (said.code, "There are: wiki" in said.text) == ("not_found", True)


async def test_a_server_that_is_down_is_said_to_be_with_its_last_error(fake: Fake) -> None:
    fake.does(boot="exit")
    async with about(fake) as app, client(app) as session:
        from tests.server.external.conftest import until

        await until(lambda: guarded(app).connection.last_error is not None)
        said = await session.call("provider_health")
        assert "ended with exit code 5; it said last: fatal: no access" in said.text
        assert "ghp_" not in said.text
        assert "tools: not known yet" in said.text
        assert ": connected" not in said.text


async def test_a_server_that_cannot_be_used_is_shown_with_its_problem(fake: Fake) -> None:
    async with about(fake, problem="WIKI_TOKEN is not set") as app, client(app) as session:
        said = await session.call("provider_health")
        assert "problem: WIKI_TOKEN is not set" in said.text
        said = await session.call("wiki_get_item", id="1")
        assert "WIKI_TOKEN is not set" in said.text
        assert any("WIKI_TOKEN" in result.finding.summary for result in await examine(app.plugins, app.host))
    assert fake.pids == []


@pytest.mark.parametrize("query", ["wipe", "remove", "everything removed at once: remove"])
async def test_a_search_finds_what_is_not_listed(fake: Fake, query: str) -> None:
    async with about(fake) as app, client(app) as session:
        await up(app)
        assert "wiki_wipe" not in [tool.name for tool in await session.tools()]
        said = await session.call("search_tools", query=query)
        assert said.text.startswith("wiki_wipe (destructive)\nwiki says: Remove all.")


async def test_a_search_shows_all_parameters(fake: Fake) -> None:
    async with about(fake) as app, client(app) as session:
        await up(app)
        said = await session.call("search_tools", query="get items")
        first, *_ = said.text.split("\n\n")
        head, _, required, parameters = first.splitlines()
        assert (head, required) == ("wiki_get_item (read)", "required: id")
        assert json.loads(parameters)["deep"] == {"type": "boolean"}
        assert "There are: wiki_get_item" in (await session.call("search_tools", query="zebra")).text


@each_era
async def test_call_tool_is_judged_as_the_tool_that_it_calls(fake: Fake, era: Era) -> None:
    """What a person has to confirm is asked for, and a no is a no."""
    async with about(fake, policy=()) as app:
        async with client(app, era, person=False) as session:
            await up(app)
            said = await session.call("call_tool", name="wiki_wipe", arguments={})
            assert said.is_error
            assert fake.calls == []
        async with client(app, era, person=True) as session:
            await up(app)
            said = await session.call("call_tool", name="wiki_wipe", arguments={})
            assert said.text == "wipe is done: ok"
        async with client(app, era) as session:
            await up(app)
            assert (await session.call("call_tool", name="wiki_wipe", arguments={})).is_error
    assert len(fake.calls) == 1


async def test_a_plan_confirms_a_call_through_call_tool(fake: Fake) -> None:
    policy = ({"decision": "confirm", "confirm_without_human": True},)
    async with about(fake, policy=policy) as app, client(app) as session:
        await up(app)
        said = await session.call("call_tool", name="wiki_wipe", arguments={})
        assert fake.calls == []
        plan_id = re.search(r"plan_id[^A-Za-z0-9_-]+([A-Za-z0-9_-]{8,})", said.text)
        assert plan_id is not None
        said = await session.call("call_tool", name="wiki_wipe", arguments={}, plan_id=plan_id[1])
        assert said.text == "wipe is done: ok"


async def test_a_confirmation_shows_what_would_be_sent_and_sends_nothing_before(fake: Fake) -> None:
    """Also where the tool has a parameter that is called like our dry run."""
    from fastmcp import Client

    asked: list[str] = []

    async def answer(message: str, *_: Any) -> dict[str, bool]:
        asked.append(message)
        assert fake.calls == []
        return {"confirm": True}

    rules: Any = {**RULES, "save_item": [RULES["wipe"]]}
    async with about(fake, policy=(), tools=rules) as app, Client(app.server, elicitation_handler=answer) as raw:
        await up(app)
        arguments = {"id": "7", "text": "hello ghp_" + "c" * 36, "dry_run": True}
        await raw.call_tool("wiki_save_item", arguments)
    (question,) = asked
    assert "'save_item' of the MCP server wiki" in question
    assert "id: 7" in question
    assert "ghp_" not in question
    assert [call["arguments"] for call in fake.calls] == [arguments]


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "nowhere"},
        {"name": "list_providers"},
        {"name": "call_tool", "arguments": {"name": "wiki_wipe"}},
        {"name": 7},
        {},
        {"name": "wiki_wipe", "arguments": "x"},
        {"name": "wiki_wipe", "arguments": {}, "more": 1},
    ],
    ids=str,
)
async def test_call_tool_leads_nowhere_else(fake: Fake, arguments: dict[str, Any]) -> None:
    async with about(fake) as app, client(app) as session:
        await up(app)
        said = await session.call("call_tool", **arguments)
        assert said.code in ("not_found", "bad_request")
    assert fake.calls == []


@pytest.mark.parametrize("mode", ["read-only", "writes"])
async def test_call_tool_hints_at_the_worst_that_it_can_reach(fake: Fake, mode: str) -> None:
    async with about(fake, mode=mode) as app, client(app) as session:
        await up(app)
        (tool,) = [tool for tool in await session.tools() if tool.name == "call_tool"]
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (mode == "read-only")


async def test_what_there_is_beside_a_server_costs_little(fake: Fake) -> None:
    async with about(fake) as app, client(app) as session:
        await up(app)
        own = [tool for tool in await session.tools() if not tool.name.startswith("wiki_")]
        size = sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in own)
        assert [tool.name for tool in own] == ["call_tool", "list_providers", "provider_health", "search_tools"]
        assert size < 1900, size


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "was called without id"),
        ({"idd": "1"}, "Did you mean id?"),
        ({"id": "\ud800"}, "is not a valid text"),
        ({"id": "1", "deep": {"a": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}}, "nested too deeply"),
    ],
    ids=["missing", "unknown", "half", "deep"],
)
async def test_wrong_arguments_end_at_the_gate(fake: Fake, arguments: dict[str, Any], said: str) -> None:
    async with about(fake) as app, client(app) as session:
        await up(app)
        try:
            answer = await session.call("wiki_get_item", **arguments)
        except (UnicodeEncodeError, ValueError):
            return
        assert (answer.code, said in answer.text) == ("bad_request", True)
    assert fake.calls == []


async def test_health_and_doctor_say_what_is_closed(fake: Fake) -> None:
    async with about(fake, strict=True) as app, client(app) as session:
        await up(app)
        said = await session.call("provider_health")
        assert "closed until `klepaas providers trust wiki save_item`: save_item" in said.text
        findings = [result.finding for result in await examine(app.plugins, app.host)]
        assert any(finding.repair == "klepaas providers trust wiki" for finding in findings)
        assert _registered(app)


async def test_tools_whose_names_or_properties_a_client_would_drop_are_named_by_the_doctor(fake: Fake) -> None:
    fake.does(tools=UNFIT)
    async with about(fake) as app, client(app):
        await up(app)
        said = [result.finding.summary for result in await examine(app.plugins, app.host)]
    assert [warning for warning in WARNINGS if not any(warning in text for text in said)] == []


@pytest.mark.parametrize("arguments", ['{"id": "1"}', {"id": "1"}], ids=["text", "object"])
async def test_call_tool_takes_its_arguments_as_text_or_as_an_object(fake: Fake, arguments: Any) -> None:
    async with about(fake) as app, client(app) as session:
        await up(app)
        said = await session.call("call_tool", name="wiki_get_item", arguments=arguments)
    assert not said.is_error, said.text
    assert fake.calls[-1]["arguments"] == {"id": "1"}


async def test_arguments_that_are_no_json_object_are_named_and_nothing_is_called(fake: Fake) -> None:
    async with about(fake) as app, client(app) as session:
        await up(app)
        said = await session.call("call_tool", name="wiki_wipe", arguments='{"id": ')
    assert "arguments is not a JSON object" in said.text
    assert fake.calls == []


def _registered(app: App) -> bool:
    return app.externals.server("wiki") is not None
