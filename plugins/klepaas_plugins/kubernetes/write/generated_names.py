"""Names for objects that ask for a generated one: drawn when the change is planned, since an apply needs a name.

The draw follows from what is made and from what is there, so that planning the same change again gives the same name.

Source: apiserver, package names, SimpleNameGenerator; apimachinery, package rand (the alphabet holds no vowels).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from klepaas.errors import Conflict, Forbidden, NotFound
from klepaas_plugins.kubernetes.client import Cluster, Resource

__all__ = ["draw_name"]

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LENGTH = 5
_PREFIX_MAX_CHARS = 63 - _LENGTH
TRIES_MAX = 64


async def draw_name(cluster: Cluster, resource: Resource, body: Mapping[str, Any], namespace: str | None) -> str:
    """A name that no object of the kind has.

    Args:
        cluster: The cluster.
        resource: The kind.
        body: The object, with `metadata.generateName`.
        namespace: Its namespace. None: the kind has none.

    Raises:
        Conflict: All names that were tried are taken.
        KlepaasError: The cluster cannot be asked.
    """
    prefix = str(body["metadata"]["generateName"])[:_PREFIX_MAX_CHARS]
    seed = json.dumps([body, namespace, cluster.context], sort_keys=True, default=str)
    for number in range(TRIES_MAX):
        name = prefix + _suffix(f"{number} {seed}")
        try:
            await cluster.get(resource, name, namespace)
        except (NotFound, Forbidden):
            return name  # where it may not be read, the creation itself says whether it is free
    raise Conflict(f"No free name was found for {resource.title} {prefix}", next_step="Give it metadata.name")


def _suffix(seed: str) -> str:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8])
    letters = []
    for _ in range(_LENGTH):
        number, at = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[at])
    return "".join(letters)
