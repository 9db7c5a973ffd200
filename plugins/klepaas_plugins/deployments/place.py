"""Where a call works: the cluster, the namespace and the application, and how an answer names these."""

import json
from dataclasses import dataclass, replace

from klepaas.tools import Target
from klepaas_plugins.kubernetes.client import Cluster, Clusters, Looks, looks_of, remembering

__all__ = ["Place", "locate"]


@dataclass(frozen=True)
class Place:
    """One application in one namespace of one cluster.

    Attributes:
        cluster: The cluster.
        namespace: The namespace.
        app_name: The application.
        context: The context as the caller named it. None: the default one.
        is_namespace_given: Whether the caller named the namespace; else it is the context's own.
    """

    cluster: Cluster
    namespace: str
    app_name: str
    context: str | None
    is_namespace_given: bool = True

    @property
    def text(self) -> str:
        """The application as a sentence names it."""
        return f"{self.app_name} in {self.namespace}"

    @property
    def target(self) -> Target:
        """The application as policy and audit name it."""
        return Target(self.cluster.context, self.namespace, "application", self.app_name)

    @property
    def facts(self) -> dict[str, str]:
        """The application as data names it."""
        return {"context": self.cluster.context, "namespace": self.namespace, "app": self.app_name}

    @property
    def looks(self) -> Looks | None:
        """What was seen of the cluster a moment ago. None: nothing is remembered."""
        return looks_of(self.cluster)

    def remembering(self, looks: Looks | None = None) -> "Place":
        """The same place, whose cluster is asked the same question once.

        Args:
            looks: What was seen of it a moment ago. None: nothing.
        """
        return replace(self, cluster=remembering(self.cluster, looks or Looks()))

    def call(self, tool: str, **arguments: object) -> str:
        """A call of a tool about this application, as a model would write it."""
        named = {"app_name": self.app_name, "namespace": self.namespace, **arguments}
        if self.context is not None:
            named["context"] = self.context
        words = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in named.items()]
        return f"{tool}({', '.join(words)})"


async def locate(clusters: Clusters, app_name: str, namespace: str | None, context: str | None) -> Place:
    """Where a call's parameters lead, without a request. What is read there is read once for a few seconds.

    Args:
        clusters: The clusters there are.
        app_name: The application.
        namespace: The namespace. None: the context's own.
        context: The context. None: the default one.
    """
    cluster = await clusters.cluster(context)
    where = namespace or cluster.default_namespace
    return Place(cluster, where, app_name, context, is_namespace_given=namespace is not None).remembering()
