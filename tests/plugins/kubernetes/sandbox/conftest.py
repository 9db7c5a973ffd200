"""A sandbox with steps of milliseconds, and a bare HTTP client for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

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
