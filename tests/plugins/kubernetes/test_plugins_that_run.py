"""Credential plugins as programs: the known ones run, on our terms, and are gone when nobody waits for them."""

import datetime
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from klepaas.errors import Forbidden, KlepaasError, Unauthorized
from klepaas.resilience import NotSent
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Clusters, credentials, exec_plugins

from .secure_api import Authority, b64, pong, refusing

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]
KNOWN = {
    "gke-gcloud-auth-plugin": [],
    "aws-iam-authenticator": ["token", "-i", "c"],
    "aws": ["--region", "eu-west-1", "eks", "get-token", "--cluster-name", "c"],
    "kubelogin": ["get-token", "--server-id", "s"],
    "kubectl-oidc_login": ["get-token"],
    "kubectl": ["oidc-login", "get-token"],
    "ncp-iam-authenticator": ["token", "--clusterUuid", "c"],
    "doctl": ["kubernetes", "cluster", "kubeconfig", "exec-credential", "--version=v1beta1", "c"],
    "oci": ["ce", "cluster", "generate-token", "--cluster-id", "c"],
}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Put a program on PATH, a Python script that may `give(token=...)`; the result is the kubeconfig's user."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    head = f"""#!{sys.executable}
import json, os, subprocess, sys, time
def give(**status):
    print(json.dumps({{"kind": "ExecCredential", "status": status}}))
def ran():
    with open({str(tmp_path / "runs")!r}, "a") as file:
        file.write("ran\\n")
"""

    def install(script: str, name: str = "kubelogin", **spec: Any) -> dict[str, Any]:
        (folder / name).write_text(head + script + "\n")
        (folder / name).chmod(0o755)
        version = "client.authentication.k8s.io/v1"
        return {"exec": {"apiVersion": version, "command": name, "args": KNOWN[name], **spec}}

    return install


def _runs(tmp_path: Path) -> int:
    path = tmp_path / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize("name", KNOWN)
async def test_each_known_plugin_on_the_path_gives_its_token(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, plugin: Any, name: str
) -> None:
    authority = Authority()
    async with serve(pong, authority.server(tmp_path)) as server:
        user = plugin("give(token='-'.join(sys.argv[1:]) or 'none')", name)
        write_kubeconfig(server.url, user, **{"certificate-authority-data": b64(authority.pem)})
        await (await open_clusters().cluster()).resource("deployments")
    assert server.seen[0].headers["authorization"] == "Bearer " + ("-".join(KNOWN[name]) or "none")


async def test_a_plugin_may_give_a_certificate(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, plugin: Any
) -> None:
    authority = Authority()
    certificate, key = (part.decode() for part in authority.issue("person"))
    async with serve(pong, authority.server(tmp_path, ask_client=True)) as server:
        user = plugin(f"give(clientCertificateData={certificate!r}, clientKeyData={key!r})")
        write_kubeconfig(server.url, user, **{"certificate-authority-data": b64(authority.pem)})
        assert (await (await open_clusters().cluster()).resource("deployments")).kind == "Deployment"


async def test_a_plugin_is_told_of_the_cluster_only_when_it_asks(
    serve: Any, write_kubeconfig: Any, open_clusters: Open, plugin: Any
) -> None:
    script = "told = json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']\n"
    script += "give(token=told.get('cluster', {}).get('server', 'nothing') + str(told['interactive']))"
    async with serve(pong) as server:
        for asks, wanted in ((False, "nothingFalse"), (True, f"{server.url}False")):
            write_kubeconfig(server.url, plugin(script, provideClusterInfo=asks), name=f"c{asks}")
            await (await open_clusters().cluster()).resource("deployments")
            assert server.seen[-1].headers["authorization"] == f"Bearer {wanted}"


async def test_a_token_is_renewed_before_it_ends_and_not_with_each_call(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=20)
    script = f"ran(); give(token='t', expirationTimestamp='{soon:%Y-%m-%dT%H:%M:%SZ}')"
    async with serve(pong) as server:
        write_kubeconfig(server.url, plugin(script))
        cluster = await open_clusters().cluster()
        for _ in range(3):
            await cluster.ready()
        assert _runs(tmp_path) == 1
        monkeypatch.setattr(credentials, "PLUGIN_PAUSE_S", 0.0)
        renewed = await open_clusters().cluster()
        await renewed.ready()
        await renewed.ready()
    assert _runs(tmp_path) >= 3


async def test_a_plugin_gets_neither_our_input_nor_our_terminal(
    serve: Any, write_kubeconfig: Any, open_clusters: Open, plugin: Any
) -> None:
    script = "give(token=f'{len(sys.stdin.read())}-{os.getsid(0) == os.getpid()}')"
    async with serve(pong) as server:
        write_kubeconfig(server.url, plugin(script))
        await (await open_clusters().cluster()).resource("deployments")
    assert server.seen[0].headers["authorization"] == "Bearer 0-True"


async def test_a_plugin_that_wants_a_terminal_is_refused(
    tmp_path: Path, write_kubeconfig: Any, open_clusters: Open, plugin: Any
) -> None:
    write_kubeconfig("https://127.0.0.1:1", plugin("ran()", interactiveMode="Always"))
    with pytest.raises(Forbidden, match="terminal"):
        await open_clusters().cluster()
    assert _runs(tmp_path) == 0


async def test_a_plugin_that_hangs_is_ended_with_its_children_and_asked_once(
    tmp_path: Path, write_kubeconfig: Any, open_clusters: Open, plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_plugins, "TIMEOUT_S", 0.5)
    pid = tmp_path / "pid"
    child = f"child = subprocess.Popen(['sleep', '50']); open({str(pid)!r}, 'w').write(str(child.pid))"
    write_kubeconfig("https://127.0.0.1:1", plugin(f"ran(); {child}"))
    cluster = await open_clusters().cluster()
    errors: list[KlepaasError] = []

    async def ask() -> None:
        with pytest.raises(NotSent, match="did not end") as caught:
            await cluster.ready()
        errors.append(caught.value)

    with anyio.fail_after(scale_timeout(10)):
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)
        await ask()
    assert (len(errors), _runs(tmp_path)) == (11, 1)
    await _gone(int(pid.read_text()))


async def test_a_caller_that_leaves_ends_the_plugin(
    tmp_path: Path, write_kubeconfig: Any, open_clusters: Open, plugin: Any
) -> None:
    pid = tmp_path / "pid"
    script = f"open({str(pid)!r} + '-', 'w').write(str(os.getpid()))\nos.rename({str(pid)!r} + '-', {str(pid)!r})\n"
    write_kubeconfig("https://127.0.0.1:1", plugin(script + "time.sleep(50)"))
    cluster = await open_clusters().cluster()
    with anyio.fail_after(scale_timeout(10)):
        async with anyio.create_task_group() as group:
            group.start_soon(cluster.ready)
            while not pid.exists():
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await _gone(int(pid.read_text()))


async def _gone(pid: int) -> None:
    with anyio.fail_after(scale_timeout(5)):
        while _is_running(pid):
            await anyio.lowlevel.checkpoint()


def _is_running(pid: int) -> bool:
    """Whether more is left of a process than its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_plugin_that_writes_for_ever_fills_no_memory(
    write_kubeconfig: Any, open_clusters: Open, plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_plugins, "OUTPUT_MAX_BYTES", 10_000)
    write_kubeconfig("https://127.0.0.1:1", plugin("sys.stdout.write('x' * 5_000_000)"))
    with pytest.raises(Unauthorized, match="too large"):
        await (await open_clusters().cluster()).ready()


async def test_those_who_wait_for_a_plugin_share_its_failure(
    tmp_path: Path, write_kubeconfig: Any, open_clusters: Open, plugin: Any
) -> None:
    write_kubeconfig("https://127.0.0.1:1", plugin("ran(); time.sleep(0.3); sys.exit('please log in')"))
    cluster = await open_clusters().cluster()

    async def ask() -> None:
        with pytest.raises(Unauthorized, match="please log in"):
            await cluster.ready()

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
    assert _runs(tmp_path) == 1
    await ask()
    assert _runs(tmp_path) == 2


async def test_a_refused_token_is_renewed_once_also_for_a_change(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, plugin: Any
) -> None:
    async def always(_: Any) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    user = plugin(
        f"ran(); give(token='second' if open({str(tmp_path / 'runs')!r}).read().count('ran') > 1 else 'first')"
    )
    async with serve(refusing) as server, serve(always) as hopeless:
        write_kubeconfig(server.url, user, name="good")
        cluster = await open_clusters().cluster()
        resource = await cluster.resource("deployments")
        assert _runs(tmp_path) == 2
        write_kubeconfig(hopeless.url, user, name="bad")
        cluster = await open_clusters().cluster()
        with pytest.raises(Unauthorized):
            await cluster.create(resource, {"metadata": {"name": "p"}}, "default")
    assert [seen.method for seen in hopeless.seen] == ["POST", "POST"]
    assert json.loads(hopeless.seen[0].body)["metadata"] == {"name": "p"}
