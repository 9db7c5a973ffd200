"""Attacks by a kubeconfig, or by another user of the machine, on the programs that klepaas runs to log in."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from klepaas.errors import Forbidden, KlepaasError, Unauthorized
from klepaas.portability import writers
from klepaas_plugins.kubernetes.checks import _context
from klepaas_plugins.kubernetes.client import Clusters, exec_plugins
from klepaas_plugins.kubernetes.client.known_plugins import KNOWN_PLUGINS

from .secure_api import pong

pytestmark = pytest.mark.anyio
Open = Callable[..., Clusters]
GOOD: dict[str, list[list[str]]] = {
    "gke-gcloud-auth-plugin": [[], ["--use_application_default_credentials"]],
    "aws-iam-authenticator": [["token", "-i", "c"], ["token", "--cluster-id=c", "-r", "arn:aws:iam::1:role/x"]],
    "aws": [
        ["--region", "eu-west-1", "eks", "get-token", "--cluster-name", "c", "--output", "json"],
        ["eks", "get-token", "--cluster-name=c", "--role-arn", "arn:aws:iam::1:role/x", "--profile", "prod"],
    ],
    "kubelogin": [
        ["get-token", "--environment", "AzurePublicCloud", "--server-id", "s", "--client-id", "c", "--tenant-id", "t"],
        ["get-token", "--login", "azurecli", "--server-id", "s"],
        ["get-token", "--oidc-issuer-url=https://login.example/", "--oidc-client-id=c", "--oidc-extra-scope=email"],
    ],
    "kubectl-oidc_login": [["get-token", "--oidc-issuer-url", "https://login.example", "-v1", "--skip-open-browser"]],
    "kubectl": [
        [
            *("oidc-login", "get-token", "--oidc-issuer-url=https://login.example/", "--oidc-client-id=c"),
            *("--oidc-auth-request-extra-params=audience=https://api", "--token-cache-dir=~/.kube/cache/oidc-login/o"),
        ]
    ],
    "ncp-iam-authenticator": [["token", "--clusterUuid", "c", "--region", "KR", "--profile", "p"]],
    "doctl": [
        ["kubernetes", "cluster", "kubeconfig", "exec-credential", "--version=v1beta1", "--context=default", "c"]
    ],
    "oci": [["ce", "cluster", "generate-token", "--cluster-id", "ocid1.x", "--region", "eu-frankfurt-1"]],
}
# What would send our credentials elsewhere, run or read something else, or write somewhere.
REDIRECTING = (
    *("--server=https://evil", "--kubeconfig=/tmp/evil", "--endpoint-url=https://evil", "--endpoint=https://evil"),
    *(
        "--endpoint-u=https://evil",
        "--api-url=https://evil",
        "-u=https://evil",
        "-uhttps://evil",
        "-o=/tmp/out",
        "-ojson",
    ),
    *("--authority-host=https://evil", "--browser-command=touch", "--config=/tmp/evil", "--config-file=/tmp/evil"),
    *("--certificate=/tmp/evil", "--insecure-skip-tls-verify", "--no-verify-ssl", "--ca-bundle=/tmp/evil", "--debug"),
    *(
        "--proxy=http://evil",
        "--proxy-url=http://evil",
        "--as=admin",
        "--token=x",
        "-s=https://evil",
        "-Ashttps://evil",
    ),
    *("--token-cache-dir=/tmp/evil", "--token-cache-dir=~/.kube/../evil", "--oidc-issuer-url=http://evil"),
    *("--oidc-issuer-url=file:///etc/passwd", "--cluster-name=file:///etc/passwd", "--region=x@evil.example/"),
    *("--cli-input-json=file:///tmp/evil", "--open-url-after-authentication=https://evil", "--", "-", "--=x", "---"),
    *("--federated-token-file=/etc/passwd", "--azure-config-dir=/tmp/evil", "--trace", "--use_edge_cloud=x", "--v=9e9"),
    *("--listen-address=0.0.0.0:80", "--oidc-redirect-url=https://evil", "--local-server-key=/etc/passwd"),
)
WORDS = ("s3", "get-token", "extra word", "", "file:///etc/passwd")
VARIABLES = (
    *(
        "LD_PRELOAD",
        "PATH",
        "HOME",
        "PAGER",
        "AWS_PAGER",
        "BROWSER",
        "EDITOR",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_STS",
    ),
    *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_CONFIG_FILE", "AWS_CA_BUNDLE"),
    *(
        "AZURE_AUTHORITY_HOST",
        "AZURE_CONFIG_DIR",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER",
        "CLOUDSDK_PROXY_ADDRESS",
    ),
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "DIGITALOCEAN_API_URL"),
    *(
        "NCLOUD_API_GW",
        "OCI_CLI_ENDPOINT",
        "OCI_CLI_CONFIG_FILE",
        "KUBECONFIG",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "SSL_CERT_FILE",
    ),
    *("PYTHONPATH", "NODE_OPTIONS", "GODEBUG", "KUBERNETES_EXEC_INFO", "aws_endpoint_url", "ANYTHING_NEW", ""),
)


def _spec(command: str, words: list[str], **more: Any) -> dict[str, Any]:
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": words, **more}


def _passes(spec: dict[str, Any], *extra: str, folder: Path | None = None) -> bool:
    try:
        exec_plugins.check(spec, "prod", extra, folder)
    except Forbidden:
        return False
    return True


def test_each_known_plugin_is_run_as_its_own_tool_writes_the_kubeconfig() -> None:
    assert GOOD.keys() == KNOWN_PLUGINS.keys()
    refused = [(name, words) for name, forms in GOOD.items() for words in forms if not _passes(_spec(name, words))]
    assert refused == []


def test_no_known_plugin_takes_an_option_or_a_word_that_redirects_it_wherever_it_stands() -> None:
    passed: list[Any] = []
    for name, forms in GOOD.items():
        for words in forms:
            for attack in (
                *([word] for word in REDIRECTING),
                *(word.split("=", 1) for word in REDIRECTING if "=" in word),
            ):
                for at in range(len(words) + 1):
                    if _passes(_spec(name, [*words[:at], *attack, *words[at:]])):
                        passed.append((name, words[:at], attack))
            first = words[: len(words) - KNOWN_PLUGINS[name].operands]
            passed += [(name, first, word) for word in WORDS if _passes(_spec(name, [word, *words]))]
            passed += [(name, words, word) for word in WORDS if _passes(_spec(name, [*words, word]))]
    assert passed == []


def test_no_known_plugin_gets_a_variable_of_the_kubeconfig_that_is_not_on_its_list() -> None:
    for name, forms in GOOD.items():
        own = [{"name": variable, "value": "x"} for variable in sorted(KNOWN_PLUGINS[name].variables)]
        assert _passes(_spec(name, forms[0], env=own))
        passed = [one for one in VARIABLES if _passes(_spec(name, forms[0], env=[{"name": one, "value": "x"}]))]
        assert passed == [], name
        assert not _passes(_spec(name, forms[0], env=["AWS_PROFILE"]))


def test_a_plugin_that_the_operator_names_by_its_path_takes_any_argument_and_no_variable_that_loads_code() -> None:
    spec = _spec("/opt/tools/doctl", ["--api-url=https://own.example"], env=[{"name": "OWN", "value": "x"}])
    assert not _passes(spec)
    assert not _passes(spec, "doctl"), "a name is looked for on PATH, and /opt/tools is not on it"
    assert _passes(spec, "/opt/tools/doctl")
    for variable in ("LD_PRELOAD", "PATH", "PYTHONPATH", "HTTPS_PROXY", "AWS_ENDPOINT_URL", ""):
        assert not _passes({**spec, "env": [{"name": variable, "value": "x"}]}, "/opt/tools/doctl")


def test_a_path_of_the_operator_may_begin_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _passes(_spec(str(tmp_path / "bin" / "tsh"), ["kube", "credentials"]), "~/bin/tsh")


@pytest.mark.parametrize(
    "odd", [{"args": ["a\0b"]}, {"env": [{"name": "A=B", "value": "x"}]}, {"env": [{"name": "A", "value": "a\0b"}]}]
)
async def test_what_no_system_can_start_is_one_line(tmp_path: Path, trap: Any, odd: dict[str, Any]) -> None:
    program = trap(tmp_path / "bin", "tsh")
    with pytest.raises(Unauthorized, match="it cannot be started"):
        await exec_plugins.run(_spec(str(program), [], **odd), "prod", tmp_path, {})
    assert not (tmp_path / "ran").exists()


def test_a_refusal_says_what_the_operator_can_do(tmp_path: Path) -> None:
    with pytest.raises(Forbidden) as caught:
        exec_plugins.check(_spec("doctl", [*GOOD["doctl"][0], "--api-url=https://own"]), "prod")
    assert "doctl is given the option --api-url" in caught.value.what
    assert "own" not in caught.value.what
    step = caught.value.next_step or ""
    assert "allow it with these arguments and variables by naming doctl in KLEPAAS_K8S_EXEC_PLUGINS" in step
    with pytest.raises(Forbidden) as caught:
        exec_plugins.check(_spec("./aws", GOOD["aws"][0]), "prod", (), tmp_path)
    assert f"by naming {tmp_path / 'aws'} in KLEPAAS_K8S_EXEC_PLUGINS" in (caught.value.next_step or "")


@pytest.fixture
def trap(tmp_path: Path) -> Callable[[Path], Path]:
    """Makes a program that gives a token and leaves a trace."""

    def install(folder: Path, name: str = "kubelogin") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / name
        token = json.dumps({"status": {"token": f"from-{folder.name}"}})
        program.write_text(f"#!/bin/sh\n: > {tmp_path / 'ran'}\necho '{token}'\n")
        program.chmod(0o755)
        return program

    return install


async def _refused(clusters: Clusters, tmp_path: Path) -> KlepaasError:
    with pytest.raises((Forbidden, Unauthorized)) as caught:
        await (await clusters.cluster()).ready()
    assert not (tmp_path / "ran").exists()
    return caught.value


async def test_a_relative_command_counts_from_the_kubeconfig_as_for_kubectl_and_runs_when_its_path_is_allowed(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, trap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap(tmp_path / "elsewhere" / "bin")
    monkeypatch.chdir(tmp_path / "elsewhere")
    program = trap(tmp_path / "bin")
    async with serve(pong) as server:
        write_kubeconfig(server.url, {"exec": _spec("bin/kubelogin", ["get-token"])})
        error = await _refused(open_clusters(), tmp_path)
        assert f"{program} is in no folder of PATH" in error.what
        await (await open_clusters(exec_plugins=(str(program),)).cluster()).ready()
    assert server.seen[0].headers["authorization"] == "Bearer from-bin"


async def test_a_bare_name_is_the_program_that_the_operator_allows_by_its_path(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, trap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = trap(tmp_path / "cloud-sdk")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    async with serve(pong) as server:
        write_kubeconfig(server.url, {"exec": _spec("kubelogin", ["get-token"])})
        clusters = open_clusters(exec_plugins=(str(program),))
        assert _context(clusters.kubeconfig.merged().entry(None), clusters).summary.endswith("resolves")
        await (await clusters.cluster()).ready()
    assert server.seen[0].headers["authorization"] == "Bearer from-cloud-sdk"


async def test_a_program_of_a_known_name_outside_path_never_runs(
    tmp_path: Path, write_kubeconfig: Any, open_clusters: Open, trap: Any
) -> None:
    program = trap(tmp_path / "downloads")
    write_kubeconfig("http://127.0.0.1:1", {"exec": _spec(str(program), ["get-token"])})
    error = await _refused(open_clusters(), tmp_path)
    assert f"by naming {program} in KLEPAAS_K8S_EXEC_PLUGINS" in (error.next_step or "")


@pytest.mark.parametrize("path", ["", ".", "{bin}:", ":{bin}", "{bin}:.", "relative:{bin}", "./:../{name}:{bin}"])
async def test_a_program_in_the_working_directory_never_runs_whatever_path_says(
    tmp_path: Path, write_kubeconfig: Any, open_clusters: Open, trap: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    here = tmp_path / "here"
    trap(here)
    trap(here / "relative")
    (tmp_path / "bin").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", path.format(bin=tmp_path / "bin", name=here.name))
    write_kubeconfig("http://127.0.0.1:1", {"exec": _spec("kubelogin", ["get-token"])})
    assert "is not found on the PATH" in (await _refused(open_clusters(), tmp_path)).what


def _everybody(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


def _group(path: Path) -> None:
    os.chown(path, -1, os.getgid() or 1)
    path.chmod(path.stat().st_mode | 0o020)


@pytest.mark.parametrize("what", ["file", "folder", "folder above", "target of its link", "folder of the target"])
@pytest.mark.parametrize("opened", [_everybody, _group])
async def test_a_program_that_others_could_change_never_runs_and_the_error_says_what_to_type(
    tmp_path: Path,
    write_kubeconfig: Any,
    open_clusters: Open,
    trap: Any,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    opened: Callable[[Path], None],
) -> None:
    monkeypatch.setattr(writers, "_TRUSTED_GROUPS", frozenset())
    monkeypatch.setattr(writers, "_others_of", lambda gid, _user: f"the group {gid}, which has other members,")
    folder = tmp_path / "tools" / "bin"
    program = trap(folder)
    place = {"file": program, "folder": folder, "folder above": folder.parent}.get(what)
    if place is None:
        target = program.rename(trap(tmp_path / "opt").with_name("kubelogin-1"))
        program.symlink_to(target)
        place = target if what.startswith("target") else target.parent
    opened(place)
    monkeypatch.setenv("PATH", str(folder))
    write_kubeconfig("http://127.0.0.1:1", {"exec": _spec("kubelogin", ["get-token"])})
    error = await _refused(open_clusters(), tmp_path)
    assert f"may write to {place}" in error.what
    assert f"chmod {'o-w' if opened is _everybody else 'g-w'} {place}" in (error.next_step or "")
    finding = _context(open_clusters().kubeconfig.merged().entry(None), open_clusters())
    assert f"may write to {place}" in finding.summary


async def test_a_kubeconfig_that_others_may_write_to_starts_no_program_and_still_gives_a_token(
    tmp_path: Path, serve: Any, write_kubeconfig: Any, open_clusters: Open, trap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    async with serve(pong) as server:
        path = write_kubeconfig(server.url, {"exec": _spec("kubelogin", ["get-token"])})
        path.chmod(0o666)
        error = await _refused(open_clusters(), tmp_path)
        assert f"{path} names it, and everybody may write to {path}" in error.what
        assert error.next_step == f"Run `chmod o-w {path}`"
        path.chmod(0o644)
        await (await open_clusters().cluster()).ready()
        write_kubeconfig(server.url, {"token": "t"}).chmod(0o666)
        await (await open_clusters().cluster()).ready()
    assert {seen.headers["authorization"] for seen in server.seen} == {"Bearer from-bin", "Bearer t"}
