"""The contexts as people read them, for the resource; the overview names them in one line."""

from klepaas.output import Answer, table
from klepaas_plugins.kubernetes.client import Clusters

__all__ = ["answer_contexts"]


async def answer_contexts(clusters: Clusters) -> Answer:
    """The contexts with the default one and their namespaces.

    Args:
        clusters: The clusters there are.

    Raises:
        NotFound: There is no kubeconfig.
        BadRequest: It cannot be read.
    """
    known = await clusters.known()
    rows = [["*" if item.is_default else "", item.name, item.cluster, item.namespace] for item in known]
    return Answer(table(["DEFAULT", "NAME", "CLUSTER", "NAMESPACE"], rows))
