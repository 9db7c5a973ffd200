"""Every limit of HTTP and of calls: what is over it is turned away with a clear answer, and the server goes on."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any

import anyio
import httpx
import pytest
from fastmcp import Client

from klepaas import limits
from klepaas.app import App
from klepaas.errors import RateLimited
from klepaas.http import connections, front
from klepaas.limits import Rate, Slots, slot_set_aside
from klepaas.testing import scale_timeout
from klepaas.testing.clock import FakeClock

from .conftest import HEADERS, INITIALIZE, asking, modern_call, numbers, served

pytestmark = pytest.mark.anyio


def error_of(result: Any) -> dict[str, Any]:
    assert result.is_error
    meta: dict[str, Any] = result.meta
    return meta


def message_of(answer: httpx.Response) -> str:
    """The message of the JSON-RPC error that an HTTP answer holds."""
    body = answer.json()
    assert (body["jsonrpc"], body["id"]) == ("2.0", None)
    return str(body["error"]["message"])


async def test_a_long_body_is_refused_however_it_is_declared(klepaas: Callable[..., App]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 1000

    app = klepaas(http_body_max_bytes=4096)
    async with served(app) as url, httpx.AsyncClient() as http:
        for content in (b" " * 4097, b" " * 3_000_000, chunks()):
            answer = await http.post(url, content=content, headers=HEADERS)
            assert answer.status_code == 413
            assert message_of(answer) == "The body is longer than 4096 bytes"
        padded = json.dumps(INITIALIZE).encode().ljust(4096)
        assert (await http.post(url, content=padded, headers=HEADERS)).status_code == 200


async def test_a_body_that_does_not_come_is_not_waited_for(
    klepaas: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "BODY_TIMEOUT_S", 0.1)

    async def stalls() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep_forever()

    async with asking(klepaas()) as http:
        with anyio.fail_after(scale_timeout(5)):
            answer = await http.post("/mcp", content=stalls(), headers=HEADERS)
        assert answer.status_code == 408


async def test_long_headers_and_addresses_are_refused(klepaas: Callable[..., App]) -> None:
    async with served(klepaas()) as url, httpx.AsyncClient() as http:
        for extra in ({"X-Long": "x" * 17_000}, {f"X-{number}": "x" * 500 for number in range(40)}):
            assert (await http.post(url, json=INITIALIZE, headers={**HEADERS, **extra})).status_code == 431
        assert (await http.get(f"{url}?{'x' * 17_000}")).status_code == 431
        assert (await http.post(url, json=INITIALIZE, headers={**HEADERS, "X-Long": "x" * 200_000})).status_code in (
            400,
            431,
        )
        assert (await http.post(url, json=INITIALIZE, headers=HEADERS)).status_code == 200


async def _ends(stream: anyio.abc.ByteReceiveStream) -> None:
    with anyio.fail_after(scale_timeout(5)):
        try:
            while await stream.receive():
                pass
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return


async def _connect(url: str) -> anyio.abc.SocketStream:
    return await anyio.connect_tcp("127.0.0.1", int(url.split(":")[2].removesuffix("/mcp")))


@pytest.mark.parametrize(
    "begins",
    [
        b"",
        b"POST /mcp HT",
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /hea",
        b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999\r\n\r\nnothing more",
    ],
    ids=["nothing", "half a line", "half a head", "half a second head", "the rest of a refused body"],
)
async def test_a_client_that_stops_sending_loses_its_connection(
    klepaas: Callable[..., App], begins: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.2)
    async with served(klepaas()) as url, await _connect(url) as stream:
        if begins:
            await stream.send(begins)
        await _ends(stream)


async def test_a_head_that_comes_byte_by_byte_has_one_deadline(
    klepaas: Callable[..., App], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.3)
    async with served(klepaas()) as url, await _connect(url) as stream:
        sent = 0
        with anyio.fail_after(scale_timeout(5)), contextlib.suppress(anyio.BrokenResourceError):
            while True:
                await stream.send(b"x")
                sent += 1
                await anyio.sleep(0.05)
        assert 2 <= sent <= 20


async def test_a_slow_call_keeps_its_connection(
    klepaas: Callable[..., App], plugin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.1)
    async with served(klepaas()) as url, httpx.AsyncClient(timeout=scale_timeout(10)) as http:
        answer = await http.post(url, **modern_call("nap"))
        assert "rested" in answer.text


async def test_there_are_only_so_many_connections(klepaas: Callable[..., App], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 3)
    async with served(klepaas()) as url, contextlib.AsyncExitStack() as stack:
        *_, fourth = [await stack.enter_async_context(await _connect(url)) for _ in range(4)]
        await _ends(fourth)


async def test_one_session_too_many_of_an_older_client_gets_503(klepaas: Callable[..., App]) -> None:
    async with served(klepaas(http_max_sessions=2)) as url, httpx.AsyncClient() as http:
        opened = [await http.post(url, json=INITIALIZE, headers=HEADERS) for _ in range(2)]
        assert [answer.status_code for answer in opened] == [200, 200]
        answer = await http.post(url, json=INITIALIZE, headers=HEADERS)
        assert (answer.status_code, message_of(answer)) == (503, "Too many open sessions")
        assert (await http.post(url, **modern_call("quick"))).status_code == 200
        ended = {"Mcp-Session-Id": opened[0].headers["mcp-session-id"]}
        assert (await http.delete(url, headers={**HEADERS, **ended})).status_code == 200
        assert (await http.post(url, json=INITIALIZE, headers=HEADERS)).status_code == 200


async def test_calls_over_the_rate_are_tool_errors_that_say_when_to_come_back(
    klepaas: Callable[..., App], era: Any
) -> None:
    app = klepaas(rate_limit_per_minute=2)
    async with served(app) as url, Client(url, mode=era) as client:
        for _ in range(2):
            assert not (await client.call_tool("quick")).is_error
        error = error_of(await client.call_tool("quick", raise_on_error=False))
        assert (error["code"], error["retryable"]) == ("rate_limited", True)
        assert 25 < error["retry_after_s"] <= 30
        assert await client.list_tools()
    assert numbers(app)['mcp_gate_refusals_total{reason="rate_limited"}'] == 1
    assert numbers(app)['mcp_tool_calls_total{effect="read",outcome="rate_limited",tool="quick"}'] == 1


async def test_the_rate_may_be_unlimited_and_does_not_hold_where_there_is_one_caller(
    klepaas: Callable[..., App], era: Any
) -> None:
    async with Client(klepaas(rate_limit_per_minute=1).server, mode=era) as client:
        for _ in range(3):
            assert not (await client.call_tool("quick")).is_error
    async with served(klepaas(rate_limit_per_minute=0)) as url, Client(url, mode=era) as client:
        for _ in range(3):
            assert not (await client.call_tool("quick")).is_error


async def test_no_header_gives_a_caller_another_address(klepaas: Callable[..., App]) -> None:
    async with served(klepaas(rate_limit_per_minute=1)) as url, httpx.AsyncClient() as http:
        codes = []
        for number in range(3):
            call = modern_call("quick")
            call["headers"] |= {"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}"}
            codes.append("rate_limited" in (await http.post(url, **call)).text)
        assert codes == [False, True, True]


def test_a_bucket_fills_again_and_callers_do_not_share_one() -> None:
    clock = FakeClock()
    rate = Rate(60, clock)
    for _ in range(60):
        rate.take("one")
    with pytest.raises(RateLimited) as caught:
        rate.take("one")
    assert caught.value.retry_after_s == 1.0
    rate.take("other")
    clock.advance(2)
    rate.take("one")
    rate.take("one")
    with pytest.raises(RateLimited):
        rate.take("one")


def test_a_million_callers_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CALLERS", 10)
    rate = Rate(1, FakeClock())
    for number in range(1000):
        rate.take(f"caller {number}")
    assert len(rate._buckets) == 10


async def test_calls_beyond_the_slots_wait_and_beyond_the_queue_are_refused(
    klepaas: Callable[..., App], plugin: ModuleType, era: Any
) -> None:
    app = klepaas(max_concurrent_calls=2)
    results: list[Any] = []
    first = anyio.Event()

    async def call() -> None:
        results.append(await client.call_tool("slow", raise_on_error=False))
        first.set()

    async with Client(app.server, mode=era) as client, anyio.create_task_group() as group:
        for _ in range(7):
            group.start_soon(call)
        with anyio.fail_after(scale_timeout(5)):
            await first.wait()
        assert len(plugin.started) == 2
        error = error_of(results[0])
        assert (error["code"], error["retryable"]) == ("unavailable", True)
        assert "2 calls run and 4 wait" in results[0].content[0].text
        plugin.released.set()
    assert sum(not result.is_error for result in results) == 6
    assert numbers(app)['mcp_gate_refusals_total{reason="busy"}'] == 1
    assert numbers(app)["mcp_tool_calls_running"] == 0


async def test_a_call_does_not_wait_for_a_slot_for_ever(
    klepaas: Callable[..., App], plugin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUEUE_TIMEOUT_S", 0.1)
    app = klepaas(max_concurrent_calls=1)
    async with Client(app.server) as client, anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "slow")
        with anyio.fail_after(scale_timeout(5)):
            await plugin.begun.wait()
        assert error_of(await client.call_tool("quick", raise_on_error=False))["code"] == "unavailable"
        plugin.released.set()
    async with Client(app.server) as client:
        assert not (await client.call_tool("quick")).is_error


async def test_a_call_that_waits_for_a_person_holds_no_slot() -> None:
    slots, answered = Slots(1), anyio.Event()
    asked, done = anyio.Event(), []

    async def call() -> None:
        async with slots.one():
            async with slot_set_aside():
                asked.set()
                await answered.wait()
            done.append("asked")

    async def declined() -> None:
        async with slots.one(), slot_set_aside():
            raise LookupError

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await asked.wait()
        for _ in range(3):
            with pytest.raises(LookupError):
                await declined()
        async with slots.one():
            answered.set()
            await anyio.wait_all_tasks_blocked()
            assert done == [], "it takes a slot again before it goes on"
    assert done == ["asked"]
    async with slots.one():
        assert slots._slots.value == 0
    assert slots._slots.value == 1


async def test_a_client_that_leaves_gives_its_slot_back(
    klepaas: Callable[..., App], plugin: ModuleType, era: Any
) -> None:
    app = klepaas(max_concurrent_calls=1)
    async with served(app) as url, Client(url, mode=era) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "slow")
            with anyio.fail_after(scale_timeout(5)):
                await plugin.begun.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(scale_timeout(5)):
            assert not (await client.call_tool("quick")).is_error
    assert numbers(app)['mcp_tool_calls_total{effect="read",outcome="cancelled",tool="slow"}'] == 1


async def test_no_other_origin_is_ever_allowed_to_read(klepaas: Callable[..., App]) -> None:
    preflight = {"Origin": "http://127.0.0.1:9", "Access-Control-Request-Method": "POST"}
    async with asking(klepaas()) as http:
        for path in ("/mcp", "/healthz", "/readyz", "/metrics"):
            answer = await http.options(path, headers=preflight)
            assert answer.status_code >= 400
            assert not [name for name in answer.headers if name.startswith("access-control")]
            for method in ("GET", "POST"):
                headers = {**HEADERS, "Origin": "http://evil.example"}
                assert (await http.request(method, path, headers=headers)).status_code == 403
                assert (
                    await http.request(method, path, headers={**HEADERS, "Host": "evil.example"})
                ).status_code == 421
