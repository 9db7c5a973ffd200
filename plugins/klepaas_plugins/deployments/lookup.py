"""Reading one object that may not be there."""

from typing import Any

from klepaas.errors import NotFound
from klepaas_plugins.kubernetes.client import Cluster

__all__ = ["find"]


async def find(cluster: Cluster, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
    """An object as it is.

    Args:
        cluster: The cluster.
        kind: Its kind, as `Cluster.resource` takes it.
        name: Its name.
        namespace: Its namespace.

    Returns:
        The object. None: there is none.
    """
    try:
        return await cluster.get(await cluster.resource(kind), name, namespace)
    except NotFound:
        return None
