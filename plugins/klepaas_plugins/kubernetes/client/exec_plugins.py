"""Credential plugins: which programs a kubeconfig may run, and how they are run.

A kubeconfig can name any program, so the program, its arguments and its environment are checked against a list before
anything runs. A plugin gets no standard input (it may be the protocol's own stream), no terminal and no shell; its time
and its output are limited, and it is ended with all that it started when its time is up or nobody waits any longer.
The kubernetes package does none of this, and it swallows a plugin's failure, therefore plugins are run here and the
package gets what they hand out.

Source: Kubernetes documentation, "Authentication", "client-go credential plugins".
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream, Process

from klepaas.errors import Forbidden, Unauthorized
from klepaas.outbound import MissingProgram
from klepaas.output.redaction import redact_text
from klepaas.portability import processes
from klepaas.resilience import NotSent

__all__ = ["ExecCredential", "check", "find", "missing", "run"]

TIMEOUT_S = 20.0
# How long a program that was killed may take to be gone.
ENDING_TIMEOUT_S = 2.0
OUTPUT_MAX_BYTES = 1024 * 1024
# The program's name, and the words that must stand in this order next to each other among its arguments: a general
# command line (aws, kubectl) may only be asked for a token.
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "gke-gcloud-auth-plugin": (),
    "aws-iam-authenticator": ("token",),
    "aws": ("eks", "get-token"),
    "kubelogin": ("get-token",),
    "kubectl-oidc_login": ("get-token",),
    "kubectl": ("oidc-login", "get-token"),
    "ncp-iam-authenticator": ("token",),
    "doctl": ("kubernetes", "cluster", "kubeconfig", "exec-credential"),
    "oci": ("ce", "cluster", "generate-token"),
}
# Variables that make a program load code or other credentials than its own.
_UNSAFE_VARIABLE = re.compile(
    r"PATH|HOME|SHELL|IFS|ENV|BASH_.*|LD_.*|DYLD_.*|PYTHON.*|PERL.*|RUBY.*|NODE_.*|JAVA.*|_JAVA.*|GO.*DEBUG|"
    r".*CONFIG_FILE|.*CREDENTIALS_FILE|CLOUDSDK_PYTHON.*|CLOUDSDK_CONFIG|KUBECONFIG|HTTPS?_PROXY|.*_ENDPOINT_URL.*|"
    r".*CA_BUNDLE|SSL_.*",
    re.IGNORECASE | re.DOTALL,
)


# How the tool of each plugin is configured. A variable that another plugin needs stands in the kubeconfig.
_OWN_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "gke-gcloud-auth-plugin": ("CLOUDSDK_", "GOOGLE_"),
    "aws-iam-authenticator": ("AWS_",),
    "aws": ("AWS_",),
    "kubelogin": ("AAD_", "ARM_", "AZURE_", "KUBELOGIN_"),
    "ncp-iam-authenticator": ("NCLOUD_",),
    "doctl": ("DIGITALOCEAN_",),
    "oci": ("OCI_",),
}
# Keys of language models that share a prefix with a cloud's own: they are the client's.
_OF_MODELS = re.compile("API_KEY|BEDROCK|GENAI|GEMINI|OPENAI|VERTEX")
_NETWORK_VARIABLES = (
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "no_proxy", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
    *("KUBECONFIG", "KUBECACHEDIR"),
)
# What cmd.exe, which runs batch files, would take for its own however it is quoted.
_READ_BY_CMD = re.compile(r'[%!"&|<>^\r\n]')


@dataclass(frozen=True)
class ExecCredential:
    """What a plugin handed out.

    Attributes:
        token: A bearer token. None: it gave a certificate.
        certificate: A client certificate and its key in PEM. None: it gave a token.
        expires_at: When it ends, in seconds since the epoch. None: the plugin does not tell.
    """

    token: str | None = field(repr=False)
    certificate: tuple[str, str] | None = field(repr=False)
    expires_at: float | None


def check(spec: Mapping[str, Any], context: str, extra: Sequence[str] = ()) -> None:
    """Refuse a plugin that is not on the list, or that is asked for something else than a credential.

    Args:
        spec: The kubeconfig's `exec`.
        context: The context, for the message.
        extra: Names of further programs that the operator allows.

    Raises:
        Forbidden: The plugin may not be run.
    """
    command = str(spec.get("command") or "")
    name = processes.program_name(command)
    words = [str(word) for word in spec.get("args") or ()]
    if name not in _KNOWN and name not in extra:
        known = ", ".join([*_KNOWN, *extra])
        raise _refused(context, f"{name[:60] or 'a nameless program'} is not an allowed credential plugin ({known})")
    if command != os.path.basename(command) and not os.path.isabs(command):
        raise _refused(context, f"{name} is named by a relative path")
    if not _stand_together(_KNOWN.get(name, ()), words):
        raise _refused(context, f"{name} is not asked for a token")
    if spec.get("interactiveMode") == "Always":
        raise _refused(context, f"{name} wants a terminal, and there is none")
    for item in spec.get("env") or ():
        variable = str(item.get("name")) if isinstance(item, dict) else ""
        if not variable or _UNSAFE_VARIABLE.fullmatch(variable):
            raise _refused(context, f"{name} is given the variable {variable or '(nameless)'}")


def find(spec: Mapping[str, Any]) -> str | None:
    """The plugin's program on this machine, or None."""
    return shutil.which(str(spec.get("command") or ""))


async def run(spec: Mapping[str, Any], context: str, folder: Path, cluster: Mapping[str, Any]) -> ExecCredential:
    """Run a plugin that passed the check.

    Args:
        spec: The kubeconfig's `exec`.
        context: The context, for messages.
        folder: Where the program starts.
        cluster: The kubeconfig's `cluster`, told to a plugin that asks for it.

    Raises:
        Unauthorized: The program is missing, fails, or hands out nothing that can be used.
        NotSent: It does not end.
    """
    program = find(spec)
    name = processes.program_name(str(spec.get("command")))
    if program is None:
        raise missing(spec, context)
    command = [program, *(str(word) for word in spec.get("args") or ())]
    if processes.is_batch_file(program) and any(_READ_BY_CMD.search(word) for word in command[1:]):
        raise _refused(context, f"{name} is a batch file, and an argument holds characters that its shell would read")
    try:
        with anyio.fail_after(TIMEOUT_S):
            async with _started(command, _environment(spec, cluster), folder) as process:
                stdout, stderr = await _output(process)
                code = await process.wait()
    except TimeoutError:
        raise NotSent(
            f"The credential plugin {name} of context {context} did not end in {TIMEOUT_S:g} s",
            next_step=f"Run {name} by hand on the machine that runs klepaas",
        ) from None
    except OSError as exc:
        raise _useless(name, context, "it cannot be started") from exc
    if code != 0:
        raise _useless(name, context, f"exit code {code}{_last_words(stderr)}")
    if len(stdout) > OUTPUT_MAX_BYTES:
        raise _useless(name, context, "its output is too large")
    return _credential(stdout, name, context)


@asynccontextmanager
async def _started(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> AsyncIterator[Process]:
    """A program in a session of its own, and so without our terminal; gone at the end, with its children."""
    process = await processes.start(command, environment=environment, folder=folder, stdin=subprocess.DEVNULL)
    try:
        yield process
    except BaseException:
        # Also where it has ended itself: a child of it may hold its output open.
        await processes.end(process)
        raise
    finally:
        with anyio.move_on_after(ENDING_TIMEOUT_S, shield=True):
            await process.aclose()


async def _output(process: Process) -> tuple[bytes, bytes]:
    """What it writes, to the end, but no more than the limit of each."""
    found = {"stdout": b"", "stderr": b""}

    async def collect(name: str, stream: ByteReceiveStream | None) -> None:
        if stream is not None:
            async for chunk in stream:
                # One byte more than the limit tells that there was more; stderr counts by its end.
                both = found[name] + chunk
                found[name] = both[: OUTPUT_MAX_BYTES + 1] if name == "stdout" else both[-OUTPUT_MAX_BYTES:]

    async with anyio.create_task_group() as group:
        group.start_soon(collect, "stdout", process.stdout)
        group.start_soon(collect, "stderr", process.stderr)
    return found["stdout"], found["stderr"]


def _refused(context: str, why: str) -> Forbidden:
    return Forbidden(
        f"klepaas runs no program for context {context}: {why}",
        next_step="The operator can allow a plugin by name in KLEPAAS_K8S_EXEC_PLUGINS",
    )


def missing(spec: Mapping[str, Any], context: str) -> Unauthorized:
    """The error of a plugin whose program is not on this machine.

    Args:
        spec: The kubeconfig's `exec`.
        context: The context, for the message.
    """
    program = MissingProgram(str(spec.get("command") or ""))
    return Unauthorized(
        f"The credential plugin {program.name} of context {context} {program.reason}", next_step=program.next_step
    )


def _useless(name: str, context: str, why: str) -> Unauthorized:
    return Unauthorized(
        f"The credential plugin {name} of context {context} gave no credential: {why}",
        next_step="Log in with it again on the machine that runs klepaas, then retry",
    )


def _last_words(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return f", {redact_text(lines[-1])[:200]}" if lines else ""


def _stand_together(wanted: Sequence[str], words: Sequence[str]) -> bool:
    size = len(wanted)
    return not size or any(tuple(words[at : at + size]) == tuple(wanted) for at in range(len(words) - size + 1))


def _inherited(name: str) -> dict[str, str]:
    """Our variables that a plugin gets: where things are, and what its own tool is configured with."""
    prefixes = _OWN_VARIABLES.get(name, ())
    own = {key: value for key, value in os.environ.items() if key.startswith(prefixes) and not _OF_MODELS.search(key)}
    network = {key: os.environ[key] for key in _NETWORK_VARIABLES if key in os.environ}
    return {**processes.base_environment(), **network, **own}


def _environment(spec: Mapping[str, Any], cluster: Mapping[str, Any]) -> dict[str, str]:
    environment = _inherited(processes.program_name(str(spec.get("command"))))
    for item in spec.get("env") or ():
        if isinstance(item, dict) and item.get("name"):
            environment[str(item["name"])] = str(item.get("value") or "")
    request: dict[str, Any] = {"interactive": False}
    if spec.get("provideClusterInfo"):
        request["cluster"] = _told(cluster)
    info = {"apiVersion": str(spec.get("apiVersion")), "kind": "ExecCredential", "spec": request}
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(info)
    return environment


def _told(cluster: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
    told = {key: cluster[key] for key in keys if key in cluster}
    for item in cluster.get("extensions") or ():
        if isinstance(item, dict) and item.get("name") == "client.authentication.k8s.io/exec":
            told["config"] = item.get("extension")
    return told


def _credential(stdout: bytes, name: str, context: str) -> ExecCredential:
    try:
        status = json.loads(stdout)["status"]
        expires = status.get("expirationTimestamp")
        expires_at = datetime.fromisoformat(expires).timestamp() if expires else None
        token, certificate, key = (status.get(part) for part in ("token", "clientCertificateData", "clientKeyData"))
    except (ValueError, KeyError, TypeError, AttributeError):
        # The output is a credential: nothing of it may be quoted or chained.
        raise _useless(name, context, "its output is not an ExecCredential") from None
    if not token and not (certificate and key):
        raise _useless(name, context, "its output holds neither a token nor a certificate")
    pair = (str(certificate), str(key)) if certificate and key else None
    return ExecCredential(str(token) if token else None, pair, expires_at)
