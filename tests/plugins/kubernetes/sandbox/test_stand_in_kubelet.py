"""The stand-in for kubelets moves pods of any API server as the sandbox's own kubelet moves its."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.requests import Request

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.kubernetes.sandbox.stand_in_kubelet import StandInKubelet, client_of

pytestmark = pytest.mark.anyio
Make = Callable[..., dict[str, Any]]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(Timing.instant(), token="t", nodes=0) as running:
        yield running


@pytest.fixture
async def kubelet(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[StandInKubelet]:
    async with client_of(sandbox.write_kubeconfig(tmp_path / "config")) as api, anyio.create_task_group() as group:
        kubelet = StandInKubelet(api, 2, Timing.instant())
        group.start_soon(kubelet.run)
        yield kubelet
        group.cancel_scope.cancel()


async def until(sandbox: Sandbox, holds: Callable[[], object]) -> None:
    with anyio.fail_after(scale_timeout(10)):
        while not holds():
            await sandbox.changed()


def status(sandbox: Sandbox, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (sandbox.get("Deployment", name) or {}).get("status") or {}
    return found


async def test_nodes_register_and_keep_a_lease(sandbox: Sandbox, kubelet: StandInKubelet) -> None:
    await until(sandbox, lambda: len(sandbox.list("leases")) == 2)
    assert [node["metadata"]["name"] for node in sandbox.list("nodes")] == ["node-0", "node-1"]


async def test_pods_become_ready_or_fail_by_their_image(
    sandbox: Sandbox, kubelet: StandInKubelet, deployment: Make
) -> None:
    sandbox.create(deployment("web", "nginx:1"))
    sandbox.create(deployment("ill", "app:crash", 1))
    await until(sandbox, lambda: status(sandbox, "web").get("readyReplicas") == 2)

    def reasons() -> set[str]:
        return {event["reason"] for event in sandbox.list("events", "default")}

    await until(sandbox, lambda: {"Pulling", "Pulled", "Created", "Started", "BackOff"} <= reasons())
    sandbox.delete("Deployment", "web")
    await until(sandbox, lambda: len(sandbox.list("pods", "default")) == 1)


async def test_logs_are_answered(sandbox: Sandbox, kubelet: StandInKubelet, deployment: Make) -> None:
    sandbox.create(deployment("web", "nginx:1", 1))
    await until(sandbox, lambda: status(sandbox, "web").get("readyReplicas") == 1)
    pod = sandbox.list("pods", "default")[0]["metadata"]["name"]
    path = {"namespace": "default", "pod": pod, "container": "main"}
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"tailLines=2"}
    answer = await kubelet.log(Request({**scope, "path_params": path}))
    assert bytes(answer.body).decode().count("path=/healthz") == 2
    missing = await kubelet.log(Request({**scope, "path_params": {**path, "pod": "gone"}}))
    assert missing.status_code == httpx.codes.NOT_FOUND
