"""What the audit says of calls through the whole server."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest
from fastmcp import Client
from mcp.shared.exceptions import MCPError

from klepaas.app import App
from klepaas.testing import scale_timeout

from .conftest import CONFIRM_WRITES, Person

pytestmark = pytest.mark.anyio

Meet = Callable[..., Client[Any]]
Audited = Callable[[], list[dict[str, Any]]]


async def test_a_change_has_an_intent_and_an_outcome_that_belong_together(meet: Meet, audited: Audited) -> None:
    async with meet(Person(True)) as client:
        await client.call_tool("scale", {"name": "web", "replicas": 2})
        await client.call_tool("delete", {"name": "web"})
        await client.call_tool("fail", raise_on_error=False)
        await client.call_tool("history")
    rows = audited()
    assert [(row["tool"], row["event"], row.get("confirmed"), row.get("outcome"), row.get("code")) for row in rows] == [
        ("scale", "intent", "auto", None, None),
        ("scale", "outcome", None, "ok", None),
        ("delete", "intent", "person", None, None),
        ("delete", "outcome", None, "ok", None),
        ("fail", "intent", "auto", None, None),
        ("fail", "outcome", None, "error", "conflict"),
    ]
    assert len({row["change"] for row in rows}) == 3
    assert rows[0]["change"] == rows[1]["change"]
    assert rows[0]["correlation_id"] == rows[1]["correlation_id"]
    assert rows[2]["targets"] == [{"context": "prod-1", "namespace": "shop", "kind": "thing", "name": "web"}]
    assert rows[0]["principal"]["transport"] == "memory"


async def test_the_intent_is_there_while_the_change_is_being_made_and_a_cancelled_one_is_concluded(
    meet: Meet, audited: Audited, world: ModuleType
) -> None:
    async with meet(Person(True)) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "hang")
            with anyio.fail_after(scale_timeout(5)):
                while not world.done:  # noqa: ASYNC110 -- the tool tells nobody that it began
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        assert world.done == ["began"]
        with anyio.fail_after(scale_timeout(5)):
            while len(audited()) < 2:  # noqa: ASYNC110 -- the file tells nobody that it grew
                await anyio.sleep(0.02)
    assert [(row["event"], row.get("outcome")) for row in audited()] == [("intent", None), ("outcome", "cancelled")]


async def test_what_cannot_be_put_on_record_is_not_changed(
    meet: Meet, world: ModuleType, tmp_path: Path, era: Any
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    async with meet(Person(True)) as client:
        for tool, arguments in (("scale", {"name": "web", "replicas": 2}), ("delete", {"name": "web"}), ("wipe", {})):
            result = await client.call_tool(tool, arguments, raise_on_error=False)
            assert result.is_error
            assert (result.meta or {})["code"] == "unavailable"
        assert not (await client.call_tool("history")).is_error
    assert world.done == []


async def test_no_secret_of_the_arguments_is_recorded_or_shown(meet: Meet, tmp_path: Path) -> None:
    person = Person(True)
    secret = "Tr0ub4dor-and-3"
    async with meet(person, CONFIRM_WRITES) as client:
        await client.call_tool("wipe", {"note": f"the password is {secret}", "api_key": secret}, raise_on_error=False)
        await client.call_tool("delete", {"name": "web", "context": f"token={secret}"}, raise_on_error=False)
    assert secret not in (tmp_path / "state" / "audit.jsonl").read_text()
    assert all(secret not in message for message in person.read)


async def test_the_gates_refusals_are_counted(klepaas: Callable[..., App]) -> None:
    app = klepaas()
    async with Client(app.server, elicitation_handler=Person(False)) as client:
        await client.call_tool("wipe", raise_on_error=False)
    exposition = app.metrics.exposition()[0].decode()
    assert 'mcp_gate_refusals_total{reason="not_confirmed"} 1.0' in exposition


async def test_a_broken_wire_while_a_person_is_asked_changes_nothing(
    klepaas: Callable[..., App], world: ModuleType
) -> None:
    asked = anyio.Event()

    async def never() -> dict[str, bool]:
        asked.set()
        await anyio.sleep_forever()
        return {"confirm": True}

    async with Client(klepaas().server, mode="legacy", elicitation_handler=Person(never)) as client:

        async def call() -> None:
            try:
                await client.call_tool("wipe", raise_on_error=False)
            except (MCPError, RuntimeError):
                return

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            with anyio.fail_after(scale_timeout(5)):
                await asked.wait()
            group.cancel_scope.cancel()
    assert world.done == []
