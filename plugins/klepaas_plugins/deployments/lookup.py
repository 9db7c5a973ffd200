"""Reading one object that may not be there, and whole lists."""

from typing import Any

from klepaas.errors import Forbidden, NotFound
from klepaas_plugins.deployments.objects import at, items
from klepaas_plugins.kubernetes.client import Cluster

__all__ = ["find", "list_all", "look_at_all"]

_PAGE = 500


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


async def list_all(cluster: Cluster, kind: str, namespace: str, selector: str | None = None) -> list[dict[str, Any]]:
    """All objects of a kind in a namespace, page by page.

    Args:
        cluster: The cluster.
        kind: The kind, as `Cluster.resource` takes it.
        namespace: The namespace.
        selector: Only objects with these labels. None: all.
    """
    resource, found, cursor = await cluster.resource(kind), list[dict[str, Any]](), None
    while True:
        page = await cluster.list(resource, namespace, label_selector=selector, limit=_PAGE, cursor=cursor)
        found += items(page)
        cursor = at(page, "metadata", "continue") or None
        if cursor is None:
            return found


async def look_at_all(cluster: Cluster, kind: str, namespace: str, selector: str | None = None) -> None:
    """Read a list that is needed later, so that `find` has one of its objects without asking again.

    Args:
        cluster: The cluster; one that remembers nothing asks again all the same.
        kind: The kind, as `Cluster.resource` takes it.
        namespace: The namespace.
        selector: Only objects with these labels. None: all.
    """
    try:
        await list_all(cluster, kind, namespace, selector)
    except (Forbidden, NotFound):
        return
