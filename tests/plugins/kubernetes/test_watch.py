import json
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from klepaas.errors import CircuitOpen, Forbidden
from klepaas.resilience import Policy
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Cluster, Clusters, Expired, Resource, requests, watching
from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]
CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", "configmap", (), True, frozenset({"watch"}))
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


def _line(kind: str, version: str, **metadata: Any) -> bytes:
    found = {"kind": "ConfigMap", "metadata": {"resourceVersion": version, **metadata}}
    return json.dumps({"type": kind, "object": found}, ensure_ascii=False).encode() + b"\n"


async def test_changes_are_seen_as_they_happen(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("cm")
    version = (await cluster.list(kind, "default"))["metadata"]["resourceVersion"]
    async with cluster.watch(kind, "default", resource_version=version) as events:
        sandbox.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        with anyio.fail_after(scale_timeout(5)):
            event = await anext(events)
        assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "a")
        sandbox.delete("ConfigMap", "a")
        with anyio.fail_after(scale_timeout(5)):
            assert (await anext(events)).type == "DELETED"


async def test_only_what_is_selected_is_seen(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("cm")
    version = (await cluster.list(kind, "default"))["metadata"]["resourceVersion"]
    async with cluster.watch(kind, "default", field_selector="metadata.name=b", resource_version=version) as events:
        for name in ("a", "b"):
            sandbox.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
        with anyio.fail_after(scale_timeout(5)):
            assert (await anext(events)).object["metadata"]["name"] == "b"


async def test_a_watch_goes_on_from_the_last_version_over_ends_and_outages(
    serve: Any, write_kubeconfig: Any, open_clusters: Open
) -> None:
    turns = iter(
        [
            HEAD + _line("ADDED", "11", name="a") + _line("BOOKMARK", "15"),
            b"",
            b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            HEAD + _line("MODIFIED", "16", name="a", note="\u0085 \u2028 line ends of other worlds"),
        ]
    )

    async def answer(_: Any) -> AsyncIterator[bytes]:
        whole = next(turns, b"")
        # In pieces, so that a line is split over several reads.
        for at in range(0, len(whole), 7):
            yield whole[at : at + 7]

    async with serve(answer) as server:
        write_kubeconfig(server.url)
        cluster = await open_clusters().cluster()
        async with cluster.watch(CONFIG_MAPS, "default", resource_version="10") as events:
            with anyio.fail_after(scale_timeout(10)):
                seen = [(await anext(events)).type, (await anext(events)).type]
    assert seen == ["ADDED", "MODIFIED"]
    asked = [dict(part.split("=") for part in found.path.split("?")[1].split("&")) for found in server.seen[:4]]
    assert [query["resourceVersion"] for query in asked] == ["10", "15", "15", "15"]
    assert all(query["watch"] == "1" and query["allowWatchBookmarks"] == "true" for query in asked)


@pytest.mark.parametrize("as_event", [True, False])
async def test_a_version_that_is_no_longer_kept_is_expired(
    serve: Any, write_kubeconfig: Any, open_clusters: Open, as_event: bool
) -> None:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (99)"}
    body = json.dumps({"type": "ERROR", "object": status} if as_event else status).encode() + b"\n"
    head = HEAD if as_event else b"HTTP/1.1 410 Gone\r\nConnection: close\r\n\r\n"

    async def answer(_: Any) -> AsyncIterator[bytes]:
        yield head + body

    async with serve(answer) as server:
        write_kubeconfig(server.url)
        cluster = await open_clusters().cluster()
        async with cluster.watch(CONFIG_MAPS, "default", resource_version="1") as events:
            with anyio.fail_after(scale_timeout(5)), pytest.raises(Expired):
                await anext(events)
    assert len(server.seen) == 1


async def test_a_watch_that_is_refused_is_not_taken_up_again(cluster: Cluster, sandbox: Sandbox) -> None:
    kind = await cluster.resource("cm")
    sandbox.deny("watch", "configmaps")
    sandbox.clear_requests()
    async with cluster.watch(kind, "default", resource_version="1") as events:
        with anyio.fail_after(scale_timeout(5)), pytest.raises(Forbidden):
            await anext(events)
    assert len(sandbox.requests) == 1


async def test_a_cluster_that_stays_away_ends_the_watch(
    serve: Any, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PAUSES_S", (0.01, 0.01))
    # As after failures that took long: what fails at once leaves the breaker open for a moment alone.
    monkeypatch.setattr(requests, "_OPEN_RATIO", math.inf)

    async def answer(_: Any) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    async with serve(answer) as server:
        write_kubeconfig(server.url)
        cluster = await open_clusters().cluster()
        async with cluster.watch(CONFIG_MAPS, "default", resource_version="1") as events:
            with anyio.fail_after(scale_timeout(5)), pytest.raises(CircuitOpen):
                await anext(events)
    assert len(server.seen) == Policy().fail_max


async def test_leaving_a_watch_closes_its_connection(serve: Any, write_kubeconfig: Any, open_clusters: Open) -> None:
    closed = anyio.Event()

    async def answer(_: Any) -> AsyncIterator[bytes]:
        try:
            yield HEAD + _line("ADDED", "2", name="a")
            while True:
                await anyio.sleep(0.02)
                yield b"\n"
        finally:
            closed.set()

    async with serve(answer) as server:
        write_kubeconfig(server.url)
        cluster = await open_clusters().cluster()
        async with cluster.watch(CONFIG_MAPS, "default", resource_version="1") as events:
            await anext(events)
        with anyio.fail_after(scale_timeout(5)):
            await closed.wait()


async def test_a_watch_that_is_cancelled_leaves_nothing_behind(cluster: Cluster) -> None:
    kind = await cluster.resource("cm")
    version = (await cluster.list(kind, "default"))["metadata"]["resourceVersion"]
    with anyio.move_on_after(0.2) as scope:
        async with cluster.watch(kind, "default", resource_version=version) as events:
            async for _ in events:
                pass
    assert scope.cancelled_caught
    assert (await cluster.list(kind, "default"))["kind"] == "ConfigMapList"
