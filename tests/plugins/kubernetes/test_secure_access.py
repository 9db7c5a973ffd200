"""Every kind of credential gets in at a real TLS server, which knows and trusts nothing else."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from kubernetes.config import kube_config

from klepaas.errors import BadRequest, Unauthorized, Unavailable
from klepaas.hookspecs import Level
from klepaas_plugins.kubernetes.checks import doctor_checks
from klepaas_plugins.kubernetes.client import Clusters, clusters, credentials
from klepaas_plugins.kubernetes.client.tls import tls_context

from .secure_api import Authority, b64, pong, refusing

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "keys"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _pair(authority: Authority, folder: Path, *, files: bool) -> dict[str, str]:
    certificate, key = authority.issue("person")
    if not files:
        return {"client-certificate-data": b64(certificate), "client-key-data": b64(key)}
    (folder / "person.crt").write_bytes(certificate)
    (folder / "person.key").write_bytes(key)
    return {"client-certificate": "person.crt", "client-key": "person.key"}


@pytest.mark.parametrize("files", [False, True])
async def test_a_client_certificate_gets_in_and_leaves_no_key_behind(
    tmp_path: Path, keys: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, files: bool
) -> None:
    authority = Authority()
    async with serve(pong, authority.server(tmp_path, ask_client=True)) as server:
        write_kubeconfig(
            server.url, _pair(authority, tmp_path, files=files), **{"certificate-authority-data": b64(authority.pem)}
        )
        assert (await (await open_clusters().cluster()).resource("deployments")).kind == "Deployment"
    assert os.listdir(keys) == []
    assert kube_config._temp_files == {}


async def test_key_files_are_ours_alone_while_they_exist(
    tmp_path: Path, keys: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    modes: set[int] = set()

    def look(files: Any) -> Any:
        paths = [*keys.iterdir(), *keys.glob("*/*")]
        modes.update(path.stat().st_mode & 0o777 for path in paths)
        return tls_context(files)

    monkeypatch.setattr("klepaas_plugins.kubernetes.client.credentials.tls_context", look)
    async with serve(pong, authority.server(tmp_path, ask_client=True)) as server:
        user = _pair(authority, tmp_path, files=False)
        write_kubeconfig(server.url, user, **{"certificate-authority-data": b64(authority.pem)})
        await (await open_clusters().cluster()).resource("deployments")
    assert modes == {0o700, 0o600}


async def test_a_client_without_the_certificate_does_not_get_in(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open
) -> None:
    authority = Authority()
    async with serve(pong, authority.server(tmp_path, ask_client=True)) as server:
        write_kubeconfig(server.url, {}, **{"certificate-authority-data": b64(authority.pem)})
        with pytest.raises(Unavailable):
            await (await open_clusters().cluster()).resource("deployments")
    assert server.seen == []


async def test_a_client_certificate_that_rotates_is_taken_up(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FILES_FRESH_S", 0.0)
    authority = Authority()
    async with serve(pong, authority.server(tmp_path, ask_client=True)) as server:
        user = _pair(Authority(), tmp_path, files=True)
        write_kubeconfig(server.url, user, **{"certificate-authority-data": b64(authority.pem)})
        cluster = await open_clusters().cluster()
        with pytest.raises(Unavailable):
            await cluster.resource("deployments")
        _pair(authority, tmp_path, files=True)
        assert (await cluster.resource("deployments")).kind == "Deployment"


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "a-token"}, "Bearer a-token"),
        ({"tokenFile": "token"}, "Bearer of-the-file"),
        ({"tokenFile": "token", "token": "a-token"}, "Bearer of-the-file"),
        ({"username": "jane", "password": "pä:ß한"}, "Basic " + b64("jane:pä:ß한".encode())),
        ({"token": "a-token", "username": "jane", "password": "x"}, "Bearer a-token"),
        ({}, None),
    ],
)
async def test_what_a_user_says_of_itself_is_sent(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, user: dict[str, str], header: str | None
) -> None:
    (tmp_path / "token").write_text("of-the-file\n")
    authority = Authority()
    async with serve(pong, authority.server(tmp_path)) as server:
        write_kubeconfig(server.url, user, **{"certificate-authority-data": b64(authority.pem)})
        await (await open_clusters().cluster()).resource("deployments")
    assert server.seen[0].headers.get("authorization") == header


async def test_a_token_file_that_rotates_is_read_again_over_the_same_connections(
    tmp_path: Path, sandbox: Any, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FILES_FRESH_S", 0.0)
    (tmp_path / "token").write_text("first")
    write_kubeconfig(sandbox.url, {"tokenFile": "token"})
    cluster = await open_clusters().cluster()
    await cluster.resource("deployments")
    client = cluster._transport._session._live.client  # type: ignore[union-attr]
    (tmp_path / "token").write_text("second")
    await cluster.ready()
    live = cluster._transport._session._live
    assert live is not None
    assert live.client is client
    assert ("Authorization", "Bearer second") in live.connection.headers


async def test_credentials_that_cannot_be_renewed_are_used_while_they_last(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FILES_FRESH_S", 0.0)
    (tmp_path / "token").write_text("first")
    async with serve(pong) as server:
        write_kubeconfig(server.url, {"tokenFile": "token"})
        cluster = await open_clusters().cluster()
        await cluster.resource("deployments")
        (tmp_path / "token").unlink()
        await cluster.ready()
    assert {seen.headers["authorization"] for seen in server.seen} == {"Bearer first"}


async def test_a_pods_own_account_gets_in_and_its_token_rotates(
    tmp_path: Path, serve: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    for name, text in {"token": b"first\n", "namespace": b"team\n", "ca.crt": authority.pem}.items():
        (tmp_path / name).write_bytes(text)

    async def rotating(seen: Any) -> AsyncIterator[bytes]:
        (tmp_path / "token").write_text("second")
        async for chunk in refusing(seen):
            yield chunk

    async with serve(rotating, authority.server(tmp_path)) as server:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
        cluster = await open_clusters(service_account_dir=tmp_path).cluster()
        await cluster.resource("deployments")
    assert (cluster.context, cluster.default_namespace) == ("in-cluster", "team")
    assert [seen.headers["authorization"] for seen in server.seen[:2]] == ["Bearer first", "Bearer second"]


async def test_a_pod_without_an_account_is_one_clear_line(
    tmp_path: Path, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    with pytest.raises(BadRequest, match="service account"):
        await (await open_clusters(service_account_dir=tmp_path).cluster()).resource("deployments")


async def test_impersonation_carries_user_groups_and_extra(
    serve: Any, write_kubeconfig: Any, open_clusters: Open
) -> None:
    extra = {"example.com/Reason": ["a", "b"]}
    user = {"token": "t", "as": "jane", "as-uid": "7", "as-groups": ["dev"], "as-user-extra": extra}
    async with serve(pong) as server:
        write_kubeconfig(server.url, user)
        await (await open_clusters().cluster()).resource("deployments")
    sent = server.seen[0].headers
    assert (sent["impersonate-user"], sent["impersonate-uid"], sent["impersonate-group"]) == ("jane", "7", "dev")
    assert sent["impersonate-extra-example.com%2freason"] == "b"


@pytest.mark.parametrize("name", ["cluster.test", "other.test"])
async def test_a_proxy_is_used_and_the_server_name_is_checked_through_it(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, name: str
) -> None:
    authority = Authority()
    given = {"certificate-authority-data": b64(authority.pem), "tls-server-name": name}
    async with serve(pong, authority.server(tmp_path)) as server, _tunnel() as (proxy, tunnelled):
        write_kubeconfig(server.url, {"token": "t"}, **given, **{"proxy-url": proxy})
        cluster = await open_clusters().cluster()
        if name == "cluster.test":
            assert (await cluster.resource("deployments")).kind == "Deployment"
        else:
            with pytest.raises(Unavailable, match=r"is for another name, not for other\.test"):
                await cluster.resource("deployments")
    assert tunnelled[0] == f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"


@asynccontextmanager
async def _tunnel() -> AsyncIterator[tuple[str, list[str]]]:
    """An HTTP proxy that only tunnels."""
    seen: list[str] = []

    async def pump(source: anyio.abc.ByteStream, target: anyio.abc.ByteStream) -> None:
        try:
            async for chunk in source:
                await target.send(chunk)
            await target.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async def handle(client: anyio.abc.ByteStream) -> None:
        head = b""
        async with client:
            while b"\r\n\r\n" not in head:
                head += await client.receive()
            seen.append(head.split(b"\r\n")[0].decode())
            host, _, port = seen[-1].split()[1].rpartition(":")
            async with await anyio.connect_tcp(host, int(port)) as server, anyio.create_task_group() as both:
                await client.send(b"HTTP/1.1 200 OK\r\n\r\n")
                both.start_soon(pump, server, client)
                await pump(client, server)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}", seen
        group.cancel_scope.cancel()


async def test_a_socks_proxy_is_refused_by_name(write_kubeconfig: Any, open_clusters: Open) -> None:
    write_kubeconfig("https://127.0.0.1:1", {}, **{"proxy-url": "socks5://u:canary@127.0.0.1:1"})
    with pytest.raises(BadRequest, match="SOCKS") as caught:
        await open_clusters().cluster()
    assert "canary" not in caught.value.line


async def test_only_a_plain_true_makes_a_connection_insecure_and_doctor_warns(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open
) -> None:
    async with serve(pong, Authority().server(tmp_path)) as server:
        write_kubeconfig(server.url, {"token": "t"}, **{"insecure-skip-tls-verify": "false"})
        with pytest.raises(Unavailable, match="not trusted"):
            await (await open_clusters().cluster()).resource("deployments")
    write_kubeconfig("https://198.51.100.1", {"token": "t"}, **{"insecure-skip-tls-verify": True})
    findings = [finding for check in doctor_checks(open_clusters()) for finding in await check.check()]
    assert [finding.summary for finding in findings if finding.level is Level.WARNING] == [
        "Context test trusts any server's certificate"
    ]


async def test_contexts_that_share_an_authority_load_at_the_same_time(
    tmp_path: Path, keys: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    given = {"certificate-authority-data": b64(authority.pem)}
    user = _pair(authority, tmp_path, files=False)
    names = [f"c{number}" for number in range(12)]
    async with serve(pong, authority.server(tmp_path, ask_client=True)) as server:
        paths = [str(write_kubeconfig(server.url, user, name=name, **given)) for name in names]
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(paths))
        opened = open_clusters()
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon((await opened.cluster(name)).ready)
    assert os.listdir(keys) == []


async def test_a_token_changed_in_the_kubeconfig_is_used_by_the_next_call(
    serve: Any, write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "LOOK_AGAIN_S", 0.0)
    async with serve(refusing) as server:
        write_kubeconfig(server.url, {"token": "first"})
        opened = open_clusters()
        with pytest.raises(Unauthorized):
            await (await opened.cluster()).ready()
        write_kubeconfig(server.url, {"token": "second"})
        await (await opened.cluster()).ready()
