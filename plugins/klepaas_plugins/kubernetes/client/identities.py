"""What names a cluster itself, whatever its contexts are called.

By what a context says: the API server's address, in one form for all spellings of it, and the authority that vouches
for it. By what the cluster says: the uid of its namespace kube-system, and of any other namespace. Two addresses may
lead to one cluster (127.0.0.1 and localhost, an IP and a DNS endpoint): only a uid says so, never a name server.

Reads a file; touches no network.
"""

import base64
import binascii
import hashlib
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from klepaas.errors import BadRequest
from klepaas_plugins.kubernetes.client.kubeconfig import Entry

__all__ = ["CLUSTER", "identity_of", "names_of", "of_cluster", "of_namespace"]

_SHOWN_CHARS = 16
_PORTS = {"http": 80, "https": 443}
CLUSTER, _NAMESPACE = "cluster-", "namespace-"


def identity_of(entry: Entry) -> str:
    """A digest of the API server's address and of its certificate authority.

    Args:
        entry: The context.

    Raises:
        BadRequest: The file of the authority cannot be read.
    """
    return names_of(entry)[0]


def names_of(entry: Entry) -> tuple[str, ...]:
    """The names of a context's cluster by its address: by its one form, and by its spelling in the kubeconfig.

    A store whose tables were before version 0005 knows a cluster by the second alone.

    Args:
        entry: The context.

    Raises:
        BadRequest: The file of the authority cannot be read.
    """
    server, authority = str(entry.cluster.get("server") or ""), _authority(entry)
    spellings = (_normal(server), server.rstrip("/").lower())
    return tuple(dict.fromkeys(_digest(spelling, authority) for spelling in spellings))


def of_cluster(namespace: Mapping[str, Any]) -> str | None:
    """The name of a cluster by its namespace kube-system. None: the object has no uid."""
    return _by_uid(CLUSTER, namespace)


def of_namespace(namespace: Mapping[str, Any]) -> str | None:
    """The name of a cluster by one of its namespaces. None: the object has no uid."""
    return _by_uid(_NAMESPACE, namespace)


def _by_uid(prefix: str, namespace: Mapping[str, Any]) -> str | None:
    metadata = namespace.get("metadata")
    uid = metadata.get("uid") if isinstance(metadata, Mapping) else None
    # It becomes part of a target, whose parts are separated by slashes.
    return f"{prefix}{uid}" if isinstance(uid, str) and 0 < len(uid) <= 64 and "/" not in uid else None


def _digest(server: str, authority: bytes) -> str:
    return hashlib.sha256(f"{len(server)}:{server}".encode() + authority).hexdigest()[:_SHOWN_CHARS]


def _normal(server: str) -> str:
    """One spelling of an address: lower case, no port that the scheme implies, no final dot and no final slash."""
    plain = server.strip().rstrip("/").lower()
    try:
        parts = urlsplit(plain)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return plain
    if not host:
        return plain
    try:
        address = ipaddress.ip_address(host)
        host = f"[{address.compressed}]" if address.version == 6 else address.compressed
    except ValueError:
        pass
    shown = "" if port in (None, _PORTS.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{host}{shown}{parts.path.rstrip('/')}"


def _authority(entry: Entry) -> bytes:
    """The certificates; a file and the same in the kubeconfig itself are the same."""
    data, path = entry.cluster.get("certificate-authority-data"), entry.cluster.get("certificate-authority")
    try:
        if data:
            return base64.b64decode(str(data)).strip()
        return (entry.cluster_dir / str(path)).read_bytes().strip() if path else b""
    except (OSError, binascii.Error, ValueError) as exc:
        raise BadRequest(
            f"The certificate authority of context {entry.context} cannot be read", next_step="Correct the kubeconfig"
        ) from exc
