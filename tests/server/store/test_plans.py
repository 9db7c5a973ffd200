"""Stored plans: any process finds them, one call uses each, and whoever can only write to the store forges none."""

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from sqlalchemy import Boolean, Double, Integer, select, update
from sqlalchemy.orm import Session

from klepaas.errors import RateLimited
from klepaas.plans import queries
from klepaas.plans.model import Draft, Plan, PlanState
from klepaas.plans.plan_store import PLAN_TTL_S, PlanStore
from klepaas.plans.rendering import Preview
from klepaas.store import Store
from klepaas.store.keys import FILE_NAME, Keys
from klepaas.store.tables import PlanRow
from klepaas.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

SECRET = "a-short-secret"
ARGUMENTS = {"name": "web", "value": SECRET}
PREVIEW = Preview(
    title="Setting web", lines=("change thing/web",), name="web", content=["to", SECRET], basis=["from", SECRET]
)
DRAFT = Draft(
    requested_by="alice",
    requester="alice over stdio",
    tool="set",
    effect="destructive",
    arguments=ARGUMENTS,
    targets=("thing web",),
    preview=PREVIEW,
)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def plans(store: Store, keys: Keys, clock: FakeClock) -> PlanStore:
    return PlanStore(store, keys, lambda _session: clock.wall())


async def _confirmed(plans: PlanStore) -> Plan:
    plan = await plans.confirm(await plans.make(DRAFT), "alice (uid 1000)")
    assert plan is not None
    return plan


async def _usable(plans: PlanStore) -> list[str]:
    found = await plans.find_confirmed("alice", "set", ARGUMENTS)
    return [plan.id for plan in found if plan.trouble is None]


async def test_another_process_finds_the_plan_that_was_confirmed(plans: PlanStore, store: Store, keys: Keys) -> None:
    plan = await _confirmed(plans)
    other = PlanStore(store, keys, plans._now)
    (found,) = await other.find_confirmed("alice", "set", ARGUMENTS)
    assert (found.id, found.confirmed_by, found.state) == (plan.id, "alice (uid 1000)", PlanState.CONFIRMED)
    assert await other.compare(found, PREVIEW) is None


async def test_of_many_that_use_a_plan_at_once_one_succeeds(plans: PlanStore) -> None:
    plan = await _confirmed(plans)
    won: list[bool] = []

    async def use() -> None:
        won.append(await plans.end(plan, PlanState.USED))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(use)
    assert sorted(won) == [False] * 7 + [True]


async def test_a_plan_is_its_requesters_for_its_tool_and_its_arguments_alone(plans: PlanStore) -> None:
    plan = await _confirmed(plans)
    for requester, tool, arguments in (
        ("mallory", "set", ARGUMENTS),
        ("alice", "delete", ARGUMENTS),
        ("alice", "set", {**ARGUMENTS, "value": "other"}),
        ("alice", "set", {**ARGUMENTS, "more": None}),
        ("alice", "set", {}),
    ):
        assert await plans.find_confirmed(requester, tool, arguments) == []
        assert await plans.take_open(plan.id, requester, tool, arguments) is None
    assert await _usable(plans) == [plan.id]


async def test_a_plan_counts_for_ten_minutes_and_is_forgotten_afterwards(
    plans: PlanStore, clock: FakeClock, store: Store
) -> None:
    plan = await _confirmed(plans)
    late = await plans.make(DRAFT)
    clock.advance(PLAN_TTL_S + 1)
    assert await _usable(plans) == []
    assert not await plans.end(plan, PlanState.USED)
    assert await plans.confirm(late, "alice") is None
    assert await plans.find() == []
    new = await plans.make(DRAFT)
    rows = await store.read(lambda session: list(session.scalars(select(PlanRow.id))))
    assert rows == [new.id]


async def test_a_caller_that_never_answers_does_not_fill_the_store(plans: PlanStore, clock: FakeClock) -> None:
    for _ in range(queries.MOST_OF_ONE):
        await plans.make(DRAFT)
    with pytest.raises(RateLimited):
        await plans.make(DRAFT)
    assert await plans.make(replace(DRAFT, requested_by="bob"))
    clock.advance(PLAN_TTL_S + 1)
    assert await plans.make(DRAFT)


async def test_all_callers_together_do_not_fill_the_store(plans: PlanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST", 2)
    for number in range(2):
        await plans.make(replace(DRAFT, requested_by=str(number)))
    with pytest.raises(RateLimited):
        await plans.make(DRAFT)


async def test_an_answer_counts_once_and_leaves_the_plan_open_for_the_terminal(plans: PlanStore) -> None:
    asked = await plans.make(replace(DRAFT, awaits_answer=True))
    quiet = await plans.make(DRAFT)
    assert await plans.take_answer(quiet.id, "alice", "set", ARGUMENTS) is None
    taken = await plans.take_answer(asked.id, "alice", "set", ARGUMENTS)
    assert taken is not None
    assert await plans.take_answer(asked.id, "alice", "set", ARGUMENTS) is None
    assert await plans.confirm(taken, "alice") is not None
    assert await plans.confirm(taken, "alice") is None, "once"


def _others(column: Any, value: Any) -> list[Any]:
    """Other values of a column, as somebody who can write to the store would choose them."""
    if column.key == "state":
        return [state.value for state in PlanState if state.value != value] + ["", "CONFIRMED"]
    if isinstance(column.type, Boolean):
        return [not value]
    if isinstance(column.type, Integer):
        return [value + 1, 0, -1]
    if isinstance(column.type, Double):
        return [1.0, (value or 0.0) + 1.0, 1e12]
    if column.key == "rendering":
        return [{**value, part: []} for part in ("targets", "lines", "risks")] + [
            {**value, "title": "x"},
            {**value, "name": "x"},
            {},
            {**value, "lines": [*value["lines"], ""]},
        ]
    text = value or ""
    return [text + "x", text[:-1], "", text.upper() + "1", "0" * 64, text[::-1] + "-"]


def _alterations() -> Iterator[tuple[PlanState, str, Any]]:
    """Each column of a row, with other values, in each state that a plan can be used in."""
    for state in (PlanState.OPEN, PlanState.CONFIRMED, PlanState.USED):
        for column in PlanRow.__table__.columns:
            if column.key != "id":
                yield state, column.key, column


async def test_200_alterations_of_a_row_in_any_column_count_for_nothing(folder: Path, keys: Keys) -> None:
    """Every column, with several other values, in every state that a plan can be in."""
    tried, store = 0, Store(folder)
    plans = PlanStore(store, keys)
    for state, name, column in _alterations():
        plan = await plans.make(DRAFT)
        if state is not PlanState.OPEN:
            plan = await plans.confirm(plan, "alice") or plan
        if state is PlanState.USED:
            assert await plans.end(plan, PlanState.USED)
        kept = await store.read(partial(_columns, plan_id=plan.id))
        for other in _others(column, kept[name]):
            if other != kept[name]:
                await store.write(partial(_write, plan_id=plan.id, values={**kept, name: other}))
                await _expect_worthless(plans, plan)
                tried += 1
        await store.write(partial(_remove, plan_id=plan.id))
    await store.aclose()
    assert tried >= 200


async def _expect_worthless(plans: PlanStore, plan: Plan) -> None:
    found = await plans.get(plan.id)
    assert found is None or not found.is_usable, found
    assert await _usable(plans) == []
    assert not await plans.end(plan, PlanState.USED)


def _remove(session: Session, plan_id: str) -> None:
    session.delete(session.get_one(PlanRow, plan_id))


def _columns(session: Session, plan_id: str) -> dict[str, Any]:
    row = session.get_one(PlanRow, plan_id)
    return {column.key: getattr(row, column.key) for column in PlanRow.__table__.columns}


def _write(session: Session, plan_id: str, values: dict[str, Any]) -> None:
    session.execute(update(PlanRow).where(PlanRow.id == plan_id).values(values))


async def test_a_row_that_is_made_up_or_copied_under_another_handle_counts_for_nothing(
    plans: PlanStore, store: Store
) -> None:
    plan = await _confirmed(plans)
    kept = await store.read(lambda session: _columns(session, plan.id))
    copy = {**kept, "id": "plan-bbbbb-bbbbb-bbbbb-bbbbb"}
    await store.write(lambda session: session.add(PlanRow(**copy)))
    assert await plans.end(plan, PlanState.USED)
    assert await _usable(plans) == []


async def test_no_digest_of_a_plan_tells_what_it_is_of_to_whoever_lacks_the_key(
    plans: PlanStore, store: Store, keys: Keys, tmp_path: Path
) -> None:
    plan = await _confirmed(plans)
    guessing = PlanStore(store, Keys(tmp_path / "guess"), plans._now)
    guessed = await guessing.make(DRAFT)
    for name in ("arguments_digest", "content_digest", "basis_digest"):
        assert getattr(plan, name) != getattr(guessed, name)
    assert len({plan.content_digest, plan.basis_digest, plan.arguments_digest}) == 3
    assert all(SECRET not in str(getattr(plan, one.name)) for one in fields(plan))


async def test_a_plan_of_another_key_says_so_and_cannot_be_used(plans: PlanStore, store: Store, tmp_path: Path) -> None:
    plan = await _confirmed(plans)
    other = PlanStore(store, Keys(tmp_path / "other"), plans._now)
    (found,) = await other.find_confirmed("alice", "set", ARGUMENTS)
    assert found.trouble is not None
    assert "made with another key" in found.trouble
    assert "ask again" in found.trouble
    assert not await other.end(found, PlanState.USED)
    assert await other.confirm(found, "eve") is None
    assert await other.compare(found, PREVIEW) == "it was made with another key"
    assert await _usable(plans) == [plan.id]


async def test_of_a_list_of_keys_the_first_writes_and_all_read(store: Store, tmp_path: Path) -> None:
    old, new = (Keys(tmp_path / name).current() for name in ("old", "new"))
    texts = [(tmp_path / name / FILE_NAME).read_text().strip() for name in ("old", "new")]
    before = PlanStore(store, Keys(tmp_path, SecretStr(texts[0])))
    both = PlanStore(store, Keys(tmp_path, SecretStr(f"{texts[1]}, {texts[0]}")))
    plan = await _confirmed(before)
    assert plan.key_id == old.id
    assert await _usable(both) == [plan.id]
    assert (await both.make(DRAFT)).key_id == new.id
    assert not (tmp_path / FILE_NAME).exists(), "no key is made where some are set"


async def test_a_plan_counts_for_no_longer_than_10_minutes_also_where_the_clock_is_set_back_or_forward(
    plans: PlanStore, clock: FakeClock
) -> None:
    plan, confirmed = await plans.make(DRAFT), await _confirmed(plans)
    for move_s in (-36_000.0, 36_000.0):
        clock._wall_offset += move_s
        found = await plans.get(plan.id)
        assert found is not None
        assert (found.expires_in_s <= 0, found.is_usable) == (True, False)
        assert await plans.confirm(plan, "alice") is None
        assert not await plans.end(confirmed, PlanState.USED)
        assert await plans.find_confirmed("alice", "set", ARGUMENTS) == []
        assert await plans.find() == []
        clock._wall_offset -= move_s
    assert await plans.end(confirmed, PlanState.USED), "a clock that is right again changes nothing"


async def test_plans_of_a_future_clock_are_forgotten_so_that_new_ones_have_room(
    plans: PlanStore, clock: FakeClock
) -> None:
    for _ in range(queries.MOST_OF_ONE):
        await plans.make(DRAFT)
    clock._wall_offset -= 36_000.0
    assert (await plans.make(DRAFT)).is_usable
