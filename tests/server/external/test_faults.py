"""Whatever an external server does, the call ends in time, says what is known, and changes nothing twice."""

import json
import os
import signal
import time
from typing import Any

import anyio
import pytest
from tests.server.external.conftest import Fake, Serve, guarded, listed, relisted, until, up

from klepaas.external.connection import ConnectionState
from klepaas.testing import client, scale_timeout, time_budget
from klepaas.testing.clients import Said, Session

# A call has 1 s, a start half a second.
AT_ONCE_S = time_budget(0.1, "it would wait for a server that does not answer")
AT_THE_LIMIT_S = time_budget(3, "the limit of a call would not end it")

pytestmark = pytest.mark.anyio


async def _timed(session: Session, tool: str, /, **arguments: Any) -> tuple[Said, float]:
    started = time.monotonic()
    said = await session.call(tool, **arguments)
    return said, time.monotonic() - started


async def test_a_call_that_hangs_ends_at_its_limit_and_the_server_is_found_to_be_well(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.does(call="slow:1.5")
        said, took_s = await _timed(session, "wiki_save_item", id="1")
        assert (said.code, took_s < AT_THE_LIMIT_S) == ("timeout", True)
        assert "It is not known whether this was done" in said.text
        assert "Look with wiki_get_item" in said.text
        assert len(fake.calls) == 1


async def test_a_read_that_fails_is_tried_again_and_a_change_is_not(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.does(call="once:2")
        said = await session.call("wiki_get_item", id="1")
        assert (said.text, len(fake.calls)) == ("get_item is done: ok", 3)
        (fake.folder / "left").unlink()
        said = await session.call("wiki_save_item", id="1")
        assert (said.code, len(fake.calls)) == ("timeout", 4)
        assert "wiki said: failed to save: 502 Bad Gateway" in said.text


async def test_a_refusal_is_told_in_the_servers_words_and_opens_no_breaker(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        for how, words in (("isError", "wiki said: item not found"), ("bad", "wiki said: no such id")):
            fake.does(call=how)
            for _ in range(6):
                said = await session.call("wiki_get_item", id="1")
                assert (said.code, words in said.text) == ("bad_request", True)
        assert guarded(app).upstream.snapshot().failures == 0


async def test_an_answer_that_json_cannot_carry_on_arrives_with_what_can_be_read(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.does(call="odd")
        with anyio.fail_after(scale_timeout(10)):
            said: Any = await session.raw.call_tool("wiki_get_item", {"id": "1"}, raise_on_error=False)
        assert said.content[0].text == "half \ufffd of a pair \U0001f600"
        assert said.structured_content == {
            "half": "a \ufffd b",
            "nan": "NaN",
            "huge": str(10**60),
            "\ufffd": ["Infinity"],
        }
        wire = json.dumps(said.structured_content, allow_nan=False, ensure_ascii=False).encode()
        assert b"NaN" in wire


async def test_a_breaker_that_is_open_asks_nobody_and_lets_one_try_later(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.does(call="error")
        for _ in range(5):
            await session.call("wiki_save_item", id="1")
        count = len(fake.calls)
        said, took_s = await _timed(session, "wiki_get_item", id="1")
        assert (said.code, took_s < AT_ONCE_S, len(fake.calls)) == ("circuit_open", True, count)
        fake.does(call="ok")
        await until(lambda: guarded(app).upstream.snapshot().retry_in_s is None)
        said = await session.call("wiki_get_item", id="1")
        assert said.text == "get_item is done: ok"


async def test_a_process_that_dies_in_a_call_is_started_anew_and_the_change_is_not_repeated(
    fake: Fake, serve: Serve
) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.does(call="exit")
        said = await session.call("wiki_save_item", id="1")
        assert (said.code, len(fake.calls)) == ("timeout", 1)
        fake.does(call="ok")
        await until(lambda: len(fake.pids) == 2)
        said = await session.call("wiki_save_item", id="2")
        assert (said.text, len(fake.calls)) == ("save_item is done: ok", 2)


async def test_an_answer_cut_in_the_middle_leaves_the_outcome_open(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.does(call="cut")
        said = await session.call("wiki_save_item", id="1")
        assert (said.code, len(fake.calls)) == ("timeout", 1)


async def test_a_killed_process_is_started_anew_before_the_next_call(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        server = await up(app)
        fake.signal(signal.SIGKILL)
        await until(lambda: server.connection.state is not ConnectionState.CONNECTED)
        said, took_s = await _timed(session, "wiki_save_item", id="1")
        assert (said.text, took_s < AT_THE_LIMIT_S, len(fake.pids)) == ("save_item is done: ok", True, 2)


async def test_a_stopped_process_is_ended_and_another_takes_its_place(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.signal(signal.SIGSTOP)
        said, took_s = await _timed(session, "wiki_save_item", id="1")
        assert (said.code, took_s < AT_THE_LIMIT_S) == ("timeout", True)
        await until(lambda: len(fake.pids) == 2)
        said = await session.call("wiki_save_item", id="2")
        assert said.text == "save_item is done: ok"
        assert [call["arguments"] for call in fake.calls] == [{"id": "2"}]


async def test_a_process_that_goes_on_after_a_stop_serves_on(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.signal(signal.SIGSTOP)
        async with anyio.create_task_group() as group:

            async def wake() -> None:
                await anyio.sleep(0.3)
                fake.signal(signal.SIGCONT)

            group.start_soon(wake)
            said = await session.call("wiki_save_item", id="1")
        assert (said.text, len(fake.pids)) == ("save_item is done: ok", 1)


async def test_an_answer_of_100_mb_is_not_kept(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider(call_timeout_s=scale_timeout(20))) as app, client(app) as session:
        await up(app)
        fake.does(call=f"big:{100 * 1024 * 1024}")
        before = _memory_bytes()
        said, took_s = await _timed(session, "wiki_get_item", id="1")
        assert said.code == "bad_request"
        assert "longer than 4 MiB" in said.text
        said = await session.call("wiki_save_item", id="1")
        assert "It is not known whether this was done" in said.text
        assert took_s < time_budget(10, "all of it would be read before it is refused")
        assert _memory_bytes() - before < 64 * 1024 * 1024
        fake.does(call="ok")
        assert (await session.call("wiki_get_item", id="1")).text == "get_item is done: ok"
        assert len(fake.pids) == 1


def _memory_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("boot", ["hang", "exit", "missing"])
async def test_a_server_that_does_not_come_up_holds_up_nobody(fake: Fake, serve: Serve, boot: str) -> None:
    fake.does(boot=boot)
    provider = fake.provider(boot_timeout_s=0.5)
    if boot == "missing":
        from klepaas.external import StdioServer

        provider = fake.provider(transport=StdioServer(("/nowhere/at-all",)))
    async with serve(provider) as app:
        started = time.monotonic()
        async with client(app) as session:
            connected_s = time.monotonic() - started
            assert await listed(session) == []
            assert (connected_s < AT_ONCE_S, time.monotonic() - started - connected_s < AT_ONCE_S) == (True, True)
            await until(lambda: guarded(app).connection.state is ConnectionState.DOWN)
            said, took_s = await _timed(session, "wiki_get_item", id="1")
            assert (said.code, took_s < AT_ONCE_S) == ("unavailable", True)
            assert "The tools of wiki are not known yet" in said.text
            assert "ghp_" not in said.text


async def test_the_tools_of_a_server_that_is_down_stay_listed_also_after_a_restart(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        before = await listed(session)
    fake.does(boot="exit")
    async with serve(fake.provider()) as app, client(app) as session:
        started = time.monotonic()
        assert await listed(session) == before
        assert time.monotonic() - started < AT_ONCE_S
        await until(lambda: guarded(app).connection.failures > 1)
        said = await session.call("wiki_save_item", id="1")
        assert said.code == "unavailable"
        assert "nothing was sent" in said.text
        assert "‹redacted›" in (guarded(app).connection.last_error or "")
        fake.does()
        await until(lambda: guarded(app).connection.state is ConnectionState.CONNECTED)
        await until(lambda: guarded(app).upstream.snapshot().retry_in_s is None)
        assert (await session.call("wiki_save_item", id="2")).text == "save_item is done: ok"
        assert [call["arguments"]["id"] for call in fake.calls] == ["2"]


async def test_a_dead_server_makes_no_other_slower(fake: Fake, serve: Serve, tmp_path: Any) -> None:
    dead = Fake(tmp_path / "dead")
    dead.does(boot="hang")
    providers = [fake.provider(), dead.provider(name="dead", prefix="dead", boot_timeout_s=0.5)]
    async with serve(*providers) as app, client(app) as session:
        await up(app)
        for _ in range(10):
            said, took_s = await _timed(session, "wiki_get_item", id="1")
            assert (said.is_error, took_s < AT_ONCE_S) == (False, True)
    assert _gone(dead)


def _gone(fake: Fake) -> bool:
    return all(_state(pid) == "Z" for pid in fake.pids)


async def test_what_a_server_starts_ends_with_it(fake: Fake, serve: Serve) -> None:
    fake.does(child=True)
    async with serve(fake.provider()) as app, client(app):
        await up(app)
        child = next(record["child"] for record in fake.records if "child" in record)
        assert _state(child) != "Z"
    await until(lambda: _state(child) == "Z")


def _state(pid: int) -> str:
    """The process's state as the kernel names it; one that is gone counts as a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


async def test_noise_on_its_streams_disturbs_nothing(fake: Fake, serve: Serve) -> None:
    fake.does(boot="noise")
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        assert (await session.call("wiki_get_item", id="1")).text == "get_item is done: ok"


async def test_a_list_that_is_suddenly_empty_takes_no_tool_away(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        server = await up(app)
        before = await listed(session)
        fake.does(tools=[])
        await relisted(app)
        assert await listed(session) == before
        assert server.connection.state is ConnectionState.CONNECTED


async def test_an_answer_that_is_none_of_the_protocol_is_a_failure_of_the_server(fake: Fake, serve: Serve) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.does(call="nonsense")
        said = await session.call("wiki_get_item", id="1")
        assert (said.code, "cannot be understood" in said.text) == ("unavailable", True)
        said = await session.call("wiki_save_item", id="1")
        assert (said.code, "It is not known" in said.text) == ("timeout", True)


@pytest.mark.parametrize("levels", [150, 900, 20_000])
async def test_an_answer_over_stdio_that_is_nested_too_deeply_is_refused(fake: Fake, serve: Serve, levels: int) -> None:
    async with serve(fake.provider()) as app, client(app) as session:
        await up(app)
        fake.does(call=f"deep:{levels}")
        said = await session.call("wiki_get_item", id="1")
        assert (said.code, "nested deeper than 100 levels" in said.text) == ("bad_request", True)
