"""Notifications in the outbox: each is taken by one holder at a time, and there is an end to all of them."""

import time

import anyio
import pytest

from klepaas.store import Store
from klepaas.store import outbox as outbox_module
from klepaas.store.outbox import Outbox, OutboxFull, Parcel, ParcelState

pytestmark = pytest.mark.anyio
LEASE_S = 30.0


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return Outbox(store)


async def take(outbox: Outbox, holder: str = "a", lease_s: float = LEASE_S) -> Parcel:
    """What is due for the sink "slack"."""
    parcel, _ = await outbox.take("slack", holder, lease_s)
    assert parcel is not None
    return parcel


async def test_of_many_takers_one_gets_it(outbox: Outbox) -> None:
    await outbox.keep("n1", "test", {"title": "x"}, ["slack"])
    taken: list[Parcel] = []

    async def try_it(holder: str) -> None:
        parcel, _ = await outbox.take("slack", holder, LEASE_S)
        taken.extend([parcel] if parcel else [])

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(try_it, str(number))
    assert [parcel.payload for parcel in taken] == [{"title": "x"}]


async def test_each_sink_has_its_own_and_the_same_notification_is_kept_once(outbox: Outbox) -> None:
    assert await outbox.keep("n1", "test", {}, ["slack", "email"]) == 2
    assert await outbox.keep("n1", "test", {}, ["slack", "email"]) == 2
    parcel = await take(outbox)
    await outbox.delivered(parcel, "a")
    assert {one.sink: one.state for one in await outbox.standing("n1")} == {
        "slack": ParcelState.DELIVERED,
        "email": ParcelState.WAITING,
    }


async def test_whoever_lost_the_lease_settles_nothing(outbox: Outbox) -> None:
    await outbox.keep("n1", "test", {}, ["slack"])
    late = await take(outbox, "late", lease_s=0.0)
    current = await take(outbox, "current")
    assert current.epoch == late.epoch + 1
    await outbox.failed(late, "late", "no")
    assert [one.state for one in await outbox.standing("n1")] == [ParcelState.WAITING]
    await outbox.delivered(current, "current")
    assert [one.state for one in await outbox.standing("n1")] == [ParcelState.DELIVERED]


async def test_what_is_put_off_is_not_due_and_a_rate_limit_holds_for_all_of_the_sink(outbox: Outbox) -> None:
    for number in range(3):
        await outbox.keep(f"n{number}", "test", {}, ["slack", "email"])
    await outbox.put_off(await take(outbox), "a", "slow down", 100.0, counts=False, all_of="slack")
    parcel, wait_s = await outbox.take("slack", "a", LEASE_S)
    assert parcel is None
    assert wait_s is not None
    assert 90 < wait_s <= 100
    assert (await outbox.take("email", "a", LEASE_S))[0] is not None
    assert [one.error for one in await outbox.standing("n0") if one.sink == "slack"] == ["slow down"]


async def test_it_is_bounded_in_both_directions(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "MOST_WAITING", 3)
    monkeypatch.setattr(outbox_module, "MOST_ENDED", 2)
    for number in range(3):
        await outbox.keep(f"n{number}", "test", {}, ["slack"])
    with pytest.raises(OutboxFull):
        await outbox.keep("n3", "test", {}, ["slack"])
    for _ in range(3):
        await outbox.failed(await take(outbox), "a", "no")
    await outbox.keep("n4", "test", {}, ["slack"])
    census = await outbox.census(["email"])
    assert (census.waiting, census.failed, census.failed_lately, census.error) == (1, 2, 2, "no")
    assert list(census.strangers) == ["slack"]


@pytest.mark.parametrize("move_s", [-36_000.0, 36_000.0])
async def test_a_clock_that_is_set_holds_no_notification_for_hours(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, move_s: float
) -> None:
    for number in ("n1", "n2"):
        await outbox.keep(number, "kind", {}, ["slack"])
    await outbox.put_off(await take(outbox), "a", "busy", 300.0, counts=True)
    assert await outbox.take("slack", "a", 30.0) != (None, None)
    monkeypatch.setattr("klepaas.store.outbox.now_of", lambda _session: time.time() + move_s)
    taken = [(await outbox.take("slack", "b", 30.0))[0] for _ in range(2)]
    assert None not in taken
    found = await outbox.census()
    assert 0 <= found.oldest_s <= 36_010
