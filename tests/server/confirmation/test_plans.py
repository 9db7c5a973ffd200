"""Clients that cannot ask a person are refused, or, where the policy says so, shown a plan that they may confirm."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import anyio
import pytest
from fastmcp import Client

from klepaas.output.safe import safe_text
from klepaas.plans.handles import is_handle, new_handle
from klepaas.testing import scale_timeout

from .conftest import Person

pytestmark = pytest.mark.anyio

Meet = Callable[..., Client[Any]]
ALLOWED = '[{"decision": "confirm", "confirm_without_human": true}]'
PARTLY = '[{"context": "dev", "decision": "confirm", "confirm_without_human": true}]'


async def _call(client: Client[Any], tool: str, **arguments: Any) -> Any:
    with anyio.fail_after(scale_timeout(20)):
        return await client.call_tool(tool, arguments, raise_on_error=False)


async def _plan(client: Client[Any], **arguments: Any) -> str:
    result = await _call(client, "delete", **arguments)
    assert not result.is_error
    assert result.content[0].text.startswith("Nothing was changed yet")
    assert f'plan_id="{result.meta["plan_id"]}"' in result.content[0].text
    return str(result.meta["plan_id"])


async def test_a_client_that_cannot_ask_is_refused_with_the_plan_and_what_to_do(
    meet: Meet, world: ModuleType, audited: Callable[[], list[dict[str, Any]]]
) -> None:
    async with meet(None) as client:
        result = await _call(client, "delete", name="web")
        listed = {tool.name: tool for tool in await client.list_tools()}
    text = result.content[0].text
    assert (result.meta or {})["code"] == "forbidden"
    assert "thing web in namespace shop of context prod-1 needs a person's confirmation" in text
    assert "use a client that can ask a person" in text
    assert f"klepaas confirm {(result.meta or {})['plan_id']}" in text
    assert "  Would delete web" in text
    assert "hunter2" not in text
    assert "plan_id" not in text, "no parameter of the catalogue is named"
    assert "plan_id" not in str(listed["delete"].input_schema)
    assert world.done == []
    assert [(row["event"], row["outcome"]) for row in audited()] == [("refused", "cannot_ask")]


async def test_without_the_policys_leave_a_plan_id_is_an_unknown_parameter(meet: Meet, world: ModuleType) -> None:
    async with meet(None) as client:
        result = await _call(client, "delete", name="web", plan_id="x" * 22)
    assert (result.meta or {})["code"] == "bad_request"
    assert world.done == []


async def test_a_plan_is_confirmed_by_its_id_once_where_the_policy_says_so(
    meet: Meet, world: ModuleType, audited: Callable[[], list[dict[str, Any]]]
) -> None:
    async with meet(None, ALLOWED) as client:
        listed = {tool.name: tool.input_schema for tool in await client.list_tools()}
        assert "plan_id" in listed["delete"]["properties"]
        assert "plan_id" not in listed["history"].get("properties", {})
        plan_id = await _plan(client, name="web")
        assert world.done == []
        assert not (await _call(client, "delete", name="web", plan_id=plan_id)).is_error
        again = await _call(client, "delete", name="web", plan_id=plan_id)
    assert again.is_error
    assert "there is no such plan" in again.content[0].text
    assert world.done == ["deleted web"]
    intent = next(row for row in audited() if row["event"] == "intent")
    assert intent["confirmed"] == "without_human"


async def test_a_plan_belongs_to_its_tool_and_arguments(meet: Meet, world: ModuleType) -> None:
    async with meet(None, ALLOWED) as client:
        for tool, other in (
            ("delete", {"name": "db"}),
            ("delete", {"name": "web", "context": "dev"}),
            ("wipe", {}),
            ("scale", {"name": "web", "replicas": 1}),
        ):
            plan_id = await _plan(client, name="web")
            result = await _call(client, tool, **other, plan_id=plan_id)
            assert (result.meta or {})["code"] == "forbidden", (tool, other)
        for wrong in ("x", "\x00", plan_id[:-1], plan_id + "x", plan_id.upper(), "plan-" * 12):
            assert (await _call(client, "delete", name="web", plan_id=wrong)).is_error
        assert (await _call(client, "delete", name="web", plan_id=["a"])).is_error
    assert world.done == []


@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "empty"])
async def test_a_plan_id_that_a_strict_client_sends_for_not_given_is_none(
    meet: Meet, world: ModuleType, nothing: str | None
) -> None:
    async with meet(None, ALLOWED) as client:
        first = await _call(client, "delete", name="web", plan_id=nothing)
        assert "Nothing was changed yet" in first.content[0].text
        assert world.done == []
        plan_id = await _plan(client, name="web")
        # The same wish in another form is what was shown.
        second = await _call(client, "delete", name="web", context=nothing, plan_id=plan_id)
    assert not second.is_error, second.content[0].text
    assert world.done == ["deleted web"]


async def test_a_plan_that_would_do_something_else_now_is_shown_anew(meet: Meet, world: ModuleType) -> None:
    world.drift[:] = ["", " and 1 more", " and 1 more"]
    async with meet(None, ALLOWED) as client:
        first = await _plan(client, name="web")
        second = await _plan(client, name="web", plan_id=first)
        assert world.done == []
        assert not (await _call(client, "delete", name="web", plan_id=second)).is_error
    assert world.done == ["deleted web"]


def test_no_handle_looks_like_a_secret_to_redaction() -> None:
    for _ in range(2000):
        text = f'call delete again with plan_id="{(handle := new_handle())}", or run klepaas confirm {handle}'
        assert safe_text(text) == text
        assert is_handle(handle)


async def test_the_leave_counts_only_for_the_targets_of_its_rule(meet: Meet, world: ModuleType) -> None:
    async with meet(None, PARTLY) as client:
        plan_id = await _plan(client, name="web", context="dev")
        assert not (await _call(client, "delete", name="web", context="dev", plan_id=plan_id)).is_error
        for arguments in ({"name": "web"}, {"name": "web", "context": "prod-2"}):
            result = await _call(client, "delete", **arguments)
            assert (result.meta or {})["code"] == "forbidden"
    assert world.done == ["deleted web"]


async def test_where_a_person_can_be_asked_no_plan_id_counts(meet: Meet, world: ModuleType) -> None:
    person = Person(True)
    async with meet(None, ALLOWED) as client:
        plan_id = await _plan(client, name="web")
    async with meet(person, ALLOWED) as client:
        assert (await _call(client, "delete", name="web", plan_id=plan_id)).is_error
    assert (world.done, person.read) == ([], [])


async def test_a_dry_run_may_carry_a_plan_id_and_uses_none_up(meet: Meet, world: ModuleType) -> None:
    async with meet(None, ALLOWED) as client:
        plan_id = await _plan(client, name="web")
        assert not (await _call(client, "delete", name="web", dry_run=True, plan_id=plan_id)).is_error
        assert not (await _call(client, "delete", name="web", plan_id=plan_id)).is_error
    assert world.done == ["deleted web"]
