"""The kubeconfig: which contexts there are, and what each says. Read only; no network, and no program is run here.

The kubernetes package merges the files, so that the first one to name a thing wins. What it does not do is done before
or after: files of a bad size or shape are refused without quoting them (its errors and its YAML parser's would quote a
credential), an empty file is passed over, and of several current contexts the first counts, as for kubectl, not the
last. The files are read again when one of them changes, so a rotated credential is taken up without a restart. Where
there is no kubeconfig, a pod's own service account is the one context, `in-cluster`.

The package is imported with the first look at a kubeconfig, never with the plugin.

Source: Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files", "Merging kubeconfig files".
"""

import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from klepaas.errors import BadRequest, KlepaasError, NotFound
from klepaas_plugins.kubernetes.client.models import ContextInfo
from klepaas_plugins.kubernetes.settings import KubernetesSettings
from klepaas_plugins.kubernetes.yaml_text import check_nesting

__all__ = ["IN_CLUSTER", "Entry", "Kubeconfig", "Merged"]

IN_CLUSTER = "in-cluster"
SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")
FILE_MAX_BYTES = 8 * 1024 * 1024
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEFAULT_NAMESPACE = "default"
_SECTIONS = ("clusters", "users", "contexts")


@dataclass(frozen=True)
class Entry:
    """A context with the cluster and the user it names.

    Attributes:
        context: The context's name.
        cluster_name: The cluster's name.
        namespace: The namespace meant when none is named.
        cluster: The kubeconfig's own `cluster`; paths in it are relative to `cluster_dir`.
        user: The kubeconfig's own `user`; paths in it are relative to `user_dir`.
        problem: Why the context cannot be used. None: it can.
        service_account: The folder of the pod's own service account, if that is meant. None: it is not.
        user_file: The file that `user` stands in. None: in none.
    """

    context: str
    cluster_name: str
    namespace: str
    cluster: Mapping[str, Any] = field(repr=False)
    user: Mapping[str, Any] = field(repr=False)
    cluster_dir: Path
    user_dir: Path
    problem: str | None = None
    service_account: Path | None = None
    user_file: Path | None = None


@dataclass(frozen=True)
class Merged:
    """What the files say together.

    Attributes:
        entries: The contexts by name.
        default: The context meant when none is named. None: the files name none.
        files: The files that were read.
    """

    entries: Mapping[str, Entry]
    default: str | None
    files: tuple[Path, ...] = ()

    def infos(self) -> list[ContextInfo]:
        """The contexts, as they may be shown."""
        return [
            ContextInfo(entry.context, entry.cluster_name, entry.namespace, entry.context == self.default)
            for entry in self.entries.values()
        ]

    def entry(self, context: str | None) -> Entry:
        """The context of that name.

        Args:
            context: Its name. None: the default one.

        Raises:
            NotFound: There is no such context, or no default one.
            BadRequest: The context is there but cannot be used.
        """
        name = context if context is not None else self.default
        known = ", ".join(sorted(self.entries)[:20]) or "none"
        if name is None:
            raise NotFound(
                "The kubeconfig has no current context", next_step=f"Name one of: {known}, or set KLEPAAS_K8S_CONTEXT"
            )
        if name not in self.entries:
            raise NotFound(f"There is no context {name}", next_step=f"Known contexts: {known}")
        entry = self.entries[name]
        if entry.problem is not None:
            raise BadRequest(f"Context {name} cannot be used: {entry.problem}", next_step="Correct the kubeconfig")
        return entry


class Kubeconfig:
    """Reads the kubeconfig files, and reads them again when they change.

    Args:
        settings: Which files, which default context and namespace.
        service_account_dir: Where a pod finds its service account.
    """

    def __init__(self, settings: KubernetesSettings, service_account_dir: Path = SERVICE_ACCOUNT_DIR) -> None:
        self._settings = settings
        self._service_account_dir = service_account_dir
        self._lock = threading.Lock()
        self._stamp: tuple[Any, ...] | None = None
        self._merged: Merged | None = None

    def paths(self) -> list[Path]:
        """The files that are looked for, whether they exist or not."""
        named = [part for part in self._settings.kubeconfig.split(os.pathsep) if part]
        return [Path(part).expanduser() for part in named] if named else [Path.home() / ".kube" / "config"]

    def merged(self) -> Merged:
        """What the files say now.

        Raises:
            NotFound: There is no kubeconfig, and this is no pod.
            BadRequest: A file cannot be read or is not a kubeconfig.
        """
        with self._lock:
            stamp = tuple(_stamp(path) for path in self.paths())
            if self._merged is None or stamp != self._stamp:
                self._merged = self._read()
                self._stamp = stamp
            return self._merged

    def _read(self) -> Merged:
        files = [path for path in self.paths() if path.exists()]
        if files:
            return self._merge(files)
        if not os.environ.get("KUBERNETES_SERVICE_HOST"):
            raise NotFound(
                "There is no kubeconfig",
                next_step="Set KUBECONFIG to a kubeconfig file for the klepaas server, then run klepaas doctor",
            )
        entry = self._in_cluster()
        return Merged({IN_CLUSTER: entry}, IN_CLUSTER)

    def _merge(self, files: list[Path]) -> Merged:
        current, nodes = _merged([path for path in files if _is_filled(path)])
        clusters, users = _by_name(nodes["clusters"], "cluster"), _by_name(nodes["users"], "user")
        entries = {
            name: _entry(name, context, clusters, users, self._settings.namespace)
            for name, (context, _) in _by_name(nodes["contexts"], "context").items()
        }
        return Merged(entries, self._settings.context or current, tuple(files))

    def _in_cluster(self) -> Entry:
        folder = self._service_account_dir
        host = os.environ["KUBERNETES_SERVICE_HOST"]
        port = os.environ.get("KUBERNETES_SERVICE_PORT") or "443"
        namespace = self._settings.namespace or _text_of(folder / "namespace") or _DEFAULT_NAMESPACE
        cluster = {
            "server": f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            "certificate-authority": str(folder / "ca.crt"),
        }
        user = {"tokenFile": str(folder / "token")}
        return Entry(IN_CLUSTER, IN_CLUSTER, namespace, cluster, user, folder, folder, service_account=folder)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _is_filled(path: Path) -> bool:
    """Whether there is anything in a file, which may be merged.

    Raises:
        BadRequest: It may not: it is too large, or no kubeconfig.
    """
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise _unreadable(path, "it is too large")
        text = path.read_bytes()
        check_nesting(text)
        content = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, of C where there is one
    except OSError as exc:
        raise _unreadable(path, exc.strerror or "it cannot be opened") from exc
    except (yaml.YAMLError, ValueError, RecursionError):
        # The parser's message quotes the line, which may hold a credential.
        raise _unreadable(path, "it is not YAML") from None
    if content is None:
        return False
    if not isinstance(content, dict) or not all(_is_section(content.get(section)) for section in _SECTIONS):
        raise _unreadable(path, "it is not a kubeconfig")
    return True


def _is_section(section: Any) -> bool:
    items = section if section is not None else []
    return isinstance(items, list) and all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in items
    )


def _merged(files: list[Path]) -> tuple[str | None, Mapping[str, Iterable[Any]]]:
    """The first current context, and the package's nodes of each section; a node knows the file that it is from."""
    if not files:
        return None, dict.fromkeys(_SECTIONS, ())
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KubeConfigMerger

    merging: Any = KubeConfigMerger  # the package's own annotations are partial
    try:
        merger = merging(os.pathsep.join(str(path) for path in files))
        nodes = {section: list(merger.config.value[section]) for section in _SECTIONS}
    except (ConfigException, yaml.YAMLError, OSError, ValueError, LookupError, TypeError, AttributeError):
        # It was fine a moment ago, so somebody is writing it.
        raise _unreadable(files[0], "it changed while it was read") from None
    current = (content.get("current-context") for content in merger.config_files.values())
    return next((name for name in current if isinstance(name, str) and name), None), nodes


def _by_name(nodes: Iterable[Any], inner: str) -> dict[str, tuple[Mapping[str, Any], Path]]:
    """What each node of a section says, and its file."""
    found = ((node.value["name"], node.value.get(inner), Path(node.path).absolute()) for node in nodes)
    return {name: (value if isinstance(value, dict) else {}, file) for name, value, file in found}


def _unreadable(path: Path, why: str) -> KlepaasError:
    return BadRequest(
        f"The kubeconfig file {path.name} cannot be read: {why}", next_step="Run klepaas doctor where the server runs"
    )


def _entry(
    name: str,
    context: Mapping[str, Any],
    clusters: Mapping[str, tuple[Mapping[str, Any], Path]],
    users: Mapping[str, tuple[Mapping[str, Any], Path]],
    namespace: str | None,
) -> Entry:
    cluster_name, user_name = str(context.get("cluster") or ""), str(context.get("user") or "")
    cluster, cluster_file = clusters.get(cluster_name, ({}, Path()))
    user, user_file = users.get(user_name, ({}, Path()))
    problem = None
    if not isinstance(cluster.get("server"), str):
        problem = f"cluster {cluster_name or '(none)'} is missing or has no server"
    elif user_name and user_name not in users:
        problem = f"user {user_name} is missing"
    chosen = namespace or str(context.get("namespace") or "") or _DEFAULT_NAMESPACE
    return Entry(
        name, cluster_name, chosen, cluster, user, cluster_file.parent, user_file.parent, problem, user_file=user_file
    )
