"""What of a cluster can be read as a resource: its contexts, and any one object as YAML, masked as everywhere.

    klepaas://contexts
    klepaas://kubernetes/{context}/{namespace}/{kind}/{name}
    klepaas://kubernetes/{context}/{kind}/{name}              of a kind without namespaces

A context stands in the path and not where a host would, since some clients write hosts in lower case.
"""

from collections.abc import Iterable
from typing import Annotated

from klepaas import names
from klepaas.errors import BadRequest, NotFound
from klepaas.output import Answer
from klepaas.resources import Resource
from klepaas_plugins.kubernetes.client import Clusters, Completions

__all__ = ["CONTEXTS", "kubernetes_resources"]

CONTEXTS = "klepaas://contexts"
OBJECT = "klepaas://kubernetes/{context}/{namespace}/{kind}/{name}"
CLUSTER_OBJECT = "klepaas://kubernetes/{context}/{kind}/{name}"
YAML = "application/yaml"

Context = Annotated[str, names.CONTEXT]
Kind = Annotated[str, names.KIND]
Name = Annotated[str, names.OBJECT]


def kubernetes_resources(clusters: Clusters) -> Iterable[Resource]:
    """The resources.

    Args:
        clusters: The clusters there are.
    """
    reader = _Reader(clusters)
    known = Completions(clusters)
    yield Resource(CONTEXTS, reader.contexts, "Kubernetes contexts")
    yield Resource(
        OBJECT,
        reader.kubernetes_object,
        "A Kubernetes object",
        mime_type=YAML,
        foreign_text=True,
        completions=known.of_objects(namespaced=True),
    )
    yield Resource(
        CLUSTER_OBJECT,
        reader.cluster_object,
        "A Kubernetes object without a namespace",
        mime_type=YAML,
        foreign_text=True,
        completions=known.of_objects(namespaced=False),
    )


class _Reader:
    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters

    async def contexts(self) -> Answer:
        """The Kubernetes contexts this server can reach, with the default one and their namespaces."""
        from klepaas_plugins.kubernetes.contexts_shown import answer_contexts

        try:
            return await answer_contexts(self._clusters)
        except NotFound as exc:  # that there is none is what it tells: clients may read it unasked
            return Answer(exc.line)

    async def kubernetes_object(
        self, context: Context, namespace: Annotated[str, names.NAMESPACE], kind: Kind, name: Name
    ) -> Answer:
        """One object of a namespace as YAML, custom resources too. Secrets are masked."""
        return await self._document(context, namespace, kind, name)

    async def cluster_object(self, context: Context, kind: Kind, name: Name) -> Answer:
        """One object of a kind without namespaces as YAML: a node, a namespace, a volume, a cluster role."""
        return await self._document(context, None, kind, name)

    async def _document(self, context: str, namespace: str | None, kind: str, name: str) -> Answer:
        from klepaas_plugins.kubernetes.listing import answer_one
        from klepaas_plugins.kubernetes.pages import Question

        cluster = await self._clusters.cluster(context)
        resource = await cluster.resource(kind)
        if resource.namespaced is not (namespace is not None):
            has, path = ("a", "{namespace}/") if resource.namespaced else ("no", "")
            raise BadRequest(
                f"A {resource.title} has {has} namespace",
                next_step=f"Its URI is klepaas://kubernetes/{{context}}/{path}{{kind}}/{{name}}",
            )
        return await answer_one(Question(cluster, resource, namespace, "yaml"), name)
