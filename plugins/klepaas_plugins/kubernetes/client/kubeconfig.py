"""The kubeconfig: which contexts there are, and what each says. Read only; no network, and no program is run here.

Several files are merged as kubectl merges them: the first file that names a thing wins. The files are read again when
one of them changes, so a rotated credential is taken up without a restart. Where there is no kubeconfig, a pod's own
service account is the one context, `in-cluster`.

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

__all__ = ["IN_CLUSTER", "Entry", "Kubeconfig", "Merged"]

IN_CLUSTER = "in-cluster"
SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")
FILE_MAX_BYTES = 8 * 1024 * 1024
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEFAULT_NAMESPACE = "default"


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
    """

    context: str
    cluster_name: str
    namespace: str
    cluster: Mapping[str, Any] = field(repr=False)
    user: Mapping[str, Any] = field(repr=False)
    cluster_dir: Path
    user_dir: Path
    problem: str | None = None


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
                "The kubeconfig has no current context", next_step=f"Name one of: {known}, or set KLEPAAS_KUBE_CONTEXT"
            )
        if name not in self.entries:
            raise NotFound(f"There is no context {name}", next_step=f"Known contexts: {known}")
        entry = self.entries[name]
        if entry.problem is not None:
            raise BadRequest(f"Context {name} cannot be used: {entry.problem}", next_step="Correct the kubeconfig")
        return entry


@dataclass(frozen=True)
class _Document:
    """One file's content."""

    folder: Path
    content: Mapping[str, Any] = field(repr=False)

    def named(self, section: str, inner: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
        for item in self.content.get(section) or ():
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                value = item.get(inner)
                yield item["name"], value if isinstance(value, dict) else {}


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
            return self._merge([_document(path) for path in files], files)
        if not os.environ.get("KUBERNETES_SERVICE_HOST"):
            raise NotFound(
                "There is no kubeconfig",
                next_step="Set KUBECONFIG to a kubeconfig file for the klepaas server, then run klepaas doctor",
            )
        entry = self._in_cluster()
        return Merged({IN_CLUSTER: entry}, IN_CLUSTER)

    def _merge(self, documents: list[_Document], files: list[Path]) -> Merged:
        clusters, users, contexts = (_first_wins(documents, name) for name in ("clusters", "users", "contexts"))
        entries = {
            name: _entry(name, context, clusters, users, self._settings.namespace)
            for name, (context, _) in contexts.items()
        }
        current = (document.content.get("current-context") for document in documents)
        default = self._settings.kube_context or next(
            (name for name in current if isinstance(name, str) and name), None
        )
        return Merged(entries, default, tuple(files))

    def _in_cluster(self) -> Entry:
        folder = self._service_account_dir
        host = os.environ["KUBERNETES_SERVICE_HOST"]
        port = os.environ.get("KUBERNETES_SERVICE_PORT") or "443"
        namespace = self._settings.namespace or _text_of(folder / "namespace") or _DEFAULT_NAMESPACE
        cluster = {
            "server": f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            "certificate-authority": str(folder / "ca.crt"),
        }
        return Entry(IN_CLUSTER, IN_CLUSTER, namespace, cluster, {"tokenFile": str(folder / "token")}, folder, folder)


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


def _document(path: Path) -> _Document:
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise _unreadable(path, "it is too large")
        content = yaml.load(path.read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe loader, of C where there is one
    except OSError as exc:
        raise _unreadable(path, exc.strerror or "it cannot be opened") from exc
    except (yaml.YAMLError, ValueError, RecursionError):
        # The parser's message quotes the line, which may hold a credential.
        raise _unreadable(path, "it is not YAML") from None
    if content is None:
        content = {}
    if not isinstance(content, dict) or any(
        not isinstance(content.get(section) or [], list) for section in ("clusters", "users", "contexts")
    ):
        raise _unreadable(path, "it is not a kubeconfig")
    return _Document(path.absolute().parent, content)


def _unreadable(path: Path, why: str) -> KlepaasError:
    return BadRequest(
        f"The kubeconfig file {path.name} cannot be read: {why}", next_step="Run klepaas doctor where the server runs"
    )


_INNER = {"clusters": "cluster", "users": "user", "contexts": "context"}


def _first_wins(documents: list[_Document], section: str) -> dict[str, tuple[Mapping[str, Any], Path]]:
    found: dict[str, tuple[Mapping[str, Any], Path]] = {}
    for document in documents:
        for name, value in document.named(section, _INNER[section]):
            found.setdefault(name, (value, document.folder))
    return found


def _entry(
    name: str,
    context: Mapping[str, Any],
    clusters: Mapping[str, tuple[Mapping[str, Any], Path]],
    users: Mapping[str, tuple[Mapping[str, Any], Path]],
    namespace: str | None,
) -> Entry:
    cluster_name, user_name = str(context.get("cluster") or ""), str(context.get("user") or "")
    cluster, cluster_dir = clusters.get(cluster_name, ({}, Path()))
    user, user_dir = users.get(user_name, ({}, Path()))
    problem = None
    if not isinstance(cluster.get("server"), str):
        problem = f"cluster {cluster_name or '(none)'} is missing or has no server"
    elif user_name and user_name not in users:
        problem = f"user {user_name} is missing"
    chosen = namespace or str(context.get("namespace") or "") or _DEFAULT_NAMESPACE
    return Entry(name, cluster_name, chosen, cluster, user, cluster_dir, user_dir, problem)
