"""The client against what a real API server was recorded to answer: discovery in both forms, tables, objects."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from klepaas_plugins.kubernetes.client import Clusters
from klepaas_plugins.kubernetes.masking import mask

pytestmark = pytest.mark.anyio
RECORDINGS = Path(__file__).parents[2] / "fixtures" / "k8s-recordings"
AGGREGATED = "apidiscovery.k8s.io"


def _exchanges() -> list[dict[str, Any]]:
    return [
        exchange
        for path in sorted(RECORDINGS.glob("*.json"))
        for exchange in json.loads(path.read_text())
        if exchange["request"]["method"] == "GET" and "response" in exchange
    ]


def _replay(*, aggregated: bool) -> Callable[[Any], AsyncIterator[bytes]]:
    exchanges = _exchanges()

    async def answer(seen: Any) -> AsyncIterator[bytes]:
        found = [exchange for exchange in exchanges if exchange["request"]["path"] == seen.path]
        if seen.path == "/apis":
            found = [item for item in found if (AGGREGATED in item["request"]["accept"]) is aggregated]
        body, code = b"404 page not found\n", 404
        if found:
            said = found[0]["response"]
            body, code = said.encode() if isinstance(said, str) else json.dumps(said).encode(), found[0]["status"]
        yield f"HTTP/1.1 {code} X\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    return answer


@pytest.mark.parametrize("aggregated", [True, False])
async def test_kinds_are_found_in_recorded_discovery(
    serve: Any, write_kubeconfig: Any, open_clusters: Callable[..., Clusters], aggregated: bool
) -> None:
    async with serve(_replay(aggregated=aggregated)) as server:
        write_kubeconfig(server.url)
        cluster = await open_clusters().cluster()
        for kind, full_name, namespaced in [
            ("po", "pods", True),
            ("Deployment", "deployments.apps", True),
            ("apps/v1/StatefulSet", "statefulsets.apps", True),
            ("ns", "namespaces", False),
            ("cm", "configmaps", True),
        ]:
            found = await cluster.resource(kind)
            assert (found.full_name, found.namespaced) == (full_name, namespaced)
            assert "list" in found.verbs


async def test_a_recorded_table_is_read(
    serve: Any, write_kubeconfig: Any, open_clusters: Callable[..., Clusters]
) -> None:
    async with serve(_replay(aggregated=True)) as server:
        write_kubeconfig(server.url)
        cluster = await open_clusters().cluster()
        pods = await cluster.table(await cluster.resource("po"), "rec")
    assert [column.name for column in pods.columns if column.priority == 0][:3] == ["Name", "Ready", "Status"]
    assert pods.rows
    assert all(row.name == row.cells[0] for row in pods.rows)
    assert pods.resource_version


def test_no_recorded_object_is_harmed_by_masking() -> None:
    for exchange in _exchanges():
        said = exchange["response"]
        if exchange["status"] != 200 or not isinstance(said, dict) or said.get("kind") not in ("Pod", "Deployment"):
            continue
        shown = mask(said)
        expected = json.loads(json.dumps(said))
        expected["metadata"].pop("managedFields", None)
        assert shown == expected
