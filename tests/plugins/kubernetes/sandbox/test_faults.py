"""Faults by knob: each one as a client meets it."""

from __future__ import annotations

import json
import time

import anyio
import httpx
import pytest

from klepaas.testing import scale_timeout, time_budget
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio
MAPS = "/api/v1/namespaces/default/configmaps"
NODES = "/api/v1/nodes"


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v" * 100}}


async def test_a_slow_path_is_slow_and_others_are_not(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.slow("configmaps", 0.5, times=1)
    began_s = time.monotonic()
    assert (await api.get(MAPS)).status_code == 200
    assert time.monotonic() - began_s >= 0.5
    began_s = time.monotonic()
    await api.get(MAPS)
    assert time.monotonic() - began_s < time_budget(0.5, "the delay would not end after one answer")


async def test_a_hanging_path_never_answers_until_its_times_are_up(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.hang("configmaps", times=1)
    with pytest.raises(httpx.ReadTimeout):
        await api.get(MAPS, timeout=0.1)
    assert (await api.get(MAPS)).status_code == 200


async def test_throttling_says_when_to_come_back(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.throttle("configmaps", 7, times=1)
    refused = await api.get(MAPS)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert refused.json()["reason"] == "TooManyRequests"
    assert refused.json()["details"] == {"retryAfterSeconds": 7}
    assert (await api.get(MAPS)).status_code == 200


@pytest.mark.parametrize(("code", "reason"), [(500, "InternalError"), (503, "ServiceUnavailable")])
async def test_a_server_that_is_ill_answers_so(
    sandbox: Sandbox, api: httpx.AsyncClient, code: int, reason: str
) -> None:
    sandbox.fail("GET", "configmaps", code, reason=reason, message="etcd is gone")
    answer = await api.get(MAPS)
    assert (answer.status_code, answer.json()["reason"], answer.json()["message"]) == (code, reason, "etcd is gone")
    sandbox.clear_faults()
    assert (await api.get(MAPS)).status_code == 200


async def test_a_rotated_token_is_refused_and_the_new_one_taken() -> None:
    async with (
        Sandbox(Timing.instant(), token="old") as sandbox,
        httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as client,
    ):
        old, new = ({"authorization": f"Bearer {token}"} for token in ("old", "new"))
        assert (await client.get(MAPS, headers=old)).status_code == 200
        sandbox.rotate_token("new")
        assert (await client.get(MAPS, headers=old)).status_code == 401
        assert (await client.get(MAPS, headers=new)).status_code == 200


async def cut_off(api: httpx.AsyncClient) -> bytes:
    """What comes through of a watch before its connection breaks."""
    received = b""
    with anyio.fail_after(scale_timeout(5)):
        try:
            async with api.stream("GET", MAPS, params={"watch": "1"}) as response:
                async for chunk in response.aiter_bytes():
                    received += chunk
        except httpx.RemoteProtocolError:
            return received
    raise AssertionError("the watch ended in good order")


async def test_a_watch_is_cut_after_so_many_events(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    for name in "abcd":
        sandbox.create(config_map(name))
    sandbox.cut("watch=1", events=2)
    assert [json.loads(line)["type"] for line in (await cut_off(api)).splitlines()] == ["ADDED", "ADDED"]
    assert (await api.get(MAPS)).status_code == 200


async def test_a_watch_is_cut_in_the_middle_of_an_event(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.create(config_map("a"))
    sandbox.cut("watch=1", size_bytes=100, times=1)
    assert len(await cut_off(api)) == 100


async def test_half_an_answer_ends_in_the_middle(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.halve("configmaps", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await api.get(MAPS)
    assert (await api.get(MAPS)).status_code == 200


async def test_an_old_version_is_too_old_for_a_watch_and_for_a_page(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    for name in "abc":
        sandbox.create(config_map(name))
    first = (await api.get(MAPS, params={"limit": "1"})).json()["metadata"]
    sandbox.create(config_map("d"))
    sandbox.forget_history()
    with anyio.fail_after(scale_timeout(5)):
        told = await api.get(MAPS, params={"watch": "1", "resourceVersion": first["resourceVersion"]})
    event = json.loads(told.text)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    refused = await api.get(MAPS, params={"limit": "1", "continue": first["continue"]})
    assert (refused.status_code, refused.json()["reason"]) == (410, "Expired")
    token = refused.json()["metadata"]["continue"]
    rest = await api.get(MAPS, params={"continue": token})
    assert "a" not in [item["metadata"]["name"] for item in rest.json()["items"]]


async def test_a_fault_may_be_told_by_the_query(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    sandbox.fail("GET", r"configmaps\?.*limit=1", 500)
    assert (await api.get(MAPS, params={"limit": "1"})).status_code == 500
    assert (await api.get(MAPS)).status_code == 200
    assert (await api.get(NODES)).status_code == 200
