"""A cluster that takes connections and never answers, where clusters are asked who they are: bounded and clear."""

import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from klepaas.app import App, create_app
from klepaas.operations import Operations
from klepaas.policy import Decision, Rule
from klepaas.settings import Mode, Settings
from klepaas.testing import ERAS, Era, client, scale_timeout, time_budget
from klepaas_plugins.kubernetes.client import Clusters, recognition
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = pytest.mark.anyio
each_era = pytest.mark.parametrize("era", ERAS)
# Who a cluster is, is asked for 0.3 s, and any read of a cluster is given up after 1 s.
BOUNDED_S = time_budget(4, "an answer that never comes would be waited for")
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("deploy_application", {"app_name": "web", "image": "example/app:1"}),
    ("restart_application", {"app_name": "web"}),
    ("scale_application", {"app_name": "web", "replicas": 2}),
    ("k8s_apply", {"manifests": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}"}),
]


@pytest.fixture
def hole() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
async def sandbox(hole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """A cluster that is well, in the context `alive`, beside one that never answers, in `prod-hole`."""
    monkeypatch.setattr(recognition, "LIMIT_S", 0.3)
    monkeypatch.setenv("KLEPAAS_K8S_READ_TIMEOUT_S", "1")
    async with Sandbox(Timing.instant()) as running:
        path = running.write_kubeconfig(tmp_path / "kubeconfig")
        content = yaml.safe_load(path.read_text())
        user = content["contexts"][0]["context"]["user"]
        content["clusters"].append({"name": "hole", "cluster": {"server": hole}})
        content["contexts"] = [
            {"name": "alive", "context": {"cluster": content["clusters"][0]["name"], "user": user}},
            {"name": "prod-hole", "context": {"cluster": "hole", "user": user}},
        ]
        content["current-context"] = "alive"
        path.write_text(json.dumps(content))
        monkeypatch.setenv("KUBECONFIG", str(path))
        yield running


@pytest.fixture
async def app(sandbox: Sandbox, tmp_path: Path) -> App:
    rules = (Rule(context="prod*", decision=Decision.CONFIRM), Rule(decision=Decision.AUTO))
    return create_app(Settings(mode=Mode.WRITES, external_plugins=False, state_dir=tmp_path / "state", policy=rules))


async def test_asking_it_who_it_is_ends_in_time_and_the_names_by_its_address_stand(app: App) -> None:
    clusters, began_at = Clusters.of(app.host), time.monotonic()
    try:
        with anyio.fail_after(scale_timeout(10)):
            found = await clusters.observe_identity("prod-hole", "shop")
        assert time.monotonic() - began_at < BOUNDED_S
        assert found == await clusters.identity("prod-hole")
    finally:
        await app.host.aclose()


@each_era
@pytest.mark.parametrize(("tool", "arguments"), CHANGES, ids=[tool for tool, _ in CHANGES])
async def test_a_change_there_is_answered_in_time_with_the_context_and_nothing_is_begun(
    app: App, era: Era, tool: str, arguments: dict[str, Any]
) -> None:
    async with client(app, era, person=True) as session:
        began_at = time.monotonic()
        said = await session.call(tool, context="prod-hole", **arguments)
        took_s = time.monotonic() - began_at
        under_way = await Operations.of(app.host).find(None)
    assert (said.is_error, said.code) in ((True, "timeout"), (True, "circuit_open"), (True, "unavailable")), said.text
    assert "prod-hole" in said.text
    assert took_s < BOUNDED_S
    assert [operation.state.value for operation in under_way if not operation.ended] == []


async def test_a_rule_about_it_does_not_hold_up_changes_of_a_cluster_that_is_well(app: App, sandbox: Sandbox) -> None:
    async with client(app) as session:
        took_s = []
        for number in (1, 2):
            began_at = time.monotonic()
            said = await session.call(
                "deploy_application", context="alive", app_name=f"web-{number}", image="example/app:1", wait_s=45
            )
            took_s.append(time.monotonic() - began_at)
            assert not said.is_error, said.text
    assert sandbox.get("Deployment", "web-2") is not None
    assert max(took_s) < BOUNDED_S
