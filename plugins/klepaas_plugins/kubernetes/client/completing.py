"""What contexts, namespaces, kinds and names there are, for whoever completes a variable of a resource or prompt.

Each is a `klepaas.completion.Completer`, bound to the variables `context`, `namespace` and `kind` by their names. They
set no time limit and catch nothing: `klepaas.completion` does.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from klepaas.completion import Completer

if TYPE_CHECKING:
    from klepaas_plugins.kubernetes.client.clusters import Clusters
    from klepaas_plugins.kubernetes.client.models import Resource

__all__ = ["Completions"]

# One page: who has more objects of one kind has typed their beginning before.
NAMES_MAX = 1000


class Completions:
    """What is in the clusters.

    Args:
        clusters: The clusters there are.
    """

    def __init__(self, clusters: "Clusters") -> None:
        self._clusters = clusters

    async def contexts(self, chosen: Mapping[str, str]) -> Iterable[str]:
        """The contexts, the default one first."""
        infos = await self._clusters.known()
        return [info.name for info in sorted(infos, key=lambda info: (not info.is_default, info.name))]

    async def namespaces(self, chosen: Mapping[str, str]) -> Iterable[str]:
        """The namespaces of the chosen context, or of the default one."""
        return await self._names("namespaces", None, chosen)

    async def kinds(self, chosen: Mapping[str, str]) -> Iterable[str]:
        """The kinds whose objects live in namespaces."""
        return await self._kinds(chosen, namespaced=True)

    async def cluster_kinds(self, chosen: Mapping[str, str]) -> Iterable[str]:
        """The kinds whose objects do not."""
        return await self._kinds(chosen, namespaced=False)

    async def names(self, chosen: Mapping[str, str]) -> Iterable[str]:
        """The objects of the chosen kind in the chosen namespace; nothing as long as no kind is chosen."""
        return await self._names(chosen["kind"], chosen.get("namespace"), chosen) if "kind" in chosen else ()

    def of_objects(self, *, namespaced: bool) -> dict[str, Completer]:
        """What completes the variables of one object.

        Args:
            namespaced: Whether it lives in a namespace.
        """
        if not namespaced:
            return {"context": self.contexts, "kind": self.cluster_kinds, "name": self.names}
        return {"context": self.contexts, "namespace": self.namespaces, "kind": self.kinds, "name": self.names}

    async def _names(self, kind: str, namespace: str | None, chosen: Mapping[str, str]) -> Iterable[str]:
        cluster = await self._clusters.cluster(chosen.get("context"))
        resource = await cluster.resource(kind)
        place = (namespace or cluster.default_namespace) if resource.namespaced else None
        page = await cluster.table(resource, place, limit=NAMES_MAX)
        return [row.name for row in page.rows if row.name]

    async def _kinds(self, chosen: Mapping[str, str], *, namespaced: bool) -> Iterable[str]:
        cluster = await self._clusters.cluster(chosen.get("context"))
        readable = [
            resource
            for resource in await cluster.resources()
            if resource.namespaced is namespaced and "get" in resource.verbs
        ]
        return _written(readable)


def _written(resources: "Iterable[Resource]") -> list[str]:
    """The kinds by their plurals, with the group where a plural is another kind's already."""
    found: dict[str, Resource] = {}
    for resource in resources:
        found.setdefault(resource.plural if resource.plural not in found else resource.full_name, resource)
    return sorted(found)
