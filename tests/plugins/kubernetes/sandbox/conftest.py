"""A sandbox with steps of milliseconds, a bare HTTP client for it, and the servers that facts are tried on."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .api_server import Server, real_server, sandbox_server

Until = Callable[[Callable[[], Any]], Awaitable[None]]


@pytest.fixture
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    async with Sandbox(Timing.instant()) as running:
        yield running


@pytest.fixture
async def api(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox.url, timeout=scale_timeout(10), trust_env=False) as client:
        yield client


@pytest.fixture
def until(sandbox: Sandbox) -> Until:
    """Wait until something holds."""

    async def wait(holds: Callable[[], Any]) -> None:
        with anyio.fail_after(scale_timeout(10)):
            while not holds():
                await sandbox.changed()

    return wait


@pytest.fixture
def deployment() -> Callable[..., dict[str, Any]]:
    def make(name: str, image: str, replicas: int = 2, **spec: Any) -> dict[str, Any]:
        labels = {"app": name}
        pod = {"containers": [{"name": "main", "image": image, "ports": [{"containerPort": 8080}]}]}
        template = {"metadata": {"labels": labels}, "spec": pod}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec},
        }

    return make


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.cluster)])
async def server(request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Server]:
    """The sandbox, and the real server that KLEPAAS_TEST_KUBECONFIG names."""
    if request.param == "sandbox":
        async with sandbox_server() as running:
            yield running
        return
    found = os.environ.get("KLEPAAS_TEST_KUBECONFIG")
    if not found:
        pytest.skip("KLEPAAS_TEST_KUBECONFIG names no real API server")
    async with real_server(Path(found), tmp_path) as running:
        yield running
