"""Large answers cost the sandbox no memory, so that a client's bounds can be tested."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from klepaas.testing import scale_timeout, time_budget
from klepaas_plugins.kubernetes.sandbox import Sandbox

pytestmark = pytest.mark.anyio
Until = Callable[[Callable[[], Any]], Awaitable[None]]
PODS = "/api/v1/namespaces/default/pods"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
MEBIBYTE = 1024 * 1024


def pod(name: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "nginx:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def test_a_log_of_five_hundred_megabytes_is_made_while_it_is_sent(
    sandbox: Sandbox, api: httpx.AsyncClient
) -> None:
    sandbox.create(pod("web"))
    sandbox.flood_log("default", "web", 500_000_000)
    tracemalloc.start()
    began_s = time.monotonic()
    size = 0
    with anyio.fail_after(scale_timeout(50)):
        async with api.stream("GET", f"{PODS}/web/log") as response:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > 100_000_000:
                    break
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MEBIBYTE
    assert time.monotonic() - began_s < time_budget(40, "a flood would be kept, not read as it comes")


async def test_the_end_of_a_large_log_comes_at_once(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.create(pod("web"))
    sandbox.flood_log("default", "web", 500_000_000)
    with anyio.fail_after(scale_timeout(5)):
        tail = (await api.get(f"{PODS}/web/log", params={"tailLines": "3"})).text.splitlines()
        cut = (await api.get(f"{PODS}/web/log", params={"limitBytes": "250"})).content
        stamped = (await api.get(f"{PODS}/web/log", params={"tailLines": "1", "timestamps": "true"})).text
        recent = (await api.get(f"{PODS}/web/log", params={"sinceSeconds": "2"})).text
    assert [line.split("id=")[1].split()[0] for line in tail] == ["000004999997", "000004999998", "000004999999"]
    assert {len(line) for line in tail} == {99}
    assert len(cut) == 250
    assert stamped.split()[2:] == tail[-1].split()[1:]  # its own time may be a second later by now
    assert len(recent.splitlines()) == 2000


async def test_a_hundred_thousand_objects_are_listed_and_paged(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.plant({**pod("aaa"), "status": {"phase": "Running"}})
    sandbox.flood("pods", 100_000)
    with anyio.fail_after(scale_timeout(20)):
        first = (await api.get(PODS, params={"limit": "3"})).json()
    assert [item["metadata"]["name"] for item in first["items"]] == ["aaa", "flood-0000000", "flood-0000001"]
    assert first["metadata"]["remainingItemCount"] == 99_998
    asked = {"limit": "2", "continue": first["metadata"]["continue"], "includeObject": "None"}
    second = (await api.get(PODS, params=asked, headers=TABLE)).json()
    assert [row["cells"][:3] for row in second["rows"]] == [
        ["flood-0000002", "1/1", "Running"],
        ["flood-0000003", "1/1", "Running"],
    ]
    size = 0
    with anyio.fail_after(scale_timeout(30)):
        async with api.stream("GET", PODS) as response:
            async for chunk in response.aiter_raw():
                size += len(chunk)
    assert size > 30_000_000


async def test_flooded_objects_are_selected_and_read_one_by_one(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.flood("configmaps", 1000, like={"metadata": {"labels": {"app": "x"}}, "data": {"a": "b"}})
    maps = "/api/v1/namespaces/default/configmaps"
    none = await api.get(maps, params={"labelSelector": "app=y"})
    assert none.json()["items"] == []
    one = await api.get(maps, params={"fieldSelector": "metadata.name=flood-0000007"})
    assert [item["metadata"]["name"] for item in one.json()["items"]] == ["flood-0000007"]
    assert (await api.get(f"{maps}/flood-0000999")).json()["data"] == {"a": "b"}
    assert (await api.get(f"{maps}/flood-0001000")).status_code == 404


async def test_an_object_of_five_megabytes_is_planted_and_read(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    big = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"blob": "x" * 5_000_000}}
    sandbox.plant(big)
    response = await api.get("/api/v1/namespaces/default/configmaps/big")
    assert len(response.content) > 5_000_000
