"""What the tests of the Kubernetes plugin stand on: the sandbox, a kubeconfig, and bare servers that misbehave."""

import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
import yaml
from anyio.streams.tls import TLSListener
from fastmcp import Client

from klepaas.app import create_app
from klepaas.policy import Decision, Rule
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Cluster, Clusters
from klepaas_plugins.kubernetes.client.kubeconfig import Kubeconfig
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing
from klepaas_plugins.kubernetes.settings import KubernetesSettings


@dataclass
class Seen:
    """A request that a bare server saw."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class BareServer:
    """A server that answers whatever a test says, byte for byte."""

    url: str = ""
    port: int = 0
    seen: list[Seen] = field(default_factory=list)


Answering = Callable[[Seen], AsyncIterator[bytes]]
Serve = Callable[..., AbstractAsyncContextManager[BareServer]]
Write = Callable[..., Path]
Ask = Callable[..., Any]


@pytest.fixture
def serve() -> Serve:
    """Start a bare server: `async with serve(answer, tls=None) as server`."""

    @asynccontextmanager
    async def start(answer: Answering, tls: ssl.SSLContext | None = None) -> AsyncIterator[BareServer]:
        server = BareServer()

        async def handle(stream: anyio.abc.ByteStream) -> None:
            async with stream:
                try:
                    seen = await _request(stream)
                    server.seen.append(seen)
                    async for chunk in answer(seen):
                        await stream.send(chunk)
                except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError):
                    return

        tcp = await anyio.create_tcp_listener(local_host="127.0.0.1")
        server.port = tcp.extra(anyio.abc.SocketAttribute.local_port)
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
        listener = TLSListener(tcp, tls, standard_compatible=False) if tls else tcp
        async with tcp, anyio.create_task_group() as group:
            group.start_soon(listener.serve, handle)
            yield server
            group.cancel_scope.cancel()

    return start


async def _request(stream: anyio.abc.ByteStream) -> Seen:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += await stream.receive()
    return Seen(method, path, headers, body)


@pytest.fixture
async def sandbox(anyio_backend: str) -> AsyncIterator[Sandbox]:
    """A Kubernetes API on loopback."""
    async with Sandbox(timing=Timing.instant()) as running:
        yield running


@pytest.fixture
def write_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a kubeconfig of one context and make it the one in use."""

    def write(url: str, user: dict[str, Any] | None = None, *, name: str = "test", **cluster: Any) -> Path:
        path = tmp_path / f"{name}.kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": f"{name}-cluster", "cluster": {"server": url, **cluster}}],
            "users": [{"name": f"{name}-user", "user": user or {}}],
            "contexts": [{"name": name, "context": {"cluster": f"{name}-cluster", "user": f"{name}-user"}}],
            "current-context": name,
        }
        path.write_text(yaml.safe_dump(content))
        path.chmod(0o600)
        monkeypatch.setenv("KUBECONFIG", str(path))
        return path

    return write


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the kubeconfig or the pod of the machine it runs on."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KLEPAAS_K8S_CONTEXT", "KLEPAAS_K8S_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
async def open_clusters(anyio_backend: str) -> AsyncIterator[Callable[..., Clusters]]:
    """Make clusters from the environment; closed after the test."""
    made: list[Clusters] = []

    def make(service_account_dir: Path | None = None, **settings: Any) -> Clusters:
        read = KubernetesSettings(**settings)
        kubeconfig = Kubeconfig(read, service_account_dir) if service_account_dir else None
        made.append(Clusters(read, kubeconfig))
        return made[-1]

    yield make
    for clusters in made:
        await clusters.aclose()


@pytest.fixture
async def cluster(sandbox: Sandbox, tmp_path: Path, open_clusters: Callable[..., Clusters]) -> Cluster:
    """The sandbox, through the client."""
    return await open_clusters(kubeconfig=str(sandbox.write_kubeconfig(tmp_path / "sandbox"))).cluster()


@pytest.fixture
async def ask(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ask]:
    """Call a tool of a whole klepaas whose cluster is the sandbox, through an MCP client; the result is its text."""
    monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "sandbox")))
    async with Client(create_app().server) as client:

        async def call(tool: str, /, **arguments: Any) -> Any:
            with anyio.fail_after(scale_timeout(20)):
                return await client.call_tool(tool, arguments, raise_on_error=False)

        yield call


@pytest.fixture
async def change(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ask]:
    """The same as `ask`, of a klepaas that may write and asks nobody to confirm."""
    monkeypatch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(tmp_path / "sandbox")))
    async with Client(create_app(Settings(mode=Mode.WRITES, policy=(Rule(decision=Decision.AUTO),))).server) as client:

        async def call(tool: str, /, **arguments: Any) -> Any:
            with anyio.fail_after(scale_timeout(30)):
                return await client.call_tool(tool, arguments, raise_on_error=False)

        yield call


def text_of(result: Any) -> str:
    """A tool's answer."""
    return str(result.content[0].text)


@pytest.fixture
def text() -> Callable[[Any], str]:
    """Reads a tool's answer."""
    return text_of


@pytest.fixture
def cursor() -> Callable[[Any], str | None]:
    """Reads the cursor in a tool's answer."""

    def read(result: Any) -> str | None:
        found = re.search(r"cursor=(\S+?)\]", text_of(result))
        return found.group(1) if found else None

    return read


@pytest.fixture
def deployment() -> Callable[..., dict[str, Any]]:
    """A Deployment; the image's name decides in the sandbox what becomes of its pods."""

    def make(name: str, image: str = "example/app:1", replicas: int = 1, **container: Any) -> dict[str, Any]:
        labels = {"app": name}
        spec = {"containers": [{"name": "main", "image": image, **container}]}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }

    return make


@pytest.fixture
def until(sandbox: Sandbox) -> Callable[[Callable[[], Any]], Any]:
    """Wait until something holds in the sandbox."""

    async def wait(holds: Callable[[], Any]) -> None:
        with anyio.fail_after(scale_timeout(15)):
            while not holds():
                await sandbox.changed()

    return wait
