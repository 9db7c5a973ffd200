"""`klepaas serve --http` on loopback."""

import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from fastmcp import Client

from klepaas.app import loopback_address
from klepaas.errors import BadRequest
from klepaas.testing import scale_timeout

from .conftest import HANDSHAKE, SERVE, Server

pytestmark = pytest.mark.anyio

Serve = Callable[..., AbstractAsyncContextManager[Server]]
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HANDSHAKE}


async def test_the_told_address_serves_both_protocols_to_many_clients_at_once(serve: Serve) -> None:
    answers: list[str] = []

    async def talk(url: str, era: Any) -> None:
        async with Client(url, mode=era) as client:
            names = [tool.name for tool in await client.list_tools()]
            assert "k8s_get" in names
            assert "deploy_application" not in names
            for _ in range(3):
                result = await client.call_tool(
                    "deploy_application", {"app_name": "web", "image": "nginx"}, raise_on_error=False
                )
                answers.append((result.meta or {})["code"])

    async with serve("--http", "127.0.0.1:0") as server:
        url = await server.url()
        with anyio.fail_after(scale_timeout(30)):
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(talk, url, "legacy" if number % 2 else "auto")
        assert answers == ["forbidden"] * 30
        server.process.terminate()
        await server.ended(within_s=scale_timeout(5))
        assert "Traceback" not in server.stderr.read_text()


@pytest.mark.parametrize("address", ["[::1]:0", "localhost:0", "127.0.0.2:0", ":0"])
async def test_every_loopback_address_can_be_listened_on(serve: Serve, address: str) -> None:
    async with serve("--http", address) as server:
        with anyio.fail_after(scale_timeout(20)):
            async with Client(await server.url()) as client:
                assert await client.list_tools()


FOREIGN_HOSTS = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "169.254.169.254"]
FOREIGN_ORIGINS = [
    "http://evil.example",
    "https://evil.example:443",
    "null",
    "http://127.0.0.1.evil.example",
    "file://",
]


async def test_a_foreign_host_is_refused(serve: Serve) -> None:
    async with serve("--http", "127.0.0.1:0") as server, httpx.AsyncClient() as http:
        url = await server.url()
        for host in FOREIGN_HOSTS:
            answer = await http.post(url, json=INITIALIZE, headers={**HEADERS, "Host": host})
            assert answer.status_code in (403, 421), host
        assert (await http.post(url, json=INITIALIZE, headers=HEADERS)).status_code == 200


async def test_a_foreign_origin_is_refused(serve: Serve) -> None:
    async with serve("--http", "127.0.0.1:0") as server, httpx.AsyncClient() as http:
        url = await server.url()
        for origin in FOREIGN_ORIGINS:
            for method in ("POST", "GET", "OPTIONS", "DELETE"):
                answer = await http.request(method, url, json=INITIALIZE, headers={**HEADERS, "Origin": origin})
                assert answer.status_code == 403, (origin, method)
                assert "access-control-allow-origin" not in answer.headers


async def test_no_answer_tells_what_serves_and_other_paths_do_not_exist(serve: Serve) -> None:
    async with serve("--http", "127.0.0.1:0") as server, httpx.AsyncClient() as http:
        url = await server.url()
        parts = urlsplit(url)
        for path in ("/", "/mcp/../", "/authorize", "/token", "/register", "/docs", "/openapi.json"):
            answer = await http.get(f"{parts.scheme}://{parts.netloc}{path}")
            assert answer.status_code in (404, 405), path
        answer = await http.post(url, json=INITIALIZE, headers=HEADERS)
        assert "server" not in answer.headers


async def test_garbage_is_a_mistake_of_the_client(serve: Serve) -> None:
    deep, big = b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"
    async with serve("--http", "127.0.0.1:0") as server, httpx.AsyncClient() as http:
        url = await server.url()
        for body in (b"", b"not json", b"[]", b"null", b"\xff", deep, big, b"{}" * 3, b"x" * 5_000_000):
            answer = await http.post(url, content=body, headers=HEADERS)
            assert 400 <= answer.status_code < 500, body[:20]
        assert (await http.post(url, json=INITIALIZE, headers=HEADERS)).status_code == 200
        assert "Traceback" not in server.stderr.read_text()


OTHERS = ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[2001:db8::1]:0", "0:0", "example.com:80", "[::ffff:8.8.8.8]:0"]
NONE = ["127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1:65536", f"127.0.0.1:{'9' * 5000}", "::1:x"]
STRANGE = ["127.0.0.1:0/mcp", "http://127.0.0.1:0", "127.0.0.1 :0", "127.1:0", "2130706433:0", "127.0.0.1\n:0", ""]


@pytest.mark.parametrize("address", [*OTHERS, *NONE, *STRANGE], ids=lambda text: ascii(text[:20]))
def test_an_address_that_others_could_reach_or_that_is_none_is_refused_in_one_line(
    address: str,
) -> None:
    with pytest.raises(BadRequest) as caught:
        loopback_address(address)
    assert len(caught.value.line) < 300
    assert caught.value.next_step


def test_the_command_ends_with_2_where_the_address_is_refused(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*SERVE, "--http", "0.0.0.0:0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=scale_timeout(20),
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
