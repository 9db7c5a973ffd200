"""The tools about operations, through a whole server and a real client session."""

import re
import typing
from collections.abc import AsyncIterator, Iterable
from typing import Any

import anyio
import pytest

from klepaas.app import App
from klepaas.hookspecs import hookimpl
from klepaas.operations import Interrupted, Kind, Operations, Outcome, Run, State
from klepaas.principals import Principal, current_principal
from klepaas.testing import ERAS, Era, app_with, client
from klepaas_plugins.operations import plugin
from klepaas_plugins.operations.tools import StateName

pytestmark = pytest.mark.anyio

WRITES = {"mode": "writes"}
each_era = pytest.mark.parametrize("era", ERAS)


async def shelve(run: Run) -> Outcome:
    async def put() -> dict[str, Any]:
        return {}

    await run.step("put", put)
    await run.report(1, 2, "put; waiting")
    await anyio.sleep(run.operation.request["for_s"])
    return Outcome(State.SUCCEEDED, "Momo stands on the shelf", {"place": 7})


async def tidy(run: Run, reason: Interrupted) -> Outcome:
    return Outcome(State.CANCELLED, "Momo is back on the cart")


@hookimpl
def klepaas_operation_kinds() -> Iterable[Kind]:
    yield Kind("shelve", shelve, tidy=tidy)


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with app_with(plugin, klepaas_operation_kinds, settings=WRITES) as found:
        yield found


async def shelving(app: App, for_s: float, principal: Principal | None = None) -> str:
    asked = await Operations.of(app.host).submit(
        "shelve", target=f"shelf {for_s}", title="Shelving Momo", request={"for_s": for_s},
        principal=principal or current_principal(),
    )  # fmt: skip
    return asked.id


@each_era
async def test_an_operation_is_looked_at_and_waited_for(app: App, era: Era) -> None:
    async with client(app, era=era) as session:
        operation_id = await shelving(app, 0.3)
        under_way = await session.call("get_operation", operation_id=operation_id)
        ended = await session.call("get_operation", operation_id=operation_id, wait_s=20)
        listed = await session.call("get_operation")
        data = await session.call("get_operation", operation_id=operation_id, output="json")
    assert re.fullmatch(
        rf"{operation_id}: Shelving Momo: running, for \d+s(\nput; waiting)?(\n- put: (done|under way))?\nIt goes on .*"
        r"\nLooked at .*",
        under_way.text,
    ), under_way.text
    assert ended.text.splitlines()[1] == "Momo stands on the shelf"
    assert ended.operation_id == operation_id
    found = data.json()
    assert (found["result"], found["id"], found["state"]) == ({"place": 7}, operation_id, "succeeded")
    assert listed.text.splitlines()[1].split("\t")[:3] == [operation_id, "succeeded", "Shelving Momo"]


async def test_a_cancel_ends_an_operation_in_order(app: App) -> None:
    async with client(app) as session:
        operation_id = await shelving(app, 30)
        ended = await session.call("cancel_operation", operation_id=operation_id)
        again = await session.call("cancel_operation", operation_id=operation_id)
    for said in (ended, again):
        assert (said.text.splitlines()[1], ": cancelled " in said.text) == ("Momo is back on the cart", True)


@pytest.mark.parametrize("tool", ["get_operation", "cancel_operation"])
async def test_the_operation_of_somebody_else_is_not_found(app: App, tool: str) -> None:
    async with client(app) as session:
        operation_id = await shelving(app, 30, Principal("bert", "http"))
        answer = await session.call(tool, operation_id=operation_id)
        assert (await session.call("get_operation")).text == "No operations."
    assert answer.code == "not_found"
    assert f"There is no operation '{operation_id}'" in answer.text


async def test_where_nothing_was_ever_done_there_is_nothing(app: App) -> None:
    async with client(app) as session:
        assert (await session.call("get_operation")).text == "No operations."
        answer = await session.call("get_operation", operation_id="op-0123456789ab")
    assert answer.code == "not_found"


async def test_a_name_that_is_no_operation_is_refused(app: App) -> None:
    async with client(app) as session:
        answer = await session.call("get_operation", operation_id="../etc")
    assert answer.code == "bad_request"


async def test_one_tool_reads_operations_and_one_cancels_them(app: App) -> None:
    async with client(app) as session:
        named = [tool.name for tool in await session.tools() if "operation" in tool.name]
    assert sorted(named) == ["cancel_operation", "get_operation"]


async def test_operations_are_filtered_by_state(app: App) -> None:
    async with client(app) as session:
        running = await shelving(app, 30)
        done = await shelving(app, 0)
        await session.call("get_operation", operation_id=done, wait_s=20)
        listed = await session.call("get_operation", state="running")
        both = await session.call("get_operation", state="running", operation_id=running)
        data = await session.call("get_operation", state="running", output="json")
    assert [line.split("\t")[:2] for line in listed.text.splitlines()[1:-1]] == [[running, "running"]]
    assert [(one["id"], one["state"]) for one in data.json()["operations"]] == [(running, "running")]
    assert both.is_error
    assert "Leave out state" in both.text


def test_every_state_can_be_asked_for() -> None:
    assert list(typing.get_args(StateName)) == [state.value for state in State]
