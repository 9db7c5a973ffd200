"""How `klepaas serve` ends: calls get their grace, probes learn of it, nothing stays open, no traceback is shown."""

import json
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import anyio
import httpx
import pytest
from fastmcp import Client

from klepaas.testing import scale_timeout, time_budget

from .conftest import HEADERS, INITIALIZE, MODERN, Process, modern_call
from .test_catalogue_changes import listening

pytestmark = pytest.mark.anyio

# Running calls have a grace of 10 s, unless a test gives another.
AT_ONCE_S = time_budget(2, "the end would wait for the grace, though nothing runs that may end")

Serve = Callable[..., AbstractAsyncContextManager[Process]]


async def _stopping(server: Process, http: httpx.AsyncClient) -> None:
    """Wait until the server knows that it is to stop."""
    with anyio.fail_after(scale_timeout(5)):
        while True:
            if (await http.get(f"{server.base}/readyz")).status_code != 200:
                return
            await anyio.sleep(0.02)


def _clean(server: Process) -> str:
    said = server.stderr.read_text()
    assert "Traceback" not in said
    assert "Exception" not in said
    return said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_an_idle_server_ends_at_once(serve: Serve, number: signal.Signals, code: int) -> None:
    async with serve() as server, httpx.AsyncClient() as http:
        assert (await http.get(f"{server.base}/readyz")).status_code == 200
        server.signal(number)
        assert await server.ended(within_s=AT_ONCE_S) == code
        assert "the plugin has let go" in _clean(server)


async def test_a_running_call_ends_and_its_client_gets_the_answer(serve: Serve, era: Any) -> None:
    results: list[Any] = []

    async def call(client: Client[Any]) -> None:
        results.append(await client.call_tool("nap", raise_on_error=False))

    async with serve() as server, httpx.AsyncClient() as http, AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(server.url, mode=era))
        await client.list_tools()  # else it would after the call, to check the answer
        async with anyio.create_task_group() as group:
            group.start_soon(call, client)
            await server.running_calls(http, 1)
            server.signal()
        assert results[0].content[0].text == "rested"
        assert await server.ended(within_s=AT_ONCE_S) == 143
        _clean(server)


async def test_meanwhile_probes_and_new_calls_are_told(serve: Serve) -> None:
    async with (
        serve() as server,
        httpx.AsyncClient(timeout=scale_timeout(10)) as http,
        anyio.create_task_group() as group,
    ):
        opened = await http.post(server.url, json=INITIALIZE, headers=HEADERS)
        session = {**HEADERS, "Mcp-Session-Id": opened.headers["mcp-session-id"]}
        group.start_soon(_ignoring_the_end, server.url, modern_call("slow"))
        await server.running_calls(http, 1)
        server.signal()
        await _stopping(server, http)
        assert (await http.get(f"{server.base}/healthz")).status_code == 200
        ready = await http.get(f"{server.base}/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["stopping"])
        opening: dict[str, Any] = {"json": INITIALIZE, "headers": HEADERS}
        listen: dict[str, Any] = {"json": INITIALIZE, "headers": {**MODERN, "Mcp-Method": "subscriptions/listen"}}
        for request in (opening, listen):
            answer = await http.post(server.url, **request)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.json()["error"]["message"] == "This server is stopping"
        assert (await http.get(server.url, headers=session)).status_code == 503
        message = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "quick", "arguments": {}}}
        legacy: dict[str, Any] = {"json": message, "headers": session}
        for request in (legacy, modern_call("quick")):
            answer = await http.post(server.url, **request)
            assert '"code":"unavailable"' in answer.text
            assert '"isError":true' in answer.text
        server.signal()
        assert await server.ended(within_s=AT_ONCE_S) == 143


async def _ignoring_the_end(url: str, call: dict[str, Any]) -> None:
    async with httpx.AsyncClient(timeout=scale_timeout(30)) as http:
        try:
            await http.post(url, **call)
        except httpx.TransportError:
            return


async def test_a_call_that_outlives_its_grace_is_cancelled_and_says_so(serve: Serve, era: Any) -> None:
    results: list[Any] = []

    async def call(client: Client[Any]) -> None:
        results.append(await client.call_tool("slow", raise_on_error=False))

    async with serve(KLEPAAS_SHUTDOWN_GRACE_S="0.3") as server, httpx.AsyncClient() as http, AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(server.url, mode=era))
        async with anyio.create_task_group() as group:
            group.start_soon(call, client)
            await server.running_calls(http, 1)
            server.signal()
        assert await server.ended(within_s=AT_ONCE_S) == 143
        assert results[0].meta["code"] == "unavailable"
        assert "what it began may be done" in results[0].content[0].text
        assert "cancelling 1 calls" in _clean(server)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(serve: Serve, second: signal.Signals) -> None:
    async with serve(KLEPAAS_SHUTDOWN_GRACE_S="60") as server, httpx.AsyncClient() as http:
        async with anyio.create_task_group() as group:
            group.start_soon(_ignoring_the_end, server.url, modern_call("slow"))
            await server.running_calls(http, 1)
            server.signal()
            await _stopping(server, http)
            server.signal(second)
            assert await server.ended(within_s=AT_ONCE_S) == 128 + second
        _clean(server)


async def test_streams_that_never_end_do_not_hold_it_up(serve: Serve) -> None:
    async with serve() as server, AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(Client(server.url, mode="legacy"))
        notes = await stack.enter_async_context(listening(server.url))
        assert (await notes.receive())["method"] == "notifications/subscriptions/acknowledged"
        server.signal()
        with anyio.fail_after(scale_timeout(5)):
            assert (await notes.receive())["result"]["resultType"] == "complete"
        assert await server.ended(within_s=AT_ONCE_S) == 143
        assert "the plugin has let go" in _clean(server)


async def test_over_stdio_a_call_has_its_grace_too(serve: Serve) -> None:
    async with serve("--verbose") as server:
        assert server.process.stdin is not None
        assert server.process.stdout is not None
        call = '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"nap","arguments":{}}}\n'
        await server.process.stdin.send(_line(INITIALIZE) + b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        await server.process.stdout.receive()
        await server.process.stdin.send(call.encode() + call.replace('"nap"', '"quick"').replace("2,", "3,").encode())
        with anyio.fail_after(scale_timeout(5)):
            assert b"done" in await server.process.stdout.receive()
            server.signal()
            assert b"rested" in await server.process.stdout.receive()
        assert await server.ended(within_s=AT_ONCE_S) == 143
        assert "the plugin has let go" in _clean(server)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


async def test_over_stdio_a_second_signal_ends_it_at_once(serve: Serve) -> None:
    async with serve("--verbose", KLEPAAS_SHUTDOWN_GRACE_S="60") as server:
        assert server.process.stdin is not None
        assert server.process.stdout is not None
        calls = [{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "slow", "arguments": {}}}]
        calls.append({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "quick", "arguments": {}}})
        await server.process.stdin.send(_line(INITIALIZE) + b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        await server.process.stdout.receive()
        await server.process.stdin.send(b"".join(map(_line, calls)))
        with anyio.fail_after(scale_timeout(5)):
            assert b"done" in await server.process.stdout.receive()
            server.signal()
            answer = b""
            while b"This server is stopping" not in answer:  # the signal may come after a call that was sent later
                await server.process.stdin.send(_line({**calls[1], "id": 4}))
                answer = await server.process.stdout.receive()
        server.signal()
        assert await server.ended(within_s=AT_ONCE_S) == 143
        _clean(server)
