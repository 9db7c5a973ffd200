"""A certificate's trouble is named with its remedy; a missing credential plugin with the PATH that it is not on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from klepaas.errors import Unauthorized, Unavailable
from klepaas_plugins.kubernetes.client import Clusters

from .secure_api import Authority, b64, pong

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]
CASES: dict[str, tuple[dict[str, Any], bool, str, str]] = {
    "expired": ({"days": (-3, -1)}, True, "has expired", "renewed"),
    "early": ({"days": (1, 3)}, True, "is not valid yet", "clock"),
    "other_name": ({"loopback": False}, True, "is for another name, not for 127.0.0.1", "tls-server-name"),
    "stranger": ({}, False, "is not trusted", "certificate-authority"),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_certificate_that_is_expired_early_for_another_name_or_not_trusted_is_named_so_with_its_remedy(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, case: str
) -> None:
    how, known, reason, step = CASES[case]
    authority = Authority()
    trusted = authority if known else Authority()
    async with serve(pong, authority.server(tmp_path, **how)) as server:
        write_kubeconfig(server.url, {"token": "t"}, **{"certificate-authority-data": b64(trusted.pem)})
        with pytest.raises(Unavailable) as caught:
            await (await open_clusters().cluster()).resource("deployments")
    assert f"the server's certificate {reason}" in caught.value.what
    assert step in (caught.value.next_step or "")
    others = {other for _, _, other, _ in CASES.values()} - {reason}
    assert not any(other in caught.value.line for other in others)
    assert server.seen == []


@pytest.mark.parametrize("case", CASES)
async def test_a_command_in_a_container_names_the_trouble_with_the_certificate_too(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, case: str
) -> None:
    from klepaas_plugins.kubernetes.client import credentials, execution
    from klepaas_plugins.kubernetes.errors import Act

    how, known, reason, _ = CASES[case]
    authority = Authority()
    trusted = authority if known else Authority()
    async with serve(pong, authority.server(tmp_path, **how)) as server:
        write_kubeconfig(server.url, {"token": "t"}, **{"certificate-authority-data": b64(trusted.pem)})
        entry = open_clusters().kubeconfig.merged().entry(None)
        connection = await credentials.load(entry)
        with pytest.raises(Unavailable, match=f"the server's certificate {reason}"):
            await execution.run(connection, Act("exec", "pod p", "test"), "/exec", None, ["true"], (1000, 5.0))


@pytest.mark.parametrize("command", ["kubelogin", "/nowhere-else/kubelogin"])
async def test_a_missing_credential_plugin_names_the_path_that_klepaas_sees_and_what_graphical_clients_do(
    write_kubeconfig: Any, open_clusters: Open, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin:/nowhere-else")
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": ["get-token"]}
    write_kubeconfig("https://127.0.0.1:1", {"exec": plugin})
    with pytest.raises(Unauthorized) as caught:
        await (await open_clusters().cluster()).resource("deployments")
    if command == "kubelogin":
        assert "is not found on the PATH of the klepaas server (/usr/bin:/bin:/nowhere-else)" in caught.value.what
        assert "graphical clients" in (caught.value.next_step or "")
        assert "`which kubelogin`" in (caught.value.next_step or "")
    else:
        assert "is not at /nowhere-else/kubelogin, or is not executable" in caught.value.what
