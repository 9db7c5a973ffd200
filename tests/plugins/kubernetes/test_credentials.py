import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from klepaas.errors import BadRequest, Unauthorized, Unavailable
from klepaas.resilience import NotSent
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Clusters, exec_plugins

from .secure_api import Authority, b64, pong, refusing

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]
Any_ = Any


async def test_a_cluster_is_trusted_by_its_own_authority_and_knows_us_by_our_certificate(
    tmp_path: Path, serve: Any_, write_kubeconfig: Any_, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    certificate, key = authority.issue("person")
    user = {"client-certificate-data": b64(certificate), "client-key-data": b64(key)}
    given = {"certificate-authority-data": b64(authority.pem), "tls-server-name": "cluster.test"}
    keys = tmp_path / "keys"
    keys.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(keys))
    async with serve(pong, authority.server(tmp_path, ask_client=True)) as server:
        write_kubeconfig(server.url, user, **given)
        cluster = await open_clusters().cluster()
        found = await cluster.get(await cluster.resource("pods"), "p", "default")
    assert found["metadata"]["name"] == "p"
    assert os.listdir(keys) == []


async def test_files_named_in_a_kubeconfig_are_relative_to_it(
    tmp_path: Path, serve: Any_, write_kubeconfig: Any_, open_clusters: Open
) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "token").write_text("from-a-file\n")
    async with serve(pong, authority.server(tmp_path)) as server:
        given = {"certificate-authority": "ca.pem", "tls-server-name": "cluster.test"}
        write_kubeconfig(server.url, {"tokenFile": "token"}, **given)
        await (await open_clusters().cluster()).resource("deployments")
    assert server.seen[0].headers["authorization"] == "Bearer from-a-file"


async def test_a_server_of_another_authority_is_not_trusted(
    tmp_path: Path, serve: Any_, write_kubeconfig: Any_, open_clusters: Open
) -> None:
    async with serve(pong, Authority().server(tmp_path)) as server:
        given = {"certificate-authority-data": b64(Authority().pem), "tls-server-name": "cluster.test"}
        write_kubeconfig(server.url, {"token": "t"}, **given)
        with pytest.raises(Unavailable, match="certificate is not trusted"):
            await (await open_clusters().cluster()).resource("deployments")
    assert server.seen == []


async def test_a_cluster_marked_insecure_is_not_verified(
    tmp_path: Path, serve: Any_, write_kubeconfig: Any_, open_clusters: Open
) -> None:
    async with serve(pong, Authority().server(tmp_path)) as server:
        write_kubeconfig(server.url, {"token": "t"}, **{"insecure-skip-tls-verify": True})
        assert (await (await open_clusters().cluster()).resource("deployments")).kind == "Deployment"


@pytest.mark.parametrize(
    ("user", "given"),
    [
        ({"client-certificate-data": "!", "client-key-data": "!"}, {}),
        ({"client-certificate-data": b64(b"x"), "client-key-data": b64(b"canary")}, {}),
        ({"client-certificate": "missing.pem", "client-key": "missing.pem"}, {}),
        ({"tokenFile": "missing"}, {}),
        ({"token": "canary\r\nX-Evil: 1"}, {}),
        ({"token": "canary é"}, {}),
        ({"as": "canary\nX-Evil: 1", "token": "t"}, {}),
        ({}, {"certificate-authority-data": b64(b"canary")}),
        ({}, {"certificate-authority": "missing.pem"}),
        ({}, {"proxy-url": "gopher://user:canary@host"}),
        ({}, {"proxy-url": "socks5://user:canary@host"}),
    ],
)
async def test_unusable_credentials_are_one_line_without_them(
    write_kubeconfig: Any_, open_clusters: Open, user: dict[str, Any], given: dict[str, Any]
) -> None:
    write_kubeconfig("https://127.0.0.1:1", user, **given)
    with pytest.raises((BadRequest, Unavailable)) as caught:
        await (await open_clusters().cluster()).resource("deployments")
    assert "canary" not in caught.value.line
    assert "\n" not in caught.value.line


async def test_a_token_file_is_read_again_when_the_cluster_refuses_the_token(
    tmp_path: Path, serve: Any_, write_kubeconfig: Any_, open_clusters: Open
) -> None:
    (tmp_path / "token").write_text("first")

    async def rotating(seen: Any) -> AsyncIterator[bytes]:
        (tmp_path / "token").write_text("second")
        async for chunk in refusing(seen):
            yield chunk

    async with serve(rotating) as server:
        write_kubeconfig(server.url, {"tokenFile": "token"})
        await (await open_clusters().cluster()).resource("deployments")
    assert [seen.headers["authorization"] for seen in server.seen[:2]] == ["Bearer first", "Bearer second"]


async def test_a_refused_fixed_token_is_not_sent_again(
    serve: Any_, write_kubeconfig: Any_, open_clusters: Open
) -> None:
    async with serve(refusing) as server:
        write_kubeconfig(server.url, {"token": "first"})
        with pytest.raises(Unauthorized) as caught:
            await (await open_clusters().cluster()).resource("deployments")
    assert len(server.seen) == 1
    assert "first" not in caught.value.line


async def test_a_kubeconfig_that_impersonates_acts_with_the_lesser_rights(
    serve: Any_, write_kubeconfig: Any_, open_clusters: Open
) -> None:
    async with serve(pong) as server:
        write_kubeconfig(server.url, {"username": "u", "password": "p", "as": "jane", "as-groups": ["dev"]})
        await (await open_clusters().cluster()).resource("deployments")
    sent = server.seen[0].headers
    assert (sent["impersonate-user"], sent["impersonate-group"]) == ("jane", "dev")
    assert sent["authorization"] == "Basic " + b64(b"u:p")


async def test_no_proxy_is_taken_from_the_environment(
    serve: Any_, write_kubeconfig: Any_, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serve(pong) as server:
        write_kubeconfig(server.url, {"token": "t"})
        assert (await (await open_clusters().cluster()).resource("deployments")).kind == "Deployment"


def _plugin(tmp_path: Path, script: str) -> dict[str, Any]:
    program = tmp_path / "test-plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": str(program), "env": [{"name": "AWS_PROFILE", "value": "x"}]}}


async def test_an_allowed_plugin_gives_the_token_and_gets_no_input(
    tmp_path: Path, serve: Any_, write_kubeconfig: Any_, open_clusters: Open
) -> None:
    # What it reads from its standard input becomes part of the token.
    script = 'T="$AWS_PROFILE-$(cat)"; echo "{\\"status\\": {\\"token\\": \\"token$T\\"}}"'
    async with serve(pong) as server:
        write_kubeconfig(server.url, _plugin(tmp_path, script))
        await (await open_clusters(exec_plugins=(str(tmp_path / "test-plugin"),)).cluster()).resource("deployments")
    assert server.seen[0].headers["authorization"] == "Bearer tokenx-"


@pytest.mark.parametrize(
    "script",
    ["echo not json", "echo '{}'", "echo '{\"status\": {}}'", "echo 'token=canary-77aa' >&2; exit 3", "echo '[1]'"],
)
async def test_a_plugin_that_gives_nothing_is_one_line_and_no_request(
    tmp_path: Path, serve: Any_, write_kubeconfig: Any_, open_clusters: Open, script: str
) -> None:
    async with serve(pong) as server:
        write_kubeconfig(server.url, _plugin(tmp_path, script))
        with pytest.raises(Unauthorized, match="gave no credential") as caught:
            await (await open_clusters(exec_plugins=(str(tmp_path / "test-plugin"),)).cluster()).resource("deployments")
    assert server.seen == []
    assert "canary" not in caught.value.line


async def test_a_plugin_is_asked_again_when_its_token_is_refused(
    tmp_path: Path, serve: Any_, write_kubeconfig: Any_, open_clusters: Open
) -> None:
    script = 'if [ -e ran ]; then T=second; fi; : > ran; echo "{\\"status\\": {\\"token\\": \\"${T:-first}\\"}}"'
    async with serve(refusing) as server:
        write_kubeconfig(server.url, _plugin(tmp_path, script))
        await (await open_clusters(exec_plugins=(str(tmp_path / "test-plugin"),)).cluster()).resource("deployments")
    assert [seen.headers["authorization"] for seen in server.seen[:2]] == ["Bearer first", "Bearer second"]


async def test_a_plugin_that_does_not_end_is_ended(
    tmp_path: Path, serve: Any_, write_kubeconfig: Any_, open_clusters: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_plugins, "TIMEOUT_S", 0.2)
    async with serve(pong) as server:
        write_kubeconfig(server.url, _plugin(tmp_path, "exec sleep 30"))
        with anyio.fail_after(scale_timeout(5)), pytest.raises(NotSent, match="did not end"):
            await (await open_clusters(exec_plugins=(str(tmp_path / "test-plugin"),)).cluster()).resource("deployments")
    assert server.seen == []
