"""The settings of docs/agents.md for nginx and haproxy, run by the real ones: calls, progress, any Host."""

import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from tests.docs.blocks import blocks_of
from tests.served import served, unconfigured

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing

from .environments import is_required
from .turns import LOG_LINE

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(75))]

BLOCKS = {block.language: block.text for block in blocks_of("docs/agents.md") if block.language in ("nginx", "haproxy")}
START_LIMIT_S = scale_timeout(20)


def _program(name: str) -> str:
    if not is_required(name):
        pytest.skip(f"{name} is not part of the sample: run `make clients`")
    found = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    assert found is not None, f"{name} is not installed: run `make clients`"
    return found


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _nginx(folder: Path, block: str) -> list[str]:
    (folder / "logs").mkdir()
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off; pid {folder}/pid; error_log stderr; events {{}}"
    (folder / "nginx.conf").write_text(f"{head}\nhttp {{ access_log off; {temporary}\n{block}\n}}\n")
    return [_program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _haproxy(folder: Path, block: str) -> list[str]:
    (folder / "haproxy.cfg").write_text(block)
    return [_program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
        assert process.poll() is None, (folder / "proxy.log").read_text()
    finally:
        process.terminate()
        process.wait(scale_timeout(10))


@asynccontextmanager
async def _behind(kind: str, folder: Path) -> AsyncIterator[int]:
    """A klepaas behind a proxy with the page's settings, and the port that the proxy listens on."""
    port = _free_port()
    async with Sandbox(Timing.instant()) as sandbox:
        kubeconfig = str(sandbox.write_kubeconfig(folder / "kubeconfig"))
        environment = unconfigured(folder, KUBECONFIG=kubeconfig, KLEPAAS_EXTERNAL_PLUGINS="false")
        with served("--writes", environment=environment, stderr=folder / "stderr") as server:
            own = server.url.removeprefix("http://").removesuffix("/mcp")
            block = BLOCKS[kind].replace("127.0.0.1:8000", own).replace("127.0.0.1:8080", f"127.0.0.1:{port}")
            command = {"nginx": _nginx, "haproxy": _haproxy}[kind](folder, block)
            with _running(command, folder):
                await _listens(port)
                yield port


async def _listens(port: int) -> None:
    with anyio.fail_after(START_LIMIT_S):
        while True:
            try:
                stream = await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                await anyio.sleep(0.05)
            else:
                await stream.aclose()
                return


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_deployment_and_its_progress_pass_the_proxy_under_its_own_host_name(
    kind: str, mode: str, tmp_path: Path
) -> None:
    heard: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    _program(kind)
    async with _behind(kind, tmp_path) as port:
        transport = StreamableHttpTransport(f"http://127.0.0.1:{port}/mcp", headers={"Host": "klepaas.example"})
        async with Client(transport, mode=mode) as client:
            assert len(await client.list_tools()) > 20
            arguments = {"app_name": "shop", "image": "registry.example/shop:1.0-crash", "wait_s": 20}
            answer = await client.call_tool(
                "deploy_application", arguments, progress_handler=hear, raise_on_error=False
            )
    assert LOG_LINE in str(answer.content)
    assert heard
