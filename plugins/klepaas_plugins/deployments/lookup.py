"""Reading one object that may not be there."""

from typing import Any

from klepaas.errors import Forbidden, NotFound
from klepaas_plugins.kubernetes.client import Cluster

__all__ = ["PAGE", "find", "look_at_all"]

# Objects in one answer, for every list that more than one part of a call reads.
PAGE = 500


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


async def look_at_all(cluster: Cluster, kind: str, namespace: str, selector: str | None = None) -> None:
    """Read a list that is needed later, so that `find` has one of its objects without asking again.

    Args:
        cluster: The cluster; one that remembers nothing asks again all the same.
        kind: The kind, as `Cluster.resource` takes it.
        namespace: The namespace.
        selector: Only objects with these labels. None: all.
    """
    try:
        await cluster.list(await cluster.resource(kind), namespace, label_selector=selector, limit=PAGE)
    except (Forbidden, NotFound):
        return
