"""What applications are given, values and manifests, stands nowhere in the store: not while it is rolled out either."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from klepaas.testing import scale_timeout

from .conftest import Bench

pytestmark = pytest.mark.anyio

VALUE, PASSWORD, DOCUMENT = "plain-words-of-a-greeting", "hunter2-9f86d081884c7d65", "a-setting-in-a-document"
MANIFESTS = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, labels: {{app.kubernetes.io/name: shop}}}}
data: {{greeting: {DOCUMENT}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop, labels: {{app.kubernetes.io/name: shop}}}}
spec:
  selector: {{matchLabels: {{app.kubernetes.io/name: shop}}}}
  template:
    metadata: {{labels: {{app.kubernetes.io/name: shop}}}}
    spec: {{containers: [{{name: shop, image: "example/app:1", env: [{{name: A, value: {DOCUMENT}}}]}}]}}
"""


def found_in(folder: Path) -> list[tuple[str, str]]:
    """The planted secrets that stand in the store's files."""
    return [
        (path.name, secret)
        for path in folder.glob("klepaas.db*")
        for secret in (VALUE, PASSWORD, DOCUMENT)
        if secret.encode() in path.read_bytes()
    ]


async def _watched(bench: Bench, **arguments: Any) -> list[tuple[str, str]]:
    """Deploy, and look into the store all the while; every secret that was ever seen there."""
    folder, seen, ended = bench.host.settings.state_dir, [], anyio.Event()

    async def watch() -> None:
        while not ended.is_set():
            seen.extend(found_in(folder))
            with anyio.move_on_after(0.02):
                await ended.wait()

    with anyio.fail_after(scale_timeout(60)):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            said = await bench.call("deploy_application", **arguments)
            ended.set()
    assert said.operation, said.text
    return [*seen, *found_in(folder)]


async def test_variables_of_a_deployment_stand_nowhere_in_the_store(bench: Bench) -> None:
    variables = [f"GREETING={VALUE}", f"DB_PASSWORD={PASSWORD}"]
    assert await _watched(bench, app_name="web", image="example/app:1", env_vars=variables) == []
    assert await _watched(bench, app_name="web", image="example/app:1-crash", env_vars=variables) == []


async def test_manifests_of_a_deployment_stand_nowhere_in_the_store(bench: Bench) -> None:
    assert await _watched(bench, app_name="shop", manifests=MANIFESTS) == []
