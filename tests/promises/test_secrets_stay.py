"""Forty planted secrets appear in no result, error or stderr, whatever is asked for and however it is shown."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from fastmcp import Client

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .calls import plausible
from .conftest import Platform
from .planted import Canaries, plant

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

KINDS = ("secrets", "configmaps", "deployments", "replicasets", "pods", "events", "services", "namespaces")


def _calls() -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in create_app(Settings(mode=Mode.WRITES)).catalogue:
        yield entry.tool.name, plausible(entry.tool)
    for kind in KINDS:
        for output in ("table", "wide", "yaml", "json", "names"):
            yield "k8s_get", {"kind": kind, "output": output}
            yield "k8s_get", {"kind": kind, "output": output, "all_namespaces": True}
        yield "k8s_get", {"kind": kind, "columns": "ALL:$,DATA:.data,ENV:..env,NOTES:.metadata.annotations,..value,..*"}
        yield "k8s_get", {"kind": kind, "columns": ".stringData,..args,..message", "sort_by": ".data"}
    for kind, name in (("secret", "opaque"), ("secret", "applied"), ("configmap", "settings"), ("deployment", "leaky")):
        for output in ("table", "yaml", "json"):
            yield "k8s_get", {"kind": kind, "name": name, "output": output}
    for name in ("leaky", "deployment/leaky"):
        yield "k8s_logs", {"name": name, "tail_lines": 100}
        yield "k8s_logs", {"name": name, "all_pods": True, "grep": "e|a|i", "context_lines": 3}
        yield "k8s_logs", {"name": name, "level": "warn"}
    yield "k8s_explain", {"kind": "secret", "field": "data"}
    yield "k8s_logs", {"label_selector": "app.kubernetes.io/name=leaky"}
    yield "k8s_events", {"kind": "deployment", "name": "leaky"}
    yield "k8s_events", {"all_namespaces": True}
    yield from _changes()
    yield "get_deployment_status", {"app_name": "leaky"}
    yield "list_applications", {"all_namespaces": True}
    leaky = {"app_name": "leaky", "image": "registry.example/leaky:2.0", "take_ownership": True}
    yield "deploy_application", {**leaky, "dry_run": True}
    yield "deploy_application", {**leaky, "env_vars": {"GREETING": "changed", "DB_PASSWORD": "changed"}, "wait_s": 45}
    yield "rollback_deployment", {"app_name": "leaky", "dry_run": True}
    yield "rollback_deployment", {"app_name": "leaky", "wait_s": 45}
    yield "deploy_application", {**leaky, "image": "registry.example/leaky:crash", "wait_s": 45}
    yield "get_deployment_status", {"app_name": "leaky"}
    yield "get_overview", {}


def _changes() -> Iterator[tuple[str, dict[str, Any]]]:
    """What lays an object that holds secrets beside another one."""
    harmless = {"name": "main", "image": "registry.example/leaky:1.0"}
    for kind, name, field in (
        ("Secret", "opaque", {"stringData": {"value": "changed"}}),
        ("ConfigMap", "settings", {"data": {"DB_PASSWORD": "changed", ".env": "A=1", "application.yaml": "db: {}"}}),
        ("Service", "leaky", {"spec": {"selector": {"app": "x"}, "ports": [{"port": 81}]}}),
        ("Deployment", "leaky", {"spec": {"template": {"spec": {"containers": [harmless]}}}}),
    ):
        version = "apps/v1" if kind == "Deployment" else "v1"
        metadata = {"name": name, "namespace": "default", "annotations": {"kubernetes.io/change-cause": "x"}}
        text = json.dumps({"apiVersion": version, "kind": kind, "metadata": metadata, **field})
        for force in (False, True):
            yield "k8s_apply", {"manifests": text, "dry_run": True, "take_ownership": force}
        yield "k8s_create", {"manifests": text, "dry_run": True}
        yield "k8s_apply", {"manifests": text, "take_ownership": True}


@pytest.mark.parametrize("transport", ["memory, 2026-07-28", "stdio, 2025-11-25"])
async def test_no_planted_secret_leaves(
    platform: Platform, transport: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    canaries = Canaries()
    plant(platform.sandbox, canaries)
    assert len(canaries.all) >= 40
    await _until_running(platform.sandbox)
    shown: list[str] = []
    async with platform.client(transport, Mode.WRITES) as client:
        for tool, arguments in _calls():
            result = await client.call_tool(tool, arguments, raise_on_error=False, progress_handler=_Progress(shown))
            answer = f"{tool} {arguments}: {result.content} {result.structured_content} {result.meta}"
            assert not list(canaries.found_in(answer)), answer
            shown.append(answer)
    said = "\n".join([*shown, *capfd.readouterr(), caplog.text, platform.stderr.read_text()])
    assert list(canaries.found_in(said)) == []
    assert "opaque" in said, "the secrets themselves should have been seen, without their values"


async def test_the_search_would_find_each_secret_in_every_spelling() -> None:
    canaries = Canaries()
    async with Sandbox(timing=Timing.instant()) as sandbox:
        plant(sandbox, canaries)
        kept = [sandbox.get(kind, name) for kind, name in (("secrets", "opaque"), ("configmaps", "settings"))]
    assert len(list(canaries.found_in(str(kept)))) >= 9


async def test_an_upstreams_error_text_is_redacted(platform: Platform) -> None:
    canaries = Canaries()
    platform.sandbox.fail(
        "GET",
        "/api/v1/namespaces/default/pods",
        500,
        reason="InternalError",
        message=f"etcd at https://root:{canaries.new()}@etcd refused, password={canaries.new()}",
    )
    async with platform.client("memory, 2025-11-25") as client:
        result = await client.call_tool("k8s_get", {"kind": "pods"}, raise_on_error=False)
    assert result.is_error
    assert list(canaries.found_in(str(result))) == []


async def test_the_token_of_the_kubeconfig_never_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canaries = Canaries()
    token = canaries.new("tok-{}-en")
    async with Sandbox(timing=Timing.instant(), token=token) as sandbox:
        kubeconfig = sandbox.write_kubeconfig(tmp_path / "kubeconfig")
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        echo = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "echo", "namespace": "default"}}
        sandbox.create({**echo, "data": {"note": f"the cluster was reached with {token}"}})
        async with Client(create_app(Settings()).server) as client:
            shown = [
                str(await client.call_tool(tool, arguments, raise_on_error=False))
                for tool, arguments in (
                    ("get_overview", {}),
                    ("k8s_get", {"kind": "configmap", "name": "echo", "output": "yaml"}),
                    ("get_overview", {}),
                )
            ]
    assert token in yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    assert "the cluster was reached with" in shown[1]
    assert list(canaries.found_in("".join(shown))) == []


async def _until_running(sandbox: Sandbox) -> None:
    with anyio.fail_after(scale_timeout(10)):
        while not (sandbox.get("deployments", "leaky") or {}).get("status", {}).get("availableReplicas"):
            await sandbox.changed()


class _Progress:
    """Keeps what a call says while it runs."""

    def __init__(self, shown: list[str]) -> None:
        self._shown = shown

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self._shown.append(str(message))
