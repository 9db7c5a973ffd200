"""What names a cluster itself, whatever its contexts are called: its address, and the authority that vouches for it.

Work that another process began may be taken up only where both are the same. Reads a file; touches no network.
"""

import base64
import binascii
import hashlib

from klepaas.errors import BadRequest
from klepaas_plugins.kubernetes.client.kubeconfig import Entry

__all__ = ["identity_of"]

_SHOWN_CHARS = 16


def identity_of(entry: Entry) -> str:
    """A digest of the API server's address and of its certificate authority.

    Args:
        entry: The context.

    Raises:
        BadRequest: The file of the authority cannot be read.
    """
    server = str(entry.cluster.get("server") or "").rstrip("/").lower()
    digest = hashlib.sha256(f"{len(server)}:{server}".encode() + _authority(entry))
    return digest.hexdigest()[:_SHOWN_CHARS]


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
