"""Asking components: side by side, each with a limit; what goes wrong with one check is its own affair."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from klepaas.errors import Unavailable
from klepaas.health import ComponentHealth, Health
from klepaas.hookspecs import HealthCheck, HealthReport, HealthStatus, hookimpl
from klepaas.host import Host
from klepaas.testing import app_with, scale_timeout, time_budget
from klepaas.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

Check = Callable[[], Awaitable[Any]]
WELL = HealthReport(HealthStatus.OK, "fine")


@asynccontextmanager
async def asking(clock: FakeClock | None = None, **checks: Check) -> AsyncIterator[Health]:
    """The health of a klepaas with these components, each with a limit of 0.2 s."""

    @hookimpl
    def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
        return [HealthCheck(name, check, timeout_s=0.2) for name, check in checks.items()]

    async with app_with(klepaas_health_checks) as app:
        yield Health(app.host, clock)


async def well() -> HealthReport:
    return WELL


async def hangs() -> HealthReport:
    await anyio.sleep_forever()
    raise AssertionError


async def raises() -> HealthReport:
    raise ValueError("password=hunter2hunter2")


async def leaves() -> HealthReport:
    raise SystemExit(3)


async def is_cancelled() -> HealthReport:
    raise asyncio.CancelledError


async def is_down() -> HealthReport:
    raise Unavailable("The engine is off", next_step="Start it")


async def gives_nonsense() -> str:
    return "ok"


def by_name(found: list[ComponentHealth]) -> dict[str, tuple[str, str]]:
    return {one.component: (one.status.value, one.reason) for one in found}


async def test_what_goes_wrong_with_a_check_is_its_own_affair() -> None:
    async with asking(
        well=well,
        hangs=hangs,
        raises=raises,
        leaves=leaves,
        cancelled=is_cancelled,
        down=is_down,
        nonsense=gives_nonsense,
    ) as health:
        began_at = time.monotonic()
        found = by_name(await health.look())
        assert time.monotonic() - began_at < time_budget(2, "checks that hang would be waited for one after the other")
    assert found == {
        "well": ("ok", "fine"),
        "hangs": ("unhealthy", "no answer within 0.2 s"),
        "raises": ("unhealthy", "its check failed"),
        "leaves": ("unhealthy", "its check failed"),
        "cancelled": ("unhealthy", "its check failed"),
        "down": ("unhealthy", "The engine is off. Start it."),
        "nonsense": ("unhealthy", "its check failed"),
    }


async def test_a_check_that_cannot_be_ended_is_left_alone_and_the_others_are_not() -> None:
    begun: list[int] = []
    end = asyncio.Event()

    async def will_not_end() -> HealthReport:
        begun.append(1)
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue
        return WELL

    clock = FakeClock()
    async with asking(clock, well=well, stubborn=will_not_end) as health:
        with anyio.fail_after(scale_timeout(10)):
            first = by_name(await health.look())
            clock.advance(10)
            second = by_name(await health.look())
            end.set()
            clock.advance(10)
            await anyio.lowlevel.checkpoint()
            third = by_name(await health.look())
    assert first == {"well": ("ok", "fine"), "stubborn": ("unhealthy", "no answer within 0.2 s")}
    assert second["stubborn"] == ("unhealthy", "its check hangs and cannot be ended")
    assert third["stubborn"] == ("ok", "fine")
    assert len(begun) == 2


async def test_who_asks_at_the_same_time_or_soon_after_gets_the_same_answer() -> None:
    asked: list[int] = []

    async def counts() -> HealthReport:
        asked.append(1)
        await anyio.sleep(0.01)
        return WELL

    clock = FakeClock()
    async with asking(clock, counts=counts) as health:
        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(health.look)
        assert len(asked) == 1
        clock.advance(2)
        await health.look()
        assert len(asked) == 1
        clock.advance(2)
        await health.look()
        assert len(asked) == 2


async def test_one_who_leaves_does_not_keep_the_others_from_an_answer() -> None:
    go = asyncio.Event()

    async def waits() -> HealthReport:
        await go.wait()
        return WELL

    async with asking(waits=waits) as health:
        with anyio.move_on_after(0.05):
            await health.look()
        go.set()
        assert by_name(await health.look()) == {"waits": ("ok", "fine")}


async def test_the_history_holds_every_change_and_is_bounded() -> None:
    states = [HealthStatus.OK, HealthStatus.OK, HealthStatus.UNHEALTHY] * 100

    async def changes() -> HealthReport:
        return HealthReport(states.pop(), "as it is")

    clock = FakeClock()
    heard: list[str] = []
    async with asking(clock, changes=changes) as health:
        health.listeners.append(lambda change: heard.append(change.status.value))
        for _ in range(300):
            clock.advance(10)
            await health.look()
        assert len(health.looks("changes")) == 200
        found = health.changes("changes")
        assert len(found) == 50
        assert [one.status.value for one in found[:3]] == ["ok", "unhealthy", "ok"]
        assert heard[:3] == ["unhealthy", "ok", "unhealthy"]
        assert health.changes("nobody") == []
        last = (await health.look())[0]
        assert last.at - last.since == 10


async def test_of_two_components_with_one_name_the_first_counts() -> None:
    @hookimpl
    def klepaas_health_checks(host: Host) -> Iterable[HealthCheck]:
        return [HealthCheck("engine", well), HealthCheck("engine", raises)]

    async with app_with(klepaas_health_checks) as app:
        assert by_name(await Health.of(app.host).look()) == {"engine": ("ok", "fine")}


async def test_a_required_component_that_nobody_knows_is_unhealthy() -> None:
    async with app_with(settings={"required_components": ("engine",)}) as app:
        found = await Health.of(app.host).look(lambda check: False)
    assert by_name(found) == {"engine": ("unhealthy", "no plugin knows it")}
    assert found[0].required


async def test_a_scrape_tells_only_what_is_fresh() -> None:
    async with asking(well=well, down=is_down) as health:
        clock = FakeClock()
        health._clock = clock
        from klepaas.self_metrics import ComponentStates

        states = ComponentStates(health.seen, clock)
        await health.look()
        samples = {s.labels["component"]: s.value for f in states.collect() for s in f.samples if "status" in s.name}
        assert samples == {"well": 0, "down": 2}
        clock.advance(301)
        assert [s for f in states.collect() for s in f.samples if "status" in s.name] == []
