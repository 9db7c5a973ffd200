"""A cluster that heeds no limit: what is answered stays small, quick, and costs little memory."""

import json
import resource
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastmcp import Client

from klepaas.app import create_app
from klepaas.testing import time_budget

pytestmark = pytest.mark.anyio

CAP_BYTES = 256 * 1024
MEMORY_MAX_KB = 64 * 1024
DURATION_MAX_S = time_budget(5, "a flood would be kept and parsed, not cut as it comes")
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "default", "uid": "1"},
    "spec": {"containers": [{"name": "main"}]},
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {
                "name": "main",
                "ready": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }
        ],
    },
}
CORE = {
    "kind": "APIResourceList",
    "groupVersion": "v1",
    "resources": [
        {"name": name, "singularName": name[:-1], "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
        for name, kind in (("pods", "Pod"), ("configmaps", "ConfigMap"), ("secrets", "Secret"))
    ],
}
Chunks = Callable[[], AsyncIterator[bytes]]


def _head(kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode()


def _cluster(flooding: str, flood: Chunks) -> Any:
    """A server that answers discovery and one pod, and on one path without end."""
    known: dict[str, Any] = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "groups": []},
        "/api/v1": CORE,
        "/api/v1/namespaces/default/pods/web": POD,
    }

    async def answer(seen: Any) -> AsyncIterator[bytes]:
        path = seen.path.partition("?")[0]
        yield _head()
        if path == flooding:
            async for chunk in flood():
                yield chunk
        else:
            yield json.dumps(known.get(path, {"kind": "Status"})).encode()

    return answer


async def _lines(size_bytes: int, line: bytes) -> AsyncIterator[bytes]:
    chunk = line * (64 * 1024 // len(line) + 1)
    for _ in range(size_bytes // len(chunk)):
        yield chunk


async def _asked(tool: str, **arguments: Any) -> tuple[Any, float, int]:
    """The answer, how long it took in seconds, and by how many kB the process grew."""
    async with Client(create_app().server) as client:
        await client.call_tool("check_system_health", {})
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.perf_counter()
        answer = await client.call_tool(tool, arguments, raise_on_error=False)
        duration_s = time.perf_counter() - begun
        return answer, duration_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb


@pytest.mark.parametrize(
    "arguments",
    [{}, {"tail_lines": 5000}, {"grep": "nothing like it"}, {"level": "warn"}, {"grep": "x", "context_lines": 20}],
)
@pytest.mark.parametrize(
    "line", [b"INFO a line of a log, request 12345 done in 3 ms\n", b"x" * 65_536], ids=["lines", "one line"]
)
async def test_500_mb_of_log(serve: Any, write_kubeconfig: Any, arguments: dict[str, Any], line: bytes) -> None:
    answering = _cluster("/api/v1/namespaces/default/pods/web/log", lambda: _lines(500_000_000, line))
    async with serve(answering) as server:
        write_kubeconfig(server.url)
        answer, duration_s, grown_kb = await _asked("k8s_logs", name="web", **arguments)
    text = answer.content[0].text
    assert not answer.is_error, text
    assert "reading stopped" in text
    assert len(text.encode()) < CAP_BYTES
    assert duration_s < DURATION_MAX_S
    assert grown_kb < MEMORY_MAX_KB


async def test_one_object_of_5_mb(serve: Any, write_kubeconfig: Any) -> None:
    values = {f"key{at}": "a line of text\n" * 70 for at in range(5000)}
    body = json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big", "namespace": "default"}, "data": values}
    ).encode()
    assert len(body) > 5_000_000

    async def flood() -> AsyncIterator[bytes]:
        yield body

    async with serve(_cluster("/api/v1/namespaces/default/configmaps/big", flood)) as server:
        write_kubeconfig(server.url)
        for arguments in ({"output": "yaml"}, {"output": "json"}, {"columns": ".data.key1,.data"}):
            answer, duration_s, grown_kb = await _asked("k8s_get", kind="configmap", name="big", **arguments)
            assert not answer.is_error, answer.content[0].text[:300]
            assert len(answer.content[0].text.encode()) < CAP_BYTES
            assert duration_s < DURATION_MAX_S, arguments
            assert grown_kb < MEMORY_MAX_KB, arguments


async def test_100_000_objects_from_a_server_that_does_not_page(serve: Any, write_kubeconfig: Any) -> None:
    row = json.dumps({"cells": ["web", "1/1", "Running", "0", "5m"], "object": None}).encode()

    async def flood() -> AsyncIterator[bytes]:
        columns = [{"name": name, "priority": 0} for name in ("Name", "Ready", "Status", "Restarts", "Age")]
        yield json.dumps({"kind": "Table", "metadata": {}, "columnDefinitions": columns}).encode()[:-1] + b',"rows":['
        for _ in range(999):
            yield (row + b",") * 100
        yield (row + b",") * 99 + row + b"]}"

    async with serve(_cluster("/api/v1/namespaces/default/pods", flood)) as server:
        write_kubeconfig(server.url)
        answer, duration_s, grown_kb = await _asked("k8s_get", kind="pods")
    assert len(answer.content[0].text.encode()) < CAP_BYTES
    assert duration_s < DURATION_MAX_S
    assert grown_kb < MEMORY_MAX_KB


async def test_a_list_without_end(serve: Any, write_kubeconfig: Any) -> None:
    async def flood() -> AsyncIterator[bytes]:
        yield b'{"kind":"PodList","items":['
        async for chunk in _lines(500_000_000, b'{"metadata":{"name":"web"}},'):
            yield chunk

    async with serve(_cluster("/api/v1/namespaces/default/pods", flood)) as server:
        write_kubeconfig(server.url)
        for arguments in ({}, {"output": "yaml"}, {"columns": "name"}, {"sort_by": "AGE"}):
            answer, duration_s, grown_kb = await _asked("k8s_get", kind="pods", **arguments)
            assert answer.is_error
            assert "larger than" in answer.content[0].text
            assert duration_s < DURATION_MAX_S
            assert grown_kb < MEMORY_MAX_KB
