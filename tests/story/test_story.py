"""The story of `klepaas demo` and some more, told through an MCP session: on the sandbox, and on any real cluster.

    KLEPAAS_TEST_KUBECONFIG=~/.kube/config pytest -m cluster tests/story

On a real cluster it works in a namespace of its own, which it makes and deletes. `KLEPAAS_TEST_IMAGE` names an image
that the cluster can pull and that runs without arguments; the failure is a tag of it that does not exist.
"""

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(150))]

IMAGE = os.environ.get("KLEPAAS_TEST_IMAGE", "registry.k8s.io/pause:3.10")
# No repository has this tag, and the sandbox's kubelet cannot pull it either.
MISSING = f"{IMAGE.partition('@')[0].rpartition(':')[0] or IMAGE}:missing"
CALL_LIMIT_S = scale_timeout(60)
GONE_LIMIT_S = scale_timeout(60)
WAIT_S = 180


@dataclass
class Told:
    """A story that is being told.

    Attributes:
        client: The session.
        namespace: Where it plays.
    """

    client: Client[Any]
    namespace: str

    async def call(self, tool: str, *, fails: bool = False, **arguments: Any) -> str:
        """Call a tool in the story's namespace; the answer's text.

        Args:
            tool: The tool.
            fails: Whether it is meant to.
            arguments: Its arguments.
        """
        with anyio.fail_after(CALL_LIMIT_S):
            result = await self.client.call_tool(tool, {"namespace": self.namespace, **arguments}, raise_on_error=False)
        text = str(result.content[0].text)  # type: ignore[union-attr]
        assert result.is_error is fails, f"{tool} {arguments}: {text}"
        return text


async def _confirm(*_: Any) -> dict[str, bool]:
    """The person who is asked says yes."""
    return {"confirm": True}


@asynccontextmanager
async def _session() -> AsyncIterator[Client[Any]]:
    app = create_app(Settings(mode=Mode.WRITES))
    async with Client(app.server, elicitation_handler=_confirm) as client:
        yield client


@asynccontextmanager
async def _on_the_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    async with Sandbox(timing=Timing.instant()) as sandbox:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "kubeconfig")))
        async with _session() as client, _namespace(client) as told:
            yield told


@asynccontextmanager
async def _on_a_real_cluster(_: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    kubeconfig = os.environ.get("KLEPAAS_TEST_KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KLEPAAS_TEST_KUBECONFIG names no cluster: the story was NOT told on a real one")
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    async with _session() as client, _namespace(client) as told:
        yield told


@asynccontextmanager
async def _namespace(client: Client[Any]) -> AsyncIterator[Told]:
    """A namespace of the story's own, made and deleted with the tools themselves."""
    name = f"klepaas-story-{secrets.token_hex(3)}"
    told = Told(client, name)
    manifest = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{purpose: klepaas-test}}}}"
    assert "created" in (await client.call_tool("k8s_apply", {"manifests": manifest})).content[0].text  # type: ignore[union-attr]
    try:
        yield told
    finally:
        await client.call_tool("k8s_delete", {"kind": "namespace", "name": name, "confirm_name": name})


STAGES: dict[str, Callable[..., Any]] = {"sandbox": _on_the_sandbox, "cluster": _on_a_real_cluster}


@pytest.fixture(params=["sandbox", pytest.param("cluster", marks=pytest.mark.cluster)])
async def told(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    """The story on each stage."""
    for name in ("KUBECONFIG", "KLEPAAS_K8S_CONTEXT", "KLEPAAS_K8S_NAMESPACE", "KLEPAAS_POLICY"):
        monkeypatch.delenv(name, raising=False)
    async with STAGES[request.param](tmp_path, monkeypatch) as stage:
        yield stage


async def _until(asks: Callable[[], Awaitable[str]], holds: Callable[[str], bool]) -> str:
    """Ask again until the answer is as it should be."""
    text = ""
    for pause_s in (0.0, *[0.2] * round(GONE_LIMIT_S / 0.2)):
        await anyio.sleep(pause_s)
        text = await asks()
        if holds(text):
            return text
    raise AssertionError(f"it did not become so within {GONE_LIMIT_S} s: {text}")


async def test_the_story_of_an_application(told: Told) -> None:
    shop: dict[str, Any] = {"app_name": "shop"}
    await told.call("deploy_application", **shop, image=IMAGE, replicas=2, wait_s=WAIT_S)
    status = await told.call("get_deployment_status", **shop)
    assert "healthy" in status
    assert IMAGE in status
    pods = await told.call("k8s_get", kind="pods", columns="name,.status.phase,IMAGE:.spec.containers[*].image")
    assert pods.count(f"Running\t{IMAGE}") == 2

    await told.call("deploy_application", **shop, image=IMAGE, env_vars={"LOG_LEVEL": "debug"}, wait_s=WAIT_S)
    await _until(lambda: told.call("k8s_get", kind="pods", output="names"), lambda text: len(text.splitlines()) == 2)

    broken = await told.call("deploy_application", **shop, image=MISSING, wait_s=WAIT_S, fails=True)
    assert "ImagePull" in broken
    assert "is rolled back to release 2" in broken
    why = await told.call("k8s_events", types="warning")
    assert MISSING in why
    assert "pod/shop-" in why
    assert "healthy" in await told.call("get_deployment_status", **shop)
    assert "failed" in await told.call("list_releases", **shop)

    await told.call("rollback_deployment", **shop, wait_s=WAIT_S)
    assert "healthy" in await told.call("get_deployment_status", **shop)
    assert "LOG_LEVEL" not in await told.call("k8s_get", kind="deployment", name="shop", output="yaml")
    assert "pod shop-" in await told.call("k8s_logs", name="shop", tail_lines=5)
    # On a real cluster the pod that failed is still there for a moment.
    every: dict[str, Any] = {"name": "deployment/shop", "all_pods": True, "tail_lines": 5}
    await _until(lambda: told.call("k8s_logs", **every), lambda text: text.startswith("2 of 2 pods"))

    await told.call("scale_application", **shop, replicas=3, wait_s=WAIT_S)
    assert "3/3" in await told.call("k8s_get", kind="deployment", name="shop")
    await told.call("restart_application", **shop, wait_s=WAIT_S)
    assert "shop" in await told.call("list_applications")

    dry = await told.call("k8s_delete", kind="deployment", name="shop", dry_run=True)
    assert "nothing was changed" in dry
    assert "replicaset" in dry
    assert "pods" in dry
    await told.call("k8s_delete", kind="deployment", name="shop", propagation="foreground")
    await _until(lambda: told.call("k8s_get", kind="pods"), lambda text: text.startswith("No pods"))


async def test_the_story_of_a_configuration(told: Told) -> None:
    first = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata:\n  greeting: hello\n"
    first += "  file: |\n    a\n    b\n"
    second = first.replace("hello", "good day").replace("    b\n", "    c\n")
    assert "create configmap/settings" in await told.call("k8s_apply", manifests=first, dry_run=True)
    assert "created" in await told.call("k8s_apply", manifests=first)
    assert "unchanged" in await told.call("k8s_apply", manifests=first)
    shown = await told.call("k8s_apply", manifests=second, dry_run=True)
    assert "data.greeting: hello -> good day" in shown
    assert "  -b\n" in shown
    assert "greeting: hello" in await told.call("k8s_get", kind="configmap", name="settings", output="yaml")
    assert "changed" in await told.call("k8s_apply", manifests=second)
    assert "greeting: good day" in await told.call("k8s_get", kind="configmap", name="settings", output="yaml")

    wrong = await told.call("k8s_apply", manifests=first.replace("\ndata:", "\ndta:"), fails=True)
    assert "Nothing was changed" in wrong
    assert "dta" in wrong
    assert "already exists" in await told.call("k8s_create", manifests=first, fails=True)

    assert "is deleted" in await told.call("k8s_delete", kind="configmap", name="settings")
    gone = await told.call("k8s_get", kind="configmap", name="settings", fails=True)
    assert "There is no configmap settings" in gone


async def test_the_story_of_a_secret(told: Told) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {user: kim, password: hunter2secret9}"
    await told.call("k8s_apply", manifests=secret)
    ways: list[dict[str, Any]] = [{"output": "yaml"}, {"output": "json"}, {"columns": ".data,..*"}]
    for arguments in ways:
        shown = await told.call("k8s_get", kind="secret", name="login", **arguments)
        assert "aHVudGVyMnNlY3JldDk" not in shown
        assert "hunter2" not in shown
    changed = await told.call("k8s_apply", manifests=secret.replace("hunter2secret9", "other"), dry_run=True)
    assert "data.password" in changed
    assert "other" not in changed
    masked = await told.call("k8s_get", kind="secret", name="login", output="yaml")
    assert "stands for a value that was not shown" in await told.call("k8s_apply", manifests=masked, fails=True)
    assert "There is no" in await told.call("k8s_delete", kind="secret", name="logins", fails=True)


async def test_the_story_of_a_kind_that_is_new(told: Told) -> None:
    group = f"{told.namespace}.example.com"
    definition = f"""\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {{type: integer, description: How large it is.}}
"""
    widget = f"apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: one}}\nspec: {{size: 3}}\n"
    try:
        done = await told.call("k8s_apply", manifests=f"{widget}---\n{definition}")
        assert done.index("customresourcedefinition/") < done.index("widget/one")
        shown = await told.call("k8s_get", kind=f"widgets.{group}", columns="name,.spec.size")
        assert shown == "NAME\tSIZE\none\t3"
        result = await told.client.call_tool("k8s_explain", {"kind": f"widgets.{group}", "field": "spec"})
        assert "size <integer> required  How large it is" in str(result.content)
        wrong = await told.call("k8s_apply", manifests=widget.replace("size: 3", "size: large"), fails=True)
        assert "Nothing was changed" in wrong
    finally:
        crd: dict[str, Any] = {"kind": "crd", "name": f"widgets.{group}"}
        refused = await told.client.call_tool("k8s_delete", crd, raise_on_error=False)
        assert refused.is_error
        await told.client.call_tool("k8s_delete", {**crd, "confirm_name": crd["name"]})
