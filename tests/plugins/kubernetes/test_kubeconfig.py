import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import yaml

from klepaas.errors import BadRequest, Forbidden, NotFound
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Clusters

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]


def _part(name: str, server: str, **context: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": f"{name}-cluster", "cluster": {"server": server}}],
        "users": [{"name": f"{name}-user", "user": {"token": f"{name}-token"}}],
        "contexts": [{"name": name, "context": {"cluster": f"{name}-cluster", "user": f"{name}-user", **context}}],
    }


def _write(path: Path, content: Any) -> str:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_several_files_are_merged_and_the_first_to_name_a_thing_wins(tmp_path: Path, open_clusters: Open) -> None:
    first = _write(tmp_path / "a", {**_part("one", "http://127.0.0.1:1", namespace="x"), "current-context": "one"})
    second = _part("one", "http://127.0.0.1:2") | {"current-context": "two"}
    second["contexts"] += _part("two", "http://127.0.0.1:2", namespace="y")["contexts"]
    second["clusters"] += _part("two", "http://127.0.0.1:2")["clusters"]
    second["users"] += _part("two", "http://127.0.0.1:2")["users"]
    paths = os.pathsep.join([first, str(tmp_path / "missing"), _write(tmp_path / "b", second)])
    clusters = open_clusters(kubeconfig=paths)
    found = [(item.name, item.namespace, item.is_default) for item in clusters.contexts()]
    assert found == [("one", "x", True), ("two", "y", False)]
    assert clusters.kubeconfig.merged().entry("one").cluster["server"] == "http://127.0.0.1:1"


async def test_the_variable_of_kubectl_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_clusters: Open
) -> None:
    monkeypatch.setenv("KUBECONFIG", _write(tmp_path / "a", _part("one", "http://127.0.0.1:1")))
    assert [item.name for item in open_clusters().contexts()] == ["one"]


async def test_without_the_variable_the_home_folder_is_looked_at(tmp_path: Path, open_clusters: Open) -> None:
    (tmp_path / ".kube").mkdir()
    _write(tmp_path / ".kube" / "config", {**_part("home", "http://127.0.0.1:1"), "current-context": "home"})
    assert (await open_clusters().cluster()).context == "home"


async def test_settings_choose_the_default_context_and_namespace(tmp_path: Path, open_clusters: Open) -> None:
    content = _part("one", "http://127.0.0.1:1", namespace="x") | {"current-context": "one"}
    more = _part("two", "http://127.0.0.1:2")
    merged = {key: value + more[key] if key in more else value for key, value in content.items()}
    path = _write(tmp_path / "a", merged)
    cluster = await open_clusters(kubeconfig=path, context="two", namespace="mine").cluster()
    assert (cluster.context, cluster.default_namespace) == ("two", "mine")


async def test_an_unknown_context_is_named_with_the_known_ones(tmp_path: Path, open_clusters: Open) -> None:
    path = _write(tmp_path / "a", _part("one", "http://127.0.0.1:1"))
    with pytest.raises(NotFound, match="no context two") as caught:
        await open_clusters(kubeconfig=path).cluster("two")
    assert "Known contexts: one" in caught.value.line


async def test_no_kubeconfig_is_one_clear_line(open_clusters: Open) -> None:
    with pytest.raises(NotFound, match="There is no kubeconfig") as caught:
        await open_clusters().cluster()
    assert "KUBECONFIG" in caught.value.line


@pytest.mark.parametrize("content", ["{", "- a", "clusters: 3", "\x00", "a: &a [*a", ""])
async def test_a_broken_kubeconfig_is_one_clear_line(tmp_path: Path, open_clusters: Open, content: str) -> None:
    path = _write(tmp_path / "a", content)
    with pytest.raises((BadRequest, NotFound)) as caught:
        await open_clusters(kubeconfig=path).cluster()
    assert "\n" not in caught.value.line


async def test_a_broken_kubeconfig_is_not_quoted(tmp_path: Path, open_clusters: Open) -> None:
    path = _write(tmp_path / "a", "users:\n- name: u\n  user: {token: canary-7f3a9\n ]")
    with pytest.raises(BadRequest) as caught:
        await open_clusters(kubeconfig=path).cluster()
    assert "canary" not in caught.value.line
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "server", ["", "ftp://host", "https://user:canary@host", "https://host?x=1", "//host", "https://host:99999"]
)
async def test_a_server_address_that_is_none_is_refused(tmp_path: Path, open_clusters: Open, server: str) -> None:
    path = _write(tmp_path / "a", _part("one", server))
    with pytest.raises(BadRequest) as caught:
        await open_clusters(kubeconfig=path).cluster("one")
    assert "canary" not in caught.value.line


async def test_a_context_whose_cluster_or_user_is_missing_is_refused(tmp_path: Path, open_clusters: Open) -> None:
    content = _part("one", "http://127.0.0.1:1") | {"users": []}
    with pytest.raises(BadRequest, match="user one-user is missing"):
        await open_clusters(kubeconfig=_write(tmp_path / "a", content)).cluster("one")
    content = _part("one", "http://127.0.0.1:1") | {"clusters": []}
    with pytest.raises(BadRequest, match="cluster one-cluster is missing"):
        await open_clusters(kubeconfig=_write(tmp_path / "b", content)).cluster("one")


async def test_a_changed_kubeconfig_is_taken_up_without_a_restart(tmp_path: Path, open_clusters: Open) -> None:
    path = tmp_path / "a"
    _write(path, _part("one", "http://127.0.0.1:1") | {"current-context": "one"})
    clusters = open_clusters(kubeconfig=str(path))
    before = await clusters.cluster()
    assert await clusters.cluster() is before
    _write(path, _part("one", "http://127.0.0.1:22") | {"current-context": "one"})
    os.utime(path, ns=(time.time_ns(), time.time_ns() + 1_000_000))
    with anyio.fail_after(scale_timeout(5)):
        while await clusters.cluster() is before:
            await anyio.lowlevel.checkpoint()


async def test_a_pod_uses_its_own_service_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_clusters: Open
) -> None:
    for name, text in {"token": "pod-token", "namespace": "team", "ca.crt": ""}.items():
        _write(tmp_path / name, text)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    clusters = open_clusters(service_account_dir=tmp_path)
    assert [(item.name, item.namespace) for item in clusters.contexts()] == [("in-cluster", "team")]
    assert clusters.kubeconfig.merged().entry(None).cluster["server"] == "https://10.0.0.1:443"


@pytest.mark.parametrize(
    "spec",
    [
        {"command": "touch"},
        {"command": "./aws", "args": ["eks", "get-token"]},
        {"command": "../x/gke-gcloud-auth-plugin"},
        {"command": "aws", "args": ["ec2", "terminate-instances"]},
        {"command": "aws", "args": ["s3", "cp", "get-token", "eks"]},
        {"command": "kubectl", "args": ["delete", "ns", "prod"]},
        {"command": "sh", "args": ["-c", "touch X"]},
        {"command": ""},
        {"command": "gke-gcloud-auth-plugin", "env": [{"name": "LD_PRELOAD", "value": "/x.so"}]},
        {"command": "gke-gcloud-auth-plugin", "env": [{"name": "PATH", "value": "/x"}]},
        {"command": "gke-gcloud-auth-plugin", "env": ["PATH"]},
        "touch X",
    ],
)
async def test_a_program_that_is_not_a_known_plugin_never_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_clusters: Open, spec: Any
) -> None:
    trap = tmp_path / "X"
    (beside := tmp_path / "kube").mkdir()
    for name in ("touch", "aws", "kubectl", "sh", "gke-gcloud-auth-plugin", "kube/aws"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n: > {trap}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    content = _part("one", "http://127.0.0.1:1")
    if isinstance(spec, dict):
        spec = {"apiVersion": "client.authentication.k8s.io/v1", **spec}
    content["users"][0]["user"] = {"exec": spec}
    clusters = open_clusters(kubeconfig=_write(beside / "a", content))
    with pytest.raises(Forbidden, match="klepaas runs no program"):
        await (await clusters.cluster("one")).resource("pods")
    assert not trap.exists()


async def test_a_legacy_auth_provider_is_refused(tmp_path: Path, open_clusters: Open) -> None:
    content = _part("one", "http://127.0.0.1:1")
    content["users"][0]["user"] = {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/touch X"}}}
    with pytest.raises(Forbidden, match="auth-provider"):
        await open_clusters(kubeconfig=_write(tmp_path / "a", content)).cluster("one")
