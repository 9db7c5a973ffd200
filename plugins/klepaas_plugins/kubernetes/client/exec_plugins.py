"""Credential plugins: which programs a kubeconfig may run, and how they are run.

A kubeconfig can name any program, so the program, its place, its arguments and its environment are checked against a
list (`known_plugins`) before anything runs. It is found once, as a file that no other user may change, and started by
its absolute path; a relative one counts from the kubeconfig, as for kubectl. A plugin gets no standard input (it may be
the protocol's own stream), no terminal and no shell; its time and its output are limited, and it is ended with all that
it started when its time is up or nobody waits any longer. The kubernetes package does none of this, and it swallows a
plugin's failure, therefore plugins are run here and the package gets what they hand out.

Source: Kubernetes documentation, "Authentication", "client-go credential plugins".
"""

import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import ByteReceiveStream, Process

from klepaas.errors import Forbidden, Unauthorized
from klepaas.foreign_json import parse_json
from klepaas.outbound import MissingProgram, UnsafeProgram, UnusableProgram, find_program, search_folders
from klepaas.output.safe import limit_length, one_line, redact_lines
from klepaas.portability import processes
from klepaas.portability.writers import find_other_writer
from klepaas.resilience import NotSent
from klepaas_plugins.kubernetes.client.known_plugins import KNOWN_PLUGINS, KnownPlugin, objection_to_words

__all__ = ["ExecCredential", "check", "locate", "run"]

TIMEOUT_S = 20.0
# How long a program that was killed may take to be gone.
ENDING_TIMEOUT_S = 2.0
OUTPUT_MAX_BYTES = 1024 * 1024
# Where an absolute path may lie besides the folders of PATH: graphical clients start klepaas with a short one.
_SYSTEM_FOLDERS = tuple(map(Path, ("/bin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/snap/bin")))
# Variables that make a program load code or other credentials than its own: for plugins of which no list says more.
_UNSAFE_VARIABLE = re.compile(
    r"PATH|HOME|SHELL|IFS|ENV|BASH_.*|LD_.*|DYLD_.*|PYTHON.*|PERL.*|RUBY.*|NODE_.*|JAVA.*|_JAVA.*|GO.*DEBUG|"
    r".*CONFIG_FILE|.*CREDENTIALS_FILE|CLOUDSDK_PYTHON.*|CLOUDSDK_CONFIG|KUBECONFIG|HTTPS?_PROXY|.*_ENDPOINT_URL.*|"
    r".*CA_BUNDLE|SSL_.*",
    re.IGNORECASE | re.DOTALL,
)

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


def check(spec: Mapping[str, Any], context: str, extra: Sequence[str] = (), folder: Path | None = None) -> None:
    """Refuse a plugin that is not on the list, or that is asked for something else than a credential.

    Args:
        spec: The kubeconfig's `exec`.
        context: The context, for the message.
        extra: Further programs that the operator allows with all that the kubeconfig says: names, which are looked for
            on PATH, and absolute paths, which a bare name in the kubeconfig stands for too.
        folder: The kubeconfig's folder, where a relative path begins, as for kubectl. None: none is allowed.

    Raises:
        Forbidden: The plugin may not be run.
    """
    command = str(spec.get("command") or "")
    name = processes.program_name(command)
    path = _path_of(command, folder, extra)
    listed = path in _paths(extra) if path else name in extra
    known = KNOWN_PLUGINS.get(name)
    if not listed:
        _check_place(name, path, context, extra, known)
    if spec.get("interactiveMode") == "Always":
        raise _refused(context, f"{name} wants a terminal, and there is none")
    if known is not None and not listed and (why := objection_to_words(known, _words(spec))):
        raise _refused(context, f"{name} {why}", f"with these arguments and variables by naming {path or name}")
    for variable in _variables(spec):
        allowed = variable in known.variables if known and not listed else not _UNSAFE_VARIABLE.fullmatch(variable)
        if not variable or not allowed:
            step = f"with this variable by naming {path or name}" if known and not listed else None
            raise _refused(context, f"{name} is given the variable {limit_length(variable, 60) or '(nameless)'}", step)


def _check_place(name: str, path: Path | None, context: str, extra: Sequence[str], known: KnownPlugin | None) -> None:
    if known is None and name not in extra:
        allowed = ", ".join([*KNOWN_PLUGINS, *extra])
        raise _refused(
            context, f"{limit_length(name, 60) or 'a nameless program'} is not an allowed credential plugin ({allowed})"
        )
    if path is not None and path.parent not in (*search_folders(), *_SYSTEM_FOLDERS):
        # Whoever makes a kubeconfig may put a program of any name beside it.
        raise _refused(context, f"{path} is in no folder of PATH", f"by naming {path}")


def _path_of(command: str, folder: Path | None, extra: Sequence[str]) -> Path | None:
    """Where a command with a folder in it is, counted from the kubeconfig as for kubectl.

    A bare name is the program that the operator allows by a path with that name. None: it is looked for on PATH.
    """
    if not os.path.dirname(command):
        name = processes.program_name(command)
        return next((path for path in _paths(extra) if processes.program_name(str(path)) == name), None)
    return Path(os.path.normpath(folder / command if folder is not None else command))


def _paths(extra: Sequence[str]) -> list[Path]:
    """The programs that the operator allows by their paths."""
    return [path for path in (Path(item).expanduser() for item in extra) if path.is_absolute()]


def _words(spec: Mapping[str, Any]) -> list[str]:
    return [str(word) for word in spec.get("args") or ()]


def _variables(spec: Mapping[str, Any]) -> list[str]:
    return [str(item.get("name") or "") if isinstance(item, dict) else "" for item in spec.get("env") or ()]


def locate(
    spec: Mapping[str, Any], context: str, folder: Path, kubeconfig: Path | None = None, extra: Sequence[str] = ()
) -> Path:
    """A plugin's program on this machine, by its absolute path. It looks at files, so call it in a thread.

    Args:
        spec: The kubeconfig's `exec`.
        context: The context, for messages.
        folder: The kubeconfig's folder, where a relative path begins.
        kubeconfig: The file that names it. None: not from a file.
        extra: Further programs that the operator allows.

    Raises:
        Unauthorized: It is not there.
        Forbidden: Somebody else may change it, or the kubeconfig that names it.
    """
    command = str(spec.get("command") or "")
    try:
        writer = find_other_writer(kubeconfig) if kubeconfig is not None else None
        if writer is not None:
            raise Forbidden(
                f"klepaas runs no program for context {context}: {kubeconfig} names it, and {writer.reason}",
                next_step=f"Run `{writer.repair}`",
            )
        return find_program(str(_path_of(command, folder, extra) or command))
    except UnsafeProgram as exc:
        raise Forbidden(
            f"The credential plugin {exc.name} of context {context} {exc.reason}", next_step=exc.next_step
        ) from exc
    except (UnusableProgram, OSError) as exc:
        problem = exc if isinstance(exc, UnusableProgram) else MissingProgram(command)
        where = "" if os.path.dirname(command) else "; KLEPAAS_K8S_EXEC_PLUGINS takes that path"
        raise Unauthorized(
            f"The credential plugin {problem.name} of context {context} {problem.reason}",
            next_step=f"{problem.next_step}{where}",
        ) from exc


async def run(
    spec: Mapping[str, Any],
    context: str,
    folder: Path,
    cluster: Mapping[str, Any],
    *,
    kubeconfig: Path | None = None,
    extra: Sequence[str] = (),
) -> ExecCredential:
    """Run a plugin that passed the check.

    Args:
        spec: The kubeconfig's `exec`.
        context: The context, for messages.
        folder: The kubeconfig's folder, where the program starts.
        cluster: The kubeconfig's `cluster`, told to a plugin that asks for it.
        kubeconfig: The file that names it. None: not from a file.
        extra: Further programs that the operator allows.

    Raises:
        Forbidden: Somebody else may change the program, or the kubeconfig that names it.
        Unauthorized: The program is missing, fails, or hands out nothing that can be used.
        NotSent: It does not end.
    """
    name = processes.program_name(str(spec.get("command")))
    program = await _locate(partial(locate, spec, context, folder, kubeconfig, extra), context)
    command = [program, *_words(spec)]
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
    except (OSError, ValueError) as exc:  # a NUL in an argument, a variable that no system takes
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


async def _locate(look: Callable[[], Path], context: str) -> str:
    with anyio.move_on_after(TIMEOUT_S):
        return str(await anyio.to_thread.run_sync(look, abandon_on_cancel=True))
    raise NotSent(f"The credential plugin of context {context} was not found within {TIMEOUT_S:g} s")


def _refused(context: str, why: str, how: str | None = None) -> Forbidden:
    return Forbidden(
        f"klepaas runs no program for context {context}: {why}",
        next_step=f"The operator can allow it {how or 'by naming it'} in KLEPAAS_K8S_EXEC_PLUGINS",
    )


def _useless(name: str, context: str, why: str) -> Unauthorized:
    return Unauthorized(
        f"The credential plugin {name} of context {context} gave no credential: {why}",
        next_step="Log in with it again on the machine that runs klepaas, then retry",
    )


def _last_words(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return f", {one_line(redact_lines(lines)[-1], 200)}" if lines else ""


def _inherited(name: str) -> dict[str, str]:
    """Our variables that a plugin gets: where things are, and what its own tool is configured with."""
    own = KNOWN_PLUGINS[name].inherited if name in KNOWN_PLUGINS else ()
    more = {key: os.environ[key] for key in (*_NETWORK_VARIABLES, *own) if key in os.environ}
    return {**processes.base_environment(), **more}


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
        status = parse_json(stdout)["status"]
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
