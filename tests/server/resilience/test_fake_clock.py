"""The clock that tests turn."""

import anyio
import pytest

from klepaas.testing.clock import FakeClock

pytestmark = pytest.mark.anyio


async def test_sleepers_wake_at_their_own_time_and_in_order(clock: FakeClock) -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *delays_s: float) -> None:
        for delay_s in delays_s:
            await clock.sleep(delay_s)
            woken.append((name, clock.monotonic() - 1000))

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper, "a", 2, 2)
        group.start_soon(sleeper, "b", 3)
        await clock.run(3.5)
        assert woken == [("a", 2), ("b", 3)]
        await clock.run(1)
    assert woken == [("a", 2), ("b", 3), ("a", 4)]


async def test_a_scope_is_cancelled_at_its_time(clock: FakeClock) -> None:
    async def waits() -> None:
        with clock.move_on_after(5) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert clock.monotonic() == 1005

    async with anyio.create_task_group() as group:
        group.start_soon(waits)
        await clock.run(100)


async def test_a_hurrying_clock_turns_itself() -> None:
    clock = FakeClock(hurries=True)
    with clock.move_on_after(5) as scope:
        await clock.sleep(3)
        assert clock.monotonic() == 1003
        await clock.sleep(3)
    assert scope.cancelled_caught
    assert clock.slept_s == [3, 3]


def test_the_wall_clock_goes_with_it_and_can_be_set(clock: FakeClock) -> None:
    wall_s = clock.wall()
    clock.advance(10)
    clock.shift_wall(-3600)
    assert (clock.wall() - wall_s, clock.monotonic()) == (-3590, 1010)
