"""Each way in which GitHub, Slack and their servers fail: what the model is told is true, and nothing is done twice."""

import os
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import replace

import anyio
import pytest

from klepaas.resilience import State
from klepaas.testing import (
    ERAS,
    Cut,
    DelayedSuccess,
    Era,
    HalfOpen,
    Latency,
    Reset,
    Stalled,
    client,
    failing,
    nonsense,
    rate_limited,
    scale_timeout,
    time_budget,
)
from klepaas.testing.fault_proxy import Fault

from .conftest import Case, Serve, guarded, up
from .github_api import failure
from .sides import Side
from .slack_api import refusal

pytestmark = pytest.mark.anyio
UNKNOWN = "It is not known whether this was done"
only = pytest.mark.parametrize
IN_DOUBT: Mapping[str, Fault] = {
    "an outage": failing(503),
    "a gateway's error": failing(502),
    "a gateway's page": nonsense(),
    "no answer": HalfOpen(),
    "an answer that never comes": DelayedSuccess(None),
    "an answer that stalls": Stalled(150),
    "an answer that is cut at once": Cut(0),
    "an answer that is cut": Cut(120),
    "a connection that is reset": Reset(40),
}


@only("fault", list(IN_DOUBT))
async def test_a_change_in_doubt_is_said_to_be_and_is_not_made_again(case: Case, fault: str) -> None:
    case.side.api.fault = IN_DOUBT[fault]
    said = await case.side.write(case.session)
    assert said.is_error
    assert UNKNOWN in said.text, said.text
    assert case.side.verify in said.text
    assert case.side.writes == 1
    case.side.api.fault = None
    assert not (await case.side.read(case.session)).is_error
    assert case.side.done == (1 if isinstance(IN_DOUBT[fault], Cut | Reset | Stalled | DelayedSuccess) else 0)


@only("era", ERAS)
async def test_a_look_is_tried_through_a_short_outage(era: Era, side: Side, serve: Serve) -> None:
    async with serve(side) as app, client(app, era) as session:
        await up(app, side.name)
        side.api.fault_next(failing(502), failing(503))
        said = await side.read(session)
        assert not said.is_error, said.text
        assert side.reads == 3


async def test_a_slow_answer_is_waited_for(case: Case) -> None:
    case.side.api.fault_next(Latency(0.3))
    assert not (await case.side.read(case.session)).is_error
    case.side.api.fault_next(Stalled(150, 0.3))
    assert not (await case.side.write(case.session)).is_error
    assert (case.side.reads, case.side.done, case.side.writes) == (1, 1, 1)


@only("what", ["unauthorized", "not_found"])
async def test_a_refusal_is_told_as_it_is_and_opens_no_breaker(case: Case, what: str) -> None:
    case.side.api.fault = case.side.refusing(what)
    for _ in range(6):
        assert (await case.side.read(case.session)).code == what
    assert (await case.side.write(case.session)).code == what
    assert (case.side.reads, case.side.writes) == (6, 1)
    assert case.breaker is State.CLOSED


@only("kind", ["github"])
async def test_what_github_finds_wrong_is_passed_on_to_whoever_can_correct_it(case: Case) -> None:
    case.side.api.fault = failure(422, "Validation Failed: title is too long")
    said = await case.side.write(case.session)
    assert (said.code, case.side.writes) == ("bad_request", 1)
    assert "title is too long" in said.text


@only("kind", ["github"])
async def test_a_limit_that_names_its_end_is_waited_for(case: Case) -> None:
    reset = str(int(time.time()) + 2)
    limit = {"X_RateLimit_Remaining": "0", "X_RateLimit_Limit": "60", "X_RateLimit_Reset": reset}
    case.side.api.fault_next(failure(403, "API rate limit exceeded", **limit))
    said = await case.side.write(case.session)
    assert not said.is_error, said.text
    assert case.side.done == 1


@only("kind", ["slack_go"])
async def test_a_limit_of_slack_is_waited_for(case: Case) -> None:
    case.side.api.fault_next(rate_limited(1))
    said = await case.side.write(case.session)
    assert not said.is_error, said.text
    assert (case.side.done, case.side.writes) == (1, 2)


@only("kind", ["slack_npm"])
async def test_a_limit_that_lies_as_a_success_is_seen_and_waited_for(case: Case) -> None:
    case.side.api.fault_next(refusal("ratelimited"))
    said = await case.side.write(case.session)
    assert not said.is_error, said.text
    assert (case.side.done, case.side.writes) == (1, 2)


@only("kind", ["github"])
async def test_a_limit_without_an_end_closes_nothing_and_is_not_pressed(case: Case) -> None:
    case.side.api.fault = failure(429, "slow down")
    first = await case.side.write(case.session)
    case.side.api.fault = None
    second = await case.side.write(case.session)
    assert first.code == second.code == "rate_limited"
    assert first.meta["retry_after_s"] == pytest.approx(60, abs=2)
    assert (case.side.writes, case.side.done, case.breaker) == (1, 0, State.CLOSED)


async def test_an_api_that_is_gone_is_told_to_be(case: Case) -> None:
    await case.side.door.stop()
    said = await case.side.write(case.session)
    assert said.is_error
    # The server of npm does not tell a connection that was refused from one that broke.
    assert (UNKNOWN in said.text) == case.side.hands_on, said.text
    await case.side.door.start()
    assert not (await case.side.write(case.session)).is_error
    assert case.side.done == 1


async def test_a_lasting_outage_is_not_asked_again_and_again(case: Case) -> None:
    case.side.api.fault = failing(503)
    codes = [(await case.side.read(case.session)).code for _ in range(4)]
    assert codes[0] == "unavailable"
    assert codes[-1] == "circuit_open"
    asked, started = case.side.reads, time.perf_counter()
    said = await case.side.write(case.session)
    assert time.perf_counter() - started < time_budget(0.25, "an open breaker would ask the server")
    assert (said.code, case.side.reads, case.side.writes) == ("circuit_open", asked, 0)
    assert "nothing was sent" in said.text


async def test_a_server_that_is_killed_in_a_call_is_started_again(case: Case) -> None:
    killed = case.pid
    case.side.api.fault_next(HalfOpen())
    async with anyio.create_task_group() as group:

        async def kill() -> None:
            await case.side.api.proxy.caught.wait()
            os.kill(killed, signal.SIGKILL)

        group.start_soon(kill)
        said = await case.side.write(case.session)
    assert UNKNOWN in said.text
    assert case.side.writes == 1
    await _reads_again(case)
    assert case.pid != killed
    assert case.side.done == 0


async def test_a_server_that_is_stopped_and_resumed_hangs_nobody(case: Case) -> None:
    stopped = case.pid
    os.kill(stopped, signal.SIGSTOP)
    try:
        with anyio.fail_after(scale_timeout(12)):
            said = await case.side.write(case.session)
        assert said.is_error
    finally:
        _resume(stopped)
    await _reads_again(case)
    assert case.side.writes <= 1


def _resume(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


async def _reads_again(case: Case) -> None:
    with anyio.fail_after(scale_timeout(15)):
        while (await case.side.read(case.session)).is_error:  # noqa: ASYNC110 -- nothing sets an event
            await anyio.sleep(0.05)


@only("kind", ["slack_go"])
async def test_a_server_that_hangs_at_its_start_holds_up_nobody(side: Side, serve: Serve) -> None:
    side.api.fault = HalfOpen()
    side.server["klepaas"]["boot_timeout_s"] = 3
    async with serve(side) as app, client(app) as session:
        with anyio.fail_after(scale_timeout(5)):
            await side.api.proxy.caught.wait()
        started = time.perf_counter()
        await session.tools()
        assert time.perf_counter() - started < time_budget(0.05, "a list would ask the server")
        side.api.fault = None
        await up(app, "slack", limit_s=scale_timeout(25))
        assert not (await side.write(session)).is_error


@only("era", ERAS)
async def test_its_tools_stay_listed_while_a_server_is_away(era: Era, side: Side, serve: Serve) -> None:
    async with serve(side) as app, client(app, era) as session:
        await up(app, side.name)
        there = {tool.name for tool in await session.tools()}
    gone = replace(side, server={**side.server, "command": "/nowhere/at-all"})
    async with serve(gone) as app, client(app, era) as session:
        took_s: list[float] = []
        for _ in range(5):
            started = time.perf_counter()
            names = {tool.name for tool in await session.tools()}
            took_s.append(time.perf_counter() - started)
            assert names == there
        assert min(took_s) < time_budget(0.05, "a list would ask the server")
        said = await side.write(session)
        assert said.code == "unavailable"
        assert "nothing was sent" in said.text
        age_s = guarded(app, side.name).list_age_s
        assert age_s is not None
        assert age_s < 60
    assert side.writes == 0


@pytest.mark.timeout(scale_timeout(75))
async def test_no_change_is_made_twice_whatever_happens(case: Case) -> None:
    changes = 200 if os.environ.get("KLEPAAS_TEST_SOAK") else 12
    dice = random.Random(7)
    quick = [fault for fault in IN_DOUBT.values() if not isinstance(fault, HalfOpen | Stalled | DelayedSuccess)]
    for number in range(changes):
        # One that works between, or the breaker would spare the API the rest.
        assert not (await case.side.write(case.session, f"good-{number:04d}")).is_error
        case.side.api.fault_next(dice.choice(quick))
        said = await case.side.write(case.session, f"odd-{number:04d}")
        assert UNKNOWN in said.text
        assert case.side.times(f"odd-{number:04d}") <= 1
        assert case.side.times(f"good-{number:04d}") == 1
    assert case.side.writes == 2 * changes
