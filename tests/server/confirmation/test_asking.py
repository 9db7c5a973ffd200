"""A change that needs a confirmation is made after a person's clear yes, once, and never without it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import anyio
import pytest
from fastmcp import Client
from mcp_types import ElicitResult

from klepaas.testing import scale_timeout

from .conftest import CONFIRM_WRITES, Person

pytestmark = pytest.mark.anyio

Meet = Callable[..., Client[Any]]
Audited = Callable[[], list[dict[str, Any]]]


async def _call(client: Client[Any], tool: str, **arguments: Any) -> tuple[str, str | None]:
    """What a call answers: its text, and the error's code."""
    with anyio.fail_after(scale_timeout(20)):
        result = await client.call_tool(tool, arguments, raise_on_error=False)
    code = (result.meta or {})["code"] if result.is_error else None
    return result.content[0].text, code  # type: ignore[union-attr]


async def test_a_destructive_change_is_made_when_the_person_confirms(meet: Meet, world: ModuleType) -> None:
    person = Person(True)
    async with meet(person) as client:
        assert await _call(client, "delete", name="web") == ("Deleted web.", None)
    assert world.done == ["deleted web"]
    assert len(person.read) == 1


async def test_the_person_reads_what_would_change_and_not_what_a_model_says(meet: Meet) -> None:
    person = Person(False)
    async with meet(person) as client:
        await _call(client, "delete", name="web")
    (read,) = person.read
    assert "Tool: delete (destructive)" in read
    assert "Target: thing web in namespace shop of context prod-1" in read
    assert "  Would delete web" in read
    assert "hunter2" not in read
    assert "\x1b" not in read
    # A text that a stranger wrote cannot pass for a line of klepaas' own.
    assert "\n  Nothing is changed." in read


@pytest.mark.parametrize(
    "answer",
    [
        False,
        "decline",
        "cancel",
        RuntimeError("the client is broken"),
        ElicitResult(action="accept", content={}),
        ElicitResult(action="accept", content=None),
        ElicitResult(action="accept", content={"confirm": "true"}),
        ElicitResult(action="accept", content={"confirm": 1}),
        ElicitResult(action="accept", content={"other": True}),
        ElicitResult(action="decline", content={"confirm": True}),
    ],
    ids=str,
)
async def test_whatever_is_not_a_clear_yes_changes_nothing(
    meet: Meet, world: ModuleType, audited: Audited, answer: Any, era: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # FastMCP's own client looks at what it sends from 4.2 on; others do not.
    monkeypatch.setattr("fastmcp.client.elicitation._validate_form_content", lambda *_: None, raising=False)
    async with meet(Person(answer)) as client:
        if isinstance(answer, Exception) and era == "auto":
            with pytest.raises(Exception, match="broken"):  # the client itself gives up
                await _call(client, "delete", name="web")
            return
        text, code = await _call(client, "delete", name="web")
    assert code == "forbidden"
    assert "nothing was changed" in text
    assert world.done == []
    (row,) = audited()
    assert (row["event"], row["tool"]) == ("refused", "delete")


async def test_a_write_is_made_at_once_unless_the_policy_says_otherwise(meet: Meet, world: ModuleType) -> None:
    person = Person(False)
    async with meet(person) as client:
        assert (await _call(client, "scale", name="web", replicas=2))[1] is None
    assert (world.done, person.read) == (["scaled web to 2"], [])
    async with meet(person, CONFIRM_WRITES) as client:
        assert (await _call(client, "scale", name="web", replicas=3))[1] == "forbidden"
    assert world.done == ["scaled web to 2"]
    assert "    replicas: 3" in person.read[0]


async def test_a_rule_decides_by_the_target_that_defaults_stand_for(meet: Meet, world: ModuleType) -> None:
    person = Person(False)
    rules = '[{"context": "prod*", "decision": "confirm"}, {"context": "dev", "decision": "auto"}]'
    async with meet(person, rules) as client:
        assert (await _call(client, "delete", name="web"))[1] == "forbidden"  # the default context is prod-1
        assert (await _call(client, "delete", name="web", context="dev"))[1] is None
        assert (await _call(client, "delete", name="web", context="prod-2"))[1] == "forbidden"
        assert (await _call(client, "wipe"))[1] == "forbidden"  # nobody knows what it wipes
    assert world.done == ["deleted web"]


async def test_a_dry_run_needs_no_confirmation_and_is_not_recorded(
    meet: Meet, world: ModuleType, audited: Audited
) -> None:
    person = Person(False)
    async with meet(person) as client:
        assert (await _call(client, "delete", name="web", dry_run=True))[1] is None
    assert (world.done, person.read, audited()) == ([], [], [])


async def test_what_only_looks_like_a_dry_run_is_none(meet: Meet, world: ModuleType) -> None:
    async with meet(Person(False)) as client:
        for value in ("false", 0, None, "no"):
            _, code = await _call(client, "delete", name="web", dry_run=value)
            assert code in ("forbidden", "bad_request")
    assert world.done == []


async def test_wrong_arguments_and_refused_changes_are_answered_before_anybody_is_asked(meet: Meet) -> None:
    person = Person(True)
    async with meet(person, CONFIRM_WRITES) as client:
        assert (await _call(client, "scale", name="web", replicas="many"))[1] == "bad_request"
        assert (await _call(client, "scale", name="../web", replicas=1))[1] == "bad_request"
        assert (await _call(client, "delete"))[1] == "bad_request"
        assert (await _call(client, "delete", name="missing"))[1] == "conflict"
    assert person.read == []


async def test_a_tool_without_a_preview_shows_its_name_and_its_arguments_without_secrets(meet: Meet) -> None:
    person = Person(False)
    async with meet(person) as client:
        await _call(client, "wipe", note="line 1\nthe person said yes", api_key="abcdefgh")
    (read,) = person.read
    assert "Wipe (wipe):" in read
    assert "Target: " not in read
    assert "the person said yes" not in read
    assert "abcdefgh" not in read


async def test_what_changed_in_the_meantime_is_asked_anew(meet: Meet, world: ModuleType) -> None:
    world.drift[:] = [" and 1 more", " and 2 more", " and 2 more"]
    person = Person(True)
    async with meet(person) as client:
        assert (await _call(client, "delete", name="web"))[1] is None
    first, second = person.read
    assert "and 1 more" in first
    assert second.startswith("Something else would change now")
    assert "and 2 more" in second
    assert world.done == ["deleted web"]


async def test_a_preview_counts_as_different_where_only_its_basis_differs(meet: Meet, world: ModuleType) -> None:
    async def meddle() -> dict[str, bool]:
        world.world["web"] = len(person.read) + 1
        return {"confirm": True}

    person = Person(meddle)
    async with meet(person, CONFIRM_WRITES) as client:
        text, code = await _call(client, "scale", name="web", replicas=9)
    assert code == "conflict"
    assert "nothing was changed" in text
    assert world.done == []
    assert 2 < len(person.read) < 6


async def test_nobody_answers_in_time_and_everything_is_free_again(
    meet: Meet, world: ModuleType, audited: Audited
) -> None:
    async def think() -> dict[str, bool]:
        await anyio.sleep(0.3)
        return {"confirm": True}

    person = Person(think, True)
    async with meet(person, confirm_timeout_s=0.1, max_concurrent_calls=1) as client:
        text, code = await _call(client, "delete", name="web")
        assert code == "forbidden"
        assert "nothing was changed" in text
        assert world.done == []
        assert audited()[-1]["outcome"] in ("timed_out", "used")
        assert (await _call(client, "delete", name="web"))[1] is None


async def test_the_client_is_told_that_a_person_is_waited_for(klepaas: Callable[..., Any]) -> None:
    told: list[str] = []
    heard = anyio.Event()

    async def hear(_done: float, _total: float | None, message: str | None) -> None:
        told.append(str(message))
        heard.set()

    async def think() -> dict[str, bool]:
        with anyio.fail_after(scale_timeout(5)):
            await heard.wait()
        return {"confirm": True}

    async with Client(klepaas().server, mode="legacy", elicitation_handler=Person(think)) as client:
        await client.call_tool("delete", {"name": "web"}, progress_handler=hear)
    assert told == ["Waiting for a person to confirm the change"]


async def test_not_more_than_half_of_the_calls_may_wait_for_people(klepaas: Callable[..., Any]) -> None:
    asked, go = anyio.Event(), anyio.Event()

    async def think() -> dict[str, bool]:
        asked.set()
        await go.wait()
        return {"confirm": True}

    codes: list[str | None] = []
    server = klepaas(max_concurrent_calls=2).server
    async with Client(server, mode="legacy", elicitation_handler=Person(think)) as client:

        async def first() -> None:
            codes.append((await _call(client, "delete", name="web"))[1])

        async with anyio.create_task_group() as group:
            group.start_soon(first)
            with anyio.fail_after(scale_timeout(5)):
                await asked.wait()
            assert (await _call(client, "delete", name="db"))[1] == "conflict"
            go.set()
    assert codes == [None]
