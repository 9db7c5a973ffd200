"""Strategies, probes and variables that are replaced by another form of theirs: deployed, and rolled back."""

import json
from typing import Any

import pytest

from .test_controllers_on_every_verb import manifest
from .test_others_in_the_middle import PERSON, write_as

pytestmark = pytest.mark.anyio
Json = dict[str, Any]


@pytest.fixture
def deadline_scale() -> float:
    """No rollout here is to miss its deadline, on a busy machine either."""
    return 0.1


def whole(image: str, container: Json | None = None, **spec: Any) -> str:
    """A manifest with some fields besides."""
    found = json.loads(manifest(image))
    found["spec"] |= spec
    found["spec"]["template"]["spec"]["containers"][0] |= container or {}
    return json.dumps(found)


async def deploy(bench: Any, text: str) -> Any:
    return await bench.call("deploy_application", app_name="web", manifests=text)


async def test_a_rollback_brings_recreate_back_over_the_bounds_that_the_server_set_since(bench: Any) -> None:
    assert not (await deploy(bench, whole("example/app:1", strategy={"type": "Recreate"}))).is_error
    said = await deploy(bench, whole("example/crash:2"))
    assert "is rolled back to release 1" in said.text, said.text
    assert bench.sandbox.get("Deployment", "web")["spec"]["strategy"] == {"type": "Recreate"}


async def test_a_rollback_brings_a_probe_back_in_the_form_that_it_had(bench: Any) -> None:
    http, tcp = ({"readinessProbe": one} for one in ({"httpGet": {"port": 80}}, {"tcpSocket": {"port": 80}}))
    assert not (await deploy(bench, whole("example/app:1", http))).is_error
    assert not (await deploy(bench, whole("example/app:2", tcp))).is_error
    assert set(bench.container()["readinessProbe"]) & {"httpGet", "tcpSocket"} == {"tcpSocket"}
    said = await bench.call("rollback_deployment", app_name="web", release=1)
    assert not said.is_error, said.text
    assert set(bench.container()["readinessProbe"]) & {"httpGet", "tcpSocket"} == {"httpGet"}


async def test_a_variable_that_a_person_took_from_elsewhere_gets_the_value_that_is_deployed(bench: Any) -> None:
    await bench.deploy()
    source = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    env = [{"name": "A", **source}]
    await write_as(bench, PERSON, {"template": {"spec": {"containers": [{"name": "web", "env": env}]}}})
    said = await bench.deploy(image="example/app:2", env_vars=["A=1"])
    assert not said.is_error, said.text
    assert "env[A].valueFrom" in said.text
    assert bench.container()["env"] == [{"name": "A", "value": "1"}]
