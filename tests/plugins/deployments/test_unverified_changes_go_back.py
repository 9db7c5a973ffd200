"""A failure goes back to what was verified last; what was changed since, without a release, goes back and is named."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from klepaas.testing import scale_timeout

from .test_controllers_on_every_verb import apply_as

pytestmark = pytest.mark.anyio
AS_WELL = "Changed before that and not known to have come to life, so it went back as well: "


@pytest.fixture
def deadline_scale() -> float:
    """No rollout here is to miss its deadline, on a busy machine either."""
    return 0.1


async def apply(bench: Any, image: str, **variables: str) -> None:
    """A change of the workload without a release."""
    env = [{"name": name, "value": value} for name, value in variables.items()]
    pod = {"spec": {"containers": [{"name": "web", "image": image, "env": env}]}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": pod}}
    said = await bench.call("k8s_apply", manifests=json.dumps(body))
    assert not said.is_error, said.text


async def until(bench: Any, holds: Callable[[dict[str, Any]], bool]) -> None:
    """Wait for the pods of what was applied: nobody tells when they are there."""
    with anyio.fail_after(scale_timeout(20)):
        while not (_is_observed(live := bench.sandbox.get("Deployment", "web")) and holds(live)):  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.05)


def _is_observed(live: dict[str, Any]) -> bool:
    status = live.get("status") or {}
    is_whole = status.get("updatedReplicas") == status.get("replicas") == live["spec"]["replicas"]
    return bool(is_whole and status.get("observedGeneration") == live["metadata"]["generation"])


def line_of(said: Any) -> str:
    assert "is rolled back to release" in said.text, said.text
    return next((line for line in said.text.splitlines() if AS_WELL in line), "")


async def test_an_applied_change_that_never_came_to_life_goes_back_with_the_failure_after_it_and_is_named(
    bench: Any,
) -> None:
    await bench.deploy(env_vars=["A=1"])
    await apply(bench, "example/crash:8", C="9")
    line = line_of(await bench.deploy(image="example/crash:9"))
    assert "Deployment web: image: example/app:1 -> example/crash:8" in line
    assert "env[C].value: 9" in line
    assert "env[A]" not in line
    assert (bench.container()["image"], bench.env()) == ("example/app:1", {"A": "1"})


async def test_an_applied_change_that_came_to_life_is_what_a_failure_goes_back_to(bench: Any) -> None:
    await bench.deploy(env_vars=["A=1"])
    await apply(bench, "example/app:1", C="9")
    await until(bench, lambda live: (live.get("status") or {}).get("availableReplicas") == 1)
    said = await bench.deploy(image="example/crash:9")
    assert line_of(said) == ""
    assert bench.env() == {"A": "1", "C": "9"}


async def test_what_a_controller_set_and_keeps_is_not_said_to_have_gone_back(bench: Any) -> None:
    await bench.deploy(env_vars=["A=1"])
    await apply(bench, "example/crash:8")
    await apply_as(bench, "argocd-controller", {"minReadySeconds": 1})
    line = line_of(await bench.deploy(image="example/crash:9"))
    assert "image: " in line
    assert "minReadySeconds" not in line
    assert bench.sandbox.get("Deployment", "web")["spec"]["minReadySeconds"] == 1
