import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from fastmcp import Client

from klepaas.app import create_app
from klepaas.errors import BadRequest, RateLimited, TimedOut, Unavailable
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Clusters, OutcomeUnknown, Resource
from klepaas_plugins.kubernetes.client import transport as sending

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", "configmap", (), True, frozenset({"list"}))


def _answer(head: str, body: bytes = b"") -> Callable[[Any], AsyncIterator[bytes]]:
    async def answer(_: Any) -> AsyncIterator[bytes]:
        yield f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body

    return answer


async def test_a_closed_port_is_unavailable_at_once(write_kubeconfig: Any, open_clusters: Open) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write_kubeconfig(f"http://127.0.0.1:{port}", {"token": "canary-1234"})
    with anyio.fail_after(scale_timeout(5)), pytest.raises(Unavailable) as caught:
        await (await open_clusters().cluster()).resource("deployments")
    assert "context test" in caught.value.line
    assert "Check that the cluster is up" in caught.value.line
    assert str(port) not in caught.value.line


async def test_a_black_hole_times_out_within_the_limit(write_kubeconfig: Any, open_clusters: Open) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(8)
        write_kubeconfig(f"http://127.0.0.1:{hole.getsockname()[1]}")
        with (
            anyio.fail_after(scale_timeout(5)),
            pytest.raises(TimedOut, match=r"\(context test\): no answer within") as caught,
        ):
            await (await open_clusters(read_timeout_s=0.2).cluster()).resource("deployments")
    assert caught.value.next_step


async def test_opening_a_cluster_in_a_black_hole_sends_nothing(write_kubeconfig: Any, open_clusters: Open) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(8)
        hole.setblocking(False)
        write_kubeconfig(f"http://127.0.0.1:{hole.getsockname()[1]}")
        clusters = open_clusters()
        assert clusters.contexts()
        await clusters.cluster()
        with pytest.raises(BlockingIOError):
            hole.accept()


async def test_an_answer_that_drips_for_ever_ends(serve: Any, write_kubeconfig: Any, open_clusters: Open) -> None:
    async def drip(_: Any) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        while True:
            yield b" "
            await anyio.sleep(0.02)

    async with serve(drip) as server:
        write_kubeconfig(server.url)
        with anyio.fail_after(scale_timeout(10)), pytest.raises(TimedOut):
            await (await open_clusters(read_timeout_s=0.2).cluster()).resource("deployments")


async def test_a_change_without_an_answer_is_said_to_be_unknown(
    serve: Any, write_kubeconfig: Any, open_clusters: Open
) -> None:
    async def gone(_: Any) -> AsyncIterator[bytes]:
        answer: list[bytes] = []
        for chunk in answer:
            yield chunk

    async with serve(gone) as server:
        write_kubeconfig(server.url)
        cluster = await open_clusters().cluster()
        with pytest.raises(OutcomeUnknown, match="may have been made") as caught:
            await cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}}, "default")
        assert not caught.value.structured()["retryable"]
        with pytest.raises(Unavailable, match="broke off"):
            await cluster.create(CONFIG_MAPS, {"metadata": {"name": "a"}}, "default", dry_run=True)


@pytest.mark.parametrize(
    ("head", "body", "kind", "asked"),
    [
        ("200 OK", b"<html>login</html>", Unavailable, 1),
        ("200 OK", b"[]", Unavailable, 1),
        ("200 OK", b"[" * 200_000, BadRequest, 1),
        ("502 Bad Gateway", b"<html>canary</html>", Unavailable, 3),
        ("503 Service Unavailable", b"", Unavailable, 3),
        ("504 Gateway Timeout", b"", TimedOut, 3),
        ("302 Found\r\nLocation: http://127.0.0.1:1/canary", b"", Unavailable, 1),
        ("429 Too Many\r\nRetry-After: 70", b"", RateLimited, 1),
        ("418 Teapot", b"canary", BadRequest, 1),
    ],
)
async def test_what_is_not_the_api_is_one_clear_line(
    serve: Any, write_kubeconfig: Any, open_clusters: Open, head: str, body: bytes, kind: type[Exception], asked: int
) -> None:
    async with serve(_answer(head, body)) as server:
        write_kubeconfig(server.url, {"token": "secret-token-1"})
        cluster = await open_clusters().cluster()
        with pytest.raises(kind) as caught:
            await cluster.list(CONFIG_MAPS, "default")
    line = str(getattr(caught.value, "line", ""))
    assert "context test" in line
    assert "canary" not in line
    assert "secret-token" not in line
    assert len(server.seen) == asked
    if kind is RateLimited:
        assert getattr(caught.value, "retry_after_s", None) == 70


async def test_an_answer_without_end_is_refused_while_it_comes(
    serve: Any, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0

    async def flood(_: Any) -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        while True:
            sent += 1
            yield b"x" * (1024 * 1024)

    async with serve(flood) as server:
        write_kubeconfig(server.url)
        cluster = await open_clusters().cluster()
        with anyio.fail_after(scale_timeout(20)), pytest.raises(BadRequest, match="larger than") as caught:
            await cluster.list(CONFIG_MAPS, "default")
    assert "Narrow it" in caught.value.line
    assert sent < 2 * sending.ANSWER_MAX_BYTES / (1024 * 1024)


async def test_a_dead_cluster_is_one_line_and_a_code_to_a_client_too(
    write_kubeconfig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KLEPAAS_K8S_READ_TIMEOUT_S", "0.3")
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(8)
        write_kubeconfig(f"http://127.0.0.1:{hole.getsockname()[1]}")
        with anyio.fail_after(scale_timeout(20)):
            async with Client(create_app().server) as client:
                assert await client.list_tools()
                result = await client.call_tool("k8s_get", {"kind": "deployments"}, raise_on_error=False)
                assert result.is_error
                assert (result.meta or {})["code"] == "timeout"
                hole.close()
                result = await client.call_tool("k8s_get", {"kind": "deployments"}, raise_on_error=False)
                assert (result.meta or {})["code"] == "unavailable"
                looked = await client.call_tool("get_overview", {}, raise_on_error=False)
                assert looked.is_error
                assert "Contexts: " in str(looked.content)
