"""k8s_exec: off unless switched on; over a WebSocket server that speaks the API server's protocol."""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from fastmcp import Client
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from klepaas.app import create_app
from klepaas.policy import Decision, Rule
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout, time_budget

pytestmark = pytest.mark.anyio

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"containers": [{"name": "main"}, {"name": "side"}]},
    "status": {"phase": "Running", "containerStatuses": [{"name": "main", "ready": True, "state": {"running": {}}}]},
}
CORE = {
    "kind": "APIResourceList",
    "groupVersion": "v1",
    "resources": [{"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]}],
}
KNOWN: dict[str, Any] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "groups": []},
    "/api/v1": CORE,
    "/api/v1/namespaces/default/pods/web": POD,
}
EXEC = "/api/v1/namespaces/default/pods/web/exec"
SUCCESS = b"\x03" + json.dumps({"status": "Success"}).encode()
Running = Callable[[ServerConnection], Awaitable[None]]


class Cluster:
    """An API server whose pod runs what a test says."""

    def __init__(
        self, running: Running, refuse: tuple[int, str] | None = None, elsewhere: tuple[int, str] | None = None
    ) -> None:
        self.running = running
        self.elsewhere = elsewhere
        self.refuse = refuse
        self.asked: list[dict[str, list[str]]] = []
        self.headers: list[Headers] = []

    async def handle(self, connection: ServerConnection) -> None:
        await self.running(connection)

    def route(self, connection: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path)
        if path.path == EXEC and self.elsewhere:
            status, target = self.elsewhere
            return Response(
                status, HTTPStatus(status).phrase, Headers({"Location": target, "Content-Length": "0"}), b""
            )
        if path.path == EXEC and self.refuse is None:
            self.asked.append(parse_qs(path.query))
            self.headers.append(request.headers)
            return None
        code, body = 200, KNOWN.get(path.path)
        if path.path == EXEC and self.refuse:
            code, body = (
                self.refuse[0],
                {"kind": "Status", "reason": "Forbidden", "message": self.refuse[1], "details": {}},
            )
        elif body is None:
            code, body = 404, {"kind": "Status", "reason": "NotFound", "details": {"name": "x"}}
        data = json.dumps(body).encode()
        headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(data)), "Connection": "close"})
        return Response(code, HTTPStatus(code).phrase, headers, data)


@asynccontextmanager
async def _session(cluster: Cluster, write_kubeconfig: Any, **settings: Any) -> AsyncIterator[Client[Any]]:
    async with serve(
        cluster.handle,
        "127.0.0.1",
        0,
        process_request=cluster.route,
        subprotocols=["v5.channel.k8s.io"],  # type: ignore[list-item]
        close_timeout=1,
    ) as server:
        write_kubeconfig(_url(server), {"token": "a-token-of-the-test"})
        given = Settings(**{"mode": Mode.WRITES, "policy": (Rule(decision=Decision.AUTO),), **settings})
        async with Client(create_app(given).server) as client:
            yield client


def _url(server: Server) -> str:
    host, port = next(iter(server.sockets)).getsockname()[:2]
    return f"http://{host}:{port}"


def _text(result: Any) -> str:
    return str(result.content[0].text)


def _code(result: Any) -> str:
    return str((result.meta or {})["code"])


@pytest.fixture
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched on."""
    monkeypatch.setenv("KLEPAAS_K8S_EXEC", "true")


async def _hello(connection: ServerConnection) -> None:
    await connection.send(b"\x01hello\n")
    await connection.send(b"\x02but DB_PASSWORD=hunter2secret9\n")
    await connection.send(SUCCESS)


async def test_it_is_not_there_unless_it_is_switched_on(write_kubeconfig: Any) -> None:
    async with _session(Cluster(_hello), write_kubeconfig) as client:
        assert "k8s_exec" not in {tool.name for tool in await client.list_tools()}
        refused = await client.call_tool("k8s_exec", {"pod": "web", "command": ["id"]}, raise_on_error=False)
        assert refused.is_error


@pytest.mark.usefixtures("enabled")
async def test_it_is_destructive_and_closed_to_readers(write_kubeconfig: Any) -> None:
    cluster = Cluster(_hello)
    async with _session(cluster, write_kubeconfig, mode=Mode.READ_ONLY) as client:
        refused = await client.call_tool("k8s_exec", {"pod": "web", "command": ["id"]}, raise_on_error=False)
        assert _code(refused) == "forbidden"
    async with _session(cluster, write_kubeconfig) as client:
        (tool,) = [tool for tool in await client.list_tools() if tool.name == "k8s_exec"]
        assert tool.annotations is not None
        assert tool.annotations.destructive_hint
    assert cluster.asked == []


@pytest.mark.usefixtures("enabled")
async def test_words_arrive_as_they_are_and_what_is_printed_comes_back_masked(write_kubeconfig: Any) -> None:
    cluster = Cluster(_hello)
    words = ["sh", "-c", "echo $HOME; id && a=b&c #x", "?"]
    async with _session(cluster, write_kubeconfig) as client:
        result = await client.call_tool("k8s_exec", {"pod": "web", "command": words})
    assert cluster.asked == [{"stdout": ["true"], "stderr": ["true"], "container": ["main"], "command": words}]
    assert cluster.headers[0]["Authorization"] == "Bearer a-token-of-the-test"
    text = _text(result)
    assert text.startswith("container main of pod web in namespace default: exit code 0\nhello\nstderr:\n")
    assert "hunter2" not in text


@pytest.mark.usefixtures("enabled")
async def test_a_command_that_fails_tells_its_exit_code(write_kubeconfig: Any) -> None:
    async def failing(connection: ServerConnection) -> None:
        causes = [{"reason": "ExitCode", "message": "7"}]
        status = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
        await connection.send(b"\x03" + json.dumps(status).encode())

    async with _session(Cluster(failing), write_kubeconfig) as client:
        result = await client.call_tool("k8s_exec", {"pod": "web", "command": ["false"]})
    assert "exit code 7" in _text(result)


@pytest.mark.usefixtures("enabled")
async def test_a_program_that_is_not_there_is_an_error(write_kubeconfig: Any) -> None:
    async def missing(connection: ServerConnection) -> None:
        status = {"status": "Failure", "message": 'exec: "nope": executable file not found in $PATH'}
        await connection.send(b"\x03" + json.dumps(status).encode())

    async with _session(Cluster(missing), write_kubeconfig) as client:
        result = await client.call_tool("k8s_exec", {"pod": "web", "command": ["nope"]}, raise_on_error=False)
    assert result.is_error
    assert "executable file not found" in _text(result)


@pytest.mark.usefixtures("enabled")
async def test_one_that_prints_or_runs_without_end_is_left_behind(write_kubeconfig: Any) -> None:
    async def endless(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await connection.send(b"\x01" + b"y\n" * 10_000)

    async def silent(connection: ServerConnection) -> None:
        with anyio.move_on_after(scale_timeout(20)):
            await connection.wait_closed()

    for running, says in ((endless, "stopped listening after 32000 bytes"), (silent, "still running after 1 s")):
        begun = time.perf_counter()
        async with _session(Cluster(running), write_kubeconfig) as client:
            result = await client.call_tool("k8s_exec", {"pod": "web", "command": ["yes"], "timeout_s": 1})
        assert says in _text(result)
        assert len(_text(result)) < 40_000
        assert time.perf_counter() - begun < time_budget(8, "it would run for ever")


@pytest.mark.usefixtures("enabled")
async def test_a_refusal_is_one_line_without_the_command(write_kubeconfig: Any) -> None:
    cluster = Cluster(_hello, refuse=(403, 'pods "web" is forbidden: cannot create resource "pods/exec"'))
    async with _session(cluster, write_kubeconfig) as client:
        refused = await client.call_tool("k8s_exec", {"pod": "web", "command": ["id"]}, raise_on_error=False)
    assert _code(refused) == "forbidden"
    assert "pods/exec" in _text(refused)


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize(
    "arguments",
    [
        {"command": []},
        {"command": ["x"] * 65},
        {"command": ["a\x00b"]},
        {"command": ["a\rb"]},
        {"command": "id"},
        {"command": ["id"], "container": "nothing"},
        {"command": ["id"], "container": ".."},
        {"command": ["id"], "pod": "../x"},
        {"command": ["id"], "pod": "other"},
    ],
)
async def test_a_wrong_call_runs_nothing(write_kubeconfig: Any, arguments: dict[str, Any]) -> None:
    cluster = Cluster(_hello)
    async with _session(cluster, write_kubeconfig) as client:
        refused = await client.call_tool("k8s_exec", {"pod": "web", **arguments}, raise_on_error=False)
    assert refused.is_error
    assert cluster.asked == []


@pytest.mark.usefixtures("enabled")
async def test_a_dry_run_runs_nothing(write_kubeconfig: Any) -> None:
    cluster = Cluster(_hello)
    async with _session(cluster, write_kubeconfig) as client:
        result = await client.call_tool("k8s_exec", {"pod": "web", "command": ["id"], "dry_run": True})
    assert "would run ['id'] in container main of pod web" in _text(result)
    assert cluster.asked == []


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_no_other_host_sees_a_request_or_the_token(
    write_kubeconfig: Any, status: int
) -> None:
    other = Cluster(_hello)
    async with serve(other.handle, "127.0.0.1", 0, process_request=other.route) as elsewhere:
        cluster = Cluster(_hello, elsewhere=(status, f"{_url(elsewhere)}{EXEC}"))
        async with _session(cluster, write_kubeconfig) as client:
            refused = await client.call_tool("k8s_exec", {"pod": "web", "command": ["id"]}, raise_on_error=False)
    assert "the server sends us elsewhere" in _text(refused)
    assert _code(refused) == "unavailable"
    assert (other.asked, other.headers) == ([], [])
