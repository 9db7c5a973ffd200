"""Finds what a context says by the official kubernetes package. Blocks: runs in a thread, where it is imported.

The package (its `KubeConfigLoader`, and its `InClusterConfigLoader` in a pod) decides which credential counts and where
the server, the authority, the certificate and the proxy are. It is shown only what it may use, since it would also
- run any program that an `exec` or an `auth-provider` names, with our standard input, and log its failure: it never
  sees either; a checked plugin has run before, and what it handed out stands in the `exec`'s place;
- ask an OIDC issuer without looking at its certificate: that is part of `auth-provider`, too;
- keep decoded keys in files, and their content in a cache, for the life of the process: the files are in a folder of
  ours that is gone with the context manager, and the cache is cleared;
- prefer a `token` to a `tokenFile`, unlike kubectl: it sees one of them;
- take a proxy from the environment: it fills a plain object in place of its `Configuration`.
It does not know `as` (impersonation); `credentials` adds that.

Source: Kubernetes documentation, "kubeconfig (v1)": Cluster, AuthInfo.
"""

import atexit
import base64
import binascii
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from klepaas.errors import BadRequest, KlepaasError
from klepaas_plugins.kubernetes.client.exec_plugins import ExecCredential
from klepaas_plugins.kubernetes.client.kubeconfig import Entry
from klepaas_plugins.kubernetes.client.tls import TlsFiles

__all__ = ["Found", "broken", "found", "needs_plugin"]

# The package's cache of key files is one for the process.
_alone = threading.Lock()
_CLUSTER_FILES = ("certificate-authority",)
_USER_FILES = ("client-certificate", "client-key")


@dataclass(frozen=True)
class Found:
    """What a context says, while its key files exist.

    Attributes:
        server: The server's address, without a slash at the end.
        authorization: The header that carries the credential. None: there is none.
        tls: What there is for TLS.
        from_files: Whether something of it is read from a file, which may change.
    """

    server: str
    authorization: str | None = field(repr=False)
    tls: TlsFiles
    from_files: bool


@dataclass
class _Filled:
    """What the package's loaders fill in, under their names."""

    host: str = ""
    ssl_ca_cert: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify_ssl: bool = True
    tls_server_name: str | None = None
    proxy: str | None = None
    refresh_api_key_hook: Any = None
    api_key: dict[str, str] = field(default_factory=dict)


def needs_plugin(entry: Entry) -> bool:
    """Whether a context's credential is to come from a plugin: it has one, and no token of its own."""
    return bool(entry.user.get("exec")) and not entry.user.get("tokenFile") and not entry.user.get("token")


@contextmanager
def found(entry: Entry, given: ExecCredential | None) -> Iterator[Found]:
    """What a context says; the files it names exist until the end.

    Args:
        entry: The context, which has been checked.
        given: What its credential plugin handed out. None: it has none.

    Raises:
        BadRequest: Something in the context cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="klepaas-") as folder:  # mode 0700
        if entry.service_account is not None:
            filled, from_files = _in_cluster(entry, entry.service_account), True
        else:
            cluster, user = _cluster(entry), _user(entry, given)
            from_files = _check(entry, cluster, _CLUSTER_FILES) | _check(entry, user, (*_USER_FILES, "tokenFile"))
            filled = _in_kubeconfig(entry, cluster, user, folder)
        yield _found(filled, from_files=from_files)


def broken(entry: Entry, why: str) -> KlepaasError:
    """The error of a context that cannot be used.

    Args:
        entry: The context.
        why: What is wrong with it, without quoting it.
    """
    return BadRequest(f"Context {entry.context} cannot be used: {why}", next_step="Correct the kubeconfig")


def _cluster(entry: Entry) -> dict[str, Any]:
    said = entry.cluster
    shown = {key: said[key] for key in ("server", "tls-server-name") if said.get(key)}
    # Only a plain true makes a connection insecure: a quoted "false" is no reason.
    shown["insecure-skip-tls-verify"] = said.get("insecure-skip-tls-verify") is True
    return shown | _files(said, entry.cluster_dir, _CLUSTER_FILES)


def _user(entry: Entry, given: ExecCredential | None) -> dict[str, Any]:
    said = entry.user
    shown = _files(said, entry.user_dir, _USER_FILES)
    if said.get("tokenFile"):
        shown["tokenFile"] = _absolute(entry.user_dir, said["tokenFile"])
    elif said.get("token"):
        shown["token"] = str(said["token"])
    elif given is not None:
        if given.token:
            shown["token"] = given.token
        if given.certificate:
            pair = (base64.b64encode(part.encode()).decode() for part in given.certificate)
            shown |= zip(("client-certificate-data", "client-key-data"), pair, strict=True)
    elif said.get("username"):
        # The package writes them as Latin-1, where kubectl writes UTF-8.
        pair = (str(said.get(key) or "").encode().decode("latin-1") for key in ("username", "password"))
        shown |= zip(("username", "password"), pair, strict=True)
    return shown


def _files(said: Mapping[str, Any], folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Of each, the data or the file; as for kubectl, the data counts where there are both."""
    shown: dict[str, Any] = {}
    for name in names:
        if said.get(f"{name}-data"):
            shown[f"{name}-data"] = said[f"{name}-data"]
        elif said.get(name):
            shown[name] = _absolute(folder, said[name])
    return shown


def _absolute(folder: Path, path: object) -> str:
    return str(folder / Path(str(path)).expanduser())


def _check(entry: Entry, shown: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    """Read what the package will read, so that an error names it, and none waits for a dead disk but this context.

    Returns:
        Whether something is read from a file.
    """
    for name in names:
        if f"{name}-data" in shown:
            try:
                base64.b64decode(shown[f"{name}-data"])
            except (binascii.Error, ValueError, TypeError):
                raise broken(entry, f"{name}-data is not base64") from None
        elif name in shown:
            _read(entry, Path(shown[name]), name)
    return any(name in shown for name in names)


def _read(entry: Entry, path: Path, what: str) -> None:
    try:
        path.read_bytes()
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it has no valid name"
        raise broken(entry, f"{what} cannot be read ({reason})") from exc


def _in_kubeconfig(entry: Entry, cluster: Mapping[str, Any], user: Mapping[str, Any], folder: str) -> _Filled:
    from kubernetes.config import ConfigException, kube_config

    document = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
    }
    filled = _Filled()
    loader: Any = kube_config.KubeConfigLoader  # the package's own annotations are partial
    with _alone:
        try:
            loader(document, "it", config_base_path="", temp_file_path=folder).load_and_set(filled)
        except (ConfigException, OSError, ValueError, LookupError, TypeError, AttributeError):
            raise broken(entry, "its credentials cannot be read") from None
        finally:
            kube_config._temp_files.clear()
            atexit.unregister(kube_config._cleanup_temp_files)
    if "tokenFile" in user and not filled.api_key:
        raise broken(entry, "tokenFile is empty")
    if bool(filled.cert_file) != bool(filled.key_file):
        raise broken(entry, "a client certificate and its key belong together")
    return filled


def _in_cluster(entry: Entry, folder: Path) -> _Filled:
    from kubernetes.config import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

    filled = _Filled()
    loader: Any = InClusterConfigLoader
    try:
        loader(str(folder / "token"), str(folder / "ca.crt"), False, _place()).load_and_set(filled)
    except (ConfigException, OSError, ValueError):
        raise broken(entry, "the pod's service account has no token, no authority or no server") from None
    return filled


def _place() -> dict[str, str]:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT") or "443"
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}


def _found(filled: _Filled, *, from_files: bool) -> Found:
    tls = TlsFiles(
        authority=filled.ssl_ca_cert,
        certificate=filled.cert_file,
        key=filled.key_file,
        verify=filled.verify_ssl,
        server_name=filled.tls_server_name,
    )
    authorization = filled.api_key.get("BearerToken")
    return Found(filled.host.rstrip("/"), authorization, tls, from_files)
