"""A person confirms a stored plan outside of the client; the gate then lets exactly that call through, once."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest
from fastmcp import Client

from klepaas.app import App
from klepaas.changes import ChangeSet, FieldChange, ObjectChange
from klepaas.plans.model import PlanState
from klepaas.plans.plan_store import PlanStore
from klepaas.store import engine
from klepaas.testing import scale_timeout

from .conftest import CONFIRM_WRITES, Person

pytestmark = pytest.mark.anyio

Build = Callable[..., App]
Audited = Callable[[], list[dict[str, Any]]]
SET = {"name": "web", "value": "2"}


async def _call(client: Client[Any], tool: str = "set_field", **arguments: Any) -> Any:
    with anyio.fail_after(scale_timeout(20)):
        return await client.call_tool(tool, arguments or SET, raise_on_error=False)


async def _refused_plan(client: Client[Any], tool: str = "set_field", **arguments: Any) -> str:
    """The id of the plan that a call of a client which cannot ask is answered with."""
    result = await _call(client, tool, **arguments)
    assert result.is_error
    plan_id = str(result.meta["plan_id"])
    assert f"`klepaas confirm {plan_id}`" in result.content[0].text
    return plan_id


async def _confirm(app: App, plan_id: str) -> None:
    """What `klepaas confirm` does once the person has typed the name; another process would."""
    plans = PlanStore.of(create_other(app).host)
    plan = await plans.get(plan_id)
    assert plan is not None
    assert await plans.confirm(plan, "alice (uid 1000)") is not None


def create_other(app: App) -> App:
    """Another process with the same settings: it shares nothing but the state folder."""
    from klepaas.app import create_app
    from klepaas.plugins import Plugins

    return create_app(app.settings, Plugins(app.settings, []))


async def test_what_a_person_confirmed_at_a_terminal_is_made_once_and_recorded_as_that(
    klepaas: Build, world: ModuleType, audited: Audited, era: Any
) -> None:
    app = klepaas(CONFIRM_WRITES)
    async with Client(app.server, mode=era) as client:
        plan_id = await _refused_plan(client)
        assert world.done == []
        await _confirm(app, plan_id)
        done = await _call(client)
        again = await _call(client)
    assert not done.is_error, done.content
    assert again.is_error, "a plan is used once"
    assert world.done == ["sent {'name': 'web', 'value': '2', 'was': '1'}"]
    (intent,) = (row for row in audited() if row["event"] == "intent")
    assert intent["confirmed"] == "terminal"
    assert intent["note"] == f"confirmed at a terminal by alice (uid 1000), plan {plan_id}"


async def test_the_call_may_come_to_another_server_that_shares_the_store(
    klepaas: Build, world: ModuleType, era: Any
) -> None:
    first, second = klepaas(CONFIRM_WRITES), klepaas(CONFIRM_WRITES)
    async with Client(first.server, mode=era) as client:
        await _confirm(first, await _refused_plan(client))
    async with Client(second.server, mode=era) as client:
        assert not (await _call(client)).is_error
    async with Client(first.server, mode=era) as client:
        assert (await _call(client)).is_error
    assert len(world.done) == 1


async def test_a_dry_run_names_its_plan_which_a_person_may_confirm_before_the_real_call(
    klepaas: Build, world: ModuleType, era: Any
) -> None:
    app = klepaas(CONFIRM_WRITES)
    async with Client(app.server, mode=era) as client:
        dry = await _call(client, **SET, dry_run=True)
        plan_id = dry.meta["plan_id"]
        assert f"`klepaas confirm {plan_id}`" in dry.content[0].text
        await _confirm(app, plan_id)
        assert not (await _call(client, **SET, dry_run=False)).is_error
    assert len(world.done) == 1


async def test_a_client_that_can_ask_uses_what_was_confirmed_at_a_terminal_and_asks_nobody(
    klepaas: Build, world: ModuleType, era: Any
) -> None:
    app, person = klepaas(CONFIRM_WRITES), Person(False)
    async with Client(app.server, mode=era, elicitation_handler=person) as client:
        dry = await _call(client, **SET, dry_run=True)
        await _confirm(app, dry.meta["plan_id"])
        assert not (await _call(client)).is_error
    assert person.read == []
    assert len(world.done) == 1


async def test_a_dry_run_of_what_is_made_at_once_names_its_plan_and_one_that_changes_nothing_has_none(
    klepaas: Build, era: Any
) -> None:
    async with Client(klepaas().server, mode=era) as client:
        dry = await _call(client, **SET, dry_run=True)
        nothing = await _call(client, name="web", value="1", dry_run=True)
    assert f"`klepaas plans show {dry.meta['plan_id']}`" in dry.content[0].text
    assert "plan-" not in nothing.content[0].text


@pytest.mark.parametrize(
    "other",
    [
        {"name": "db", "value": "2"},
        {"name": "web", "value": "3"},
        {"name": "web", "value": "2 "},
        {"name": "web", "value": "none"},
    ],
    ids=str,
)
async def test_a_plan_is_for_its_arguments_alone(klepaas: Build, world: ModuleType, other: dict[str, Any]) -> None:
    app = klepaas(CONFIRM_WRITES)
    async with Client(app.server) as client:
        await _confirm(app, await _refused_plan(client))
        assert (await _call(client, **other)).is_error
        assert world.done == []
        assert not (await _call(client)).is_error


async def test_a_plan_is_for_its_requester_alone(klepaas: Build, world: ModuleType) -> None:
    import mcp_types as mt

    app = klepaas(CONFIRM_WRITES)
    one, two = (mt.Implementation(name=name, version="1") for name in ("one", "two"))
    async with Client(app.server, client_info=one) as client:
        await _confirm(app, await _refused_plan(client))
    async with Client(app.server, client_info=two) as client:
        assert (await _call(client)).is_error
    assert world.done == []


async def test_what_changed_beneath_a_confirmed_plan_is_refused_with_the_reason_and_a_new_plan(
    klepaas: Build, world: ModuleType, audited: Audited, era: Any
) -> None:
    app = klepaas(CONFIRM_WRITES)
    async with Client(app.server, mode=era) as client:
        old = await _refused_plan(client)
        await _confirm(app, old)
        world.world["web"] = 7
        result = await _call(client)
        new = result.meta["plan_id"]
        assert "does not count any more: something else would change now" in result.content[0].text
        assert new != old
        assert "7 -> 2" in result.content[0].text
        world.world["web"] = 1
        assert (await _call(client)).is_error, "a plan that was found to be stale stays so"
        world.world["web"] = 7
        await _confirm(app, new)
        assert not (await _call(client)).is_error
    assert world.done == ["sent {'name': 'web', 'value': '2', 'was': '7'}"]
    assert [row["outcome"] for row in audited() if row["event"] == "refused"] == [
        "cannot_ask",
        "stale_plan",
        "cannot_ask",
    ]


async def test_what_only_the_basis_holds_is_told_apart_too(klepaas: Build, world: ModuleType) -> None:
    app = klepaas(CONFIRM_WRITES)
    async with Client(app.server) as client:
        await _confirm(app, await _refused_plan(client))
        world.basis[0] = ["another uid"]
        result = await _call(client)
    assert "what it rests on was changed since it was made" in result.content[0].text
    assert world.done == []


async def test_two_calls_at_once_use_one_plan_once(klepaas: Build, world: ModuleType) -> None:
    app = klepaas(CONFIRM_WRITES)
    failed: list[bool] = []
    async with Client(app.server) as client:
        await _confirm(app, await _refused_plan(client))

        async def call() -> None:
            failed.append((await _call(client)).is_error)

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(call)
    assert sorted(failed) == [False, True, True, True]
    assert len(world.done) == 1


async def test_what_a_client_declines_by_itself_stays_open_for_the_terminal_and_a_no_does_not(
    klepaas: Build, world: ModuleType, era: Any
) -> None:
    app = klepaas(CONFIRM_WRITES)
    plans = PlanStore.of(app.host)
    async with Client(app.server, mode=era, elicitation_handler=Person("decline")) as client:
        plan_id = await _refused_plan(client)
        await _confirm(app, plan_id)
        assert not (await _call(client)).is_error
    async with Client(app.server, mode=era, elicitation_handler=Person(False)) as client:
        assert "plan-" not in (await _call(client)).content[0].text
    assert [plan.state for plan in await plans.find()] == [PlanState.REFUSED, PlanState.USED]


@pytest.mark.parametrize("trouble", ["not a database", "a newer version", "the key is no key"])
async def test_a_broken_store_is_a_clear_refusal_and_changes_nothing(
    klepaas: Build, world: ModuleType, tmp_path: Path, era: Any, trouble: str
) -> None:
    folder = tmp_path / "state"
    _break(folder, trouble)
    person = Person(True)
    for asking in ({}, {"elicitation_handler": person}):
        async with Client(klepaas(CONFIRM_WRITES).server, mode=era, **asking) as client:
            result = await _call(client)
            dry = await _call(client, **SET, dry_run=True)
        assert result.is_error
        assert "was not run and nothing was changed" in result.content[0].text
        assert "its plan cannot be stored or looked up" in result.content[0].text
        assert not dry.is_error
        assert "No plan of it was stored: " in dry.content[0].text
    assert person.read == []
    assert world.done == []


async def test_a_locked_store_is_a_clear_refusal_and_changes_nothing(
    klepaas: Build, world: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.05)
    async with Client(klepaas(CONFIRM_WRITES).server) as client:
        await _refused_plan(client)
        other = sqlite3.connect(tmp_path / "state" / "klepaas.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        result = await _call(client)
        other.close()
        assert "was not run and nothing was changed" in result.content[0].text
        assert "locked" in result.content[0].text
        await _refused_plan(client)
    assert world.done == []


def _break(folder: Path, trouble: str) -> None:
    folder.mkdir(mode=0o700)
    if trouble == "the key is no key":
        (folder / "store.key").write_text("none\n")
        (folder / "store.key").chmod(0o600)
    elif trouble == "a newer version":
        with sqlite3.connect(folder / "klepaas.db") as made:
            made.executescript(
                "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES (9999)"
            )
        made.close()
    else:
        (folder / "klepaas.db").write_bytes(b"this is no database, and never was one" * 100)


async def test_the_store_and_its_log_hold_no_secret_of_a_plan(
    klepaas: Build, tmp_path: Path, world: ModuleType
) -> None:
    secret = "hunter2-9f86d081884c7d65"
    app = klepaas(CONFIRM_WRITES)
    async with Client(app.server) as client:
        plan_id = await _refused_plan(client, name="web", value=f"password={secret}")
        await _call(client, name="web", value=f"password={secret}", dry_run=True)
        _expect_absent(tmp_path / "state", secret)
        await _confirm(app, plan_id)
        assert not (await _call(client, name="web", value=f"password={secret}")).is_error
    _expect_absent(tmp_path / "state", secret)
    assert len(world.done) == 1


def _expect_absent(folder: Path, secret: str) -> None:
    for path in folder.iterdir():
        assert secret.encode() not in path.read_bytes(), path
        assert path.stat().st_mode & 0o077 == 0, path


async def test_the_plan_holds_a_long_change_whole_and_the_question_says_where(
    klepaas: Build, world: ModuleType
) -> None:
    person, app = Person(True), klepaas(CONFIRM_WRITES)
    planned: ChangeSet = await world.plan_field(**SET)
    fields = tuple(FieldChange(path=f"data.key{number}", before=None, after="word " * 9) for number in range(500))
    world.planned[0] = replace(planned, objects=(replace(planned.objects[0], fields=fields),))
    async with Client(app.server, elicitation_handler=person) as client:
        assert not (await _call(client)).is_error
    (plan,) = await PlanStore.of(app.host).find()
    assert f"`klepaas plans show {plan.id}`" in person.read[0]
    assert plan.content_digest[:16] in person.read[0]
    assert "data.key499" not in person.read[0]
    assert "data.key499" in "\n".join(plan.rendering.lines)


def _altered(changes: ChangeSet) -> list[ChangeSet]:
    """The same change with one thing different each."""
    (one,) = changes.objects
    (field,) = one.fields
    identity = one.identity

    def with_object(**parts: Any) -> ChangeSet:
        return replace(changes, objects=(replace(one, **parts),))

    texts: list[ObjectChange] = [
        replace(one, identity=replace(identity, **{name: "other"}))
        for name in ("kind", "name", "namespace", "context", "api_version", "uid")
    ]
    values = replace(field, path="other"), replace(field, before="other"), replace(field, after="other")
    return [
        replace(changes, title="other"),
        replace(changes, notes=("other",)),
        replace(changes, basis=["other"]),
        replace(changes, objects=(one, one)),
        *(replace(changes, objects=(other,)) for other in texts),
        with_object(fields=(field, field)),
        *(with_object(fields=(other,)) for other in values),
        with_object(fields=(replace(field, owners=("argocd",)),)),
        with_object(fields=(replace(field, hidden=True),)),
        with_object(fields=(replace(field, recreate=True),)),
        with_object(facts=(("image", "web:2"),)),
        with_object(not_checked="other"),
        with_object(body={**(one.body or {}), "more": 1}),
        with_object(body=None),
        with_object(basis={"uid": 1}),
    ]


async def test_every_part_of_a_change_set_that_differs_makes_the_plan_stale(klepaas: Build, world: ModuleType) -> None:
    app = klepaas(CONFIRM_WRITES)
    planned: ChangeSet = await world.plan_field(**SET)
    async with Client(app.server) as client:
        for altered in _altered(planned):
            world.planned[0] = None
            await _confirm(app, await _refused_plan(client))
            world.planned[0] = altered
            result = await _call(client)
            assert result.is_error, altered
            assert "does not count any more" in result.content[0].text, altered
    assert world.done == []


async def test_what_is_not_part_of_a_change_makes_no_plan_stale(klepaas: Build, world: ModuleType) -> None:
    app = klepaas(CONFIRM_WRITES)
    planned: ChangeSet = await world.plan_field(**SET)
    (one,) = planned.objects
    live = {"status": {"replicas": 3}, "metadata": {"resourceVersion": "77", "generation": 4}}
    async with Client(app.server) as client:
        await _confirm(app, await _refused_plan(client))
        world.planned[0] = replace(planned, objects=(replace(one, before=live, after=live),))
        assert not (await _call(client)).is_error
    assert len(world.done) == 1


async def test_what_scales_to_zero_or_removes_asks_as_a_deletion_does(klepaas: Build, world: ModuleType) -> None:
    app = klepaas()
    async with Client(app.server) as client:
        for value in ("0", "none"):
            plan_id = await _refused_plan(client, name="web", value=value)
            plan = await PlanStore.of(app.host).get(plan_id)
            assert plan is not None
            assert plan.effect == "destructive"
        await _refused_plan(client, "delete", name="web")
    assert world.done == []


async def test_nothing_of_a_plan_is_a_parameter_of_the_catalogue(klepaas: Build) -> None:
    async with Client(klepaas().server) as client:
        assert "plan" not in json.dumps([tool.input_schema for tool in await client.list_tools()])
