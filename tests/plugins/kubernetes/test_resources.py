"""Contexts and objects as resources, and what is suggested for their variables, on the sandbox."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from klepaas.app import App
from klepaas.testing import ERAS, Era, app_with, client
from klepaas_plugins.kubernetes import plugin
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("era", ERAS)]

OBJECT = "klepaas://kubernetes/{context}/{namespace}/{kind}/{name}"
CLUSTER_OBJECT = "klepaas://kubernetes/{context}/{kind}/{name}"
# As Amazon's tool names a context: it may hold slashes, which a URI then spells otherwise.
ODD = "arn:aws:eks:eu-west-1:1:cluster/shop"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(timing=Timing.instant()) as sandbox:
        metadata = {"name": "settings", "namespace": "default"}
        sandbox.create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {"note": "\x1b[31mred", "DB_PASSWORD": "hunter2-canary"},
            }
        )
        secret = {"name": "opaque", "namespace": "default"}
        sandbox.create(
            {"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": {"key": "hunter2-canary"}}
        )
        yield sandbox


@pytest.fixture
async def app(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    kubeconfig = sandbox.write_kubeconfig(tmp_path / "kubeconfig")
    found = yaml.safe_load(kubeconfig.read_text())
    found["contexts"].append({"name": ODD, "context": dict(found["contexts"][0]["context"])})
    kubeconfig.write_text(yaml.safe_dump(found))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with app_with(plugin) as app:
        yield app


async def test_the_contexts_are_listed_without_addresses(app: App, era: Era, sandbox: Sandbox) -> None:
    async with client(app, era) as session:
        said = await session.read("klepaas://contexts")
    assert said.text.split("\n")[:2] == ["DEFAULT\tNAME\tCLUSTER\tNAMESPACE", "*\tsandbox\tsandbox\tdefault"]
    assert "http" not in said.text
    assert sandbox.requests == []


async def test_without_a_kubeconfig_the_contexts_tell_what_to_do(
    era: Era, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    async with app_with(plugin) as app, client(app, era) as session:
        said = await session.read("klepaas://contexts")
        assert not said.is_error
        assert "KUBECONFIG" in said.text
        assert (await session.read("klepaas://kubernetes/none/nodes/node-0")).code == "not_found"


async def test_an_object_is_yaml_without_its_secrets(app: App, era: Era) -> None:
    async with client(app, era) as session:
        for uri in ("configmaps/settings", "secrets/opaque", "v1%2FSecret/opaque", "ConfigMap/settings"):
            said = await session.read(f"klepaas://kubernetes/sandbox/default/{uri}")
            assert not said.is_error, said.text
            assert "hunter2" not in said.text
            assert "\x1b" not in said.text
            assert yaml.safe_load(said.text)["metadata"]["namespace"] == "default"


async def test_a_context_whose_name_holds_slashes_can_be_named(app: App, era: Era) -> None:
    encoded = ODD.replace("/", "%2F")
    async with client(app, era) as session:
        said = await session.read(f"klepaas://kubernetes/{encoded}/nodes/node-0")
        assert await session.suggestions(OBJECT, "context", "arn") == [ODD]
    assert yaml.safe_load(said.text)["metadata"]["name"] == "node-0"


async def test_an_object_without_a_namespace_has_a_uri_without_one(app: App, era: Era) -> None:
    async with client(app, era) as session:
        assert "node-0" in (await session.read("klepaas://kubernetes/sandbox/nodes/node-0")).text
        for wrong in ("default/nodes/node-0", "configmaps/settings"):
            said = await session.read(f"klepaas://kubernetes/sandbox/{wrong}")
            assert said.code == "bad_request"
            assert "klepaas://kubernetes/{context}/" in said.text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sandbox/default/configmaps/setings", "Did you mean settings?"),
        ("sandbox/defalt/configmaps/settings", "Did you mean default?"),
        ("sandbox/default/configmups/settings", "configmups"),
        ("sandbax/default/configmaps/settings", "Known contexts: "),
    ],
)
async def test_what_is_not_there_is_told_with_what_may_be_meant(app: App, era: Era, path: str, said: str) -> None:
    async with client(app, era) as session:
        answer = await session.read(f"klepaas://kubernetes/{path}")
    assert answer.code == "not_found"
    assert said in answer.text


async def test_every_variable_is_completed_from_the_cluster(app: App, era: Era) -> None:
    async with client(app, era) as session:
        assert await session.suggestions(OBJECT, "context") == ["sandbox", ODD]
        assert await session.suggestions(OBJECT, "namespace", "kube-p", context="sandbox") == ["kube-public"]
        assert (await session.suggestions(OBJECT, "kind", "config"))[0] == "configmaps"
        assert "nodes" not in await session.suggestions(OBJECT, "kind")
        assert await session.suggestions(CLUSTER_OBJECT, "kind", "nod") == ["nodes"]
        assert await session.suggestions(CLUSTER_OBJECT, "name", kind="nodes") == ["node-0", "node-1"]
        chosen = {"context": "sandbox", "namespace": "default", "kind": "configmaps"}
        assert "settings" in await session.suggestions(OBJECT, "name", "sett", **chosen)


async def test_names_wait_for_a_kind(app: App, era: Era) -> None:
    async with client(app, era) as session:
        assert await session.suggestions(OBJECT, "name", namespace="default") == []


async def test_a_cluster_in_trouble_suggests_nothing(app: App, sandbox: Sandbox, era: Era) -> None:
    sandbox.fail("GET", "/api/v1/namespaces", 500, reason="InternalError", message="etcd is gone")
    async with client(app, era) as session:
        assert await session.suggestions(OBJECT, "namespace") == []
        assert await session.suggestions(OBJECT, "namespace", context="nowhere") == []


async def test_what_is_suggested_can_be_read(app: App, era: Era) -> None:
    async with client(app, era) as session:
        for kind in await session.suggestions(OBJECT, "kind", "service"):
            for name in await session.suggestions(OBJECT, "name", kind=kind, namespace="default"):
                said = await session.read(f"klepaas://kubernetes/sandbox/default/{kind}/{name}")
                assert not said.is_error, said.text
